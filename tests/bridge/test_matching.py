"""The judge's table: each rule with what it lets pass and what it holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.bridge import matching
from mss.bridge.claims import Claimed, InsClaim
from mss.bridge.facts import (
    Already,
    Deliver,
    DocumentFacts,
    File,
    Hold,
    Identity,
    Known,
    Label,
    Leave,
    MessageFacts,
    Problem,
    Replace,
    Standing,
    Withdraw,
)
from mss.bridge.matching import A_HUMAN_MAY_SAY_YES, judge
from mss.model.document import Author, DocumentStatus
from mss.model.ids import Ins, InsOid
from mss.model.people import IdentityTraits, Sex
from mss.model.verdict import Reason

INS = Ins.parse("279035121518989", InsOid.NIR_TEST)
REAL = Ins.parse("279035121518989", InsOid.NIR)
CLAIM = InsClaim("279035121518989", InsOid.NIR_TEST)
REAL_CLAIM = InsClaim("279035121518989", InsOid.NIR)
OTHER = InsClaim("158112A99901755", InsOid.NIR_TEST)
BAD_KEY = InsClaim("279035121518900", InsOid.NIR_TEST)
TRAITS = IdentityTraits("PAT-TROIS", ("DOMINIQUE", "MARIE-LOUISE"), date(1979, 3, 28), Sex.FEMALE, "51215")
CLAIMED = Claimed("Pat-Trois", "Dominique", date(1979, 3, 28), Sex.FEMALE, "51215")
LAB = Author(person_id="801", institution_id="1999")
STRANGER = Author(person_id="802", institution_id="1888")
HONEST = DocumentFacts(
    addressee=(Identity(INS, TRAITS, is_qualified=True),),
    accepts_test_identities=True,
    said_not_qualified=False,
    metadata_ins=(CLAIM, CLAIM),
    cda_ins=(CLAIM,),
    traits=CLAIMED,
    metadata_traits=CLAIMED,
    flags=frozenset({"N"}),
    authors=(LAB,),
    sent_by=b"results@lab",
)
NIA = Identity(Ins.parse("779035121518933", InsOid.NIA), TRAITS, is_qualified=True)
"""Her number before she had an NIR."""
NIA_CLAIM = InsClaim(NIA.ins.value, NIA.ins.oid)
DEMO = InsClaim(INS.value, InsOid.NIR_DEMO)
CORSE = Ins.parse("279032A12151849", InsOid.NIR_TEST)
APPROVED = Known(7, DocumentStatus.APPROVED, (LAB,), b"results@lab")
STANDING = Standing(5, True, DocumentStatus.APPROVED, (LAB,), b"results@lab")


def changed(**changes: object) -> DocumentFacts:
    return replace(HONEST, **changes)  # type: ignore[arg-type]


def claims(**changes: object) -> Claimed:
    return replace(CLAIMED, **changes)  # type: ignore[arg-type]


def known(*, qualified: bool = True, ins: Ins = INS, **traits: object) -> tuple[Identity, ...]:
    return (Identity(ins, replace(TRAITS, **traits), qualified),)  # type: ignore[arg-type]


FILED: list[tuple[str, DocumentFacts, object]] = [
    ("all agree", HONEST, File()),
    ("name in other letters", changed(traits=claims(birth_name="pat trois", first_given_name="DOMINIQUE")), File()),
    ("accents", changed(traits=claims(birth_name="PÄT-TROÌS")), File()),
    ("birth place not said", changed(traits=claims(birth_place="")), File()),
    ("birth place not known", changed(addressee=known(birth_place="")), File()),
    ("Corsican letter in small", changed(addressee=known(birth_place="2A004"), traits=claims(birth_place="2a004"),
     metadata_traits=Claimed()), File()),
    ("METADATA says no traits", changed(metadata_traits=Claimed()), File()),
    ("loose CDA", changed(metadata_ins=None, metadata_traits=Claimed()), File()),
    ("no CDA, traits of METADATA", changed(cda_ins=None), File()),
    ("test identity with a bad key", changed(metadata_ins=(BAD_KEY,), cda_ins=(BAD_KEY,),
     addressee=known(ins=Ins.parse(BAD_KEY.value, BAD_KEY.oid))), File()),
    ("real identity in a house without tests", changed(metadata_ins=(REAL_CLAIM,), cda_ins=(REAL_CLAIM,),
     addressee=known(ins=REAL), accepts_test_identities=False), File()),
    ("two identities of hers", changed(addressee=known() + known(ins=REAL), cda_ins=(REAL_CLAIM, CLAIM)), File()),
    ("already there", changed(standing=Standing(5, content_is_same=True)), Already(5)),
    ("already there, though it replaces", changed(standing=Standing(5, content_is_same=True), must_replace=True,
     replaced=Known(7, DocumentStatus.SUPERSEDED, (LAB,))), Already(5)),
    ("replaces", changed(replaced=APPROVED), Replace(7)),
    ("same institution, other person", changed(replaced=APPROVED, authors=(replace(LAB, person_id="9"),)), Replace(7)),
    ("same person, other institution", changed(replaced=APPROVED, authors=(replace(LAB, institution_id="9"),)),
     Replace(7)),
    ("its author withdraws it", changed(action="D", standing=STANDING), Withdraw(5)),
    ("withdrawn twice", changed(action="D", standing=replace(STANDING, status=DocumentStatus.WITHDRAWN)), Already(5)),
    ("action C with its original", changed(replaced=APPROVED, must_replace=True, action="C"), Replace(7)),
    ("somebody else's addendum to what stands", changed(added_to=APPROVED, authors=(STRANGER,)), File()),
    ("its header tells of an original elsewhere", changed(replaced=None), File()),
    ("apostrophe of a word processor", changed(addressee=known(birth_name="L'ÉPREUVE"),
     traits=claims(birth_name="L\u2019EPREUVE"), metadata_traits=Claimed()), File()),
    ("ligature", changed(addressee=known(given_names=("Cœlia",)), traits=claims(first_given_name="COELIA"),
     metadata_traits=Claimed()), File()),
    ("born in Corsica, number in small letters", changed(addressee=known(ins=CORSE),
     metadata_ins=(InsClaim(CORSE.value.lower(), CORSE.oid),), cda_ins=(InsClaim(CORSE.value, CORSE.oid),)), File()),
    ("her NIA of before is known, the NIR of today is told", changed(former=(NIA,)), File()),
    ("NIA that is valid", changed(addressee=(NIA,), metadata_ins=(NIA_CLAIM,), cda_ins=(NIA_CLAIM,)), File()),
    ("by an application mailbox, the record is known", changed(by_application=True), File()),
    ("DICOM or PDF by an application mailbox, METADATA alone", changed(by_application=True, cda_ins=None), File()),
    ("a newer version stands", changed(newer=Known(8, DocumentStatus.APPROVED, (LAB,))), File(newer=8)),
]  # fmt: skip

HELD: list[tuple[str, DocumentFacts, Reason]] = [
    ("METADATA names nobody", changed(metadata_ins=(None,)), Reason.INS_MISSING),
    ("the submission set names nobody that counts", changed(metadata_ins=(CLAIM, None)), Reason.INS_MISSING),
    ("the CDA names nobody", changed(cda_ins=()), Reason.INS_MISSING),
    ("loose CDA without INS", changed(metadata_ins=None, cda_ins=()), Reason.INS_MISSING),
    ("nobody names anybody", changed(metadata_ins=None, cda_ins=None), Reason.INS_MISSING),
    ("real number, wrong key", changed(cda_ins=(replace(BAD_KEY, oid=InsOid.NIR),)), Reason.INS_KEY_WRONG),
    ("no number at all", changed(cda_ins=(InsClaim("DOMINIQUE", InsOid.NIR_TEST),)), Reason.INS_KEY_WRONG),
    ("test number, wrong key, no tests here", changed(cda_ins=(BAD_KEY,), accepts_test_identities=False),
     Reason.INS_KEY_WRONG),
    ("archive of somebody else", changed(metadata_ins=(OTHER, OTHER)), Reason.INS_MISMATCH),
    ("submission set of somebody else", changed(metadata_ins=(CLAIM, OTHER)), Reason.INS_MISMATCH),
    ("document of somebody else", changed(cda_ins=(OTHER,)), Reason.INS_MISMATCH),
    ("document of two people", changed(cda_ins=(CLAIM, OTHER)), Reason.INS_MISMATCH),
    ("both of somebody else", changed(metadata_ins=(OTHER,), cda_ins=(OTHER,)), Reason.INS_MISMATCH),
    ("test number, real patient", changed(addressee=known(ins=REAL)), Reason.INS_MISMATCH),
    ("real number, test patient", changed(metadata_ins=(REAL_CLAIM,), cda_ins=(REAL_CLAIM,)), Reason.INS_MISMATCH),
    ("demo number, test patient", changed(metadata_ins=(DEMO,), cda_ins=(DEMO,)), Reason.INS_MISMATCH),
    ("demo number, real patient", changed(addressee=known(ins=REAL), metadata_ins=(DEMO,), cda_ins=(DEMO,)),
     Reason.INS_MISMATCH),
    ("NIA in place of the NIR, never hers", changed(cda_ins=(NIA_CLAIM,), metadata_ins=(NIA_CLAIM,)),
     Reason.INS_MISMATCH),
    ("same digits, but of the NIA", changed(addressee=known(ins=REAL), cda_ins=(InsClaim(REAL.value, InsOid.NIA),),
     metadata_ins=(InsClaim(REAL.value, InsOid.NIA),)), Reason.INS_MISMATCH),
    ("NIA that became an NIR", changed(former=(NIA,), metadata_ins=(NIA_CLAIM,), cda_ins=(NIA_CLAIM,)),
     Reason.INS_FORMER),
    ("NIA in the header, NIR around it", changed(former=(NIA,), cda_ins=(NIA_CLAIM,)), Reason.INS_MISMATCH),
    ("a number that was hers once, beside today's", changed(former=(NIA,), cda_ins=(CLAIM, NIA_CLAIM)),
     Reason.INS_FORMER),
    ("Corsica, the other half", changed(addressee=known(ins=CORSE),
     metadata_ins=(InsClaim("279032B12151876", CORSE.oid),), cda_ins=(InsClaim("279032B12151876", CORSE.oid),)),
     Reason.INS_MISMATCH),
    ("local number alone", changed(metadata_ins=(None,), cda_ins=()), Reason.INS_MISSING),
    ("by an application mailbox, nobody has that number", changed(by_application=True, addressee=()),
     Reason.PATIENT_UNKNOWN),
    ("by an application mailbox, archive and document differ", changed(by_application=True, cda_ins=(OTHER,)),
     Reason.INS_MISMATCH),
    ("by an application mailbox, a twin", changed(by_application=True, traits=claims(first_given_name="CLAUDE")),
     Reason.TRAITS_MISMATCH),
    ("half of a double name", changed(traits=claims(birth_name="PAT")), Reason.TRAITS_MISMATCH),
    ("name in use as birth name", changed(traits=claims(birth_name="PAT-TROIS DURAND")), Reason.TRAITS_MISMATCH),
    ("archive and header name two numbers of hers", changed(addressee=known() + known(ins=REAL),
     metadata_ins=(CLAIM,), cda_ins=(REAL_CLAIM,)), Reason.INS_MISMATCH),
    ("no identity is valid", changed(addressee=()), Reason.INS_MISMATCH),
    ("not qualified", changed(addressee=known(qualified=False)), Reason.IDENTITY_NOT_QUALIFIED),
    ("test identity, no tests here", changed(accepts_test_identities=False), Reason.IDENTITY_NOT_QUALIFIED),
    ("sender says N", changed(said_not_qualified=True), Reason.INS_SAID_NOT_QUALIFIED),
    ("no birth name", changed(traits=claims(birth_name="")), Reason.TRAITS_INCOMPLETE),
    ("no first name", changed(traits=claims(first_given_name="")), Reason.TRAITS_INCOMPLETE),
    ("no birth date", changed(traits=claims(birth_date=None)), Reason.TRAITS_INCOMPLETE),
    ("no sex", changed(traits=claims(sex=None)), Reason.TRAITS_INCOMPLETE),
    ("changed name", changed(traits=claims(birth_name="DURAND")), Reason.TRAITS_MISMATCH),
    ("twin", changed(traits=claims(first_given_name="CLAUDE")), Reason.TRAITS_MISMATCH),
    ("second first name in front", changed(traits=claims(first_given_name="MARIE-LOUISE")), Reason.TRAITS_MISMATCH),
    ("born a day later", changed(traits=claims(birth_date=date(1979, 3, 29))), Reason.TRAITS_MISMATCH),
    ("other sex", changed(traits=claims(sex=Sex.MALE)), Reason.TRAITS_MISMATCH),
    ("unknown sex", changed(traits=claims(sex=Sex.UNKNOWN)), Reason.TRAITS_MISMATCH),
    ("born elsewhere", changed(traits=claims(birth_place="75056")), Reason.TRAITS_MISMATCH),
    ("METADATA tells of a twin", changed(metadata_traits=claims(first_given_name="CLAUDE")), Reason.TRAITS_MISMATCH),
    ("unknown flag", changed(flags=frozenset({"N", "SECRET"})), Reason.FLAG_UNKNOWN),
    ("restricted, of HL7", changed(flags=frozenset({"R"})), Reason.FLAG_UNKNOWN),
    ("hidden and masked", changed(flags=frozenset({"INVISIBLE_PATIENT", "MASQUE_PS"})), Reason.FLAG_UNKNOWN),
    ("taken out by staff, and sent again", changed(standing=replace(STANDING, status=DocumentStatus.UNFILED)),
     Reason.TAKEN_OUT),
    ("withdrawal of what is not here", changed(action="D"), Reason.VERSION_WRONG),
    ("withdrawal of what was superseded", changed(action="D", standing=replace(STANDING,
     status=DocumentStatus.SUPERSEDED)), Reason.VERSION_WRONG),
    ("withdrawal of other content", changed(action="D", standing=replace(STANDING, content_is_same=False)),
     Reason.DOCUMENT_CONFLICT),
    ("withdrawn by a stranger", changed(action="D", standing=STANDING, authors=(STRANGER,)), Reason.NOT_THE_AUTHOR),
    ("withdrawn from another mailbox", changed(action="D", standing=STANDING, sent_by=b"x@lab"),
     Reason.NOT_THE_MAILBOX),
    ("withdrawn by nobody's mailbox", changed(action="D", standing=replace(STANDING, sent_by=b""), sent_by=b""),
     Reason.NOT_THE_MAILBOX),
    ("what was withdrawn comes again", changed(standing=replace(STANDING, status=DocumentStatus.WITHDRAWN)),
     Reason.VERSION_WRONG),
    ("images of several names", changed(names_several=True), Reason.IMAGES_OF_SEVERAL),
    ("images of several names, and a trait that one person may overrule", changed(names_several=True,
     traits=claims(birth_name="DURAND")), Reason.IMAGES_OF_SEVERAL),
    ("addendum to what was replaced since", changed(added_to=replace(APPROVED, status=DocumentStatus.SUPERSEDED)),
     Reason.ADDENDUM_MISPLACED),
    ("addendum to what was withdrawn since", changed(added_to=replace(APPROVED, status=DocumentStatus.WITHDRAWN)),
     Reason.ADDENDUM_MISPLACED),
    ("replaced from another mailbox", changed(replaced=APPROVED, sent_by=b"x@lab"), Reason.NOT_THE_MAILBOX),
    ("unknown action", changed(action="Z"), Reason.VERSION_WRONG),
    ("same id, other content", changed(standing=Standing(5, content_is_same=False)), Reason.DOCUMENT_CONFLICT),
    ("replaced by a stranger", changed(replaced=APPROVED, authors=(STRANGER,)), Reason.NOT_THE_AUTHOR),
    ("replaced by nobody", changed(replaced=replace(APPROVED, authors=(Author(),)), authors=(Author(),)),
     Reason.NOT_THE_AUTHOR),
    ("original superseded", changed(replaced=replace(APPROVED, status=DocumentStatus.SUPERSEDED)),
     Reason.VERSION_WRONG),
    ("original withdrawn", changed(replaced=replace(APPROVED, status=DocumentStatus.WITHDRAWN)), Reason.VERSION_WRONG),
    ("replacement asked of what is not here", changed(must_replace=True), Reason.VERSION_WRONG),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "step"), [row[1:] for row in FILED], ids=[row[0] for row in FILED])
def test_the_judge_files(facts: DocumentFacts, step: object) -> None:
    """What agrees is filed by itself."""
    assert judge(MessageFacts((facts,))) == Deliver((step,))  # type: ignore[arg-type]


@pytest.mark.parametrize(("facts", "reason"), [row[1:] for row in HELD], ids=[row[0] for row in HELD])
def test_the_judge_holds(facts: DocumentFacts, reason: Reason) -> None:
    """One difference is enough, and it has a name."""
    verdict = judge(MessageFacts((facts,)))
    assert isinstance(verdict, Hold)
    assert verdict.reason is reason


@pytest.mark.parametrize(("facts", "reason"), [row[1:] for row in HELD], ids=[row[0] for row in HELD])
def test_one_doubtful_document_holds_its_honest_neighbour(facts: DocumentFacts, reason: Reason) -> None:
    """Half of somebody else's result is somebody else's result."""
    for together in ((facts, HONEST), (HONEST, facts)):
        verdict = judge(MessageFacts(together))
        assert isinstance(verdict, Hold)
        assert verdict.reason is reason


@pytest.mark.parametrize(("facts", "reason"), [row[1:] for row in HELD], ids=[row[0] for row in HELD])
def test_a_human_overrules_doubts_and_nothing_else(facts: DocumentFacts, reason: Reason) -> None:
    """Traits and qualification, after looking; never an INS, a conflict or a flag."""
    verdict = judge(MessageFacts((facts,), checked_by_human=True))
    assert isinstance(verdict, Deliver) == (reason in A_HUMAN_MAY_SAY_YES)


def test_every_rule_has_its_row() -> None:
    """A rule that no row meets could be lost without anybody noticing."""
    needed = set()
    for rule in matching.RULES:
        if any(rule(facts) is not None for _, facts, _ in HELD):
            needed.add(rule)
    assert needed == set(matching.RULES)


@pytest.mark.parametrize(
    ("flags", "visibility"),
    [
        (set(), set()),
        ({"N"}, set()),
        ({""}, set()),
        ({"N", "MASQUE_PS"}, {"MASQUE_PS"}),
        ({"masque_ps"}, {"MASQUE_PS"}),
        ({"INVISIBLE_PATIENT"}, {"INVISIBLE_PATIENT"}),
        ({"INVISIBLE_REPRESENTANTS_LEGAUX"}, {"INVISIBLE_REPRESENTANTS_LEGAUX"}),
        ({"INVISIBLE_REP_LEGAUX"}, {"INVISIBLE_REPRESENTANTS_LEGAUX"}),
        (
            {"INVISIBLE_PATIENT", "INVISIBLE_REP_LEGAUX"},
            {"INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX"},
        ),
    ],
)
def test_flags_become_visibility(flags: set[str], visibility: set[str]) -> None:
    """Both spellings; only INVISIBLE_PATIENT keeps the message back."""
    verdict = judge(MessageFacts((changed(flags=frozenset(flags)),)))
    assert isinstance(verdict, Deliver)
    assert verdict.visibility == visibility
    assert verdict.keeps_back == ("INVISIBLE_PATIENT" in visibility)


def test_a_withdrawal_comes_alone() -> None:
    """What it carries is not for reading: a letter beside it would not be read."""
    withdrawal = changed(action="D", standing=STANDING)
    assert judge(MessageFacts((withdrawal, HONEST))) == Hold(Reason.VERSION_WRONG, "withdrawal among other documents")
    alone = judge(MessageFacts((withdrawal,)))
    assert isinstance(alone, Deliver)
    assert alone.takes_back


def test_only_an_original_that_may_be_on_its_way_is_waited_for() -> None:
    """Mail overtakes mail; nothing else gets better by waiting."""
    waiting = []
    for name, facts, _ in HELD:
        verdict = judge(MessageFacts((facts,)))
        if isinstance(verdict, Hold) and verdict.may_pass:
            waiting.append(name)
    assert waiting == ["withdrawal of what is not here", "replacement asked of what is not here"]


@pytest.mark.parametrize("documents", [(), (HONEST,)], ids=["a letter", "with a document"])
def test_an_announcement_that_fits_nothing_is_held(documents: tuple[DocumentFacts, ...]) -> None:
    """It would tell the patient that there is something."""
    assert judge(MessageFacts(documents, announces=())) == Hold(Reason.ANNOUNCEMENT_UNMATCHED)
    assert not isinstance(judge(MessageFacts(documents, announces=(3,))), Hold)


def test_loose_files_are_held_where_the_operator_says_so() -> None:
    """And a human may show them."""
    facts = MessageFacts(holds_loose_files=True)
    assert judge(facts) == Hold(Reason.LOOSE_DOCUMENT, "a file without archive")
    assert judge(replace(facts, checked_by_human=True)) == Leave()


def test_words_that_name_somebody_else_are_held_and_a_human_may_say_yes() -> None:
    """Beside a document or alone."""
    facts = MessageFacts((HONEST,), labels=(Label("subject", "CR DUPONT Jean"),))
    for one in (facts, replace(facts, documents=())):
        assert judge(one) == Hold(Reason.NAME_UNLIKE, "subject")
        assert not isinstance(judge(replace(one, checked_by_human=True)), Hold)


def test_a_message_without_documents_is_left_alone() -> None:
    """An ordinary letter."""
    assert judge(MessageFacts()) == Leave()


def test_what_cannot_be_read_is_held_whoever_asks() -> None:
    """A human cannot file what nobody could read."""
    facts = MessageFacts(problem=Problem(Reason.ARCHIVE_BROKEN))
    assert judge(facts) == judge(replace(facts, checked_by_human=True)) == Hold(Reason.ARCHIVE_BROKEN)


NAMES: tuple[Callable[[DocumentFacts], DocumentFacts], ...] = (
    lambda facts: replace(facts, metadata_ins=(OTHER,)),
    lambda facts: replace(facts, cda_ins=(OTHER,)),
    lambda facts: replace(facts, cda_ins=(CLAIM, OTHER)),
)


@given(
    st.sampled_from(NAMES),
    st.booleans(),
    st.booleans(),
    st.sampled_from([CLAIMED, Claimed(), claims(sex=Sex.MALE)]),
    st.sampled_from([None, APPROVED]),
    st.sampled_from([None, Standing(5, content_is_same=True), Standing(5, content_is_same=False)]),
)
def test_nothing_makes_up_for_a_foreign_ins(
    swap: Callable[[DocumentFacts], DocumentFacts],
    is_checked: bool,
    accepts: bool,
    traits: Claimed,
    replaced: Known | None,
    standing: Standing | None,
) -> None:
    """Whatever else fits, and whoever asks: another person's number never files."""
    facts = changed(
        traits=traits, replaced=replaced, standing=standing, accepts_test_identities=accepts, authors=(LAB,)
    )
    assert isinstance(judge(MessageFacts((swap(facts),), checked_by_human=is_checked)), Hold)
