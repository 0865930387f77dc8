"""The summary that is sealed beside a message."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.formats.mime import decode_text, scan
from mss.formats.summary import (
    PREVIEW_CHARACTERS_MAX,
    VERSION,
    Summary,
    body_of,
    bodystructure_of,
    envelope_of,
    headers_of,
    inline_texts,
    is_usual,
    locate,
    parts_of,
    summarise,
)
from mss.model.errors import BadValue
from tests.formats.test_mime import FORWARD, message

REPORT = """Return-Path: <bio@labo.mssante.example>
Received: from labo.mssante.example by chu.mssante.example; Sat, 21 Nov 2026 10:00:00 +0100
From: =?utf-8?q?Laboratoire_de_l=27h=C3=B4pital?= <bio@labo.mssante.example>
To: 279035121518989@patient.mssante.example
Subject: XDM/1.0/DDM
 =?utf-8?q?R=C3=A9sultats?=
Message-ID: <abc@labo.mssante.example>
X-MSS-INS: O
List-Id: biologie
DKIM-Signature: v=1
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Bonjour,

voici les r=C3=A9sultats.
--b
Content-Type: application/pdf; name="cr.pdf"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="cr.pdf"
Content-ID: <cr@labo>

JVBERg==
--b--
"""


def summary(text: str) -> Summary:
    raw = message(text)
    return summarise(raw, scan(raw))


def section(text: str, name: str) -> bytes | None:
    """The octets of an IMAP section, found by the summary alone."""
    raw = message(text)
    place = locate(summary(text).parts, name)
    return raw[place[0] : place[1]] if place is not None else None


def test_a_list_of_messages_reads_like_the_message() -> None:
    """Subject, author, first words and the paper clip."""
    told = summary(REPORT)
    assert told.subject == "XDM/1.0/DDM Résultats"
    assert (told.from_name, told.from_address) == ("Laboratoire de l'hôpital", "bio@labo.mssante.example")
    assert told.message_id == "<abc@labo.mssante.example>"
    assert told.preview == "Bonjour, voici les résultats."
    assert told.has_attachments


def test_the_usual_fields_are_kept_as_sent() -> None:
    """A client's list of headers is answered without opening the message; traces are not among them."""
    kept = summary(REPORT).headers
    assert b"Subject: XDM/1.0/DDM\r\n =?utf-8?q?R=C3=A9sultats?=\r\n" in kept
    assert b"X-MSS-INS: O\r\n" in kept
    assert b"List-Id: biologie\r\n" in kept
    assert b"Received" not in kept
    assert b"DKIM" not in kept
    assert is_usual(b"x-mss-nil")
    assert is_usual(b"references")
    assert not is_usual(b"received")


def test_a_part_is_found_and_decoded_from_its_entry() -> None:
    """The page that shows a message needs the table and the octets, no second scan."""
    raw = message(REPORT)
    parts = summary(REPORT).parts
    (text,) = inline_texts(parts)
    assert decode_text(raw, text) == "Bonjour,\r\n\r\nvoici les résultats."
    pdf = parts[-1]
    assert (pdf.path, pdf.content_type, pdf.filename, pdf.disposition, pdf.content_id, pdf.size) == (
        "2",
        "application/pdf",
        "cr.pdf",
        "attachment",
        "<cr@labo>",
        8,
    )


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("", b"From: Jeanne", b"epilogue\r\n"),
        ("HEADER", b"From: Jeanne", b'boundary="outer"\r\n\r\n'),
        ("TEXT", b"preamble", b"epilogue\r\n"),
        ("1", b"--inner\r\n", b"--inner--"),
        ("1.MIME", b"Content-Type: multipart/alternative", b"inner\r\n\r\n"),
        ("1.2", b"<p>", b"</p>"),
        ("2", b"From: Luc", b"--deep--\r\n"),
        ("2.MIME", b"Content-Type: message/rfc822", b"\r\n\r\n"),
        ("2.HEADER", b"From: Luc", b"boundary=deep\r\n\r\n"),
        ("2.TEXT", b"--deep\r\n", b"--deep--\r\n"),
        ("2.1", b"%PDF", b"%PDF"),
        ("2.1.MIME", b"Content-Type: application/pdf", b"\r\n\r\n"),
        ("3.HEADER", b"Subject: short", b"\r\n\r\n"),
        ("3.TEXT", b"hello", b"hello"),
        ("3.1", b"hello", b"hello"),
    ],
)
def test_imap_sections_are_found_without_a_scan(name: str, start: bytes, end: bytes) -> None:
    """RFC 9051 §6.4.5.1, for a message with messages in it."""
    octets = section(FORWARD, name)
    assert octets is not None
    assert octets.startswith(start)
    assert octets.endswith(end)


@pytest.mark.parametrize(
    "name", ["4", "1.3", "1.HEADER", "1.TEXT", "1.1.1", "MIME", "0", "2.1.TEXT", "1.MIMES", "x", "3.2"]
)
def test_a_section_that_is_not_there_is_none(name: str) -> None:
    """HEADER and TEXT belong to messages only."""
    assert section(FORWARD, name) is None


def test_a_message_of_one_part_has_section_1() -> None:
    """BODY[1] and BODY[TEXT] are the same octets."""
    text = "Subject: x\n\nhello"
    assert section(text, "1") == section(text, "TEXT") == b"hello"
    assert section(text, "HEADER") == b"Subject: x\r\n\r\n"
    assert section(text, "") == message(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Subject: x\n\nhello", False),
        ("Content-Type: text/html\n\n<p>hello", False),
        (
            "Content-Type: multipart/alternative; boundary=b\n\n--b\n\na\n--b\nContent-Type: text/html\n\nb\n--b--",
            False,
        ),
        ("Content-Type: text/plain\nContent-Disposition: inline\n\nhello", False),
        ("Content-Type: text/plain\nContent-Disposition: attachment\n\nhello", True),
        ("Content-Type: text/plain\nContent-Disposition: x-unknown\n\nhello", True),
        ("Content-Type: text/plain; name=a.txt\n\nhello", True),
        ("Content-Type: text/xml\n\n<ClinicalDocument/>", True),
        ("Content-Type: application/pdf\n\n%PDF", True),
        ("Content-Type: message/rfc822\n\nSubject: x\n\nhello", True),
        ("Content-Type: multipart/mixed; boundary=b\n\n--b\n\na\n--b\nContent-Type: image/png\n\nb\n--b--", True),
    ],
)
def test_anything_but_the_text_of_the_message_is_an_attachment(text: str, expected: bool) -> None:
    """What the bridge must look at before a patient sees the message."""
    assert summary(text).has_attachments is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n  hello \n\n world ", "hello world"),
        ("\n" + "mot " * 100, ("mot " * 100)[:PREVIEW_CHARACTERS_MAX]),
        (
            "Content-Type: text/html\n\n<html><head><title>t</title><style>p {x}</style></head>"
            "<body><!-- <p>no --><p>caf&eacute;<br>&amp; cr&egrave;me</p><script>alert(1)</script>!",
            "café & crème !",
        ),
        ("Content-Type: text/html\n\n<p>a<style>never closed", "a"),
        (
            "Content-Type: multipart/alternative; boundary=b\n\n--b\n\n \n--b\nContent-Type: text/html\n\n<b>x\n--b--",
            "x",
        ),
        ("Content-Type: message/rfc822\n\nSubject: s\n\nanother's words", ""),
        ("Content-Type: text/plain; name=a.txt\n\na file", ""),
        ("Content-Type: application/pdf\n\n%PDF", ""),
        ("\na\x07b\x1b[31m", "a b [31m"),
    ],
)
def test_the_preview_is_the_first_words_of_the_message_itself(text: str, expected: str) -> None:
    """Plain text before HTML, nothing of files and forwarded mail, no control characters."""
    assert summary(text).preview == expected


def test_a_summary_comes_back_whole() -> None:
    """What was sealed is what is read, and each slice alone is the same slice."""
    told = summary(FORWARD)
    octets = told.to_bytes()
    assert Summary.from_bytes(octets) == told
    assert envelope_of(octets) == told.envelope
    assert body_of(octets) == told.body
    assert bodystructure_of(octets) == told.bodystructure
    assert headers_of(octets) == told.headers
    assert parts_of(octets) == told.parts


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(st.tuples(text, text, text, text, text), st.binary(max_size=50), st.booleans())
def test_any_summary_comes_back_whole(texts: tuple[str, str, str, str, str], block: bytes, clip: bool) -> None:
    """Empty texts, any letters, any octets."""
    preview, subject, name, address, message_id = texts
    told = replace(
        summary(REPORT),
        envelope=block,
        preview=preview,
        subject=subject,
        from_name=name,
        from_address=address,
        message_id=message_id,
        has_attachments=clip,
    )
    assert Summary.from_bytes(told.to_bytes()) == told


@pytest.mark.parametrize(
    "octets", [b"", b"\x00", bytes([VERSION]), bytes([VERSION + 1]) + b"\0" * 100, bytes([VERSION]) + b"\0" * 24]
)
def test_other_octets_are_no_summary(octets: bytes) -> None:
    """A summary of another version is rendered again, never misread."""
    with pytest.raises(BadValue):
        Summary.from_bytes(octets)


def test_ten_thousand_envelopes_are_taken_out_in_a_blink() -> None:
    """A folder of 10,000 messages opens at once: under 10 µs each."""
    octets = summary(REPORT).to_bytes()
    best = 60.0
    for _ in range(3):
        begin = time.thread_time()
        for _ in range(10_000):
            envelope_of(octets)
        best = min(best, time.thread_time() - begin)
    assert best < 0.1
