"""In which language does a page speak? No sentence is forgotten in the other one."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from babel.messages.extract import extract

from mss.web import words
from mss.web.words import preferred, read_catalogue, words_of

WEB = Path(words.__file__).parent
AT = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
FR, EN = words_of("fr"), words_of("en")
Sentence = str | tuple[str, ...]


def said() -> set[tuple[str, ...]]:
    """Every sentence of templates and code, as gettext finds them."""
    found: set[tuple[str, ...]] = set()
    for path in WEB.rglob("*"):
        if path.suffix == ".html":
            method, keywords = "jinja2.ext:babel_extract", {"_": None, "gettext": None, "ngettext": (1, 2)}
            options = {"newstyle_gettext": "true", "silent": "false"}
        elif path.suffix == ".py":
            method, keywords, options = "python", {"N_": None}, {}
        else:
            continue
        with path.open("rb") as file:
            for _, sentence, _, _ in extract(method, file, keywords=keywords, options=options):
                found.add(sentence if isinstance(sentence, tuple) else (sentence,))
    return found


def placeholders(sentence: str) -> list[str]:
    return sorted(re.findall(r"%\(\w+\)s|<[^>]+>", sentence))


def test_every_sentence_is_translated_and_no_translation_is_left_over() -> None:
    """Who adds a sentence adds its English."""
    sentences = said()
    assert len(sentences) > 100
    catalogue = read_catalogue("en")
    assert sorted(first for first, *_ in sentences if first not in catalogue) == []
    assert sorted(set(catalogue) - {first for first, *_ in sentences}) == []


def test_a_translation_names_what_the_sentence_names() -> None:
    """The same placeholders and marks, and a plural where there is one."""
    catalogue = read_catalogue("en")
    for sentence in said():
        translated = catalogue[sentence[0]]
        assert len(translated) == len(sentence), sentence
        for one in translated:
            assert placeholders(one) == placeholders(sentence[0]), sentence


def test_the_numbers_to_call_stand_in_every_language() -> None:
    """The emergency line is never lost in translation."""
    lines = [sentence for sentence in read_catalogue("en") if "urgence" in sentence]
    assert len(lines) == 2
    for line in lines:
        assert re.search("15 .. 112, 114", line)
        assert re.search("15 .. 112, 114", EN.gettext(line))


def test_dates_are_written_as_people_of_the_country_do() -> None:
    """Paris time, 24 hours, short months."""
    assert FR.moment(AT) == "22 nov. 2026 à 09:30"
    assert EN.moment(AT) == "22 Nov 2026 at 09:30"
    assert FR.day(AT) == FR.day(date(2026, 11, 22)) == "22 nov. 2026"
    assert FR.moment(datetime(2026, 7, 1, 8, 30, tzinfo=UTC)) == "1 juil. 2026 à 10:30"


def test_a_list_says_no_more_of_a_date_than_needed() -> None:
    """Today the hour, this year the day; the day is that of Paris."""
    assert FR.soon(AT, AT) == "09:30"
    assert FR.soon(datetime(2026, 11, 21, 23, 30, tzinfo=UTC), AT) == "00:30"
    assert FR.soon(datetime(2026, 1, 5, tzinfo=UTC), AT) == "5 janv."
    assert FR.soon(datetime(2025, 1, 5, tzinfo=UTC), AT) == "5 janv. 2025"


@pytest.mark.parametrize(("number", "french", "english"), [(0, "un", "many"), (1, "un", "one"), (2, "des", "many")])
def test_none_is_singular_in_french_only(number: int, french: str, english: str) -> None:
    """0 message, 0 messages."""
    assert words.Words("fr", {}).ngettext("un", "des", number) == french
    assert words.Words("en", {"un": ("one", "many")}).ngettext("un", "des", number) == english


def test_sizes_are_rounded_for_people() -> None:
    """Octets in French."""
    assert [FR.size(n) for n in (12, 345_600, 1_240_000)] == ["12\u00a0octets", "346\u00a0ko", "1,2\u00a0Mo"]
    assert EN.size(1_240_000) == "1.2\u00a0MB"


@pytest.mark.parametrize(
    ("wish", "language"),
    [
        ("", "fr"),
        ("en-GB,en;q=0.9,fr;q=0.8", "en"),
        ("fr;q=0.5, en;q=0.9", "en"),
        ("de,es;q=0.9", "fr"),
        ("en;q=0", "fr"),
        ("en;q=x,\x00;;;,", "fr"),
        ("x" * 100_000, "fr"),
    ],
)
def test_the_browser_may_ask_for_a_language(wish: str, language: str) -> None:
    """French when we speak none of its languages."""
    assert preferred(wish) == language
