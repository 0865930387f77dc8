"""A copy of state and keys, put up elsewhere, is the same mailbox to every mail client: nothing is fetched again."""

from __future__ import annotations

import asyncio
import imaplib
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mss.model.clock import ManualClock
from mss.store import powercut, restored
from mss.store.database import Store
from tests.imap.picture import PictureClient
from tests.imap.resyncing import ResyncClient
from tests.imap.test_clients import AWKWARD
from tests.imap.test_powercut import told
from tests.kit.databases import with_tables
from tests.kit.imap_house import DOCTOR, PASSWORD, ImapHouse, cellar_keeper, imap_house, letter, numbered
from tests.kit.pki import Pki

LARGE = letter(9, body=("x" * 70 + "\r\n") * 3000)
"""Its body lies in a file of its own."""


def _picture(house: ImapHouse) -> list[object]:
    """All that a client remembers of a mailbox: UIDVALIDITY, UIDs, mod-sequences, flags, dates, bytes."""
    seen: list[object] = []
    with imaplib.IMAP4_SSL("localhost", house.tls_port, ssl_context=house.client_tls()) as client:
        client.login(DOCTOR, PASSWORD)
        seen.append(sorted(map(repr, client.list()[1])))
        for name in ("INBOX", '"Tri/Fait"', "Archives"):
            status = client.status(name, "(UIDVALIDITY UIDNEXT MESSAGES UNSEEN HIGHESTMODSEQ MAILBOXID)")
            client.select(name, readonly=True)
            found = client.uid("FETCH", "1:*", "(UID FLAGS MODSEQ INTERNALDATE EMAILID BODY.PEEK[])")
            seen += [status, found]
    return seen


def _live(house: ImapHouse) -> None:
    """A morning: mail is read, marked, filed, deleted."""
    with imaplib.IMAP4_SSL("localhost", house.tls_port, ssl_context=house.client_tls()) as client:
        client.login(DOCTOR, PASSWORD)
        client.append("INBOX", "(\\Flagged $Label1)", None, AWKWARD)
        client.append("INBOX", "", None, LARGE)
        client.create('"Tri/Fait"')
        client.select("INBOX")
        client.uid("MOVE", "2", '"Tri/Fait"')
        client.uid("STORE", "3", "+FLAGS", "(\\Deleted)")
        client.expunge()
        client.uid("STORE", "4", "+FLAGS", "(\\Seen)")


async def test_uids_and_bytes_are_the_same_after_a_restore(tmp_path: Path, clock: ManualClock, imap_pki: Pki) -> None:
    """And what comes afterwards gets numbers that were never used."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    async with (
        cellar_keeper(f"sqlite:///{first}/mss.db", first, clock, imap_pki) as keeper,
        imap_house(keeper, imap_pki, tmp_path, clock) as house,
    ):
        await house.put(*numbered(4))
        await asyncio.to_thread(_live, house)
        before = await asyncio.to_thread(_picture, house)
    shutil.copytree(first, second)
    shutil.rmtree(first)
    async with (
        cellar_keeper(f"sqlite:///{second}/mss.db", second, clock, imap_pki, seed=8) as keeper,
        imap_house(keeper, imap_pki, tmp_path, clock) as house,
    ):
        assert await asyncio.to_thread(_picture, house) == before
        assert await house.put(letter(10)) == [7]


async def _start(state: Path, boot: bytes) -> bool:
    """As each process starts; whether it saw that the file was put back."""
    url = f"sqlite:///{state}/mss.db"
    await with_tables(url)
    store = Store.open(url)
    try:
        await powercut.note_start(store, boot)
        return await restored.note_file(store, url, 0)
    finally:
        await store.close()


@pytest.mark.parametrize("boot", [b"same", b"other"])
@pytest.mark.parametrize("is_overwritten", [False, True], ids=["another file", "overwritten"])
async def test_an_older_backup_gives_no_number_twice(
    tmp_path: Path, clock: ManualClock, imap_pki: Pki, boot: bytes, is_overwritten: bool
) -> None:
    """Mail that came after the backup is lost; what comes now stands under none of its numbers, nor does a folder that
    is made again, and a client that saw it is told that it is gone. In the same life of the machine or not."""
    state, backup = tmp_path / "state", tmp_path / "backup.db"
    state.mkdir()
    database, url = state / "mss.db", f"sqlite:///{state}/mss.db"
    assert not await _start(state, b"same")
    async with (
        cellar_keeper(url, state, clock, imap_pki, seed=11) as keeper,
        imap_house(keeper, imap_pki, tmp_path) as house,
    ):
        await house.put(*numbered(2))
    with closing(sqlite3.connect(database)) as live, closing(sqlite3.connect(backup)) as copy:
        live.backup(copy)
    assert not await _start(state, b"same")
    async with (
        cellar_keeper(url, state, clock, imap_pki, seed=12) as keeper,
        imap_house(keeper, imap_pki, tmp_path) as house,
    ):
        await house.put(letter(3), letter(4))
        made = await house.store.create(house.keeper.boxes[DOCTOR], "Tri")
        client = await ResyncClient.arrive(house, DOCTOR)
        await client.command("STORE 1 +FLAGS (\\Flagged)")
        await client.command("NOOP")
    for left in ("-wal", "-shm"):
        database.with_name(database.name + left).unlink(missing_ok=True)
    if is_overwritten:
        database.write_bytes(backup.read_bytes())  # which nobody can see
        store = Store.open(url)
        await powercut.note_start(store, boot)
        await store.write(restored.ANY_LANE, lambda c: restored.skip_ahead(c, 0))  # mss db restored
        await store.close()
    else:
        shutil.copy(backup, state / "new.db")
        (state / "new.db").replace(database)
        assert await _start(state, boot)
    assert not await _start(state, boot)
    async with (
        cellar_keeper(url, state, clock, imap_pki, seed=13) as keeper,
        imap_house(keeper, imap_pki, tmp_path) as house,
    ):
        assert await house.put(letter(5)) == [3 + restored.UIDS_SKIPPED]
        again = await house.store.create(house.keeper.boxes[DOCTOR], "Tri")
        assert again.uidvalidity > made.uidvalidity
        client = await client.come_back(house, DOCTOR)
        fresh = await PictureClient.connect(house, DOCTOR)
        await fresh.select()
        await fresh.command("FETCH 1:* (UID FLAGS)")
        assert told(client) == told(fresh)
        assert [seen.uid for seen in fresh.messages] == [1, 2, 3 + restored.UIDS_SKIPPED]
