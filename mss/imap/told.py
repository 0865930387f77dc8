"""What does the store tell of some messages, by rising uid? Columns, cut out of the sheets that are kept. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import TypeVar

from mss.formats.sheet import Sheet
from mss.formats.summary import Section
from mss.imap.backend import Row

T = TypeVar("T")
Pick = slice | list[int]
"""Which messages of a sheet."""
ALL = slice(None)


class Told:
    """Messages of one sheet or several, in order."""

    __slots__ = ("_parts",)

    def __init__(self, parts: Sequence[tuple[Sheet, Pick]] = ()) -> None:
        self._parts = parts

    @classmethod
    def of(cls, told: Sequence[tuple[Row, bytes]]) -> Told:
        """From rows and summaries as they are."""
        return cls([(Sheet.of([row for row, _ in told], [summary for _, summary in told]), ALL)]) if told else cls()

    @classmethod
    def of_rows(cls, rows: Sequence[Row]) -> Told:
        """What lies in clear alone."""
        return cls([(Sheet.of_rows(rows), ALL)]) if rows else cls()

    def __len__(self) -> int:
        return len(self.number(0))

    def derived(self, name: object, make: Callable[[Sheet], list[T]]) -> list[T]:
        """What follows from each message; made once for a sheet and kept there."""
        return list(chain.from_iterable(_picked(sheet.derived(name, make), pick) for sheet, pick in self._parts))

    def column(self, section: Section) -> list[bytes]:
        """One section of every summary."""
        return list(chain.from_iterable(_picked(sheet.column(section), pick) for sheet, pick in self._parts))

    def number(self, which: int) -> list[int]:
        """0 uid, 1 size, 2 internal date in ms, 3 save date in ms, 4 message."""
        return list(chain.from_iterable(_picked(sheet.numbers[which], pick) for sheet, pick in self._parts))

    def only(self, number: int) -> Told:
        """One message."""
        for sheet, pick in self._parts:
            indices = range(len(sheet))[pick] if isinstance(pick, slice) else pick
            if number < len(indices):
                return Told([(sheet, [indices[number]])])
            number -= len(indices)
        raise IndexError(number)

    @property
    def uids(self) -> list[int]:
        return self.number(0)

    @property
    def rows(self) -> list[Row]:
        return list(map(Row._make, zip(*map(self.number, range(len(Row._fields))), strict=True)))


def _picked(column: Sequence[T], pick: Pick) -> Sequence[T]:
    if isinstance(pick, slice):
        return column if pick == ALL else column[pick]
    return [column[index] for index in pick]
