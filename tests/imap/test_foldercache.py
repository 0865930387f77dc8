"""What is remembered of messages is bounded, and forgetting costs a reading, nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mss.formats.mime import scan
from mss.formats.sheet import Sheet
from mss.formats.summary import Section, summarise
from mss.imap.backend import Row
from mss.imap.foldercache import ROW_BYTES, FolderCache, KnownFolder

LIMIT = 20 * ROW_BYTES


def sheet(*uids: int) -> Sheet:
    """Messages whose subject is their uid."""
    raws = [b"Subject: %d\r\n\r\n" % uid for uid in uids]
    rows = [Row(uid, 100 + uid, 1, 2, 1000 + uid) for uid in uids]
    return Sheet.of(rows, [summarise(raw, scan(raw)).to_bytes() for raw in raws])


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 30), st.booleans()), max_size=80))
def test_it_never_holds_more_than_it_may(learned: list[tuple[int, int, bool]]) -> None:
    """Whatever is learned in whatever order, also by those who hold a folder that was forgotten meanwhile."""
    cache = FolderCache(LIMIT)
    held = {folder: cache.of(1, folder) for folder in range(1, 6)}
    for folder, uid, is_opened in learned:
        row = Row(uid, 1, 1, 1)
        known = held[folder] if is_opened else cache.of(1, folder)
        cache.learn(known, [row], [sheet(uid)] if is_opened else [])
        assert known.rows[uid] == row
        kept = {number: cache.of(1, number) for number in range(1, 6)}
        size = sum(len(k.rows) * ROW_BYTES + sum(one.size_bytes for one in k.sheets) for k in kept.values())
        assert size <= LIMIT
        assert cache._bytes == sum(k.size_bytes for k in kept.values())


def test_what_is_kept_is_found_again() -> None:
    """Rows and summaries come back until others need the room."""
    cache = FolderCache(LIMIT)
    cache.learn(cache.of(1, 1), [Row(7, 100, 1, 2)], [sheet(7)])
    assert cache.of(1, 1).told([7])[0].uids == [7]
    assert cache.of(2, 1).rows == {}
    cache.learn(cache.of(1, 2), [Row(uid, 1, 1, 1) for uid in range(1, 21)])
    assert cache.of(1, 1).rows == {}
    assert cache.of(1, 1).told([7])[1] == [7]


@given(
    st.lists(st.sets(st.integers(1, 60), min_size=1, max_size=20), max_size=12),
    st.sets(st.integers(1, 60), min_size=1),
)
def test_each_message_is_told_once_and_as_itself(opened: list[set[int]], asked: set[int]) -> None:
    """However sheets overlap that were opened in turn: every uid is either told, with its own row and subject, or
    missing."""
    known = KnownFolder()
    for uids in opened:
        known.add(sheet(*sorted(uids)))
    told, missing = known.told(sorted(asked))
    there = set().union(*opened)
    assert told.uids == sorted(asked & there)
    assert missing == sorted(asked - there)
    assert told.number(1) == [100 + uid for uid in told.uids]
    assert told.column(Section.HEADERS) == [b"Subject: %d\r\n" % uid for uid in told.uids]
    assert [row.message for row in told.rows] == [1000 + uid for uid in told.uids]
    assert [told.only(at).uids for at in range(len(told))] == [[uid] for uid in told.uids]
    assert all(one.uids[-1] < other.uids[0] for one, other in zip(known.sheets, known.sheets[1:], strict=False))
