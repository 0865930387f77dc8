"""What does a human do about a held message? List, look, file after checking, or refuse: each written down.

A human may overrule doubts about traits and qualification, never an INS: archive, document and addressee must name
the same one whoever asks. Needs the house's private `held` key.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from mss.bridge.applications import Applications
from mss.bridge.cases import Case, Cases
from mss.bridge.corrections import Corrections, words_of
from mss.bridge.facts import Hold, Identity, Leave
from mss.bridge.filing import Filing
from mss.bridge.matching import TWO_PEOPLE_MAY_SAY_YES, judge
from mss.bridge.reading import ReadDocument
from mss.crypto.keys import PublicKeys
from mss.crypto.seal import KeyPair
from mss.mail.answers import Answer, Fate
from mss.mail.holding import FIRST, Explanation, Holder, Watch, held_context
from mss.mail.quarantine import go_on
from mss.model.clock import Chance, Clock, from_ms, to_ms
from mss.model.errors import MssError, NotFound, SandboxFailed, SealBroken
from mss.model.ids import OwnerId, lane_of
from mss.model.mailbox import MailboxKind
from mss.model.verdict import Reason
from mss.store import audit, changes, messages, owners, records, schema, tasks
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.messages import MessageState
from mss.store.records import HeldRow, HeldState, HeldWhat
from mss.store.sql import Connection
from mss.vault.opener import open_house

ON_THE_WAY = frozenset({Reason.VIRUS_FOUND, Reason.NOT_SCANNED, Reason.KEPT_BY_STAFF, Reason.PARKED})
"""Held before it was judged, or before it left: a human's word lets it go on, and nothing is filed by that."""


class NotDecidable(MssError):
    """Somebody decided before, or it does not wait for a decision (it is kept back until the announcement)."""


class NeedsSecond(MssError):
    """It was proposed: a second, different person must agree. `proposal`: the correction's number."""

    def __init__(self, proposal: int) -> None:
        super().__init__(f"proposed as {proposal}")
        self.proposal = proposal


class NotFileable(MssError):
    """A human's word does not help here. `reason` is the objection that stands."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class HeldItem:
    """A line of `mss held list`. `document`: the title of the first, where one could be read."""

    id: int
    message_id: str
    document: str
    reason: str
    code: int
    held_at: datetime
    told: str = ""
    """Who has been told that it waits, last at `told_at`."""
    told_at: datetime | None = None
    sender: str = ""
    domain: str = ""
    """Of ours, whose staff decide."""
    state: str = HeldState.WAITING
    what: str = HeldWhat.MESSAGE


@dataclass(frozen=True, slots=True)
class OpenedItem:
    """One case on the desk. `known`: the addressee as we know her; `documents`: what could be read of the message.
    Both are empty for mail that nobody may open yet (an antivirus that has not looked), or that is no patient's."""

    item: HeldItem
    explanation: Explanation
    known: tuple[Identity, ...] = ()
    documents: tuple[ReadDocument, ...] = ()


class Triage:
    """The staff's counter. Lives in commands and desk."""

    def __init__(
        self,
        store: Store,
        public: PublicKeys,
        held: KeyPair,
        cases: Cases,
        filing: Filing,
        applications: Applications,
        bus: ChangeBus,
        clock: Clock,
        chance: Chance,
        corrections: Corrections | None = None,
    ) -> None:
        """`corrections`: who asks a second person, where the operator wants four eyes."""
        self._corrections = corrections
        self._store = store
        self._public = public
        self._held = held
        self._cases = cases
        self._filing = filing
        self._applications = applications
        self._bus = bus
        self._clock = clock
        self._chance = chance
        self._holder = Holder(public, clock, chance)

    async def held_list(self, state: HeldState = HeldState.WAITING) -> list[HeldItem]:
        """What waits for a human (or, KEPT_BACK, for its sender's announcement), oldest first."""
        rows = await self._store.read(lambda c: records.list_held(c, (state,)))
        return [self._item(row, self._open(row)) for row in rows]

    async def show(self, number: int, actor: str) -> tuple[HeldItem, Explanation]:
        """One case with its facts; the look is written down. Raises NotFound."""
        row = await self._row(number)
        explanation = self._open(row)
        act = self._act(row, actor, "held.shown", row.reason)
        await self._store.write(lane_of(row.owner), lambda c: audit.write(c, [act]))
        return self._item(row, explanation), explanation

    async def open(self, number: int, actor: str) -> OpenedItem:
        """One case with the documents themselves and the addressee as we know her; the look is written down.
        Raises NotFound."""
        item, explanation = await self.show(number, actor)
        row = await self._row(number)
        is_fed = row.what == HeldWhat.FEED
        if row.reason in ON_THE_WAY or not (is_fed or await self._store.read(lambda c: _is_of_a_patient(c, row))):
            return OpenedItem(item, explanation)
        read = self._cases.of_application if is_fed else self._cases.open
        try:
            case = await read(OwnerId(row.owner), row.message, actor)
        except (SandboxFailed, SealBroken):  # what could not be read does not hide why it is here
            case = None
        if case is None:
            return OpenedItem(item, explanation)
        return OpenedItem(item, explanation, case.addressee, case.reading.documents)

    async def handover_of(self, number: int) -> int:
        """The document owed to a hospital's software that such a case is about. Raises NotFound."""
        row = await self._row(number)
        if row.what != HeldWhat.SINK:
            raise NotFound("case of a sink")
        return row.message

    async def domain_of(self, number: int) -> str:
        """Whose staff decide about it. Raises NotFound."""
        return (await self._row(number)).domain

    async def file(self, number: int, actor: str, why: str = "") -> int:
        """Somebody checked: file the documents of that message, or show a message that has none. Returns how many.

        What was held on its way goes on, to the bridge, into the inbox or into the queue (0).

        Raises NotFound, NotDecidable, NotFileable (the objection stands), RecordChanged (try again), NeedsSecond
        (proposed, where four eyes are wanted), NotCorrectable (proposed already), BadValue (it takes two people, and
        `why` says nothing).
        """
        row = await self._waiting(number)
        takes_two = row.reason in TWO_PEOPLE_MAY_SAY_YES
        if takes_two or (self._has_four_eyes and row.reason not in ON_THE_WAY):
            words = words_of(why) if takes_two else "-"
            await self._objection(row, actor)
            if self._corrections is None:
                raise NotFileable(Reason(row.reason), "it takes two people at a desk")
            raise NeedsSecond((await self._corrections.propose_filing(row, actor, words)).id)
        return await self.file_confirmed(number, actor, by_two=False)

    @property
    def _has_four_eyes(self) -> bool:
        return self._corrections is not None and self._corrections.four_eyes

    async def _objection(self, row: HeldRow, actor: str) -> None:
        """What stands against filing by hand too, before anybody is asked to agree. Raises NotFound, NotFileable."""
        read = self._cases.of_application if row.what == HeldWhat.FEED else self._cases.open
        case = await read(OwnerId(row.owner), row.message, actor)
        if case is None:
            raise NotFound("message")
        both = replace(case, checked_by_two=True)
        verdict = await self._store.read(lambda c: judge(self._cases.facts(c, both, checked_by_human=True)))
        if isinstance(verdict, Hold):
            raise NotFileable(verdict.reason, verdict.detail)

    async def file_confirmed(self, number: int, actor: str, *, by_two: bool = True) -> int:
        """The same without asking for a second person: he has agreed (`by_two`), or none is wanted. Raises as
        `file`."""
        row = await self._waiting(number)
        if row.reason in ON_THE_WAY:
            await self._let_go(row, actor)
            return 0
        if row.what == HeldWhat.FEED:
            return await self._file_feed(row, actor, by_two=by_two)
        owner = OwnerId(row.owner)
        case = await self._cases.open(owner, row.message, actor)
        if case is None:
            raise NotFound("message")
        case = replace(case, checked_by_two=by_two)
        prepared = await self._filing.prepare(case, checked_by_human=True)

        def act(connection: Connection) -> int:
            owners.lock(connection, owner)
            verdict = judge(self._cases.facts(connection, case, checked_by_human=True))
            if isinstance(verdict, Hold):
                raise NotFileable(verdict.reason, verdict.detail)
            self._decide(connection, row, HeldState.FILED)
            audit.write(connection, [self._act(row, actor, "held.filed", row.reason)])
            if isinstance(verdict, Leave):
                self._filing.leave(connection, case, actor)
                return 0
            self._filing.deliver(connection, case, prepared, verdict, actor)
            return len(verdict.steps)

        filed = await self._store.write(lane_of(owner), act)
        self._tell(owner)
        return filed

    async def _file_feed(self, row: HeldRow, actor: str, *, by_two: bool) -> int:
        case = replace(await self._fed(row, actor), checked_by_two=by_two)
        done = await self._applications.file(case, actor, checked_by_human=True)
        if isinstance(done.verdict, Hold):
            raise NotFileable(done.verdict.reason, done.verdict.detail)
        if isinstance(done.verdict, Leave):
            raise NotFileable(Reason.LOOSE_DOCUMENT, "no patient is named: refuse it, its sender sends it again")

        def act(connection: Connection) -> None:
            self._decide(connection, row, HeldState.FILED)
            audit.write(connection, [self._act(row, actor, "held.filed", row.reason)])
            self._applications.conclude(connection, case, done, is_first=False)

        await self._store.write(lane_of(row.owner), act)
        self._tell(row.owner)
        self._bus.publish(changes.FOLDER, case.keys.owner)
        return len(done.told)

    async def _fed(self, row: HeldRow, actor: str) -> Case:
        case = await self._cases.of_application(OwnerId(row.owner), row.message, actor)
        if case is None:
            raise NotFound("message of an application mailbox that feeds records")
        return case

    async def reject(self, number: int, actor: str, why: str) -> None:
        """Refuse for good; the sender is told `why`. Raises NotFound, NotDecidable."""
        row = await self._waiting(number)
        if row.what != HeldWhat.FEED and not await self._store.read(lambda c: _is_of_a_patient(c, row)):
            await self._refuse(row, actor, why)
            return
        explanation = self._open(row)
        told = tuple((document.title, Fate.REFUSED) for document in explanation.documents)
        answer = Answer(row.message, Fate.REFUSED, Reason.REFUSED_BY_STAFF, told, is_first=False, why=why)

        def act(connection: Connection) -> None:
            self._decide(connection, row, HeldState.REFUSED)
            if row.what == HeldWhat.MESSAGE:
                messages.set_state(connection, row.owner, row.message, MessageState.REFUSED)
            self._filing.owe(connection, row.owner, answer)
            audit.write(connection, [self._act(row, actor, "held.refused", row.reason)])

        await self._store.write(lane_of(row.owner), act)
        self._tell(row.owner)

    async def _let_go(self, row: HeldRow, actor: str) -> None:
        known = self._open(row)

        def act(connection: Connection) -> None:
            self._decide(connection, row, HeldState.RELEASED)
            go_on(connection, row, known, self._clock, self._chance)
            audit.write(connection, [self._act(row, actor, "held.released", row.reason)])

        await self._store.write(lane_of(row.owner), act)
        self._tell(row.owner)

    async def _refuse(self, row: HeldRow, actor: str, why: str) -> None:
        """Mail to a professional or to another operator: its sender reads a delivery status (notices/watch.py)."""
        watch = Watch(row.id, Reason.REFUSED_BY_STAFF, FIRST, ((why, Fate.REFUSED),))
        duty = self._holder.watch(watch, to_ms(self._clock.now()))

        def act(connection: Connection) -> None:
            self._decide(connection, row, HeldState.REFUSED)
            if row.what == HeldWhat.MESSAGE:
                messages.set_state(connection, row.owner, row.message, MessageState.REFUSED)
            tasks.finish(connection, schema.task, row.owner, [row.id])  # nobody is told that it was delivered
            tasks.add_task(connection, row.owner, duty)
            audit.write(connection, [self._act(row, actor, "held.refused", row.reason)])

        await self._store.write(lane_of(row.owner), act)
        self._tell(row.owner)

    async def release(self, number: int, actor: str) -> int:
        """The patient knows: show what was kept back until its announcement. Returns how many documents.

        Raises NotFound, NotDecidable.
        """
        row = await self._row(number)
        if row.state != HeldState.KEPT_BACK:
            raise NotDecidable(row.state)
        if row.what == HeldWhat.FEED:
            return await self._applications.release(await self._fed(row, actor), actor)
        owner = OwnerId(row.owner)
        case = await self._cases.open(owner, row.message, actor)
        if case is None:
            raise NotFound("message")

        def act(connection: Connection) -> int:
            current = records.held(connection, row.id)
            if current is None or current.state != HeldState.KEPT_BACK:
                raise NotDecidable("decided in the meantime")
            return self._filing.announce(connection, case, actor)

        shown = await self._store.write(lane_of(owner), act)
        self._tell(owner)
        return shown

    async def _row(self, number: int) -> HeldRow:
        row = await self._store.read(lambda c: records.held(c, number))
        if row is None:
            raise NotFound("held item")
        return row

    async def _waiting(self, number: int) -> HeldRow:
        row = await self._row(number)
        if row.state != HeldState.WAITING:
            raise NotDecidable(row.state)
        if row.what == HeldWhat.SINK:
            raise NotDecidable(f"it waits for a hospital's software: mss sink retry {row.message}, or drop")
        return row

    def _decide(self, connection: Connection, row: HeldRow, state: HeldState) -> None:
        if not records.decide_held(connection, row.owner, row.id, state, to_ms(self._clock.now())):
            raise NotDecidable("decided in the meantime")

    def _open(self, row: HeldRow) -> Explanation:
        return Explanation.from_bytes(open_house(self._held, row.detail_sealed, held_context(row.id)))

    def _item(self, row: HeldRow, explanation: Explanation) -> HeldItem:
        document = explanation.documents[0] if explanation.documents else None
        title = (document.title or document.unique_id) if document else ""
        told_at = from_ms(row.told_ms) if row.told_ms else None
        at = from_ms(row.held_ms)
        return HeldItem(
            id=row.id,
            message_id=explanation.message_id,
            document=title,
            reason=row.reason,
            code=row.code,
            held_at=at,
            told=row.told,
            told_at=told_at,
            sender=explanation.sender,
            domain=row.domain,
            state=row.state,
            what=row.what,
        )

    def _act(self, row: HeldRow, actor: str, act: str, result: str) -> audit.Act:
        return audit.Act(self._clock.now(), actor, act, row.owner, row.message, row.message_id_hmac, result)

    def _tell(self, owner: int) -> None:
        self._bus.publish(changes.FOLDER, owner)
        self._bus.publish(changes.TASK)


def _is_of_a_patient(connection: Connection, row: HeldRow) -> bool:
    box = owners.mailbox(connection, row.owner)
    return row.what == HeldWhat.MESSAGE and box is not None and box.kind is MailboxKind.PATIENT
