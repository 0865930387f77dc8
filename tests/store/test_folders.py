"""Folders: numbers that only rise, flags, expunge, and what a client that was away is told."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from mss.model.ids import OwnerId, lane_of
from mss.model.mailbox import Flag
from mss.store import folders, keywordbits, states
from mss.store.folders import Appended, Folder, NewEntry
from mss.store.sql import Connection
from mss.store.states import FlagChange
from tests.kit.people import Cellar


async def inbox(house: Cellar, owner: OwnerId) -> Folder:
    found = await house.store.read(lambda c: folders.folder_by_use(c, owner, "Inbox"))
    assert found is not None
    return found


async def append(house: Cellar, owner: OwnerId, folder: int, count: int, flags: int = 0) -> Appended:
    entries = [NewEntry(n, flags, 0, 1, 10) for n in range(count)]
    return await house.store.write(lane_of(owner), lambda c: folders.append_entries(c, owner, folder, entries, 1))


async def test_a_mailbox_is_born_with_its_folders(house: Cellar, owner: OwnerId) -> None:
    """Seven folders with a role each, and UIDVALIDITY from one counter, which began at the mailbox's making: no small
    numbers, which a client may know from the server that was here before."""
    born = await house.store.read(lambda c: folders.list_folders(c, owner))
    assert {f.special_use for f in born} == {"Inbox", "Sent", "Drafts", "Trash", "Junk", "Archive", "Unanswered"}
    first = int(house.clock.now().timestamp())
    assert {f.uidvalidity for f in born} == set(range(first, first + 7))


async def test_concurrent_deliveries_get_each_number_once(house: Cellar, owner: OwnerId) -> None:
    """Eighty deliveries at once to one folder: 80 numbers, none twice, none missing."""
    folder = (await inbox(house, owner)).folder
    got = await asyncio.gather(*(append(house, owner, folder, 1) for _ in range(80)))
    assert sorted(a.first_uid for a in got) == list(range(1, 81))
    now = await inbox(house, owner)
    assert (now.n_msg, now.n_unseen, now.uidnext, now.size_bytes) == (80, 80, 81, 800)


async def test_a_folder_made_again_has_another_uidvalidity(house: Cellar, owner: OwnerId) -> None:
    """A client must not take the new folder's mail for the old one's."""

    def make(connection: Connection) -> Folder:
        return folders.create_folder(connection, owner, 7, b"sealed", b"hashed")

    first = await house.store.write(lane_of(owner), make)
    await house.store.write(lane_of(owner), lambda c: folders.delete_folder(c, owner, 7))
    second = await house.store.write(lane_of(owner), make)
    assert second.uidvalidity > first.uidvalidity


async def test_a_name_stands_once(house: Cellar, owner: OwnerId) -> None:
    """Two folders of one name would be one for every client."""
    await house.store.write(lane_of(owner), lambda c: folders.create_folder(c, owner, 7, b"sealed", b"hashed"))
    with pytest.raises(IntegrityError):
        await house.store.write(lane_of(owner), lambda c: folders.create_folder(c, owner, 8, b"other", b"hashed"))


async def test_unchangedsince_keeps_back_what_somebody_else_changed(house: Cellar, owner: OwnerId) -> None:
    """RFC 7162 §3.1.3: the entry that moved on is not changed and is named."""
    folder = (await inbox(house, owner)).folder
    modseq = (await append(house, owner, folder, 2)).modseq
    lane = lane_of(owner)
    seen = FlagChange(add=Flag.SEEN)
    await house.store.write(lane, lambda c: states.change_flags(c, owner, folder, [1], seen))
    after, conflicts = await house.store.write(
        lane, lambda c: states.change_flags(c, owner, folder, [1, 2], FlagChange(add=Flag.FLAGGED), modseq)
    )
    assert conflicts == [1]
    assert [(uid, flags) for uid, _, flags, _ in after] == [(2, Flag.FLAGGED)]


async def test_expunge_tells_who_did_it(house: Cellar, owner: OwnerId) -> None:
    """Two sessions expunge at once: each uid is gone once, by one of them."""
    folder = (await inbox(house, owner)).folder
    await append(house, owner, folder, 50, Flag.DELETED)
    lane, uids = lane_of(owner), list(range(1, 51))
    halves = await asyncio.gather(
        *(
            house.store.write(lane, lambda c: folders.expunge(c, owner, folder, uids, 0, only_deleted=True))
            for _ in range(4)
        )
    )
    assert sorted(uid for half in halves for uid in half) == uids
    assert await house.store.read(lambda c: states.changes_since(c, owner, folder, 0)) == ([], [(1, 50)])


Step = tuple[str, int, int]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["append", "flag", "expunge"]), st.integers(1, 12), st.integers(0, 31)), max_size=25
    )
)
async def test_counts_and_changes_follow_whatever_happens(house: Cellar, steps: list[Step]) -> None:
    """After any history the counters equal the entries, and changes since any moment rebuild the present."""
    owner = await house.professional(f"p{house.chance.below(1 << 40)}@ville.mssante.example")
    folder = (await inbox(house, owner)).folder
    lane = lane_of(owner)
    history: list[tuple[int, dict[int, tuple[int, int]]]] = []
    for act, number, flags in steps:
        if act == "append":
            await append(house, owner, folder, 1 + number % 3, flags)
        elif act == "flag":
            change = FlagChange(add=flags, replace=bool(number % 2))
            uids = [number, number + 2]
            await house.store.write(lane, lambda c, u=uids, f=change: states.change_flags(c, owner, folder, u, f))  # type: ignore[misc]
        else:
            uids = [number, number + 1]
            await house.store.write(lane, lambda c, u=uids: folders.expunge(c, owner, folder, u, 0, only_deleted=False))  # type: ignore[misc]
        rows = await house.store.read(lambda c: states.snapshot(c, owner, folder))
        history.append(((await inbox(house, owner)).highestmodseq, {uid: (f, k) for uid, _, f, k in rows}))
    now = await inbox(house, owner)
    present = history[-1][1] if history else {}
    assert now.n_msg == len(present)
    assert now.n_unseen == sum(1 for f, _ in present.values() if not f & Flag.SEEN)
    for modseq, picture in history:
        told = await house.store.read(lambda c, m=modseq: states.changes_since(c, owner, folder, m))  # type: ignore[misc]
        assert told is not None
        changed, gone = told
        rebuilt = {uid: s for uid, s in picture.items() if not any(lo <= uid <= hi for lo, hi in gone)}
        rebuilt |= {uid: (f, k) for uid, _, f, k in changed}
        assert rebuilt == present


async def test_a_folder_holds_62_keywords_and_says_no_to_the_next(house: Cellar, owner: OwnerId) -> None:
    """A bit for each name; the same name has the same bit."""
    archive = await house.store.read(lambda c: folders.folder_by_use(c, owner, "Archive"))
    assert archive is not None
    folder = archive.folder

    def add(connection: Connection, name: bytes) -> int | None:
        return keywordbits.add(connection, owner, folder, b"sealed " + name, name)

    lane = lane_of(owner)
    bits = [await house.store.write(lane, lambda c, n=n: add(c, b"k%d" % n)) for n in range(63)]  # type: ignore[misc]
    assert bits == [*range(62), None]
    assert await house.store.write(lane, lambda c: add(c, b"k5")) == 5
