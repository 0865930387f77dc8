"""How long must somebody wait after failures? Never for ever, and nobody for somebody else."""

from __future__ import annotations

import pytest

from mss.accounts import slowdown
from mss.accounts.login import ADDRESS_BURST, ADDRESS_INTERVAL_S, FIRST_PAUSE_S, FREE_FAILURES, PAUSE_S_MAX
from mss.accounts.slowdown import Budget, Slowdown
from mss.model.clock import ManualClock

DAY_S = 24 * 3600


@pytest.fixture
def pauses(clock: ManualClock) -> Slowdown:
    return Slowdown(clock, free=FREE_FAILURES, first_s=FIRST_PAUSE_S, max_s=PAUSE_S_MAX)


@pytest.fixture
def budget(clock: ManualClock) -> Budget:
    return Budget(clock, burst=ADDRESS_BURST, interval_s=ADDRESS_INTERVAL_S)


def test_the_wait_doubles_and_ends_at_its_maximum(pauses: Slowdown) -> None:
    """A typing mistake costs nothing, a hundred cost five minutes each."""
    assert [pauses.pause_s(n) for n in (0, 4, 5, 6, 7)] == [0, 0, 2, 4, 8]
    assert pauses.pause_s(1000) == PAUSE_S_MAX


def test_an_attempt_counts_before_it_is_judged(pauses: Slowdown) -> None:
    """A hundred guesses sent at once are a hundred guesses."""
    for _ in range(FREE_FAILURES + 1):
        pauses.count("a")
    assert pauses.wait_s("a") > 0
    assert pauses.wait_s("b") == 0


def test_a_right_answer_ends_the_wait(pauses: Slowdown, clock: ManualClock) -> None:
    """Yesterday's failures are forgiven."""
    for _ in range(20):
        pauses.count("a")
    clock.forward(PAUSE_S_MAX)
    assert pauses.wait_s("a") == 0
    pauses.count("a")
    pauses.forgive("a")
    assert pauses.wait_s("a") == 0
    assert pauses.count("a") == 1


def test_memory_is_bounded(pauses: Slowdown, budget: Budget, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million invented names do not fill the machine."""
    monkeypatch.setattr(slowdown, "KEYS_MAX", 100)
    for number in range(1000):
        pauses.count(number)
        budget.take(number)
    assert len(pauses._of) == len(budget._full_at) == 100


def test_an_address_gets_a_burst_and_then_one_try_each_ten_seconds(budget: Budget, clock: ManualClock) -> None:
    """Whoever sits behind the same box waits ten seconds at most."""
    assert [budget.take("a") for _ in range(ADDRESS_BURST)] == [0] * ADDRESS_BURST
    wait = budget.take("a")
    assert 0 < wait <= ADDRESS_INTERVAL_S <= 15
    clock.forward(wait)
    assert budget.take("a") == 0
    assert budget.take("b") == 0


def test_a_try_that_was_right_is_given_back(budget: Budget) -> None:
    """A ward of forty people signing in at eight in the morning is no attack."""
    for _ in range(100):
        assert budget.take("ward") == 0
        budget.give_back("ward")


def test_a_million_guesses_from_a_thousand_addresses_leave_a_few_hundred(
    pauses: Slowdown, budget: Budget, clock: ManualClock
) -> None:
    """In a day one account's password can be tried some three hundred times, wherever the guesses come from."""
    looked_at = 0
    for number in range(100_000):
        clock.forward(DAY_S / 100_000)
        if pauses.wait_s("victim") == 0 and budget.take(number % 1000) == 0:
            pauses.count("victim")
            looked_at += 1
    assert 200 < looked_at < 320
