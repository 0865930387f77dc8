"""Who has read what, in a mailbox of several readers? Each reader's own \\Seen. Functions of a connection.

A row says what one reader made of one message; without a row the flag of the entry holds, which in such a mailbox
says only that a message was no news to anybody when it came (one's own sent mail). A row carries the modseq of its
change, so that each reader's mail clients resume on what concerns them (RFC 7162). Copies keep what each has read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, delete, func, insert, literal, select, update

from mss.model.mailbox import Flag
from mss.store import schema
from mss.store.sql import own, own_parameters, owned_by, parts

S = schema.seen
E = schema.entry

Read = dict[int, tuple[int, bool]]
"""By uid: modseq, whether it was read."""

_OF_READER = and_(owned_by(S), S.c.folder == bindparam("which"), S.c.account == bindparam("reader"))
_COLUMNS = (S.c.uid, S.c.modseq, S.c.is_seen)
_ALL = select(*_COLUMNS).where(_OF_READER)
_CHANGED = select(*_COLUMNS).where(_OF_READER, S.c.modseq > bindparam("since"))
_SAME_ENTRY = and_(E.c.lane == S.c.lane, E.c.owner == S.c.owner, E.c.folder == S.c.folder, E.c.uid == S.c.uid)
_WAS_SEEN = E.c.flags.bitwise_and(Flag.SEEN) != 0
_DIFFERENCE = (
    select(
        func.coalesce(
            func.sum(case((and_(S.c.is_seen, ~_WAS_SEEN), 1), (and_(~S.c.is_seen, _WAS_SEEN), -1), else_=0)), 0
        )
    )
    .select_from(S.join(E, _SAME_ENTRY))
    .where(_OF_READER)
)
_SET = (
    update(S)
    .where(_OF_READER, S.c.uid == bindparam("at_uid"))
    .values(modseq=bindparam("new_modseq"), is_seen=bindparam("new_seen"))
)


def _here(owner: int, folder: int, reader: int) -> dict[str, int]:
    return own_parameters(owner) | {"which": folder, "reader": reader}


def of_folder(connection: Connection, owner: int, folder: int, reader: int) -> Read:
    return _read(connection.execute(_ALL, _here(owner, folder, reader)))


def of_uids(connection: Connection, owner: int, folder: int, reader: int, uids: Sequence[int]) -> Read:
    found: Read = {}
    for part in parts(uids):
        found |= _read(connection.execute(_ALL.where(S.c.uid.in_(part)), _here(owner, folder, reader)))
    return found


def changed_since(connection: Connection, owner: int, folder: int, reader: int, modseq: int) -> Read:
    return _read(connection.execute(_CHANGED, _here(owner, folder, reader) | {"since": modseq}))


def _read(rows: Iterable[Sequence[Any]]) -> Read:
    return {uid: (modseq, bool(is_seen)) for uid, modseq, is_seen in rows}


def read_more(connection: Connection, owner: int, folder: int, reader: int) -> int:
    """How many more messages this reader has read than the flags of the entries say."""
    return int(connection.execute(_DIFFERENCE, _here(owner, folder, reader)).scalar_one())


def write(
    connection: Connection, owner: int, folder: int, reader: int, wanted: Mapping[int, bool], known: Read, modseq: int
) -> None:
    """Put down what a reader made of messages; `known`: the rows that stand for them."""
    start = _here(owner, folder, reader)
    changed = [
        start | {"at_uid": uid, "new_modseq": modseq, "new_seen": is_seen}
        for uid, is_seen in wanted.items()
        if uid in known
    ]
    new = [
        own(owner) | {"folder": folder, "account": reader, "uid": uid, "modseq": modseq, "is_seen": is_seen}
        for uid, is_seen in wanted.items()
        if uid not in known
    ]
    if changed:
        connection.execute(_SET, changed)
    if new:
        connection.execute(insert(S), new)


def copy(
    connection: Connection, owner: int, source: int, target: int, pairs: Sequence[tuple[int, int]], modseq: int
) -> None:
    """What everybody has read of messages holds for their copies."""
    copies = dict(pairs)
    start = own(owner) | {"folder": target, "modseq": modseq}
    everybody = _of_everybody(connection, owner, source)
    for part in parts(list(copies)):
        query = select(S.c.account, S.c.uid, S.c.is_seen).where(everybody, S.c.uid.in_(part))
        rows = [
            start | {"account": account, "uid": copies[uid], "is_seen": is_seen}
            for account, uid, is_seen in connection.execute(query, own_parameters(owner))
        ]
        if rows:
            connection.execute(insert(S), rows)


def forget(connection: Connection, owner: int, folder: int, uids: Sequence[int]) -> None:
    """These messages are gone from the folder."""
    everybody = _of_everybody(connection, owner, folder)
    for part in parts(uids):
        connection.execute(delete(S).where(everybody, S.c.uid.in_(part)), own_parameters(owner))


def _of_everybody(connection: Connection, owner: int, folder: int) -> ColumnElement[bool]:
    """A folder's rows of all readers, named, since the key runs reader by reader."""
    m = schema.member
    members = connection.execute(select(m.c.account).where(owned_by(m)), own_parameters(owner)).scalars()
    return and_(owned_by(S), S.c.folder == folder, S.c.account.in_([owner, *members]))


def begin(connection: Connection, owner: int, folder: int, reader: int, modseq: int) -> None:
    """A new reader starts with what somebody has read being read: ten years of a team's mail are no news."""
    others = and_(owned_by(S), S.c.folder == bindparam("which"), S.c.account != bindparam("reader"), S.c.is_seen)
    read = (
        select(S.c.lane, S.c.owner, S.c.folder, literal(reader), S.c.uid, literal(modseq), literal(True))
        .where(others)
        .distinct()
    )
    names = ["lane", "owner", "folder", "account", "uid", "modseq", "is_seen"]
    connection.execute(insert(S).from_select(names, read), _here(owner, folder, reader))


def end(connection: Connection, owner: int, reader: int) -> None:
    """This reader has left."""
    connection.execute(delete(S).where(owned_by(S), S.c.account == reader), own_parameters(owner))
