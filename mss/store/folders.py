"""Folders and their entries: what IMAP numbers. Functions of a connection; the caller's transaction.

UID and MODSEQ are taken by one UPDATE … RETURNING inside the delivering transaction, whose row lock holds to the
commit, so no reader sees a higher number before a lower one. A batch takes all its UIDs at once. Expunge deletes
the entry and writes `vanished` in one transaction, and DELETE … RETURNING decides who expunged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import NoResultFound

from mss.model.mailbox import Flag
from mss.store import schema, seen, sheets, subscriptions, vanished
from mss.store.sql import Hot, own, own_parameters, owned_by, parts

F = schema.folder
E = schema.entry


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder's row. The name is sealed; who may open it reads it."""

    folder: int
    name_sealed: bytes
    special_use: str
    uidvalidity: int
    uidnext: int
    highestmodseq: int
    n_msg: int
    n_unseen: int
    size_bytes: int
    subscribed: bool
    recent_uid: int
    resumed_modseq: int


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A message about to get a number in a folder."""

    message: int
    flags: int
    kw: int
    internaldate_ms: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Appended:
    """Numbers that entries got: `first_uid` and following, one modseq."""

    folder: int
    uidvalidity: int
    first_uid: int
    count: int
    modseq: int


_FOLDER_COLUMNS = (
    F.c.folder,
    F.c.name_sealed,
    F.c.special_use,
    F.c.uidvalidity,
    F.c.uidnext,
    F.c.highestmodseq,
    F.c.n_msg,
    F.c.n_unseen,
    F.c.bytes,
    F.c.subscribed,
    F.c.recent_uid,
    F.c.resumed_modseq,
)
_LIST = select(*_FOLDER_COLUMNS).where(owned_by(F)).order_by(F.c.folder)
_ONE = Hot(select(*_FOLDER_COLUMNS).where(owned_by(F), F.c.folder == bindparam("which")))
_BY_NAME = Hot(select(*_FOLDER_COLUMNS).where(owned_by(F), F.c.name_hmac == bindparam("which")))
_BY_USE = Hot(select(*_FOLDER_COLUMNS).where(owned_by(F), F.c.special_use == bindparam("which")).limit(1))


def _folder(row: Sequence[Any]) -> Folder:
    counted: Any = row[:-3]
    subscribed, recent_uid, resumed_modseq = row[-3:]
    fields = (*counted, bool(subscribed), recent_uid, resumed_modseq)
    return Folder(*fields)


def create_folder(
    connection: Connection,
    owner: int,
    folder: int,
    name_sealed: bytes,
    name_hmac: bytes,
    special_use: str = "",
    *,
    subscribed: bool = True,
) -> Folder:
    """A new, empty folder. UIDVALIDITY comes from the mailbox's counter, which began at its making (RFC 9051
    §2.3.1.1), never from the clock: a name that is deleted and made again gets another one; but it is still subscribed.
    Raises IntegrityError when the name exists."""
    m = schema.mailbox
    taken = connection.execute(
        update(m).where(owned_by(m)).values(next_uidvalidity=m.c.next_uidvalidity + 1).returning(m.c.next_uidvalidity),
        own_parameters(owner),
    ).scalar_one()
    row = own(owner) | {"folder": folder, "name_sealed": name_sealed, "name_hmac": name_hmac}
    subscribed = subscriptions.drop(connection, owner, name_hmac) or subscribed
    row |= {"special_use": special_use, "uidvalidity": taken - 1, "subscribed": subscribed}
    connection.execute(insert(F), row)
    return one_folder(connection, owner, folder)


def list_folders(connection: Connection, owner: int) -> list[Folder]:
    return [_folder(row) for row in connection.execute(_LIST, own_parameters(owner))]


def one_folder(connection: Connection, owner: int, folder: int) -> Folder:
    """Raises NoResultFound."""
    row = _ONE.of(connection, own_parameters(owner) | {"which": folder})
    if row is None:
        raise NoResultFound("folder")
    return _folder(row)


def folder_by_name(connection: Connection, owner: int, name_hmac: bytes) -> Folder | None:
    row = _BY_NAME.of(connection, own_parameters(owner) | {"which": name_hmac})
    return _folder(row) if row else None


def folder_by_use(connection: Connection, owner: int, special_use: str) -> Folder | None:
    row = _BY_USE.of(connection, own_parameters(owner) | {"which": special_use})
    return _folder(row) if row else None


def rename_folder(connection: Connection, owner: int, folder: int, name_sealed: bytes, name_hmac: bytes) -> None:
    """Raises IntegrityError when the new name exists."""
    subscriptions.drop(connection, owner, name_hmac)
    change = update(F).where(owned_by(F), F.c.folder == folder)
    connection.execute(change.values(name_sealed=name_sealed, name_hmac=name_hmac), own_parameters(owner))


def subscribe(connection: Connection, owner: int, folder: int, member: int = 0, *, subscribed: bool) -> None:
    """For all who open the mailbox, or for one member of a team."""
    if member:
        subscriptions.say(connection, owner, member, folder, subscribed=subscribed)
        return
    change = update(F).where(owned_by(F), F.c.folder == folder).values(subscribed=subscribed)
    connection.execute(change, own_parameters(owner))


def delete_folder(connection: Connection, owner: int, folder: int) -> None:
    """The folder, its entries and their traces; a subscribed name stays so. Messages that stand in no other folder are
    for housekeeping."""
    query = select(F.c.name_sealed, F.c.name_hmac).where(owned_by(F), F.c.folder == folder, F.c.subscribed)
    if (name := connection.execute(query, own_parameters(owner)).one_or_none()) is not None:
        subscriptions.keep(connection, owner, folder, *name)
    tables = (schema.entry, schema.seen, schema.vanished, schema.keyword, schema.member_subscription, sheets.S, F)
    for table in tables:
        connection.execute(delete(table).where(owned_by(table), table.c.folder == folder), own_parameters(owner))


_GROW = (
    update(F)
    .where(owned_by(F))
    .values(
        uidnext=F.c.uidnext + bindparam("d_count"),
        highestmodseq=F.c.highestmodseq + 1,
        n_msg=F.c.n_msg + bindparam("d_count"),
        n_unseen=F.c.n_unseen + bindparam("d_unseen"),
        bytes=F.c.bytes + bindparam("d_bytes"),
    )
    .returning(F.c.folder, F.c.uidnext, F.c.highestmodseq, F.c.uidvalidity)
)
_ADVANCE = Hot(_GROW.where(F.c.folder == bindparam("which")))
_ADVANCE_BY_USE = Hot(_GROW.where(F.c.special_use == bindparam("use")))
_INSERT_ENTRY = Hot(
    insert(E),
    ("lane", "owner", "folder", "modseq", "savedate_ms", "uid", "message", "flags", "kw", "internaldate_ms"),
)


def append_entries(
    connection: Connection, owner: int, folder: int, entries: Sequence[NewEntry], savedate_ms: int
) -> Appended:
    """Number messages in a folder, all at once. Raises NoResultFound when the folder is gone."""
    appended = append_found(connection, owner, folder, entries, savedate_ms)
    if appended is None:
        raise NoResultFound("folder")
    return appended


def append_found(
    connection: Connection, owner: int, folder: int, entries: Sequence[NewEntry], savedate_ms: int
) -> Appended | None:
    """The same; None when the folder is gone."""
    change = own_parameters(owner) | {"which": folder} | _growth(entries)
    row = _ADVANCE.of(connection, change)
    if row is None:
        return None
    _, uidnext, modseq, uidvalidity = row
    first = uidnext - len(entries)
    _INSERT_ENTRY.each(connection, _entry_rows(owner, folder, entries, first, modseq, savedate_ms))
    return Appended(folder, uidvalidity, first, len(entries), modseq)


def append_by_use(
    connection: Connection, wanted: Mapping[tuple[int, str], Sequence[NewEntry]], savedate_ms: int
) -> None:
    """Number messages in the folders of several owners, named by (owner, special use). Raises NoResultFound."""
    rows: list[dict[str, int]] = []
    for (owner, use), entries in sorted(wanted.items()):  # rows are always locked in this order
        change = own_parameters(owner) | {"use": str(use)} | _growth(entries)
        folder, uidnext, modseq, _ = _advanced(_ADVANCE_BY_USE.of(connection, change))
        rows += _entry_rows(owner, folder, entries, uidnext - len(entries), modseq, savedate_ms)
    _INSERT_ENTRY.each(connection, rows)


def _advanced(row: Sequence[Any] | None) -> Sequence[Any]:
    if row is None:
        raise NoResultFound("folder")
    return row


def _growth(entries: Sequence[NewEntry]) -> dict[str, int]:
    unseen = sum(1 for e in entries if not e.flags & Flag.SEEN)
    return {"d_count": len(entries), "d_unseen": unseen, "d_bytes": sum(e.size_bytes for e in entries)}


def _entry_rows(
    owner: int, folder: int, entries: Sequence[NewEntry], first: int, modseq: int, savedate_ms: int
) -> list[dict[str, int]]:
    start = own(owner) | {"folder": folder, "modseq": modseq, "savedate_ms": savedate_ms}
    return [
        start
        | {
            "uid": first + i,
            "message": e.message,
            "flags": e.flags,
            "kw": e.kw,
            "internaldate_ms": e.internaldate_ms,
        }
        for i, e in enumerate(entries)
    ]


_TOUCH = (
    update(F)
    .where(owned_by(F), F.c.folder == bindparam("which"))
    .values(highestmodseq=F.c.highestmodseq + 1)
    .returning(F.c.highestmodseq)
)


def touch(connection: Connection, owner: int, folder: int) -> int:
    """The next modseq of a folder; its row is held to the end of the transaction. Raises NoResultFound."""
    return int(connection.execute(_TOUCH, own_parameters(owner) | {"which": folder}).scalar_one())


_BUMP_COUNTS = (
    update(F)
    .where(owned_by(F), F.c.folder == bindparam("which"))
    .values(
        n_msg=F.c.n_msg - bindparam("d_count"),
        n_unseen=F.c.n_unseen - bindparam("d_unseen"),
        bytes=F.c.bytes - bindparam("d_bytes"),
    )
)


def add_unseen(connection: Connection, owner: int, folder: int, count: int) -> None:
    """So many more messages of the folder are unseen."""
    counts = {"d_count": 0, "d_unseen": -count, "d_bytes": 0}
    connection.execute(_BUMP_COUNTS, own_parameters(owner) | {"which": folder} | counts)


def entries_of(connection: Connection, owner: int, folder: int, uids: Sequence[int]) -> list[tuple[int, NewEntry]]:
    """(uid, entry as it could be appended elsewhere) of those uids that exist, by uid: for COPY and MOVE."""
    found = []
    m = schema.message
    for part in parts(uids):
        query = (
            select(E.c.uid, E.c.message, E.c.flags, E.c.kw, E.c.internaldate_ms, m.c.size_bytes)
            .join(m, and_(m.c.lane == E.c.lane, m.c.owner == E.c.owner, m.c.message == E.c.message))
            .where(owned_by(E), E.c.folder == folder, E.c.uid.in_(part))
            .order_by(E.c.uid)
        )
        found += [(uid, NewEntry(*rest)) for uid, *rest in connection.execute(query, own_parameters(owner))]
    return found


def expunge(
    connection: Connection, owner: int, folder: int, uids: Iterable[int], now_ms: int, *, only_deleted: bool
) -> list[int]:
    """Remove entries (only those with \\Deleted, or all named). Returns the uids that this call removed."""
    parameters = own_parameters(owner) | {"which": folder}
    modseq = touch(connection, owner, folder)
    gone: list[tuple[int, int, int]] = []
    for part in parts(sorted(set(uids))):
        condition = [owned_by(E), E.c.folder == folder, E.c.uid.in_(part)]
        if only_deleted:
            condition.append(E.c.flags.bitwise_and(Flag.DELETED) != 0)
        removal = delete(E).where(*condition).returning(E.c.uid, E.c.flags, E.c.message)
        gone += [tuple(row) for row in connection.execute(removal, own_parameters(owner))]
    if not gone:
        return []
    removed = sorted(uid for uid, _, _ in gone)
    vanished.write(connection, owner, folder, modseq, removed, now_ms)
    seen.forget(connection, owner, folder, removed)
    sheets.forget(connection, owner, folder, removed)
    unseen = sum(1 for _, flags, _ in gone if not flags & Flag.SEEN)
    size = _sizes(connection, owner, [message for _, _, message in gone])
    counts = {"d_count": len(gone), "d_unseen": unseen, "d_bytes": size}
    connection.execute(_BUMP_COUNTS, parameters | counts)
    return removed


_UID_OF = select(E.c.uid).where(owned_by(E), E.c.message == bindparam("which"), E.c.folder == bindparam("within"))


def uid_of(connection: Connection, owner: int, folder: int, message: int) -> int:
    """Where a message stands in a folder, the first time; 0 when it does not."""
    parameters = own_parameters(owner) | {"which": message, "within": folder}
    return connection.execute(_UID_OF.order_by(E.c.uid).limit(1), parameters).scalar_one_or_none() or 0


def set_date(connection: Connection, owner: int, folder: int, uid: int, internaldate_ms: int) -> None:
    """Another INTERNALDATE for an entry."""
    change = update(E).where(owned_by(E), E.c.folder == folder, E.c.uid == uid).values(internaldate_ms=internaldate_ms)
    connection.execute(change, own_parameters(owner))
    sheets.forget(connection, owner, folder, [uid])


def messages_of(connection: Connection, owner: int, folder: int) -> list[int]:
    """What stands in a folder."""
    query = select(E.c.message).where(owned_by(E), E.c.folder == folder).distinct()
    return [row.message for row in connection.execute(query, own_parameters(owner))]


def homeless_bytes(connection: Connection, owner: int, messages: Iterable[int]) -> int:
    """How much those of some messages hold that stand in no folder any more: the quota has room for it again."""
    m = schema.message
    elsewhere = select(E.c.uid).where(E.c.lane == m.c.lane, E.c.owner == m.c.owner, E.c.message == m.c.message)
    total = 0
    for part in parts(sorted(set(messages))):
        query = select(func.coalesce(func.sum(m.c.size_bytes), 0)).where(
            owned_by(m), m.c.message.in_(part), ~elsewhere.exists()
        )
        total += int(connection.execute(query, own_parameters(owner)).scalar_one())
    return total


def _sizes(connection: Connection, owner: int, messages: list[int]) -> int:
    m = schema.message
    total = 0
    for part in parts(messages):
        query = select(func.coalesce(func.sum(m.c.size_bytes), 0)).where(owned_by(m), m.c.message.in_(part))
        total += int(connection.execute(query, own_parameters(owner)).scalar_one())
    return total
