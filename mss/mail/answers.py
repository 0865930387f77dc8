"""What does the house owe the sender of a message to a patient, once it has been judged?

The value that the bridge leaves in its transaction and that the notice room takes up: rooms of one floor speak by
tasks only. Sealed to the house's `tasks` pair, since it names documents.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import StrEnum

from mss.crypto import seal
from mss.crypto.seal import KeyPair
from mss.model.clock import Chance, Clock, to_ms
from mss.model.verdict import Reason
from mss.store.ids import new_id
from mss.store.tasks import NewTask

TASK_ANSWER = "answer"
"""Answer the sender of a message: payload sealed to the house's `tasks` pair."""
TASK_CHECKED = "checked"
"""Send a software maker the report that was asked for: payload sealed to the house's `tasks` pair."""

TASK_UNTAKEN = "untaken"
"""Tell staff of mail at another operator that cannot be taken: payload {"source", "domain", "uid", "why" …}."""


class Fate(StrEnum):
    """What became of a message, or of one of its documents."""

    FILED = "filed"
    REPLACED = "replaced"
    ALREADY = "already"
    KEPT_BACK = "kept-back"
    HELD = "held"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    ANNOUNCED = "announced"
    """It was kept back until now, and is the patient's."""
    NOT_INTEGRATED = "not-integrated"
    """It stands in the record here, and the hospital's own software does not have it."""
    INTEGRATED = "integrated"
    """That software has it now."""
    UNFILED = "unfiled"
    """It stood in the record of somebody else, and was taken out."""
    REFILED = "refiled"
    """It was taken out, and stands in the right record now."""
    SHOWN = "shown"
    """It was held and has no document for the record: the patient reads the message now."""


FAILURES = frozenset({Fate.HELD, Fate.REFUSED, Fate.NOT_INTEGRATED})
"""Of these a sender is always told."""

_ABOUT_THE_PATIENT = frozenset(
    {
        Reason.PATIENT_UNKNOWN,
        Reason.INS_MISMATCH,
        Reason.INS_FORMER,
        Reason.TRAITS_MISMATCH,
        Reason.IDENTITY_NOT_QUALIFIED,
    }
)


def as_told(reason: Reason) -> Reason:
    """What the sender of documents to an application mailbox reads. Whoever has not shown, by an INS and traits that
    are all a patient's, that he knows her reads one thing: nobody here is exactly the one whom he named."""
    return Reason.PATIENT_UNKNOWN if reason in _ABOUT_THE_PATIENT else reason


@dataclass(frozen=True, slots=True)
class Answer:
    """`documents`: (title, fate) of each. `is_first`: only the first answer may be an MDN, later ones are notices."""

    message: int
    fate: Fate
    reason: Reason | None = None
    documents: tuple[tuple[str, Fate], ...] = ()
    is_first: bool = True
    why: str = ""
    """What staff wrote to the sender."""
    code: int = 0
    """The ANS code that a hospital's software gave; nought: the one of `reason`."""
    cause: str = ""
    """What tells a later answer from others about the same message."""

    def to_bytes(self) -> bytes:
        documents = [[title, fate] for title, fate in self.documents]
        fields = [self.message, self.fate, self.reason, documents, self.is_first, self.why, self.code, self.cause]
        return json.dumps(fields).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Answer:
        message, fate, reason, documents, is_first, why, code, cause = json.loads(data)
        told = tuple((title, Fate(one)) for title, one in documents)
        return cls(message, Fate(fate), Reason(reason) if reason else None, told, is_first, why, code, cause)


def about(answer: Answer, cause: str) -> Answer:
    """A later answer that has a cause of its own: never an MDN."""
    return replace(answer, is_first=False, cause=cause)


def owe(answer: Answer, tasks_key: bytes, clock: Clock, chance: Chance) -> NewTask:
    """The duty, to be added in the transaction of the verdict."""
    number = new_id(clock, chance)
    sealed = seal.seal_to(tasks_key, answer.to_bytes(), task_context(number), chance)
    return NewTask(number, TASK_ANSWER, sealed, to_ms(clock.now()))


def owed(task_id: int, payload: bytes, pair: KeyPair) -> Answer:
    """Read it back. Raises SealBroken."""
    return Answer.from_bytes(seal.open_sealed(pair, payload, task_context(task_id)))


def task_context(task_id: int) -> bytes:
    """What binds a sealed payload to its task."""
    return b"task %d" % task_id
