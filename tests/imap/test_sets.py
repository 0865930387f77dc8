"""Sets of numbers cost what a folder holds, not what a client writes."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mss.imap.sets import SequenceSet, absent, common, joined, ranges_of, set_text

NUMBER = st.one_of(st.integers(1, 12), st.just("*"))
SET = st.lists(st.one_of(NUMBER, st.tuples(NUMBER, NUMBER)), min_size=1, max_size=5)
UIDS = st.lists(st.integers(1, 15), unique=True, max_size=8).map(sorted)


def _text(parts: list[object]) -> str:
    return ",".join(f"{part[0]}:{part[1]}" if isinstance(part, tuple) else str(part) for part in parts)


def _meant(parts: list[object], largest: int) -> set[int]:
    """RFC 9051 §9, word for word: `*` is the largest number, the order of a range does not matter."""
    named: set[int] = set()
    for part in parts:
        one, other = part if isinstance(part, tuple) else (part, part)
        low, high = sorted(largest if n == "*" else int(n) for n in (one, other))
        named |= set(range(low, high + 1))
    return named


@given(SET, UIDS)
def test_uids_named_are_the_uids_found(parts: list[object], uids: list[int]) -> None:
    """Whatever is written, what is there and named is found, once, in order."""
    found = SequenceSet.parse(_text(parts).encode()).uid_positions(uids)
    wanted = _meant(parts, uids[-1]) if uids else set()
    assert [uids[position] for position in found] == [uid for uid in uids if uid in wanted]


@given(SET, st.integers(1, 12))
def test_numbers_named_are_the_numbers_found(parts: list[object], exists: int) -> None:
    """The same for message numbers; a plain number that does not exist is a mistake."""
    found = SequenceSet.parse(_text(parts).encode()).positions(exists)
    plain = [n for part in parts for n in (part if isinstance(part, tuple) else (part,)) if n != "*"]
    with_star = [part for part in parts if isinstance(part, tuple) and "*" in part]
    if found is None:
        assert max(plain, default=0) > exists
    else:
        assert set(found) == {n - 1 for n in _meant(parts, exists) if n <= exists}
        assert all(n <= exists for n in plain) or with_star


def test_star_in_an_empty_folder_names_nothing() -> None:
    """Clients ask for 1:* before they know that there is nothing."""
    assert SequenceSet.parse(b"1:*").positions(0) == []
    assert SequenceSet.parse(b"1:*").uid_positions([]) == []
    assert SequenceSet.parse(b"1").positions(0) is None


@given(st.lists(st.integers(1, 30), unique=True))
def test_text_of_numbers_means_these_numbers(numbers: list[int]) -> None:
    """COPYUID pairs sources and copies by their order, so it must be kept."""
    spread = [number for low, high in ranges_of(numbers) for number in range(low, high + 1)]
    assert spread == numbers
    if numbers:
        assert set_text(sorted(numbers)).decode().count(",") == len(ranges_of(sorted(numbers))) - 1


RANGES = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 8)).map(lambda pair: (pair[0], sum(pair))), max_size=6)


def spread(ranges: list[tuple[int, int]]) -> set[int]:
    return {number for low, high in ranges for number in range(low, high + 1)}


@given(RANGES, RANGES, st.sets(st.integers(1, 50)))
def test_ranges_say_the_same_as_their_numbers(
    some: list[tuple[int, int]], others: list[tuple[int, int]], uids: set[int]
) -> None:
    """Joined, common and absent are union, intersection and difference; what they answer rises and does not touch."""
    one, other = joined(some), joined(others)
    assert spread(one) == spread(some)
    assert spread(common(one, other)) == spread(some) & spread(others)
    assert spread(absent(one, sorted(uids))) == spread(some) - uids
    assert all(low[1] + 1 < high[0] for low, high in pairwise(one))


def test_a_set_that_a_client_knows_ends_with_the_last_uid() -> None:
    """`*` and what lies beyond the last uid cost nothing."""
    assert SequenceSet.parse(b"7:*,2,3,4294967295").uid_ranges(9) == [(2, 3), (7, 9)]
    assert SequenceSet.parse(b"20:*").uid_ranges(9) == [(9, 9)]
    assert SequenceSet.parse(b"1:*").uid_ranges(0) == []
    assert SequenceSet.parse(b"1:4294967295").uid_ranges(3) == [(1, 3)]
