"""What is remembered of Content-* fields, and the short ways, change nothing of what is said of a message."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.formats import mime
from mss.formats.common import common_mime
from mss.formats.headers import _decoded, decode_words, first_address, parse_addresses, plain
from mss.formats.mime import scan
from mss.formats.parts import CommonMime, Mime, decode_body
from mss.formats.summary import Summary, summarise
from mss.formats.transfer import decode_quoted_printable
from mss.model.errors import Malformed

TYPES = (
    *(
        b"text/plain",
        b"TEXT/Html",
        b"message/rfc822",
        b"multipart/mixed",
        b"application/pdf",
        b"image/png",
        b"text",
        b"",
    ),
    *(b"x-y/z", b"text/plain (c)", b"text /plain", b"text/pl\xe9in"),
)
PARAMETERS = (
    *(b"charset=utf-8", b'charset="iso-8859-1"', b"CHARSET=x", b"charset=", b'charset="a', b"charset*=utf-8''x"),
    *(b"format=flowed", b"delsp=yes", b"name=a.pdf", b"boundary=a", b"(c)", b"charset=a b", b""),
)
ENCODINGS = (b"7bit", b"8BIT", b"base64", b"quoted-printable", b"base64 (c)", b"x-y", b"")
OTHERS = (
    *(b"Content-ID: <a@b>", b"Content-Disposition: inline", b"Content-Length: 3", b"MIME-Version: 1.0"),
    *(b"From: =?utf-8?q?=C3=A9?= <a@b.example>", b"To: a@b.example, c", b"Subject: x", b"Content-Type: text/html"),
)
BODIES = (b"=C3=A9t=\r\n=C3=A9 \r\n", b"une ligne=20\r\n", b"--a\r\n", b"\r\n", b"QUJD\r\n", b"\xe9\xa0 =")


@st.composite
def fields(draw: st.DrawFn) -> bytes:
    """A header with Content-* fields as they come, and as they never should."""
    joint = draw(st.sampled_from((b";", b"; ", b" ; ", b";\r\n ", b"")))
    kind = joint.join([draw(st.sampled_from(TYPES)), *draw(st.lists(st.sampled_from(PARAMETERS), max_size=4))])
    encoding = draw(st.sampled_from(ENCODINGS))
    gap = draw(st.sampled_from((b"", b" ", b"\r\n ", b"  ")))
    lines = [b"Content-Type:" + gap + kind, b"Content-Transfer-Encoding:" + gap + encoding]
    lines += draw(st.lists(st.sampled_from(OTHERS), max_size=3))
    return b"".join(line + b"\r\n" for line in draw(st.permutations(lines))) + b"\r\n"


MAIL = st.tuples(fields(), st.lists(st.sampled_from(BODIES) | fields(), max_size=80)).map(
    lambda mail: mail[0] + b"".join(mail[1])
)


def told(raw: bytes) -> Summary | None:
    try:
        return summarise(raw, scan(raw))
    except Malformed:
        return None


@given(MAIL)
def test_who_remembers_says_what_who_reads_says(raw: bytes) -> None:
    """To the octet, however the fields are written."""
    remembering = told(raw)
    with patch.object(mime, "common_mime", return_value=None):
        reading = told(raw)
    assert remembering == reading
    assert remembering is None or reading is None or remembering.to_bytes() == reading.to_bytes()


@given(st.lists(st.sampled_from(BODIES), max_size=60).map(b"".join), st.integers(1, 600))
def test_the_beginning_of_a_text_is_decoded_as_the_whole_is(body: bytes, octets_max: int) -> None:
    """Though only its first lines are looked at."""
    raw = b"Content-Transfer-Encoding: quoted-printable\r\nContent-Type: text/plain\r\n\r\n" + body
    assert decode_body(raw, scan(raw).root, octets_max) == decode_quoted_printable(body)[:octets_max]


@given(st.text(alphabet="=?utf8*-qB_ éA\n", max_size=30) | st.sampled_from(("=?utf-8?b?w6k=?=", "=?*fr?q?=C3=A9?=")))
def test_one_encoded_word_alone_is_one_among_others(text: str) -> None:
    """Names and subjects."""
    assert decode_words(text) == (plain("".join(_decoded(text))) if "=?" in text else plain(text))


@given(st.text(alphabet='ab@.<>,;:"() ', max_size=40).map(str.encode))
def test_the_first_address_is_the_first_of_all(value: bytes) -> None:
    """And none is none."""
    assert [first_address(value)] == [*parse_addresses(value), None][:1]


@pytest.mark.parametrize(
    "said",
    [
        {b"type": b' application/pdf; name="Marie Durand.pdf"'},
        {b"type": b" multipart/mixed; boundary=secret"},
        {b"type": b" text/plain; charset=utf-8; x-patient=Durand"},
        {b"type": b" text/plain", b"id": b" <durand@labo.example>"},
        {b"type": b" text/plain", b"description": b" Durand"},
        {b"type": b" text/plain", b"transfer-encoding": b" durand"},
        {b"type": b" text/plain", b"disposition": b" attachment; filename=durand.txt"},
    ],
)
def test_nothing_that_tells_of_a_message_is_remembered(said: dict[bytes, bytes]) -> None:
    """Names, ids, boundaries, and whatever we do not know."""
    assert common_mime(said) is None


def test_what_everybody_says_is_remembered_once() -> None:
    """One object for all who say it."""
    said = {b"type": b" text/plain; charset=utf-8", b"transfer-encoding": b" quoted-printable"}
    one = common_mime(said)
    assert isinstance(one, CommonMime)
    assert one is common_mime(dict(said))
    assert one == Mime(b"text", b"plain", ((b"charset", b"utf-8"),), encoding=b"quoted-printable")
