"""Which names are what they show? A table: honest ones of many languages pass, disguises are told and shown as such."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.model.lookalikes import UNKNOWN_LETTER, Trick, shown, tricks_of

HONEST = (
    "Dr Camille LEFORT",
    "Zoë Ångström",
    "Anne-Cécile d’Aubigné",
    "Loïc Le Gall-Kerc'h",
    "Nolwenn C’hoarvian",
    "Erwan Plañsoen",
    "Ghjuvan Battista Ghjacumini",
    "Petru Antone Zìvucci",
    "Marie-Hélène Œuvrard",
    "Łukasz Żółć",
    "Øystein Þórðarson",
    "Jiří Dvořák",
    "Ștefan Țurcanu",
    "Ayşe Yıldırım",
    "Ahmet Aydın",
    "Đặng Thị Ngọc Ánh",
    "Nguyễn Văn Phượng",
    "Dr Γιώργος Παπαδόπουλος",
    "Άννα Παπαδοπούλου",
    "ΑΝΝΑ ΠΑΠΑΔΟΠΟΥΛΟΥ",
    "Наталья Воронцова",
    "Олена Шевченко",
    "Арам Хачатрян",
    "Արամ Խաչատրյան",
    "محمد بن علي",
    "فاطمة الزهراء",
    "علی\u200cرضا محمدی",
    "שרה כהן",
    "שָׂרָה לֵוִי",
    "王小明",
    "たなか 花子",
    "タナカ太郎",
    "김민수",
    "अनिता शर्मा",
    "สมชาย ใจดี",
    "ნინო გელაშვილი",
    "ሰላም ተስፋዬ",
    "Dr Γιώργος Παπαδόπουλος (Giorgos Papadopoulos)",
    "王小明 (Wang Xiaoming)",
    "Kader Ɔkɔɔ",
    "Laboratoire Bélanger & Fils, site n° 2",
    "1er étage – CHU (Hôtel-Dieu)",
    "Vocalise\u0301 Décompose\u0301",
    "Mª José Núñez",
    "",
)
"""Every one of them is somebody's."""

DISGUISED = (
    ("Dr C\u0430mille LEFORT", Trick.MIXED, f"Dr C{UNKNOWN_LETTER}mille LEFORT"),
    ("Camille LEF\u041eRT", Trick.MIXED, f"Camille LEF{UNKNOWN_LETTER}RT"),
    ("Camille L\u0395FORT", Trick.MIXED, f"Camille L{UNKNOWN_LETTER}FORT"),
    ("Anne \u0420\u0415\u0422\u0406\u0422", Trick.LOOKALIKE, f"Anne {UNKNOWN_LETTER * 5}"),
    ("\u0410\u0432\u0440\u043e\u0440", Trick.LOOKALIKE, UNKNOWN_LETTER * 5),
    ("Dr \u0410\u039d\u039d\u0410 Martin", Trick.MIXED, f"Dr {UNKNOWN_LETTER * 4} Martin"),
    ("\u0391\u039d\u039d\u0391 MARTIN", Trick.LOOKALIKE, f"{UNKNOWN_LETTER * 4} MARTIN"),
    ("Marie \u0555\u054d\u054d", Trick.LOOKALIKE, f"Marie {UNKNOWN_LETTER * 3}"),
    ("Dr\u202e TROFEL", Trick.DIRECTION, "Dr TROFEL"),
    ("\u2067Camille\u2069", Trick.DIRECTION, "Camille"),
    ("Cam\u200bille", Trick.INVISIBLE, "Camille"),
    ("Cam\u200dille", Trick.INVISIBLE, "Camille"),
    ("Cam\u00adille", Trick.INVISIBLE, "Camille"),
    ("Camille\ufeff", Trick.INVISIBLE, "Camille"),
    ("Camille\u3164LEFORT", Trick.INVISIBLE, "CamilleLEFORT"),
    ("Camille\u2800LEFORT", Trick.INVISIBLE, "CamilleLEFORT"),
    ("Camille\ufe0f LEFORT", Trick.INVISIBLE, "Camille LEFORT"),
    ("Camille\x00", Trick.INVISIBLE, "Camille"),
    ("\U0001d402amille", Trick.LOOKALIKE, f"{UNKNOWN_LETTER}amille"),
    ("\uff23amille", Trick.LOOKALIKE, f"{UNKNOWN_LETTER}amille"),
    ("\u24b8amille", Trick.LOOKALIKE, f"{UNKNOWN_LETTER}amille"),
    ("C\u0251mille", Trick.LOOKALIKE, f"C{UNKNOWN_LETTER}mille"),
    ("\u13df\u13aa\u13b7", Trick.LOOKALIKE, UNKNOWN_LETTER * 3),
    ("\ua4d1\ua4ee", Trick.LOOKALIKE, UNKNOWN_LETTER * 2),
    ("Z\u0300\u0301\u0302\u0303\u0304\u0305algo", Trick.STACKED, None),
)


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_name_passes_as_it_is(name: str) -> None:
    """In whatever language people are called."""
    assert tricks_of(name) == frozenset()
    assert shown(name) == name


@pytest.mark.parametrize(("name", "trick", "neutral"), DISGUISED)
def test_a_disguise_is_told_and_cannot_be_read_as_the_name(name: str, trick: Trick, neutral: str | None) -> None:
    """Look-alike letters become squares, what is hidden goes."""
    assert trick in tricks_of(name)
    assert shown(name) != name
    if neutral is not None:
        assert shown(name) == neutral


@given(st.text(max_size=80))
def test_what_is_shown_has_nothing_hidden(name: str) -> None:
    """Whatever comes in; and showing it again changes nothing."""
    once = shown(name)
    assert not tricks_of(once) & {Trick.DIRECTION, Trick.INVISIBLE, Trick.STACKED}
    assert shown(once) == once
