"""Which of these messages say that? Their texts decoded and folded once, end to end: a search is one look through.

The answer is that of `Texts.say` for each message: a NUL stands between texts, and nobody looks for a NUL. Octets are
versioned; whoever keeps them seals them.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from mss.formats import charsets
from mss.formats.headers import decode_words
from mss.formats.summary import PartEntry
from mss.formats.transfer import decode_transfer
from mss.model.errors import BadValue

VERSION = 1
TEXT_BYTES_MAX = 1024 * 1024
"""Of one part, as sent: nobody wrote more by hand, and a search must end."""
MESSAGES_MAX = 256
MESSAGE_BYTES_MAX = 64 * 1024
"""A message with more text than that is looked at alone."""
SHEET_BYTES_MAX = 1024 * 1024
_HEAD = struct.Struct("<II")
_BETWEEN = b"\0"


@dataclass(frozen=True, slots=True)
class Texts:
    """What a message says, folded for comparison: its header, its text parts."""

    header: str
    bodies: tuple[str, ...]

    @classmethod
    def of(cls, raw: bytes, parts: tuple[PartEntry, ...]) -> Texts:
        """By the table of parts that was made at delivery."""
        header = decode_words(raw[: parts[0].body_start]).casefold() if parts else ""
        return cls(header, tuple(text.casefold() for text in _texts(raw, parts)))

    def say(self, wanted: str, *, header_too: bool) -> bool:
        """Whether a text part (or the header) contains `wanted`, which is casefolded already."""
        return (header_too and wanted in self.header) or any(wanted in text for text in self.bodies)

    def to_bytes(self) -> tuple[bytes, bytes]:
        """The header, the bodies."""
        return _octets(self.header), _BETWEEN + _BETWEEN.join(map(_octets, self.bodies))


def _texts(raw: bytes, parts: tuple[PartEntry, ...]) -> Iterator[str]:
    for part in parts:
        if part.content_type.startswith("text/"):
            end = min(part.body_end, part.body_start + TEXT_BYTES_MAX)
            octets = decode_transfer(raw[part.body_start : end], part.encoding)
            yield charsets.decode(octets, part.charset, cut=end < part.body_end)


def can_look_for(wanted: str) -> bool:
    """Whether sheets answer for it: not for nothing, nor for what stands between texts."""
    return bool(wanted) and "\0" not in wanted


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


class TextSheet:
    """Texts of some messages by rising uid."""

    __slots__ = ("_bodies", "_octets", "_starts", "uids")

    def __init__(self, uids: array[int], headers: array[int], bodies: array[int], octets: bytes) -> None:
        """Raises BadValue when the octets are not as many as the lengths say."""
        self.uids = uids
        self._starts = [*accumulate((h + b for h, b in zip(headers, bodies, strict=True)), initial=0)]
        self._bodies = [start + header for start, header in zip(self._starts, headers, strict=False)]
        self._octets = octets
        if self._starts[-1] != len(octets):
            raise BadValue("not a sheet of texts")

    @classmethod
    def from_bytes(cls, data: bytes) -> TextSheet:
        """Raises BadValue when these are not the octets that `text_sheet` gave."""
        if len(data) < _HEAD.size:
            raise BadValue("not a sheet of texts")
        version, count = _HEAD.unpack_from(data)
        at = _HEAD.size
        if version != VERSION or len(data) < at + 16 * count:
            raise BadValue("not a sheet of texts")
        uids, headers, bodies = array("Q"), array("I"), array("I")
        for column in (uids, headers, bodies):
            end = at + column.itemsize * count
            column.frombytes(data[at:end])
            if sys.byteorder == "big":
                column.byteswap()
            at = end
        return cls(uids, headers, bodies, data[at:])

    def saying(self, wanted: str, *, header_too: bool) -> list[int]:
        """Uids of the messages that contain `wanted` (casefolded; see `can_look_for`)."""
        needle, octets, found = _octets(wanted), self._octets, []
        at = octets.find(needle)
        while at >= 0:
            index = bisect_right(self._starts, at) - 1
            if (
                at + len(needle) > self._starts[index + 1]
            ):  # nothing stands between a message and the header of the next
                at = octets.find(needle, at + 1)
            elif header_too or at >= self._bodies[index]:
                found.append(self.uids[index])
                at = octets.find(needle, self._starts[index + 1])
            else:
                at = octets.find(needle, self._bodies[index])
        return found


def text_sheet(uids: Sequence[int], texts: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The octets of a sheet of messages by rising uid, from what `Texts.to_bytes` gave."""
    numbers = (array("Q", uids), array("I", (len(h) for h, _ in texts)), array("I", (len(b) for _, b in texts)))
    if sys.byteorder == "big":
        for column in numbers:
            column.byteswap()
    columns = [column.tobytes() for column in numbers]
    return b"".join((_HEAD.pack(VERSION, len(uids)), *columns, *(part for pair in texts for part in pair)))
