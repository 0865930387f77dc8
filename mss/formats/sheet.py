"""What do neighbours in a folder say of themselves? Their summaries by column, so that a list is joins of octets.

A summary (mss/formats/summary.py) has six sections; a sheet keeps all ENVELOPEs of its messages together, then all
BODYs, and so on, beside what lies in clear of them. A column is cut into messages when somebody asks for it. The octets
of a sheet are versioned; whoever keeps them seals them.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import TypeVar

from mss.formats.summary import SECTIONS, Section, joined, sections_of
from mss.model.errors import BadValue

VERSION = 1
MESSAGES_MAX = 128
"""Messages of a sheet that is kept: some 250 kB, opened in a third of a millisecond."""
_HEAD = struct.Struct("<II")
_NUMBERS = 5
Known = tuple[int, int, int, int, int]
"""What lies in clear beside a message in a folder: uid, size, internaldate_ms, savedate_ms, message."""
T = TypeVar("T")


class Sheet:
    """Some messages by rising uid. Build with `of` or `from_bytes`."""

    __slots__ = ("_columns", "_derived", "_octets", "_starts", "numbers", "size_bytes")

    def __init__(self, numbers: Sequence[array[int]], lengths: Sequence[array[int]], octets: bytes) -> None:
        """Raises BadValue when the octets are not as many as the lengths say. No lengths: rows alone."""
        self.numbers = tuple(numbers)
        """uid, size, internaldate_ms, savedate_ms, message: a column each."""
        self._octets = octets
        ends = [0, *accumulate(map(sum, lengths))]
        if ends[-1] != len(octets):
            raise BadValue("not a sheet")
        self._starts = [tuple(accumulate(column, initial=at)) for at, column in zip(ends, lengths, strict=False)]
        self._columns: dict[int, list[bytes]] = {}
        self._derived: dict[object, list[object]] = {}
        self.size_bytes = 2 * len(octets) + 300 * len(self)

    @classmethod
    def of(cls, rows: Sequence[Known], summaries: Sequence[bytes]) -> Sheet:
        """From messages by rising uid and the octets of their summaries."""
        numbers = [array("Q", column) for column in zip(*rows, strict=True)]
        columns = list(zip(*map(sections_of, summaries), strict=True))
        lengths = [array("I", map(len, column)) for column in columns]
        return cls(numbers, lengths, b"".join(octets for column in columns for octets in column))

    @classmethod
    def of_rows(cls, rows: Sequence[Known]) -> Sheet:
        """What lies in clear alone."""
        return cls([array("Q", column) for column in zip(*rows, strict=True)] or [array("Q")] * _NUMBERS, (), b"")

    def to_bytes(self) -> bytes:
        columns = [array("I", (end - start for start, end in pairwise(starts))) for starts in self._starts]
        packed = [_native(column).tobytes() for column in (*self.numbers, *columns)]
        return b"".join((_HEAD.pack(VERSION, len(self)), *packed, self._octets))

    @classmethod
    def from_bytes(cls, data: bytes) -> Sheet:
        """Raises BadValue when these are not the octets that `to_bytes` gave."""
        try:
            version, count = _HEAD.unpack_from(data)
        except struct.error:
            raise BadValue("not a sheet") from None
        at = _HEAD.size
        if version != VERSION or len(data) < at + count * (8 * _NUMBERS + 4 * SECTIONS):
            raise BadValue("not a sheet")
        columns = []
        for kind, width in (("Q", 8),) * _NUMBERS + (("I", 4),) * SECTIONS:
            column = array(kind)
            column.frombytes(data[at : at + width * count])
            columns.append(_native(column))
            at += width * count
        return cls(columns[:_NUMBERS], columns[_NUMBERS:], data[at:])

    def __len__(self) -> int:
        return len(self.numbers[0])

    @property
    def uids(self) -> array[int]:
        return self.numbers[0]

    def dates_ms(self) -> dict[int, int]:
        """The internal date of each uid."""
        return dict(zip(self.uids, self.numbers[2], strict=True))

    @property
    def rows(self) -> list[Known]:
        return list(zip(*self.numbers, strict=True))

    @property
    def has_summaries(self) -> bool:
        return bool(self._starts)

    def column(self, section: Section) -> list[bytes]:
        """One section of every summary."""
        known = self._columns.get(section)
        if known is None:
            octets = self._octets
            known = self._columns[section] = [octets[start:end] for start, end in pairwise(self._starts[section])]
        return known

    def summaries(self) -> list[bytes]:
        """The octets of each summary."""
        return [joined(sections) for sections in zip(*map(self.column, Section), strict=True)]

    def derived(self, name: object, make: Callable[[Sheet], list[T]]) -> list[T]:
        """What follows from the sheet, made once."""
        known = self._derived.get(name)
        if known is None:
            known = self._derived[name] = make(self)  # type: ignore[assignment]
        return known  # type: ignore[return-value]

    def __add__(self, other: Sheet) -> Sheet:
        """Both by rising uid; what stands in both is taken once."""
        there = dict(zip(other.uids, zip(other.rows, other.summaries(), strict=True), strict=True))
        there |= zip(self.uids, zip(self.rows, self.summaries(), strict=True), strict=True)
        both = [there[uid] for uid in sorted(there)]
        return Sheet.of([row for row, _ in both], [summary for _, summary in both])


def _native(column: array[int]) -> array[int]:
    """Numbers of a sheet are little-endian, whatever the machine."""
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column
