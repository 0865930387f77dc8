"""Names survive the wire, and LIST patterns match what they say, in time."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.imap.names import BadName, Pattern, check_new_name, decode_utf7, encode_utf7, read_name

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(NAMES)
def test_every_name_survives_the_wire(name: str) -> None:
    """Modified UTF-7 there and back, printable ASCII on the way (RFC 3501 §5.1.3)."""
    wire = encode_utf7(name)
    assert all(0x20 <= octet <= 0x7E for octet in wire)
    assert decode_utf7(wire) == name


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("INBOX", b"INBOX"),
        ("Envoyés", b"Envoy&AOk-s"),
        ("A&B", b"A&-B"),
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
        ("😀", b"&2D3eAA-"),
    ],
)
def test_known_spellings(name: str, wire: bytes) -> None:
    """Examples of the RFC and of our folders."""
    assert encode_utf7(name) == wire
    assert read_name(wire) == name


@pytest.mark.parametrize(
    "wire",
    [b"&", b"a&b", b"&AOk", b"&AO-", b"&A-", b"&AGE-", b"&AOkAYQ-", b"&AOk-&AOk-", b"caf\xe9", b"&2D0-", b"&!!-"],
)
def test_broken_or_second_spellings_are_refused(wire: bytes) -> None:
    """One name has one spelling; two folders that look alike would be a trap."""
    with pytest.raises(BadName):
        read_name(wire)


@given(st.binary(max_size=30))
def test_what_is_read_is_written_back_the_same(wire: bytes) -> None:
    """Whatever octets are taken as a name are that name's only spelling."""
    try:
        name = decode_utf7(wire)
    except BadName:
        return
    if wire.isascii() and all(octet >= 0x20 and octet != 0x7F for octet in wire):
        assert encode_utf7(name) == wire


def test_inbox_is_inbox_in_any_case() -> None:
    """RFC 9051 §5.1, and for what lies below it."""
    assert read_name(b"inBOX") == "INBOX"
    assert read_name(b"inbox/x") == "INBOX/x"
    assert read_name(b"inboxes") == "inboxes"


@pytest.mark.parametrize("name", ["", "/", "a//b", "a/", "/a", "a*", "a%b", "a\nb", "x" * 501, "/".join("a" * 21)])
def test_names_that_no_folder_can_have(name: str) -> None:
    """Empty levels, wildcards, control characters, too long, too deep."""
    with pytest.raises(BadName):
        check_new_name(name)


def _slow_match(pattern: str, name: str) -> bool:
    parts = [{"*": ".*", "%": "[^/]*"}.get(piece, re.escape(piece)) for piece in re.split(r"([*%])", pattern)]
    return re.fullmatch("".join(parts), name, re.DOTALL) is not None


@given(st.text("ab/*%", max_size=8), st.text("ab/", max_size=10))
def test_patterns_match_as_regular_expressions_would(pattern: str, name: str) -> None:
    """`*` crosses levels, `%` does not."""
    assert Pattern("", pattern).matches(name) == _slow_match(pattern, name)


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    """A regular expression would walk for years here."""
    began = time.perf_counter()
    assert not Pattern("", "*a" * 100 + "b").matches("a" * 500)
    assert not Pattern("", "%a" * 100 + "b").matches("a" * 500)
    assert time.perf_counter() - began < 1
