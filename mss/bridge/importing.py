"""How does a mailbox move in from another server? Each message once, whatever happens in between.

A message, its number in the folder and the note that it stands here (store/imported.py) are one transaction, so a run
that is killed at any instant is simply run again. What stands already is left as it is, also where its holder moved
or deleted it since. Bodies are sealed as those of arriving mail, to the mailbox's public key; only names of folders
and keywords need the key that the vault writes down. What cannot be kept is told, never dropped in silence.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from mss.accounts.service import FOLDER_KIND
from mss.bridge import foldermap
from mss.bridge.foldermap import SourceFolder, Target
from mss.bridge.importput import Batch, ImportStore, Ready
from mss.bridge.source import Listed, Source, SourceDeclined, Unread
from mss.crypto.keys import Lookup
from mss.formats.mime import LIMITS
from mss.model.clock import Clock
from mss.model.mailbox import SpecialUse
from mss.store import folders, imported, owners
from mss.store.database import Store
from mss.store.imported import Copy
from mss.vault.opener import OwnerKeys

COMMIT_MESSAGES_MAX = 64
COMMIT_BYTES_MAX = 4 * 1024 * 1024
"""Kept together in one transaction: what a kill may cost is fetched again in a moment."""
AT_ONCE_MESSAGES = 256
"""Asked of the source before pace and progress are looked at."""
TOO_LARGE = f"larger than {LIMITS.octets // 1024 // 1024} MiB"
OVER_QUOTA = "over the quota: mss mailbox quota sets another"
GONE = "listed by its server and not given: it may have been deleted meanwhile"
VIRTUAL = "shows messages of other folders: brought only when named with --folder"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was not brought: a message, or a whole folder (no place)."""

    folder: str
    place: str
    why: str


@dataclass(slots=True)
class FolderTally:
    """What became of a folder."""

    source: str
    target: str
    listed: int = 0
    brought: int = 0
    stood: int = 0
    size_bytes: int = 0


@dataclass(slots=True)
class Report:
    """What became of all. With `dry_run` `brought` counts what would be."""

    folders: list[FolderTally] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    keywords_left: int = 0
    """Messages of which some keyword found no room: a folder has 62."""


@dataclass(frozen=True, slots=True)
class Wish:
    """`only`: names of folders over there, all when empty. `bytes_per_s_max` spares the other server."""

    only: frozenset[str] = frozenset()
    dry_run: bool = False
    bytes_per_s_max: int = 8_000_000
    messages_per_s_max: int = 200


Progress = Callable[[int, int], None]
"""Called with (messages done, messages in all) as it goes."""


class Importing:
    """One run for one mailbox."""

    def __init__(self, source: Source, keeper: ImportStore, store: Store, lookup: Lookup, clock: Clock) -> None:
        self.source = source
        self.keeper = keeper
        self.store = store
        self.clock = clock
        self._lookup = lookup

    async def run(self, keys: OwnerKeys, wish: Wish, progress: Progress) -> Report:
        """Bring what is not here. Raises SourceTrouble, StorageUnavailable, NotFound: run again."""
        report = Report()
        work = []
        for folder, target in await self._plan(keys, wish, report):
            try:
                work.append((folder, target, await self.source.listing(folder)))
            except SourceDeclined as no:
                report.refused.append(Refusal(folder.name, "", str(no)))
        done, in_all = 0, sum(len(listed) for _, _, listed in work)
        progress(done, in_all)
        for folder, target, listed in work:
            tally = FolderTally(folder.name, target.name, len(listed))
            report.folders.append(tally)
            run = _FolderRun(self, keys, wish, report, folder, target, tally)
            async for count in run.bring(listed):
                done += count
                progress(done, in_all)
        return report

    async def _plan(self, keys: OwnerKeys, wish: Wish, report: Report) -> list[tuple[SourceFolder, Target]]:
        """The folders to bring, and where to."""
        found = await self.source.folders()
        rows = await self.store.read(lambda c: folders.list_folders(c, keys.owner))
        ours = {
            SpecialUse(row.special_use): keys.open_small(FOLDER_KIND, row.folder, row.name_sealed).decode()
            for row in rows
            if row.special_use
        }
        wanted = []
        for folder, target in foldermap.plan(found, ours).items():
            if wish.only and folder.name not in wish.only:
                continue
            if folder.is_virtual and not wish.only:
                report.refused.append(Refusal(folder.name, "", VIRTUAL))
                continue
            wanted.append((folder, target))
        for name in sorted(wish.only - {folder.name for folder in found}):
            report.refused.append(Refusal(name, "", "no such folder over there"))
        return wanted

    def content_of(self, source: bytes, raw: bytes) -> bytes:
        """The keyed hash of a message's bytes in a folder."""
        return self._lookup.of("imported", f"{source.hex()}|{hashlib.sha256(raw).hexdigest()}")

    def place_of(self, folder: SourceFolder, one: Listed) -> bytes:
        """The keyed hash of where a message lies over there."""
        return self._lookup.of("imported-place", f"{self.source.name}|{folder.key!r}|{one.place}")

    def source_of(self, keys: OwnerKeys, folder: SourceFolder) -> bytes:
        """The keyed hash of a folder over there, by its name: the same mailbox over IMAP and as a Maildir are one."""
        return self._lookup.of("imported-folder", f"{keys.owner}|{'|'.join(folder.levels)!r}")

    async def pace(self, wish: Wish, began_s: float, messages: int, size_bytes: int) -> None:
        """Wait as long as this much should have taken."""
        due_s = max(messages / wish.messages_per_s_max, size_bytes / wish.bytes_per_s_max)
        if (rest_s := due_s - (self.clock.monotonic_s() - began_s)) > 0:
            await asyncio.sleep(rest_s)


class _FolderRun:
    """One folder of one run."""

    def __init__(
        self,
        importing: Importing,
        keys: OwnerKeys,
        wish: Wish,
        report: Report,
        folder: SourceFolder,
        target: Target,
        tally: FolderTally,
    ) -> None:
        self._importing = importing
        self._keys = keys
        self._wish = wish
        self._report = report
        self._folder = folder
        self._target = target
        self._tally = tally
        self._source = importing.source_of(keys, folder)
        self._taken: set[tuple[bytes, int]] = set()
        self._standing: set[tuple[bytes, int]] = set()

    async def bring(self, listed: Sequence[Listed]) -> AsyncIterator[int]:
        """Yields how many messages were dealt with, as it goes."""
        fresh = await self._fresh(listed)
        yield len(listed) - len(fresh)
        if self._wish.dry_run:
            self._tally.brought = len(fresh)
            self._tally.size_bytes = sum(one.size_bytes for one in fresh)
            yield len(fresh)
            return
        batch = await self._importing.keeper.begin(self._keys, self._target, self._source)
        for start in range(0, len(fresh), AT_ONCE_MESSAGES):
            part = fresh[start : start + AT_ONCE_MESSAGES]
            began_s, before = self._importing.clock.monotonic_s(), self._tally.size_bytes
            async for count in self._part(batch, part):
                yield count
            await self._importing.pace(self._wish, began_s, len(part), self._tally.size_bytes - before)

    async def _fresh(self, listed: Sequence[Listed]) -> list[Listed]:
        """Those that do not stand here, as far as can be told without their bytes."""
        owner = self._keys.owner
        copies = await self._importing.store.read(lambda c: imported.of_folder(c, owner, self._source))
        box = await self._importing.store.read(lambda c: owners.mailbox(c, owner))
        by_place = {copy.place: copy for copy in copies}
        self._standing = {(copy.content, copy.nth) for copy in copies}
        room = box.quota_bytes - box.used_bytes if box is not None and box.quota_bytes else None
        fresh = []
        for one in listed:
            copy = by_place.get(self._importing.place_of(self._folder, one))
            if copy is not None:
                self._taken.add((copy.content, copy.nth))
                self._tally.stood += 1
            elif one.size_bytes > LIMITS.octets:
                self._refuse(one.place, TOO_LARGE)
            elif room is not None and one.size_bytes > room:
                self._refuse(one.place, OVER_QUOTA)
            else:
                if room is not None:
                    room -= one.size_bytes
                fresh.append(one)
        return fresh

    async def _part(self, batch: Batch, part: Sequence[Listed]) -> AsyncIterator[int]:
        places = {one.place: self._importing.place_of(self._folder, one) for one in part}
        waiting: list[Ready] = []
        size = 0
        async for found in self._importing.source.messages(self._folder, part):
            place = places.pop(found.place)
            if isinstance(found, Unread):
                self._refuse(found.place, found.why)
                yield 1
                continue
            copy = self._numbered(found.raw, place)
            if (copy.content, copy.nth) in self._standing:
                await batch.moved(copy)
                self._tally.stood += 1
                yield 1
                continue
            ready = await batch.ready(found, copy)
            if isinstance(ready, Unread):
                self._refuse(ready.place, ready.why)
                yield 1
                continue
            waiting.append(ready)
            size += len(found.raw)
            if len(waiting) >= COMMIT_MESSAGES_MAX or size >= COMMIT_BYTES_MAX:
                await self._commit(batch, waiting)
                yield len(waiting)
                waiting, size = [], 0
        await self._commit(batch, waiting)
        for place_there in places:
            self._refuse(place_there, GONE)
        yield len(waiting) + len(places)

    def _numbered(self, raw: bytes, place: bytes) -> Copy:
        """Which of equal messages this is: the first that no other of this run has been."""
        content, nth = self._importing.content_of(self._source, raw), 1
        while (content, nth) in self._taken:
            nth += 1
        self._taken.add((content, nth))
        return Copy(content, nth, place)

    async def _commit(self, batch: Batch, waiting: Sequence[Ready]) -> None:
        if not waiting:
            return
        kept, too_much = await batch.commit(waiting)
        self._tally.brought += len(kept)
        self._tally.stood += len(waiting) - len(kept) - len(too_much)  # another run was faster
        self._tally.size_bytes += sum(ready.row.size_bytes for ready in kept)
        for ready in too_much:
            self._refuse(ready.place, OVER_QUOTA)
        self._report.keywords_left += batch.keywords_left
        batch.keywords_left = 0

    def _refuse(self, place: str, why: str) -> None:
        self._report.refused.append(Refusal(self._folder.name, place, why))
