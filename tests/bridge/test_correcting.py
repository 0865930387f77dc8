"""The judge of corrections, as a table: whose a document is by its number, its traits, or nobody's word."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from mss.bridge.claims import Claimed
from mss.bridge.correcting import Move, No, Yes, judge, judge_merge
from mss.bridge.facts import DocumentFacts
from mss.model.ids import InsOid
from mss.model.people import Sex
from tests.bridge.test_matching import CLAIM, HONEST, NIA, NIA_CLAIM, OTHER, TRAITS, changed, claims, known

ANOTHERS = (OTHER, OTHER)
SAYS_NOTHING = changed(metadata_ins=None, cda_ins=None, traits=Claimed(), metadata_traits=Claimed())
BY_TRAITS = changed(metadata_ins=ANOTHERS, cda_ins=(OTHER,))

TABLE: list[tuple[str, tuple[DocumentFacts, ...], Yes | No]] = [
    ("her number and her traits", (HONEST,), Yes()),
    ("her number, a first name of another", (changed(traits=claims(first_given_name="CLAUDE")),), Yes(needs_two=True)),
    ("a number that was hers once", (changed(former=(NIA,), cda_ins=(NIA_CLAIM,), metadata_ins=None),), Yes()),
    ("another's number, all her traits", (BY_TRAITS,), Yes(needs_two=True, corrected=True)),
    ("one of two numbers is another's", (changed(cda_ins=(OTHER,)),), Yes(needs_two=True, corrected=True)),
    ("no number, all her traits", (changed(metadata_ins=(), cda_ins=()),), Yes(needs_two=True, corrected=True)),
    ("nothing at all", (SAYS_NOTHING,), Yes(needs_two=True)),
    ("a message without documents", (), Yes(needs_two=True)),
    ("one document hers, one by traits", (HONEST, BY_TRAITS), Yes(needs_two=True, corrected=True)),
    ("another's number and first name", (replace(BY_TRAITS, traits=claims(first_given_name="CLAUDE")),),
     No("names-another")),
    ("another's number and birth date", (replace(BY_TRAITS, traits=claims(birth_date=date(1980, 3, 28))),),
     No("names-another")),
    ("another's number, no sex said", (replace(BY_TRAITS, traits=claims(sex=None)),), No("names-another")),
    ("METADATA tells of a twin", (replace(BY_TRAITS, metadata_traits=claims(first_given_name="CLAUDE")),),
     No("names-another")),
    ("all her traits, not qualified", (replace(BY_TRAITS, addressee=known(qualified=False)),), No("names-another")),
    ("all her traits, a test identity where none count", (replace(BY_TRAITS, accepts_test_identities=False),),
     No("names-another")),
    ("one hers, one another's", (HONEST, replace(BY_TRAITS, traits=claims(birth_name="AUTRE"))), No("names-another")),
]  # fmt: skip


@pytest.mark.parametrize(("documents", "answer"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_table_of_corrections(documents: tuple[DocumentFacts, ...], answer: Yes | No) -> None:
    """Into an open record of somebody else."""
    assert judge(Move(documents, target_is_open=True)) == answer


def test_the_record_itself_may_say_no() -> None:
    """Closed, suspended, or the one where it lies already."""
    assert judge(Move((HONEST,), target_is_open=False)) == No("record-not-open")
    assert judge(Move((HONEST,), target_is_open=True, is_same_record=True)) == No("same-record")
    assert CLAIM.oid == InsOid.NIR_TEST


def test_one_person_has_one_birth_date_and_sex() -> None:
    """Names change; these do not."""
    married = replace(TRAITS, birth_name="AUTRE")
    assert judge_merge([TRAITS], [married]) == Yes()
    assert judge_merge([TRAITS], [replace(TRAITS, birth_date=date(1979, 3, 29))]) == No("not-one-person")
    assert judge_merge([TRAITS], [replace(TRAITS, sex=Sex.MALE)]) == No("not-one-person")
    assert judge_merge([TRAITS], []) == No("not-one-person")
