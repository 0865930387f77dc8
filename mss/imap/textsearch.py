"""Which messages of a folder say that? From sheets of folded texts where there are some, else message by message.

Who looks through many messages one by one leaves sheets behind, so that the next search is one look through each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial

from mss.crypto import seal
from mss.formats.summary import parts_of
from mss.formats.textsheet import (
    MESSAGE_BYTES_MAX,
    MESSAGES_MAX,
    SHEET_BYTES_MAX,
    Texts,
    TextSheet,
    can_look_for,
    text_sheet,
)
from mss.imap.backend import Row
from mss.model.errors import BadValue, StorageUnavailable
from mss.store import messages, pages, sheets
from mss.store.database import Store
from mss.store.pages import SealedBody
from mss.store.sheets import SealedSheet, SheetKind
from mss.store.sql import Connection
from mss.vault.opener import OwnerKeys
from mss.vault.sheets import MESSAGES_MIN, Gatherer, open_sheet

BATCH_BYTES = 4 * 1024 * 1024
"""Bodies opened together while a text is looked for."""
SHEETS_AT_ONCE_MAX = 8
Ciphertext = Callable[[SealedBody], Awaitable[bytes]]
_Folded = tuple[int, tuple[bytes, bytes]]
"""uid, and what `Texts.to_bytes` gave."""


class TextSearch:
    """Of one process."""

    def __init__(self, store: Store, gatherer: Gatherer, ciphertext: Ciphertext) -> None:
        self._store = store
        self._gatherer = gatherer
        self._ciphertext = ciphertext

    async def search(
        self, keys: OwnerKeys, folder: int, rows: Sequence[Row], wanted: str, *, header_too: bool
    ) -> set[int]:
        """Uids of those messages (by rising uid) that contain `wanted`, casefolded. Raises SealBroken,
        StorageUnavailable."""
        found: set[int] = set()
        if rows and can_look_for(wanted):
            uids = [row.uid for row in rows]
            found, covered = await self._in_sheets(keys, folder, uids, wanted, header_too=header_too)
            found &= set(uids)
            rows = [row for row in rows if row.uid not in covered]
        made = _Maker()
        dates_ms = {row.uid: row.internaldate_ms for row in rows}
        for batch in _batches(rows):
            sealed = await self._store.read(lambda c, batch=batch: pages.bodies(c, keys.owner, folder, batch))  # type: ignore[misc]
            read = [(one, await self._ciphertext(one)) for one in sealed]
            said, folded = await asyncio.to_thread(_look, keys, read, wanted, header_too)
            found |= said
            for part in made.add(folded):
                await self._keep(keys, folder, part, dates_ms)
        if part := made.rest():
            await self._keep(keys, folder, part, dates_ms)
        return found

    async def _in_sheets(
        self, keys: OwnerKeys, folder: int, uids: Sequence[int], wanted: str, *, header_too: bool
    ) -> tuple[set[int], set[int]]:
        """(uids that say it, uids that sheets answer for)."""
        found: set[int] = set()
        covered: set[int] = set()
        low, high = uids[0], uids[-1]
        while low <= high:

            def ask(connection: Connection, low: int = low) -> list[SealedSheet]:
                owner, kind = keys.owner, SheetKind.TEXT
                return sheets.overlapping(connection, owner, folder, kind, (low, high), SHEETS_AT_ONCE_MAX)

            sealed = await self._store.read(ask)
            said, there = await asyncio.to_thread(_look_through, keys, folder, sealed, wanted, header_too)
            found |= said
            covered |= there
            if len(sealed) < SHEETS_AT_ONCE_MAX:
                break
            low = max(one.last_uid for one in sealed) + 1
        return found, covered

    async def _keep(self, keys: OwnerKeys, folder: int, part: Sequence[_Folded], dates_ms: Mapping[int, int]) -> None:
        uids = [uid for uid, _ in part]
        plain = partial(text_sheet, uids, [texts for _, texts in part])
        with suppress(StorageUnavailable):  # then the next search makes it
            await self._gatherer.keep(keys, folder, SheetKind.TEXT, {uid: dates_ms[uid] for uid in uids}, plain)


class _Maker:
    """Gathers folded texts into sheets of bounded size."""

    def __init__(self) -> None:
        self._part: list[_Folded] = []
        self._bytes = 0

    def add(self, folded: Sequence[_Folded]) -> Iterator[list[_Folded]]:
        """What is full by now."""
        for one in folded:
            size = sum(map(len, one[1]))
            if size > MESSAGE_BYTES_MAX:
                continue
            if len(self._part) == MESSAGES_MAX or self._bytes + size > SHEET_BYTES_MAX:
                yield self._part
                self._part, self._bytes = [], 0
            self._part.append(one)
            self._bytes += size

    def rest(self) -> list[_Folded]:
        """What is left, if it is worth a sheet."""
        return self._part if len(self._part) >= MESSAGES_MIN else []


def _look_through(
    keys: OwnerKeys, folder: int, sealed: Sequence[SealedSheet], wanted: str, header_too: bool
) -> tuple[set[int], set[int]]:
    found: set[int] = set()
    covered: set[int] = set()
    for one in sealed:
        try:
            sheet = TextSheet.from_bytes(open_sheet(keys, folder, SheetKind.TEXT, one))
        except BadValue:
            continue  # a form that we do not know: its messages are looked at one by one
        found.update(sheet.saying(wanted, header_too=header_too))
        covered.update(sheet.uids)
    return found, covered


def _look(
    keys: OwnerKeys, read: Sequence[tuple[SealedBody, bytes]], wanted: str, header_too: bool
) -> tuple[set[int], list[_Folded]]:
    found: set[int] = set()
    folded: list[_Folded] = []
    for one, ciphertext in read:
        raw = open_body(keys, one, ciphertext)
        where = seal.place(keys.owner, messages.SUMMARY_KIND, one.message)
        summary = seal.decrypt_object(keys.epoch_key(one.key), where, one.summary_sealed)
        texts = Texts.of(raw, parts_of(summary))
        if texts.say(wanted, header_too=header_too):
            found.add(one.uid)
        folded.append((one.uid, texts.to_bytes()))
    return found, folded


def open_body(keys: OwnerKeys, one: SealedBody, ciphertext: bytes) -> bytes:
    """Raises SealBroken."""
    return seal.decrypt_object(
        keys.epoch_key(one.key), seal.place(keys.owner, messages.BODY_KIND, one.message), ciphertext
    )


def _batches(rows: Sequence[Row]) -> Iterator[list[int]]:
    """Uids in runs of bounded size."""
    batch: list[int] = []
    size = 0
    for row in rows:
        if batch and size + row.size_bytes > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(row.uid)
        size += row.size_bytes
    if batch:
        yield batch
