"""How does the IMAP door find mail in the cellar? The `MailStore` of mss/imap/backend.py on the real store.

Names, summaries and bodies are opened with the owner's keys, which the vault hands out in the name of the account that
asks. Opening goes on in a thread, so that a long list stalls nobody; what was opened of summaries is kept for a
while, bounded. Messages that a client brings are sealed under the shelf key at once. Reading is here, writing in
mss/imap/mailacts.py.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from mss.accounts.service import FOLDER_KIND
from mss.crypto import seal
from mss.crypto.keys import Lookup
from mss.imap.backend import Box, Folder, Row, seen_from
from mss.imap.foldercache import FolderCache
from mss.imap.keywords import KEYWORD_KIND
from mss.imap.listed import ListReader
from mss.imap.snapshot import Changes, Snapshot, State
from mss.imap.textsearch import TextSearch, open_body
from mss.imap.told import Told
from mss.model.clock import Chance, Clock
from mss.model.errors import NotFound
from mss.model.ids import OwnerId
from mss.model.mailbox import SpecialUse
from mss.store import changes, folders, keywordbits, messages, owners, pages, recent, states, subscriptions
from mss.store.blobs import BodyStore
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.folders import Folder as FolderRow
from mss.store.pages import SealedBody
from mss.store.powercut import lost_modseqs
from mss.vault.opener import Opener, OwnerKeys
from mss.vault.sheets import Gatherer

_Changed = tuple[list[State], list[tuple[int, int]]]
_News = tuple[FolderRow, list[tuple[int, bytes]], _Changed | None]

CHANGES_IN_LOOP_MAX = 100
"""Rows of what changed that are read where we stand, in a millisecond; on a busy machine the way to a thread and back
takes ten."""
NAMES_CACHED_MAX = 20_000
"""Opened names of folders and keywords, by their ciphertext: a few MB."""


class CellarReader:
    """The reading half of the promise."""

    def __init__(
        self,
        store: Store,
        opener: Opener,
        bodies: BodyStore,
        bus: ChangeBus,
        lookup: Lookup,
        clock: Clock,
        chance: Chance,
        *,
        cache_bytes_max: int = 96 * 1024 * 1024,
    ) -> None:
        """`cache_bytes_max`: summaries kept opened in memory; 10,000 messages take about 30 MB."""
        self._store = store
        self._opener = opener
        self._bodies = bodies
        self._bus = bus
        self._lookup = lookup
        self._names: OrderedDict[bytes, str] = OrderedDict()
        self._cache = FolderCache(cache_bytes_max)
        self._elsewhere: set[int] = set()  # owners of whom an act that is to be published changed "Sans réponse" too
        gatherer = Gatherer(store, clock, chance)
        self._lists = ListReader(store, self._cache, gatherer)
        self._texts = TextSearch(store, gatherer, self._ciphertext)

    async def _keys(self, box: Box) -> OwnerKeys:
        return await self._opener.open(box.owner, f"login:{box.account}", "imap")

    # --- folders

    async def folders(self, box: Box) -> Sequence[Folder]:
        keys = await self._keys(box)

        def ask(connection: Connection) -> tuple[list[FolderRow], dict[int, bool]]:
            own = subscriptions.of_member(connection, box.owner, box.reader) if box.reader else {}
            return folders.list_folders(connection, box.owner), own

        rows, own = await self._store.read(ask)
        return [self._folder(box, keys, replace(row, subscribed=own.get(row.folder, row.subscribed))) for row in rows]

    async def quota(self, box: Box) -> tuple[int, int]:
        row = await self._store.read(lambda c: owners.mailbox(c, box.owner))
        if row is None:
            raise NotFound("mailbox")
        return row.used_bytes, row.quota_bytes

    async def folder(self, box: Box, name: str) -> Folder:
        hashed = self._lookup.folder(box.owner, name)
        row = await self._store.look_up(lambda c: folders.folder_by_name(c, box.owner, hashed))
        if row is None:
            raise NotFound("folder")
        return told_folder(box, row, name)

    async def unread(self, folder: Folder) -> int:
        owner, reader = folder.box.owner, folder.box.reader
        if not reader or not folder.messages:
            return folder.unseen
        return await self._store.read(lambda c: states.unseen(c, owner, folder.id, folder.unseen, reader))

    async def lost_subscriptions(self, box: Box) -> Sequence[str]:
        rows = await self._store.read(lambda c: subscriptions.names(c, box.owner))
        if not rows:
            return ()
        keys = await self._keys(box)
        return [self._name(keys, FOLDER_KIND, number, sealed) for number, sealed in rows]

    def _folder(self, box: Box, keys: OwnerKeys, row: FolderRow) -> Folder:
        return told_folder(box, row, self._name(keys, FOLDER_KIND, row.folder, row.name_sealed))

    def _name(self, keys: OwnerKeys, kind: bytes, number: int, sealed: bytes) -> str:
        name = self._names.get(sealed)
        if name is None:
            name = self._names[sealed] = keys.open_small(kind, number, sealed).decode()
            if len(self._names) > NAMES_CACHED_MAX:
                self._names.popitem(last=False)
        return name

    # --- state

    async def snapshot(self, folder: Folder) -> Snapshot:
        owner, number, reader = folder.box.owner, folder.id, folder.box.reader

        def ask(connection: Connection) -> tuple[FolderRow, list[tuple[int, bytes]], list[State]]:
            row = one_folder(connection, owner, number)
            sealed = keywordbits.of_folder(connection, owner, number)
            return row, sealed, states.snapshot(connection, owner, number, reader)

        row, sealed, everything = await self._store.read(ask)
        keywords = await self._keywords(folder, sealed)
        # On PostgreSQL an entry may be newer than the row of its folder: it comes with the next changes.
        known = (state for state in everything if state[0] < row.uidnext)
        return await asyncio.to_thread(Snapshot.of, row.uidvalidity, row.uidnext, row.highestmodseq, keywords, known)

    async def changes(self, folder: Folder, since: int) -> Changes | None:
        owner, number, reader = folder.box.owner, folder.id, folder.box.reader

        def ask(connection: Connection) -> _News:
            row = one_folder(connection, owner, number)
            if row.highestmodseq == since:
                return row, [], ([], [])
            sealed = keywordbits.of_folder(connection, owner, number)
            return row, sealed, states.changes_since(connection, owner, number, since, reader)

        def glance(connection: Connection) -> _News | None:
            """The same where it is soon read: a mail that has come is told without waiting for a thread."""
            is_little = states.is_little(connection, owner, number, since, CHANGES_IN_LOOP_MAX, reader)
            return ask(connection) if is_little else None

        news = await self._store.look_up(glance)
        row, sealed, changed = await self._store.read(ask) if news is None else news
        if row.highestmodseq == since:
            return Changes(since, row.uidnext)
        if changed is None:
            return None
        rows, gone = changed
        keywords = await self._keywords(folder, sealed)
        # Not read in one moment: what is newer than the folder's row comes with the next changes.
        known = [state for state in rows if state[0] < row.uidnext]
        return Changes(row.highestmodseq, row.uidnext, known, gone, keywords)

    async def count_from(self, folder: Folder, uid: int) -> int:
        owner, number = folder.box.owner, folder.id
        return await self._store.read(lambda c: recent.count_from(c, owner, number, uid))

    async def _keywords(self, folder: Folder, sealed: Sequence[tuple[int, bytes]]) -> tuple[str, ...]:
        if not sealed:
            return ()
        keys = await self._keys(folder.box)
        names = [""] * (1 + max(bit for bit, _ in sealed))
        for bit, name_sealed in sealed:
            names[bit] = self._name(keys, KEYWORD_KIND, folder.id, name_sealed)
        return tuple(names)

    def watch(self, owner: OwnerId, listener: Callable[[int], None]) -> Callable[[], None]:
        return self._bus.subscribe(owner, lambda _owner, folder: listener(folder))

    def _publish(self, folder: Folder) -> None:
        owner = folder.box.owner
        self._bus.publish(changes.FOLDER, owner, folder.id)
        if owner in self._elsewhere:
            self._elsewhere.discard(owner)
            self._bus.publish(changes.FOLDER, owner)

    # --- messages

    async def rows(self, folder: Folder, uids: Sequence[int]) -> list[Row]:
        owner, number = folder.box.owner, folder.id
        known = self._cache.of(owner, number)
        told, missing = known.told(uids)
        if not missing:
            return told.rows
        missing = [uid for uid in uids if uid not in known.rows]
        if missing:
            found = await self._store.read(lambda c: pages.rows(c, owner, number, missing))
            self._cache.learn(known, (Row(*row) for row in found))
        return [known.rows[uid] for uid in uids if uid in known.rows]

    async def summaries(self, folder: Folder, uids: Sequence[int]) -> Told:
        return await self._lists.told(await self._keys(folder.box), folder.id, uids)

    async def bodies(self, folder: Folder, uids: Sequence[int]) -> dict[int, bytes]:
        keys = await self._keys(folder.box)
        owner, number = folder.box.owner, folder.id
        sealed = await self._store.read(lambda c: pages.bodies(c, owner, number, uids))
        read = [(one, await self._ciphertext(one)) for one in sealed]
        if sum(len(ciphertext) for _, ciphertext in read) > seal.FRAME_BYTES:
            return await asyncio.to_thread(_open_bodies, keys, read)
        return _open_bodies(keys, read)

    async def body_range(self, folder: Folder, uid: int, start: int, end: int) -> bytes:
        keys = await self._keys(folder.box)
        owner, number = folder.box.owner, folder.id
        found = await self._store.read(lambda c: pages.bodies(c, owner, number, [uid]))
        if not found:
            raise NotFound("message")
        one = found[0]
        if end <= start:
            return b""
        offset, size = seal.frame_range(start, end - start)
        ciphertext = await self._ciphertext(one, offset, size)
        first, last = start // seal.FRAME_BYTES, seal.frame_count(one.body.size_bytes) - 1
        where = seal.place(owner, messages.BODY_KIND, one.message)
        plain = seal.decrypt_frames(keys.epoch_key(one.key), where, ciphertext, first, last)
        skipped = first * seal.FRAME_BYTES
        return plain[start - skipped : end - skipped]

    async def search_text(self, folder: Folder, uids: Sequence[int], text: str, *, header_too: bool) -> set[int]:
        keys, rows = await self._keys(folder.box), await self.rows(folder, uids)
        return await self._texts.search(keys, folder.id, rows, text.casefold(), header_too=header_too)

    async def _ciphertext(self, one: SealedBody, start: int = 0, length: int | None = None) -> bytes:
        if one.body.inline is not None:
            return one.body.inline[start : None if length is None else start + length]
        return await self._bodies.get(one.body.place, start, length)


def told_folder(box: Box, row: FolderRow, name: str) -> Folder:
    use = SpecialUse(row.special_use) if row.special_use else None
    return Folder(
        box=seen_from(box, use),
        id=row.folder,
        name=name,
        uidvalidity=row.uidvalidity,
        uidnext=row.uidnext,
        modseq=row.highestmodseq,
        messages=row.n_msg,
        unseen=row.n_unseen,
        size_bytes=row.size_bytes,
        special_use=use,
        subscribed=row.subscribed,
        recent_uid=row.recent_uid,
        lost_modseqs=lost_modseqs(row.resumed_modseq),
    )


def one_folder(connection: Connection, owner: int, folder: int) -> FolderRow:
    row = pages.find_folder(connection, owner, folder)
    if row is None:
        raise NotFound("folder")
    return row


def _open_bodies(keys: OwnerKeys, read: Sequence[tuple[SealedBody, bytes]]) -> dict[int, bytes]:
    return {one.uid: open_body(keys, one, ciphertext) for one, ciphertext in read}
