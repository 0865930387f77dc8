"""What may staff correct, and who must agree? Take out, put into the right record, put back, join two records.

Taking out needs one person, since it stops harm. What puts something into a record needs a second, different one where
the operator wants four eyes, and always where the document's INS is another's. A proposal that nobody confirms
expires, visibly. The decision is written here, the work is the duty of the works (refiling.py, merging.py).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

from mss.accounts.service import IDENTITY_KIND, identity_from_bytes
from mss.bridge import correcting
from mss.bridge.book import Book, correction_context
from mss.bridge.cases import Cases
from mss.bridge.correcting import Move, No, Yes
from mss.bridge.facts import Hold
from mss.bridge.items import EXPIRES_MS, TASK_EXPIRES, Items, MessageItem
from mss.bridge.matching import judge
from mss.bridge.prepared import RecordChanged
from mss.bridge.refiling import TASK_CORRECT
from mss.bridge.representing import Representing, is_minor
from mss.bridge.scope import Scope, Scopes, closure
from mss.bridge.takeout import Takeout
from mss.crypto import seal
from mss.crypto.keys import PublicKeys
from mss.crypto.seal import KeyPair
from mss.model.clock import Chance, Clock, to_ms
from mss.model.errors import BadValue, MssError, NotFound
from mss.model.ids import OwnerId, lane_of
from mss.model.mailbox import AccountState
from mss.record.service import Records
from mss.store import audit, changes, corrections, messages, owners, patients, records, tasks
from mss.store.changes import ChangeBus
from mss.store.corrections import Correction, CorrectionKind, CorrectionState
from mss.store.database import Store
from mss.store.ids import new_id
from mss.store.messages import MessageState
from mss.store.records import HeldRow, HeldState, HeldWhat
from mss.store.sql import Connection
from mss.store.tasks import NewTask
from mss.vault.opener import Opener

ATTEMPTS_MAX = 3
"""New mail may come while we look; three times in a row is no accident."""
WHY_CHARS_MAX = 500
TASK_SENT_ON = "correction-sent-on"
"""Tell to whom she had sent it: payload {"correction": number, "messages": [number]} (notices/corrected.py)."""
REMINDED_MS = 24 * 3_600_000
"""Of what is out of the wrong record and not in the right one yet."""
OPEN_STATES = frozenset({AccountState.ACTIVE, AccountState.PROVISIONED})


class NotCorrectable(MssError):
    """It may not be. `why` is a key of the doors' sentences, `detail` the judge's reason."""

    def __init__(self, why: str, detail: str = "") -> None:
        super().__init__(f"{why}: {detail}" if detail else why)
        self.why = why


class Corrections:
    """The staff's counter for what is wrong. Lives in commands and desk, and with works for what expires."""

    def __init__(
        self,
        store: Store,
        public: PublicKeys,
        held: KeyPair,
        opener: Opener,
        kept: Records,
        cases: Cases,
        scopes: Scopes,
        takeout: Takeout,
        bus: ChangeBus,
        clock: Clock,
        chance: Chance,
        *,
        four_eyes: bool = False,
    ) -> None:
        self._store = store
        self._public = public
        self.book = Book(store, held, opener, kept, public.lookup, cases.domain, clock)
        self._opener = opener
        self._cases = cases
        self._scopes = scopes
        self._takeout = takeout
        self._bus = bus
        self._clock = clock
        self._chance = chance
        self.four_eyes = four_eyes
        self._representing = Representing(public.held, clock, chance)

    @property
    def domain(self) -> str:
        """Whose staff correct records: the patients' one."""
        return self._cases.domain

    # Taking out

    async def unfile(self, document: int, actor: str, why: str) -> int:
        """Take a document, and all that came or went with it, out of the record where it stands. The correction's
        number. Raises NotFound, NotCorrectable, BadValue, RecordChanged."""
        owner, words = await self.book.record_of(document), words_of(why)
        keys = await self._opener.open(owner, actor, "unfile")
        for _ in range(ATTEMPTS_MAX):
            scope = await self._scopes.of(keys, document)
            if not scope.documents:
                raise NotCorrectable("already-out")
            new = self.new(owner, CorrectionKind.UNFILE, CorrectionState.OUT, actor, words)

            def act(connection: Connection, scope: Scope = scope, new: Correction = new) -> bool:
                owners.lock(connection, owner)
                current = closure(connection, owner, document)
                if replace(current, others=(), sent_on=()) != replace(scope, others=(), sent_on=()):
                    return False
                items = self._takeout.take_out(connection, keys, scope, f"{new.id}", actor)
                hashed = _traced(connection, owner, items)
                self._insert(connection, replace(new, items=items.to_bytes(), message_id_hmac=hashed))
                self._owe(connection, owner, new.id, TASK_CORRECT)
                self._owe(connection, owner, new.id, TASK_EXPIRES, to_ms(self._clock.now()) + REMINDED_MS)
                if scope.sent_on:
                    self._owe(connection, owner, new.id, TASK_SENT_ON, messages=list(scope.sent_on))
                return True

            if await self._store.write(lane_of(owner), act):
                self._tell(owner)
                return new.id
        raise RecordChanged

    # Into the right record

    async def refile(self, number: int, target: OwnerId, actor: str, why: str = "") -> Correction:
        """Put what correction `number` took out into another record; or propose it, where a second person must
        agree. Raises NotFound, NotCorrectable, BadValue."""
        before = (await self.book.one(number)).row
        if before.kind != CorrectionKind.UNFILE or before.state != CorrectionState.OUT:
            raise NotCorrectable("not-out")
        items = Items.from_bytes(before.items)
        answer = await self._judged(OwnerId(before.owner), items, target, actor)
        brought = [item.number for item in items.messages if item.brought]
        moves = tuple((one, new_id(self._clock, self._chance)) for one in brought)
        wanted = Items(feeds=items.feeds, moves=moves, corrected=answer.corrected)
        row = self.new(before.owner, CorrectionKind.REFILE, CorrectionState.PROPOSED, actor, words_of(why or "-"))
        row = replace(row, earlier=before.id, other=int(target), items=wanted.to_bytes())
        row = replace(row, message_id_hmac=before.message_id_hmac)
        return await self.propose(row, needs_two=answer.needs_two)

    async def redirect(self, held: int, target: OwnerId, actor: str, why: str = "") -> Correction:
        """A held message is another patient's: put it into her record, or propose it. Raises as `refile`."""
        row = await self._store.read(lambda c: records.held(c, held))
        if row is None:
            raise NotFound("held item")
        if row.state != HeldState.WAITING or row.what not in (HeldWhat.MESSAGE, HeldWhat.FEED):
            raise NotCorrectable("not-waiting")
        is_fed = row.what == HeldWhat.FEED
        item = MessageItem(row.message, MessageState.HELD, 0, brought=True)
        items = Items(feeds=((row.owner, row.message),)) if is_fed else Items(messages=(item,))
        answer = await self._judged(OwnerId(row.owner), items, target, actor)
        moves = () if is_fed else ((row.message, new_id(self._clock, self._chance)),)
        wanted = replace(items, moves=moves, corrected=answer.corrected)
        new = self.new(row.owner, CorrectionKind.REFILE, CorrectionState.PROPOSED, actor, words_of(why or "-"))
        new = replace(new, about=held, other=int(target), items=wanted.to_bytes(), domain=row.domain)
        return await self.propose(replace(new, message_id_hmac=row.message_id_hmac), needs_two=answer.needs_two)

    async def _judged(self, owner: OwnerId, items: Items, target: OwnerId, actor: str) -> Yes:
        """What both judges say of each message and the other record. Raises NotCorrectable."""
        cases = [
            await self._cases.for_record(owner, item.number, target, actor) for item in items.messages if item.brought
        ]
        cases += [await self._cases.of_application(OwnerId(b), m, actor, target) for b, m in items.feeds]
        found = [case for case in cases if case is not None]
        if not found:
            raise NotCorrectable("nothing-to-move")
        patient = await self._store.read(lambda c: patients.patient(c, target))
        is_open = patient is not None and patient.state in OPEN_STATES

        def ask(connection: Connection) -> Yes | No:
            facts = [self._cases.facts(connection, case, checked_by_human=True) for case in found]
            documents = tuple(document for one in facts for document in one.documents)
            answer = correcting.judge(Move(documents, is_open, is_same_record=owner == target))
            if isinstance(answer, No):
                return answer
            for case in found:
                asked = replace(case, corrected=answer.corrected, announces=None)
                verdict = judge(self._cases.facts(connection, asked, checked_by_human=True))
                if isinstance(verdict, Hold):
                    return No(verdict.reason.value)
            return answer

        answer = await self._store.read(ask)
        if isinstance(answer, No):
            raise NotCorrectable(answer.why)
        return answer

    # Back

    async def undo(self, number: int, actor: str, why: str = "") -> Correction:
        """Put back what was taken out, out of the other record first; or propose it. Raises as `refile`."""
        row = (await self.book.one(number)).row
        if row.kind == CorrectionKind.REFILE and row.earlier:
            row = (await self.book.one(row.earlier)).row
        is_out = row.kind == CorrectionKind.UNFILE and row.state in (CorrectionState.OUT, CorrectionState.ELSEWHERE)
        is_done = row.kind in (CorrectionKind.MERGE, CorrectionKind.REFILE) and row.state == CorrectionState.DONE
        if not is_out and not is_done:
            raise NotCorrectable("not-out")
        new = self.new(row.owner, CorrectionKind.RETURN, CorrectionState.PROPOSED, actor, words_of(why or "-"))
        new = replace(new, earlier=row.id, message_id_hmac=row.message_id_hmac)
        return await self.propose(new, needs_two=False)

    # Four eyes

    async def propose_filing(self, held: HeldRow, actor: str, words: str = "-") -> Correction:
        """Filing by hand what the judge held waits for a second person. Raises NotCorrectable."""
        new = self.new(held.owner, CorrectionKind.FILE, CorrectionState.PROPOSED, actor, words)
        new = replace(new, about=held.id, domain=held.domain, message_id_hmac=held.message_id_hmac)
        return await self.propose(new, needs_two=True)

    async def propose(self, row: Correction, *, needs_two: bool) -> Correction:
        """Write it down; where one person is enough, decide it in the same transaction."""
        waits = needs_two or self.four_eyes
        kind = CorrectionKind(row.kind)

        def act(connection: Connection) -> Correction:
            if corrections.open_about(connection, row.owner, kind, earlier=row.earlier, about=row.about):
                raise NotCorrectable("proposed-already")
            proposed = replace(row, expires_ms=to_ms(self._clock.now()) + EXPIRES_MS if waits else 0)
            self._insert(connection, proposed)
            if not waits:
                return self._decide(connection, proposed, "")
            self._owe(connection, row.owner, row.id, TASK_EXPIRES, proposed.expires_ms)
            return proposed

        done = await self._store.write(lane_of(row.owner), act)
        self._tell(row.owner)
        return done

    async def confirm(
        self, number: int, actor: str, file: Callable[[int, str], Awaitable[object]] | None = None
    ) -> Correction:
        """A second person agrees: it is done. `file`: who files a held thing by hand (triage.py).

        Raises NotFound, NotCorrectable, and what `file` raises."""
        row = (await self.book.one(number)).row
        self._may_confirm(row, actor)
        if row.kind == CorrectionKind.FILE:
            assert file is not None, "whoever confirms filings can file"
            await file(row.about, actor)
        elif row.kind == CorrectionKind.REFILE:
            await self._judged_again(row, actor)
        elif row.kind == CorrectionKind.REPRESENT:
            await self._right_judged(row, actor)

        def act(connection: Connection) -> Correction:
            current = corrections.correction(connection, row.id)
            if current is None or current.state != CorrectionState.PROPOSED:
                raise NotCorrectable("decided")
            return self._decide(connection, current, actor)

        done = await self._store.write(lane_of(row.owner), act)
        self._tell(row.owner)
        return done

    def _may_confirm(self, row: Correction, actor: str) -> None:
        if row.state != CorrectionState.PROPOSED:
            raise NotCorrectable("decided")
        if row.expires_ms and row.expires_ms <= to_ms(self._clock.now()):
            raise NotCorrectable("expired")
        if row.proposed_by == actor:
            raise NotCorrectable("same-person")

    async def _judged_again(self, row: Correction, actor: str) -> None:
        """Days may have passed. Raises NotCorrectable."""
        items = Items.from_bytes(row.items)
        if row.earlier:
            items = (await self.book.one(row.earlier)).items
        await self._judged(OwnerId(row.owner), items, OwnerId(row.other), actor)

    async def _right_judged(self, row: Correction, actor: str) -> None:
        """Whether a right over the record that ended may become one over this. Raises NotCorrectable."""
        keys = await self._opener.open(OwnerId(row.owner), actor, "represent")
        rows, patient, person = await self._store.read(
            lambda c: (
                patients.identities(c, row.owner),
                patients.patient(c, row.owner),
                owners.mailbox(c, row.other),
            )
        )
        if patient is None or patient.state not in OPEN_STATES or person is None or person.state not in OPEN_STATES:
            raise NotCorrectable("record-not-open")
        valid = [one for one in rows if not one.valid_until_ms]
        opened = [keys.open_small(IDENTITY_KIND, one.identity, one.identity_sealed) for one in valid]
        if not is_minor([identity_from_bytes(one)[1] for one in opened], self._clock.now().date()):
            raise NotCorrectable("not-a-minor")

    def _decide(self, connection: Connection, row: Correction, confirmed_by: str) -> Correction:
        """From proposed to what follows, in the caller's transaction. Raises NotCorrectable."""
        now_ms = to_ms(self._clock.now())
        is_all = row.kind in (CorrectionKind.FILE, CorrectionKind.REPRESENT)
        state = CorrectionState.DONE if is_all else CorrectionState.DOING
        if not corrections.settle(connection, row, state, now_ms, confirmed_by=confirmed_by):
            raise NotCorrectable("decided")
        if row.about and row.kind == CorrectionKind.REFILE:
            self._take_held(connection, row)
        if row.earlier and row.kind == CorrectionKind.REFILE:
            before = corrections.correction(connection, row.earlier)
            if before is None or before.state != CorrectionState.OUT:
                raise NotCorrectable("not-out")
            corrections.settle(connection, before, CorrectionState.ELSEWHERE, now_ms)
        if row.kind == CorrectionKind.REPRESENT:
            self._representing.give(connection, row, confirmed_by)
        if not is_all:
            self._owe(connection, row.owner, row.id, TASK_CORRECT)
        self._note(connection, row, f"record.{row.kind}-decided", confirmed_by or row.proposed_by)
        return replace(row, state=state, confirmed_by=confirmed_by, settled_ms=now_ms)

    def _take_held(self, connection: Connection, row: Correction) -> None:
        """What waited for a human is decided; the message is nobody's here."""
        if not records.decide_held(connection, row.owner, row.about, HeldState.RELEASED, to_ms(self._clock.now())):
            raise NotCorrectable("not-waiting")
        for item in Items.from_bytes(row.items).messages:
            messages.set_state(connection, row.owner, item.number, MessageState.UNFILED)

    async def decline(self, number: int, actor: str) -> None:
        """A proposal is not followed; also by whoever made it. Raises NotFound, NotCorrectable."""
        row = (await self.book.one(number)).row

        def act(connection: Connection) -> None:
            now_ms = to_ms(self._clock.now())
            if row.state != CorrectionState.PROPOSED or not corrections.settle(
                connection, row, CorrectionState.DECLINED, now_ms, confirmed_by=actor
            ):
                raise NotCorrectable("decided")
            if row.kind == CorrectionKind.REPRESENT:
                self._representing.tell(connection, row, "lapsed")
            self._note(connection, row, "record.declined", actor)

        await self._store.write(lane_of(row.owner), act)

    # Rows

    def new(self, owner: int, kind: CorrectionKind, state: CorrectionState, actor: str, why: str) -> Correction:
        """A row, its words sealed, that nobody has written yet."""
        number = new_id(self._clock, self._chance)
        sealed = seal.seal_to(self._public.held, why.encode(), correction_context(number), self._chance)
        return Correction(
            owner=int(owner),
            id=number,
            kind=kind,
            state=state,
            earlier=0,
            other=0,
            about=0,
            proposed_by=actor,
            confirmed_by="",
            proposed_ms=to_ms(self._clock.now()),
            expires_ms=0,
            settled_ms=0,
            domain=self.domain,
            message_id_hmac=b"",
            items=Items().to_bytes(),
            detail_sealed=sealed,
        )

    def _insert(self, connection: Connection, row: Correction) -> None:
        corrections.insert_correction(connection, row)
        self._note(connection, row, f"record.{row.kind}-{row.state}", row.proposed_by)

    def _note(self, connection: Connection, row: Correction, act: str, actor: str) -> None:
        told = audit.Act(self._clock.now(), actor, act, row.owner, row.id, row.message_id_hmac)
        audit.write(connection, [told])

    def _owe(
        self, connection: Connection, owner: int, number: int, kind: str, due_ms: int | None = None, **more: list[int]
    ) -> None:
        payload = json.dumps({"correction": number, **more}).encode()
        due = to_ms(self._clock.now()) if due_ms is None else due_ms
        tasks.add_task(connection, owner, NewTask(new_id(self._clock, self._chance), kind, payload, due))

    def _tell(self, owner: int) -> None:
        self._bus.publish(changes.FOLDER, owner)
        self._bus.publish(changes.TASK)


def words_of(why: str) -> str:
    """Why, as it is kept. Raises BadValue."""
    if not why.strip() or len(why) > WHY_CHARS_MAX:
        raise BadValue(f"say why in at most {WHY_CHARS_MAX} characters")
    return why.strip()


def _traced(connection: Connection, owner: int, items: Items) -> bytes:
    """The Message-ID under which `mss trace` tells of it: of the first message that brought it."""
    own = [(owner, item.number) for item in items.messages if item.brought]
    for box, message in (*own, *items.feeds):
        return messages.message_id_hmac(connection, box, message)
    return b""
