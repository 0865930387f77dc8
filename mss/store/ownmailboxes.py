"""Where is what we say of our own mailboxes, one by one? Functions of a connection; the caller's transaction.

A row is locked before it is changed, so that a closing and a change never pass each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, and_, func, insert, or_, select, update

from mss.store import directoryschema as schema
from mss.store.sql import insert_ignoring, parts

O = schema.own_mailbox  # noqa: E741 — as the other repositories call their tables
H = schema.own_change
NEVER = 2**62
"""`next_try_ms` of what waits for a human."""
PAUSE_MS_MAX = 2 * 3_600_000
"""What the directory did not answer is tried again within the hour (mss/fhir/duty.py)."""


class OwnState(StrEnum):
    """Whether a mailbox is shown, as far as the red list lets it."""

    LISTED = "listed"
    WITHDRAWN = "withdrawn"
    """It lives, and its operator does not want it in the directory."""
    CLOSED = "closed"
    """It takes no mail any more."""


@dataclass(frozen=True, slots=True)
class OwnRow:
    hmac: bytes
    kind: str
    holder_hmac: bytes
    state: OwnState
    is_unlisted: bool
    text: str
    version: int
    changed_ms: int
    published: int = 0
    problem: str = ""
    tries: int = 0
    since_ms: int = 0
    next_try_ms: int = 0
    sealed: bytes = b""

    @property
    def is_published(self) -> bool:
        return self.published == self.version

    @property
    def is_shown(self) -> bool:
        return self.state is OwnState.LISTED and not self.is_unlisted


@dataclass(frozen=True, slots=True)
class ChangeRow:
    hmac: bytes
    version: int
    at_ms: int
    actor: str
    what: str
    text: str


_FIELDS = tuple(OwnRow.__slots__)
_ROWS = select(*(O.c[name] for name in _FIELDS))


def _row(row: Any) -> OwnRow:
    values = dict(zip(_FIELDS, row, strict=True))
    values |= {name: bytes(values[name]) for name in ("hmac", "holder_hmac", "sealed")}
    values |= {"state": OwnState(values["state"]), "is_unlisted": bool(values["is_unlisted"])}
    return OwnRow(**values)


def one(connection: Connection, hashed: bytes, *, locks: bool = False) -> OwnRow | None:
    """What we say of the mailbox at this address. `locks`: nobody else changes it until the transaction ends."""
    query = _ROWS.where(O.c.hmac == hashed)
    row = connection.execute(query.with_for_update() if locks else query).one_or_none()
    return None if row is None else _row(row)


def several(connection: Connection, hashes: Iterable[bytes]) -> dict[bytes, OwnRow]:
    found: dict[bytes, OwnRow] = {}
    for part in parts(sorted(set(hashes))):
        found |= {bytes(row[0]): _row(row) for row in connection.execute(_ROWS.where(O.c.hmac.in_(part)))}
    return found


def page(connection: Connection, after: bytes, rows_max: int) -> list[OwnRow]:
    """In the order of hashes, which is nobody's."""
    query = _ROWS.where(O.c.hmac > after).order_by(O.c.hmac).limit(rows_max)
    return [_row(row) for row in connection.execute(query)]


def counted(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(O)).scalar_one())


def put(connection: Connection, row: OwnRow, at_ms: int, actor: str, what: str) -> None:
    """Write a row and the change that made it; a new row where there is none."""
    values = {name: getattr(row, name) for name in _FIELDS} | {"is_unlisted": int(row.is_unlisted)}
    insert_ignoring(connection, O, [values])
    connection.execute(update(O).where(O.c.hmac == row.hmac).values(**values))
    told = {"hmac": row.hmac, "version": row.version, "at_ms": at_ms, "actor": actor[:200], "what": what}
    connection.execute(insert(H), told | {"text": row.text})


def forget_words(connection: Connection, hashed: bytes) -> None:
    """Of a mailbox that goes on the red list: its history keeps who and when."""
    connection.execute(update(H).where(H.c.hmac == hashed).values(text=""))


def history(connection: Connection, hashed: bytes, rows_max: int) -> list[ChangeRow]:
    """The last changes, newest first."""
    columns = (H.c.hmac, H.c.version, H.c.at_ms, H.c.actor, H.c.what, H.c.text)
    query = select(*columns).where(H.c.hmac == hashed).order_by(H.c.version.desc()).limit(rows_max)
    return [ChangeRow(bytes(row[0]), *row[1:]) for row in connection.execute(query)]


def published(connection: Connection, hashed: bytes, version: int) -> None:
    """The national directory says what this version says."""
    values = {"published": version, "problem": "", "tries": 0, "since_ms": 0, "next_try_ms": 0, "sealed": b""}
    connection.execute(update(O).where(O.c.hmac == hashed, O.c.version == version).values(**values))


def unpublished(connection: Connection, hashed: bytes) -> None:
    """It does not, as was seen there."""
    connection.execute(update(O).where(O.c.hmac == hashed).values(published=0, next_try_ms=0))


def seal_again(connection: Connection, hashed: bytes, sealed: bytes) -> None:
    """What is to be taken back of the red list after all."""
    connection.execute(update(O).where(O.c.hmac == hashed).values(sealed=sealed))


def troubled(connection: Connection, hashed: bytes, problem: str, now_ms: int, next_try_ms: int) -> None:
    """An attempt came to nothing; the next is at a moment, or never by itself (`NEVER`)."""
    since = func.coalesce(func.nullif(O.c.since_ms, 0), now_ms)
    values = {"problem": problem[:200], "tries": O.c.tries + 1, "since_ms": since, "next_try_ms": next_try_ms}
    connection.execute(update(O).where(O.c.hmac == hashed).values(**values))


def late(connection: Connection, now_ms: int, rows_max: int) -> list[OwnRow]:
    """Those of which the national directory has another version and which are to be brought now, the oldest change
    first. A pause longer than any was given before the clock was set back."""
    is_due = or_(O.c.next_try_ms <= now_ms, and_(O.c.next_try_ms > now_ms + PAUSE_MS_MAX, O.c.next_try_ms < NEVER))
    query = _ROWS.where(O.c.published != O.c.version, is_due).order_by(O.c.changed_ms).limit(rows_max)
    return [_row(row) for row in connection.execute(query)]


def bring_forward(connection: Connection) -> int:
    """All that is not published is due now, also what was refused. Returns how much that is."""
    is_late = O.c.published != O.c.version
    return connection.execute(update(O).where(is_late).values(next_try_ms=0)).rowcount


def stuck(connection: Connection, refused: str, before_ms: int) -> int:
    """How many wait for a human: refused (a problem that begins so), or tried since before a moment."""
    is_late = (O.c.since_ms > 0) & (O.c.since_ms < before_ms)
    query = select(func.count()).select_from(O).where(or_(O.c.problem.startswith(refused), is_late))
    return int(connection.execute(query).scalar_one())
