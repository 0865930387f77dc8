"""Which sealed sheets does a folder have? Many messages behind one seal, for lists and searches.

A sheet is a copy of what its messages say, made by who may open them, for speed alone: without it the messages are
opened one by one. So it goes with the first of its messages that leaves the folder, in the same transaction, and
another is made when somebody looks again. Functions of a connection; the caller's transaction.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from sqlalchemy import Connection, and_, bindparam, delete, insert, select

from mss.store import owners, schema, sheetschema
from mss.store.sql import Hot, own, own_parameters, owned_by, parts

E = schema.entry
S = sheetschema.sheet


class SheetKind(IntEnum):
    """What a sheet holds."""

    LIST = 0
    """Summaries (mss/formats/sheet.py)."""
    TEXT = 1
    """Folded texts (mss/formats/textsheet.py)."""


@dataclass(frozen=True, slots=True)
class SealedSheet:
    """A sheet as kept: `number` names its place, and is never used again."""

    first_uid: int
    last_uid: int
    number: int
    sealed: bytes


_HERE = and_(owned_by(S), S.c.folder == bindparam("which"), S.c.kind == bindparam("of_kind"))
_OVER = Hot(
    select(S.c.first_uid, S.c.last_uid, S.c.number, S.c.sealed)
    .where(_HERE, S.c.last_uid >= bindparam("low"), S.c.first_uid <= bindparam("high"))
    .order_by(S.c.first_uid)
    .limit(bindparam("most"))
)
_RANGES = Hot(select(S.c.first_uid, S.c.last_uid).where(_HERE).order_by(S.c.first_uid))


def overlapping(
    connection: Connection, owner: int, folder: int, kind: SheetKind, uids: tuple[int, int], most: int
) -> list[SealedSheet]:
    """The first sheets, `most` of them, that hold uids from `uids[0]` to `uids[1]`."""
    low, high = uids
    asked = own_parameters(owner) | {"which": folder, "of_kind": int(kind), "low": low, "high": high, "most": most}
    return [SealedSheet(*row) for row in _OVER.all(connection, asked)]


def ranges(connection: Connection, owner: int, folder: int, kind: SheetKind) -> list[tuple[int, int]]:
    """First and last uid of every sheet of a folder."""
    rows = _RANGES.all(connection, own_parameters(owner) | {"which": folder, "of_kind": int(kind)})
    return [(first, last) for first, last in rows]


_LAST = Hot(select(S.c.last_uid).where(_HERE).order_by(S.c.first_uid.desc()).limit(1))


def last_uid(connection: Connection, owner: int, folder: int, kind: SheetKind) -> int:
    """The last uid that any sheet of a folder holds; 0 without one."""
    row = _LAST.of(connection, own_parameters(owner) | {"which": folder, "of_kind": int(kind)})
    return int(row[0]) if row else 0


def keep(
    connection: Connection, owner: int, folder: int, kind: SheetKind, dates_ms: Mapping[int, int], sheet: SealedSheet
) -> bool:
    """Keep a sheet of messages, given as uid and internal date, unless one of them has left or got another date
    meanwhile; then False. The mailbox is held, as by who removes messages: neither overlooks the other."""
    owners.lock(connection, owner)
    there: dict[int, int] = {}
    for part in parts(list(dates_ms)):
        query = select(E.c.uid, E.c.internaldate_ms).where(owned_by(E), E.c.folder == folder, E.c.uid.in_(part))
        there |= {row.uid: row.internaldate_ms for row in connection.execute(query, own_parameters(owner))}
    if there != dates_ms:
        return False
    same = and_(owned_by(S), S.c.folder == folder, S.c.kind == int(kind), S.c.first_uid == sheet.first_uid)
    connection.execute(delete(S).where(same), own_parameters(owner))
    row = own(owner) | {"folder": folder, "kind": int(kind), "first_uid": sheet.first_uid, "last_uid": sheet.last_uid}
    connection.execute(insert(S), {**row, "number": sheet.number, "sealed": sheet.sealed})
    return True


_OF_FOLDER = Hot(
    select(S.c.kind, S.c.first_uid, S.c.last_uid).where(
        owned_by(S),
        S.c.folder == bindparam("which"),
        S.c.last_uid >= bindparam("low"),
        S.c.first_uid <= bindparam("high"),
    )
)
_DROP = Hot(
    delete(S).where(
        owned_by(S),
        S.c.folder == bindparam("which"),
        S.c.kind == bindparam("of_kind"),
        S.c.first_uid == bindparam("first"),
    )
)


def forget(connection: Connection, owner: int, folder: int, uids: Sequence[int]) -> None:
    """Messages (rising) leave the folder: so does every sheet that may hold one of them."""
    at = own_parameters(owner) | {"which": folder}
    found = _OF_FOLDER.all(connection, at | {"low": uids[0], "high": uids[-1]})
    hit = [(kind, first) for kind, first, last in found if _is_between(uids, first, last)]
    _DROP.each(connection, [at | {"of_kind": kind, "first": first} for kind, first in hit])


def _is_between(uids: Sequence[int], first: int, last: int) -> bool:
    at = bisect_left(uids, first)
    return at < len(uids) and uids[at] <= last
