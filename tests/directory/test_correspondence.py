"""What is believed of a line of the public file, and what is refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.directory.correspondence import LINE_OCTETS_MAX, CorrespondenceReader, department_of
from mss.directory.staging import Line
from mss.model.directory import Listing, Professional, Structure
from mss.model.mailbox import MailboxKind
from tests.kit.frenchpeople import HEADER

CAMILLE = (
    "PER|camille.lefort@ville.mssante.example|8|99900000011|899900000011|1|1999000003||DR|LEFORT|Camille|10|Médecin|"
    "SM04|Cardiologie et maladies vasculaires|N|CHU de l'Exemple|1|Rue des Tilleuls|69003 LYON 03|69003|Rhône"
)
TEAM = (
    "ORG|cardiologie@chu.mssante.example||||1|1999000003|Cardiologie||||||||O|CHU|1|Rue|97400 SAINT-DENIS CEDEX|97400|"
)


def read(line: str | bytes, header: str = HEADER) -> Line:
    reader = CorrespondenceReader()
    reader.begin(header.encode())
    return reader.read(line if isinstance(line, bytes) else line.encode())


def listing_in(line: str | bytes, header: str = HEADER) -> Listing:
    said = read(line, header)
    assert not said.refusal, said.refusal
    listing = said.values[0]
    assert isinstance(listing, Listing)
    return listing


def test_a_person_is_read_with_role_place_and_structure() -> None:
    """Everything that the line says of her, under the national numbers."""
    values = read(CAMILLE).values
    listing = listing_in(CAMILLE)
    assert (listing.kind, listing.address) == (MailboxKind.PERSONAL, "camille.lefort@ville.mssante.example")
    assert (listing.idnps, listing.idnst) == ("899900000011", "1999000003")
    assert listing.title == "DR Camille LEFORT"
    assert listing.specialty is not None
    assert listing.specialty.code == "SM04"
    assert (listing.place.postal_code, listing.place.city, listing.place.department) == ("69003", "LYON", "69")
    assert listing.paperless is False
    assert [type(value) for value in values] == [Listing, Professional, Structure]


def test_a_team_is_read_with_its_service() -> None:
    """A team has no person's number; its name is its service."""
    listing = listing_in(TEAM)
    assert (listing.kind, listing.service, listing.place.city) == (
        MailboxKind.ORGANISATIONAL, "Cardiologie", "SAINT-DENIS",
    )  # fmt: skip
    assert listing.title == "Cardiologie, CHU"
    assert listing.place.department == "974"


def test_columns_may_come_in_another_order_be_missing_or_new() -> None:
    """The file has changed its columns before: names count, not places."""
    header = "Nom d'exercice|Couleur préférée|Adresse BAL|Prénom d'exercice|L6LIGNEACHEMINEMENT structure BAL"
    listing = listing_in("LEFORT|bleu|c.lefort@ville.mssante.example|Camille|51100 REIMS CEDEX 2", header)
    assert (listing.family, listing.kind, listing.idnps) == ("LEFORT", MailboxKind.PERSONAL, "")
    assert listing.place.city == "REIMS"
    reader = CorrespondenceReader()
    reader.begin(header.encode())
    assert reader.unknown_columns == ("Couleur préférée",)


@pytest.mark.parametrize(
    "line",
    [
        CAMILLE + "|",
        CAMILLE.replace("LEFORT", '"LEFORT"'),
        CAMILLE.replace("CHU de l'Exemple", '"CHU ""de l\'Exemple"""'),
        CAMILLE.replace("CHU de l'Exemple", '"CHU | de l\'Exemple"'),
        CAMILLE.replace("LEFORT", "  LEFORT  "),
    ],
    ids=["a bar at the end", "quoted", "quotes in quotes", "a bar in quotes", "spaces"],
)
def test_oddities_of_writing_change_nothing(line: str) -> None:
    """Quotes, spaces and a last bar are writing, not content."""
    assert listing_in(line).family == "LEFORT"


def test_a_line_that_slipped_into_another_encoding_is_read_and_counted() -> None:
    """One é in Latin-1 must not cost a hospital its address."""
    said = read(CAMILLE.encode("cp1252"))
    assert said.slipped
    assert isinstance(said.values[0], Listing)
    assert said.values[0].profession is not None
    assert said.values[0].profession.label == "Médecin"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (CAMILLE.replace("899900000011", "899900000012"), "RPPS"),
        (CAMILLE.replace("|8|99900000011|899900000011|", "||||"), "national id"),
        (CAMILLE.replace("1999000003", "1999000004"), "FINESS"),
        (CAMILLE.replace("camille.lefort@ville.mssante.example", "camille@@ville"), "plain local part"),
        (CAMILLE.replace("camille.lefort@ville.mssante.example", "279035121518989@patient.mssante.example"), "patient"),
        (CAMILLE.replace("PER|", "XXX|"), "unknown kind"),
        (CAMILLE.replace("LEFORT", "LE\u202eFORT"), "direction"),
        (CAMILLE.replace("LEFORT", "L" * 251), "longer than"),
        (CAMILLE.replace("LEFORT", ""), "without its holder"),
        (CAMILLE.replace("|Camille", ""), "fields instead of"),
        (CAMILLE.replace("LEFORT", '"LEFORT|x'), "quote"),
        ("x" * (LINE_OCTETS_MAX + 1), "octets"),
        (b"PER|\x81\x8d", "neither UTF-8 nor Latin-1"),
    ],
)
def test_a_wrong_line_is_refused_by_name(line: str | bytes, why: str) -> None:
    """A bad key, a patient, a hidden mark: the line is left out, and the report says why."""
    said = read(line)
    assert why in said.refusal
    assert not said.values


def test_the_red_list_leaves_nothing() -> None:
    """Who asked not to be published is counted, and forgotten."""
    said = read(CAMILLE + "|O", HEADER + "|Liste rouge")
    assert said == Line(unlisted=True)


def test_a_file_without_addresses_is_another_file() -> None:
    """The wrong file is refused as a whole."""
    with pytest.raises(ValueError, match="not the correspondence file"):
        CorrespondenceReader().begin(b"Nom|Ville")


@pytest.mark.parametrize(
    ("code", "department"), [("20000", "2A"), ("20600", "2B"), ("97400", "974"), ("69003", "69"), ("x", "")]
)
def test_a_postal_code_lies_in_a_department(code: str, department: str) -> None:
    """Corsica and overseas too."""
    assert department_of(code) == department


@given(st.binary(max_size=400))
def test_garbage_is_refused_or_read_and_nothing_else(line: bytes) -> None:
    """No line stops an import."""
    said = read(line)
    assert said.refusal or said.values or said.unlisted or not line.strip()


@given(
    st.lists(st.text(max_size=20).filter(lambda text: "|" not in text and "\n" not in text), min_size=22, max_size=22)
)
def test_any_fields_are_refused_or_read(fields: list[str]) -> None:
    """The same, with as many fields as the first line."""
    said = read("|".join(fields))
    assert said.refusal or said.values
