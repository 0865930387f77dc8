"""Labels that name her, somebody else, or nobody: the table."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.bridge.names import Called, label_of_file, label_of_subject, names_another

ZOE = Called(("MARCHAND-ESSAI", "ÉCHANTILLON"), ("Zoé", "Anne-Lise", "Maud"), date(1990, 2, 3))

HERS = [
    "CR de biologie MARCHAND-ESSAI Zoé 03/02/1990",
    "CR de biologie MARCHAND ESSAI ZOE",
    "IRM du genou marchand-essai zoé",
    "ECBU ÉCHANTILLON Zoé",
    "CR ECHANTILLON Anne Lise",
    "CR MARCHAND-ESSAI",
    "Zoé MARCHAND-ESSAI",
]
NOBODYS = ["Compte rendu", "CR de biologie", "IRM cérébrale", "Résultats du 5 mai", "", "VSM", "12/99/1990"]
TITLES = [
    "COMPTE RENDU HOSPITALISATION",
    "COMPTE RENDU D'HOSPITALISATION",
    "COMPTE-RENDU OPÉRATOIRE",
    "LETTRE DE LIAISON DE SORTIE",
    "BILAN SANGUIN du 3 mars",
    "COMPTE RENDU IRM DU GENOU",
    "RÉSULTATS DE BIOLOGIE MÉDICALE",
    "CERTIFICAT MÉDICAL Vaccination",
    "CR ECHOGRAPHIE ABDOMINALE ET PELVIENNE",
    "SÉROLOGIE VIH",
]
"""In capitals, and of nobody."""
ANOTHERS = [
    "CR de biologie L'EPREUVE Hugo 30/11/1958",
    "CR MARCHAND Zoé",
    "CR MARCHAND-ESSAI Hugo",
    "CR MARCHAND-ESSAI Zoé 03/02/1991",
    "cr de biologie dupont jean 30/11/1958",
    "COMPTE RENDU DUPONT JEAN",
    "CR d imagerie medicale CORSE FIGATELLIX",
    "COMPTE RENDU HOSPITALISATION DUPONT Jean",
    "COMPTE RENDU HOSPITALISATION DUPONT JEAN",
    "COMPTE RENDU DE L'EPREUVE HUGO",
    "BILAN Hugo",
    "HOSPITALISATION RENDU Marie",
    "COMPTE RENDU LE BIHAN Anne",
    "LETTRE DE SORTIE DE BOISJOLI Marc",
    "CR DIABETE LEROUGE Anne",
    "COMPTE RENDU MOT-INCONNU GENOU",
]


@pytest.mark.parametrize("label", HERS + NOBODYS + TITLES)
def test_a_label_that_is_hers_or_nobodys(label: str) -> None:
    """Birth name or the one in use, any first name, any keyboard; or no name at all."""
    assert not names_another(label, (ZOE,))


@pytest.mark.parametrize("label", ANOTHERS)
def test_a_label_that_names_somebody_else(label: str) -> None:
    """Another family, a brother, another birth date."""
    assert names_another(label, (ZOE,))


@pytest.mark.parametrize(
    ("subject", "label"),
    [
        ("XDM/1.0/DDM+CR X Y", "CR X Y"),
        ("Tr: xdm/1.0/ddm +CR X Y", "CR X Y"),
        ("Bonjour DUPONT Jean", ""),
        ("XDM/1.0/DDM", ""),
    ],
)
def test_only_the_form_that_ans_gives_is_read(subject: str, label: str) -> None:
    """An ordinary subject may name whom it likes."""
    assert label_of_subject(subject) == label


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("20260105_CR_X_Y_12.pdf", "CR X Y 12"),
        ("20260105_CR_X_Y.PDF", "CR X Y"),
        ("X_Y.pdf", ""),
        ("20260105_.zip", ""),
    ],
)
def test_the_same_of_files(name: str, label: str) -> None:
    """Date, type, name, first name, number."""
    assert label_of_file(name) == label


def test_whose_names_are_not_known_is_not_excused() -> None:
    """Nobody is known: a label that names somebody names somebody else."""
    assert names_another("CR DUPONT Jean", ())
    assert not names_another("Compte rendu", ())


@given(st.text(max_size=3000))
def test_any_text_is_answered(text: str) -> None:
    """Subjects are strangers' texts."""
    assert names_another(label_of_subject("XDM/1.0/DDM+" + text), (ZOE,)) in (True, False)
