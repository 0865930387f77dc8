"""What is a message once it is scanned: a tree of parts, each a place in the octets, and their content on demand.

Parts hold offsets and the octets of their Content-* fields, not bodies. Nothing here raises on what a stranger
wrote: names, texts and contents are answered as well as they can be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from mss.formats import charsets
from mss.formats.headers import decode_words, unfold
from mss.formats.parameters import TEXT_PLAIN, Parameters, decode_parameters
from mss.formats.transfer import decode_transfer

LINE_OCTETS_EMITTED_MAX = 998
"""RFC 5321 §4.5.3.1.6 less CRLF. Longer lines are taken for local delivery, never sent on."""
FILENAME_CHARACTERS_MAX = 200  # file systems stop at 255 octets
TEXT_OCTETS_MAX = 35 * 1024 * 1024  # no message is larger


class Field(NamedTuple):
    """A header field: name in lower case, value as sent (folds kept), offsets of the whole field with its CRLF."""

    name: bytes
    value: bytes
    start: int
    end: int


class Mime(NamedTuple):
    """What the Content-* fields of a part say, octets as sent, unfolded. None where the field is absent."""

    type: bytes = TEXT_PLAIN.type
    subtype: bytes = TEXT_PLAIN.subtype
    parameters: Parameters = ()
    id: bytes | None = None
    description: bytes | None = None
    encoding: bytes | None = None
    md5: bytes | None = None
    disposition: bytes | None = None
    disposition_parameters: Parameters = ()
    languages: tuple[bytes, ...] = ()
    location: bytes | None = None


class CommonMime(Mime):
    """One that thousands of messages say alike, and that tells nothing about any of them: no name, no id, no boundary.
    What follows from it may be remembered (mss/formats/common.py makes them)."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Part:
    """One node of the tree. Offsets count octets of the message; `body_end` excludes the boundary's CRLF.

    `path` is the IMAP section: `1.2`; for the multipart that is a message's whole body, `TEXT` or `2.TEXT`.
    A message/rfc822 has one child, the root of the embedded message.
    """

    path: str
    mime: Mime
    header_start: int
    body_start: int
    body_end: int
    lines: int
    """Line ends in the body, as IMAP counts them; only kept for text/* and message/*, else 0."""
    children: tuple[Part, ...]
    fields: tuple[Field, ...]

    @property
    def type(self) -> str:
        return self.mime.type.decode("latin-1").lower()

    @property
    def subtype(self) -> str:
        return self.mime.subtype.decode("latin-1").lower()

    @property
    def content_type(self) -> str:
        return f"{self.type}/{self.subtype}"

    @property
    def is_multipart(self) -> bool:
        return self.mime.type.lower() == b"multipart"

    @property
    def message(self) -> Part | None:
        """The root of the embedded message, when this is a message/rfc822."""
        return self.children[0] if self.children and not self.is_multipart else None

    @property
    def size(self) -> int:
        """Octets of the body as sent."""
        return self.body_end - self.body_start

    @property
    def encoding(self) -> str:
        return (self.mime.encoding or b"7bit").decode("latin-1").lower()

    @property
    def parameters(self) -> dict[str, str]:
        """Of Content-Type, decoded, names in lower case."""
        return decode_parameters(self.mime.parameters)

    @property
    def charset(self) -> str:
        return self.parameters.get("charset", "")

    @property
    def disposition(self) -> str:
        """`attachment`, `inline` …, empty when not said."""
        return (self.mime.disposition or b"").decode("latin-1").lower()

    @property
    def disposition_parameters(self) -> dict[str, str]:
        return decode_parameters(self.mime.disposition_parameters)

    @property
    def content_id(self) -> str:
        return charsets.decode(self.mime.id or b"")

    @property
    def description(self) -> str:
        return decode_words(self.mime.description or b"")

    @property
    def filename(self) -> str | None:
        """The name to show and to save under: no path, no control character. None when nothing is left."""
        return filename_of(self.disposition_parameters, self.parameters)

    def header(self, name: str) -> str | None:
        """The first field of that name, unfolded; encoded words as sent (headers.decode_words reads them)."""
        wanted = name.lower().encode("latin-1", "replace")
        return next((charsets.decode(unfold(field.value)) for field in self.fields if field.name == wanted), None)

    def headers(self, name: str) -> tuple[str, ...]:
        """All fields of that name, in order."""
        wanted = name.lower().encode("latin-1", "replace")
        return tuple(charsets.decode(unfold(field.value)) for field in self.fields if field.name == wanted)

    def said(self, names: Iterable[bytes]) -> dict[bytes, list[str]]:
        """All fields of several names (lower case) at once."""
        found: dict[bytes, list[str]] = {name: [] for name in names}
        for field in self.fields:
            if field.name in found:
                found[field.name].append(charsets.decode(unfold(field.value)))
        return found

    def walk(self) -> Iterator[Part]:
        """This part and all below it, in the order of the bytes."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class LongLine:
    """A line over LINE_OCTETS_EMITTED_MAX: its octets without CRLF, its number from 1."""

    octets: int
    number: int


@dataclass(frozen=True, slots=True)
class Structure:
    """A message that is fit to be taken in."""

    root: Part
    size: int
    longest_line: LongLine | None
    """The longest line when it is over LINE_OCTETS_EMITTED_MAX, else None."""
    header_is_broken: bool
    """The top header holds a line that is no field. It ends there for us; other readers go on to the empty line and
    may find fields that nobody here has judged."""

    def header(self, name: str) -> str | None:
        return self.root.header(name)

    def headers(self, name: str) -> tuple[str, ...]:
        return self.root.headers(name)

    def walk(self) -> Iterator[Part]:
        return self.root.walk()

    def leaves(self) -> Iterator[Part]:
        """The parts that hold content: neither multipart nor an embedded message that was read."""
        return (part for part in self.root.walk() if not part.children and not part.is_multipart)


def filename_of(disposition_parameters: dict[str, str], parameters: dict[str, str]) -> str | None:
    """The decoded `filename`, or `name` of Content-Type (RFC 2183 §2.3: never trust its path)."""
    name = disposition_parameters.get("filename") or parameters.get("name")
    if not name:
        return None
    name = decode_words(name).replace("\\", "/").rpartition("/")[2].strip(" .")
    return name[:FILENAME_CHARACTERS_MAX] or None


class Content(Protocol):
    """A place in the octets and how to read it: a Part, or its entry in a summary."""

    @property
    def body_start(self) -> int: ...
    @property
    def body_end(self) -> int: ...
    @property
    def encoding(self) -> str: ...
    @property
    def charset(self) -> str: ...


def decode_body(raw: bytes, part: Content, octets_max: int) -> bytes:
    """The content of a part, at most `octets_max` of it. Never raises."""
    encoding = part.encoding
    if encoding == "quoted-printable":
        # Whole lines decode to the same octets alone and among others; mostly a few more than are wanted suffice.
        cut = raw.rfind(b"\n", part.body_start, min(part.body_end, part.body_start + octets_max + octets_max // 2)) + 1
        if cut and len(octets := decode_transfer(raw[part.body_start : cut], encoding)) >= octets_max:
            return octets[:octets_max]
    # quoted-printable takes up to 3.1 octets for one, base64 with its line ends under 1.5
    end = min(part.body_end, part.body_start + 4 * octets_max + 1024)
    return decode_transfer(raw[part.body_start : end], encoding)[:octets_max]


def decode_text(raw: bytes, part: Content, octets_max: int = TEXT_OCTETS_MAX) -> str:
    """The text of a part: declared charset, else UTF-8, else Windows-1252. Never raises."""
    octets = decode_body(raw, part, octets_max)
    return charsets.decode(octets, part.charset, cut=len(octets) == octets_max)
