"""Which numbers does `1:5,9,12:*` mean? Sequence sets as ranges, and uid sets as text.

A set is never spread out by what a client writes, only by what a folder holds: `1:4294967295` costs nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

STAR = 1 << 32
"""`*`, the largest number in use; above every number of 32 bits."""


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Ranges (low, high) as written, each with low <= high; `*` is STAR."""

    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def parse(cls, text: bytes) -> SequenceSet:
        """Read text that already has the shape of a sequence-set (RFC 9051 §9). Raises ValueError for a number
        that is zero or needs more than 32 bits."""
        if text.isdigit():
            one = _number(text)
            return cls(((one, one),))
        ranges = []
        for part in text.split(b","):
            low, colon, high = part.partition(b":")
            one = _number(low)
            other = _number(high) if colon else one
            ranges.append((one, other) if one <= other else (other, one))
        return cls(tuple(ranges))

    def uid_positions(self, uids: Sequence[int]) -> list[int]:
        """Indices, rising, of those `uids` (rising) that the set names. `*` is the last uid."""
        if not uids:
            return []
        last = uids[-1]
        spans = []
        for low, high in self.ranges:
            if high == STAR:
                low, high = min(low, last), last  # "900:*" names the last message whatever its uid (RFC 9051 §9)
            spans.append((bisect_left(uids, low), bisect_right(uids, high)))
        return _spread(spans)

    def positions(self, exists: int, *, lenient: bool = False) -> list[int] | None:
        """Indices, rising, of the message numbers that the set names among `exists` messages.

        None when it names a number that does not exist (a client's mistake, RFC 9051 §6.4), unless `lenient`: then it
        names nothing. `*` is the last message; in an empty folder a range with `*` names nothing.
        """
        spans = []
        for low, high in self.ranges:
            if high == STAR:
                if exists:
                    spans.append((min(low, exists) - 1, exists))
            elif high > exists and not lenient:
                return None
            else:
                spans.append((min(low - 1, exists), min(high, exists)))
        return _spread(spans)

    def uid_ranges(self, last: int) -> list[tuple[int, int]]:
        """The set as rising ranges that do not touch, up to the uid `last`, which `*` means."""
        ends = ((min(low, last), min(high, last)) for low, high in self.ranges if low <= last or high == STAR)
        return joined(ends) if last else []

    def __contains__(self, number: int) -> bool:
        return any(low <= number <= high for low, high in self.ranges)


SAVED = SequenceSet(((-1, -1),))
"""`$`: the uids that the last SEARCH kept (RFC 5182). A view knows which."""


def _number(text: bytes) -> int:
    if text == b"*":
        return STAR
    number = int(text)
    if not 0 < number < STAR:
        raise ValueError("number out of range")
    return number


def _spread(spans: list[tuple[int, int]]) -> list[int]:
    if len(spans) == 1:
        return list(range(*spans[0]))
    spans.sort()
    found: list[int] = []
    reached = 0
    for first, end in spans:
        found.extend(range(max(first, reached), end))
        reached = max(reached, end)
    return found


def ranges_of(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Neighbours joined: [1, 2, 3, 7] is [(1, 3), (7, 7)]. Keeps the order given."""
    found: list[tuple[int, int]] = []
    first = last = -1
    for number in numbers:
        if number == last + 1 and first >= 0:
            last = number
            continue
        if first >= 0:
            found.append((first, last))
        first = last = number
    if first >= 0:
        found.append((first, last))
    return found


def joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same numbers as rising ranges that do not touch."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found


def common(some: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Numbers in both; each as `joined` gives them."""
    found, one, other = [], 0, 0
    while one < len(some) and other < len(others):
        low, high = max(some[one][0], others[other][0]), min(some[one][1], others[other][1])
        if low <= high:
            found.append((low, high))
        if some[one][1] < others[other][1]:
            one += 1
        else:
            other += 1
    return found


def absent(ranges: Iterable[tuple[int, int]], uids: Sequence[int]) -> list[tuple[int, int]]:
    """What of these ranges is not among `uids` (rising)."""
    found = []
    for low, high in ranges:
        for index in range(bisect_left(uids, low), bisect_right(uids, high)):
            if uids[index] > low:
                found.append((low, uids[index] - 1))
            low = uids[index] + 1
        if low <= high:
            found.append((low, high))
    return found


def ranges_text(ranges: Iterable[tuple[int, int]]) -> bytes:
    """Ranges as a sequence-set."""
    return b",".join(b"%d" % a if a == b else b"%d:%d" % (a, b) for a, b in ranges)


def set_text(numbers: Iterable[int]) -> bytes:
    """The shortest sequence-set for numbers, in the order given (COPYUID pairs depend on it)."""
    return ranges_text(ranges_of(numbers))
