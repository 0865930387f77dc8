"""How do documents reach a hospital's own software? In order for each patient, again and again, each once in effect.

One loop for each sink, so that one that is slow or away keeps nobody else waiting. A row is leased, opened, handed
over and settled; a crash in between repeats a message that its receiver knows by its number. A sink that is away is
probed by one row; no row expires. docs/decisions/0009-sinks.md says what the answers mean.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from mss.bridge.dossier import Dossiers
from mss.bridge.settling import Settling
from mss.bridge.sink import NotNow, Outcome, Refused, Sink, Taken
from mss.model.clock import Clock, to_ms
from mss.model.errors import NotFound, SealBroken, StorageUnavailable
from mss.model.ids import lane_of
from mss.store import handovers
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.handovers import Handover

LEASE_S = 240
"""Longer than a handing over may take; a worker that dies frees its row after this."""
HAND_OVER_S = 180.0
"""Connect, send 50 MB, wait for two answers: what takes longer hangs."""
ROWS_AT_ONCE_MAX = 50
POLL_S = 2.0
"""Filing tells nobody that something is owed; the store is asked this often."""
RETRY_FIRST_S = 5.0
RETRY_MAX_S = 600.0
"""A record that restarts is found soon; one that is away for the night is asked every ten minutes."""

log = structlog.get_logger("sinks")


def retry_after_s(attempts: int) -> float:
    """Pause after a failed attempt: 5 s doubling to 10 minutes."""
    return min(RETRY_FIRST_S * 2.0 ** min(max(0, attempts - 1), 10), RETRY_MAX_S)


class SinkWorker:
    """Brings one sink what it is owed. Lives in works."""

    def __init__(
        self, sink: Sink, store: Store, dossiers: Dossiers, settling: Settling, clock: Clock, worker: str
    ) -> None:
        self._sink = sink
        self._store = store
        self._dossiers = dossiers
        self._settling = settling
        self._clock = clock
        self._worker = worker
        self._failures = 0
        self._rests_until_ms = 0

    async def run(self, bus: ChangeBus) -> None:
        """Work until cancelled."""
        awake = asyncio.Event()
        bus.on_task(awake.set)
        try:
            while True:
                awake.clear()
                try:
                    settled = await self.round()
                except StorageUnavailable as problem:
                    log.warning("sink.store-away", sink=self._sink.name, error=type(problem).__name__)
                    settled = 0
                if settled:
                    continue
                await self._sink.close()
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await awake.wait()
        finally:
            await self._sink.close()

    async def round(self) -> int:
        """Hand over what is first in line. Returns how many rows were settled."""
        now_ms = to_ms(self._clock.now())
        if self._rests_until_ms - int(RETRY_MAX_S * 1000) <= now_ms < self._rests_until_ms:
            return 0  # a rest that is longer than any was begun before the clock went back
        name = self._sink.name
        rows = await self._store.read(lambda c: handovers.first_in_line(c, name, now_ms, ROWS_AT_ONCE_MAX))
        settled = 0
        for row in rows:
            outcome = await self._one(row)
            if isinstance(outcome, NotNow) and outcome.is_away:
                break
            settled += isinstance(outcome, Taken | Refused)
        return settled

    async def _one(self, row: Handover) -> Outcome | None:
        now_ms = to_ms(self._clock.now())
        until_ms = now_ms + LEASE_S * 1000
        leased = await self._store.write(
            lane_of(row.owner), lambda c: handovers.claim(c, row, self._worker, now_ms, until_ms)
        )
        if leased is None:
            return None
        outcome = await self._handed_over(leased)
        await self._settle(leased, outcome)
        return outcome

    async def _handed_over(self, row: Handover) -> Outcome:
        try:
            dossier = await self._dossiers.open(row)
        except (NotFound, SealBroken) as problem:
            return Refused(0, f"cannot be opened: {type(problem).__name__}")
        if dossier.act is None:
            return Taken("it never had the document")
        try:
            async with asyncio.timeout(HAND_OVER_S):
                return await self._sink.hand_over(dossier)
        except TimeoutError:
            await self._sink.close()
            return NotNow("no answer in time")

    async def _settle(self, row: Handover, outcome: Outcome) -> None:
        name = self._sink.name
        match outcome:
            case Taken():
                self._failures, self._rests_until_ms = 0, 0
                await self._settling.taken(row, outcome)
                log.info("sink.taken", sink=name, row=row.id, note=outcome.note)
            case Refused():
                self._failures, self._rests_until_ms = 0, 0
                await self._settling.refused(row, outcome)
                log.error("sink.refused", sink=name, row=row.id, code=outcome.code, said=outcome.said)
            case NotNow():
                pause_s = retry_after_s(row.attempts)
                if outcome.is_away:
                    self._failures += 1
                    pause_s = retry_after_s(self._failures)
                    self._rests_until_ms = to_ms(self._clock.now()) + int(pause_s * 1000)
                await self._settling.not_now(row, outcome, pause_s)
                log.warning("sink.not-now", sink=name, row=row.id, why=outcome.why, attempts=row.attempts)


class SinkWatch:
    """Sees to it that somebody hears of what has waited for a day, whether its sink is still in the settings or not."""

    LOOK_S = 300.0

    def __init__(self, settling: Settling) -> None:
        self._settling = settling

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            with suppress(StorageUnavailable):
                await self.look()
            await asyncio.sleep(self.LOOK_S)

    async def look(self) -> int:
        """Hold what is overdue and not held yet. Returns how many."""
        rows = await self._settling.overdue()
        for row in rows:
            await self._settling.hold_overdue(row)
        return len(rows)
