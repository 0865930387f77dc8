"""What follows from a sink's answer? The row's end, and who is told: each in one transaction.

A refusal is held for a human at once; what nobody could be given for a day is held too, and goes on being tried.
Sender and staff are told by the duties of every held thing (mail/holding.py). Whoever was told that a document did not
arrive is told when it does.
"""

from __future__ import annotations

from mss.bridge.dossier import ACTOR, Dossiers
from mss.bridge.sink import NotNow, Refused, Taken
from mss.mail import answers
from mss.mail.answers import Answer, Fate
from mss.mail.holding import AGAIN, CODE_OTHER, FIRST, SENTENCES, Explanation, Held, Holder, PreparedHold
from mss.model.clock import Chance, Clock, to_ms
from mss.model.ids import lane_of
from mss.model.verdict import Reason
from mss.model.workdays import working_hours_before
from mss.store import audit, changes, handovers, records, tasks
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.handovers import Handover, HandoverState
from mss.store.records import HeldWhat
from mss.store.sql import Connection

HELD_AT_ONCE_MAX = 200


class Settling:
    """Writes what became of rows."""

    def __init__(
        self,
        store: Store,
        dossiers: Dossiers,
        holder: Holder,
        tasks_key: bytes,
        staff_domain: str,
        bus: ChangeBus,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._store = store
        self._dossiers = dossiers
        self._holder = holder
        self._tasks_key = tasks_key
        self._staff_domain = staff_domain
        self._bus = bus
        self._clock = clock
        self._chance = chance

    async def taken(self, row: Handover, outcome: Taken) -> None:
        """The sink answers for it from now on."""
        title = await self._dossiers.title(row)

        def act(connection: Connection) -> None:
            now_ms = to_ms(self._clock.now())
            if not handovers.settle(connection, row, HandoverState.DONE, outcome.note, now_ms):
                return
            records.let_go(connection, row.owner, HeldWhat.SINK, row.id, now_ms)
            if _was_told(connection, row):
                self.owe(connection, row, Answer(row.message, Fate.INTEGRATED, None, ((title, Fate.INTEGRATED),)))
            note(connection, row, ACTOR, "sink.taken", self._clock, outcome.note)

        await self._store.write(lane_of(row.owner), act)
        self._bus.publish(changes.TASK)

    async def refused(self, row: Handover, outcome: Refused) -> None:
        """A human must look; sender and staff hear of it at once."""
        code = outcome.code or CODE_OTHER
        hold = await self._hold(row, Reason.SINK_REFUSED, outcome.said, code, FIRST)

        def act(connection: Connection) -> None:
            now_ms = to_ms(self._clock.now())
            said = f"{outcome.said} {outcome.code or ''}".strip()
            if not handovers.settle(connection, row, HandoverState.REFUSED, said, now_ms):
                return
            records.let_go(connection, row.owner, HeldWhat.SINK, row.id, now_ms)
            hold.put(connection)
            note(connection, row, ACTOR, "sink.refused", self._clock, said)

        await self._store.write(lane_of(row.owner), act)
        self._bus.publish(changes.TASK)

    async def not_now(self, row: Handover, outcome: NotNow, pause_s: float) -> None:
        """Again later."""
        when_ms = to_ms(self._clock.now()) + int(pause_s * 1000)
        await self._store.write(lane_of(row.owner), lambda c: handovers.put_back(c, row, when_ms, outcome.why))

    async def overdue(self) -> list[Handover]:
        """What has waited for a working day and is not held yet."""
        before_ms = to_ms(working_hours_before(self._clock.now(), AGAIN))
        return await self._store.read(lambda c: handovers.overdue(c, before_ms, HELD_AT_ONCE_MAX))

    async def hold_overdue(self, row: Handover) -> None:
        """Sender and staff are told at 24 and 72 hours; the row goes on being tried."""
        hold = await self._hold(row, Reason.SINK_AWAY, row.last_reason, CODE_OTHER, AGAIN, since_ms=row.created_ms)

        def act(connection: Connection) -> None:
            current = handovers.of(connection, row.owner, row.id)
            is_open = current is not None and current.state in (HandoverState.WAITING, HandoverState.BEHIND)
            if is_open and not records.is_held(connection, row.owner, HeldWhat.SINK, row.id):
                hold.put(connection)
                note(connection, row, ACTOR, "sink.late", self._clock, row.last_reason)

        await self._store.write(lane_of(row.owner), act)
        self._bus.publish(changes.TASK)

    async def _hold(
        self, row: Handover, reason: Reason, detail: str, code: int, first: int, since_ms: int | None = None
    ) -> PreparedHold:
        title = await self._dossiers.title(row)
        domain = await self._dossiers.staff_domain(row) or self._staff_domain
        held = Held(row.owner, HeldWhat.SINK, row.id, reason, domain, row.message_id_hmac, code)
        explanation = Explanation(SENTENCES[reason], f"{row.sink}: {detail}", "", "", "")
        told = ((title, Fate.NOT_INTEGRATED),)
        return self._holder.prepare(held, explanation, told, first=first, since_ms=since_ms)

    async def title(self, row: Handover) -> str:
        """How the document is called, for its sender."""
        return await self._dossiers.title(row)

    def owe(self, connection: Connection, row: Handover, answer: Answer) -> None:
        """The duty to tell the sender, which names its row: one document may be told of after another."""
        told = answers.about(answer, f"{row.id}")
        tasks.add_task(connection, row.box, answers.owe(told, self._tasks_key, self._clock, self._chance))


def _was_told(connection: Connection, row: Handover) -> bool:
    """Whether the sender knows that it did not arrive, by this row or by one of which it took the place."""
    rows = [(row.owner, row.id), *handovers.overtaken_rows(connection, row.sink, row.document)]
    return any("sender" in records.told_about(connection, owner, HeldWhat.SINK, one) for owner, one in rows)


def note(connection: Connection, row: Handover, actor: str, act: str, clock: Clock, result: str) -> None:
    """The audit row: which document, which sink, in the words of codes."""
    told = f"{row.sink} {row.act} {result}".strip()
    audit.write(connection, [audit.Act(clock.now(), actor, act, row.owner, row.document, row.message_id_hmac, told)])
