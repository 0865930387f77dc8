"""What may staff do with mail that has not left? Look, try now, hold, release, take out.

Each act is audited with its actor. Whoever takes mail out says why, and its sender is told so in the same transaction.
Mail that is being sent at this moment is left alone: it could be both delivered and taken out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from mss.formats.dsn import Action, RecipientStatus
from mss.mail.holding import Holder
from mss.mail.queue import QueueTaker
from mss.model.clock import Clock, from_ms, to_ms
from mss.model.errors import BadValue, MssError, NotFound, SealBroken
from mss.model.ids import lane_of, parse_domain
from mss.model.verdict import Reason
from mss.notices.send import ReportDuties
from mss.store import audit, changes, messages, records, schema, tasks
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.records import HeldState, HeldWhat
from mss.store.sql import Connection
from mss.store.tasks import Queued, RowState

WHY_CHARS_MAX = 500


OF_THE_ANTIVIRUS = (Reason.VIRUS_FOUND, Reason.NOT_SCANNED)


class NotNow(MssError):
    """This mail is in a state in which that cannot be done; the text says what can."""


@dataclass(frozen=True, slots=True)
class QueuedView:
    """A row, as staff sees it: ids, times and reasons; nobody's address."""

    id: int
    next_hop: str
    state: str
    attempts: int
    created: datetime
    next_try: datetime
    expires: datetime
    last_reason: str
    delay_told: bool


class QueueDesk:
    """Staff's hand in the queue."""

    def __init__(
        self,
        store: Store,
        taker: QueueTaker,
        duties: ReportDuties,
        holder: Holder,
        staff_domain: str,
        bus: ChangeBus,
        clock: Clock,
        actor: str,
    ) -> None:
        self._store = store
        self._taker = taker
        self._duties = duties
        self._holder = holder
        self._staff_domain = staff_domain
        self._bus = bus
        self._clock = clock
        self._actor = actor

    async def waiting(self) -> list[QueuedView]:
        """Everything that has not left, oldest first."""
        return [_view(row) for row in await self._store.read(tasks.list_queue)]

    async def show(self, number: int) -> tuple[QueuedView, int, int]:
        """One mail, how many recipients it still has, and its octets (0 and 0 when it cannot be opened); the look is
        written down. Raises NotFound."""
        row = await self._row(number)
        await self._store.write(lane_of(row.owner), lambda c: self._note(c, row, "queue.shown", row.last_reason))
        try:
            mail = await self._taker.load(row)
        except (NotFound, SealBroken):
            return _view(row), 0, 0
        return _view(row), len(mail.envelope.recipients), len(mail.raw)

    async def retry(self, number: int) -> None:
        """Try one waiting mail now. Raises NotFound, NotNow."""
        row = await self._row(number)
        if row.state != RowState.WAITING:
            raise NotNow(f"{number} is {row.state}: mss queue release {number} lets it go")
        await self._act(row, "queue.retry", lambda connection: self._now(connection, row, "queue.retry"))

    async def hold(self, number: int) -> None:
        """Keep one mail back until release; staff are reminded of it. Raises NotFound, NotNow."""
        row = await self._row(number)
        if row.state == RowState.HELD:
            raise NotNow(f"{number} is held already: mss held list tells why")
        kept = self._holder.kept_by_staff(row, self._staff_domain)

        def hold(connection: Connection) -> None:
            self._let_go(connection, row)
            _set(connection, row, RowState.HELD, "queue.hold")
            kept.put(connection)

        await self._act(row, "queue.hold", hold)

    async def release(self, number: int) -> None:
        """Let a held or failed mail go again. Raises NotFound, and NotNow for what the antivirus holds."""
        row = await self._row(number)

        def free(connection: Connection) -> None:
            held = records.held_of_message(connection, row.owner, row.id)
            if held is not None and held.state == HeldState.WAITING and held.reason in OF_THE_ANTIVIRUS:
                raise NotNow(
                    f"the antivirus holds {number} ({held.reason}): mss held show {held.id}, then decide there"
                )
            self._let_go(connection, row)
            _set(connection, row, RowState.WAITING, "queue.release")
            self._now(connection, row, "queue.release")

        await self._act(row, "queue.release", free)

    async def flush(self, domain: str) -> int:
        """Try everything that waits for a domain now; how much it is. Raises BadValue. Held mail stays held."""
        hop = parse_domain(domain)
        rows = [row for row in await self._store.read(tasks.list_queue) if row.next_hop == hop]
        flushed = 0
        for row in rows:
            if row.state != RowState.WAITING:
                continue
            try:
                await self._act(row, "queue.flush", lambda c, row=row: self._now(c, row, row.last_reason))  # type: ignore[misc]
            except NotNow:
                continue  # it is being tried
            flushed += 1
        return flushed

    async def drop(self, number: int, why: str) -> bool:
        """Take one mail out for good. Answers whether its sender is told; the null sender is not.

        Raises NotFound, NotNow, BadValue, and SealBroken for mail that cannot be opened: nobody could be told of it.
        """
        if not why.strip() or len(why) > WHY_CHARS_MAX:
            raise BadValue(f"say why in at most {WHY_CHARS_MAX} characters: the sender reads it")
        row = await self._row(number)
        mail = await self._taker.load(row)
        now, reason = self._clock.now(), Reason.DROPPED_BY_STAFF
        statuses = [
            RecipientStatus(str(one), Action.FAILED, "5.3.0", last_attempt=now, reason=reason, note=why.strip())
            for one in mail.envelope.recipients
        ]
        is_told = False

        def take_out(connection: Connection) -> None:
            nonlocal is_told
            if not tasks.finish(connection, schema.queue, row.owner, [row.id]):
                raise NotFound(f"{number} has just left")  # nobody is told that it did not
            self._let_go(connection, row)
            messages.delete_blob(connection, row.owner, row.blob)
            is_told = self._duties.report(connection, mail, statuses)

        await self._act(row, "queue.drop", take_out)
        return is_told

    async def _row(self, number: int) -> Queued:
        row = next((one for one in await self._store.read(tasks.list_queue) if one.id == number), None)
        if row is None:
            raise NotFound(f"{number} is not in the queue")
        return row

    async def _act(self, row: Queued, act: str, work: Callable[[Connection], None]) -> None:
        def write(connection: Connection) -> None:
            if tasks.is_leased(connection, row.owner, row.id, to_ms(self._clock.now())):
                raise NotNow(f"{row.id} is being sent at this moment: try again in some minutes")
            work(connection)
            self._note(connection, row, act, row.next_hop)

        await self._store.write(lane_of(row.owner), write)
        self._bus.publish(changes.TASK)

    def _let_go(self, connection: Connection, row: Queued) -> None:
        """Nobody need be reminded of it any more."""
        records.let_go(connection, row.owner, HeldWhat.OUTGOING, row.id, to_ms(self._clock.now()))

    def _now(self, connection: Connection, row: Queued, reason: str) -> None:
        tasks.put_back(connection, schema.queue, row.owner, row.id, to_ms(self._clock.now()), reason)

    def _note(self, connection: Connection, row: Queued, act: str, result: str) -> None:
        done = audit.Act(self._clock.now(), self._actor, act, row.owner, row.id, row.message_id_hmac, result)
        audit.write(connection, [done])


def _set(connection: Connection, row: Queued, state: RowState, reason: str) -> None:
    tasks.set_row_state(connection, schema.queue, row.owner, row.id, state, reason)


def _view(row: Queued) -> QueuedView:
    return QueuedView(
        id=row.id,
        next_hop=row.next_hop,
        state=row.state,
        attempts=row.attempts,
        created=from_ms(row.created_ms),
        next_try=from_ms(row.next_try_ms),
        expires=from_ms(row.expires_ms),
        last_reason=row.last_reason,
        delay_told=bool(row.delay_told),
    )
