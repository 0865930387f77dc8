"""How is what a stranger wrote shown without deceiving anybody?"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.web import texts


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Dr\u202e gnorw\u202c PETIT", "Dr gnorw PETIT"),
        ("Dr\u2066\u2069\u200b\ufeff PETIT\r\nBcc: x", "Dr PETIT Bcc: x"),
        ("  Dr \t Anne   PETIT \x00", "Dr Anne PETIT"),
        ("Zoë Ångström – Łódź 北京", "Zoë Ångström – Łódź 北京"),
        ("x" * 300, "x" * 199 + "…"),
        ("\ud800lone", "lone"),
    ],
)
def test_a_name_cannot_turn_the_reading_direction_or_hide(written: str, shown: str) -> None:
    """What stays is what a person reads from left to right, on one line."""
    assert texts.one_line(written) == shown


@given(st.text(max_size=400))
def test_a_line_has_no_character_that_is_not_seen(text: str) -> None:
    """Whatever comes in."""
    line = texts.one_line(text)
    assert len(line) <= texts.SUBJECT_CHARS_MAX
    assert not {unicodedata.category(c) for c in line} & {"Cf", "Cc", "Cs", "Co", "Cn", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("subject", "topic"),
    [
        ("Re: Vos résultats", "Vos résultats"),
        ("RE : Re: TR: Vos résultats", "Vos résultats"),
        ("Résultats : Re: deux", "Résultats : Re: deux"),
        ("Re:", ""),
    ],
)
def test_a_conversation_keeps_its_topic(subject: str, topic: str) -> None:
    """Answers do not pile up `Re:`."""
    assert texts.topic(subject) == topic


def test_a_body_keeps_its_lines_and_loses_what_is_invisible() -> None:
    """Tables drawn with tabs survive, a right-to-left override does not."""
    assert texts.body("\r\nBonjour\u202e,\r\n\r\n\r\n\r\n\r\n\tvoilà\x07 \r\n") == "Bonjour,\n\n\n\tvoilà"


def test_a_quotation_under_an_answer_is_folded() -> None:
    """With its heading; a short one, or one in the middle, is part of what was said."""
    said = "Merci !\n\nLe 3 janv. 2026, le laboratoire a écrit :\n> un\n> deux\n> trois\n"
    assert texts.split_quotation(said) == (
        "Merci !",
        "Le 3 janv. 2026, le laboratoire a écrit :\n> un\n> deux\n> trois",
    )
    for whole in ("Oui\n> un\n> deux", "> un\n> deux\n> trois\nVoilà ma réponse.", "Bonjour"):
        assert texts.split_quotation(whole) == (whole, "")


@pytest.mark.parametrize(
    ("name", "media_type", "saved"),
    [
        ("résultat.pdf", "application/pdf", "résultat.pdf"),
        ("photo.JPG", "image/jpeg", "photo.jpg"),
        ("photo.pdf", "image/png", "photo.pdf.png"),
        ("C:\\Users\\x\\scan.tif", "image/tiff", "scan.tif"),
        ("../../etc/passwd", "", "passwd"),
        ("facture\u202efdp.exe", "application/pdf", "facturefdp.exe.pdf"),
        ("", "", "fichier"),
        ("...", "text/plain", "fichier.txt"),
        ("a" * 300 + ".pdf", "application/pdf", "a" * 116 + ".pdf"),
    ],
)
def test_a_file_is_saved_under_a_name_that_tells_its_type(name: str, media_type: str, saved: str) -> None:
    """No path, no disguise."""
    assert texts.file_name(name, media_type) == saved


@given(st.text(max_size=200), st.sampled_from(["", "application/pdf", "text/plain"]))
def test_any_name_makes_a_header_of_one_line(name: str, media_type: str) -> None:
    """And the true name comes back out of it (RFC 6266, RFC 8187)."""
    saved = texts.file_name(name, media_type)
    header = texts.disposition("attachment", saved)
    assert re.fullmatch(r"attachment; filename=\"[A-Za-z0-9 ._()-]+\"; filename\*=UTF-8''[!-~]*", header)
    assert unquote(header.rpartition("''")[2]) == saved
    assert "/" not in saved
    assert 0 < len(saved) <= texts.FILENAME_CHARS_MAX


@pytest.mark.parametrize(
    ("name", "mark"),
    [("Dr Anne PETIT", "AP"), ("Laboratoire Bélanger", "LB"), ("mairie", "M"), ("<b>", "?"), ("", "?"), ("Dr", "D")],
)
def test_a_mark_has_one_or_two_letters(name: str, mark: str) -> None:
    """Of the name, not of the title."""
    assert texts.initials(name) == mark
