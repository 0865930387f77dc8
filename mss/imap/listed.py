"""How are summaries of a folder opened? A hundred behind one seal where there is a sheet, else one by one.

What was opened is kept for a while, bounded. Whoever had to open many one by one leaves a sheet behind, so that the
next process that is asked need not.
"""

from __future__ import annotations

import asyncio
from collections import deque
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
_Sheets = tuple[list[SealedSheet], int]

AHEAD_MAX = 2000
"""Messages opened one by one in one go once a list goes on: four pages, some 5 MB."""
QUIET_S = 0.2
"""Sheets are made when nobody has listed for so long: whoever waits for a list does not wait for them."""
UNKEPT_MAX = 256
"""Sheets that wait to be made, some 60 MB with their messages, which are mostly in the cache anyway; then the first is
left to the next who looks."""


class ListReader:
    """Of one process."""

    def __init__(self, store: Store, cache: FolderCache, gatherer: Gatherer, *, quiet_s: float = QUIET_S) -> None:
        self._store = store
        self._cache = cache
        self._gatherer = gatherer
        self._quiet_s = quiet_s
        self._unkept: deque[tuple[OwnerKeys, int, Sheet]] = deque(maxlen=UNKEPT_MAX)
        self._keeping: set[asyncio.Task[None]] = set()
        self._asked = 0

    async def told(self, keys: OwnerKeys, folder: int, uids: Sequence[int]) -> Told:
        """Summaries of those messages (uids rising) that are there. Raises SealBroken, StorageUnavailable."""
        self._asked += 1
        known = self._cache.of(keys.owner, folder)
        goes_on = bool(uids) and 0 < uids[0] - known.listed_to <= SPREAD_MAX
        known.listed_to = uids[-1] if uids else 0
        if not goes_on:
            known.no_sheet_from = 1 << 62
        told, missing = known.told(uids)
        if not missing:
            return told
        if len(missing) > OPEN_IN_LOOP_MAX and missing[0] < known.no_sheet_from:
            missing = await self._read_sheets(keys, folder, known, missing)
        if missing:
            await self._read_alone(keys, folder, known, missing, goes_on=goes_on)
        return known.told(uids)[0]

    async def _read_sheets(self, keys: OwnerKeys, folder: int, known: KnownFolder, missing: list[int]) -> list[int]:
        """Open the sheets that begin where the first of `missing` lies; what no sheet has."""
        while missing:
            low, high = missing[0], missing[-1]
            is_list = high - low > SPREAD_MAX  # a list from its beginning goes on beyond this page

            def ask(connection: Connection, low: int = low, high: int = high, is_list: bool = is_list) -> _Sheets:
                kind, most = SheetKind.LIST, SHEETS_AT_ONCE_MAX
                found = sheets.overlapping(connection, keys.owner, folder, kind, (low, high), most)
                if found and is_list:
                    found = sheets.overlapping(connection, keys.owner, folder, kind, (low, 1 << 62), most)
                last = 1 << 62 if found or not is_list else sheets.last_uid(connection, keys.owner, folder, kind)
                return found, last

            sealed, last = await self._store.read(ask)
            if last < low:
                known.no_sheet_from = min(known.no_sheet_from, low)
            if not sealed:
                return missing
            opened = await asyncio.to_thread(open_list, keys, folder, sealed)
            self._cache.learn(known, (), opened)
            _, left = known.told(missing)
            if len(sealed) < SHEETS_AT_ONCE_MAX or sealed[-1].last_uid >= high or left == missing:
                return left
            missing = left
        return missing

    async def _read_alone(
        self, keys: OwnerKeys, folder: int, known: KnownFolder, missing: Sequence[int], *, goes_on: bool
    ) -> None:
        low, high = missing[0], missing[-1]
        # So many numbers hold no more messages: all that are missing are among those that are read.
        reads_ahead = goes_on and len(missing) > OPEN_IN_LOOP_MAX and high - low < AHEAD_MAX
        end = known.next_sheet(high)

        def ask(connection: Connection) -> list[SealedSummary]:
            if not reads_ahead:
                return pages.summaries(connection, keys.owner, folder, missing)
            found = pages.summaries_after(connection, keys.owner, folder, low - 1, AHEAD_MAX)
            return [one for one in found if one.row[0] < end]

        sealed = await self._store.read(ask)
        if len(sealed) > OPEN_IN_LOOP_MAX:
            opened = await asyncio.to_thread(_open_apart, keys, sealed)
        else:
            opened = _open_apart(keys, sealed)
        self._cache.learn(known, (), opened)
        self._unkept.extend((keys, folder, sheet) for sheet in opened if len(sheet) >= MESSAGES_MIN)
        if self._unkept and not self._keeping:
            task = asyncio.get_running_loop().create_task(self._keep_all())
            self._keeping.add(task)
            task.add_done_callback(self._keeping.discard)

    async def _keep_all(self) -> None:
        """Make the sheets that wait, one after the other; when it is never quiet, one now and then."""
        while self._unkept:
            asked = self._asked
            await asyncio.sleep(self._quiet_s)
            await self._keep_next()
            while self._unkept and asked == self._asked:
                await self._keep_next()

    async def _keep_next(self) -> None:
        keys, folder, sheet = self._unkept.popleft()
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
