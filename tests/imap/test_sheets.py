"""What many messages say lies behind one seal as well: as right as the messages, and gone when one of them is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mss.formats.summary import Section
from mss.imap.backend import NewMessage
from mss.imap.commands import Flags, StoreMode
from mss.imap.mailacts import CellarMailStore
from mss.model.clock import ManualClock, to_ms
from mss.model.errors import SealBroken
from mss.model.ids import lane_of
from mss.model.mailbox import Flag
from mss.store import folders, sheets
from mss.store.sheets import SheetKind
from mss.vault.sheets import MESSAGES_MIN, Gatherer, open_sheet
from tests.kit.imap_house import DOCTOR, Keeper, letter

ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
MESSAGES = MESSAGES_MIN + 6
DELETED = (StoreMode.ADD, Flags(Flag.DELETED))
SECRET = "hyperparathyroïdie"


def again(keeper: Keeper, clock: ManualClock) -> CellarMailStore:
    """The same mail seen by a process that remembers nothing."""
    known = keeper.store
    assert isinstance(known, CellarMailStore)
    chance = known._chance
    return CellarMailStore(known._store, known._opener, known._bodies, known._bus, known._lookup, clock, chance)


async def filled(keeper: Keeper, clock: ManualClock) -> list[int]:
    inbox = await keeper.store.folder(keeper.boxes[DOCTOR], "INBOX")
    letters = [letter(n, subject=f"Dossier {n}", body=f"Le mot {n} et {SECRET}\r\n") for n in range(1, MESSAGES + 1)]
    new = [NewMessage(raw, Flags(0), clock.now()) for raw in letters]
    first = await keeper.store.append(inbox, new[0])  # once the keys are at hand all others come in their order
    uids = [first, *await asyncio.gather(*(keeper.store.append(inbox, one) for one in new[1:]))]
    assert uids == sorted(uids)
    return uids


async def kept(store: CellarMailStore, keeper: Keeper, kind: SheetKind) -> list[tuple[int, int]]:
    """Ranges of the sheets of the inbox, once all that is on its way has been written."""
    await asyncio.gather(*store._lists._keeping)
    box = keeper.boxes[DOCTOR]
    number = (await store.folder(box, "INBOX")).id
    return await store._store.read(lambda c: sheets.ranges(c, box.owner, number, kind))


@pytest.mark.parametrize("keeper", ENGINES, indirect=True)
async def test_a_list_that_goes_on_is_read_ahead_of_and_the_same(keeper: Keeper, clock: ManualClock) -> None:
    """Page by page as at once, with messages gone in between; the third page is there before it is asked for."""
    uids = await filled(keeper, clock)
    inbox = await keeper.store.folder(keeper.boxes[DOCTOR], "INBOX")
    await keeper.store.change_flags(inbox, uids[30:33], *DELETED)
    await keeper.store.expunge(inbox, uids[30:33])
    there = [uid for uid in uids if uid not in uids[30:33]]
    store, pages = again(keeper, clock), [uids[at : at + 20] for at in range(0, len(uids), 20)]
    told = [await store.summaries(inbox, page) for page in pages[:2]]
    assert store._cache.of(inbox.box.owner, inbox.id).told(pages[2])[1] == []
    told += [await store.summaries(inbox, page) for page in pages[2:]]
    at_once = await again(keeper, clock).summaries(inbox, uids)
    assert [uid for page in told for uid in page.uids] == list(at_once.uids) == there
    assert [row for page in told for row in page.rows] == at_once.rows


@pytest.mark.parametrize("keeper", ENGINES, indirect=True)
async def test_a_list_is_the_same_from_sheets(keeper: Keeper, clock: ManualClock) -> None:
    """Who opens many messages one by one leaves a sheet; who comes after reads the very same from it."""
    uids = await filled(keeper, clock)
    inbox = await keeper.store.folder(keeper.boxes[DOCTOR], "INBOX")
    first, second = again(keeper, clock), again(keeper, clock)
    alone = await first.summaries(inbox, uids)
    assert await kept(first, keeper, SheetKind.LIST) == [(uids[0], uids[-1])]
    behind_one_seal = await second.summaries(inbox, uids)
    assert behind_one_seal.rows == alone.rows
    assert [row.uid for row in alone.rows] == uids
    for section in Section:
        assert behind_one_seal.column(section) == alone.column(section)
    assert len(second._cache.of(inbox.box.owner, inbox.id).sheets) == 1
    assert await second.rows(inbox, uids[5:9]) == alone.rows[5:9]


@pytest.mark.parametrize("keeper", ENGINES, indirect=True)
async def test_a_text_is_found_the_same_in_sheets(keeper: Keeper, clock: ManualClock) -> None:
    """First message by message, then from the sheets that this left; in headers and bodies, in a part of the folder,
    and with mail that came later."""
    uids = await filled(keeper, clock)
    inbox = await keeper.store.folder(keeper.boxes[DOCTOR], "INBOX")
    for moment in range(2):
        store = again(keeper, clock)
        assert await store.search_text(inbox, uids, "LE MOT 7 ET", header_too=False) == {uids[6]}
        assert await store.search_text(inbox, uids, "Dossier 7", header_too=True) >= {uids[6]}
        assert await store.search_text(inbox, uids, "Dossier 7", header_too=False) == set()
        assert await store.search_text(inbox, uids[10:20], SECRET.upper(), header_too=True) == set(uids[10:20])
        assert await store.search_text(inbox, uids, "7\r\nFrom", header_too=True) == set()
        assert await kept(store, keeper, SheetKind.TEXT) == [(uids[0], uids[-1])], moment
    new = await keeper.store.append(inbox, NewMessage(letter(1, body=f"{SECRET} enfin\r\n"), Flags(0), clock.now()))
    assert await again(keeper, clock).search_text(inbox, [*uids, new], "enfin", header_too=True) == {new}


@pytest.mark.parametrize("keeper", ENGINES, indirect=True)
@pytest.mark.parametrize("way", ["expunge", "move", "delete"])
async def test_what_leaves_a_folder_leaves_no_copy_of_its_words(keeper: Keeper, clock: ManualClock, way: str) -> None:
    """The sheets that held it go in the same moment; what stays is listed and found as before."""
    uids = await filled(keeper, clock)
    box, store = keeper.boxes[DOCTOR], again(keeper, clock)
    inbox = await store.folder(box, "INBOX")
    await store.summaries(inbox, uids)
    await store.search_text(inbox, uids, SECRET, header_too=True)
    assert await kept(store, keeper, SheetKind.LIST)
    assert await kept(store, keeper, SheetKind.TEXT)
    if way == "expunge":
        await store.change_flags(inbox, uids[3:4], *DELETED)
        await store.expunge(inbox, uids)
    elif way == "move":
        await store.move(inbox, uids[3:4], await store.folder(box, "Archives"))
    else:
        await store.delete(inbox)
        assert await store._store.read(lambda c: sheets.ranges(c, box.owner, inbox.id, SheetKind.LIST)) == []
        return
    assert await kept(store, keeper, SheetKind.LIST) == await kept(store, keeper, SheetKind.TEXT) == []
    stays = uids[:3] + uids[4:]
    fresh = again(keeper, clock)
    assert (await fresh.summaries(inbox, uids)).uids == stays
    assert await fresh.search_text(inbox, uids, SECRET, header_too=True) == set(stays)


@pytest.mark.parametrize("keeper", ENGINES, indirect=True)
async def test_a_sheet_is_not_kept_of_what_has_left_meanwhile(keeper: Keeper, clock: ManualClock) -> None:
    """Somebody removes a message while others are being put behind one seal: that seal is thrown away."""
    uids = await filled(keeper, clock)
    store = again(keeper, clock)
    inbox = await store.folder(keeper.boxes[DOCTOR], "INBOX")
    keys = await store._keys(inbox.box)
    gatherer = Gatherer(store._store, clock, store._chance)
    await store.change_flags(inbox, uids[:1], *DELETED)
    await store.expunge(inbox, uids[:1])
    dates_ms = dict.fromkeys(uids, to_ms(clock.now()))
    assert not await gatherer.keep(keys, inbox.id, SheetKind.TEXT, dates_ms, lambda: b"what it said")
    del dates_ms[uids[0]]
    assert await gatherer.keep(keys, inbox.id, SheetKind.TEXT, dates_ms, lambda: b"what they say")
    dates_ms[uids[1]] += 1
    assert not await gatherer.keep(keys, inbox.id, SheetKind.LIST, dates_ms, lambda: b"with a date of before")


@pytest.mark.parametrize("keeper", ENGINES, indirect=True)
async def test_a_date_that_is_corrected_is_told_corrected(keeper: Keeper, clock: ManualClock) -> None:
    """Sent mail takes the date that the client gives its own copy: no sheet tells the old one."""
    uids = await filled(keeper, clock)
    store = again(keeper, clock)
    inbox = await store.folder(keeper.boxes[DOCTOR], "INBOX")
    owner = inbox.box.owner
    await store.summaries(inbox, uids)
    assert await kept(store, keeper, SheetKind.LIST)
    await store._store.write(lane_of(owner), lambda c: folders.set_date(c, owner, inbox.id, uids[4], 86_400_000))
    store._cache.forget(owner, inbox.id, uids[4])
    for reader in (store, again(keeper, clock)):
        assert (await reader.summaries(inbox, uids)).rows[4].internaldate_ms == 86_400_000


@pytest.mark.parametrize("keeper", ["sqlite"], indirect=True)
async def test_nothing_of_it_is_written_in_clear(keeper: Keeper, clock: ManualClock, tmp_path: Path) -> None:
    """Neither words nor subjects, nor is a sheet opened in the place of another."""
    uids = await filled(keeper, clock)
    store = again(keeper, clock)
    inbox = await store.folder(keeper.boxes[DOCTOR], "INBOX")
    await store.summaries(inbox, uids)
    await store.search_text(inbox, uids, SECRET, header_too=True)
    assert await kept(store, keeper, SheetKind.LIST)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("mss.db*"))
    for word in (SECRET, SECRET.casefold(), "Dossier", "dossier", "jeanne.petit"):
        assert word.encode() not in written
    keys = await store._keys(inbox.box)
    (sealed,) = await store._store.read(
        lambda c: sheets.overlapping(c, inbox.box.owner, inbox.id, SheetKind.TEXT, (1, MESSAGES), 9)
    )
    assert SECRET.encode() in open_sheet(keys, inbox.id, SheetKind.TEXT, sealed)
    for folder, kind in ((inbox.id + 1, SheetKind.TEXT), (inbox.id, SheetKind.LIST)):
        with pytest.raises(SealBroken):
            open_sheet(keys, folder, kind, sealed)


@pytest.mark.parametrize("keeper", ["sqlite"], indirect=True)
async def test_new_mail_is_put_behind_seals_ahead_of_whoever_lists_it(keeper: Keeper, clock: ManualClock) -> None:
    """As works does when it wraps keys; a second time it finds nothing left to do."""
    uids = await filled(keeper, clock)
    store = again(keeper, clock)
    inbox = await store.folder(keeper.boxes[DOCTOR], "INBOX")
    for _ in range(2):
        await Gatherer(store._store, clock, store._chance).gather(await store._keys(inbox.box))
        assert await kept(store, keeper, SheetKind.LIST) == [(uids[0], uids[-1])]
    assert (await store.summaries(inbox, uids)).uids == uids
