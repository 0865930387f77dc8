"""Did we take this very message already? A sender who missed our 250 sends again; one copy must stand."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, select

from mss.store import schema
from mss.store.sql import Hot, insert_ignoring, own, own_parameters, owned_by

R = schema.received
KEPT_MS = 5 * 24 * 3_600_000
"""How long a retry is recognised: relays retry for up to five days (RFC 5321 §4.5.4.1)."""


def digest(peer: str, sender: str, recipient: str, raw: bytes) -> bytes:
    """Certificate (or login), MAIL FROM, RCPT and the bytes before our trace fields."""
    text = "\0".join((peer, sender, recipient)).encode()
    return hashlib.sha256(len(text).to_bytes(4) + text + hashlib.sha256(raw).digest()).digest()


_FIND = Hot(select(R.c.message, R.c.until_ms).where(owned_by(R), R.c.digest == bindparam("which")))


def remember(connection: Connection, owner: int, digested: bytes, message: int, now_ms: int) -> int:
    """The number under which these bytes stand for this owner: `message`, or an earlier one."""
    which = own_parameters(owner) | {"which": digested}
    known = _FIND.of(connection, which)
    if known is not None and known[1] > now_ms:
        return int(known[0])
    if known is not None:
        connection.execute(delete(R).where(owned_by(R), R.c.digest == digested), own_parameters(owner))
    row = {"digest": digested, "message": message, "until_ms": now_ms + KEPT_MS}
    insert_ignoring(connection, R, [own(owner) | row])
    kept = _FIND.of(connection, which)
    assert kept is not None, "it was there or is there now"
    return int(kept[0])


def standing(connection: Connection, owner: int, digested: bytes, now_ms: int) -> int:
    """The number under which these bytes stand for this owner; 0 when they are not remembered."""
    known = _FIND.of(connection, own_parameters(owner) | {"which": digested})
    return int(known[0]) if known is not None and known[1] > now_ms else 0


def remember_all(connection: Connection, letters: Sequence[tuple[int, bytes, int]], now_ms: int) -> list[int]:
    """The same for many (owner, digest, message): one statement when none of them was here before."""
    until_ms = now_ms + KEPT_MS
    rows = [own(owner) | {"digest": d, "message": number, "until_ms": until_ms} for owner, d, number in letters]
    if insert_ignoring(connection, R, rows) == len(rows):
        return [number for _, _, number in letters]
    return [remember(connection, owner, digested, number, now_ms) for owner, digested, number in letters]


def sweep(connection: Connection, now_ms: int) -> int:
    """Forget what is too old to be a retry."""
    return connection.execute(delete(R).where(R.c.until_ms < now_ms)).rowcount
