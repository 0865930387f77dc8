"""When are two names one name, and what does METADATA claim?"""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.bridge.claims import Claimed, fold, ins_of_cx, of_metadata
from mss.formats import xdmwrite
from mss.formats.cda import read_header
from mss.model.people import Sex
from tests.kit.documents import HUGO, ZOE, make_cda


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("MARCHAND-ESSAI", "Marchand Essai"),
        ("L'ÉPREUVE", "L’EPREUVE"),
        ("L'ÉPREUVE", "l epreuve"),
        ("Zoé", "ZOE"),
        ("Zoe\u0301", "ZOÉ"),
        ("FRANÇOIS", "Francois"),
        ("LE\u00a0GOFF", "Le  Goff"),
        ("CŒUR", "Coeur"),
        ("LÆTITIA", "Laetitia"),
        ("STRAẞE", "strasse"),
        ("JEAN‑PIERRE", "Jean-Pierre"),
    ],
)
def test_spellings_of_one_name_are_one_name(one: str, other: str) -> None:
    """Case, accents, and the choice of hyphen, blank or apostrophe are a keyboard's, not a person's."""
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("DUPONT", "DUPOND"),
        ("LEFEVRE", "LEFEBVRE"),
        ("DARTAGNAN", "D'ARTAGNAN"),
        ("MARTIN", "MARTIN-DURAND"),
        ("Jean", "Jean-Pierre"),
        ("ANNE", "ANNA"),
        ("Marie", "Marie 2"),
    ],
)
def test_other_names_are_other_names(one: str, other: str) -> None:
    """Nothing fuzzier: two people are told apart by one letter."""
    assert fold(one) != fold(other)


@given(st.text(max_size=40))
def test_folding_is_stable(name: str) -> None:
    """A folded name is its own folded form, whatever was typed."""
    once = fold(name)
    assert fold(once) == once


def test_metadata_of_our_own_writer_says_the_birth_identity() -> None:
    """Birth name (not the one in use), first name, date, sex and birth place."""
    header = read_header(make_cda(ZOE))
    info = xdmwrite.entry_from_cda(header, b"", entry_uuid="urn:uuid:1").source_patient_info
    expected = Claimed("MARCHAND-ESSAI", "Zoé", date(1990, 2, 3), Sex.FEMALE, "99999")
    assert of_metadata(info, untyped_name_counts=False) == expected


def test_a_name_without_type_counts_only_where_nothing_says_it_better() -> None:
    """It may be the name in use."""
    info = ("PID-5|ÉCHANTILLON^Zoé",)
    assert of_metadata(info, untyped_name_counts=True).birth_name == "ÉCHANTILLON"
    assert of_metadata(info, untyped_name_counts=False) == Claimed()


@pytest.mark.parametrize("line", ["", "PID-5", "PID-5|", "PID-7|19901345", "PID-8|X", "PID-11|^^^", "|||", "^^^^"])
def test_broken_metadata_claims_nothing(line: str) -> None:
    """Garbage is no trait."""
    assert of_metadata((line,), untyped_name_counts=True) == Claimed()


def test_a_local_number_is_no_ins() -> None:
    """Only authorities that assign an INS count."""
    assert ins_of_cx("IPP-1^^^&1.2.250.1.999.1&ISO^PI") is None
    assert ins_of_cx("") is None
    claim = ins_of_cx(f"{HUGO.ins.value.lower()}^^^&{HUGO.ins.oid.value}&ISO^NH")
    assert claim is not None
    assert claim.is_of(HUGO.ins)
