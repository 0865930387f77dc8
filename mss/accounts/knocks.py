"""How long does a login at a mail door wait, after wrong ones of the same name or from the same place?

Application passwords cannot be guessed, so this is not what keeps an account closed: it keeps a guesser, or a client
with an old password, from taking the house's time. Counted alike for names that nobody has. The wait comes before the
look, so neither its length nor its end tells what was right; and it is short, since the person behind the name, and a
hospital behind one address, wait too. Who signed in well a moment ago does not (mss/accounts/verified.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mss.accounts.slowdown import Slowdown
from mss.model.clock import Clock

NAME_CHARS_MAX = 320
"""Of what somebody says is a name, so many tell it from others."""
OF_NAME_FREE = 5
OF_PLACE_FREE = 30
"""A ward's computers may all have the old password of one team."""
FIRST_S = 0.5
OF_NAME_S_MAX = 15.0
OF_PLACE_S_MAX = 5.0
"""Others behind that address come in with this delay at most."""


class Knocks:
    """Of one door in one process. `sleep` is a test's to replace."""

    def __init__(self, clock: Clock, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._sleep = sleep
        self._of_name = Slowdown(clock, free=OF_NAME_FREE, first_s=FIRST_S, max_s=OF_NAME_S_MAX)
        self._of_place = Slowdown(clock, free=OF_PLACE_FREE, first_s=FIRST_S, max_s=OF_PLACE_S_MAX)

    async def wait(self, name: str, place: str) -> None:
        """Before a login is looked at; it counts as wrong until `was_right`."""
        key = _key(name)
        self._of_place.count(place)
        wait_s = self._of_place.wait_s(place)
        if key:  # a certificate or a token may come without: they are not all of one name
            self._of_name.count(key)
            wait_s = max(wait_s, self._of_name.wait_s(key))
        if wait_s > 0:
            await self._sleep(wait_s)

    def was_right(self, name: str, place: str) -> None:
        """The name's failures are forgotten; of the place only this one: a guesser's own login frees nobody."""
        self._of_name.forgive(_key(name))
        self._of_place.uncount(place)


def _key(name: str) -> str:
    return name[:NAME_CHARS_MAX].strip().casefold()
