"""What does a page of a folder need from its rows? Reads for whoever shows messages by the hundred.

Functions of a connection. A page is asked by uids; neighbours are read as a range, which both engines walk in key
order, scattered ones by number. What is gone is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, select
from sqlalchemy.exc import NoResultFound

from mss.store import schema
from mss.store.folders import Folder, one_folder
from mss.store.messages import SealedKey, StoredBody
from mss.store.sql import own_parameters, owned_by, parts

E = schema.entry
M = schema.message
K = schema.sealed_key
B = schema.blob

SPREAD_MAX = 4
"""A page is read as a range when its uids span at most so many numbers each."""


PageRow = tuple[int, int, int, int, int]
"""What lies in clear beside a message in a folder: uid, size, internaldate_ms, savedate_ms, message."""


@dataclass(frozen=True, slots=True)
class SealedSummary:
    """A row with its summary and the key that opens it."""

    row: PageRow
    message: int
    key: SealedKey
    summary_sealed: bytes


@dataclass(frozen=True, slots=True)
class SealedBody:
    """Where the body of a message in a folder lies, and the key that opens it."""

    uid: int
    message: int
    key: SealedKey
    body: StoredBody
    summary_sealed: bytes


_ENTRY_MESSAGE = and_(M.c.lane == E.c.lane, M.c.owner == E.c.owner, M.c.message == E.c.message)
_MESSAGE_KEY = and_(K.c.lane == M.c.lane, K.c.owner == M.c.owner, K.c.epoch == M.c.key_epoch)
_MESSAGE_BLOB = and_(B.c.lane == M.c.lane, B.c.owner == M.c.owner, B.c.blob == M.c.blob)
_CLEAR = (E.c.uid, M.c.size_bytes, E.c.internaldate_ms, E.c.savedate_ms, E.c.message)
_KEY = (M.c.key_epoch, K.c.scheme, K.c.key)
_HERE = and_(owned_by(E), E.c.folder == bindparam("which"))

_ROWS = select(*_CLEAR).select_from(E.join(M, _ENTRY_MESSAGE)).where(_HERE).order_by(E.c.uid)
_SUMMARIES = (
    select(*_CLEAR, *_KEY, M.c.summary_sealed)
    .select_from(E.join(M, _ENTRY_MESSAGE).outerjoin(K, _MESSAGE_KEY))
    .where(_HERE)
    .order_by(E.c.uid)
)
_BODIES = (
    select(E.c.uid, E.c.message, *_KEY, B.c.blob, B.c.size_bytes, B.c.place, B.c.inline, M.c.summary_sealed)
    .select_from(E.join(M, _ENTRY_MESSAGE).outerjoin(K, _MESSAGE_KEY).join(B, _MESSAGE_BLOB))
    .where(_HERE)
    .order_by(E.c.uid)
)
_BETWEEN = and_(E.c.uid >= bindparam("low"), E.c.uid <= bindparam("high"))
_AMONG = E.c.uid.in_(bindparam("uids", expanding=True))
_FORMS: dict[str, tuple[Select[Any], Select[Any]]] = {
    "rows": (_ROWS.where(_BETWEEN), _ROWS.where(_AMONG)),
    "summaries": (_SUMMARIES.where(_BETWEEN), _SUMMARIES.where(_AMONG)),
    "bodies": (_BODIES.where(_BETWEEN), _BODIES.where(_AMONG)),
}


def find_folder(connection: Connection, owner: int, folder: int) -> Folder | None:
    """A folder's row, or None when it is gone."""
    try:
        return one_folder(connection, owner, folder)
    except NoResultFound:
        return None


def rows(connection: Connection, owner: int, folder: int, uids: Sequence[int]) -> list[PageRow]:
    """By rising uid."""
    return [tuple(row) for row in _ask(connection, "rows", owner, folder, uids)]


def summaries(connection: Connection, owner: int, folder: int, uids: Sequence[int]) -> list[SealedSummary]:
    """By rising uid."""
    return [_summary(row) for row in _ask(connection, "summaries", owner, folder, uids)]


def _summary(row: Sequence[Any]) -> SealedSummary:
    uid, size, internal, saved, message, epoch, scheme, key, summary = row
    return SealedSummary((uid, size, internal, saved, message), message, _key(epoch, scheme, key), summary)


_AFTER = _SUMMARIES.where(E.c.uid > bindparam("after")).limit(bindparam("most"))


def summaries_after(connection: Connection, owner: int, folder: int, uid: int, most: int) -> list[SealedSummary]:
    """The next messages after a uid, by rising uid."""
    asked = own_parameters(owner) | {"which": folder, "after": uid, "most": most}
    return [_summary(row) for row in connection.execute(_AFTER, asked)]


def bodies(connection: Connection, owner: int, folder: int, uids: Sequence[int]) -> list[SealedBody]:
    """By rising uid; bodies that lie in their row come along."""
    return [
        SealedBody(uid, message, _key(epoch, scheme, key), StoredBody(blob, size, place, inline), summary)
        for uid, message, epoch, scheme, key, blob, size, place, inline, summary in _ask(
            connection, "bodies", owner, folder, uids
        )
    ]


def _key(epoch: int, scheme: int | None, key: bytes | None) -> SealedKey:
    return SealedKey(epoch, scheme or 0, key or b"")


def _ask(connection: Connection, what: str, owner: int, folder: int, uids: Sequence[int]) -> Iterator[Any]:
    """`uids` must rise."""
    if not uids:
        return
    in_range, by_number = _FORMS[what]
    parameters = own_parameters(owner) | {"which": folder}
    if uids[-1] - uids[0] < SPREAD_MAX * len(uids):
        wanted = set(uids)
        span = {"low": uids[0], "high": uids[-1]}
        yield from (row for row in connection.execute(in_range, parameters | span) if row[0] in wanted)
        return
    for part in parts(uids):
        yield from connection.execute(by_number, parameters | {"uids": list(part)})
