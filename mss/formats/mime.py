"""What parts is a message made of, and is it fit to be taken in?

The first look at a stranger's bytes, in the process that the network reaches: no library parser, offsets instead
of copies, linear time, a limit on everything. Anything broken inside the limits is tolerated, as mail readers do;
what breaks a limit, and octets that other servers could read as a second message, raise Malformed. Bodies are not
decoded here, and content never reaches an error text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from mss.formats.common import common_mime
from mss.formats.headers import ADDRESSES_MAX, ENCODED_WORDS_MAX, parse_address_list, unfold
from mss.formats.lines import SLICE_OCTETS, fault_of
from mss.formats.parameters import (
    PARAMETERS_MAX,
    TEXT_PLAIN,
    parse_disposition,
    parse_languages,
    parse_media,
    parse_token,
)
from mss.formats.parts import (
    LINE_OCTETS_EMITTED_MAX,
    Field,
    LongLine,
    Mime,
    Part,
    Structure,
    decode_body,
    decode_text,
)
from mss.model.errors import Malformed
from mss.model.verdict import Reason

__all__ = ["LIMITS", "Field", "Limits", "LongLine", "Mime", "Part", "Structure", "decode_body", "decode_text", "scan"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one message may cost. Each number is far above honest mail (facts: security §4.1)."""

    octets: int = 35 * 1024 * 1024
    """25 MB of attachments after base64, with headers."""
    line_octets: int = 64 * 1024
    """Some health software sends base64 without line ends inside 1,000 octets; none sends more than this."""
    header_octets: int = 100 * 1024
    """One header block. Postfix keeps the same figure (header_size_limit)."""
    header_lines: int = 1000
    addresses: int = ADDRESSES_MAX
    """In all fields of one name."""
    encoded_words: int = ENCODED_WORDS_MAX
    """In one header block."""
    parameters: int = PARAMETERS_MAX
    depth: int = 20
    """multipart and message/rfc822 within one another; a forwarded forward uses two levels each."""
    parts: int = 500
    header_octets_in_all: int = 1024 * 1024
    """Of all header blocks: without this and the next four, 500 parts multiply what one may cost."""
    header_lines_in_all: int = 10_000
    encoded_words_in_all: int = 5000
    address_octets_in_all: int = 96 * 1024
    parameters_in_all: int = 2000


LIMITS = Limits()


_FIELD = re.compile(rb"([!-9;-~]++)[ \t]*+:([^\r\n]*+(?:\r\n[ \t][^\r\n]*+)*+)(?:\r\n|\Z)")  # RFC 5322 §2.2, §4.5
_ENVELOPE_LINE = re.compile(rb">?From [^\r\n]*+\r\n")  # left by a mailbox file, not a field
_ADDRESS_FIELDS = frozenset(
    b"from sender reply-to to cc bcc resent-from resent-sender resent-to resent-cc resent-bcc "
    b"disposition-notification-to".split()
)
_PLAIN_TEXT = Mime()
_ENCODED = frozenset([b"base64", b"quoted-printable"])
_ONE_LINE = (b"transfer-encoding", b"disposition", b"id", b"description", b"md5", b"language", b"location")


def scan(raw: bytes, limits: Limits = LIMITS, *, lines_are_whole: bool = False) -> Structure:
    """The structure of a message with CRLF line ends. Raises Malformed, with a reason and never content.

    `lines_are_whole`: somebody has asked `formats.lines.fault_of` about these very octets already.
    """
    if len(raw) > limits.octets:
        raise Malformed(Reason.TOO_LARGE)
    if not lines_are_whole and (fault := fault_of(raw)) is not None:
        raise Malformed(fault)
    longest = _longest_line(raw, limits)
    scanner = _Scanner(raw, limits)
    root = scanner.entity(0, "", 0, 0, in_digest=False)
    return Structure(root, len(raw), longest, scanner.header_is_broken)


def _longest_line(raw: bytes, limits: Limits) -> LongLine | None:
    """Stride from line end to line end, as far as one line may reach; look closer only where there is none."""
    octets, start, place, size = LINE_OCTETS_EMITTED_MAX, 0, -1, len(raw)
    while size - start > LINE_OCTETS_EMITTED_MAX:
        newline = raw.rfind(b"\n", start, start + LINE_OCTETS_EMITTED_MAX + 2)
        if newline < 0:
            newline = raw.find(b"\n", start + LINE_OCTETS_EMITTED_MAX)
            end = newline - 1 if newline > 0 else size
            if end - start > limits.line_octets:
                number = raw.count(b"\n", 0, start) + 1
                raise Malformed(Reason.LINE_TOO_LONG, f"line {number}")
            if end - start > octets:
                octets, place = end - start, start
            if newline < 0:
                break
        start = newline + 1
    return LongLine(octets, raw.count(b"\n", 0, place) + 1) if place >= 0 else None


class _Boundary:
    """A boundary that may come: where it stands next, as far as was looked."""

    __slots__ = ("clear", "needle", "next")

    def __init__(self, boundary: bytes) -> None:
        self.needle = b"\r\n--" + boundary
        self.next = -1
        self.clear = 0
        """Between where the search last began and this offset no match starts."""


class _Stop(NamedTuple):
    """Where a part ends: at a boundary line of level `level` of the stack, or with the message (level -1)."""

    offset: int
    level: int
    closing: bool
    after: int
    """The start of the next line; -1 when the boundary line is the last."""


class _Scanner:
    """Walks once over the message with the stack of boundaries that are open (RFC 2046 §5.1.2)."""

    def __init__(self, raw: bytes, limits: Limits) -> None:
        self.raw = raw
        self.limits = limits
        self.header_is_broken = False
        self._open: list[_Boundary] = []
        self._stop = _Stop(len(raw), -1, False, -1)
        self._counted_to = 0
        self._line_ends = 0
        self._parts = self._header_octets = self._header_lines = self._words = 0
        self._address_octets = self._parameters = 0

    def entity(self, start: int, prefix: str, number: int, depth: int, *, in_digest: bool) -> Part:
        """The part whose header starts at `start`; `number` 0 is the root of a message whose section is `prefix`.

        Leaves in `_stop` the boundary that ended it.
        """
        self._parts += 1
        if self._parts > self.limits.parts:
            raise Malformed(Reason.TOO_MANY_PARTS)
        if depth > self.limits.depth:
            raise Malformed(Reason.TOO_DEEP)
        self._stop = stop = self._next_stop(start)
        fields, body, has_body = self._header(start, stop)
        if number == 0:
            self._check_addresses(fields)
        mime, boundary = _describe(fields, is_root=number == 0, in_digest=in_digest)
        self._check_parameters(mime)
        section = prefix if number == 0 else f"{prefix}.{number}" if prefix else str(number)
        kind = mime.type.lower()
        # The empty line after the header of an embedded message may be the CRLF of the boundary that ends its
        # holder; it belongs to the boundary then, unless a multipart begins with a boundary of the same words.
        shared = number == 0 and has_body and body > stop.offset + 1
        if shared and kind != b"multipart":
            body, has_body = stop.offset, False
        children: tuple[Part, ...] = ()
        lines = 0
        if kind == b"multipart":
            path = section if number else f"{section}.TEXT" if section else "TEXT"
            if has_body:
                children = self._multipart(body, section, depth, boundary, mime.subtype.lower() == b"digest")
            if shared and self._stop.offset == stop.offset:
                body = stop.offset
        else:
            path = section if number else f"{section}.1" if section else "1"
            lines_before = self._lines_to(body) if kind in (b"text", b"message") else 0
            if _is_message(mime):
                children = (self._embedded(body, path, depth) if has_body else _nothing(f"{path}.1", body),)
            if kind in (b"text", b"message"):
                lines = self._lines_to(max(body, self._stop.offset)) - lines_before
        return Part(path, mime, start, body, max(body, self._stop.offset), lines, children, fields)

    def _embedded(self, start: int, section: str, depth: int) -> Part:
        return self.entity(start, section, 0, depth + 1, in_digest=False)

    def _multipart(self, body: int, section: str, depth: int, boundary: bytes, digest: bool) -> tuple[Part, ...]:
        """The children between the boundaries; preamble and epilogue belong to none (RFC 2046 §5.1.1)."""
        level = len(self._open)
        self._open.append(_Boundary(boundary))
        children: list[Part] = []
        self._stop = stop = self._next_stop(body)
        while stop.level == level and not stop.closing and stop.after >= 0:
            children.append(self.entity(stop.after, section, len(children) + 1, depth + 1, in_digest=digest))
            stop = self._stop
        del self._open[level:]
        if stop.level == level:  # the epilogue reaches to a boundary of those around us
            self._stop = self._next_stop(stop.after) if stop.after >= 0 else _Stop(len(self.raw), -1, False, -1)
        return tuple(children)

    def _next_stop(self, line: int) -> _Stop:
        """The first boundary line at or after the line start `line`.

        Inner boundaries are only sought before the next outer one, so each level reads each octet once.
        """
        raw, limit, start = self.raw, len(self.raw), max(line - 2, 0)
        for boundary in self._open:
            if boundary.next < start:
                begin = max(start, boundary.clear)
                boundary.next = raw.find(boundary.needle, begin, limit + len(boundary.needle))
                boundary.clear = max(begin, limit + 1) if boundary.next < 0 else boundary.next
            if start <= boundary.next < limit:
                limit = boundary.next
        if limit == len(raw):
            return _Stop(limit, -1, False, -1)
        end = raw.find(b"\r\n", limit + 2)
        after = end + 2 if end >= 0 else -1
        level, closing = self._match(raw[limit : end if end >= 0 else len(raw)], limit)
        return _Stop(limit, level, closing, after)

    def _match(self, line: bytes, offset: int) -> tuple[int, bool]:
        """Which open boundary this line is: an exact one, innermost first, else the longest that begins it.

        RFC 2046 §5.1.1: it suffices that the boundary appears in its entirety after the CRLF.
        """
        best, length = -1, 0
        for level in range(len(self._open) - 1, -1, -1):
            needle = self._open[level].needle
            if self._open[level].next == offset:
                if line == needle or line == needle + b"--":
                    return level, line != needle
                if len(needle) > length:
                    best, length = level, len(needle)
        return best, line[length : length + 2] == b"--"

    def _header(self, start: int, stop: _Stop) -> tuple[tuple[Field, ...], int, bool]:
        """Fields, start of the body, and whether there is a body (a boundary or the end may cut a header short)."""
        raw = self.raw
        end = min(stop.offset + 2, len(raw))  # the CRLF before a boundary ends a field, too
        bound = min(end, start + self.limits.header_octets)
        if bound < end and raw[bound - 1] == 0x0D:
            bound -= 1
        at, fields = start, []
        if start == 0 and (line := _ENVELOPE_LINE.match(raw, 0, bound)):
            at, self.header_is_broken = line.end(), True
        while (found := _FIELD.match(raw, at, bound)) is not None:
            fields.append(Field(found[1].lower(), found[2], at, found.end()))
            at = found.end()
        if bound < end and (at == bound or raw.find(b"\r\n", at, bound) < 0):
            raise Malformed(Reason.HEADERS_TOO_LARGE)
        self._check_header(start, at)
        if raw[at : at + 2] == b"\r\n" and at + 2 <= end:
            return tuple(fields), at + 2, True
        if at >= end:  # cut short
            return tuple(fields), max(start, min(at, stop.offset)), False
        if start == 0:
            self.header_is_broken = True
        return tuple(fields), at, True

    def _check_header(self, start: int, end: int) -> None:
        lines, words, limits = self.raw.count(b"\n", start, end), self.raw.count(b"=?", start, end), self.limits
        self._header_octets += end - start
        self._header_lines += lines
        self._words += words
        if self._header_octets > limits.header_octets_in_all:
            raise Malformed(Reason.HEADERS_TOO_LARGE)
        if lines > limits.header_lines or self._header_lines > limits.header_lines_in_all:
            raise Malformed(Reason.TOO_MANY_HEADERS)
        if words > limits.encoded_words or self._words > limits.encoded_words_in_all:
            raise Malformed(Reason.TOO_MANY_ENCODED_WORDS)

    def _check_addresses(self, fields: tuple[Field, ...]) -> None:
        """Fields of one name count together: readers join them."""
        addresses = [field for field in fields if field.name in _ADDRESS_FIELDS]
        self._address_octets += sum(len(field.value) for field in addresses)
        if self._address_octets > self.limits.address_octets_in_all:
            raise Malformed(Reason.TOO_MANY_ADDRESSES)
        if sum(field.value.count(b",") + field.value.count(b";") + 1 for field in addresses) <= self.limits.addresses:
            return
        found: dict[bytes, int] = {}
        for name, value, _, _ in addresses:
            listed = parse_address_list(value, self.limits.addresses)
            found[name] = found.get(name, 0) + sum(raw.host is not None for raw in listed)
        if max(found.values()) > self.limits.addresses:
            raise Malformed(Reason.TOO_MANY_ADDRESSES)

    def _check_parameters(self, mime: Mime) -> None:
        self._parameters += len(mime.parameters) + len(mime.disposition_parameters)
        if self._parameters > self.limits.parameters_in_all:
            raise Malformed(Reason.TOO_MANY_PARAMETERS)

    def _lines_to(self, offset: int) -> int:
        """Line ends before `offset`; offsets only grow, so each octet is counted once."""
        for start in range(self._counted_to, offset, SLICE_OCTETS):
            slice_ = self.raw[start : min(start + SLICE_OCTETS, offset)]
            self._line_ends += len(slice_) - len(slice_.replace(b"\n", b""))  # a third of the time that counting takes
        self._counted_to = offset
        return self._line_ends


def _nothing(path: str, at: int) -> Part:
    """The message in a message/rfc822 whose header was cut short."""
    return Part(path, _PLAIN_TEXT, at, at, at, 0, (), ())


def _is_message(mime: Mime) -> bool:
    """An embedded message that can be read in place. RFC 2046 §5.2.1 forbids to encode it; who does so sends a file."""
    if mime.type.lower() != b"message" or mime.subtype.lower() != b"rfc822":
        return False
    return mime.encoding is None or mime.encoding.lower() not in _ENCODED


def _describe(fields: tuple[Field, ...], *, is_root: bool, in_digest: bool) -> tuple[Mime, bytes]:
    """The Content-* fields, and the boundary of a multipart."""
    said: dict[bytes, bytes] = {}
    is_mime = not is_root
    for name, sent, _, _ in fields:
        if name[:8] == b"content-":
            said.setdefault(name[8:], sent)
        elif name == b"mime-version":
            is_mime = True
    if (common := common_mime(said)) is not None:
        return common, b""
    value = said.get(b"type")
    if value is None:
        if not is_mime or not said:  # RFC 2045 §4: without MIME-Version the other fields mean nothing
            return (Mime(b"message", b"rfc822"), b"") if in_digest else (_PLAIN_TEXT, b"")
        media = TEXT_PLAIN._replace(type=b"message", subtype=b"rfc822") if in_digest else TEXT_PLAIN
    else:
        media = parse_media(unfold(value))
    boundary = b""
    if media.type.lower() == b"multipart":
        boundary = next((text for name, text in media.parameters if name.lower() == b"boundary"), b"").rstrip(b" \t")
        if not boundary:  # no part can be found: all of it is text (RFC 2045 §5.2)
            media = TEXT_PLAIN
    line = {name: unfold(said[name]) for name in _ONE_LINE if name in said}
    encoding, disposition, languages = line.get(b"transfer-encoding"), line.get(b"disposition"), line.get(b"language")
    word, parameters = parse_disposition(disposition) if disposition else (b"", ())
    mime = Mime(
        media.type,
        media.subtype,
        media.parameters,
        line.get(b"id"),
        line.get(b"description"),
        (encoding and parse_token(encoding)) or None,
        line.get(b"md5"),
        word or (b"attachment" if parameters else None),  # RFC 2183 §2.8
        parameters,
        parse_languages(languages) if languages else (),
        line.get(b"location"),
    )
    return mime, boundary
