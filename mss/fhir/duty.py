"""Who brings our changes to the national directory, and sees to it every night that it says what we say?

A row whose newest version is not there yet is late, and is the duty itself: nothing can be lost between the two. It is
done once in effect, however often it is begun, because the directory is asked before it is told. What it refuses waits
for a human; while it is away, rows come back later and later.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass

import structlog

from mss.crypto import seal
from mss.crypto.seal import KeyPair
from mss.directory.ours import OwnMailboxes, seal_context
from mss.directory.own import Own, from_text
from mss.directory.ownfacts import NOBODY
from mss.fhir.telling import Done, NotNow, Outcome, Refused, Speaks
from mss.model.clock import Clock, to_ms
from mss.model.errors import MssError, SealBroken
from mss.model.mailbox import MailboxKind
from mss.store import audit, ownmailboxes
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.ownmailboxes import NEVER, OwnRow
from mss.store.sql import Connection

LANE = 0
POLL_S = 5.0
"""Whoever changes something tells nobody that it is late; the store is asked this often."""
ROWS_AT_ONCE = 50
RETRY_FIRST_S, RETRY_MAX_S = 30.0, 3600.0
"""A directory that restarts is found soon; one that is away for days is asked every hour."""
REST_S = 20.0
"""After no answer the others need not try at once."""
BRING_S_MAX = 200.0
"""Ask and tell in a handful of requests: what takes longer hangs."""
REPAIRED_ALWAYS = 3
"""So few differences are repaired whatever share they are."""
REFUSED, LATER = "refused", "later"
"""How a problem begins: a human must look, or it is tried again by itself."""

log = structlog.get_logger("directory")


def retry_after_s(tries: int) -> float:
    """Pause after so many attempts that came to nothing before this one: 30 s doubling to an hour."""
    return min(RETRY_FIRST_S * 2.0 ** min(max(0, tries), 10), RETRY_MAX_S)


@dataclass(frozen=True, slots=True)
class Looked:
    """What a night's look found. `stopped`: why nothing, or not everything, was done; empty: all was."""

    asked: int
    differing: int
    repaired: int
    stopped: str = ""


class Publication:
    """Lives in works; commands borrow it. `publisher` None: the settings name no directory, and rows stay late."""

    def __init__(self, store: Store, ours: OwnMailboxes, publisher: Speaks | None, pair: KeyPair, clock: Clock) -> None:
        self._store = store
        self._ours = ours
        self._publisher = publisher
        self._pair = pair
        self._clock = clock
        self._rests_until_s = float("-inf")

    async def run(self, bus: ChangeBus) -> None:
        """Work until cancelled: derive again after imports, and bring what is late."""
        awake = asyncio.Event()
        bus.on_task(awake.set)
        try:
            while True:
                awake.clear()
                try:
                    await self._ours.refresh_late()
                    if await self.round():
                        continue
                except MssError as problem:
                    log.warning("directory.store-away", error=type(problem).__name__)
                await self.close()
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await awake.wait()
        finally:
            await self.close()

    async def close(self) -> None:
        """End what is open with the directory."""
        if self._publisher is not None:
            await self._publisher.close()

    # ── one change ──

    async def round(self) -> int:
        """Bring what is late, the oldest change first, until the directory does not answer. Returns how many it was.

        Raises StorageUnavailable.
        """
        if self._publisher is None or self._clock.monotonic_s() < self._rests_until_s:
            return 0
        now_ms = to_ms(self._clock.now())
        settled = 0
        for row in await self._store.read(lambda c: ownmailboxes.late(c, now_ms, ROWS_AT_ONCE)):
            outcome = await self._one(row)
            if isinstance(outcome, NotNow):
                self._rests_until_s = self._clock.monotonic_s() + REST_S
                break
            settled += 1
        return settled

    async def _one(self, row: OwnRow) -> Outcome:
        own = self._own(row)
        if own is None:
            outcome: Outcome = Refused(0, "what was sealed of it does not open")
        else:
            outcome = await self._bring(own, is_shown=row.is_shown)
        await self._settle(row, own, outcome)
        return outcome

    def _own(self, row: OwnRow) -> Own | None:
        """What the row says, or, of the red list, its sealed part: only where it stands."""
        if row.text:
            return from_text(row.text)
        try:
            address, kind = json.loads(seal.open_sealed(self._pair, row.sealed, seal_context(row.hmac)))
        except (SealBroken, ValueError):
            return None
        return Own(address, MailboxKind(kind))

    async def _bring(self, own: Own, *, is_shown: bool) -> Outcome:
        assert self._publisher is not None
        try:
            async with asyncio.timeout(BRING_S_MAX):
                return await self._publisher.bring(own, is_shown=is_shown)
        except TimeoutError:
            await self._publisher.close()
            return NotNow("no answer in time")

    async def _settle(self, row: OwnRow, own: Own | None, outcome: Outcome) -> None:
        name, now_ms = row.hmac.hex()[:12], to_ms(self._clock.now())
        pause_ms = int(retry_after_s(row.tries) * 1000)
        match outcome:
            case Done():
                await self._store.write(LANE, lambda c: self._done(c, row, own, outcome.sent))
                log.info("directory.published", mailbox=name, sent=outcome.sent)
            case Refused():
                # What is to be taken back of the red list is tried on: nobody else knows of it.
                next_ms = now_ms + int(RETRY_MAX_S * 1000) if row.is_unlisted and own is not None else NEVER
                await self._trouble(row, f"{REFUSED}: {outcome.why}", next_ms)
                log.error("directory.publish-refused", mailbox=name, status=outcome.status, why=outcome.why)
            case NotNow():
                await self._trouble(row, f"{LATER}: {outcome.why}", now_ms + pause_ms)
                log.warning("directory.publish-later", mailbox=name, why=outcome.why, tries=row.tries + 1)

    def _done(self, connection: Connection, row: OwnRow, own: Own | None, sent: int) -> None:
        """What has changed meanwhile is looked at again, also when it was brought already: this may have come after."""
        current = ownmailboxes.one(connection, row.hmac, locks=True)
        if current is not None and current.version == row.version:
            ownmailboxes.published(connection, row.hmac, row.version)
        elif current is not None:
            ownmailboxes.unpublished(connection, row.hmac)
            if current.is_unlisted and not current.sealed and own is not None:
                ownmailboxes.seal_again(connection, row.hmac, self._ours.sealed(own, row.hmac))
        if sent:
            act = audit.Act(self._clock.now(), "works", "own.published", NOBODY, row.version, result=str(sent))
            audit.write(connection, [act])

    async def _trouble(self, row: OwnRow, why: str, next_ms: int) -> None:
        now = self._clock.now()

        def act(connection: Connection) -> None:
            current = ownmailboxes.one(connection, row.hmac, locks=True)
            if current is None or current.version != row.version:
                return  # there is something newer to be brought
            ownmailboxes.troubled(connection, row.hmac, why, to_ms(now), next_ms)
            if why.startswith(REFUSED) and row.problem != why:
                audit.write(connection, [audit.Act(now, "works", "own.refused", NOBODY, row.version, result=why)])

        await self._store.write(LANE, act)

    # ── all of them ──

    async def bring_forward(self) -> int:
        """Whatever is not published is tried now, also what was refused. Returns how many."""
        self._rests_until_s = float("-inf")
        return await self._store.write(LANE, ownmailboxes.bring_forward)

    async def reconcile(self, share_max: float, *, accepts: bool = False) -> Looked:
        """Ask for each mailbox what the directory says; where it says otherwise the row is late again. Nothing is, when
        that would be more than `share_max` of them at once, unless somebody `accepts`."""
        assert self._publisher is not None
        asked, differing = 0, list[OwnRow]()
        async for one in self._ours.all():
            if one.own is None or not one.row.is_published:
                continue  # not to be asked for, or late already
            same = await self._publisher.compare(one.own, is_shown=one.row.is_shown)
            if isinstance(same, NotNow):
                await self._publisher.close()
                return Looked(asked, len(differing), 0, f"{LATER}: {same.why}")
            asked += 1
            if not same:
                differing.append(one.row)
                log.warning("directory.differs", mailbox=one.row.hmac.hex()[:12])
        await self._publisher.close()
        if len(differing) > max(REPAIRED_ALWAYS, asked * share_max) and not accepts:
            why = f"{len(differing)} of {asked} mailboxes differ there: mss directory publish --reconcile --accept"
            log.error("directory.reconcile-stopped", asked=asked, differing=len(differing))
            return Looked(asked, len(differing), 0, why)
        for row in differing:
            await self._again(row)
        log.info("directory.reconciled", asked=asked, differing=len(differing))
        return Looked(asked, len(differing), len(differing))

    async def _again(self, seen: OwnRow) -> None:
        def act(connection: Connection) -> None:
            row = ownmailboxes.one(connection, seen.hmac, locks=True)
            if row is not None and row.version == seen.version:
                ownmailboxes.unpublished(connection, row.hmac)

        await self._store.write(LANE, act)
