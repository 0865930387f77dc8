"""What becomes of documents that come to an application mailbox? The record that they name, and nobody's inbox.

An application mailbox belongs to no patient: archive and document must name one and the same INS, and a record of this
house with a qualified identity and equal traits. Its mail stays readable by the structure's software whatever the
bridge says. Mail that somebody of the same structure forwards to it is looked into; he is the one who is answered.

The record and the mailbox may live in different lanes, so that two transactions follow each other: first the documents
(a repeat finds them standing), then the answer, the hold and the end of the duty.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from mss.bridge import announcing, tally
from mss.bridge.cases import Case, Cases, hides_from_patient
from mss.bridge.facts import Already, Deliver, Hold, Leave, Verdict
from mss.bridge.filing import ACTOR, ATTEMPTS_MAX, Filing
from mss.bridge.prepared import RecordChanged, Told, inline_bytes, judged
from mss.mail.answers import Answer, Fate, as_told
from mss.mail.delivery import TASK_FEED
from mss.model.clock import Clock, to_ms
from mss.model.ids import OwnerId, lane_of
from mss.model.verdict import Reason
from mss.record.service import Records
from mss.store import changes, fetched, messages, records, schema, tasks
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.records import HeldState, HeldWhat
from mss.store.sql import Connection
from mss.store.tasks import Task

log = structlog.get_logger("bridge")


@dataclass(frozen=True, slots=True)
class Done:
    """A verdict, and what became of each document."""

    verdict: Verdict
    told: Told = ()


class Applications:
    """The bridge of application mailboxes. Lives in works and in commands."""

    def __init__(self, store: Store, cases: Cases, filing: Filing, kept: Records, bus: ChangeBus, clock: Clock) -> None:
        self._store = store
        self._cases = cases
        self._filing = filing
        self._records = kept
        self._bus = bus
        self._clock = clock

    @property
    def handlers(self) -> Mapping[str, Callable[[Task], Awaitable[None]]]:
        """Kind of a task → who does it."""
        return {TASK_FEED: self.feed}

    async def feed(self, task: Task) -> None:
        """Judge one message. Raises SandboxIll, SandboxBusy, StorageUnavailable: run again."""
        owner, number = OwnerId(task.owner), int(json.loads(task.payload)["message"])
        case = await self._cases.of_application(owner, number, ACTOR)
        if case is None:

            def leave(connection: Connection) -> None:
                tasks.finish(connection, schema.task, owner, [task.id])
                fetched.conclude(connection, owner, number, fetched.LEFT)

            await self._store.write(lane_of(owner), leave)
            self._bus.publish(changes.TASK)
            return
        announced = await self._announced(case)
        done = announced or await self.file(case, ACTOR)

        def conclude(connection: Connection) -> None:
            if not tasks.finish(connection, schema.task, owner, [task.id]):
                return
            if isinstance(done.verdict, Hold) and done.verdict.may_pass and self._filing.may_wait(case):
                tasks.add_task(connection, owner, self._filing.again(task))
                return
            self.conclude(connection, case, done, is_first=True)
            if isinstance(done.verdict, Leave):
                tally.shown(connection, case, task, self._filing.ledger)

        await self._store.write(lane_of(owner), conclude)
        reason = done.verdict.reason.value if isinstance(done.verdict, Hold) else ""
        log.info("bridge.fed", message=number, verdict=type(done.verdict).__name__, reason=reason)
        self._bus.publish(changes.FOLDER, case.keys.owner)
        self._bus.publish(changes.TASK)

    async def file(self, case: Case, actor: str, *, checked_by_human: bool = False) -> Done:
        """Put the documents into the record that they name, unless a rule objects. Raises RecordChanged."""
        for _ in range(ATTEMPTS_MAX):
            try:
                return await self._file(case, actor, checked_by_human=checked_by_human)
            except RecordChanged:
                continue
        raise RecordChanged

    async def _file(self, case: Case, actor: str, *, checked_by_human: bool) -> Done:
        prepared = await self._filing.prepare(case, checked_by_human=checked_by_human)

        def act(connection: Connection) -> Done:
            verdict = judged(self._cases.facts(connection, case, checked_by_human=checked_by_human), prepared)
            if not isinstance(verdict, Deliver):
                return Done(verdict)
            told = self._filing.file_documents(connection, case, prepared, verdict)
            new = sum(not isinstance(step, Already) for step in verdict.steps)
            if new:
                self._filing.note(connection, case, "bridge.filed", actor, 0, str(new))
            return Done(verdict, told)

        return await self._store.write(lane_of(case.keys.owner), act, size_bytes=inline_bytes(prepared))

    def conclude(self, connection: Connection, case: Case, done: Done, *, is_first: bool) -> None:
        """The answer that is owed, and what waits for a human or an announcement, in the mailbox's transaction."""
        assert case.feed is not None, "only mail of an application mailbox is concluded here"
        owner, number, told = case.feed.owner, case.stored.message, done.told
        outcomes = {Leave: fetched.LEFT, Hold: fetched.HELD, Deliver: fetched.FILED}
        fetched.conclude(connection, owner, number, outcomes[type(done.verdict)])
        match done.verdict:
            case Leave():
                return
            case Hold() as hold:
                told = tuple((document.entry.title, Fate.HELD) for document in case.reading.documents)
                self._filing.wait(connection, case, hold, HeldState.WAITING, told)
                answer = Answer(number, Fate.HELD, as_told(hold.reason), told)
                self._filing.note(connection, case, "bridge.held", ACTOR, number, hold.reason, owner=owner)
            case Deliver() as deliver if deliver.keeps_back and not deliver.takes_back:
                kept_back = Hold(Reason.KEPT_BACK_UNTIL_ANNOUNCED)
                self._filing.wait(connection, case, kept_back, HeldState.KEPT_BACK)
                told = tuple((title, Fate.KEPT_BACK) for title, _ in told)
                until = self._filing.patience.until
                why = announcing.instruction_to(case.feed.address, case.message_id, until)
                answer = Answer(number, Fate.KEPT_BACK, kept_back.reason, told, is_first, why)
            case Deliver() as deliver:
                fate = Fate.WITHDRAWN if deliver.takes_back else Fate.FILED
                answer = Answer(number, fate, None, told, is_first)
        self._filing.owe(connection, owner, answer)

    # Announcements

    async def _announced(self, case: Case) -> Done | None:
        """What the mail announces is shown; None when it announces nothing. One that fits nothing is held."""
        named = announcing.announced(case.structure)
        if named is None or case.reading.documents:
            return None
        assert case.feed is not None
        shown = 0
        for message_id in named:
            for kept in await self._kept_back(case, message_id):
                shown += await self.release(kept, ACTOR)
        return Done(Leave() if shown else Hold(Reason.ANNOUNCEMENT_UNMATCHED))

    async def _kept_back(self, case: Case, message_id: str) -> list[Case]:
        """Cases kept back of that Message-ID, of the same mailbox that announces."""
        assert case.feed is not None
        owner, hashed = case.feed.owner, self._records.message_id_hmac(message_id)

        def ask(connection: Connection) -> list[int]:
            found = messages.by_message_id(connection, owner, hashed)
            held = [(one.message, records.held_of_message(connection, owner, one.message)) for one in found]
            return [number for number, row in held if row is not None and row.state == HeldState.KEPT_BACK]

        cases = [await self._cases.of_application(owner, one, ACTOR) for one in await self._store.read(ask)]
        return [one for one in cases if one is not None and one.sent_by and one.sent_by == case.sent_by]

    async def release(self, case: Case, actor: str) -> int:
        """The patient knows: the hidden documents of a message kept back are hers. Returns how many messages."""
        assert case.feed is not None
        owner, number = case.feed.owner, case.stored.message

        def show(connection: Connection) -> None:
            for row in self._cases.rows(connection, case):
                if hides_from_patient(row) and row.sent_by_hmac == case.sent_by:
                    self._filing.announce_document(connection, case, row)
                    self._filing.note(connection, case, "bridge.announced", actor, row.document)

        def decide(connection: Connection) -> bool:
            held = records.held_of_message(connection, owner, number)
            now_ms = to_ms(self._clock.now())
            if held is None or held.what != HeldWhat.FEED:
                return False
            if not records.decide_held(connection, owner, held.id, HeldState.RELEASED, now_ms):
                return False
            told = tuple((document.entry.title, Fate.ANNOUNCED) for document in case.reading.documents)
            self._filing.owe(connection, owner, Answer(number, Fate.ANNOUNCED, None, told, is_first=False))
            return True

        await self._store.write(lane_of(case.keys.owner), show)
        return int(await self._store.write(lane_of(owner), decide))
