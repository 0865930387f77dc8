"""Is what somebody sends counted over time, and forgotten in time?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mss.model.clock import ManualClock
from mss.smtp import meters
from mss.smtp.meters import Bucket, Caps, Meter, Party

LAB = Party("CN=smtp.labo.mssante.example", "192.0.2.1")
SMALL = Caps(messages_per_minute=6, recipients_per_minute=12, octets_per_minute=6_000, octets_per_hour=36_000)


def taken(meter: Meter, party: Party, wanted: int) -> int:
    return sum(meter.takes_message(party) for _ in range(wanted))


def test_a_minutes_worth_at_once_and_then_as_it_leaks(clock: ManualClock) -> None:
    """A burst is honest, a stream above the cap is not."""
    meter = Meter(SMALL, clock)
    assert taken(meter, LAB, 20) == 6
    clock.forward(10)
    assert taken(meter, LAB, 20) == 1
    clock.forward(3600)
    assert taken(meter, LAB, 20) == 6


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 10)), max_size=50))
def test_nobody_gets_more_than_the_cap_over_time(acts: list[tuple[float, int]]) -> None:
    """Whatever the rhythm: one burst, and the average."""
    clock = ManualClock()
    meter, got = Meter(SMALL, clock), 0
    for pause_s, wanted in acts:
        clock.forward(pause_s)
        got += taken(meter, LAB, wanted)
    assert got <= 6 + 6 * clock.monotonic_s() / 60 + 1


def test_names_and_networks_are_counted_apart(clock: ManualClock) -> None:
    """One certificate from many addresses is one; many behind one address share four times as much."""
    meter = Meter(SMALL, clock)
    assert sum(meter.takes_message(Party("one", f"192.0.2.{n}")) for n in range(20)) == 6
    assert sum(meter.takes_message(Party(f"peer {n}", "198.51.100.1")) for n in range(50)) == 24


def test_octets_close_the_door_for_the_next_message(clock: ManualClock) -> None:
    """A message larger than the cap can come, once; what follows waits until it has leaked."""
    meter = Meter(SMALL, clock)
    assert meter.takes_message(LAB)
    meter.count_octets(LAB, 9_000)
    assert not meter.takes_message(LAB)
    clock.forward(31)
    assert meter.takes_message(LAB)
    for _ in range(4):
        meter.count_octets(LAB, 9_000)
        clock.forward(90)
    assert not meter.takes_message(LAB), "the hour's worth"


def test_recipients_have_a_cap_of_their_own(clock: ManualClock) -> None:
    """A hundred for each message is many."""
    meter = Meter(SMALL, clock)
    assert sum(meter.takes_recipient(LAB) for _ in range(50)) == 12
    assert meter.takes_message(LAB)


def test_a_bucket_may_be_looked_at_any_number_of_times() -> None:
    """Asking costs nothing."""
    bucket = Bucket(10, 60)
    bucket.pour(10, 0)
    assert not any(bucket.has_room(0) for _ in range(100))
    assert bucket.has_room(0.1)
    assert bucket.level(60) == 0


def test_who_has_sent_nothing_lately_is_forgotten(clock: ManualClock) -> None:
    """Memory does not grow with everybody who ever came."""
    meter = Meter(SMALL, clock)
    for number in range(meters.PARTIES_MAX):
        assert meter.takes_message(Party(f"peer {number}", f"network {number}"))
        clock.forward(0.1)
    assert meter.parties <= meters.PARTIES_MAX
