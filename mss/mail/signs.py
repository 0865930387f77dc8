"""Who still writes? The days on which listed addresses sent mail through this operator, and nothing else of it.

In memory until the next minute, then one row an address and a day: no duty, and a crash may lose a minute of them. Only
addresses that a directory lists, which are public; never a patient's, and never to whom, how often or at what hour.
"""

from __future__ import annotations

from mss.directory.extras import LANE, is_listed
from mss.model.clock import Clock, to_ms
from mss.model.errors import StorageUnavailable
from mss.model.ids import MailAddress, matricule_of
from mss.store import addressnotes
from mss.store.database import Store

DAY_MS = 24 * 3600 * 1000
REMEMBERED_MAX = 50_000
"""Addresses of a day, some 5 MB; beyond them one is noted again, which changes nothing."""
WAITING_MAX = 5_000
WRITTEN_AT_ONCE = 100
"""Mail waits while we write: a few milliseconds."""


class SignsOfLife:
    """Of one process."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._day_ms = 0
        self._noted: set[str] = set()
        self._waiting: set[str] = set()

    def note(self, sender: MailAddress | None) -> None:
        """Mail of this sender was taken. Costs nothing but memory."""
        if sender is None or matricule_of(sender) is not None:
            return
        now_ms = to_ms(self._clock.now())
        if (day_ms := now_ms - now_ms % DAY_MS) != self._day_ms or len(self._noted) >= REMEMBERED_MAX:
            self._day_ms, self._noted = day_ms, set()
        if sender.key not in self._noted and len(self._waiting) < WAITING_MAX:
            self._noted.add(sender.key)
            self._waiting.add(sender.key)

    async def write(self) -> None:
        """What was noted since the last time, under today's date."""
        waiting, self._waiting = sorted(self._waiting), set()
        for at in range(0, len(waiting), WRITTEN_AT_ONCE):
            part = waiting[at : at + WRITTEN_AT_ONCE]
            try:
                await self._write(part)
            except StorageUnavailable:
                self._waiting.update(waiting[at:])
                return

    async def _write(self, addresses: list[str]) -> None:
        day_ms = self._day_ms
        listed = await self._store.read(lambda c: [one for one in addresses if is_listed(c, one)])
        if listed:
            await self._store.write(LANE, lambda c: addressnotes.wrote(c, listed, day_ms), lazy=True)
