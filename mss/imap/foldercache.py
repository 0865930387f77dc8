"""What was read and opened of messages, so that a folder that is listed again is not opened again.

A uid never means another message, and what is kept of one never changes: nothing here can be stale, but for the date
of sent mail that a client brings again, which is forgotten. Bounded; whole folders go, the least used first. Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from mss.imap.backend import Row

ROW_BYTES = 300
"""What Python takes for a row and its places in two dictionaries, about."""


@dataclass(slots=True)
class KnownFolder:
    """Rows and opened summaries by uid. A summary is never without its row."""

    rows: dict[int, Row] = field(default_factory=dict)
    summaries: dict[int, bytes] = field(default_factory=dict)
    size_bytes: int = 0
    is_kept: bool = True
    """False once forgotten: whoever still reads from it is the last."""


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
        if (known := self._folders.get((owner, folder))) is not None and uid in known.rows:
            freed = ROW_BYTES + len(known.summaries.pop(uid, b""))
            del known.rows[uid]
            known.size_bytes -= freed
            self._bytes -= freed

    def learn(self, known: KnownFolder, rows: Iterable[Row], opened: Iterable[tuple[Row, bytes]] = ()) -> None:
        """Keep what was read of a folder."""
        before = known.size_bytes
        for row in rows:
            if row.uid not in known.rows:
                known.rows[row.uid] = row
                known.size_bytes += ROW_BYTES
        for row, summary in opened:
            if row.uid not in known.summaries:
                known.summaries[row.uid] = summary
                known.size_bytes += len(summary)
        if known.is_kept:
            self._bytes += known.size_bytes - before
        while self._bytes > self._bytes_max and self._folders:
            _, forgotten = self._folders.popitem(last=False)
            self._bytes -= forgotten.size_bytes
            forgotten.is_kept = False
