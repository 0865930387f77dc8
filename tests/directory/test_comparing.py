"""What a new file may change, and what it may not."""

from __future__ import annotations

from dataclasses import replace

from mss.directory.comparing import Outcome, Refusal, Staged, Tally, brake, compare
from mss.directory.facts import Kind, fact_of, listing_of, numbers_about, subject_of
from mss.model.directory import Job, Listing, Professional, Source
from mss.model.mailbox import MailboxKind
from mss.store.directory import FactRow
from tests.kit.frenchpeople import rpps

CAMILLE = Listing(
    "camille@ville.mssante.example",
    MailboxKind.PERSONAL,
    "8" + rpps(1),
    "LEFORT",
    "Camille",
    specialty=Job("Cardiologie"),
    idnst="1999000003",
)
OTHER = replace(CAMILLE, idnps="8" + rpps(2), family="GARNIER")
TEAM = replace(CAMILLE, kind=MailboxKind.ORGANISATIONAL, idnps="", family="", given="")


def stands(listing: Listing) -> FactRow:
    fact = fact_of(Source.CORRESPONDENCE, listing)
    return FactRow(fact.number, Source.CORRESPONDENCE, fact.kind, fact.text, 1)


def says(listing: Listing, line: int = 2) -> Staged:
    fact = fact_of(Source.CORRESPONDENCE, listing)
    return Staged(fact.number, line, fact.kind, fact.text)


def test_a_value_comes_back_as_it_was() -> None:
    """What is stored is what was said, and all that is said of an address lies together."""
    fact = fact_of(Source.CORRESPONDENCE, CAMILLE)
    assert listing_of(fact.text) == CAMILLE
    first, last = numbers_about(Source.CORRESPONDENCE, Kind.LISTING, subject_of(CAMILLE))
    assert first <= fact.number <= last
    assert first <= fact_of(Source.CORRESPONDENCE, replace(CAMILLE, rank=1)).number <= last
    assert not first <= fact_of(Source.NATIONAL, CAMILLE).number <= last


def test_the_same_again_changes_nothing() -> None:
    """An import that says what is known already writes nothing."""
    outcome = compare([stands(CAMILLE)], [says(CAMILLE), says(CAMILLE, 9)])
    assert (outcome.added, outcome.gone, outcome.kept) == ((), (), 1)


def test_a_second_role_is_added_beside_the_first() -> None:
    """One address may stand in several lines, each a role of its holder."""
    second = replace(CAMILLE, specialty=Job("Psychiatrie"))
    outcome = compare([stands(CAMILLE)], [says(CAMILLE), says(second, 3)])
    assert [one.line for one in outcome.added] == [3]
    assert not outcome.gone


def test_what_is_not_said_any_more_is_lost() -> None:
    """It counts for the brake."""
    outcome = compare([stands(CAMILLE)], [])
    assert outcome.is_lost
    assert not compare([stands(CAMILLE)], [says(replace(CAMILLE, rank=1))]).is_lost


def test_the_kind_of_an_address_never_changes() -> None:
    """A team's address that suddenly names a person is refused, and what stood stays."""
    outcome = compare([stands(TEAM)], [says(CAMILLE, 7)])
    assert outcome.refused == ((7, Refusal.KIND_CHANGED),)
    assert (outcome.added, outcome.gone, outcome.kept) == ((), (), 1)


def test_one_file_cannot_give_an_address_two_kinds() -> None:
    """The first line counts."""
    outcome = compare([], [says(TEAM, 2), says(CAMILLE, 3)])
    assert outcome.refused == ((3, Refusal.KIND_CHANGED),)
    assert [one.line for one in outcome.added] == [2]


def test_an_address_that_names_somebody_else_is_shown_to_nobody() -> None:
    """Mail for Camille must not reach Louise because a file says so over night."""
    outcome = compare([stands(CAMILLE)], [says(OTHER, 5)])
    assert outcome.refused == ((5, Refusal.GIVEN_TO_ANOTHER),)
    assert outcome.is_lost


def test_a_person_keeps_her_address_when_her_number_changes() -> None:
    """ADELI becomes RPPS: the name says that it is she."""
    adeli = replace(CAMILLE, idnps="0691234567")
    outcome = compare([stands(adeli)], [says(CAMILLE)])
    assert not outcome.refused
    assert len(outcome.added) == 1


def test_two_people_behind_one_address_are_one_too_many() -> None:
    """The first line counts, the other is refused."""
    outcome = compare([], [says(CAMILLE, 2), says(OTHER, 3)])
    assert outcome.refused == ((3, Refusal.GIVEN_TO_ANOTHER),)


def test_a_person_who_is_named_in_two_ways_has_the_first_name() -> None:
    """And it is counted."""
    people = [Professional("8" + rpps(1), name, "Camille") for name in ("LEFORT", "LE FORT")]
    facts = [fact_of(Source.CORRESPONDENCE, one) for one in people]
    outcome = compare([], [Staged(fact.number, line, fact.kind, fact.text) for line, fact in enumerate(facts, 4)])
    assert ([one.line for one in outcome.added], outcome.contradicted) == ([4], 1)


def test_the_brake_holds_at_more_than_one_in_a_hundred() -> None:
    """A hundredth is a day's life; more is a bad file until somebody has looked."""

    def tally(lost: int) -> str:
        counted = Tally()
        for number in range(1_000):
            gone = (stands(CAMILLE),) if number < lost else ()
            outcome = Outcome(Kind.LISTING, gone=gone, kept=not gone)
            counted.count(outcome, had_old=True, is_ours=number < 100)
        return brake(counted)

    assert "11 of 1000 addresses" in tally(11)
    assert "2 of 100 addresses of this operator" in tally(2)
    assert tally(1) == ""
