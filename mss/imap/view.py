"""What does this client believe of its folder, and what may it be told now?

A client counts messages, so a message that is gone keeps its number until the client is told, and it may be told
only when no answer that speaks in numbers is on its way: not during FETCH, STORE or SEARCH (RFC 9051 §7.5.1). A
view is one client's picture: its numbering, and the snapshot up to which flags and arrivals have been told. As long
as nothing is kept back the numbering is the snapshot's own array, shared by every session of the folder. Pure.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mss.imap.sets import SAVED, SequenceSet
from mss.imap.snapshot import Marks, Snapshot


@dataclass(frozen=True, slots=True)
class News:
    """What to tell the client, in this order. Numbers are message numbers as of the moment they are told."""

    expunged: tuple[int, ...] = ()
    """Falling, so that none shifts another that is yet to be told."""
    vanished: tuple[int, ...] = ()
    """The same messages as uids, rising."""
    exists: int | None = None
    recent: int | None = None
    keywords_changed: bool = False
    flags: tuple[int, ...] = ()
    """Positions (number - 1) whose flags are to be told, numbered after the expunges."""


NOTHING = News()


class View:
    """One session's picture of the selected folder."""

    def __init__(self, snapshot: Snapshot, recent: tuple[tuple[int, int], ...] = ()) -> None:
        self.snapshot = snapshot
        self.uids: array[int] = snapshot.uids
        self._recent = recent
        self.saved = SequenceSet(())
        """What the last SEARCH kept (RFC 5182), as uids: those that have gone name nothing."""
        self._gone: tuple[int, ...] = ()  # uids that left but still have their number with this client

    def __len__(self) -> int:
        return len(self.uids)

    # --- numbers

    def positions(self, messages: SequenceSet, *, uid: bool, lenient: bool = False) -> list[int] | None:
        """Positions that a set names, rising. None when it names a message number that does not exist and we are not
        lenient."""
        if messages == SAVED:
            return self.saved.uid_positions(self.uids)
        return messages.uid_positions(self.uids) if uid else messages.positions(len(self.uids), lenient=lenient)

    def position(self, uid: int) -> int:
        """Where a uid stands in the client's numbering, or -1."""
        at = bisect_left(self.uids, uid)
        return at if at < len(self.uids) and self.uids[at] == uid else -1

    def indices(self, positions: list[int]) -> list[int]:
        """Where those messages stand in the snapshot; -1 for one that is gone."""
        if self.uids is self.snapshot.uids:
            return positions
        return [self.snapshot.index(self.uids[position]) for position in positions]

    def changed_since(self, positions: Sequence[int], modseq: int) -> list[int]:
        """Those messages, not gone, that changed or came after `modseq`."""
        modseqs = self.snapshot.modseqs
        pairs = zip(positions, self.indices(list(positions)), strict=True)
        return [position for position, index in pairs if index >= 0 and modseqs[index] > modseq]

    def is_recent(self, uid: int) -> bool:
        return any(low <= uid < end for low, end in self._recent)

    @property
    def has_recent(self) -> bool:
        return bool(self._recent)

    @property
    def recent_ranges(self) -> tuple[tuple[int, int], ...]:
        """Uids from the first number up to before the second."""
        return self._recent

    def recent_count(self) -> int:
        return sum(bisect_left(self.uids, end) - bisect_left(self.uids, low) for low, end in self._recent)

    # --- catching up

    def claim_recent(self, low: int, end: int) -> None:
        """This session is the first to be told of the uids from `low` up to before `end` (RFC 3501 §2.3.2)."""
        if low < end:
            self._recent = (*self._recent, (low, end))

    def catch_up(self, new: Snapshot, *, may_expunge: bool, known: Mapping[int, Marks | None] | None = None) -> News:
        """Go on to a newer snapshot; what the client is to be told of it.

        `known` names uids of which the client already knows the marks: by its own silent STORE, or because the
        running FETCH tells them (None: whatever they are).
        """
        old = self.snapshot
        if new is old and not (may_expunge and self._gone):
            return NOTHING
        self._gone = (*self._gone, *new.gone_since(old))
        arrived = bisect_left(new.uids, old.uidnext)
        new_uids = new.uids[arrived:] if arrived < len(new.uids) else None
        expunged, vanished = self._forget_gone() if may_expunge else ((), ())
        if not self._gone:
            self.uids = new.uids
        elif new_uids:
            self.uids = self.uids + new_uids
        self.snapshot = new
        return News(
            expunged=expunged,
            vanished=vanished,
            exists=len(self.uids) if new_uids else None,
            recent=self.recent_count() if new_uids else None,
            keywords_changed=new.keywords != old.keywords,
            flags=self._changed(old, new, known or {}),
        )

    def _forget_gone(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        uids = tuple(sorted(self._gone))
        self._gone = ()
        return tuple(self.position(uid) + 1 for uid in reversed(uids)), uids

    def _changed(self, old: Snapshot, new: Snapshot, known: Mapping[int, Marks | None]) -> tuple[int, ...]:
        positions = []
        for uid in new.changed_since(old.modseq):
            if uid >= old.uidnext:
                break  # new to the client, which will ask
            marks = known.get(uid, _UNTOLD)
            if marks is None or marks == new.marks(new.index(uid)):
                continue
            positions.append(self.position(uid))
        return tuple(positions)


_UNTOLD: Marks = (-1, -1)
