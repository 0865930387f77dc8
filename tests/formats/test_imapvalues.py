"""Answers of other IMAP servers become values, octets untouched; garbage becomes our error."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.formats.imapvalues import pairs, read_values
from mss.model.errors import BadValue


def test_an_answer_to_fetch() -> None:
    """Flags, a date in quotes, a literal that looks like an answer, NIL."""
    raw = b') "\\* 1 FETCH (\r\n{3}'
    pieces = (b'12 FETCH (FLAGS (\\Seen $L1) INTERNALDATE "17-Jul \\"1996" BODY[] {19}', raw, b" X NIL UID 5)")
    values = read_values(pieces)
    assert values[:2] == ["12", "FETCH"]
    told = pairs(values[2])
    assert told == {
        "FLAGS": ["\\Seen", "$L1"],
        "INTERNALDATE": b'17-Jul "1996',
        "BODY[]": raw,
        "X": None,
        "UID": "5",
    }


@pytest.mark.parametrize("line", [b"(", b")", b'"', b"(()", b"(" * 60 + b")" * 60])
def test_what_is_no_answer_is_refused(line: bytes) -> None:
    """By name, and without recursion."""
    with pytest.raises(BadValue):
        read_values([line])


@given(st.lists(st.binary(max_size=40) | st.text('() "{}\\a1', max_size=20).map(str.encode), max_size=5))
def test_garbage_gives_our_error_only(pieces: list[bytes]) -> None:
    """Whatever a server says."""
    with suppress(BadValue):
        read_values(pieces)
