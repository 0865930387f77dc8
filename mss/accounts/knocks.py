"""How long does a login at a mail door wait, after wrong ones of the same name or from the same place?

Application passwords cannot be guessed, so this is not what keeps an account closed: it keeps a guesser, or a client
with an old password, from taking the house's time. Counted alike for names that nobody has. The wait comes before the
look, so neither its length nor its end tells what was right; and it is short, since the person behind the name, and a
hospital behind one address, wait too. Who signed in well a moment ago does not (mss/accounts/verified.py). A wrong one
is answered at the next tenth of a second, since the look itself takes a little longer where somebody has that name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mss.accounts.slowdown import Budget, Slowdown
from mss.model.clock import Clock
from mss.model.ids import network_of

NAME_CHARS_MAX = 320
"""Of what somebody says is a name, so many tell it from others."""
OF_NAME_FREE = 5
FIRST_S = 0.5
OF_PLACE_FREE = 30
"""A ward's computers may all have the old password of one team."""
OF_PLACE_EVERY_S = 10.0
"""Then one wrong login each: a telephone with an old password that tries each minute keeps nobody waiting."""
OF_NAME_S_MAX = 15.0
PACE_S = 0.1
"""Measured: some 15 µs of 70 tell a name that somebody has (process time, SQLite); nothing of them is left."""
OF_PLACE_S_MAX = 5.0
"""Others behind that address come in with this delay at most."""


@dataclass(frozen=True, slots=True)
class Knock:
    """A login that waits to be looked at, and counts as wrong."""

    name: str
    place: str
    is_counted: bool
    """Whether the place had one left."""
    looked_s: float
    """When the look began."""


class Knocks:
    """Of one door in one process. `sleep` is a test's to replace."""

    def __init__(self, clock: Clock, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._clock = clock
        self._sleep = sleep
        self._of_name = Slowdown(clock, free=OF_NAME_FREE, first_s=FIRST_S, max_s=OF_NAME_S_MAX)
        self._of_place = Budget(clock, burst=OF_PLACE_FREE, interval_s=OF_PLACE_EVERY_S)

    async def wait(self, name: str, place: str) -> Knock:
        """Before a login is looked at; it counts as wrong until `was_right`. End with that, or with `was_wrong`."""
        name, place = _key(name), network_of(place)
        missing_s = self._of_place.take(place)
        wait_s = min(missing_s, OF_PLACE_S_MAX)
        if name:  # a certificate or a token may come without: they are not all of one name
            self._of_name.count(name)
            wait_s = max(wait_s, self._of_name.wait_s(name))
        if wait_s > 0:
            await self._sleep(wait_s)
        return Knock(name, place, is_counted=missing_s <= 0, looked_s=self._clock.monotonic_s())

    async def was_wrong(self, knock: Knock) -> None:
        """Wait until it may be said."""
        spent_s = self._clock.monotonic_s() - knock.looked_s
        await self._sleep(PACE_S - spent_s % PACE_S)

    def was_right(self, knock: Knock) -> None:
        """The name's failures are forgotten; of the place only this one: a guesser's own login frees nobody."""
        self._of_name.forgive(knock.name)
        if knock.is_counted:
            self._of_place.give_back(knock.place)


def _key(name: str) -> str:
    return name.strip()[:NAME_CHARS_MAX].casefold()  # stripped first, as the look does: blanks hide no name
