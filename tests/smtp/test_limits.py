"""Are connections and memory counted right, also when counting ends?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.model.ids import network_of
from mss.smtp.limits import ConnectionCounter, Limits, OctetBudget


def test_one_address_cannot_take_all_places() -> None:
    """The next peer finds room."""
    counter = ConnectionCounter(Limits(connections_per_address_max=2, connections_max=3))
    assert [counter.enter("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert counter.enter("192.0.2.2")
    assert not counter.enter("192.0.2.3"), "three in all"
    counter.leave("192.0.2.1")
    assert counter.enter("192.0.2.3")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("", "", True),
    ],
)
def test_a_site_is_one(one: str, other: str, *, same: bool) -> None:
    """An IPv6 site has 2^64 addresses and one share."""
    assert (network_of(one) == network_of(other)) is same


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), max_size=60))
def test_memory_is_never_promised_twice(wishes: list[tuple[int, int]]) -> None:
    """Whatever holders want, the sum of what they got stays below the limit, and is what is counted."""
    budget, held = OctetBudget(100), [0, 0, 0, 0]
    for holder, wanted in wishes:
        if budget.resize(held[holder], wanted):
            held[holder] = wanted
        assert budget.used == sum(held) <= 100
    for octets in held:
        assert budget.resize(octets, 0)
    assert budget.used == 0
