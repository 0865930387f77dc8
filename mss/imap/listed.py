"""How are summaries of a folder opened? A hundred behind one seal where there is a sheet, else one by one.

What was opened is kept for a while, bounded. Whoever had to open many one by one leaves a sheet behind, so that the
next process that is asked need not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from mss.formats.sheet import MESSAGES_MAX, Sheet
from mss.imap.foldercache import FolderCache, KnownFolder
from mss.imap.told import Told
from mss.model.errors import StorageUnavailable
from mss.store import pages, sheets
from mss.store.database import Store
from mss.store.pages import SealedSummary
from mss.store.sheets import SealedSheet, SheetKind
from mss.store.sql import Connection
from mss.vault.opener import OwnerKeys
from mss.vault.sheets import MESSAGES_MIN, Gatherer, open_list, open_summaries

OPEN_IN_LOOP_MAX = 8
"""So few summaries are opened at once where we stand; the way to a thread costs as much."""
SHEETS_AT_ONCE_MAX = 32
"""Read ahead when a folder is listed from its beginning: some 8 MB."""
SPREAD_MAX = 64
"""Messages opened one by one are remembered together when their uids lie no further apart."""
_Found = tuple[list[SealedSheet], list[SealedSummary]]


class ListReader:
    """Of one process."""

    def __init__(self, store: Store, cache: FolderCache, gatherer: Gatherer) -> None:
        self._store = store
        self._cache = cache
        self._gatherer = gatherer
        self._keeping: set[asyncio.Task[None]] = set()

    async def told(self, keys: OwnerKeys, folder: int, uids: Sequence[int]) -> Told:
        """Summaries of those messages (uids rising) that are there. Raises SealBroken, StorageUnavailable."""
        known = self._cache.of(keys.owner, folder)
        told, missing = known.told(uids)
        if not missing:
            return told
        if len(missing) > OPEN_IN_LOOP_MAX:
            missing = await self._read_sheets(keys, folder, known, missing)
        if missing:
            await self._read_alone(keys, folder, known, missing)
        return known.told(uids)[0]

    async def _read_sheets(self, keys: OwnerKeys, folder: int, known: KnownFolder, missing: list[int]) -> list[int]:
        """Open the sheets that begin where the first of `missing` lies; what no sheet has."""
        while missing:
            low, high = missing[0], missing[-1]

            def ask(connection: Connection, low: int = low, high: int = high) -> list[SealedSheet]:
                kind, most = SheetKind.LIST, SHEETS_AT_ONCE_MAX
                found = sheets.overlapping(connection, keys.owner, folder, kind, (low, high), most)
                if found and high - low > SPREAD_MAX:  # a list from its beginning goes on beyond this page
                    found = sheets.overlapping(connection, keys.owner, folder, kind, (low, 1 << 62), most)
                return found

            sealed = await self._store.read(ask)
            opened = await asyncio.to_thread(open_list, keys, folder, sealed)
            self._cache.learn(known, (), opened)
            _, left = known.told(missing)
            if len(sealed) < SHEETS_AT_ONCE_MAX or sealed[-1].last_uid >= high or left == missing:
                return left
            missing = left
        return missing

    async def _read_alone(self, keys: OwnerKeys, folder: int, known: KnownFolder, missing: Sequence[int]) -> None:
        sealed = await self._store.read(lambda c: pages.summaries(c, keys.owner, folder, missing))
        if len(sealed) > OPEN_IN_LOOP_MAX:
            opened = await asyncio.to_thread(_open_apart, keys, sealed)
        else:
            opened = _open_apart(keys, sealed)
        self._cache.learn(known, (), opened)
        for sheet in opened:
            if len(sheet) >= MESSAGES_MIN:
                task = asyncio.get_running_loop().create_task(self._keep(keys, folder, sheet))
                self._keeping.add(task)
                task.add_done_callback(self._keeping.discard)

    async def _keep(self, keys: OwnerKeys, folder: int, sheet: Sheet) -> None:
        with suppress(StorageUnavailable):  # then the next who looks makes it
            await self._gatherer.keep(keys, folder, SheetKind.LIST, sheet.dates_ms(), sheet.to_bytes)


def _open_apart(keys: OwnerKeys, sealed: Sequence[SealedSummary]) -> list[Sheet]:
    """Sheets of neighbours."""
    found, start = [], 0
    for at in range(1, len(sealed) + 1):
        is_full = at - start == MESSAGES_MAX
        if at == len(sealed) or is_full or sealed[at].row[0] - sealed[at - 1].row[0] > SPREAD_MAX:
            sheet = open_summaries(keys, sealed[start:at])
            assert sheet is not None
            found.append(sheet)
            start = at
    return found
