"""Which folders does somebody look at, and what do they hold now? One reading for all the sessions of a folder.

A change wakes every session of the folder; the first that asks reads the store, the others share what it found.
Folders that nobody looks at any more are remembered for a while, so that opening one again reads only what changed.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from mss.imap.backend import Folder, MailStore
from mss.imap.snapshot import Snapshot
from mss.model.ids import OwnerId

Key = tuple[int, int, int]
"""Owner, folder, and whose \\Seen it is in a team's mailbox (0: everybody's)."""
REMEMBERED_MESSAGES_MAX = 1_000_000
"""Messages in remembered folders, all together: sixteen octets each."""
REMEMBERED_FOLDERS_MAX = 1024


NOTHING_YET = Snapshot.of(0, 1, 0, (), ())
"""Before the first reading."""


class OpenFolder:
    """A folder that somebody has selected. What is known is stale from a hint until a reading that began after it
    has ended: whoever is woken meanwhile waits for that reading.

    Whoever reads does so in their own name (`as_seen`): opening names of keywords is written into the audit.
    """

    def __init__(self, store: MailStore, key: Key) -> None:
        self.key = key
        self.snapshot = NOTHING_YET
        self.sessions = 0
        self._hints = 0
        self._hints_read = 0
        self.watchers: set[Callable[[], None]] = set()
        self.recent_from = 0
        self._store = store
        self._lock = asyncio.Lock()
        self._asked = 0
        self._answered = 0

    async def refresh(self, as_seen: Folder) -> Snapshot:
        """The state of the folder now; a reading that began before this call is not enough. Raises NotFound."""
        self._asked += 1
        wanted = self._asked
        async with self._lock:
            if self._answered < wanted:
                asked = self._asked  # whoever has asked so far is served by this reading
                await self._read(as_seen)
                self._answered = asked
        return self.snapshot

    async def current(self, as_seen: Folder) -> Snapshot:
        """The state, read again only when something is known to have changed."""
        return await self.refresh(as_seen) if self._hints_read < self._hints else self.snapshot

    def claim_recent(self, snapshot: Snapshot, *, keeps: bool = True) -> tuple[int, int]:
        """Uids of which no session has been told yet: the first that asks gets them (RFC 3501 §2.3.2), to keep or, by
        EXAMINE, to look at."""
        claimed = (self.recent_from, max(self.recent_from, snapshot.uidnext))
        if keeps:
            self.recent_from = claimed[1]
        return claimed

    def wake(self) -> None:
        """Something changed: tell the sessions that wait."""
        self._hints += 1
        for watcher in list(self.watchers):
            watcher()

    async def _read(self, as_seen: Folder) -> None:
        hints, known = self._hints, self.snapshot
        changes = None if known is NOTHING_YET else await self._store.changes(as_seen, known.modseq)
        self.snapshot = await self._store.snapshot(as_seen) if changes is None else known.after(changes)
        if known is NOTHING_YET:
            self.recent_from = as_seen.recent_uid
        self._hints_read = hints


class Hub:
    """All open folders of this process."""

    def __init__(self, store: MailStore) -> None:
        self._store = store
        self._open: OrderedDict[Key, OpenFolder] = OrderedDict()
        self._of_owner: dict[int, set[OpenFolder]] = {}
        self._ends: dict[int, Callable[[], None]] = {}

    async def open(self, folder: Folder) -> OpenFolder:
        """Begin to look at a folder; its state is fresh. End with `release`. Raises NotFound."""
        key = _key(folder)
        self._watch(folder.box.owner)  # before reading, so that no change falls between
        opened = self._open.get(key)
        if opened is None:
            opened = self._keep(OpenFolder(self._store, key))
        opened.sessions += 1
        try:
            await opened.refresh(folder)
        except BaseException:
            opened.sessions -= 1
            if not opened.sessions:
                self._drop(opened)
            raise
        self._open.move_to_end(key)
        return opened

    def recent_from(self, folder: Folder) -> int:
        """From which uid on no client has been told of a message."""
        opened = self._open.get(_key(folder))
        return max(folder.recent_uid, opened.recent_from if opened else 0)

    def release(self, opened: OpenFolder, watcher: Callable[[], None]) -> None:
        """A session looks away."""
        opened.watchers.discard(watcher)
        opened.sessions -= 1
        if not opened.sessions:
            self._trim()

    def forget(self, folder: Folder) -> None:
        """A folder was deleted: whoever still looks at it finds that out by reading."""
        for opened in [one for one in self._of_owner.get(folder.box.owner, ()) if one.key[1] == folder.id]:
            opened.wake()
            if not opened.sessions:
                self._drop(opened)

    def _keep(self, opened: OpenFolder) -> OpenFolder:
        self._open[opened.key] = opened
        self._of_owner.setdefault(opened.key[0], set()).add(opened)
        return opened

    def _drop(self, opened: OpenFolder) -> None:
        owner = opened.key[0]
        del self._open[opened.key]
        self._of_owner[owner].discard(opened)
        if not self._of_owner[owner]:
            del self._of_owner[owner]
            self._ends.pop(owner)()

    def _watch(self, owner: int) -> None:
        if owner in self._ends:
            return

        def changed(which: int) -> None:
            for opened in list(self._of_owner.get(owner, ())):
                if which in (0, opened.key[1]):
                    opened.wake()

        self._ends[owner] = self._store.watch(OwnerId(owner), changed)

    def _trim(self) -> None:
        """Forget what nobody has looked at for longest, when it is too much."""
        total = sum(len(opened.snapshot) for opened in self._open.values())
        for opened in [opened for opened in self._open.values() if not opened.sessions]:
            if len(self._open) <= REMEMBERED_FOLDERS_MAX and total <= REMEMBERED_MESSAGES_MAX:
                break
            total -= len(opened.snapshot)
            self._drop(opened)


def _key(folder: Folder) -> Key:
    return folder.box.owner, folder.id, folder.box.reader
