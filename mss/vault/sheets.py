"""How are many messages of a folder put behind one seal, and how is that opened again?

Under the owner's shelf key, each at a place of its own that is never written twice. Works makes them when it wraps the
keys of mail that came in; who opens many messages one by one makes them too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from mss.crypto import seal
from mss.formats import sheet as lists
from mss.formats.sheet import Sheet
from mss.model.clock import Chance, Clock
from mss.model.errors import BadValue
from mss.model.ids import lane_of
from mss.store import folders, messages, pages, sheets
from mss.store.database import Store
from mss.store.ids import new_id
from mss.store.pages import SealedSummary
from mss.store.sheets import SealedSheet, SheetKind
from mss.store.sql import Connection
from mss.vault.opener import OwnerKeys

MESSAGES_MIN = 64
"""Fewer are opened one by one: a sheet is made for good, and there are not to be many small ones."""
_NAMES = {SheetKind.LIST: b"list", SheetKind.TEXT: b"text"}


def open_sheet(keys: OwnerKeys, folder: int, kind: SheetKind, sealed: SealedSheet) -> bytes:
    """Raises SealBroken."""
    return seal.decrypt_object(keys.shelf, _place(keys, folder, kind, sealed.number), sealed.sealed)


def seal_sheet(
    keys: OwnerKeys, folder: int, kind: SheetKind, uids: tuple[int, int], number: int, plain: bytes
) -> SealedSheet:
    """`uids`: the first and the last; `number` was never used."""
    return SealedSheet(*uids, number, seal.encrypt_object(keys.shelf, _place(keys, folder, kind, number), plain))


def _place(keys: OwnerKeys, folder: int, kind: SheetKind, number: int) -> bytes:
    return seal.place(keys.owner, b"%b sheet %d" % (_NAMES[kind], folder), number)


def open_summary(keys: OwnerKeys, one: SealedSummary) -> bytes:
    """Raises SealBroken."""
    where = seal.place(keys.owner, messages.SUMMARY_KIND, one.message)
    return seal.decrypt_object(keys.epoch_key(one.key), where, one.summary_sealed)


def open_summaries(keys: OwnerKeys, sealed: Sequence[SealedSummary]) -> Sheet | None:
    """Messages by rising uid as a sheet. Raises SealBroken."""
    if not sealed:
        return None
    return Sheet.of([one.row for one in sealed], [open_summary(keys, one) for one in sealed])


def open_list(keys: OwnerKeys, folder: int, sealed: Sequence[SealedSheet]) -> list[Sheet]:
    """Sheets of summaries; one in a form that we do not know is passed over. Raises SealBroken."""
    found = []
    for one in sealed:
        with suppress(BadValue):
            found.append(Sheet.from_bytes(open_sheet(keys, folder, SheetKind.LIST, one)))
    return found


class Gatherer:
    """Makes sheets and keeps them."""

    def __init__(self, store: Store, clock: Clock, chance: Chance) -> None:
        self._store = store
        self._clock = clock
        self._chance = chance

    async def keep(
        self, keys: OwnerKeys, folder: int, kind: SheetKind, dates_ms: Mapping[int, int], plain: Callable[[], bytes]
    ) -> bool:
        """Seal a sheet of messages (by rising uid, with their dates) and keep it; False when one of them has gone or
        has another date now. Raises StorageUnavailable."""
        number = new_id(self._clock, self._chance)
        ends = min(dates_ms), max(dates_ms)
        sealed = await asyncio.to_thread(lambda: seal_sheet(keys, folder, kind, ends, number, plain()))

        def act(connection: Connection) -> bool:
            return sheets.keep(connection, keys.owner, folder, kind, dates_ms, sealed)

        return await self._store.write(lane_of(keys.owner), act, size_bytes=len(sealed.sealed), lazy=True)

    async def gather(self, keys: OwnerKeys) -> None:
        """Put what came into an owner's folders since the last sheet behind new ones. Raises StorageUnavailable."""
        for folder in await self._store.read(lambda c: folders.list_folders(c, keys.owner)):
            while await self._gather_next(keys, folder.folder):
                continue

    async def _gather_next(self, keys: OwnerKeys, folder: int) -> bool:
        """The next sheet of a folder; whether there may be another."""

        def ask(connection: Connection) -> list[SealedSummary]:
            known = sheets.ranges(connection, keys.owner, folder, SheetKind.LIST)
            after = max((last for _, last in known), default=0)
            return pages.summaries_after(connection, keys.owner, folder, after, lists.MESSAGES_MAX)

        sealed = await self._store.read(ask)
        if len(sealed) < MESSAGES_MIN:
            return False
        sheet = await asyncio.to_thread(open_summaries, keys, sealed)
        assert sheet is not None
        return await self.keep(keys, folder, SheetKind.LIST, sheet.dates_ms(), sheet.to_bytes)
