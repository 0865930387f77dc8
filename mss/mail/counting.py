"""How much passes through this operator, by day, peer and kind? Counted afterwards, from the audit chains.

Nothing is added to the way of a message: the works read what the chains have grown by, once, and keep how far they
are in the transaction of the sums (docs/decisions/0006-indicators.md). A door's refusals, which leave no audit row,
are counted in memory and written once a minute: they are no duty, and a crash may lose a minute of them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime

import structlog

from mss.mail.bell import ALARM_ACT
from mss.mail.contents import Octets
from mss.mail.letters import PARIS
from mss.mail.reception import Peer, PeerJudge, Receipt, Reception
from mss.mail.signs import SignsOfLife
from mss.model.clock import Clock, from_ms
from mss.model.errors import MssError, StorageUnavailable
from mss.model.ids import MailAddress
from mss.model.message import Envelope
from mss.model.verdict import Accept, Later, Verdict
from mss.store import indicators
from mss.store.database import Store
from mss.store.indicators import Act, Ahead, Count
from mss.store.sql import Connection

EVERY_S = 60.0
LANES_AT_ONCE_MAX = 256
ROWS_AT_ONCE_MAX = 500
"""Of one chain in one step; 256 chains are at most a hundred thousand rows, some 30 MB."""
NOBODY = "none"
"""Kind of an address at which nobody is."""
COUNTED = frozenset(
    {
        *("mail.received", "mail.again", "mail.queued", "mail.relayed", "mail.deferred", "mail.failed", "mail.held"),
        *("bridge.filed", "bridge.left", "bridge.held", "bridge.kept-back"),
        *("held.filed", "held.refused", "held.released", "notice.sent", "staff.told", ALARM_ACT),
        *("mail.swept", "body.swept"),
    }
)
BY_PEER = frozenset({"mail.received", "mail.again"})
"""Their actor is the peer; of queued mail the result is the domain that it goes to."""
REFUSED, PUT_OFF = "refused", "put-off"

log = structlog.get_logger("counting")


def day_of(moment: datetime) -> int:
    """20260105: the day in Paris."""
    local = moment.astimezone(PARIS)
    return local.year * 10_000 + local.month * 100 + local.day


class _CountedMeanwhile(MssError):
    """Another process has counted these rows."""


class Counting:
    """Reads the chains. Lives in works, and in the command that shows the sums."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def keep_counting(self) -> None:
        """For as long as the process lives."""
        while True:
            try:
                await self.catch_up()
            except StorageUnavailable as problem:
                log.warning("counting.store-away", error=type(problem).__name__)
            await asyncio.sleep(EVERY_S)

    async def catch_up(self) -> int:
        """Count everything up to now. Returns how many audit rows that was."""
        counted = 0
        while portion := await self._store.read(_portion):
            steps, sums, rows = portion
            try:
                await self._store.write(0, lambda c, steps=steps, sums=sums: _keep(c, steps, sums))  # type: ignore[misc]
            except _CountedMeanwhile:
                continue
            counted += rows
        while await self._store.write(0, indicators.fold):
            continue
        return counted


def _portion(connection: Connection) -> tuple[list[Ahead], dict[Count, int], int] | None:
    """What the next chains have grown by; None when nothing."""
    steps, sums, rows = [], Counter[Count](), 0
    for ahead in indicators.lanes_ahead(connection, LANES_AT_ONCE_MAX):
        acts = indicators.acts(connection, ahead, ROWS_AT_ONCE_MAX)
        if not acts:  # a gap at the end of a chain, which mss audit verify names
            continue
        known = indicators.kinds(connection, ahead.lane, sorted({act.owner for act in acts}))
        sums.update(_count(act, known.get(act.owner, NOBODY)) for act in acts if act.act in COUNTED)
        steps.append(Ahead(ahead.lane, ahead.after, acts[-1].seq))
        rows += len(acts)
    return (steps, dict(sums), rows) if steps else None


def _keep(connection: Connection, steps: list[Ahead], sums: dict[Count, int]) -> None:
    if not indicators.advance(connection, steps):
        raise _CountedMeanwhile
    indicators.add(connection, indicators.FOLDED, sums)


def _count(act: Act, kind: str) -> Count:
    peer = ""
    if act.act in BY_PEER:
        peer = "login" if act.actor.startswith("login:") else act.actor
    elif act.act == "mail.queued":
        peer = act.result
    return Count(day_of(from_ms(act.at_ms)), act.act, peer, kind)


class Tally:
    """Refusals of one door's process, and who wrote today, until they are written."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._counts: Counter[Count] = Counter()
        self.signs = SignsOfLife(store, clock)

    def note(self, peer: str, verdict: Verdict) -> None:
        if not isinstance(verdict, Accept):
            self.turned_away(PUT_OFF if isinstance(verdict, Later) else REFUSED, peer, verdict.reason.value)

    def turned_away(self, what: str, peer: str, reason: str) -> None:
        self._counts[
            Count(day_of(self._clock.now()), what, "login" if peer.startswith("login:") else peer, reason)
        ] += 1

    async def write(self) -> None:
        """What was counted since the last time."""
        await self.signs.write()
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            await self._store.write(0, lambda c: indicators.add(c, 0, counts), lazy=True)
        except StorageUnavailable:
            self._counts += counts

    async def keep_writing(self) -> None:
        """For as long as the process lives."""
        try:
            while True:
                await asyncio.sleep(EVERY_S)
                await self.write()
        finally:
            await self.write()


class CountedReception:
    """A reception whose refusals are counted."""

    def __init__(self, reception: Reception, tally: Tally) -> None:
        self._reception = reception
        self._tally = tally

    async def sender(self, peer: Peer, sender: MailAddress | None) -> Verdict:
        verdict = await self._reception.sender(peer, sender)
        self._tally.note(peer.name, verdict)
        return verdict

    async def recipient(self, peer: Peer, sender: MailAddress | None, recipient: MailAddress) -> Verdict:
        verdict = await self._reception.recipient(peer, sender, recipient)
        self._tally.note(peer.name, verdict)
        return verdict

    async def message(self, peer: Peer, envelope: Envelope, raw: Octets) -> Receipt:
        receipt = await self._reception.message(peer, envelope, raw)
        self._tally.note(peer.name, receipt.verdict)
        if isinstance(receipt.verdict, Accept):
            self._tally.signs.note(envelope.sender)
        return receipt


class CountedJudge:
    """A judge of peers whose refusals are counted; who they are is not always known."""

    def __init__(self, judge: PeerJudge, tally: Tally) -> None:
        self._judge = judge
        self._tally = tally

    async def peer(self, certificate_der: bytes | None, remote_address: str) -> tuple[Peer | None, Verdict]:
        peer, verdict = await self._judge.peer(certificate_der, remote_address)
        self._tally.note("" if peer is None else peer.name, verdict)
        return peer, verdict
