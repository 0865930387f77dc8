"""How is a long FETCH written fast? One template for all rows, filled column by column.

Everything but bodies goes this way: numbers and flags come from the shared snapshot, sizes and dates from the
store's rows, ENVELOPE and BODYSTRUCTURE ready rendered from the summaries. Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import chain

from mss.formats.sheet import Sheet
from mss.formats.summary import Section, preview_in
from mss.imap.commands import Attribute
from mss.imap.responses import NIL, date_time, email_id, flag_names, string
from mss.imap.told import Told
from mss.imap.view import View


class Need(IntEnum):
    """How deep must the store look for an item?"""

    SNAPSHOT = 0
    ROW = 1
    SUMMARY = 2


NEEDS = {
    Attribute.UID: Need.SNAPSHOT,
    Attribute.FLAGS: Need.SNAPSHOT,
    Attribute.MODSEQ: Need.SNAPSHOT,
    Attribute.INTERNALDATE: Need.ROW,
    Attribute.SIZE: Need.ROW,
    Attribute.ENVELOPE: Need.SUMMARY,
    Attribute.BODY: Need.SUMMARY,
    Attribute.STRUCTURE: Need.SUMMARY,
    Attribute.EMAILID: Need.ROW,
    Attribute.THREADID: Need.SNAPSHOT,
    Attribute.SAVEDATE: Need.ROW,
    Attribute.PREVIEW: Need.SUMMARY,
}
_FORMS = {
    Attribute.UID: b"UID %d",
    Attribute.FLAGS: b"FLAGS (%b)",
    Attribute.MODSEQ: b"MODSEQ (%d)",
    Attribute.INTERNALDATE: b"INTERNALDATE %b",
    Attribute.SIZE: b"RFC822.SIZE %d",
    Attribute.ENVELOPE: b"ENVELOPE %b",
    Attribute.BODY: b"BODY %b",
    Attribute.STRUCTURE: b"BODYSTRUCTURE %b",
    Attribute.EMAILID: b"EMAILID (%b)",
    Attribute.THREADID: b"THREADID %b",
    Attribute.SAVEDATE: b"SAVEDATE %b",
    Attribute.PREVIEW: b"PREVIEW %b",
}


NOTHING_TOLD = Told()


@dataclass(frozen=True, slots=True)
class Fields:
    """A section of header fields that summaries hold: how it is called, and what picks it out of their headers."""

    label: bytes
    choose: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Page:
    """Some messages of a view, by position, with what the store told of them (as far as it was needed)."""

    view: View
    positions: Sequence[int]
    indices: Sequence[int]
    told: Told = NOTHING_TOLD

    def only(self, number: int) -> Page:
        """One message of it."""
        at = slice(number, number + 1)
        return Page(self.view, self.positions[at], self.indices[at], self.told.only(number) if self.told else self.told)


def need_of(attributes: Iterable[Attribute]) -> Need:
    """The deepest need among items."""
    return max((NEEDS[item] for item in attributes), default=Need.SNAPSHOT)


def render(
    page: Page, attributes: Sequence[Attribute], fields: Sequence[Fields] = (), *, end: bytes = b")\r\n"
) -> bytes:
    """`* 12 FETCH (…)` for each message of the page; with another `end` more items may follow."""
    forms = [_FORMS[item] for item in attributes] + [
        b"%b {%%d}\r\n%%b" % one.label.replace(b"%", b"%%") for one in fields
    ]
    form = b"* %d FETCH (" + b" ".join(forms) + end
    columns: list[Iterable[object]] = [[position + 1 for position in page.positions]]
    columns += [_COLUMNS[item](page) for item in attributes]
    for one in fields:
        chosen = list(map(one.choose, page.told.column(Section.HEADERS)))
        columns += [map(len, chosen), chosen]
    values = tuple(chain.from_iterable(zip(*columns, strict=True)))
    return form * len(page.positions) % values  # one filling for all of them costs half


def _uids(page: Page) -> list[int]:
    uids = page.view.uids
    return [uids[position] for position in page.positions]


def _flags(page: Page) -> list[bytes]:
    view, snapshot = page.view, page.view.snapshot
    kinds = snapshot.kinds
    found = [kinds[index] for index in page.indices]
    texts = [flag_names(marks, snapshot.keywords) for marks in snapshot.palette]
    named = [texts[kind] for kind in found]
    if view.has_recent:
        uids = _uids(page)
        recent = [flag_names(marks, snapshot.keywords, recent=True) for marks in snapshot.palette]
        for low, end in view.recent_ranges:
            for at in range(bisect_left(uids, low), bisect_left(uids, end)):
                named[at] = recent[found[at]]
    return named


def _modseqs(page: Page) -> list[int]:
    modseqs = page.view.snapshot.modseqs
    return [modseqs[index] for index in page.indices]


def _made(name: Attribute, make: Callable[[Sheet], list[bytes]]) -> Callable[[Page], Iterable[object]]:
    """A column that follows from what is kept, and is made once for all who ask."""
    return lambda page: page.told.derived(name, make)


_COLUMNS: dict[Attribute, Callable[[Page], Iterable[object]]] = {
    Attribute.UID: _uids,
    Attribute.FLAGS: _flags,
    Attribute.MODSEQ: _modseqs,
    Attribute.INTERNALDATE: _made(Attribute.INTERNALDATE, lambda sheet: [date_time(ms) for ms in sheet.numbers[2]]),
    Attribute.SIZE: lambda page: page.told.number(1),
    Attribute.ENVELOPE: lambda page: page.told.column(Section.ENVELOPE),
    Attribute.BODY: lambda page: page.told.column(Section.BODY),
    Attribute.STRUCTURE: lambda page: page.told.column(Section.BODYSTRUCTURE),
    Attribute.EMAILID: lambda page: [email_id(message) for message in page.told.number(4)],
    Attribute.THREADID: lambda page: [NIL] * len(page.positions),  # conversations are the client's here (RFC 8474 §5.2)
    Attribute.SAVEDATE: lambda page: [date_time(ms) for ms in page.told.number(3)],
    Attribute.PREVIEW: lambda page: [string(preview_in(texts).encode()) for texts in page.told.column(Section.TEXTS)],
}
