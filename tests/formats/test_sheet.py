"""Sheets say of each message what its own summary and texts say, and garbage is our error."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mss.formats.sheet import Sheet
from mss.formats.summary import Section, joined, sections_of
from mss.formats.textsheet import Texts, TextSheet, can_look_for, text_sheet
from mss.model.errors import BadValue

NUMBER = st.integers(0, 2**63)
SECTIONS = st.lists(st.binary(max_size=20), min_size=len(Section), max_size=len(Section))
MESSAGES = st.dictionaries(NUMBER, st.tuples(NUMBER, NUMBER, NUMBER, NUMBER, SECTIONS), max_size=12)
WORDS = st.text(alphabet="aéß\0 İ\ud800", max_size=6)
TEXTS = st.builds(
    lambda header, bodies: Texts(header.casefold(), tuple(b.casefold() for b in bodies)),
    WORDS,
    st.lists(WORDS, max_size=3),
)


@given(MESSAGES)
def test_a_sheet_gives_back_every_row_and_summary(messages: dict[int, tuple[int, int, int, int, list[bytes]]]) -> None:
    """Also when it was octets in between."""
    told = sorted(messages.items())
    rows = [(uid, size, date, saved, message) for uid, (size, date, saved, message, _) in told]
    summaries = [joined(sections) for _, (*_, sections) in told]
    sheet = Sheet.from_bytes(Sheet.of(rows, summaries).to_bytes()) if rows else Sheet.of_rows(rows)
    assert sheet.rows == rows
    if rows:
        assert sheet.summaries() == summaries
        for section in Section:
            assert sheet.column(section) == [sections_of(summary)[section] for summary in summaries]


@given(st.lists(TEXTS, max_size=8), WORDS, st.booleans())
@example([Texts("", ("é",)), Texts("a", ())], "éa", False)
def test_a_sheet_of_texts_answers_as_each_message_would(texts: list[Texts], word: str, header_too: bool) -> None:
    """Neither more nor less, whatever stands at the end of one text and the beginning of the next."""
    wanted = word.casefold()
    if not can_look_for(wanted):
        return
    uids = [3 * number + 1 for number in range(len(texts))]
    sheet = TextSheet.from_bytes(text_sheet(uids, [one.to_bytes() for one in texts]))
    said = [uid for uid, one in zip(uids, texts, strict=True) if one.say(wanted, header_too=header_too)]
    assert sheet.saying(wanted, header_too=header_too) == said


@given(st.binary(max_size=300), st.integers(0, 300))
def test_garbage_is_refused_with_our_own_error(garbage: bytes, at: int) -> None:
    """Also a sheet that was cut short."""
    whole = Sheet.of([(1, 2, 3, 4, 5)], [joined([b"x"] * len(Section))]).to_bytes()
    texts = text_sheet([1, 2], [(b"a", b"\0b"), (b"", b"\0c")])
    for octets in (garbage, whole[:at], whole[:8] + garbage, texts[:at], texts[:8] + garbage):
        for read in (Sheet.from_bytes, TextSheet.from_bytes):
            try:
                read(octets)
            except BadValue:
                continue


def test_a_sheet_of_another_version_is_refused() -> None:
    """So that whoever reads it opens the messages instead."""
    octets = Sheet.of([(1, 2, 3, 4, 5)], [joined([b"x"] * len(Section))]).to_bytes()
    with pytest.raises(BadValue):
        Sheet.from_bytes(b"\2" + octets[1:])
