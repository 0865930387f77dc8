"""A mail store of dictionaries: what `mss/imap/backend.py` promises, kept in memory.

Real behaviour, no durability: uids only grow, every change gets a mod-sequence, what vanished is remembered. It has
no awaits inside its acts, so each is atomic, as a transaction is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from mss.formats.headers import decode_words
from mss.formats.mime import decode_text, scan
from mss.formats.summary import summarise
from mss.imap.backend import Box, Folder, FolderProblem, FolderRefused, NewMessage, Row, seen_from
from mss.imap.commands import Flags, StoreMode
from mss.imap.snapshot import Changes, Snapshot
from mss.imap.takings import Signs, TeamChange, needed
from mss.imap.told import Told
from mss.model.clock import Clock, to_ms
from mss.model.errors import Malformed, NotFound
from mss.model.ids import OwnerId
from mss.model.mailbox import BORN_KEYWORDS, DEFAULT_FOLDERS, Flag, SpecialUse
from mss.store.states import Change, FlagChange

KEYWORDS_MAX = 62


@dataclass
class _Message:
    raw: bytes
    summary: bytes
    internaldate_ms: int
    number: int


@dataclass
class _Entry:
    message: _Message
    flags: int
    kw: int
    modseq: int
    savedate_ms: int
    read: dict[int, tuple[bool, int]] = field(default_factory=dict)
    """In a team's mailbox: what each reader has read, and at which modseq."""

    def as_seen(self, reader: int) -> tuple[int, int, int]:
        """modseq, flags, keywords."""
        if reader not in self.read:
            return self.modseq, self.flags, self.kw
        is_seen, modseq = self.read[reader]
        return max(self.modseq, modseq), self.flags & ~Flag.SEEN | Flag.SEEN * is_seen, self.kw


@dataclass
class _Folder:
    id: int
    name: str
    uidvalidity: int
    special_use: SpecialUse | None = None
    subscribed: bool = False
    of_members: dict[int, bool] = field(default_factory=dict)
    recent_uid: int = 1
    uidnext: int = 1
    modseq: int = 1
    entries: dict[int, _Entry] = field(default_factory=dict)
    vanished: list[tuple[int, int]] = field(default_factory=list)
    """(uid, modseq)"""
    keywords: list[str] = field(default_factory=list)


@dataclass
class _Box:
    next_uidvalidity: int
    folders: dict[int, _Folder] = field(default_factory=dict)
    lost_subscriptions: set[str] = field(default_factory=set)
    listeners: set[Callable[[int], None]] = field(default_factory=set)


class MemoryMailStore:
    """Keeps the promise of `MailStore` until the process ends."""

    def __init__(self, clock: Clock, *, quota_bytes: int = 1 << 40) -> None:
        self._clock = clock
        self._quota_bytes = quota_bytes
        self._boxes: dict[int, _Box] = {}
        self._numbers = itertools.count(1)

    def add_box(self, owner: OwnerId) -> None:
        """A mailbox with the folders that it is born with."""
        box = self._boxes[owner] = _Box(next_uidvalidity=int(self._clock.now().timestamp()))
        for name, use in DEFAULT_FOLDERS:
            folder = self._new_folder(box, name, use)
            folder.subscribed = True
            folder.keywords = [*BORN_KEYWORDS] if use is SpecialUse.INBOX else []

    # --- folders

    async def folders(self, box: Box) -> Sequence[Folder]:
        return [_told(box, folder) for folder in self._boxes[box.owner].folders.values()]

    async def unread(self, folder: Folder) -> int:
        entries = self._one(folder).entries.values()
        return sum(1 for entry in entries if not entry.as_seen(folder.box.reader)[1] & Flag.SEEN)

    async def quota(self, box: Box) -> tuple[int, int]:
        kept = self._boxes[box.owner].folders.values()
        return sum(len(e.message.raw) for folder in kept for e in folder.entries.values()), self._quota_bytes

    async def folder(self, box: Box, name: str) -> Folder:
        return _told(box, self._named(box, name))

    async def create(self, box: Box, name: str, special_use: SpecialUse | None = None) -> Folder:
        kept = self._boxes[box.owner]
        if any(folder.name == name for folder in kept.folders.values()):
            raise FolderRefused(FolderProblem.EXISTS)
        if special_use and any(folder.special_use is special_use for folder in kept.folders.values()):
            raise FolderRefused(FolderProblem.SPECIAL_USE_TAKEN)
        return _told(box, self._new_folder(kept, name, special_use))

    async def delete(self, folder: Folder) -> None:
        if self._one(folder).subscribed:
            self._boxes[folder.box.owner].lost_subscriptions.add(folder.name)
        del self._boxes[folder.box.owner].folders[folder.id]
        self._publish(folder)

    async def rename(self, folder: Folder, name: str) -> None:
        kept, one = self._boxes[folder.box.owner], self._one(folder)
        taken = {other.name for other in kept.folders.values()}
        if one.name == "INBOX":
            if name in taken:
                raise FolderRefused(FolderProblem.EXISTS)
            target = _told(folder.box, self._new_folder(kept, name, None))
            self._transfer(folder, list(one.entries), target, keep=False)
            return
        below = one.name + "/"
        moved = {
            other.id: name + other.name[len(one.name) :]
            for other in kept.folders.values()
            if other is one or other.name.startswith(below)
        }
        if set(moved.values()) & (taken - {kept.folders[i].name for i in moved}):
            raise FolderRefused(FolderProblem.EXISTS)
        for number, new_name in moved.items():
            kept.folders[number].name = new_name
            kept.lost_subscriptions.discard(new_name)

    async def subscribe(self, folder: Folder, *, subscribed: bool) -> None:
        one, member = self._one(folder), folder.box.reader
        if member:
            one.of_members[member] = subscribed
        else:
            one.subscribed = subscribed

    async def lost_subscriptions(self, box: Box) -> Sequence[str]:
        return sorted(self._boxes[box.owner].lost_subscriptions)

    async def unsubscribe_lost(self, box: Box, name: str) -> bool:
        names = self._boxes[box.owner].lost_subscriptions
        is_there = name in names
        names.discard(name)
        return is_there

    # --- state

    async def snapshot(self, folder: Folder) -> Snapshot:
        one = self._one(folder)
        states = ((uid, *entry.as_seen(folder.box.reader)) for uid, entry in sorted(one.entries.items()))
        return Snapshot.of(one.uidvalidity, one.uidnext, one.modseq, tuple(one.keywords), states)

    async def changes(self, folder: Folder, since: int) -> Changes | None:
        one = self._one(folder)
        states = sorted((uid, *entry.as_seen(folder.box.reader)) for uid, entry in one.entries.items())
        states = [state for state in states if state[1] > since]
        gone = [(uid, uid) for uid, modseq in one.vanished if modseq > since]
        return Changes(one.modseq, one.uidnext, states, gone, tuple(one.keywords))

    async def count_from(self, folder: Folder, uid: int) -> int:
        return sum(1 for number in self._one(folder).entries if number >= uid)

    async def claim_recent(self, folder: Folder, uid: int) -> None:
        one = self._one(folder)
        one.recent_uid = max(one.recent_uid, uid)

    def watch(self, owner: OwnerId, listener: Callable[[int], None]) -> Callable[[], None]:
        listeners = self._boxes[owner].listeners
        listeners.add(listener)
        return lambda: listeners.discard(listener)

    # --- messages

    async def rows(self, folder: Folder, uids: Sequence[int]) -> list[Row]:
        return [self._row(uid, entry) for uid, entry in self._entries(folder, uids)]

    async def summaries(self, folder: Folder, uids: Sequence[int]) -> Told:
        return Told.of([(self._row(uid, entry), entry.message.summary) for uid, entry in self._entries(folder, uids)])

    async def bodies(self, folder: Folder, uids: Sequence[int]) -> dict[int, bytes]:
        return {uid: entry.message.raw for uid, entry in self._entries(folder, uids)}

    async def body_range(self, folder: Folder, uid: int, start: int, end: int) -> bytes:
        for _, entry in self._entries(folder, [uid]):
            return entry.message.raw[start:end]
        raise NotFound("message")

    async def search_text(self, folder: Folder, uids: Sequence[int], text: str, *, header_too: bool) -> set[int]:
        wanted = text.casefold()
        return {
            uid
            for uid, entry in self._entries(folder, uids)
            if wanted in _text(entry.message.raw, header_too=header_too).casefold()
        }

    # --- acts

    async def append(self, folder: Folder, message: NewMessage) -> int:
        one = self._one(folder)
        try:
            structure = scan(message.raw)
        except Malformed:
            raise FolderRefused(FolderProblem.MESSAGE_MALFORMED) from None
        kept = _Message(message.raw, summarise(message.raw, structure).to_bytes(), self._now_ms(), next(self._numbers))
        if message.received_at is not None:
            kept.internaldate_ms = to_ms(message.received_at)
        used, most = await self.quota(folder.box)
        if used + len(message.raw) > most:
            raise FolderRefused(FolderProblem.OVER_QUOTA)
        change = FlagChange(message.flags.system, 0, _bits(one, self._wanted(folder, message.flags)))
        flags, kw = self._signed(folder, change).apply(0, 0)
        is_news = folder.box.reader and one.special_use not in (SpecialUse.SENT, SpecialUse.DRAFTS)
        one.modseq += 1
        uid = self._put(one, kept, flags & ~Flag.SEEN if is_news else flags, kw)
        if is_news and flags & Flag.SEEN:
            one.entries[uid].read[folder.box.reader] = True, one.modseq
        self._publish(folder)
        return uid

    async def change_flags(
        self, folder: Folder, uids: Sequence[int], mode: StoreMode, flags: Flags, unchanged_since: int | None = None
    ) -> list[int]:
        one = self._one(folder)
        reader = folder.box.reader
        if mode is StoreMode.REMOVE:
            asked = FlagChange(remove=flags.system, remove_kw=_known_bits(one, flags.keywords))
        else:
            _bits(one, self._wanted(folder, flags))
            is_replaced = mode is StoreMode.REPLACE
            asked = FlagChange(flags.system, 0, _known_bits(one, flags.keywords), replace=is_replaced)
        change = self._signed(folder, asked)
        one.modseq += 1
        kept_back = []
        for uid, entry in self._entries(folder, uids):
            modseq, *marks = entry.as_seen(reader)
            if unchanged_since is not None and modseq > unchanged_since:
                kept_back.append(uid)
                continue
            new_flags, new_kw = change.apply(*marks)
            if reader and (new_flags ^ marks[0]) & Flag.SEEN:
                entry.read[reader] = bool(new_flags & Flag.SEEN), one.modseq
            if reader:
                new_flags = new_flags & ~Flag.SEEN | entry.flags & Flag.SEEN
            if (new_flags, new_kw) != (entry.flags, entry.kw):
                entry.flags, entry.kw, entry.modseq = new_flags, new_kw, one.modseq
        self._publish(folder)
        return kept_back

    async def copy(self, folder: Folder, uids: Sequence[int], target: Folder) -> list[tuple[int, int]]:
        return self._transfer(folder, uids, target, keep=True)

    async def move(self, folder: Folder, uids: Sequence[int], target: Folder) -> list[tuple[int, int]]:
        return self._transfer(folder, uids, target, keep=False)

    async def expunge(self, folder: Folder, uids: Sequence[int]) -> list[int]:
        marked = [uid for uid, entry in self._entries(folder, uids) if entry.flags & Flag.DELETED]
        self._remove(self._one(folder), marked)
        self._publish(folder)
        return marked

    # --- inside

    def _wanted(self, folder: Folder, flags: Flags) -> list[str]:
        mark = folder.box.mark
        return [*flags.keywords, *needed(mark, flags)] if mark else list(flags.keywords)

    def _signed(self, folder: Folder, change: FlagChange) -> Change:
        names = {name.casefold(): bit for bit, name in enumerate(self._one(folder).keywords)}
        return TeamChange(change, Signs.of(folder.box.mark, names)) if folder.box.mark else change

    def _new_folder(self, box: _Box, name: str, use: SpecialUse | None) -> _Folder:
        folder = _Folder(next(self._numbers), name, box.next_uidvalidity, use, name in box.lost_subscriptions)
        box.lost_subscriptions.discard(name)
        box.next_uidvalidity += 1
        box.folders[folder.id] = folder
        return folder

    def _one(self, folder: Folder) -> _Folder:
        try:
            return self._boxes[folder.box.owner].folders[folder.id]
        except KeyError:
            raise NotFound("folder") from None

    def _named(self, box: Box, name: str) -> _Folder:
        for folder in self._boxes[box.owner].folders.values():
            if folder.name == name:
                return folder
        raise NotFound("folder")

    def _entries(self, folder: Folder, uids: Iterable[int]) -> list[tuple[int, _Entry]]:
        entries = self._one(folder).entries
        return [(uid, entries[uid]) for uid in sorted(set(uids)) if uid in entries]

    def _row(self, uid: int, entry: _Entry) -> Row:
        message = entry.message
        return Row(uid, len(message.raw), message.internaldate_ms, entry.savedate_ms, message.number)

    def _put(self, one: _Folder, message: _Message, flags: int, kw: int) -> int:
        uid, one.uidnext = one.uidnext, one.uidnext + 1
        one.entries[uid] = _Entry(message, flags, kw, one.modseq, self._now_ms())
        return uid

    def _remove(self, one: _Folder, uids: Sequence[int]) -> None:
        one.modseq += 1
        for uid in uids:
            del one.entries[uid]
            one.vanished.append((uid, one.modseq))

    def _transfer(self, folder: Folder, uids: Sequence[int], target: Folder, *, keep: bool) -> list[tuple[int, int]]:
        one, other = self._one(folder), self._one(target)
        pairs = []
        other.modseq += 1
        for uid, entry in self._entries(folder, uids):
            names = [name for bit, name in enumerate(one.keywords) if entry.kw >> bit & 1]
            pairs.append((uid, self._put(other, entry.message, entry.flags, _bits(other, names))))
            seen = {reader: (is_seen, other.modseq) for reader, (is_seen, _) in entry.read.items()}
            other.entries[pairs[-1][1]].read = seen
        if not keep:
            self._remove(one, [uid for uid, _ in pairs])
        self._publish(folder)
        self._publish(target)
        return pairs

    def _publish(self, folder: Folder) -> None:
        for listener in list(self._boxes[folder.box.owner].listeners):
            listener(folder.id)

    def _now_ms(self) -> int:
        return to_ms(self._clock.now())


def _told(box: Box, folder: _Folder) -> Folder:
    entries = folder.entries.values()
    return Folder(
        box=seen_from(box, folder.special_use),
        id=folder.id,
        name=folder.name,
        uidvalidity=folder.uidvalidity,
        uidnext=folder.uidnext,
        modseq=folder.modseq,
        messages=len(folder.entries),
        unseen=sum(1 for entry in entries if not entry.flags & Flag.SEEN),
        size_bytes=sum(len(entry.message.raw) for entry in entries),
        special_use=folder.special_use,
        subscribed=folder.of_members.get(box.reader, folder.subscribed),
        recent_uid=folder.recent_uid,
    )


def _known_bits(one: _Folder, names: Iterable[str]) -> int:
    wanted = {name.casefold() for name in names}
    return sum(1 << bit for bit, name in enumerate(one.keywords) if name.casefold() in wanted)


def _bits(one: _Folder, names: Iterable[str]) -> int:
    for name in names:
        if name.casefold() not in {known.casefold() for known in one.keywords}:
            if len(one.keywords) >= KEYWORDS_MAX:
                raise FolderRefused(FolderProblem.TOO_MANY_KEYWORDS)
            one.keywords.append(name)
    return _known_bits(one, names)


def _text(raw: bytes, *, header_too: bool) -> str:
    structure = scan(raw)
    texts = [decode_text(raw, part) for part in structure.leaves() if part.type == "text"]
    if header_too:
        texts += [decode_words(f.value) for f in structure.root.fields]
    return "\n".join(texts)
