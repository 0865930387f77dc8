"""What does a folder hold now? An immutable picture of uids, flags and mod-sequences, shared by all its sessions.

Sixteen octets for each message: pairs of flags and keywords are few in a folder, so that a message keeps only
which one it has. The next picture is made from this one and the changes; what a session has not told its client
yet is the difference of two pictures. Pure: reading the store is for mss/imap/hub.py.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from mss.imap.sets import ranges_of

Marks = tuple[int, int]
"""System flags and keywords of a message, both as bits."""
State = tuple[int, int, int, int]
"""uid, modseq, flags, keyword bits: a message's row, as the store tells it."""

TRAIL_STEPS_MAX = 64
TRAIL_UIDS_MAX = 2048
"""How far back differences are known without comparing whole pictures: sessions lag seconds, not hours."""
PALETTE_MAX = 4096
"""Different pairs of flags before unused ones are dropped."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened in a folder after some modseq: rows new or changed, ranges of uids gone."""

    modseq: int
    uidnext: int
    states: Sequence[State] = ()
    gone: Sequence[tuple[int, int]] = ()
    keywords: tuple[str, ...] = ()
    """All keywords of the folder by bit; empty text for a bit without one."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step between pictures: messages changed (new ones not among them), messages gone."""

    since: int
    changed: tuple[int, ...]
    gone: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The picture. Build with `Snapshot.of`, go on with `after`."""

    uidvalidity: int
    uidnext: int
    modseq: int
    keywords: tuple[str, ...]
    uids: array[int]
    modseqs: array[int]
    kinds: array[int]
    palette: tuple[Marks, ...]
    trail: tuple[Step, ...] = field(default=(), repr=False)

    @classmethod
    def of(
        cls, uidvalidity: int, uidnext: int, modseq: int, keywords: tuple[str, ...], states: Iterable[State]
    ) -> Snapshot:
        """A picture from all rows of a folder, by rising uid."""
        palette: dict[Marks, int] = {}
        uids, modseqs, kinds = array("I"), array("Q"), array("I")
        for uid, changed_at, flags, keyword_bits in states:
            uids.append(uid)
            modseqs.append(changed_at)
            kinds.append(palette.setdefault((flags, keyword_bits), len(palette)))
        return cls(uidvalidity, uidnext, modseq, keywords, uids, modseqs, kinds, tuple(palette))

    def __len__(self) -> int:
        return len(self.uids)

    def index(self, uid: int) -> int:
        """Where a uid stands, or -1."""
        at = bisect_left(self.uids, uid)
        return at if at < len(self.uids) and self.uids[at] == uid else -1

    def marks(self, index: int) -> Marks:
        return self.palette[self.kinds[index]]

    def count(self, bit: int, *, wanted: bool = True) -> int:
        """How many messages have a system flag, or have it not."""
        kinds = {number for number, (flags, _) in enumerate(self.palette) if bool(flags & bit) == wanted}
        return sum(1 for kind in self.kinds if kind in kinds)

    def uids_with(self, bit: int) -> list[int]:
        """Uids of messages that have a system flag, rising."""
        kinds = {number for number, (flags, _) in enumerate(self.palette) if flags & bit}
        return [uid for uid, kind in zip(self.uids, self.kinds, strict=True) if kind in kinds]

    def first_without(self, bit: int) -> int:
        """Index of the first message without a system flag, or -1."""
        kinds = {number for number, (flags, _) in enumerate(self.palette) if not flags & bit}
        return next((index for index, kind in enumerate(self.kinds) if kind in kinds), -1)

    # --- the next picture

    def after(self, changes: Changes) -> Snapshot:
        """This folder once `changes` have happened."""
        if changes.modseq <= self.modseq and not changes.states and not changes.gone:
            return self
        palette = {marks: number for number, marks in enumerate(self.palette)}
        uids, modseqs, kinds = self.uids, self.modseqs, self.kinds
        gone = [index for low, high in changes.gone for index in self._indices(low, high)]
        if changes.states or gone:
            modseqs, kinds = modseqs[:], kinds[:]
        changed, new = [], []
        for state in changes.states:
            uid, changed_at, *marks = state
            index = self.index(uid)
            if index < 0:
                new.append(state)
                continue
            modseqs[index] = changed_at
            kinds[index] = palette.setdefault((marks[0], marks[1]), len(palette))
            changed.append(uid)
        gone_uids = tuple(uids[index] for index in gone)
        if gone or new:
            uids = uids[:]
            for low, high in reversed(ranges_of(sorted(gone))):
                del uids[low : high + 1], modseqs[low : high + 1], kinds[low : high + 1]
            for uid, changed_at, flags, keyword_bits in sorted(new):
                uids.append(uid)
                modseqs.append(changed_at)
                kinds.append(palette.setdefault((flags, keyword_bits), len(palette)))
        step = Step(self.modseq, tuple(changed), gone_uids)
        following = Snapshot(
            self.uidvalidity,
            changes.uidnext,
            changes.modseq,
            changes.keywords,
            uids,
            modseqs,
            kinds,
            tuple(palette),
            _bounded((*self.trail, step)),
        )
        return following._compact() if len(palette) > PALETTE_MAX else following

    def _indices(self, low: int, high: int) -> range:
        return range(bisect_left(self.uids, low), bisect_left(self.uids, high + 1))

    def _compact(self) -> Snapshot:
        used = sorted(set(self.kinds))
        number = {kind: new for new, kind in enumerate(used)}
        kinds = array("I", (number[kind] for kind in self.kinds))
        return replace(self, kinds=kinds, palette=tuple(self.palette[kind] for kind in used))

    # --- differences

    def changed_since(self, modseq: int) -> list[int]:
        """Uids present whose flags changed after `modseq`, rising; new messages may be among them."""
        steps = self._steps(modseq)
        if steps is None:
            return [uid for uid, changed_at in zip(self.uids, self.modseqs, strict=True) if changed_at > modseq]
        named = {uid for step in steps for uid in step.changed}
        return [uid for uid in sorted(named) if self.index(uid) >= 0]

    def gone_since(self, before: Snapshot) -> list[int]:
        """Uids that `before` had and this one has not, rising."""
        if self.uids is before.uids:
            return []
        steps = self._steps(before.modseq)
        if steps is None:
            return sorted(set(before.uids) - set(self.uids))
        return sorted({uid for step in steps for uid in step.gone if before.index(uid) >= 0})

    def _steps(self, modseq: int) -> tuple[Step, ...] | None:
        for number, step in enumerate(self.trail):
            if step.since == modseq:
                return self.trail[number:]
        return () if modseq == self.modseq else None


def _bounded(trail: tuple[Step, ...]) -> tuple[Step, ...]:
    """The newest steps within the limits."""
    kept, uids = 0, 0
    for step in reversed(trail[-TRAIL_STEPS_MAX:]):
        uids += len(step.changed) + len(step.gone)
        if uids > TRAIL_UIDS_MAX:
            break
        kept += 1
    return trail[len(trail) - kept :]
