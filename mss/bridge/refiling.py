"""How does what was taken out reach its record, or come back? A duty of the works, done in steps that may be repeated.

Copy each message into the right mailbox, invisible; ask the judge and file, in one transaction of the right record's
lane; write down here that it is done, and owe the sender his answer. Whoever runs it again finds what stands. When the
judge objects nothing is filed, the copies stay invisible, and staff read why.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

import structlog

from mss.accounts.profiles import Profiles
from mss.bridge.cases import Case, Cases
from mss.bridge.facts import Hold, Leave
from mss.bridge.filing import Filing
from mss.bridge.items import Items
from mss.bridge.matching import judge
from mss.bridge.merging import Merging
from mss.bridge.moving import Mover
from mss.bridge.prepared import Prepared, inline_bytes
from mss.bridge.returning import Returning
from mss.bridge.takeout import Takeout
from mss.mail.answers import Answer, Fate
from mss.model.clock import Clock, to_ms
from mss.model.errors import MssError, NotFound
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.store import audit, changes, corrections, messages, owners, schema, tasks
from mss.store.changes import ChangeBus
from mss.store.corrections import Correction, CorrectionKind, CorrectionState
from mss.store.database import Store
from mss.store.messages import MessageState
from mss.store.sql import Connection
from mss.store.tasks import Task
from mss.vault.opener import Opener, OwnerKeys

TASK_CORRECT = "correct"
"""Do what a correction decided: payload {"correction": number}."""
ACTOR = "corrections"

log = structlog.get_logger("corrections")


class Objection(MssError):
    """The judge objects: nothing is filed."""

    def __init__(self, hold: Hold) -> None:
        super().__init__(hold.reason.value)
        self.hold = hold


@dataclass(frozen=True, slots=True)
class _Step:
    """A message before the judge, with what was sealed for it."""

    case: Case
    prepared: Prepared | None


class Refiling:
    """Does. Lives in works."""

    def __init__(
        self,
        store: Store,
        opener: Opener,
        cases: Cases,
        filing: Filing,
        mover: Mover,
        takeout: Takeout,
        returning: Returning,
        merging: Merging,
        bus: ChangeBus,
        clock: Clock,
    ) -> None:
        self._store = store
        self._opener = opener
        self._cases = cases
        self._filing = filing
        self._mover = mover
        self._takeout = takeout
        self._returning = returning
        self._merging = merging
        self._bus = bus
        self._clock = clock
        self._profiles = Profiles(store)

    @property
    def handlers(self) -> Mapping[str, Callable[[Task], Awaitable[None]]]:
        """Kind of a task → who does it."""
        return {TASK_CORRECT: self.do}

    async def do(self, task: Task) -> None:
        """Bring a correction to its end. Raises SandboxIll, SandboxBusy, StorageUnavailable: run again."""
        number = int(json.loads(task.payload)["correction"])
        row = await self._store.read(lambda c: corrections.correction(c, number))
        assert row is not None, "corrections are never deleted"
        if row.kind == CorrectionKind.UNFILE:
            await self._tell_feeders(row, Fate.UNFILED, row.id)
            await self._end(task)
        elif row.state != CorrectionState.DOING:
            await self._end(task)
        elif row.kind == CorrectionKind.REFILE:
            await self._refile(row, task)
        elif row.kind == CorrectionKind.MERGE:
            await self._merging.merge(row, task)
        elif row.kind == CorrectionKind.RETURN:
            before = await self._store.read(lambda c: corrections.correction(c, row.earlier))
            assert before is not None, "corrections are never deleted"
            if before.kind == CorrectionKind.MERGE:
                await self._merging.part(before, row, task)
            else:
                await self._returning.put_back(before, row, task)
        self._bus.publish(changes.TASK)

    async def _end(self, task: Task) -> None:
        await self._store.write(lane_of(task.owner), lambda c: tasks.finish(c, schema.task, task.owner, [task.id]))

    async def _refile(self, row: Correction, task: Task) -> None:
        items, target = Items.from_bytes(row.items), OwnerId(row.other)
        source = await self._opener.open(OwnerId(row.owner), ACTOR, "correct")
        keys = await self._opener.open(target, ACTOR, "correct")
        address = MailAddress.parse((await self._profiles.profile(keys)).address)
        for old, new in items.moves:
            await self._mover.copy(source, old, keys, new, address)
        try:
            made = await self._file(row, items, keys)
        except Objection as objection:
            await self._fail(row, task, items, objection.hold)
            return
        await self._tell_feeders(row, Fate.REFILED, row.id)

        def act(connection: Connection) -> None:
            now_ms = to_ms(self._clock.now())
            tasks.finish(connection, schema.task, row.owner, [task.id])
            done = replace(items, made=made).to_bytes()
            if not corrections.settle(connection, row, CorrectionState.DONE, now_ms, items=done):
                return
            for old, _ in items.moves:
                answer = Answer(old, Fate.REFILED, None, is_first=False, cause=f"{row.id}")
                self._takeout.owe(connection, row.owner, answer)
            self._note(connection, row, "record.refiled", row.owner, row.id, f"{len(made)}")

        await self._store.write(lane_of(row.owner), act)
        log.info("correction.done", correction=row.id, documents=len(made))
        self._bus.publish(changes.FOLDER, target)

    async def _file(self, row: Correction, items: Items, keys: OwnerKeys) -> tuple[int, ...]:
        """Everything into the right record, or nothing. Answers the documents that it brought there."""
        steps = [await self._step(case) for case in await self._gather(items, keys)]

        def act(connection: Connection) -> tuple[int, ...]:
            owners.lock(connection, keys.owner)
            for step in steps:
                self._file_one(connection, step, row)
            rows = [self._cases.rows(connection, step.case) for step in steps]
            return tuple(dict.fromkeys(one.document for found in rows for one in found))

        size = sum(inline_bytes(step.prepared) for step in steps)
        return await self._store.write(lane_of(keys.owner), act, size_bytes=size)

    async def _gather(self, items: Items, keys: OwnerKeys) -> list[Case]:
        found = [await self._cases.open(keys.owner, new, ACTOR) for _, new in items.moves]
        for box, message in items.feeds:
            found.append(await self._cases.of_application(OwnerId(box), message, ACTOR, keys.owner))
        if None in found:
            raise NotFound("message")
        return [
            replace(case, corrected=items.corrected, moved=True, announces=None) for case in found if case is not None
        ]

    async def _step(self, case: Case) -> _Step:
        return _Step(case, await self._filing.prepare(case, checked_by_human=True))

    def _file_one(self, connection: Connection, step: _Step, row: Correction) -> None:
        """Raises Objection, RecordChanged: the transaction is undone."""
        case, actor = step.case, row.confirmed_by or row.proposed_by
        if case.feed is None:
            stored = messages.one_message(connection, case.keys.owner, case.stored.message)
            if stored is None or stored.state != MessageState.PENDING:
                return  # an earlier attempt came so far
        verdict = judge(self._cases.facts(connection, case, checked_by_human=True))
        if isinstance(verdict, Hold):
            raise Objection(verdict)
        if isinstance(verdict, Leave):
            if case.feed is None:
                self._filing.leave(connection, case, actor, answers=False)
            return
        if case.feed is None:
            self._filing.deliver(connection, case, step.prepared, verdict, actor, answers=False)
        elif verdict.steps:
            self._filing.file_documents(connection, case, step.prepared, verdict)
        self._note(connection, row, "record.refiled-here", case.keys.owner, case.stored.message, f"{row.id}")

    async def _fail(self, row: Correction, task: Task, items: Items, hold: Hold) -> None:
        """It stays out. The copies are nobody's."""

        def hide(connection: Connection) -> None:
            for _, new in items.moves:
                messages.set_state(connection, row.other, new, MessageState.UNFILED)

        def act(connection: Connection) -> None:
            owners.lock(connection, row.owner)
            tasks.finish(connection, schema.task, row.owner, [task.id])
            told = replace(items, why_not=f"{hold.reason.value} {hold.detail}".strip()).to_bytes()
            if corrections.settle(connection, row, CorrectionState.FAILED, to_ms(self._clock.now()), items=told):
                self._reopen(connection, row)
                if row.about:
                    self._returning.wait_again(connection, row.owner, items)
                self._note(connection, row, "record.refile-failed", row.owner, row.id, hold.reason.value)

        await self._store.write(lane_of(row.other), hide)
        await self._store.write(lane_of(row.owner), act)
        log.error("correction.failed", correction=row.id, reason=hold.reason.value)

    def _reopen(self, connection: Connection, row: Correction) -> None:
        """What was taken out waits for its record again."""
        before = corrections.correction(connection, row.earlier) if row.earlier else None
        if before is not None and before.state == CorrectionState.ELSEWHERE:
            corrections.settle(connection, before, CorrectionState.OUT, to_ms(self._clock.now()))

    async def _tell_feeders(self, row: Correction, fate: Fate, cause: int) -> None:
        """The senders of mail to application mailboxes, which lies in lanes of its own. Told twice it is one notice:
        its Message-ID follows from the cause."""
        for box, message in Items.from_bytes(row.items).feeds:
            answer = Answer(message, fate, None, is_first=False, cause=f"{cause}")

            def owe(connection: Connection, box: int = box, answer: Answer = answer) -> None:
                self._takeout.owe(connection, box, answer)

            await self._store.write(lane_of(box), owe)

    def _note(self, connection: Connection, row: Correction, act: str, owner: int, number: int, result: str) -> None:
        actor = row.confirmed_by or row.proposed_by
        told = audit.Act(self._clock.now(), actor, act, owner, number, row.message_id_hmac, result)
        audit.write(connection, [told])
