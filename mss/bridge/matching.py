"""Is this document this patient's, and may it be put into her record by itself?

Three identities must be one: the addressee's that we know, the archive's METADATA.XML, the document's own header. Rules
are asked in order and the first objection holds the whole message for a human; a hold shows the patient nothing.
Never guesses, and never matches on traits without an INS.
"""

from __future__ import annotations

from collections.abc import Callable

from mss.bridge import versions
from mss.bridge.claims import InsClaim
from mss.bridge.facts import Deliver, DocumentFacts, Hold, Identity, Leave, MessageFacts, Verdict
from mss.bridge.names import names_another
from mss.model.document import Visibility
from mss.model.ids import REAL_INS_OIDS
from mss.model.verdict import Reason

NORMAL = "N"
_SPELLINGS = {
    "INVISIBLE_REP_LEGAUX": Visibility.HIDDEN_FROM_REPRESENTATIVES.value,  # as the HL7 v2 feed spells it
}
_FLAGS = frozenset(flag.value for flag in Visibility)

A_HUMAN_MAY_SAY_YES = frozenset(
    {
        Reason.TRAITS_MISMATCH,
        Reason.TRAITS_INCOMPLETE,
        Reason.IDENTITY_NOT_QUALIFIED,
        Reason.INS_SAID_NOT_QUALIFIED,
        Reason.INS_FORMER,
        Reason.NAME_UNLIKE,
        Reason.NOT_THE_MAILBOX,
        Reason.ADDENDUM_MISPLACED,
        Reason.LOOSE_DOCUMENT,
        Reason.SIGNATURE_DOUBTFUL,
    }
)
"""What somebody who looked may decide otherwise. Never an INS that was never hers: that would be somebody else's."""


TWO_PEOPLE_MAY_SAY_YES = frozenset({Reason.IMAGES_OF_SEVERAL})
"""What one person may not decide, whatever the settings: half of such a study may be somebody else's. One of the two
says why."""

A_CORRECTION_MAY_SAY_YES = frozenset({Reason.INS_MISMATCH, Reason.PATIENT_UNKNOWN})
"""And what two people may, once the judge of corrections (correcting.py) found all traits equal."""


Rule = Callable[[DocumentFacts], Hold | None]


def _claims(facts: DocumentFacts) -> tuple[InsClaim, ...]:
    in_metadata = tuple(claim for claim in facts.metadata_ins or () if claim is not None)
    return in_metadata + (facts.cda_ins or ())


def images_are_one_persons(facts: DocumentFacts) -> Hold | None:
    """A study whose images name several people. Asked before everything that one person may overrule."""
    return Hold(Reason.IMAGES_OF_SEVERAL) if facts.names_several else None


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


RULES: tuple[Rule, ...] = (
    images_are_one_persons,
    ins_is_given,
    ins_key_fits,
    record_is_known,
    ins_is_the_addressees,
    identity_is_qualified,
    sender_is_sure,
    traits_are_complete,
    traits_are_equal,
    flags_are_known,
    *versions.RULES,
)


APPLICATION_RULES: tuple[Rule, ...] = (
    images_are_one_persons,
    ins_is_given,
    ins_key_fits,
    sender_is_sure,
    traits_are_complete,
    flags_are_known,
    record_is_known,
    ins_is_the_addressees,
    identity_is_qualified,
    traits_are_equal,
    *versions.RULES,
)
"""For an application mailbox. First what the document itself lacks, which says nothing of whom we know; versions last,
when the sender has shown that he knows the patient."""


def labels_name_the_addressee(facts: MessageFacts) -> Hold | None:
    """A subject or a readable copy that names somebody else: two letters in each other's envelopes."""
    for label in facts.labels:
        if names_another(label.text, facts.called):
            return Hold(Reason.NAME_UNLIKE, label.where)
    return None


def withdrawals_come_alone(facts: MessageFacts) -> Hold | None:
    """What takes a document back is not for reading, so it brings nothing that is."""
    actions = {document.action for document in facts.documents}
    is_mixed = versions.ACTION_WITHDRAW in actions and len(actions) > 1
    return Hold(Reason.VERSION_WRONG, "withdrawal among other documents") if is_mixed else None


def announcement_has_its_message(facts: MessageFacts) -> Hold | None:
    """An announcement that fits nothing may tell the patient that there is something: a human looks first."""
    return Hold(Reason.ANNOUNCEMENT_UNMATCHED) if facts.announces == () else None


def loose_files_are_welcome(facts: MessageFacts) -> Hold | None:
    """A file without archive says nothing of its patient; the operator chooses who looks first."""
    return Hold(Reason.LOOSE_DOCUMENT, "a file without archive") if facts.holds_loose_files else None


MESSAGE_RULES: tuple[Callable[[MessageFacts], Hold | None], ...] = (
    labels_name_the_addressee,
    loose_files_are_welcome,
    withdrawals_come_alone,
    announcement_has_its_message,
)


def judge(facts: MessageFacts) -> Verdict:
    """Ask each rule about each document, then look at the message's own words; one objection holds all of it."""
    if facts.problem is not None:
        return Hold(facts.problem.reason, facts.problem.detail)
    objections = (rule(document) for document in facts.documents for rule in _rules(document))
    excused = A_HUMAN_MAY_SAY_YES if facts.checked_by_human else frozenset()
    excused |= TWO_PEOPLE_MAY_SAY_YES if facts.checked_by_two else frozenset()
    excused |= A_CORRECTION_MAY_SAY_YES if facts.corrected else frozenset()
    for hold in (*objections, *(rule(facts) for rule in MESSAGE_RULES)):
        if hold is not None and hold.reason not in excused:
            return hold
    if not facts.documents:
        return Leave()
    visibility = visibility_of(facts.documents[0].flags)
    assert visibility is not None, "a rule has held unknown flags"
    return Deliver(tuple(versions.step(document) for document in facts.documents), visibility)


def _rules(facts: DocumentFacts) -> tuple[Rule, ...]:
    return APPLICATION_RULES if facts.by_application else RULES


def visibility_of(flags: frozenset[str]) -> frozenset[str] | None:
    """The flags that we obey, normal left out; None when there is one that we do not know."""
    spelled = {_SPELLINGS.get(flag.strip().upper(), flag.strip().upper()) for flag in flags} - {"", NORMAL}
    return frozenset(spelled) if spelled <= _FLAGS else None
