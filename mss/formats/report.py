"""How does the house write mail that a machine and a doctor both read?

The frame of every answer to a sender (RFC 6522 multipart/report, or multipart/mixed without a machine part): words
for people, fields for machines, and the message it is about, byte for byte. Everything is an argument, ids and dates
included, so the same facts always give the same bytes. `mdn` and `dsn` say what goes inside. Also reads back the
fields of a machine part. Never decides whether an answer may be sent.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from textwrap import wrap

from mss.formats.headers import plain
from mss.model.errors import BadValue, Malformed
from mss.model.ids import MailAddress
from mss.model.verdict import Reason

ORIGINAL_BYTES_MAX = 10 * 1024 * 1024  # a larger message comes back as its header alone: it may not fit the way back
LINE_OCTETS_MAX = 998  # RFC 5322 §2.1.1, less CRLF
LINE_OCTETS_WISHED = 76
WORD_BYTES_MAX = 42  # 56 characters of base64; with =?utf-8?B??= 68 of the 75 that RFC 2047 §2 allows
SUBJECT_CHARS_MAX = 300
NAME_CHARS_MAX = 60
FIELD_CHARS_MAX = 900  # of a machine field, before folding
REFERENCES_MAX = 20

READ_BYTES_MAX = 128 * 1024  # of a machine part; a hundred recipients take 40 kB
READ_GROUPS_MAX = 101  # one for the message, a hundred recipients
READ_FIELDS_MAX = 40  # in one group; the RFCs name fourteen

_MESSAGE_ID = re.compile(r"<[!-;=?-~]{3,400}>", re.ASCII)
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:(.*)\Z", re.DOTALL)
_LINE_END = re.compile(rb"\r?\n")
_NOT_PLAIN = re.compile(r"[^ -~]")


@dataclass(frozen=True, slots=True)
class Heading:
    """The header of an answer. Ids have their angle brackets; a malformed foreign id is left out when written."""

    message_id: str
    date: datetime
    sender: MailAddress
    sender_name: str
    recipient: MailAddress
    subject: str
    in_reply_to: str = ""
    """The Message-ID of the message that is answered."""
    references: tuple[str, ...] = ()
    """The References of that message; its own id is added."""

    def __post_init__(self) -> None:
        if not _MESSAGE_ID.fullmatch(self.message_id):
            raise BadValue("not a Message-ID")
        if self.date.tzinfo is None:
            raise BadValue("a date without zone")


Fields = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Machine:
    """The part for machines: groups of fields with an empty line between (RFC 3464 §2.1, RFC 8098 §3.1)."""

    report_type: str
    media_type: str
    groups: Sequence[Fields]


def write(heading: Heading, words: str, machine: Machine | None, original: bytes, *, whole: bool = True) -> bytes:
    """The answer, ready to send. `original` is the message it is about, with CRLF; `whole` False returns its header.

    Declares 8bit when the original needs it (RFC 6152). An original that cannot be sent as it is comes back as header.
    """
    parts = [_text_part(words)]
    if machine is not None:
        parts.append(_machine_part(machine))
    third, is_8bit = _third_part(original, whole=whole)
    parts.append(third)
    boundary = _boundary(heading.message_id, parts)
    kind = f"multipart/report; report-type={machine.report_type}" if machine else "multipart/mixed"
    lines = [
        *_heading_lines(heading),
        "MIME-Version: 1.0",
        f'Content-Type: {kind};\r\n boundary="{boundary}"',
        *(["Content-Transfer-Encoding: 8bit"] if is_8bit else []),
    ]
    opening = f"--{boundary}\r\n".encode()
    body = b"".join(opening + part + b"\r\n" for part in parts)
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body + f"--{boundary}--\r\n".encode()


def fold(name: str, value: str) -> str:
    """A header field of plain ASCII words (RFC 5322 §2.2.3); what is not ASCII becomes `?`.

    A long one is folded after its first `;`, so that simple readers find `processed/Error: …` in one line, then at
    spaces.
    """
    text = f"{name}: {_NOT_PLAIN.sub('?', value)[:FIELD_CHARS_MAX]}"
    if len(text) <= LINE_OCTETS_WISHED:
        return text.rstrip()
    head, semicolon, tail = text.partition("; ")
    pieces = (head + ";", tail) if semicolon else (text,)
    lines = (
        line
        for piece in pieces
        for line in wrap(piece, LINE_OCTETS_WISHED - 1, break_long_words=False, break_on_hyphens=False)
    )
    return "\r\n ".join(lines)


def unstructured(name: str, value: str) -> str:
    """A header field of free text: plain where it can be, else encoded words (RFC 2047)."""
    text = plain(value)[:SUBJECT_CHARS_MAX]
    if text.isascii() and "=?" not in text:
        return fold(name, text)
    return f"{name}: " + "\r\n ".join(_encoded_words(text))


def _encoded_words(text: str) -> Iterator[str]:
    """Words that never cut a character in two (RFC 2047 §5)."""
    piece = b""
    for character in (letter.encode("utf-8", "replace") for letter in text):
        if len(piece) + len(character) > WORD_BYTES_MAX:
            yield _encoded_word(piece)
            piece = b""
        piece += character
    yield _encoded_word(piece)


def _encoded_word(octets: bytes) -> str:
    return f"=?utf-8?B?{binascii.b2a_base64(octets, newline=False).decode('ascii')}?="


def mailbox(field: str, name: str, address: MailAddress) -> str:
    """A From or To field, with a name for people when there is one."""
    name = plain(name).replace("\\", "").replace('"', "").strip()[:NAME_CHARS_MAX]
    if not name:
        return f"{field}: <{address}>"
    shown = f'"{name}"' if name.isascii() else "\r\n ".join(_encoded_words(name))
    return f"{field}: {shown}\r\n <{address}>"


def _heading_lines(heading: Heading) -> list[str]:
    thread = [i for i in (*heading.references, heading.in_reply_to) if _MESSAGE_ID.fullmatch(i)]
    references = list(dict.fromkeys(thread))[-REFERENCES_MAX:]
    lines = [
        mailbox("From", heading.sender_name, heading.sender),
        f"To: <{heading.recipient}>",
        unstructured("Subject", heading.subject),
        f"Date: {format_datetime(heading.date)}",
        f"Message-ID: {heading.message_id}",
        "Auto-Submitted: auto-replied",  # RFC 3834 §5: nobody's automaton answers this
    ]
    if _MESSAGE_ID.fullmatch(heading.in_reply_to):
        lines.append(f"In-Reply-To: {heading.in_reply_to}")
    if references:
        lines.append("References: " + "\r\n ".join(references))
    return lines


def _text_part(words: str) -> bytes:
    """Words for people. Quoted-printable, so that accents survive any relay."""
    text = words.replace("\r\n", "\n").replace("\n", "\r\n").encode("utf-8", "replace")
    head = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    return head + _quoted_printable(text.rstrip() + b"\r\n", is_text=True)


def _quoted_printable(octets: bytes, *, is_text: bool) -> bytes:
    """RFC 2045 §6.7. `is_text`: line ends stay line ends; else they are octets like others."""
    return _LINE_END.sub(b"\r\n", binascii.b2a_qp(octets, istext=is_text))


def _machine_part(machine: Machine) -> bytes:
    groups = ["".join(fold(name, value) + "\r\n" for name, value in group if value) for group in machine.groups]
    return f"Content-Type: {machine.media_type}\r\n\r\n".encode() + "\r\n".join(groups).encode("ascii")


def _third_part(original: bytes, *, whole: bool) -> tuple[bytes, bool]:
    """The message it is about, and whether that part needs 8bit (no other encoding may hold it, RFC 2046 §5.2.1)."""
    if whole and len(original) <= ORIGINAL_BYTES_MAX and _can_be_sent(original):
        is_8bit = not original.isascii()
        encoding = b"Content-Transfer-Encoding: 8bit\r\n" if is_8bit else b""
        return b"Content-Type: message/rfc822\r\n" + encoding + b"\r\n" + original, is_8bit
    header = original[: original.find(b"\r\n\r\n") + 2] if b"\r\n\r\n" in original else original[:ORIGINAL_BYTES_MAX]
    if header.isascii() and _can_be_sent(header):
        return b"Content-Type: text/rfc822-headers\r\n\r\n" + header, False
    encoding = b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"  # RFC 6522 §4 allows it for broken headers
    encoded = _quoted_printable(header, is_text=_lines_are_clean(header))
    return b"Content-Type: text/rfc822-headers\r\n" + encoding + encoded, False


def _can_be_sent(octets: bytes) -> bool:
    """No octet and no line that SMTP refuses (RFC 5321 §2.3.8, §4.5.3.1.6)."""
    return b"\0" not in octets and _lines_are_clean(octets) and max(map(len, octets.split(b"\r\n"))) <= LINE_OCTETS_MAX


def _lines_are_clean(octets: bytes) -> bool:
    line_ends = octets.count(b"\r\n")
    return octets.count(b"\n") == line_ends == octets.count(b"\r")


def _boundary(message_id: str, parts: Sequence[bytes]) -> str:
    """A line that no part holds. It follows from the message id, so that the same answer has the same bytes."""
    for attempt in range(1000):
        boundary = "=_" + hashlib.sha256(f"{attempt}{message_id}".encode()).hexdigest()[:32]
        if not any(boundary.encode() in part for part in parts):
            return boundary
    raise BadValue("no boundary is free")  # somebody wrote a thousand hashes of an id that did not exist yet


def read_groups(content: bytes) -> list[dict[str, str]]:
    """The groups of fields of a decoded machine part: names in lower case, the first of each name.

    Raises Malformed(HEADER_MALFORMED) for too much or nothing.
    """
    if len(content) > READ_BYTES_MAX:
        raise Malformed(Reason.HEADER_MALFORMED, "report too long")
    groups: list[dict[str, str]] = [{}]
    for field in _fields(content):
        if field is None and groups[-1]:
            groups.append({})
        elif field is not None:
            groups[-1].setdefault(*field)
        if len(groups) > READ_GROUPS_MAX or len(groups[-1]) > READ_FIELDS_MAX:
            raise Malformed(Reason.HEADER_MALFORMED, "too many fields in a report")
    if not groups[-1]:
        groups.pop()
    if not groups:
        raise Malformed(Reason.HEADER_MALFORMED, "an empty report")
    return groups


def _fields(content: bytes) -> Iterator[tuple[str, str] | None]:
    """Each field as name and value, each empty line as None; a line that is no field is passed over."""
    held = b""
    for line in [*content.replace(b"\r\n", b"\n").split(b"\n"), b""]:
        if held and line[:1] in (b" ", b"\t") and line.strip():
            held += line
            continue
        if found := _FIELD.match(held):
            yield found[1].decode("ascii").lower(), plain(found[2].decode("utf-8", "replace")).strip()
        held = line
        if not line.strip():
            yield None


def typed_value(value: str) -> str:
    """What follows the type in `rfc822; a@b` or `dns; host` (RFC 3464 §2.1.2); the whole value without a type."""
    _, semicolon, rest = value.partition(";")
    return (rest if semicolon else value).strip()[:FIELD_CHARS_MAX]
