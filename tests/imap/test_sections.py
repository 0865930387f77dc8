"""BODY[…] means the octets that RFC 9051 §6.4.5.1 says, in messages within messages, too."""

from __future__ import annotations

import pytest

from mss.formats.mime import scan
from mss.formats.summary import parts_of, summarise
from mss.imap.commands import Fetch, Section
from mss.imap.grammar import parse
from mss.imap.sections import cut, field_chooser, locate

INNER = b"Subject: innen\r\n\r\nInneres\r\n"
INNER_MULTI = (
    b"Subject: mehrteilig\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n"
    b"--i\r\n\r\neins\r\n--i\r\nContent-Type: text/html\r\n\r\n<p>zwei\r\n--i--\r\n"
)
MULTI = (
    b"Subject: aussen\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\nVorwort\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nText\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + INNER + b"\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\nX-Mime: ja\r\n\r\n" + INNER_MULTI + b"\r\n"
    b"--b--\r\nNachwort\r\n"
)  # fmt: skip
PLAIN = b"From: a@labo.mssante.example\r\nSubject: x\r\n y\r\nsubject: z\r\n\r\nHallo\r\n"


def section_of(item: str) -> Section:
    command = parse(f"t FETCH 1 {item}".encode()).command
    assert isinstance(command, Fetch)
    (section,) = command.items
    assert isinstance(section, Section)
    return section


def octets(raw: bytes, item: str) -> bytes | None:
    """What FETCH would send."""
    section = section_of(item)
    parts = parts_of(summarise(raw, scan(raw)).to_bytes())
    place = locate(section, len(raw), {entry.path: entry[1:4] for entry in parts})
    if place is None:
        return None
    found = raw[place.start : place.end]
    if section.fields:
        found = field_chooser(section.fields, but="NOT" in item)(found)
    first, end = cut(len(found), section.span)
    return found[first:end]


def header_of(raw: bytes) -> bytes:
    return raw[: raw.index(b"\r\n\r\n") + 4]


@pytest.mark.parametrize(
    ("raw", "item", "expected"),
    [
        (PLAIN, "BODY[]", PLAIN),
        (PLAIN, "RFC822", PLAIN),
        (PLAIN, "BODY[]<3.5>", PLAIN[3:8]),
        (PLAIN, "BODY[]<9999.5>", b""),
        (PLAIN, "BODY[]<3.999999>", PLAIN[3:]),
        (PLAIN, "BODY[HEADER]", header_of(PLAIN)),
        (PLAIN, "RFC822.HEADER", header_of(PLAIN)),
        (PLAIN, "BODY[TEXT]", b"Hallo\r\n"),
        (PLAIN, "BODY[1]", b"Hallo\r\n"),
        (PLAIN, "BODY[2]", None),
        (PLAIN, "BODY[1.1]", None),
        (PLAIN, "BODY[1.HEADER]", None),
        (PLAIN, "BODY[1.TEXT]", None),
        (PLAIN, "BODY[HEADER.FIELDS (SUBJECT)]", b"Subject: x\r\n y\r\nsubject: z\r\n\r\n"),
        (PLAIN, "BODY[HEADER.FIELDS.NOT (Subject)]", b"From: a@labo.mssante.example\r\n\r\n"),
        (PLAIN, "BODY[HEADER.FIELDS (X-None)]", b"\r\n"),
        (MULTI, "BODY[TEXT]", MULTI[len(header_of(MULTI)) :]),
        (MULTI, "BODY[1]", b"Text"),
        (MULTI, "BODY[1.MIME]", b"Content-Type: text/plain\r\n\r\n"),
        (MULTI, "BODY[2]", INNER),
        (MULTI, "BODY[2.MIME]", b"Content-Type: message/rfc822\r\n\r\n"),
        (MULTI, "BODY[2.HEADER]", b"Subject: innen\r\n\r\n"),
        (MULTI, "BODY[2.TEXT]", b"Inneres\r\n"),
        (MULTI, "BODY[2.1]", b"Inneres\r\n"),
        (MULTI, "BODY[3.HEADER]", header_of(INNER_MULTI)),
        (MULTI, "BODY[3.TEXT]", INNER_MULTI[len(header_of(INNER_MULTI)) :]),
        (MULTI, "BODY[3.2]", b"<p>zwei"),
        (MULTI, "BODY[3.2.MIME]", b"Content-Type: text/html\r\n\r\n"),
        (MULTI, "BODY[3.HEADER.FIELDS (Subject)]", b"Subject: mehrteilig\r\n\r\n"),
        (MULTI, "BODY[1.HEADER]", None),
        (MULTI, "BODY[4]", None),
    ],
)
def test_sections(raw: bytes, item: str, expected: bytes | None) -> None:
    """Each section is these octets, or nothing."""
    assert octets(raw, item) == expected
