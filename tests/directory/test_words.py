"""Names as people type them find names as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.directory.words import fold, parts, sound, words


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("LEFÈVRE", "lefevre"),
        ("Hœffler", "hoeffler"),
        ("Sæther", "saether"),
        ("Pat-Trois", "pat trois"),
        ("D’ARTAGNAN", "d artagnan"),
        ("  Le   Gall ", "le gall"),
        ("ﬁn", "fin"),
        ("Öztürk", "ozturk"),
        ("Ł", "l"),
        ("李", ""),
    ],
)
def test_a_name_is_folded_to_plain_letters(written: str, folded: str) -> None:
    """Accents, ligatures, hyphens and capitals keep nobody from being found."""
    assert fold(written) == folded


@pytest.mark.parametrize(
    "alike",
    [
        ("Lefèvre", "Lefebvre", "Lefevre"),
        ("Dupont", "Dupond", "Dupon"),
        ("Thibault", "Thibaud", "Tibo"),
        ("Philippe", "Filip"),
        ("Gauthier", "Gautier"),
        ("Renaud", "Renault", "Reynaud"),
        ("Henry", "Henri"),
        ("Rousseau", "Roussot"),
        ("Benoît", "Benoist"),
        ("Schmitt", "Schmidt"),
        ("Lemaître", "Lemetre"),
        ("Christophe", "Kristof"),
        ("Leroy", "Leroi"),
        ("Meyer", "Maier", "Mayer"),
    ],
)
def test_names_that_sound_alike_are_heard_alike(alike: tuple[str, ...]) -> None:
    """Who hears a name on the telephone finds its bearer."""
    assert len({sound(fold(name)) for name in alike}) == 1


def test_different_names_are_heard_as_different() -> None:
    """Sound-alikes are a help, not everybody."""
    names = ("martin", "bernard", "dubois", "moreau", "laurent", "garcia", "petit", "roux", "fournier", "dupont")
    assert len({sound(name) for name in names}) == len(names)


def test_a_double_name_is_found_by_each_part_and_as_one() -> None:
    """Madame Martin-Dupont answers to both names."""
    assert parts("MARTIN-DUPONT") == ["martin", "dupont", "martindupont"]
    assert parts("") == []


@given(st.text(max_size=300))
def test_any_text_is_folded_to_words_that_stay_as_they_are(text: str) -> None:
    """A fold of a fold is the same, so keys and questions meet; a sound is never empty."""
    assert fold(fold(text)) == fold(text)
    assert all(sound(word) for word in words(text))
