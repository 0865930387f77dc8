"""A power cut takes back flags that the disk had not seen; no mail client may go on believing in them."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mss.model.clock import ManualClock
from mss.store import powercut
from mss.store.database import Store
from tests.imap.picture import PictureClient
from tests.imap.resyncing import ResyncClient
from tests.kit.databases import with_tables
from tests.kit.imap_house import DOCTOR, ImapHouse, cellar_keeper, imap_house, numbered
from tests.kit.pki import Pki

LOST = 12


@asynccontextmanager
async def life(state: Path, pki: Pki, number: int) -> AsyncIterator[ImapHouse]:
    """The server on what the disk holds, in one life of the machine; the doctor's people are the same in each."""
    url = f"sqlite:///{state}/mss.db"
    await with_tables(url)
    store = Store.open(url)
    await powercut.note_start(store, b"boot %d" % number)
    await store.close()
    people = cellar_keeper(url, state, ManualClock(), pki, seed=number)
    async with people as keeper, imap_house(keeper, pki, state) as house:
        yield house


async def after_a_cut(state: Path, disk: Path, pki: Pki, next_boot: int) -> None:
    """A client sees flags and an expunge, of which the flags were not on the disk when the power went; in the next life
    as many other changes happen before the client comes back. It must then know what one knows that comes for the first
    time."""
    async with life(state, pki, 1) as house:
        await house.put(*numbered(6))
        client = await ResyncClient.arrive(house, DOCTOR)
        for path in state.glob("mss.db*"):  # what was synced: all that a durable commit wrote
            shutil.copy(path, disk / path.name)
        for number in range(LOST):
            await client.command(f"STORE 2 {'-+'[number % 2]}FLAGS (\\Flagged)")
        await client.command("NOOP")
    shutil.copytree(state / "cellar", disk / "cellar", dirs_exist_ok=True)
    async with life(disk, pki, next_boot) as house:
        other = await PictureClient.connect(house, DOCTOR)
        await other.select()
        await other.command("STORE 5 +FLAGS (\\Deleted)")
        await other.command("EXPUNGE")
        await other.command("STORE 4 +FLAGS ($Label1)")
        for number in range(LOST):
            await other.command(f"STORE 1 {'-+'[number % 2]}FLAGS (\\Seen)")
        client = await client.come_back(house, DOCTOR)
        fresh = await PictureClient.connect(house, DOCTOR)
        await fresh.select()
        await fresh.command("FETCH 1:* (UID FLAGS)")
        assert told(client) == told(fresh)


def told(client: PictureClient) -> list[tuple[int, frozenset[bytes] | None]]:
    return [(seen.uid, seen.flags) for seen in client.messages]


async def test_after_a_power_cut_a_client_that_comes_back_has_the_truth(tmp_path: Path, imap_pki: Pki) -> None:
    """Flags that were lost are told to be gone, and what happened since is told, though the client had heard of higher
    mod-sequences than the disk kept. Without the jump (the machine seems never to have been off) it misses them."""
    for place in ("state", "disk", "control", "control-disk"):
        (tmp_path / place).mkdir()
    await after_a_cut(tmp_path / "state", tmp_path / "disk", imap_pki, next_boot=2)
    with pytest.raises(AssertionError):  # the planted fault is seen
        await after_a_cut(tmp_path / "control", tmp_path / "control-disk", imap_pki, next_boot=1)
