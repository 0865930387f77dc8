"""What is kept from everybody's eyes until a human or the antivirus has looked, and who hears that it still waits?

Whatever is held gets one row, with an explanation that only staff can open, and in the same transaction the duty to
tell its sender and the staff when its time comes (mss/notices/watch.py). So nothing held is ever forgotten, also when
everything stops in between. Public keys only: the edge holds mail that it cannot read again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from mss.crypto import seal
from mss.crypto.keys import PublicKeys
from mss.crypto.seal import KeyPair
from mss.mail.answers import Fate, task_context
from mss.model.clock import Chance, Clock, from_ms, to_ms
from mss.model.verdict import Reason
from mss.model.workdays import working_hours_after
from mss.store import records, schema, tasks
from mss.store.ids import new_id
from mss.store.records import HeldRow, HeldState, HeldWhat
from mss.store.sql import Connection
from mss.store.tasks import NewTask, Queued, RowState

TASK_STILL_HELD = "still-held"
"""Tell sender and staff that something waits: payload (`Watch`) sealed to the house's `tasks` pair."""
TASK_SCAN = "scan"
"""Look again with the antivirus: payload {"held": number}."""
FIRST, AGAIN, LAST = 0, 24, 72
"""Hours of working days after which it is told. FIRST: within the hour, by whoever holds it for the first time."""
NEXT = {FIRST: AGAIN, AGAIN: LAST}
NOT_SCANNED_TOLD_AFTER_MS = 40 * 60_000
"""A daemon that restarts worries nobody; who waits longer is told within the hour."""
RESCAN_FIRST_MS = 5_000
CODE_OTHER = 906
"""What staff read beside everything that is no document's fault (ANS, "autre erreur")."""

SENTENCES: dict[Reason, str] = {
    Reason.VIRUS_FOUND: "The antivirus found something. Nobody sees the message until you let it go or refuse it.",
    Reason.NOT_SCANNED: "The antivirus could not look yet. It is released by itself as soon as it was scanned.",
    Reason.KEPT_BY_STAFF: "Staff keep it back in the queue. It leaves after mss queue release.",
    Reason.SINK_REFUSED: "The hospital's software refused the document; our record has it. mss sink retry or drop.",
    Reason.SINK_AWAY: "The hospital's software could not be given it for a day. It is tried on; see mss sink list.",
    Reason.PARKED: "Something of ours is wrong with it, so it does not leave. Look at the log, then mss queue release.",
}


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a letter must not be seen yet, and what the antivirus said: a signature's name, or why it could not look."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ClaimedDocument:
    """A document as its sender describes it."""

    title: str
    type: str
    unique_id: str
    author: str
    ins: tuple[str, ...]
    """`number|authority` of each claim."""
    birth_name: str
    first_given_name: str
    birth_date: str
    sex: str
    signature: str = ""
    """What was found of the signature under the message; empty: it was not signed, or is not checked here."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that staff need, and nobody else may read: sealed to the house's `held` pair."""

    explanation: str
    detail: str
    message_id: str
    subject: str
    sender: str
    documents: tuple[ClaimedDocument, ...] = ()
    keywords: int = 0
    """Bits that it gets in its folder when it is let go (mss/mail/labels.py)."""

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Explanation:
        values = json.loads(data)
        documents = tuple(ClaimedDocument(**one | {"ins": tuple(one["ins"])}) for one in values.pop("documents"))
        return cls(**values, documents=documents)


def held_context(number: int) -> bytes:
    """What binds a sealed explanation to its row."""
    return b"held %d" % number


@dataclass(frozen=True, slots=True)
class Watch:
    """The duty to tell that something waits: after how many hours, for which reason, and of which documents."""

    held: int
    reason: Reason
    hours: int
    documents: tuple[tuple[str, Fate], ...] = ()

    def to_bytes(self) -> bytes:
        documents = [[title, fate] for title, fate in self.documents]
        return json.dumps([self.held, self.reason, self.hours, documents]).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Watch:
        held, reason, hours, documents = json.loads(data)
        return cls(held, Reason(reason), hours, tuple((title, Fate(fate)) for title, fate in documents))


def watched(task_id: int, payload: bytes, pair: KeyPair) -> Watch:
    """Read it back. Raises SealBroken."""
    return Watch.from_bytes(seal.open_sealed(pair, payload, task_context(task_id)))


@dataclass(frozen=True, slots=True)
class Held:
    """What is about to be held: whose, which message (or mail of the queue), why. `domain`: whose staff hear of it."""

    owner: int
    what: HeldWhat
    number: int
    reason: Reason
    domain: str
    message_id_hmac: bytes
    code: int = CODE_OTHER


@dataclass(frozen=True, slots=True)
class PreparedHold:
    """A hold sealed outside the transaction; `put` writes it with its duties."""

    row: HeldRow
    duties: tuple[NewTask, ...]
    receipt: NewTask | None = None
    """Owed once it is let go, under the row's own number: that it was delivered, to a sender who asked."""

    def put(self, connection: Connection) -> None:
        records.insert_held(connection, self.row)
        for duty in self.duties:
            tasks.add_task(connection, self.row.owner, duty)
        if self.receipt is not None:
            tasks.add_task(connection, self.row.owner, self.receipt)
            tasks.set_row_state(connection, schema.task, self.row.owner, self.receipt.id, RowState.HELD, "held")


class Holder:
    """Makes rows and duties. Lives in every process that may hold something."""

    def __init__(self, public: PublicKeys, clock: Clock, chance: Chance) -> None:
        self._public = public
        self._clock = clock
        self._chance = chance

    def prepare(
        self,
        held: Held,
        explanation: Explanation,
        documents: Sequence[tuple[str, Fate]] = (),
        *,
        first: int = FIRST,
        state: HeldState = HeldState.WAITING,
        since_ms: int | None = None,
    ) -> PreparedHold:
        """`first`: when it is told for the first time by us (the bridge's own answer goes out at once). `since_ms`: it
        has waited since then already.
        KEPT_BACK waits for its author's announcement, of which he was told: nobody is reminded."""
        number = new_id(self._clock, self._chance)
        now_ms = to_ms(self._clock.now()) if since_ms is None else since_ms
        row = HeldRow(
            owner=held.owner,
            id=number,
            state=state,
            message=held.number,
            reason=held.reason,
            code=held.code,
            message_id_hmac=held.message_id_hmac,
            held_ms=now_ms,
            decided_ms=0,
            detail_sealed=self.explained(number, explanation),
            what=held.what,
            domain=held.domain,
        )
        if state is not HeldState.WAITING:
            return PreparedHold(row, ())
        duties = [self.watch(Watch(number, held.reason, first, tuple(documents)), now_ms)]
        if held.reason is Reason.NOT_SCANNED:
            duties.append(self._scan(number, now_ms))
        return PreparedHold(row, tuple(duties))

    def quarantine(
        self, held: Held, doubt: Doubt, sender: str, message_id: str, subject: str, keywords: int = 0
    ) -> PreparedHold:
        """What the antivirus objects to, or could not look at."""
        sentence = SENTENCES[doubt.reason]
        explanation = Explanation(sentence, doubt.detail, message_id, subject, sender, keywords=keywords)
        return self.prepare(replace(held, reason=doubt.reason), explanation)

    def kept_by_staff(self, row: Queued, domain: str) -> PreparedHold:
        """Mail that staff keep back in the queue: told at 24 and 72 hours."""
        held = Held(row.owner, HeldWhat.OUTGOING, row.id, Reason.KEPT_BY_STAFF, domain, row.message_id_hmac)
        return self.prepare(held, Explanation(SENTENCES[held.reason], row.next_hop, "", "", ""), first=AGAIN)

    def parked(self, row: Queued, why: str, domain: str) -> PreparedHold:
        """Mail that the courier could not even open: staff hear of it at once."""
        held = Held(row.owner, HeldWhat.OUTGOING, row.id, Reason.PARKED, domain, row.message_id_hmac)
        return self.prepare(held, Explanation(SENTENCES[held.reason], why, "", "", ""))

    def explained(self, number: int, explanation: Explanation) -> bytes:
        """Sealed for staff."""
        return seal.seal_to(self._public.held, explanation.to_bytes(), held_context(number), self._chance)

    def watch(self, watch: Watch, held_ms: int) -> NewTask:
        """The duty to tell, `watch.hours` of working days after `held_ms`."""
        number = new_id(self._clock, self._chance)
        due_ms = held_ms
        if watch.hours != FIRST:
            due_ms = to_ms(working_hours_after(from_ms(held_ms), watch.hours))
        elif watch.reason is Reason.NOT_SCANNED:
            due_ms += NOT_SCANNED_TOLD_AFTER_MS
        payload = seal.seal_to(self._public.tasks, watch.to_bytes(), task_context(number), self._chance)
        return NewTask(number, TASK_STILL_HELD, payload, due_ms)

    def _scan(self, held: int, now_ms: int) -> NewTask:
        payload = json.dumps({"held": held}).encode()
        return NewTask(new_id(self._clock, self._chance), TASK_SCAN, payload, now_ms + RESCAN_FIRST_MS)
