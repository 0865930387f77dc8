"""Wrong logins at a mail door wait longer and longer, whoever is named; right ones do not pay for it long."""

from __future__ import annotations

import pytest

from mss.accounts.knocks import OF_NAME_FREE, OF_NAME_S_MAX, OF_PLACE_FREE, OF_PLACE_S_MAX, Knocks
from mss.model.clock import ManualClock

ANNE, HERE, THERE = "anne@ville.mssante.example", "192.0.2.1", "192.0.2.2"


class Door:
    """Sleeps by moving the clock, and writes down how long."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.slept: list[float] = []
        self.knocks = Knocks(clock, self._sleep)

    async def _sleep(self, wait_s: float) -> None:
        self.slept.append(wait_s)
        self.clock.forward(wait_s)

    async def tries(self, name: str, place: str, times: int = 1) -> float:
        """So many wrong logins; how long the last one waited."""
        for _ in range(times):
            self.slept.clear()
            await self.knocks.wait(name, place)
        return sum(self.slept)


@pytest.fixture
def door(clock: ManualClock) -> Door:
    return Door(clock)


async def test_a_few_mistakes_are_free_then_each_waits_longer(door: Door) -> None:
    """Up to a quarter of a minute, however it goes on; in capitals it is the same name."""
    assert await door.tries(ANNE, HERE, OF_NAME_FREE) == 0
    waits = [await door.tries(name, HERE) for name in (ANNE, ANNE.upper(), f" {ANNE}", ANNE)]
    assert waits == sorted(waits)
    assert waits[0] > 0
    assert await door.tries(ANNE, HERE, 40) == OF_NAME_S_MAX


async def test_a_name_that_nobody_has_waits_as_long(door: Door) -> None:
    """The length of the wait tells nothing."""
    waits = []
    for name in (ANNE, "nobody@ville.mssante.example"):
        waits.append([await door.tries(name, f"{HERE} {name}") for _ in range(12)])
    assert waits[0] == waits[1]


async def test_others_behind_the_address_wait_little(door: Door) -> None:
    """A guesser who changes the name each time slows his place down, his neighbours by seconds at most, others not at
    all."""
    for number in range(OF_PLACE_FREE + 20):
        await door.tries(f"x{number}@ville.mssante.example", HERE)
    assert 0 < await door.tries(ANNE, HERE) <= OF_PLACE_S_MAX <= 15
    assert await door.tries("samir@chu.mssante.example", THERE) == 0


async def test_a_right_login_clears_the_name_and_not_the_place(door: Door) -> None:
    """Whoever has one good login guesses no faster with it."""
    assert await door.tries(ANNE, HERE, OF_NAME_FREE + 3) > 0
    door.knocks.was_right(ANNE, HERE)
    assert await door.tries(ANNE, THERE) == 0
    door.knocks.was_right(ANNE, THERE)
    for number in range(OF_PLACE_FREE):
        await door.tries(f"x{number}@ville.mssante.example", HERE)
        last = await door.tries(ANNE, HERE)
        door.knocks.was_right(ANNE, HERE)
    assert last > 0


async def test_certificates_that_name_nobody_share_no_name(door: Door) -> None:
    """One software whose certificate opens nothing keeps no other waiting, wherever that is."""
    await door.tries("", HERE, OF_NAME_FREE + 10)
    assert await door.tries(" ", THERE) == 0


async def test_many_at_once_are_many(clock: ManualClock) -> None:
    """A hundred guesses in one moment are counted before any is looked at."""
    waits: list[float] = []

    async def sleep(wait_s: float) -> None:
        waits.append(wait_s)

    knocks = Knocks(clock, sleep)
    for number in range(100):
        await knocks.wait(ANNE, f"192.0.2.{number}")
    assert len(waits) == 100 - OF_NAME_FREE
    assert waits[-1] == OF_NAME_S_MAX
