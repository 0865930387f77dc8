"""What flags have the messages of a folder, and to whom? Functions of a connection; the caller's transaction.

In a mailbox of several readers \\Seen is each reader's own (mss/store/seen.py) and everything else is everybody's.
Every question takes a `reader`; 0 is a mailbox of one, where \\Seen is a flag like others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import ColumnElement, Connection, Table, bindparam, select, update

from mss.model.mailbox import Flag
from mss.store import schema, seen, vanished
from mss.store.folders import E, add_unseen, touch
from mss.store.seen import Read
from mss.store.sql import Hot, own_parameters, owned_by, parts

State = tuple[int, int, int, int]
"""uid, modseq, flags, keyword bits."""

_STATES = select(E.c.uid, E.c.modseq, E.c.flags, E.c.kw).where(owned_by(E), E.c.folder == bindparam("which"))
_SNAPSHOT = _STATES.order_by(E.c.uid)
_CHANGED = _STATES.where(E.c.modseq > bindparam("since")).order_by(E.c.modseq, E.c.uid)
_SET_FLAGS = (
    update(E)
    .where(owned_by(E), E.c.folder == bindparam("which"), E.c.uid == bindparam("at_uid"))
    .values(flags=bindparam("new_flags"), kw=bindparam("new_kw"), modseq=bindparam("new_modseq"))
)


class Change(Protocol):
    """What somebody makes of a message's marks."""

    def apply(self, flags: int, kw: int) -> tuple[int, int]: ...


@dataclass(frozen=True, slots=True)
class FlagChange:
    """STORE: bits to add, to remove; `replace` first clears what is not added (FLAGS without + or -)."""

    add: int = 0
    remove: int = 0
    add_kw: int = 0
    remove_kw: int = 0
    replace: bool = False

    def apply(self, flags: int, kw: int) -> tuple[int, int]:
        if self.replace:
            return self.add, self.add_kw
        return (flags | self.add) & ~self.remove, (kw | self.add_kw) & ~self.remove_kw


def snapshot(connection: Connection, owner: int, folder: int, reader: int = 0) -> list[State]:
    """Every entry of a folder, by uid."""
    states = [tuple(row) for row in connection.execute(_SNAPSHOT, own_parameters(owner) | {"which": folder})]
    return _as_seen(states, seen.of_folder(connection, owner, folder, reader)) if reader else states


def changes_since(
    connection: Connection, owner: int, folder: int, modseq: int, reader: int = 0
) -> tuple[list[State], list[tuple[int, int]]] | None:
    """Entries that are new or changed after `modseq`, and ranges of uids that vanished after it; None when that is too
    long ago to be known."""
    gone = vanished.since(connection, owner, folder, modseq)
    if gone is None:
        return None
    parameters = own_parameters(owner) | {"which": folder, "since": modseq}
    changed = [tuple(row) for row in connection.execute(_CHANGED, parameters)]
    if reader:
        named = {uid for uid, _, _, _ in changed}
        read = seen.changed_since(connection, owner, folder, reader, modseq)
        changed += states_of(connection, owner, folder, [uid for uid in read if uid not in named])
        read |= seen.of_uids(connection, owner, folder, reader, sorted(named))
        changed = sorted(_as_seen(changed, read), key=lambda state: (state[1], state[0]))
    return changed, gone


def _first_after(table: Table, *of_reader: ColumnElement[bool]) -> Hot:
    here = (owned_by(table), table.c.folder == bindparam("which"), *of_reader)
    return Hot(
        select(table.c.modseq)
        .where(*here, table.c.modseq > bindparam("since"))
        .order_by(table.c.modseq)
        .limit(bindparam("most"))
    )


_LATER = (_first_after(E), _first_after(schema.vanished))
_READ_LATER = _first_after(schema.seen, schema.seen.c.account == bindparam("reader"))


def is_little(connection: Connection, owner: int, folder: int, modseq: int, most: int, reader: int = 0) -> bool:
    """Whether no more than so many rows tell what happened after `modseq`."""
    asked = own_parameters(owner) | {"which": folder, "since": modseq, "most": most + 1}
    found = sum(len(one.all(connection, asked)) for one in _LATER)
    if reader:
        found += len(_READ_LATER.all(connection, asked | {"reader": reader}))
    return found <= most


def _as_seen(states: Iterable[State], read: Read) -> list[State]:
    """The same with one reader's \\Seen."""
    told = []
    for state in states:
        if (own := read.get(state[0])) is not None:
            uid, changed_at, flags, kw = state
            modseq, is_seen = own
            state = (uid, max(changed_at, modseq), flags | Flag.SEEN if is_seen else flags & ~Flag.SEEN, kw)
        told.append(state)
    return told


def states_of(connection: Connection, owner: int, folder: int, uids: Iterable[int], reader: int = 0) -> list[State]:
    """Those of the named entries that exist, by uid."""
    wanted = sorted(set(uids))
    states: list[State] = []
    for part in parts(wanted):
        query = _STATES.where(E.c.uid.in_(part))
        states += [tuple(row) for row in connection.execute(query, own_parameters(owner) | {"which": folder})]
    return (
        _as_seen(sorted(states), seen.of_uids(connection, owner, folder, reader, wanted)) if reader else sorted(states)
    )


def unseen(connection: Connection, owner: int, folder: int, n_unseen: int, reader: int) -> int:
    """How many messages this reader has not read, where the folder counts `n_unseen`."""
    return n_unseen - seen.read_more(connection, owner, folder, reader) if reader else n_unseen


def change_flags(
    connection: Connection,
    owner: int,
    folder: int,
    uids: Iterable[int],
    change: Change,
    unchanged_since: int | None = None,
    reader: int = 0,
) -> tuple[list[State], list[int]]:
    """Change flags of entries. Returns their new states and the uids that UNCHANGEDSINCE kept back
    (RFC 7162 §3.1.3). Entries whose flags do not change keep their modseq."""
    modseq = touch(connection, owner, folder)
    wanted = sorted(set(uids))
    read = seen.of_uids(connection, owner, folder, reader, wanted) if reader else {}
    states: list[State] = []
    conflicts: list[int] = []
    marked: list[State] = []
    newly_read: dict[int, bool] = {}
    newly_seen = 0
    for kept in states_of(connection, owner, folder, wanted):
        ((uid, old_modseq, flags, kw),) = _as_seen([kept], read)
        if unchanged_since is not None and old_modseq > unchanged_since:
            conflicts.append(uid)
            continue
        new_flags, new_kw = change.apply(flags, kw)
        if (new_flags, new_kw) == (flags, kw):
            states.append((uid, old_modseq, flags, kw))
            continue
        states.append((uid, modseq, new_flags, new_kw))
        shared = new_flags
        if reader:
            if (new_flags ^ flags) & Flag.SEEN:
                newly_read[uid] = bool(new_flags & Flag.SEEN)
            shared = new_flags & ~Flag.SEEN | kept[2] & Flag.SEEN
        newly_seen += bool(shared & Flag.SEEN) - bool(kept[2] & Flag.SEEN)
        if (shared, new_kw) != kept[2:]:
            marked.append((uid, modseq, shared, new_kw))
    _write(connection, owner, folder, marked)
    if newly_read:
        seen.write(connection, owner, folder, reader, newly_read, read, modseq)
    if newly_seen:
        add_unseen(connection, owner, folder, -newly_seen)
    return states, conflicts


def _write(connection: Connection, owner: int, folder: int, states: Sequence[State]) -> None:
    if not states:
        return
    start = own_parameters(owner) | {"which": folder}
    rows = [
        start | {"at_uid": uid, "new_modseq": modseq, "new_flags": flags, "new_kw": kw}
        for uid, modseq, flags, kw in states
    ]
    connection.execute(_SET_FLAGS, rows)
