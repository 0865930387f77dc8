"""How do messages that clients bring become rows when many bring some at once? One statement for each table.

Only the plain case: a mailbox of one, no keywords, nothing that may have been filed already. Everything else is a
transaction of its own (mss/imap/mailacts.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from mss.imap.backend import Folder, FolderProblem, FolderRefused
from mss.imap.incoming import SealedMessage
from mss.model.clock import Clock, to_ms
from mss.model.errors import NotFound
from mss.store import audit, folders, messages, owners
from mss.store.folders import NewEntry
from mss.store.sql import Connection
from mss.store.writer import Together


def is_plain(folder: Folder, sealed: SealedMessage) -> bool:
    """Whether `Keep` may do it."""
    return not folder.box.reader and not sealed.flags.keywords and sealed.mark is None


@dataclass(frozen=True, slots=True)
class Keep(Together):
    """A message for a folder; its result is the uid it got. Raises FolderRefused, NotFound."""

    clock: Clock
    folder: Folder
    sealed: SealedMessage

    @property
    def owner(self) -> int:
        return self.folder.box.owner

    @classmethod
    def do_all(cls, connection: Connection, acts: Sequence[Self]) -> list[int]:
        sizes: dict[int, int] = {}
        places: dict[tuple[int, int], list[int]] = {}
        for index, act in enumerate(acts):
            sizes[act.owner] = sizes.get(act.owner, 0) + act.sealed.row.size_bytes
            places.setdefault((act.owner, act.folder.id), []).append(index)
        for owner, size in sorted(sizes.items()):  # rows are always locked in this order, mailboxes first
            _take_room(connection, owner, size)
        messages.insert_messages(connection, [(act.owner, act.sealed.row) for act in acts])
        uids = [0] * len(acts)
        now = acts[0].clock.now()
        for (owner, folder), indices in sorted(places.items()):
            entries = [_entry(acts[index].sealed) for index in indices]
            appended = folders.append_found(connection, owner, folder, entries, to_ms(now))
            if appended is None:
                raise NotFound("folder")
            for number, index in enumerate(indices):
                uids[index] = appended.first_uid + number
        audit.write(connection, [act._told() for act in acts])
        return uids

    def _told(self) -> audit.Act:
        """What an inspector reads of it."""
        box, row = self.folder.box, self.sealed.row
        actor = f"login:{box.account}"
        return audit.Act(self.clock.now(), actor, "imap.append", box.owner, row.message, row.message_id_hmac, "1")


def _take_room(connection: Connection, owner: int, size: int) -> None:
    """Room for everything of an owner. When there is not enough, the writer tries each alone."""
    room = owners.take_room(connection, owner, size)
    if room is None:
        raise NotFound("mailbox")
    quota_bytes, used_bytes = room
    if quota_bytes and used_bytes > quota_bytes:
        raise FolderRefused(FolderProblem.OVER_QUOTA)


def _entry(sealed: SealedMessage) -> NewEntry:
    row = sealed.row
    return NewEntry(row.message, sealed.flags.system, 0, sealed.internaldate_ms, row.size_bytes)
