"""May these bytes be seen by anybody? The antivirus asked before a message is kept, and what follows when it is away.

Asked once, while the bytes are at hand and in clear, before anything is stored or answered. What it finds and what it
could not look at is held, never refused and never dropped (docs/decisions/0005-antivirus.md).
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from mss.mail import clamd
from mss.mail.clamd import ClamdAway, Where
from mss.mail.contents import Contents, Octets
from mss.mail.holding import Doubt
from mss.model.clock import Clock
from mss.model.verdict import Reason

AT_ONCE_MAX = 8
"""clamd's own MaxThreads is 10; more would wait there, where we do not see it."""
REST_S = 10.0
"""After a failure nobody waits for it again so long: a dead daemon must not cost every sender its whole time."""

log = structlog.get_logger("antivirus")


class Screening(Protocol):
    """Something that looks at bytes before people do."""

    @property
    def is_resting(self) -> bool:
        """It was away a moment ago; asking now would only hear so again."""
        ...

    async def doubt(self, octets: Octets) -> Doubt | None:
        """Why nobody may see them yet; None when they are clean, or when no antivirus is configured."""
        ...


class NoScreening:
    """No antivirus here."""

    is_resting = False

    async def doubt(self, octets: Octets) -> Doubt | None:
        return None


class ClamdScreening:
    """clamd, a few scans at a time. Its turn and its scan take `within_s` seconds each at most."""

    def __init__(self, where: Where, within_s: float, clock: Clock) -> None:
        self._where = where
        self._within_s = within_s
        self._clock = clock
        self._room = asyncio.Semaphore(AT_ONCE_MAX)
        self._away_until_s = 0.0

    @property
    def is_resting(self) -> bool:
        return self._clock.monotonic_s() < self._away_until_s

    async def doubt(self, octets: Octets) -> Doubt | None:
        if self.is_resting:
            return Doubt(Reason.NOT_SCANNED, "away")
        try:
            async with asyncio.timeout(self._within_s):
                await self._room.acquire()
        except TimeoutError:
            return Doubt(Reason.NOT_SCANNED, "too many at once")
        try:
            found = await clamd.scan(self._where, Contents.of(octets), self._within_s)
        except ClamdAway as away:
            self._rest(str(away), len(octets))
            return Doubt(Reason.NOT_SCANNED, str(away))
        finally:
            self._room.release()
        if not found:
            return None
        log.warning("antivirus.found", signature=found, octets=len(octets))
        return Doubt(Reason.VIRUS_FOUND, found)

    def _rest(self, why: str, octets: int) -> None:
        """An alarm: whatever comes now is held."""
        log.error("antivirus.away", why=why, octets=octets)
        if "StreamMaxLength" not in why:  # it lives, and others are smaller
            self._away_until_s = self._clock.monotonic_s() + REST_S
