"""What does the house want to know of a message without opening its body again?

Everything that lists, searches and IMAP fetches need is rendered once, at delivery, and sealed beside the message.
The binary form is versioned; each section is found by its length, so that a listing takes the ENVELOPE of 10,000
messages out without reading the rest. It never holds a body, only the first words of one.
"""

from __future__ import annotations

import html
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple

from mss.formats import charsets
from mss.formats.common import REMEMBERED
from mss.formats.headers import decode_words, first_address, parse_message_ids, plain
from mss.formats.imapstructure import body_forms, envelope
from mss.formats.parameters import decode_parameters
from mss.formats.parts import CommonMime, Field, Mime, Part, Structure, decode_text, filename_of
from mss.model.errors import BadValue

VERSION = 1
PREVIEW_CHARACTERS_MAX = 200
PREVIEW_OCTETS_READ_MAX = 1024
PREVIEW_HTML_OCTETS_READ_MAX = 32 * 1024  # style sheets come first
TEXT_CHARACTERS_MAX = 1000  # subject, names, ids: a header line holds no more
ADDRESSES_READ_MAX = 1000

USUAL_FIELDS = frozenset(
    b"date from sender reply-to to cc bcc subject message-id in-reply-to references mime-version content-type "
    b"content-description disposition-notification-to importance priority x-priority auto-submitted return-path "
    b"delivered-to x-original-to newsgroups lines x-label user-agent x-mailer x-uniform-type-identifier "
    b"x-universally-unique-identifier x-k9mail-identity".split()
)
"""What mail clients ask for when they list a folder. Told from the summary whether the message has them or not."""
USUAL_PREFIXES = (b"x-mss-", b"list-")

_HEAD = struct.Struct(">B6I")
_ENTRY = struct.Struct(">3I")
_LENGTH = struct.Struct(">H")


class Section(IntEnum):
    """What a summary is made of, in this order."""

    ENVELOPE = 0
    BODY = 1
    BODYSTRUCTURE = 2
    HEADERS = 3
    PARTS = 4
    TEXTS = 5


SECTIONS = len(Section)


class PartEntry(NamedTuple):
    """A part of the table: where it lies in the message, and what is needed to decode and name it."""

    path: str
    header_start: int
    body_start: int
    body_end: int
    content_type: str
    encoding: str
    charset: str
    filename: str
    disposition: str
    content_id: str

    @property
    def size(self) -> int:
        return self.body_end - self.body_start


@dataclass(frozen=True, slots=True)
class Summary:
    """A message told without its bodies. Absent texts are empty."""

    envelope: bytes
    body: bytes
    bodystructure: bytes
    headers: bytes
    """The usual fields as sent, each with its CRLF, without the empty line."""
    parts: tuple[PartEntry, ...]
    has_attachments: bool
    preview: str
    subject: str
    from_name: str
    from_address: str
    message_id: str

    def to_bytes(self) -> bytes:
        texts = (self.preview, self.subject, self.from_name, self.from_address, self.message_id)
        sections = (
            self.envelope,
            self.body,
            self.bodystructure,
            self.headers,
            b"".join(_ENTRY.pack(*entry[1:4]) + _pack((entry[0], *entry[4:])) for entry in self.parts),
            bytes([self.has_attachments]) + _pack(texts),
        )
        return joined(sections)

    @classmethod
    def from_bytes(cls, data: bytes) -> Summary:
        """Raises BadValue when these are not the octets that `to_bytes` gave."""
        try:
            texts = _section(data, Section.TEXTS)
            (preview, subject, name, address, message_id), _ = _unpack(texts, 1, 5)
            return cls(
                envelope_of(data),
                body_of(data),
                bodystructure_of(data),
                headers_of(data),
                parts_of(data),
                bool(texts[0]),
                preview,
                subject,
                name,
                address,
                message_id,
            )
        except (struct.error, IndexError, UnicodeDecodeError):
            raise BadValue("not a summary") from None


def sections_of(data: bytes) -> list[bytes]:
    """All sections of a summary's octets. Raises BadValue."""
    ends = [*accumulate(_lengths(data), initial=_HEAD.size)]
    return [data[start:end] for start, end in pairwise(ends)]


def joined(sections: Sequence[bytes]) -> bytes:
    """The octets of a summary with these sections."""
    return _HEAD.pack(VERSION, *map(len, sections)) + b"".join(sections)


def envelope_of(data: bytes) -> bytes:
    """The ENVELOPE out of a summary's octets; the rest is not looked at."""
    return _section(data, Section.ENVELOPE)


def body_of(data: bytes) -> bytes:
    return _section(data, Section.BODY)


def bodystructure_of(data: bytes) -> bytes:
    return _section(data, Section.BODYSTRUCTURE)


def headers_of(data: bytes) -> bytes:
    return _section(data, Section.HEADERS)


def preview_of(data: bytes) -> str:
    """The first words."""
    return preview_in(_section(data, Section.TEXTS))


def preview_in(texts: bytes) -> str:
    """The first words out of the section of texts."""
    (preview,), _ = _unpack(texts, 1, 1)
    return preview


def parts_of(data: bytes) -> tuple[PartEntry, ...]:
    """The part table out of a summary's octets."""
    return parts_in(_section(data, Section.PARTS))


def parts_in(section: bytes) -> tuple[PartEntry, ...]:
    """The part table out of its section."""
    at, found = 0, []
    while at < len(section):
        offsets = _ENTRY.unpack_from(section, at)
        (path, *texts), at = _unpack(section, at + _ENTRY.size, 7)
        found.append(PartEntry(path, *offsets, *texts))
    return tuple(found)


def locate(parts: tuple[PartEntry, ...], section: str) -> tuple[int, int] | None:
    """Where the octets of an IMAP section lie (RFC 9051 §6.4.5.1): `1.2`, `2.HEADER`, `TEXT`, `1.MIME`, or empty.

    None when the message has no such section.
    """
    number, _, word = (section, "", "") if section[-1:].isdigit() else section.rpartition(".")
    if word in ("HEADER", "TEXT") or not section:
        root = find_root(parts, number)
        if root is None:
            return None
        start = root.body_start if word == "TEXT" else root.header_start
        return start, root.body_start if word == "HEADER" else root.body_end
    entry = find_part(parts, number)
    if entry is None or word not in ("", "MIME"):
        return None
    return (entry.header_start, entry.body_start) if word else (entry.body_start, entry.body_end)


def find_part(parts: tuple[PartEntry, ...], path: str) -> PartEntry | None:
    """The entry of a part number such as `1.2`."""
    return next((entry for entry in parts if entry.path == path), None)


def find_root(parts: tuple[PartEntry, ...], number: str = "") -> PartEntry | None:
    """The root of the message, or of the one embedded at `number`: it owns HEADER and TEXT."""
    prefix = f"{number}." if number else ""
    holder = find_part(parts, number) if number else None
    if number and (holder is None or holder.content_type != "message/rfc822"):
        return None
    return find_part(parts, f"{prefix}TEXT") or find_part(parts, f"{prefix}1")


def is_usual(name: bytes) -> bool:
    """Does the summary answer for this field name (lower case)?"""
    return name in USUAL_FIELDS or name.startswith(USUAL_PREFIXES)


def summarise(raw: bytes, structure: Structure) -> Summary:
    """Render everything once. Never raises on a scanned message."""
    said: dict[bytes, bytes] = {}
    for field in structure.root.fields:
        said.setdefault(field.name, field.value)
    author = first_address(said.get(b"from", b""), ADDRESSES_READ_MAX)
    ids = parse_message_ids(said.get(b"message-id", b""))
    body, full = body_forms(structure.root)
    parts = tuple(map(_entry, structure.walk()))
    return Summary(
        envelope=envelope(structure),
        body=body,
        bodystructure=full,
        headers=b"".join(_usual(raw, structure.root.fields)),
        parts=parts,
        has_attachments=any(map(_is_attachment, parts)),
        preview=_preview(raw, parts),
        subject=decode_words(said.get(b"subject", b""))[:TEXT_CHARACTERS_MAX],
        from_name=author.name[:TEXT_CHARACTERS_MAX] if author else "",
        from_address=author.address[:TEXT_CHARACTERS_MAX] if author else "",
        message_id=ids[0] if ids else "",
    )


def is_inline_text(part: PartEntry) -> bool:
    """A text that a reader shows as the message itself (RFC 2183 §2.1): plain or HTML, without a file name."""
    return part.content_type in ("text/plain", "text/html") and part.disposition in ("", "inline") and not part.filename


def inline_texts(parts: tuple[PartEntry, ...]) -> list[PartEntry]:
    """The texts of this message itself, not those of messages that it forwards."""
    forwarded = tuple(f"{part.path}." for part in parts if part.content_type == "message/rfc822")
    return [part for part in parts if is_inline_text(part) and not part.path.startswith(forwarded)]


def _is_attachment(part: PartEntry) -> bool:
    return not part.content_type.startswith("multipart/") and not is_inline_text(part)


def _usual(raw: bytes, fields: tuple[Field, ...]) -> Iterator[bytes]:
    for field in fields:
        if is_usual(field.name):
            sent = raw[field.start : field.end]
            yield sent if sent.endswith(b"\r\n") else sent + b"\r\n"


def _entry(part: Part) -> PartEntry:
    texts = (_remembered if isinstance(part.mime, CommonMime) else _texts)(part.mime)
    return PartEntry(part.path, part.header_start, part.body_start, part.body_end, *texts)


def _texts(mime: Mime) -> tuple[str, str, str, str, str, str]:
    """What is kept of a part's own words."""
    parameters = decode_parameters(mime.parameters)
    return (
        f"{mime.type.decode('latin-1')}/{mime.subtype.decode('latin-1')}".lower()[:TEXT_CHARACTERS_MAX],
        (mime.encoding or b"7bit").decode("latin-1").lower()[:TEXT_CHARACTERS_MAX],
        parameters.get("charset", "")[:TEXT_CHARACTERS_MAX],
        (filename_of(decode_parameters(mime.disposition_parameters), parameters) or "")[:TEXT_CHARACTERS_MAX],
        (mime.disposition or b"").decode("latin-1").lower()[:TEXT_CHARACTERS_MAX],
        charsets.decode(mime.id or b"")[:TEXT_CHARACTERS_MAX],
    )


_remembered = lru_cache(maxsize=REMEMBERED)(_texts)


# The first words of a message

_HIDDEN = re.compile(r"<(/?)(style|script|title|head)\b[^<>]*>|<!(--)|(--)>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")


def _preview(raw: bytes, parts: tuple[PartEntry, ...]) -> str:
    """The beginning of the first text that says something, plain before HTML."""
    texts = inline_texts(parts)
    for content_type, octets_max in (
        ("text/plain", PREVIEW_OCTETS_READ_MAX),
        ("text/html", PREVIEW_HTML_OCTETS_READ_MAX),
    ):
        for part in texts:
            if part.content_type == content_type:
                text = decode_text(raw, part, octets_max)
                words = _first_words(text if content_type == "text/plain" else _text_of_html(text))
                if words:
                    return plain(words)
    return ""


def _first_words(text: str) -> str:
    """The beginning of a text, one space between words; mostly a glance at its beginning suffices."""
    words = " ".join(text[: 2 * PREVIEW_CHARACTERS_MAX].split())
    if len(words) < PREVIEW_CHARACTERS_MAX:
        words = " ".join(text.split())
    return words[:PREVIEW_CHARACTERS_MAX]


def _text_of_html(markup: str) -> str:
    """The words of HTML, roughly and in linear time; for a list of messages, never to be shown as HTML."""
    shown, at, hidden_by = [], 0, ""
    for mark in _HIDDEN.finditer(markup):
        name = (mark[2] or mark[3] or mark[4]).lower()
        closes = bool(mark[1] or mark[4])
        if not hidden_by and not closes:
            shown.append(markup[at : mark.start()])
            hidden_by = name
        elif closes and name == hidden_by:
            at, hidden_by = mark.end(), ""
    if not hidden_by:
        shown.append(markup[at:])
    return html.unescape(_TAG.sub(" ", "".join(shown)))


def _section(data: bytes, section: Section) -> bytes:
    lengths = _lengths(data)
    start = _HEAD.size + sum(lengths[:section])
    return data[start : start + lengths[section]]


def _lengths(data: bytes) -> tuple[int, ...]:
    if not data or data[0] != VERSION:
        raise BadValue("not a summary")
    try:
        return _HEAD.unpack_from(data)[1:]
    except struct.error:
        raise BadValue("not a summary") from None


def _pack(texts: Iterable[str]) -> bytes:
    pieces: list[bytes] = []
    for text in texts:
        octets = text.encode("utf-8", "replace")
        pieces += (_LENGTH.pack(len(octets)), octets)
    return b"".join(pieces)


def _unpack(data: bytes, at: int, count: int) -> tuple[list[str], int]:
    texts = []
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size + length
        texts.append(data[at - length : at].decode())
    return texts, at
