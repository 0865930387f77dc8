"""Wrong logins at a mail door wait longer and longer, whoever is named; right ones do not pay for it long."""

from __future__ import annotations

import pytest

from mss.accounts.knocks import (
    OF_NAME_FREE,
    OF_NAME_S_MAX,
    OF_PLACE_EVERY_S,
    OF_PLACE_FREE,
    OF_PLACE_S_MAX,
    PACE_S,
    Knocks,
)
from mss.model.clock import ManualClock

ANNE, HERE, THERE = "anne@ville.mssante.example", "192.0.2.1", "192.0.2.2"


class Door:
    """Sleeps by moving the clock, and writes down how long."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.slept = 0.0
        self.knocks = Knocks(clock, self._sleep)

    async def _sleep(self, wait_s: float) -> None:
        self.slept += wait_s
        self.clock.forward(wait_s)

    async def tries(self, name: str, place: str, times: int = 1, *, is_right: bool = False) -> float:
        """So many logins, wrong unless said otherwise; how long the last one waited."""
        for _ in range(times):
            self.slept = 0.0
            knock = await self.knocks.wait(name, place)
            if is_right:
                self.knocks.was_right(knock)
        return self.slept

    async def told_after(self, look_s: float) -> float:
        """How long after its look began a wrong login is told."""
        knock = await self.knocks.wait(ANNE, HERE)
        began_s = self.clock.monotonic_s()
        self.clock.forward(look_s)
        await self.knocks.was_wrong(knock)
        return self.clock.monotonic_s() - began_s


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


async def test_how_long_the_look_took_tells_nothing(door: Door) -> None:
    """A wrong login is told at the same moment, whether or not somebody has that name."""
    assert await door.told_after(0.000_067) == pytest.approx(PACE_S) == await door.told_after(0.000_080)
    assert await door.told_after(1.3 * PACE_S) == pytest.approx(2 * PACE_S)


async def test_others_behind_the_address_wait_little(door: Door) -> None:
    """A guesser who changes the name each time slows his place down, his neighbours by seconds at most, others not at
    all; and the place is free again a while after he has gone."""
    began_s = door.clock.monotonic_s()
    for number in range(OF_PLACE_FREE + 20):
        await door.tries(f"x{number}@ville.mssante.example", HERE)
    assert door.clock.monotonic_s() - began_s >= 20 * OF_PLACE_S_MAX / 2
    assert await door.tries(ANNE, HERE, is_right=True) <= OF_PLACE_S_MAX <= 15
    assert await door.tries("samir@chu.mssante.example", THERE) == 0
    door.clock.forward(OF_PLACE_EVERY_S)
    assert await door.tries(ANNE, HERE) == 0


async def test_a_telephone_with_an_old_password_keeps_nobody_else_waiting(door: Door) -> None:
    """It tries each minute for a day; her colleague behind the same address comes in at once, and she after seconds."""
    for _ in range(24 * 60):
        await door.tries(ANNE, HERE)
        door.clock.forward(60)
    assert await door.tries("samir@chu.mssante.example", HERE, is_right=True) == 0
    assert await door.tries(ANNE, HERE, is_right=True) <= OF_NAME_S_MAX
    assert await door.tries(ANNE, HERE, is_right=True) == 0


async def test_a_right_login_clears_the_name_and_not_the_place(door: Door) -> None:
    """Whoever has one good login guesses no faster with it."""
    assert await door.tries(ANNE, HERE, OF_NAME_FREE + 3) > 0
    await door.tries(ANNE, THERE, is_right=True)
    assert await door.tries(ANNE, THERE) == 0
    began_s = door.clock.monotonic_s()
    for number in range(OF_PLACE_FREE + 20):
        await door.tries(f"x{number}@ville.mssante.example", HERE)
        await door.tries(ANNE, HERE, is_right=True)
    assert door.clock.monotonic_s() - began_s >= 20 * OF_PLACE_S_MAX / 2


async def test_certificates_that_name_nobody_share_no_name(door: Door) -> None:
    """One software whose certificate opens nothing keeps no other waiting, wherever that is."""
    await door.tries("", HERE, OF_NAME_FREE + 10)
    assert await door.tries(" ", THERE) == 0


async def test_blanks_hide_no_name_and_a_network_is_one_place(door: Door) -> None:
    """However many stand before it; and who has a /64 has no new place for each guess."""
    for number in range(OF_NAME_FREE):
        await door.tries(" " * (number * 100) + ANNE, f"{THERE} {number}")
    assert await door.tries(" " * 400 + ANNE, HERE) > 0
    for number in range(OF_PLACE_FREE):
        assert await door.tries(f"y{number}@ville.mssante.example", f"2001:db8::{number:x}") == 0
    assert await door.tries("z@ville.mssante.example", "2001:db8::ffff") > 0


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
