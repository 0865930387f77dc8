"""How does the IMAP door change what lies in the cellar? The writing half of the `MailStore` on the real store.

Each act is one transaction in the lane of its mailbox and durable when it returns, flags aside, which may be lost at a
power cut (a mail client that is told of a flag again does no harm). What happened is published after the commit.
Acts may be run again by the writer, so they contain database work only; names and bodies are sealed before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from mss.accounts.service import FOLDER_KIND
from mss.crypto.keys import Lookup
from mss.imap.backend import Box, Folder, FolderProblem, FolderRefused, NewMessage, allowed_flags
from mss.imap.commands import Flags, StoreMode
from mss.imap.incoming import Incoming, SealedMessage, batches
from mss.imap.keeping import Keep, is_plain
from mss.imap.keywords import SealedKeyword, add_keywords, bits, mask, names_at, seal_keywords, translate
from mss.imap.mailstore import CellarReader, one_folder, told_folder
from mss.imap.marking import change_of, is_news, signed
from mss.imap.names import DELIMITER, INBOX
from mss.imap.takings import Signs, needed
from mss.imap.twins import Twin
from mss.model.clock import Chance, Clock, to_ms
from mss.model.errors import NotFound
from mss.model.ids import lane_of
from mss.model.mailbox import Flag, SpecialUse
from mss.store import (
    audit,
    changes,
    folders,
    keywordbits,
    messages,
    owners,
    recent,
    seen,
    states,
    subscriptions,
    unanswered,
)
from mss.store.blobs import BodyStore
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.folders import Folder as FolderRow
from mss.store.folders import NewEntry
from mss.store.ids import new_id
from mss.store.states import FlagChange
from mss.vault.opener import Opener, OwnerKeys

FOLDERS_MAX = 1000
"""Folders of one mailbox: people have fifty; a client in a loop must stop somewhere."""


class CellarMailStore(CellarReader):
    """Keeps the promise of `MailStore` (mss/imap/backend.py) with the real store."""

    def __init__(
        self,
        store: Store,
        opener: Opener,
        bodies: BodyStore,
        bus: ChangeBus,
        lookup: Lookup,
        clock: Clock,
        chance: Chance,
    ) -> None:
        super().__init__(store, opener, bodies, bus, lookup, clock, chance)
        self._incoming = Incoming(bodies, lookup, clock, chance)
        self._clock = clock
        self._chance = chance

    # --- folders

    async def create(self, box: Box, name: str, special_use: SpecialUse | None = None) -> Folder:
        keys = await self._keys(box)
        row = await self._store.write(lane_of(box.owner), self._creation(keys, name, special_use))
        self._bus.publish(changes.FOLDER, box.owner)
        return told_folder(box, row, name)

    def _creation(self, keys: OwnerKeys, name: str, use: SpecialUse | None) -> Callable[[Connection], FolderRow]:
        number = new_id(self._clock, self._chance)
        sealed = keys.seal_small(FOLDER_KIND, number, name.encode())
        hashed = self._lookup.folder(keys.owner, name)

        def act(connection: Connection) -> FolderRow:
            standing = folders.list_folders(connection, keys.owner)
            if folders.folder_by_name(connection, keys.owner, hashed) is not None:
                raise FolderRefused(FolderProblem.EXISTS)
            if use is not None and any(row.special_use == use for row in standing):
                raise FolderRefused(FolderProblem.SPECIAL_USE_TAKEN)
            if len(standing) >= FOLDERS_MAX:
                raise FolderRefused(FolderProblem.TOO_MANY_FOLDERS)
            return folders.create_folder(connection, keys.owner, number, sealed, hashed, use or "", subscribed=False)

        return act

    async def delete(self, folder: Folder) -> None:
        owner, now_ms = folder.box.owner, to_ms(self._clock.now())

        def act(connection: Connection) -> None:
            owners.lock(connection, owner)
            row = one_folder(connection, owner, folder.id)
            leaving = folders.messages_of(connection, owner, folder.id)
            folders.delete_folder(connection, owner, folder.id)
            self._settle(connection, owner, leaving, now_ms)
            owners.add_used(connection, owner, -folders.homeless_bytes(connection, owner, leaving))
            self._write_down(connection, folder, "imap.folder-deleted", row.n_msg)

        await self._store.write(lane_of(owner), act)
        self._publish(folder)

    async def rename(self, folder: Folder, name: str) -> None:
        if folder.name == INBOX:
            target = await self.create(folder.box, name)
            state = await self.snapshot(folder)
            await self.move(folder, state.uids, target)
            return
        keys = await self._keys(folder.box)
        owner, below = folder.box.owner, folder.name + DELIMITER
        moves = []
        for one in await self.folders(folder.box):
            if one.id == folder.id or one.name.startswith(below):
                new_name = name + one.name[len(folder.name) :]
                sealed = keys.seal_small(FOLDER_KIND, one.id, new_name.encode())
                moves.append((one.id, sealed, self._lookup.folder(owner, new_name)))

        def act(connection: Connection) -> None:
            owners.lock(connection, owner)
            one_folder(connection, owner, folder.id)
            moving = {number for number, _, _ in moves}
            for number, sealed, hashed in moves:
                standing = folders.folder_by_name(connection, owner, hashed)
                if standing is not None and standing.folder not in moving:
                    raise FolderRefused(FolderProblem.EXISTS)
                folders.rename_folder(connection, owner, number, sealed, hashed)

        await self._store.write(lane_of(owner), act)
        self._bus.publish(changes.FOLDER, owner)

    async def subscribe(self, folder: Folder, *, subscribed: bool) -> None:
        owner, member = folder.box.owner, folder.box.reader
        act = owners.locked(owner, lambda c: folders.subscribe(c, owner, folder.id, member, subscribed=subscribed))
        await self._store.write(lane_of(owner), act, lazy=True)

    async def unsubscribe_lost(self, box: Box, name: str) -> bool:
        hashed = self._lookup.folder(box.owner, name)
        return await self._store.write(
            lane_of(box.owner), lambda c: subscriptions.drop(c, box.owner, hashed), lazy=True
        )

    async def claim_recent(self, folder: Folder, uid: int) -> None:
        owner = folder.box.owner
        act = owners.locked(owner, lambda c: recent.claim(c, owner, folder.id, uid))
        await self._store.write(lane_of(owner), act, lazy=True)

    # --- new messages

    async def append(self, folder: Folder, message: NewMessage) -> int:
        keys = await self._keys(folder.box)
        internaldate = message.received_at or self._clock.now()
        sealed = await self._incoming.seal(folder, keys, message.raw, message.flags, to_ms(internaldate))
        if is_plain(folder, sealed):
            lane, size = lane_of(folder.box.owner), sealed.row.body_size_bytes
            uid: int = await self._store.write(lane, Keep(self._clock, folder, sealed), size_bytes=size)
            self._publish(folder)
            return uid
        twin = None if sealed.mark is None else Twin(self._lookup, sealed, is_dated=message.received_at is not None)
        uids = await self._keep(folder, keys, [sealed], twin)
        if twin is not None and twin.is_absorbed:
            self._cache.forget(folder.box.owner, folder.id, uids[0])
            if sealed.row.body_place:
                await self._bodies.delete(sealed.row.body_place)
        return uids[0]

    async def _keep(
        self, folder: Folder, keys: OwnerKeys, sealed: Sequence[SealedMessage], twin: Twin | None = None
    ) -> list[int]:
        """Rows, entries, quota and audit in one transaction; the uids. Raises FolderRefused, NotFound."""
        owner = folder.box.owner
        names = {name for one in sealed for name in self._wanted(folder, one.flags)}
        keywords = seal_keywords(self._lookup, keys, folder, names)
        now_ms = to_ms(self._clock.now())
        size = sum(one.row.size_bytes for one in sealed)

        def act(connection: Connection) -> list[int]:
            owners.lock(connection, owner)
            one_folder(connection, owner, folder.id)
            box = owners.mailbox(connection, owner)
            if box is None:
                raise NotFound("mailbox")
            if twin is not None and (uid := twin.find(connection, owner, folder, now_ms)):
                known = add_keywords(connection, folder, keywords)
                change = FlagChange(twin.flags.system, add_kw=mask(known, twin.flags.keywords), replace=True)
                marks = signed(change, self._signs(connection, keys, folder))
                twin.absorb(connection, owner, folder, uid, marks)
                self._write_down(
                    connection, folder, "imap.append-again", 1, twin.standing, sealed[0].row.message_id_hmac
                )
                return [uid]
            if box.quota_bytes and box.used_bytes + size > box.quota_bytes:
                raise FolderRefused(FolderProblem.OVER_QUOTA)
            known = add_keywords(connection, folder, keywords)
            signs = self._signs(connection, keys, folder)
            for one in sealed:
                messages.insert_message(connection, owner, one.row)
            entries = []
            for one in sealed:
                change = FlagChange(add=one.flags.system, add_kw=mask(known, one.flags.keywords))
                flags, kw = signed(change, signs).apply(0, 0)
                shared = flags & ~Flag.SEEN if is_news(folder) else flags
                entries.append(NewEntry(one.row.message, shared, kw, one.internaldate_ms, one.row.size_bytes))
            appended = folders.append_entries(connection, owner, folder.id, entries, now_ms)
            if is_news(folder):
                read = [index for index, one in enumerate(sealed) if one.flags.system & Flag.SEEN]
                there = dict.fromkeys((appended.first_uid + index for index in read), True)
                seen.write(connection, owner, folder.id, folder.box.reader, there, {}, appended.modseq)
            owners.add_used(connection, owner, size)
            if twin is not None:
                twin.remember(connection, owner, now_ms)
            for one in sealed:
                self._write_down(connection, folder, "imap.append", 1, one.row.message, one.row.message_id_hmac)
            return list(range(appended.first_uid, appended.first_uid + appended.count))

        body_bytes = sum(one.row.body_size_bytes for one in sealed)
        uids = await self._store.write(lane_of(owner), act, size_bytes=body_bytes)
        self._publish(folder)
        return uids

    # --- flags

    async def change_flags(
        self, folder: Folder, uids: Sequence[int], mode: StoreMode, flags: Flags, unchanged_since: int | None = None
    ) -> list[int]:
        owner, reader = folder.box.owner, folder.box.reader
        keywords: list[SealedKeyword] = []
        known: dict[str, int] = {}
        keys = await self._keys(folder.box)
        if flags.keywords and mode is StoreMode.REMOVE:
            known = {name.casefold(): bit for bit, name in (await self._keyword_names(folder)).items()}
        elif mode is not StoreMode.REMOVE and (names := self._wanted(folder, flags)):
            keywords = seal_keywords(self._lookup, keys, folder, set(names))

        def act(connection: Connection) -> list[int]:
            owners.lock(connection, owner)  # one folder only, but the next act of the batch may want more
            one_folder(connection, owner, folder.id)
            now = known if mode is StoreMode.REMOVE else add_keywords(connection, folder, keywords)
            asked = change_of(mode, flags.system, mask(now, flags.keywords))
            change = signed(asked, self._signs(connection, keys, folder))
            if folder.box.fills_itself:
                self._elsewhere.add(owner)
                return unanswered.pass_on(connection, owner, folder.id, uids, asked, unchanged_since, reader)
            kept_back = states.change_flags(connection, owner, folder.id, uids, change, unchanged_since, reader)[1]
            marked = sorted(set(uids) - set(kept_back))
            if unanswered.mirror(connection, owner, folder.id, marked, asked, reader):
                self._elsewhere.add(owner)
            return kept_back

        kept_back = await self._store.write(lane_of(owner), act, lazy=True)
        self._publish(folder)
        return kept_back

    def _wanted(self, folder: Folder, flags: Flags) -> list[str]:
        """Keywords that these flags bring into a folder; in a team's those that name the member too."""
        mark = folder.box.mark
        return [*flags.keywords, *needed(mark, flags)] if mark else list(flags.keywords)

    def _signs(self, connection: Connection, keys: OwnerKeys, folder: Folder) -> Signs | None:
        return Signs.of(folder.box.mark, names_at(connection, keys, folder)) if folder.box.mark else None

    async def _keyword_names(self, folder: Folder) -> dict[int, str]:
        """Keywords of a folder as they were written, by bit."""
        sealed = await self._store.read(lambda c: keywordbits.of_folder(c, folder.box.owner, folder.id))
        return {bit: name for bit, name in enumerate(await self._keywords(folder, sealed)) if name}

    # --- copies and removal

    async def copy(self, folder: Folder, uids: Sequence[int], target: Folder) -> list[tuple[int, int]]:
        if folder.box.owner != target.box.owner:
            return await self._copy_to_other(folder, uids, target)
        return await self._transfer(folder, uids, target, removes=False)

    async def move(self, folder: Folder, uids: Sequence[int], target: Folder) -> list[tuple[int, int]]:
        if folder.box.owner != target.box.owner:
            pairs = await self._copy_to_other(folder, uids, target)
            await self._remove(folder, [uid for uid, _ in pairs], only_deleted=False)
            return pairs
        return await self._transfer(folder, uids, target, removes=True)

    async def _transfer(
        self, folder: Folder, uids: Sequence[int], target: Folder, *, removes: bool
    ) -> list[tuple[int, int]]:
        """Inside a mailbox: new entries for the same messages, in one transaction."""
        owner, now_ms = folder.box.owner, to_ms(self._clock.now())
        names = await self._keyword_names(folder)
        source = {name.casefold(): bit for bit, name in names.items()}
        keywords: list[SealedKeyword] = []
        if names:
            keywords = seal_keywords(self._lookup, await self._keys(target.box), target, names.values())

        def act(connection: Connection) -> list[tuple[int, int]]:
            owners.lock(connection, owner)
            for one in (folder, target):
                one_folder(connection, owner, one.id)
            found = folders.entries_of(connection, owner, folder.id, uids)
            if not found:
                return []
            used = 0
            for _, entry in found:
                used |= entry.kw
            wanted = [one for one in keywords if used >> source[one.name] & 1]
            there = bits(connection, target, wanted)
            pairs_of_bits = [(1 << source[name], 1 << bit) for name, bit in there.items()]
            entries = [
                NewEntry(e.message, e.flags, translate(e.kw, pairs_of_bits), e.internaldate_ms, e.size_bytes)
                for _, e in found
            ]
            appended = folders.append_entries(connection, owner, target.id, entries, now_ms)
            copies = [(uid, appended.first_uid + index) for index, (uid, _) in enumerate(found)]
            if folder.box.reader:
                seen.copy(connection, owner, folder.id, target.id, copies, appended.modseq)
            if removes:
                folders.expunge(connection, owner, folder.id, [uid for uid, _ in found], now_ms, only_deleted=False)
            self._settle(connection, owner, [entry.message for _, entry in found], now_ms)
            return copies

        pairs = await self._store.write(lane_of(owner), act)
        self._publish(target)
        self._publish(folder)
        return pairs

    async def _copy_to_other(self, folder: Folder, uids: Sequence[int], target: Folder) -> list[tuple[int, int]]:
        """Into another mailbox: nothing is shared between owners, so each message is opened and sealed again.

        Batches of bounded size, each whole or not at all; a failure leaves earlier ones, as an interrupted client
        would.
        """
        keys = await self._keys(target.box)
        names = await self._keyword_names(folder)
        owner, reader = folder.box.owner, folder.box.reader
        entries = dict(await self._store.read(lambda c: folders.entries_of(c, owner, folder.id, uids)))
        shown = await self._store.read(lambda c: states.states_of(c, owner, folder.id, uids, reader))
        flags_shown = {uid: flags for uid, _, flags, _ in shown}
        pairs: list[tuple[int, int]] = []
        for batch in batches(entries):
            bodies = await self.bodies(folder, batch)
            there = [uid for uid in batch if uid in bodies]
            sealed = []
            for uid in there:
                entry = entries[uid]
                keywords = tuple(name for bit, name in names.items() if entry.kw >> bit & 1)
                flags = allowed_flags(target.box, Flags(flags_shown.get(uid, entry.flags), keywords))
                sealed.append(await self._incoming.seal(target, keys, bodies[uid], flags, entry.internaldate_ms))
            if sealed:
                pairs += zip(there, await self._keep(target, keys, sealed), strict=True)
        return pairs

    async def expunge(self, folder: Folder, uids: Sequence[int]) -> list[int]:
        return await self._remove(folder, uids, only_deleted=True)

    async def _remove(self, folder: Folder, uids: Sequence[int], *, only_deleted: bool) -> list[int]:
        owner, now_ms = folder.box.owner, to_ms(self._clock.now())

        def act(connection: Connection) -> list[int]:
            owners.lock(connection, owner)
            one_folder(connection, owner, folder.id)
            messages_there = {uid: one.message for uid, one in folders.entries_of(connection, owner, folder.id, uids)}
            gone = folders.expunge(connection, owner, folder.id, uids, now_ms, only_deleted=only_deleted)
            if gone:
                leaving = [messages_there[uid] for uid in gone]
                self._settle(connection, owner, leaving, now_ms)
                owners.add_used(connection, owner, -folders.homeless_bytes(connection, owner, leaving))
                self._write_down(connection, folder, "imap.expunge", len(gone))
            return gone

        gone = await self._store.write(lane_of(owner), act)
        self._publish(folder)
        return gone

    def _settle(self, connection: Connection, owner: int, moved: Sequence[int], now_ms: int) -> None:
        """Messages have come to other places: let "Sans réponse" show what still waits."""
        if unanswered.settle(connection, owner, moved, now_ms):
            self._elsewhere.add(owner)

    def _write_down(
        self,
        connection: Connection,
        folder: Folder,
        act: str,
        count: int,
        number: int = 0,
        message_id_hmac: bytes = b"",
    ) -> None:
        box = folder.box
        actor = f"login:{box.account}"
        done = audit.Act(self._clock.now(), actor, act, box.owner, number or folder.id, message_id_hmac, str(count))
        audit.write(connection, [done])
