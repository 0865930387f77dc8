"""How does a message to a patient become a document in her record, or a case for a human?

Read, gather, judge; then one transaction: documents, events, the message revealed or not, the answer owed to its
sender, the audit row, the duty done. Whoever runs it again finds the message judged and changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace

import structlog

from mss.bridge import announcing, tally
from mss.bridge.cases import Case, Cases, hides_from_patient, place_in_message
from mss.bridge.explain import EXPLANATIONS, claimed, several_named
from mss.bridge.facts import Already, Deliver, File, Hold, Leave, Replace, Verdict, Withdraw
from mss.bridge.matching import judge
from mss.bridge.outbox import Outbox, Source
from mss.bridge.prepared import Prepared, RecordChanged, Told, inline_bytes, judged, reseal_some
from mss.crypto.keys import PublicKeys
from mss.formats import mdn
from mss.mail import answers
from mss.mail.answers import Answer, Fate
from mss.mail.conversations import Conversations
from mss.mail.delivery import TASK_FILE, TASK_RESEAL
from mss.mail.holding import AGAIN, Explanation, Held, Holder
from mss.mail.ledger import Ledger
from mss.model.clock import Chance, Clock, from_ms, to_ms
from mss.model.document import DocumentEntry
from mss.model.errors import StorageUnavailable
from mss.model.ids import OwnerId, lane_of
from mss.model.verdict import Reason
from mss.record import loose
from mss.record.loose import LooseFile
from mss.record.service import Actor, PreparedDocument, Records
from mss.store import audit, changes, copies, messages, records, schema, sealing, tasks
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.handovers import HandoverAct
from mss.store.ids import new_id
from mss.store.messages import MessageState
from mss.store.records import DocumentRow, HeldState, HeldWhat
from mss.store.sql import Connection
from mss.store.tasks import NewTask, Task
from mss.vault.opener import Opener
from mss.vault.sheets import Gatherer

ACTOR = "bridge"
SENDER_ROLE = "sender"
ATTEMPTS_MAX = 3
"""The record may change between reading and filing; three changes in a row are no accident."""

ORIGINAL_WAIT_MS = 120_000
"""Mail overtakes mail by seconds, by a minute where a peer retries; later the original is not coming."""
ORIGINAL_PAUSE_MS = 10_000
"""How often we look whether it has come."""

log = structlog.get_logger("bridge")


class Filing:
    """The bridge of one works process."""

    def __init__(
        self,
        store: Store,
        opener: Opener,
        public: PublicKeys,
        cases: Cases,
        records: Records,
        conversations: Conversations,
        bus: ChangeBus,
        clock: Clock,
        chance: Chance,
        outbox: Outbox,
        shown_after_days: int = 0,
    ) -> None:
        self._store = store
        self._opener = opener
        self._public = public
        self._cases = cases
        self._records = records
        self._conversations = conversations
        self._bus = bus
        self._clock = clock
        self._chance = chance
        self.patience = announcing.Patience(shown_after_days, clock, chance)
        self._holder = Holder(public, clock, chance)
        self.ledger = Ledger(public.lookup, public.tasks, clock, chance)
        self._gatherer = Gatherer(store, clock, chance)
        self._outbox = outbox

    @property
    def handlers(self) -> Mapping[str, Callable[[Task], Awaitable[None]]]:
        """Kind of a task → who does it."""
        return {TASK_FILE: self.file_message, TASK_RESEAL: self.reseal}

    async def file_message(self, task: Task) -> None:
        """Judge one message and act on the verdict. Raises SandboxIll, SandboxBusy, StorageUnavailable: run again."""
        owner, number = OwnerId(task.owner), int(json.loads(task.payload)["message"])
        waiting = await self._store.look_up(lambda c: messages.one_message(c, owner, number))
        if waiting is None or waiting.state != MessageState.PENDING:
            await self._store.write(lane_of(owner), lambda c: tasks.finish(c, schema.task, owner, [task.id]))
            return
        for _ in range(ATTEMPTS_MAX):
            case = await self._cases.open(owner, number, ACTOR, waiting)
            assert case is not None, "messages are never deleted before they are judged"
            try:
                await self._conclude(case, task)
                return
            except RecordChanged:
                continue
        raise RecordChanged

    async def _conclude(self, case: Case, task: Task) -> None:
        owner, number = case.keys.owner, case.stored.message
        prepared = await self.prepare(case, checked_by_human=False)
        loose_files = await self._prepare_loose(case)

        def act(connection: Connection) -> Verdict | None:
            tasks.finish(connection, schema.task, owner, [task.id])
            current = messages.one_message(connection, owner, number)
            if current is None or current.state != MessageState.PENDING:
                return None
            verdict = judged(self._cases.facts(connection, case), prepared)
            if isinstance(verdict, Hold) and verdict.may_pass and self.may_wait(case):
                tasks.add_task(connection, owner, self.again(task))
                return verdict
            match verdict:
                case Deliver():
                    self.deliver(connection, case, prepared, verdict, ACTOR)
                case Hold():
                    self._hold(connection, case, verdict)
                case Leave():
                    self.leave(connection, case, ACTOR)
                    tally.shown(connection, case, task, self.ledger)
                    self._file_loose(connection, case, loose_files)
            if not isinstance(verdict, Hold):
                for kept in case.announces or ():
                    self.announce(connection, kept, ACTOR)
            tally.judged(connection, case)
            if case.stored.key.scheme == sealing.SCHEME_SEALED:  # most mail comes under a key that is wrapped already
                reseal_some(connection, case.keys)
            return verdict

        verdict = await self._store.write(lane_of(owner), act, size_bytes=inline_bytes(prepared))
        reason = verdict.reason.value if isinstance(verdict, Hold) else ""
        log.info("bridge.judged", message=number, verdict=type(verdict).__name__, reason=reason)
        self._bus.publish(changes.FOLDER, owner)
        self._bus.publish(changes.DUTY if self._outbox.is_idle else changes.TASK)

    def may_wait(self, case: Case) -> bool:
        """Whether the original that it needs may still come."""
        return to_ms(self._clock.now()) - case.stored.received_ms < ORIGINAL_WAIT_MS

    def again(self, task: Task) -> NewTask:
        """The same duty, a little later."""
        due_ms = to_ms(self._clock.now()) + ORIGINAL_PAUSE_MS
        return NewTask(new_id(self._clock, self._chance), task.kind, task.payload, due_ms)

    async def _prepare_loose(self, case: Case) -> list[PreparedDocument]:
        """Files without archive, where the house files those of a patient's address (`bridge.loose`)."""
        stored, at = case.stored, from_ms(case.stored.received_ms)
        files = [
            LooseFile(stored.message, part.path, part.name, part.media_type, part.content, case.sender_name, at)
            for part in case.reading.loose
        ]
        nothing: frozenset[str] = frozenset()
        return [
            await self._records.prepare(case.keys, loose.entry_of(file), file.content, stored.message, nothing)
            for file in files
        ]

    def _file_loose(self, connection: Connection, case: Case, prepared: list[PreparedDocument]) -> None:
        """After `leave`, in the transaction that shows the message for the first time."""
        for made in prepared:
            self._records.file(connection, case.keys, made, Actor(case.sender_name, SENDER_ROLE))
        if prepared:
            self.note(connection, case, "bridge.filed-loose", ACTOR, case.stored.message, str(len(prepared)))

    # Shared with triage

    async def prepare(self, case: Case, *, checked_by_human: bool) -> Prepared | None:
        """Seal the documents of a message that, as things stand, will be filed; None when it will not."""
        asked = await self._store.look_up(lambda c: self._cases.facts(c, case, checked_by_human=checked_by_human))
        verdict = judge(asked)
        if not isinstance(verdict, Deliver):
            return None
        made: list[PreparedDocument | None] = []
        for document, step, hashed in zip(case.reading.documents, verdict.steps, case.content_hmacs, strict=True):
            if isinstance(step, Already | Withdraw):
                made.append(None)
                continue
            made.append(
                await self._records.prepare(
                    case.keys,
                    document.entry,
                    document.content,
                    case.own_message,
                    verdict.visibility,
                    case.sent_by,
                    case.fed,
                    hashed,
                )
            )
        return Prepared(tuple(made), verdict.visibility, asked, verdict)

    def deliver(
        self,
        connection: Connection,
        case: Case,
        prepared: Prepared | None,
        verdict: Deliver,
        actor: str,
        *,
        answers: bool = True,
    ) -> None:
        """File every document and reveal the message, or keep it back. Raises RecordChanged. Without `answers` the
        caller tells the sender."""
        told = self.file_documents(connection, case, prepared, verdict)
        number = case.stored.message
        if verdict.takes_back:
            messages.set_state(connection, case.keys.owner, number, MessageState.OBEYED)
            answer = Answer(number, Fate.WITHDRAWN, None, told)
            self.note(connection, case, "bridge.withdrawn", actor, number, str(len(told)))
        elif verdict.keeps_back:
            messages.set_state(connection, case.keys.owner, number, MessageState.KEPT_BACK)
            hold = Hold(Reason.KEPT_BACK_UNTIL_ANNOUNCED)
            self.wait(connection, case, hold, HeldState.KEPT_BACK)
            told = tuple((title, Fate.KEPT_BACK) for title, _ in told)
            why = announcing.instruction(case.message_id, self.patience.until)
            answer = Answer(number, Fate.KEPT_BACK, hold.reason, told, why=why)
            self.note(connection, case, "bridge.kept-back", actor, number, str(len(told)))
        else:
            self._conversations.reveal(connection, case.keys, case.stored, case.structure)
            answer = Answer(number, Fate.FILED, None, told)
            self.note(connection, case, "bridge.filed", actor, number, str(len(told)))
        if answers:
            self.owe(connection, case.keys.owner, replace(answer, is_first=actor == ACTOR))

    def leave(self, connection: Connection, case: Case, actor: str, *, answers: bool = True) -> None:
        """Nothing for the record: show the message. A sender who was told that it is held hears that it is not."""
        number = case.stored.message
        self._conversations.reveal(connection, case.keys, case.stored, case.structure)
        if answers and actor != ACTOR:
            self.owe(connection, case.keys.owner, Answer(number, Fate.SHOWN, is_first=False))
        self.note(connection, case, "bridge.left", actor, number)

    def announce(self, connection: Connection, kept: Case, actor: str) -> int:
        """The patient knows: its hidden documents are hers, and its message is shown. Returns how many documents."""
        owner, number = kept.keys.owner, kept.stored.message
        held = records.held_of_message(connection, owner, number)
        now_ms = to_ms(self._clock.now())
        if held is None or not records.decide_held(connection, owner, held.id, HeldState.RELEASED, now_ms):
            return 0
        hidden = [row for row in self._cases.rows(connection, kept) if hides_from_patient(row)]
        for row in hidden:
            self.announce_document(connection, kept, row)
        self._conversations.reveal(connection, kept.keys, kept.stored, kept.structure)
        told = tuple((document.entry.title, Fate.ANNOUNCED) for document in kept.reading.documents)
        self.owe(connection, owner, Answer(number, Fate.ANNOUNCED, None, told, is_first=False))
        self.note(connection, kept, "bridge.announced", actor, number, str(len(hidden)))
        return len(hidden)

    def announce_document(self, connection: Connection, kept: Case, row: DocumentRow) -> None:
        """A hidden document of a message that was kept back is the patient's from now on."""
        self._records.announce(connection, kept.keys, row, Actor(kept.sender_name, SENDER_ROLE))
        self._outbox.changed(connection, kept.keys.owner, self._source(kept), HandoverAct.ANNOUNCE, row.document)

    def file_documents(self, connection: Connection, case: Case, prepared: Prepared | None, verdict: Deliver) -> Told:
        """The steps: first every document, then what supersedes what. Raises RecordChanged."""
        if prepared is None or prepared.visibility != verdict.visibility:
            raise RecordChanged
        actor = Actor(case.sender_name, SENDER_ROLE)
        told: list[tuple[str, Fate]] = []
        superseded: list[tuple[int, int]] = []
        fresh: dict[int, DocumentEntry] = {}
        for document, made, step in zip(case.reading.documents, prepared.documents, verdict.steps, strict=True):
            title = document.entry.title
            if isinstance(step, Already | Withdraw):
                if case.own_message:
                    copies.note(connection, case.keys.owner, case.own_message, step.number)
                if isinstance(step, Withdraw):
                    self._records.withdraw(connection, case.keys, step.number, actor)
                    source = self._source(case)
                    self._outbox.changed(connection, case.keys.owner, source, HandoverAct.WITHDRAW, step.number)
                told.append((title, Fate.ALREADY if isinstance(step, Already) else Fate.WITHDRAWN))
                continue
            if made is None:
                raise RecordChanged
            self._records.file(connection, case.keys, made, actor)
            new = made.row.document
            if isinstance(step, Replace):
                superseded.append((step.old, new))
            elif step.newer:
                superseded.append((new, step.newer))  # history: software that has the newer one is not given it
            if not (isinstance(step, File) and step.newer):
                fresh[new] = document.entry
            told.append((title, Fate.REPLACED if isinstance(step, Replace) else Fate.FILED))
        tally.filed(connection, case, [at for at, made in enumerate(prepared.documents) if made])
        replaced: dict[int, int] = {}
        for old, new in superseded:
            place = prepared.documents[place_in_message(old)] if old < 0 else None
            replaced[new] = place.row.document if place else old
            self._records.replace(connection, case.keys, replaced[new], new, actor)
        self._hand_on(connection, case, fresh, replaced)
        return tuple(told)

    def _hand_on(
        self, connection: Connection, case: Case, fresh: dict[int, DocumentEntry], replaced: dict[int, int]
    ) -> None:
        """Owe what is new to the hospital's own software, each version after the one that it replaces."""
        if self._outbox.is_idle:
            return
        source = self._source(case)

        def steps(number: int) -> int:
            before, count = replaced.get(number, 0), 0
            while before in fresh and count < len(fresh):
                before, count = replaced.get(before, 0), count + 1
            return count

        for number in sorted(fresh, key=steps):
            old = replaced.get(number, 0)
            owner, entry = case.keys.owner, fresh[number]
            self._outbox.filed(connection, owner, source, number, entry, replaces=old, moved=case.moved)

    def _source(self, case: Case) -> Source:
        hashed = self._public.lookup.message_id(case.message_id)
        return Source(case.mailbox_owner, case.stored.message, hashed, case.box or f"@{self._cases.domain}")

    def _hold(self, connection: Connection, case: Case, hold: Hold) -> None:
        """Nothing becomes visible; staff see why, the sender is told."""
        number = case.stored.message
        messages.set_state(connection, case.keys.owner, number, MessageState.HELD)
        told = tuple((document.entry.title, Fate.HELD) for document in case.reading.documents)
        self.wait(connection, case, hold, HeldState.WAITING, told)
        self.owe(connection, case.keys.owner, Answer(number, Fate.HELD, hold.reason, told))
        self.note(connection, case, "bridge.held", ACTOR, number, hold.reason)

    def wait(self, connection: Connection, case: Case, hold: Hold, state: HeldState, told: Told = ()) -> None:
        """For a human, or for its author's announcement: one row of the mailbox to which it came."""
        number, hashed = case.stored.message, self._public.lookup.message_id(case.message_id)
        code = mdn.CODES.get(hold.reason, mdn.ErrorCode.OTHER) if state is HeldState.WAITING else 0
        if case.feed is None:
            held = Held(case.keys.owner, HeldWhat.MESSAGE, number, hold.reason, self._cases.domain, hashed, code)
        else:
            held = Held(case.feed.owner, HeldWhat.FEED, number, hold.reason, case.feed.address.domain, hashed, code)
        explanation = Explanation(
            explanation=EXPLANATIONS.get(hold.reason, hold.reason.value),
            detail=hold.detail or several_named(case.reading.documents, hold.reason),
            message_id=case.message_id,
            subject=case.subject,
            sender=case.structure.header("From") or "",
            documents=claimed(case.reading.documents),
        )
        self._holder.prepare(held, explanation, told, first=AGAIN, state=state).put(connection)
        if state is HeldState.KEPT_BACK:
            self.patience.owe(connection, held.owner, number)

    def owe(self, connection: Connection, owner: int, answer: Answer) -> None:
        """The duty to answer the sender, in the verdict's transaction."""
        tasks.add_task(connection, owner, answers.owe(answer, self._public.tasks, self._clock, self._chance))

    def note(
        self,
        connection: Connection,
        case: Case,
        act: str,
        actor: str,
        number: int,
        result: str = "",
        *,
        owner: int | None = None,
    ) -> None:
        """The audit row, under the message's own id; by default in the trail of the record's owner."""
        hashed = self._public.lookup.message_id(case.message_id)
        row = audit.Act(self._clock.now(), actor, act, owner or case.keys.owner, number, hashed, result)
        audit.write(connection, [row])

    # Keys

    async def reseal(self, task: Task) -> None:
        """Wrap what is still sealed to an owner's public key under her shelf key."""
        keys = await self._opener.open(OwnerId(task.owner), ACTOR, "reseal")

        def act(connection: Connection) -> int:
            left = reseal_some(connection, keys)
            if not left:
                tasks.finish(connection, schema.task, task.owner, [task.id])
            return left

        while await self._store.write(lane_of(task.owner), act):
            continue
        with suppress(StorageUnavailable):  # the next key that is wrapped brings another try
            await self._gatherer.gather(keys)
