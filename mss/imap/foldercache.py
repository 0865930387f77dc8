"""What was read and opened of messages, so that a folder that is listed again is not opened again.

A uid never means another message, and what is kept of one never changes: nothing here can be stale, but for the date
of sent mail that a client brings again, which is forgotten. Bounded; whole folders go, the least used first. Pure.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mss.formats.sheet import MESSAGES_MAX, Sheet
from mss.imap.backend import Row
from mss.imap.told import ALL, Pick, Told

ROW_BYTES = 300
"""What Python takes for a row and its places in a dictionary, about."""


@dataclass(slots=True)
class KnownFolder:
    """Opened sheets, whose ranges of uids do not overlap, and rows by uid."""

    sheets: list[Sheet] = field(default_factory=list)
    rows: dict[int, Row] = field(default_factory=dict)
    size_bytes: int = 0
    is_kept: bool = True
    """False once forgotten: whoever still reads from it is the last."""
    listed_to: int = 0
    """The last uid that was asked for: a list that goes on there is read ahead of."""
    no_sheet_from: int = 1 << 62
    """From this uid on the store had no sheet when it was asked."""
    _lasts: list[int] = field(default_factory=list)

    def add(self, sheet: Sheet) -> None:
        """Take a sheet in; with those that it overlaps, or a small one before it, it becomes one."""
        if not sheet:
            return
        low, high = sheet.uids[0], sheet.uids[-1]
        first = bisect_left(self._lasts, low)
        if first and len(self.sheets[first - 1]) + len(sheet) <= MESSAGES_MAX:
            first -= 1  # as new mail is opened message by message
        end = first
        while end < len(self.sheets) and self.sheets[end].uids[0] <= high:
            sheet = self.sheets[end] + sheet
            end += 1
        self.size_bytes += sheet.size_bytes - sum(one.size_bytes for one in self.sheets[first:end])
        self.sheets[first:end] = [sheet]
        self._lasts[first:end] = [sheet.uids[-1]]

    def drop(self, uid: int) -> None:
        """Forget a message; the neighbours on its sheet go with it."""
        if self.rows.pop(uid, None) is not None:
            self.size_bytes -= ROW_BYTES
        which = bisect_left(self._lasts, uid)
        if which < len(self.sheets) and self.sheets[which].uids[0] <= uid:
            self.size_bytes -= self.sheets.pop(which).size_bytes
            del self._lasts[which]

    def next_sheet(self, uid: int) -> int:
        """The first uid of the next sheet after one."""
        which = bisect_right(self._lasts, uid)
        return self.sheets[which].uids[0] if which < len(self.sheets) else 1 << 62

    def told(self, uids: Sequence[int]) -> tuple[Told, list[int]]:
        """What is known of some messages, by rising uid, and the uids of those that are not known."""
        parts: list[tuple[Sheet, Pick]] = []
        missing: list[int] = []
        for sheet, wanted in self._shares(uids):
            if sheet is None:
                missing += wanted
                continue
            pick, unknown = _pick(sheet, wanted)
            parts.append((sheet, pick))
            missing += unknown
        return Told(parts), missing

    def _shares(self, uids: Sequence[int]) -> Iterator[tuple[Sheet | None, Sequence[int]]]:
        """Which uids each sheet must answer for; those between sheets go to None."""
        at = 0
        while at < len(uids):
            which = bisect_left(self._lasts, uids[at])
            sheet = self.sheets[which] if which < len(self.sheets) else None
            if sheet is not None and sheet.uids[0] <= uids[at]:
                end = bisect_right(uids, sheet.uids[-1], at)
                yield sheet, uids[at:end]
            else:
                end = len(uids) if sheet is None else bisect_left(uids, sheet.uids[0], at)
                yield None, uids[at:end]
            at = end


def _pick(sheet: Sheet, wanted: Sequence[int]) -> tuple[Pick, list[int]]:
    start = bisect_left(sheet.uids, wanted[0])
    end = start + len(wanted)
    if sheet.uids[start:end].tolist() == list(wanted):
        return (ALL if len(wanted) == len(sheet) else slice(start, end)), []
    index = {uid: number for number, uid in enumerate(sheet.uids)}
    return [index[uid] for uid in wanted if uid in index], [uid for uid in wanted if uid not in index]


class FolderCache:
    """Of one process."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._folders: OrderedDict[tuple[int, int], KnownFolder] = OrderedDict()

    def of(self, owner: int, folder: int) -> KnownFolder:
        """What is known of a folder, to be used until the next question."""
        key = (owner, folder)
        known = self._folders.get(key)
        if known is None:
            known = self._folders[key] = KnownFolder()
        self._folders.move_to_end(key)
        return known

    def forget(self, owner: int, folder: int, uid: int) -> None:
        """Read a message anew when it is asked for."""
        if (known := self._folders.get((owner, folder))) is not None:
            before = known.size_bytes
            known.drop(uid)
            self._bytes += known.size_bytes - before

    def learn(self, known: KnownFolder, rows: Iterable[Row], sheets: Iterable[Sheet] = ()) -> None:
        """Keep what was read of a folder."""
        before = known.size_bytes
        for row in rows:
            if row.uid not in known.rows:
                known.rows[row.uid] = row
                known.size_bytes += ROW_BYTES
        for sheet in sheets:
            known.add(sheet)
        if known.is_kept:
            self._bytes += known.size_bytes - before
        while self._bytes > self._bytes_max and self._folders:
            _, forgotten = self._folders.popitem(last=False)
            self._bytes -= forgotten.size_bytes
            forgotten.is_kept = False
