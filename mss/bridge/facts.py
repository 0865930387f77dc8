"""What the bridge's judge is told, and what it may answer: values, and nothing that acts or decides."""

from __future__ import annotations

from dataclasses import dataclass

from mss.bridge.claims import Claimed, InsClaim
from mss.bridge.names import Called
from mss.model.document import Author, DocumentStatus, Visibility
from mss.model.ids import Ins
from mss.model.people import IdentityTraits
from mss.model.verdict import Reason


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity of the addressee that is valid now."""

    ins: Ins
    traits: IdentityTraits
    is_qualified: bool


@dataclass(frozen=True, slots=True)
class Known:
    """A document that stands in the record already (or comes in the same message)."""

    number: int
    status: DocumentStatus
    authors: tuple[Author, ...] = ()
    sent_by: bytes = b""
    """The keyed hash of the mailbox that sent it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The document of the same uniqueId in the record."""

    number: int
    content_is_same: bool
    status: DocumentStatus = DocumentStatus.APPROVED
    authors: tuple[Author, ...] = ()
    sent_by: bytes = b""


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """All that is known of one document."""

    addressee: tuple[Identity, ...]
    accepts_test_identities: bool
    said_not_qualified: bool
    """Header `X-MSS-INS: N`."""
    metadata_ins: tuple[InsClaim | None, ...] | None
    """Of entry and submission set; None when no archive is around the document."""
    cda_ins: tuple[InsClaim, ...] | None
    """None when the document is no CDA."""
    traits: Claimed
    """Of the CDA header; of METADATA for other documents."""
    metadata_traits: Claimed
    flags: frozenset[str]
    """Of every document of the message, in METADATA and headers: a flag binds the whole message."""
    action: str = ""
    authors: tuple[Author, ...] = ()
    sent_by: bytes = b""
    """The keyed hash of the mailbox that sends it (the accountable sender of the envelope)."""
    standing: Standing | None = None
    must_replace: bool = False
    """The archive asks to replace what stands here (ANS action C), rather than telling its history (RPLC)."""
    replaced: Known | None = None
    newer: Known | None = None
    """A later version of the same document that came first."""
    names_several: bool = False
    """Images of a study that do not all name the same person."""
    added_to: Known | None = None
    """The document to which it is an addendum."""
    former: tuple[Identity, ...] = ()
    """Identities of the addressee that have ended: an NIA that became an NIR, a number that INSi corrected."""
    by_application: bool = False
    """It came to an application mailbox: `addressee` is the record that METADATA names, none when nobody has it."""


@dataclass(frozen=True, slots=True)
class Label:
    """Words of the message that should name the patient. `where`: "subject" or "file name"."""

    where: str
    text: str

    def __repr__(self) -> str:  # never in a log
        return f"Label({self.where})"


@dataclass(frozen=True, slots=True)
class Problem:
    """What could not be read, or must not be filed by itself whatever it says."""

    reason: Reason
    detail: str = ""

    @property
    def may_be_overruled(self) -> bool:
        """All was read all the same, and somebody who asked the sender may say yes."""
        return self.reason is Reason.SIGNATURE_DOUBTFUL


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """A message: its documents, or why they could not be read."""

    documents: tuple[DocumentFacts, ...] = ()
    problem: Problem | None = None
    checked_by_human: bool = False
    checked_by_two: bool = False
    """Two people have looked, and one of them wrote why."""
    corrected: bool = False
    """Two people say that the INS is wrong and the record right; its traits are equal to the document's."""
    labels: tuple[Label, ...] = ()
    called: tuple[Called, ...] = ()
    """What the addressee may be called in them."""
    holds_loose_files: bool = False
    """It brings files that name no patient, and the house holds those (setting `bridge.loose`)."""
    announces: tuple[int, ...] | None = None
    """Messages kept back that this one announces, of the same mailbox. None: it does not ask for that."""


# Verdicts


@dataclass(frozen=True, slots=True)
class File:
    """A new document. `newer`: a later version stands already and supersedes it at once."""

    newer: int = 0


@dataclass(frozen=True, slots=True)
class Replace:
    """A newer version of document `old`, which stays, superseded."""

    old: int


@dataclass(frozen=True, slots=True)
class Already:
    """It stands in the record as `number`."""

    number: int


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Its author takes document `number` back: hidden from everybody, never deleted."""

    number: int


Step = File | Replace | Already | Withdraw


@dataclass(frozen=True, slots=True)
class Leave:
    """Nothing for the record: an ordinary message."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A human must look. `detail` names what differs, never a value. `may_pass`: what is missing may be on its way."""

    reason: Reason
    detail: str = ""
    may_pass: bool = False


@dataclass(frozen=True, slots=True)
class Deliver:
    """Every document goes into the record. `keeps_back`: filed hidden, the message waits for an announcement."""

    steps: tuple[Step, ...]
    visibility: frozenset[str] = frozenset()

    @property
    def takes_back(self) -> bool:
        """It only withdraws: a message that brings what nobody is to read any more."""
        return bool(self.steps) and all(isinstance(step, Withdraw) for step in self.steps)

    @property
    def keeps_back(self) -> bool:
        return Visibility.HIDDEN_FROM_PATIENT in self.visibility


Verdict = Leave | Hold | Deliver
