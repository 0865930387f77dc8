"""What is written can be read again, by whoever reads as the RFC says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.imap import responses
from mss.imap.backend import FolderProblem
from mss.imap.replies import REPLIES, Problem, problem_of
from mss.imap.tokens import Cursor

FIRST, LAST = datetime(1900, 1, 2, tzinfo=UTC), datetime(9998, 12, 30, tzinfo=UTC)


@given(st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None)))
def test_dates_are_those_of_the_calendar(naive: datetime) -> None:
    """INTERNALDATE without strftime, for every day that a client may name; our own grammar reads it back."""
    moment = naive.replace(tzinfo=UTC, microsecond=0)
    ms = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    text = responses.date_time(ms)
    assert text == moment.strftime('"%d-%b-%Y %H:%M:%S +0000"').replace('"0', '" ').encode()
    assert Cursor(text).date_time() == moment


@given(st.binary(max_size=60))
def test_strings_come_back(text: bytes) -> None:
    """Quoted or literal, a parser finds the same octets."""
    wire = responses.string(text)
    if wire.startswith(b"{"):
        assert wire == b"{%d}\r\n%b" % (len(text), text)
    else:
        assert Cursor(wire).string() == text
        assert wire.isascii()


def test_long_strings_are_literals() -> None:
    """Some clients read quoted strings into small buffers."""
    assert responses.string(b"x" * 5000).startswith(b"{5000}")


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("INBOX", b"INBOX"),
        ("a b", b'"a b"'),
        ('a"b', b'"a\\"b"'),
        ("nil", b'"nil"'),
        ("été", b"&AOk-t&AOk-"),
        ("", b'""'),
    ],
)
def test_names_of_folders(name: str, wire: bytes) -> None:
    """Atoms where possible, quoted elsewhere, never a bare NIL."""
    assert responses.folder_name(name) == wire


def test_search_answers() -> None:
    """RFC 3501, RFC 7162 and RFC 4731; nothing found leaves MIN, MAX and ALL out."""
    assert responses.search([]) == b"* SEARCH\r\n"
    assert responses.search([2, 5], 17) == b"* SEARCH 2 5 (MODSEQ 17)\r\n"
    options = frozenset({"MIN", "MAX", "ALL", "COUNT"})
    text = responses.esearch('a"', [2, 3, 4, 9], options, uid=True, modseq=None)
    assert text == b'* ESEARCH (TAG "a\\"") UID MIN 2 MAX 9 ALL 2:4,9 COUNT 4\r\n'
    assert responses.esearch("a", [], options, uid=False, modseq=3) == b'* ESEARCH (TAG "a") COUNT 0\r\n'


def test_copies_are_told_in_pairs() -> None:
    """COPYUID's sets have the same order (RFC 4315 §3)."""
    assert responses.copied(7, [(1, 11), (2, 12), (9, 13)]) == b"COPYUID 7 1:2,9 11:13"


def test_every_problem_has_its_words() -> None:
    """No refusal is forgotten, and none shows our inside."""
    assert set(REPLIES) == set(Problem)
    for reply in REPLIES.values():
        assert reply.status in ("NO", "BAD")
        assert "mss" not in reply.text.lower()
    for problem in FolderProblem:
        assert problem_of(problem) in REPLIES
