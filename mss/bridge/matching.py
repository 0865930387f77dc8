"""Is this document this patient's, and may it be put into her record by itself?

Three identities must be one: the addressee's that we know, the archive's METADATA.XML, the document's own header. Rules
are asked in order and the first objection holds the whole message for a human; a hold shows the patient nothing.
Never guesses, and never matches on traits without an INS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mss.bridge.claims import Claimed, InsClaim
from mss.bridge.names import Called, names_another
from mss.model.document import Author, DocumentStatus, Visibility
from mss.model.ids import REAL_INS_OIDS, Ins
from mss.model.people import IdentityTraits
from mss.model.verdict import Reason

NORMAL = "N"
_SPELLINGS = {
    "INVISIBLE_REP_LEGAUX": Visibility.HIDDEN_FROM_REPRESENTATIVES.value,  # as the HL7 v2 feed spells it
}
_FLAGS = frozenset(flag.value for flag in Visibility)
ACTION_WITHDRAW = "D"
ACTION_REPLACE = "C"
ACTIONS = frozenset({"", ACTION_REPLACE, ACTION_WITHDRAW})

A_HUMAN_MAY_SAY_YES = frozenset(
    {
        Reason.TRAITS_MISMATCH,
        Reason.TRAITS_INCOMPLETE,
        Reason.IDENTITY_NOT_QUALIFIED,
        Reason.INS_SAID_NOT_QUALIFIED,
        Reason.INS_FORMER,
        Reason.NAME_UNLIKE,
    }
)
"""What somebody who looked may decide otherwise. Never an INS that was never hers: that would be somebody else's."""


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


@dataclass(frozen=True, slots=True)
class Standing:
    """The document of the same uniqueId in the record."""

    number: int
    content_is_same: bool


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
    standing: Standing | None = None
    must_replace: bool = False
    """The archive asks to replace what stands here (ANS action C), rather than telling its history (RPLC)."""
    replaced: Known | None = None
    newer: Known | None = None
    """A later version of the same document that came first."""
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


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """A message: its documents, or why they could not be read."""

    documents: tuple[DocumentFacts, ...] = ()
    problem: Problem | None = None
    checked_by_human: bool = False
    labels: tuple[Label, ...] = ()
    called: tuple[Called, ...] = ()
    """What the addressee may be called in them."""


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


Step = File | Replace | Already


@dataclass(frozen=True, slots=True)
class Leave:
    """Nothing for the record: an ordinary message."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A human must look. `detail` names what differs, never a value."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Deliver:
    """Every document goes into the record. `keeps_back`: filed hidden, the message waits for an announcement."""

    steps: tuple[Step, ...]
    visibility: frozenset[str] = frozenset()

    @property
    def keeps_back(self) -> bool:
        return Visibility.HIDDEN_FROM_PATIENT in self.visibility


Verdict = Leave | Hold | Deliver
Rule = Callable[[DocumentFacts], Hold | None]


def _claims(facts: DocumentFacts) -> tuple[InsClaim, ...]:
    in_metadata = tuple(claim for claim in facts.metadata_ins or () if claim is not None)
    return in_metadata + (facts.cda_ins or ())


def ins_is_given(facts: DocumentFacts) -> Hold | None:
    """Archive and header each name an INS, or nobody may file."""
    if facts.metadata_ins is not None and (not facts.metadata_ins or None in facts.metadata_ins):
        return Hold(Reason.INS_MISSING, "METADATA")
    if facts.cda_ins is not None and not facts.cda_ins:
        return Hold(Reason.INS_MISSING, "CDA")
    return None if _claims(facts) else Hold(Reason.INS_MISSING)


def ins_key_fits(facts: DocumentFacts) -> Hold | None:
    """A real number with a wrong key is a typing error. The ANS's test identities have some: a warning only."""
    for claim in _claims(facts):
        is_excused = facts.accepts_test_identities and not claim.is_real and claim.has_shape
        if not claim.key_is_right and not is_excused:
            return Hold(Reason.INS_KEY_WRONG)
    return None


def record_is_known(facts: DocumentFacts) -> Hold | None:
    """An application mailbox belongs to nobody: the INS must lead to a record of this house."""
    is_nobodys = facts.by_application and not facts.addressee and not facts.former
    return Hold(Reason.PATIENT_UNKNOWN) if is_nobodys else None


def ins_is_the_addressees(facts: DocumentFacts) -> Hold | None:
    """Every INS that is claimed, number and authority, is hers; archive and header share one. A number that was hers
    once (an NIA that became an NIR, but perhaps one that INSi took away as somebody else's) is for a human."""
    is_former = False
    for claim in _claims(facts):
        if any(claim.is_of(identity.ins) for identity in facts.addressee):
            continue
        if not any(claim.is_of(identity.ins) for identity in facts.former):
            is_same_number = any(claim.value.upper() == identity.ins.value for identity in facts.addressee)
            return Hold(Reason.INS_MISMATCH, "another authority" if is_same_number else "not the addressee's")
        is_former = True
    if facts.metadata_ins is not None and facts.cda_ins is not None and _identity(facts) is None:
        return Hold(Reason.INS_MISMATCH, "METADATA and CDA")
    return Hold(Reason.INS_FORMER) if is_former else None


def _identity(facts: DocumentFacts) -> Identity | None:
    """The identity that archive and header both name."""
    in_metadata = [claim for claim in facts.metadata_ins or () if claim is not None]
    for identity in (*facts.addressee, *facts.former):
        by_archive = facts.metadata_ins is None or all(claim.is_of(identity.ins) for claim in in_metadata)
        by_header = facts.cda_ins is None or any(claim.is_of(identity.ins) for claim in facts.cda_ins)
        if by_archive and by_header:
            return identity
    return None


def identity_is_qualified(facts: DocumentFacts) -> Hold | None:
    """Only what INSi confirmed and somebody checked; a test identity only where this house takes them."""
    identity = _identity(facts)
    if identity is None:
        return Hold(Reason.INS_MISMATCH)
    if identity.ins.oid not in REAL_INS_OIDS and not facts.accepts_test_identities:
        return Hold(Reason.IDENTITY_NOT_QUALIFIED, "test identity")
    return None if identity.is_qualified else Hold(Reason.IDENTITY_NOT_QUALIFIED)


def sender_is_sure(facts: DocumentFacts) -> Hold | None:
    """The sender says himself that the INS is not qualified."""
    return Hold(Reason.INS_SAID_NOT_QUALIFIED) if facts.said_not_qualified else None


def traits_are_complete(facts: DocumentFacts) -> Hold | None:
    """Birth name, first birth name, birth date and sex, all said."""
    return None if facts.traits.is_complete else Hold(Reason.TRAITS_INCOMPLETE)


def traits_are_equal(facts: DocumentFacts) -> Hold | None:
    """Each trait that is said equals the known one; twins differ in one."""
    identity = _identity(facts)
    if identity is None:
        return Hold(Reason.INS_MISMATCH)
    differing = facts.traits.differences(identity.traits) or facts.metadata_traits.differences(identity.traits)
    return Hold(Reason.TRAITS_MISMATCH, ", ".join(differing)) if differing else None


def flags_are_known(facts: DocumentFacts) -> Hold | None:
    """A flag that we would not obey, or two that contradict each other, are for a human."""
    flags = visibility_of(facts.flags)
    if flags is None:
        return Hold(Reason.FLAG_UNKNOWN)
    contradict = {Visibility.HIDDEN_FROM_PATIENT.value, Visibility.MASKED_FROM_PRACTITIONERS.value}
    return Hold(Reason.FLAG_UNKNOWN, "contradictory") if contradict <= flags else None


def nothing_is_withdrawn(facts: DocumentFacts) -> Hold | None:
    """Taking a document out of a record is decided by a human; so is an action that we do not know."""
    if facts.action == ACTION_WITHDRAW:
        return Hold(Reason.VERSION_WRONG, "withdrawal asked")
    return None if facts.action in ACTIONS else Hold(Reason.VERSION_WRONG, "unknown action")


def document_is_not_another(facts: DocumentFacts) -> Hold | None:
    """The same id with other content: one of the two is wrong."""
    if facts.standing is not None and not facts.standing.content_is_same:
        return Hold(Reason.DOCUMENT_CONFLICT)
    return None


def replacement_is_the_authors(facts: DocumentFacts) -> Hold | None:
    """Only its author, or the author's organisation, replaces a document."""
    if facts.standing is not None or facts.replaced is None:
        return None
    return None if same_author(facts.authors, facts.replaced.authors) else Hold(Reason.NOT_THE_AUTHOR)


def replacement_fits(facts: DocumentFacts) -> Hold | None:
    """What is replaced is the current version. An RPLC may name an original that was never sent here, then this is
    the first version that we have; a request to replace what we do not have is an error."""
    if facts.standing is not None:
        return None
    if facts.replaced is None:
        return Hold(Reason.VERSION_WRONG, "original unknown") if facts.must_replace else None
    return None if facts.replaced.status is DocumentStatus.APPROVED else Hold(Reason.VERSION_WRONG)


RULES: tuple[Rule, ...] = (
    ins_is_given,
    ins_key_fits,
    record_is_known,
    ins_is_the_addressees,
    identity_is_qualified,
    sender_is_sure,
    traits_are_complete,
    traits_are_equal,
    flags_are_known,
    nothing_is_withdrawn,
    document_is_not_another,
    replacement_is_the_authors,
    replacement_fits,
)


def judge(facts: MessageFacts) -> Verdict:
    """Ask each rule about each document, then look at the message's own words; one objection holds all of it."""
    if facts.problem is not None:
        return Hold(facts.problem.reason, facts.problem.detail)
    objections = (rule(document) for document in facts.documents for rule in RULES)
    for hold in (*objections, labels_name_the_addressee(facts)):
        if hold is not None and not (facts.checked_by_human and hold.reason in A_HUMAN_MAY_SAY_YES):
            return hold
    if not facts.documents:
        return Leave()
    visibility = visibility_of(facts.documents[0].flags)
    assert visibility is not None, "a rule has held unknown flags"
    return Deliver(tuple(_step(document) for document in facts.documents), visibility)


def labels_name_the_addressee(facts: MessageFacts) -> Hold | None:
    """A subject or a readable copy that names somebody else: two letters in each other's envelopes."""
    for label in facts.labels:
        if names_another(label.text, facts.called):
            return Hold(Reason.NAME_UNLIKE, label.where)
    return None


def _step(facts: DocumentFacts) -> Step:
    if facts.standing is not None:
        return Already(facts.standing.number)
    if facts.replaced is not None:
        return Replace(facts.replaced.number)
    return File(facts.newer.number if facts.newer is not None else 0)


def visibility_of(flags: frozenset[str]) -> frozenset[str] | None:
    """The flags that we obey, normal left out; None when there is one that we do not know."""
    spelled = {_SPELLINGS.get(flag.strip().upper(), flag.strip().upper()) for flag in flags} - {"", NORMAL}
    return frozenset(spelled) if spelled <= _FLAGS else None


def same_author(new: tuple[Author, ...], old: tuple[Author, ...]) -> bool:
    """They share a person or an institution that is named by a number."""
    people = {author.person_id for author in new} & {author.person_id for author in old}
    institutions = {author.institution_id for author in new} & {author.institution_id for author in old}
    return bool((people | institutions) - {""})
