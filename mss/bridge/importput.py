"""How is a message of another server put into a folder here, together with the note that it stands?

For each folder a `Batch`: the folder is made when it is not there, keywords get their bits, bodies are sealed with a
key of the hour, and a transaction keeps some tens of messages, their numbers, their notes and their audit rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mss.accounts.service import FOLDER_KIND
from mss.bridge.foldermap import Target
from mss.bridge.source import Brought, Unread
from mss.crypto.keys import Lookup
from mss.formats.mime import scan
from mss.formats.summary import summarise
from mss.mail.keywords import SealedKeyword, mask, seal_keywords
from mss.model.clock import Chance, Clock, to_ms
from mss.model.errors import Malformed, NotFound
from mss.model.ids import lane_of
from mss.model.mailbox import SpecialUse
from mss.store import audit, blobs, changes, folders, imported, keywordbits, messages, owners
from mss.store.blobs import BodyStore
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.ids import new_id
from mss.store.imported import Copy
from mss.store.messages import Direction, MessageState, NewMessage
from mss.store.sealing import IntakeKey, Sealer, keep_keys
from mss.store.sql import Connection
from mss.vault.opener import OwnerKeys

ACTOR = "staff:command"
KEYWORD_CHARS_MAX = 100
"""Of a keyword's name; what is longer no mail client made."""
_KEYWORD_UNFIT = frozenset('(){%*"\\] ')


@dataclass(frozen=True, slots=True)
class Ready:
    """A message sealed, its body durable."""

    place: str
    row: NewMessage
    copy: Copy
    flags: int
    keywords: tuple[str, ...]
    internaldate_ms: int


class ImportStore:
    """What all folders of a run share."""

    def __init__(
        self,
        store: Store,
        bodies: BodyStore,
        lookup: Lookup,
        sealer: Sealer,
        bus: ChangeBus,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self.store = store
        self.bodies = bodies
        self.lookup = lookup
        self.sealer = sealer
        self.bus = bus
        self.clock = clock
        self.chance = chance

    async def begin(self, keys: OwnerKeys, target: Target, source: bytes) -> Batch:
        """The folder, made when it is not there. Raises NotFound, StorageUnavailable."""
        owner, number = keys.owner, new_id(self.clock, self.chance)
        sealed = keys.seal_small(FOLDER_KIND, number, target.name.encode())
        hashed = self.lookup.folder(owner, target.name)

        def act(connection: Connection) -> folders.Folder:
            found = folders.folder_by_use(connection, owner, target.use) if target.use else None
            found = found or folders.folder_by_name(connection, owner, hashed)
            return found or folders.create_folder(connection, owner, number, sealed, hashed, target.use or "")

        folder = await self.store.write(lane_of(owner), act)
        self.bus.publish(changes.FOLDER, owner)
        box = await self.store.read(lambda c: owners.mailbox(c, owner))
        if box is None:
            raise NotFound("mailbox")
        return Batch(self, keys, folder, box.public_key, source)


class Batch:
    """Puts messages into one folder."""

    def __init__(
        self, keeper: ImportStore, keys: OwnerKeys, folder: folders.Folder, public_key: bytes, source: bytes
    ) -> None:
        self._keeper = keeper
        self._keys = keys
        self._folder = folder.folder
        self._is_own = folder.special_use in (SpecialUse.SENT, SpecialUse.DRAFTS)
        self._public_key = public_key
        self._source = source
        self._used_keys: dict[int, IntakeKey] = {}
        self.keywords_left = 0
        """Messages that lost a keyword for which the folder has no bit left."""

    async def ready(self, found: Brought, copy: Copy) -> Ready | Unread:
        """Seal a message; a large body is where it survives when this returns. Raises StorageUnavailable."""
        keeper, owner = self._keeper, self._keys.owner
        key = keeper.sealer.key_for(owner, self._public_key)
        number, blob = new_id(keeper.clock, keeper.chance), new_id(keeper.clock, keeper.chance)
        try:
            summary, body, message_id = await asyncio.to_thread(_render, key, number, found.raw)
        except Malformed as fault:
            return Unread(found.place, f"not kept as it is: {fault.reason.value}")
        self._used_keys[key.epoch] = key
        inline, where = (body, "") if len(body) <= blobs.INLINE_BYTES_MAX else (None, "")
        if inline is None:
            where = blobs.place_of(lane_of(owner), owner, blob)
            await keeper.bodies.put(where, body)
        now_ms = to_ms(keeper.clock.now())
        row = NewMessage(
            message=number,
            size_bytes=len(found.raw),
            key_epoch=key.epoch,
            summary_sealed=summary,
            message_id_hmac=keeper.lookup.message_id(message_id),
            blob=blob,
            body_size_bytes=len(body),
            body_inline=inline,
            body_place=where,
            state=MessageState.VISIBLE,
            direction=Direction.OUT if self._is_own else Direction.IN,
            received_ms=now_ms,
        )
        at_ms = now_ms if found.at_ms is None else found.at_ms
        return Ready(found.place, row, copy, found.flags, _fit(found.keywords), at_ms)

    async def commit(self, waiting: Sequence[Ready]) -> tuple[list[Ready], list[Ready]]:
        """Keep them. Answers those that stand here now by this act, and those for which the quota has no room."""
        keeper, owner = self._keeper, self._keys.owner
        names = {name for one in waiting for name in one.keywords}
        sealed = seal_keywords(keeper.lookup, self._keys, self._folder, names)
        keys = list(self._used_keys.values())
        now = keeper.clock.now()

        def act(connection: Connection) -> tuple[list[Ready], list[Ready], dict[str, int]]:
            owners.lock(connection, owner)  # two runs at once take turns from here
            keep_keys(connection, keys)
            there = imported.standing(connection, owner, self._source, [one.copy for one in waiting])
            wanted = [one for one in waiting if (one.copy.content, one.copy.nth) not in there]
            fresh, too_much = _within_quota(connection, owner, wanted)
            if not fresh:
                return [], too_much, {}
            known = self._bits(connection, sealed)
            entries = [
                folders.NewEntry(
                    one.row.message, one.flags, mask(known, one.keywords), one.internaldate_ms, one.row.size_bytes
                )
                for one in fresh
            ]
            messages.insert_messages(connection, [(owner, one.row) for one in fresh])
            folders.append_entries(connection, owner, self._folder, entries, to_ms(now))
            imported.remember(connection, owner, self._source, [one.copy for one in fresh], to_ms(now))
            owners.add_used(connection, owner, sum(one.row.size_bytes for one in fresh))
            acts = [
                audit.Act(now, ACTOR, "mailbox.imported", owner, one.row.message, one.row.message_id_hmac)
                for one in fresh
            ]
            audit.write(connection, acts)
            return fresh, too_much, known

        size = sum(one.row.body_size_bytes for one in waiting)
        kept, too_much, known = await keeper.store.write(lane_of(owner), act, size_bytes=size)
        for key in keys:
            key.kept = True
        self._used_keys.clear()
        self.keywords_left += sum(any(name.casefold() not in known for name in one.keywords) for one in kept)
        keeper.bus.publish(changes.FOLDER, owner, self._folder)
        return kept, too_much

    async def moved(self, copy: Copy) -> None:
        """Its server calls it otherwise now: remember that, so that it need not be fetched again."""
        owner, source = self._keys.owner, self._source
        await self._keeper.store.write(lane_of(owner), lambda c: imported.moved(c, owner, source, [copy]), lazy=True)

    def _bits(self, connection: Connection, sealed: Iterable[SealedKeyword]) -> dict[str, int]:
        """Bits of keywords, new ones added while there is room."""
        known: dict[str, int] = {}
        for keyword in sealed:
            bit = keywordbits.add(connection, self._keys.owner, self._folder, keyword.sealed, keyword.hashed)
            if bit is not None:
                known[keyword.name] = bit
        return known


def _within_quota(connection: Connection, owner: int, waiting: Sequence[Ready]) -> tuple[list[Ready], list[Ready]]:
    """Those for which there is room, and the others."""
    box = owners.mailbox(connection, owner)
    if box is None:
        raise NotFound("mailbox")
    if not box.quota_bytes:
        return list(waiting), []
    room = box.quota_bytes - box.used_bytes
    fitting: list[Ready] = []
    too_much: list[Ready] = []
    for one in waiting:
        fits = one.row.size_bytes <= room
        (fitting if fits else too_much).append(one)
        room -= one.row.size_bytes if fits else 0
    return fitting, too_much


def _render(key: IntakeKey, number: int, raw: bytes) -> tuple[bytes, bytes, str]:
    """(sealed summary, sealed body, Message-ID). Raises Malformed."""
    summary = summarise(raw, scan(raw))
    sealed = key.encrypt(messages.SUMMARY_KIND, number, summary.to_bytes())
    return sealed, key.encrypt(messages.BODY_KIND, number, raw), summary.message_id


def _fit(keywords: Iterable[str]) -> tuple[str, ...]:
    """Those that a client here may be told of (RFC 9051 §9: flag-keyword is an atom)."""
    return tuple(
        word
        for word in keywords
        if word.isascii() and word.isprintable() and len(word) <= KEYWORD_CHARS_MAX and not _KEYWORD_UNFIT & set(word)
    )
