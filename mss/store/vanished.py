"""Which uids have left a folder, and since when? What a client that comes back is told (QRESYNC, RFC 7162).

Ranges are written in the transaction that removes their entries. They are kept for `VANISHED_KEPT_MS`; what is
older is forgotten when something else vanishes, and the folder remembers up to which modseq it has forgotten.
Functions of a connection; the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from mss.store import schema
from mss.store.sql import own, own_parameters, owned_by

F = schema.folder
V = schema.vanished

VANISHED_KEPT_MS = 180 * 24 * 3600 * 1000
"""Half a year: a client that stays away for longer compares all uids once (RFC 7162 §5.3 leaves this to us)."""

_HERE = (owned_by(V), V.c.folder == bindparam("which"))
_SINCE = select(V.c.uid_lo, V.c.uid_hi).where(*_HERE, V.c.modseq > bindparam("since"))
_OLDEST = select(V.c.at_ms).where(*_HERE).order_by(V.c.modseq).limit(1)
_FORGOTTEN = select(func.max(V.c.modseq)).where(*_HERE, V.c.at_ms < bindparam("before_ms"))
_FLOOR = select(F.c.vanished_floor).where(owned_by(F), F.c.folder == bindparam("which"))


def write(connection: Connection, owner: int, folder: int, modseq: int, uids: Sequence[int], now_ms: int) -> None:
    """These uids (rising) left at this modseq; what left too long ago is forgotten."""
    ranges: list[list[int]] = []
    for uid in uids:
        if ranges and ranges[-1][1] == uid - 1:
            ranges[-1][1] = uid
        else:
            ranges.append([uid, uid])
    start = own(owner) | {"folder": folder, "modseq": modseq, "at_ms": now_ms}
    connection.execute(insert(V), [start | {"uid_lo": lo, "uid_hi": hi} for lo, hi in ranges])
    _forget(connection, owner, folder, now_ms - VANISHED_KEPT_MS)


def _forget(connection: Connection, owner: int, folder: int, before_ms: int) -> None:
    parameters = own_parameters(owner) | {"which": folder}
    if connection.execute(_OLDEST, parameters).scalar_one() >= before_ms:
        return
    floor = connection.execute(_FORGOTTEN, parameters | {"before_ms": before_ms}).scalar_one()
    raised = update(F).where(owned_by(F), F.c.folder == folder).values(vanished_floor=floor)
    connection.execute(raised, own_parameters(owner))
    removal = delete(V).where(owned_by(V), V.c.folder == folder, V.c.modseq <= floor)
    connection.execute(removal, own_parameters(owner))


def since(connection: Connection, owner: int, folder: int, modseq: int) -> list[tuple[int, int]] | None:
    """Ranges that left after `modseq`; None when that is too long ago to be known."""
    parameters = own_parameters(owner) | {"which": folder, "since": modseq}
    floor = connection.execute(_FLOOR, parameters).scalar_one_or_none()
    if floor is None or modseq < floor:
        return None
    return [(row.uid_lo, row.uid_hi) for row in connection.execute(_SINCE, parameters)]
