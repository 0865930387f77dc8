"""What is remembered of messages is bounded, and forgetting costs a reading, nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mss.imap.backend import Row
from mss.imap.foldercache import ROW_BYTES, FolderCache

LIMIT = 20 * ROW_BYTES


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 30), st.booleans()), max_size=80))
def test_it_never_holds_more_than_it_may(learned: list[tuple[int, int, bool]]) -> None:
    """Whatever is learned in whatever order, also by those who hold a folder that was forgotten meanwhile."""
    cache = FolderCache(LIMIT)
    held = {folder: cache.of(1, folder) for folder in range(1, 6)}
    for folder, uid, is_opened in learned:
        row = Row(uid, 1, 1, 1)
        known = held[folder] if is_opened else cache.of(1, folder)
        cache.learn(known, [row], [(row, b"x" * 500)] if is_opened else [])
        assert known.rows[uid] == row
        kept = {number: cache.of(1, number) for number in range(1, 6)}
        size = sum(len(k.rows) * ROW_BYTES + sum(map(len, k.summaries.values())) for k in kept.values())
        assert size <= LIMIT
        assert cache._bytes == sum(k.size_bytes for k in kept.values())


def test_what_is_kept_is_found_again() -> None:
    """Rows and summaries come back until others need the room."""
    cache = FolderCache(LIMIT)
    row = Row(7, 100, 1, 2)
    cache.learn(cache.of(1, 1), [row], [(row, b"summary")])
    assert cache.of(1, 1).summaries == {7: b"summary"}
    assert cache.of(2, 1).rows == {}
    cache.learn(cache.of(1, 2), [Row(uid, 1, 1, 1) for uid in range(1, 21)])
    assert cache.of(1, 1).rows == {}
