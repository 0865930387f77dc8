"""Words, addresses, message ids and dates as strangers write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.formats.headers import (
    MESSAGE_IDS_MAX,
    HeaderAddress,
    decode_words,
    parse_address_list,
    parse_addresses,
    parse_date,
    parse_message_ids,
    unfold,
)
from mss.model.errors import Malformed
from mss.model.verdict import Reason


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"plain", "plain"),
        (b" =?utf-8?q?r=C3=A9sultat?= du 12", "résultat du 12"),
        (b"=?UTF-8?B?csOpc3VsdGF0?=", "résultat"),
        (b"=?iso-8859-1?Q?d=E9j=E0_vu?=", "déjà vu"),
        (b"=?utf-8?q?a?= =?utf-8?q?b?=\r\n =?utf-8?q?c?=", "abc"),
        (b"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        (b"=?utf-8?q?caf=C3?= =?utf-8?q?=A9?=", "café"),  # a character cut in two
        (b"=?utf-8?q?a?==?iso-8859-1?q?=E9?=", "aé"),
        (b"x=?utf-8?q?a?=y", "xay"),
        (b"=?utf-8*fr?q?a?=", "a"),
        (b"=?no-such?q?a=C3=A9?=", "aé"),
        (b"=?utf-8?q?a b?=", "a b"),
        (b"=?utf-8?x?a?= =?utf-8?q?a =?", "=?utf-8?x?a?= =?utf-8?q?a =?"),
        (b"raw \xe9 and \xc3", "raw é and Ã"),
        ("raw é".encode(), "raw é"),
        (b"a\r\n b\tc", "a b c"),
        (b"=?utf-8?q?a=0D=0ABcc:_x?=", "a Bcc: x"),  # no new line, no new header
        (b"=?utf-8?q?cr=E2=80=AEfdp.exe?=", "crfdp.exe"),
        (b"", ""),
        ("déjà =?utf-8?q?vu?=", "déjà vu"),
    ],
)
def test_words_are_shown_as_meant(value: bytes | str, expected: str) -> None:
    """RFC 2047, with what senders really do; no control character comes out."""
    assert decode_words(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("jm@chu.example", [("", "jm", "chu.example")]),
        ("Jeanne Martin <jm@chu.example>", [("Jeanne Martin", "jm", "chu.example")]),
        ('"Martin, Jeanne" <jm@chu.example>', [("Martin, Jeanne", "jm", "chu.example")]),
        ('"Martin \\"JM\\" Jeanne" <jm@chu.example>', [('Martin "JM" Jeanne', "jm", "chu.example")]),
        ("jm@chu.example (Jeanne Martin)", [("Jeanne Martin", "jm", "chu.example")]),
        ("Jeanne (Dr) Martin (cardio) <jm@chu.example>", [("Jeanne Martin", "jm", "chu.example")]),
        ("=?utf-8?q?Ren=C3=A9?= <r@chu.example>", [("René", "r", "chu.example")]),
        ("=?utf-8?q?a=2C_b=40c=2Eexample_=3C?= <r@chu.example>", [("a, b@c.example <", "r", "chu.example")]),
        ("<@r.example,@s.example:jm@chu.example>", [("", "jm", "chu.example")]),
        (
            "a@b.example, c@d.example,\r\n\te@f.example",
            [("", "a", "b.example"), ("", "c", "d.example"), ("", "e", "f.example")],
        ),
        (
            "équipe : a@b.example, c@d.example ; , e@f.example",
            [("", "a", "b.example"), ("", "c", "d.example"), ("", "e", "f.example")],
        ),
        ("a@b.example, équipe: c@d.example;", [("", "a", "b.example"), ("", "c", "d.example")]),
        ("undisclosed-recipients:;", []),
        (" , ,", []),
        ("", []),
        ("j . m @ chu . example", [("", "j.m", "chu.example")]),
        ('"j m"@chu.example', [("", "j m", "chu.example")]),
        ("jm@[192.0.2.1]", [("", "jm", "[192.0.2.1]")]),
        ("a@b.example <a@b.example>", [("a@b.example", "a", "b.example")]),
        ('"never closed <jm@chu.example>', [("never closed", "jm", "chu.example")]),
    ],
)
def test_addresses_are_read(value: str, expected: list[tuple[str, str, str]]) -> None:
    """RFC 5322 §3.4 with its obsolete forms; an encoded word never adds an address."""
    assert parse_addresses(value) == tuple(HeaderAddress(*each) for each in expected)


@pytest.mark.parametrize(
    "value",
    [
        "a@b.example c@d.example",
        "a@b@c.example",
        "<a@b.example> <c@d.example>",
        "a@b.example <c@d.example> e@f.example",
        "Jeanne <a@b.example, Luc <c@d.example>",
        "jeanne martin@chu.example",
        "jm",
        "<>",
        "@chu.example:",
        "(x) " * 1000 + "<a@b.example>",
    ],
)
def test_what_is_not_exactly_one_address_is_never_read_as_a_good_one(value: str) -> None:
    """Policy and reader may not see two different senders: in doubt there is no domain."""
    assert any(not (each.local and each.domain) for each in parse_addresses(value))


def test_a_stray_quote_or_comment_hides_no_address() -> None:
    """A second From behind an opening bracket that never closes is seen."""
    assert [each.address for each in parse_addresses("<a@b.example>(, <c@d.example>")] == ["a@b.example", "c@d.example"]
    assert [each.address for each in parse_addresses('<a@b.example>,", <c@d.example>')][-1] == "c@d.example"


def test_the_quick_way_and_the_thorough_way_agree() -> None:
    """Plain fields are read by one pattern; an empty comment sends the same field the long way."""
    for value in (
        b"a@b.example",
        b"A  B <a@b.example>",
        b'"A, B" <a@b.example>',
        b" <a.b@c.example> ",
        b"A. B <a@b-c.d>",
    ):
        assert parse_address_list(value) == parse_address_list(value + b" ()")


def test_groups_keep_their_marks_for_imap() -> None:
    """RFC 9051 §7.5.2: a group begins with its name and ends with nothing."""
    assert [tuple(each) for each in parse_address_list(b"team: a@b.example;, c@d.example")] == [
        (None, None, b"team", None),
        (None, None, b"a", b"b.example"),
        (None, None, None, None),
        (None, None, b"c", b"d.example"),
    ]


def test_too_many_addresses_are_refused_and_not_cut_off() -> None:
    """Nobody is silently left out of what policy judges."""
    assert len(parse_addresses("a@b.example," * 100)) == 100
    for value in ("a@b.example," * 101, "x: a@b.example," * 101, "g:;" * 300):
        with pytest.raises(Malformed) as refused:
            parse_addresses(value)
        assert refused.value.reason is Reason.TOO_MANY_ADDRESSES


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("<a@b.example>", ("<a@b.example>",)),
        ("<a@b>\r\n <c\r\n @d> junk <e@f>", ("<a@b>", "<c@d>", "<e@f>")),
        ("a@b.example", ()),
        ("<<a@b>>", ("<a@b>",)),
        ("<>", ()),
        ("<" + "a" * 2000 + ">", ()),
    ],
)
def test_message_ids_are_found_with_their_brackets(value: str, expected: tuple[str, ...]) -> None:
    """In-Reply-To and References, folded or dirty."""
    assert parse_message_ids(value) == expected


def test_of_many_references_the_nearest_are_kept() -> None:
    """A conversation of years still finds its parent."""
    ids = parse_message_ids(" ".join(f"<{n}@x>" for n in range(500)))
    assert len(ids) == MESSAGE_IDS_MAX
    assert ids[-1] == "<499@x>"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Sat, 21 Nov 2026 10:20:30 +0100", "2026-11-21T10:20:30+01:00"),
        ("21 Nov 2026 10:20 -0500", "2026-11-21T10:20:00-05:00"),
        ("Sat,21 nov 26 1:02:03 GMT (comment)", "2026-11-21T01:02:03+00:00"),
        ("Sat, 21 Nov 2026 10:20:30 EST", "2026-11-21T10:20:30-05:00"),
        ("Sat, 21 Nov 2026 10:20:60 -0000", "2026-11-21T10:20:59+00:00"),
        ("Sat, 21 Nov 2026 10:20:30 -0930", "2026-11-21T10:20:30-09:30"),
        ("21-November-1999 9.05 CEST", "1999-11-21T09:05:00+02:00"),
        ("21 Nov 99 10:20 Z", "1999-11-21T10:20:00+00:00"),
        ("21 Nov 2026 10:20:30", "2026-11-21T10:20:30+00:00"),
        ("Sat, 21 Nov 2026 10:20:30 +9999", "2026-11-21T10:20:30+00:00"),
    ],
)
def test_dates_are_read(value: str, expected: str) -> None:
    """RFC 5322 §3.3 and §4.3; an unknown zone counts as UTC."""
    date = parse_date(value)
    assert date is not None
    assert date.isoformat() == expected
    assert parse_date(value.encode()) == date


@pytest.mark.parametrize(
    "value", ["", "tomorrow", "31 Feb 2026 10:00 +0000", "1 Nov 0001 10:00 +0000", "2026-11-21T10:20:30Z"]
)
def test_what_is_no_date_is_none(value: str) -> None:
    """The house then uses the day of arrival."""
    assert parse_date(value) is None


@given(st.binary(max_size=300) | st.text(max_size=200))
def test_readers_of_headers_raise_nothing(value: bytes | str) -> None:
    """Any octets give an answer; a date can be compared with any other."""
    assert all(character >= " " for character in decode_words(value))
    for address in parse_addresses(value, limit=1000):
        assert isinstance(address.address, str)
    for message_id in parse_message_ids(value):
        assert message_id[0] == "<"
        assert message_id[-1] == ">"
    date = parse_date(value)
    assert date is None or date.astimezone(UTC) > datetime(1899, 1, 1, tzinfo=UTC)


@given(st.binary(max_size=200))
def test_an_unfolded_value_is_one_line(value: bytes) -> None:
    """What is written into another header cannot begin a new one."""
    assert not set(unfold(value)) & set(b"\r\n")
