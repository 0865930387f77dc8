"""Who vouches for whom, and whose access has ended? Functions of a connection; the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, delete, func, or_, select, update

from mss.model.ids import OwnerId
from mss.store import schema
from mss.store import standingschema as tables
from mss.store.sql import insert_ignoring, own, own_parameters, owned_by, parts

S = tables.standing
X = tables.contested
B = schema.mailbox


@dataclass(frozen=True, slots=True)
class StandingRow:
    owner: OwnerId
    person_hmac: bytes
    method: str
    verified_ms: int
    next_check_ms: int
    told_ms: int = 0
    ended_ms: int = 0
    ended_why: str = ""
    ended_by: int = 0


_ROWS = select(
    S.c.owner,
    S.c.person_hmac,
    S.c.method,
    S.c.verified_ms,
    S.c.next_check_ms,
    S.c.told_ms,
    S.c.ended_ms,
    S.c.ended_why,
    S.c.ended_by,
)


def _rows(connection: Connection, query: Select[Any]) -> list[StandingRow]:
    return [StandingRow(OwnerId(owner), *rest) for owner, *rest in connection.execute(query)]


def standing(connection: Connection, owner: int) -> StandingRow | None:
    row = connection.execute(_ROWS.where(owned_by(S)), own_parameters(owner)).one_or_none()
    return None if row is None else StandingRow(OwnerId(row[0]), *row[1:])


def begin(connection: Connection, row: StandingRow) -> None:
    """Note who vouches for the holder of a mailbox. Safe to repeat: what stands stays."""
    values = {name: getattr(row, name) for name in StandingRow.__slots__ if name != "owner"}
    insert_ignoring(connection, S, [own(row.owner) | values])


def vouch(connection: Connection, owner: int, method: str, verified_ms: int, next_check_ms: int) -> None:
    """She was checked again."""
    values = {"method": method, "verified_ms": verified_ms, "next_check_ms": next_check_ms, "told_ms": 0}
    connection.execute(update(S).where(owned_by(S)).values(**values), own_parameters(owner))


def tell(connection: Connection, owner: int, told_ms: int) -> None:
    connection.execute(update(S).where(owned_by(S)).values(told_ms=told_ms), own_parameters(owner))


def end(connection: Connection, owner: int, ended_ms: int, why: str, by: int) -> None:
    """Her access has ended; with "" for `why` it has not."""
    change = update(S).where(owned_by(S)).values(ended_ms=ended_ms, ended_why=why, ended_by=by)
    connection.execute(change, own_parameters(owner))


def of_people(connection: Connection, hashes: Iterable[bytes]) -> list[StandingRow]:
    """Mailboxes of these people: some have several."""
    found: list[StandingRow] = []
    for part in parts(sorted(set(hashes))):
        found += _rows(connection, _ROWS.where(S.c.person_hmac.in_(part)))
    return found


def ended(connection: Connection, reasons: Sequence[str], before_ms: int, rows_max: int) -> list[StandingRow]:
    """Whose access ended for one of these reasons before a moment, oldest first."""
    query = _ROWS.where(S.c.ended_why.in_(reasons), S.c.ended_ms <= before_ms).order_by(S.c.ended_ms).limit(rows_max)
    return _rows(connection, query)


def ended_by(connection: Connection, generation: int) -> list[StandingRow]:
    """Whose access an import ended."""
    return _rows(connection, _ROWS.where(S.c.ended_by == generation, S.c.ended_by > 0))


def overdue(
    connection: Connection, stale: Sequence[str], by_themselves: str, now_ms: int, rows_max: int
) -> list[StandingRow]:
    """Whose check is overdue, and whose access has not ended: of stale sources, and of those with a moment of their
    own. Who was told longest ago first, who was never told before them."""
    late = or_(S.c.method.in_(stale), (S.c.method == by_themselves) & (S.c.next_check_ms < now_ms))
    return _rows(connection, _ROWS.where(late, S.c.ended_ms == 0).order_by(S.c.told_ms, S.c.owner).limit(rows_max))


def counted(connection: Connection, method: str = "") -> int:
    """How many people's mailboxes stand, by one method or in all."""
    query = select(func.count()).select_from(S).where(S.c.ended_ms == 0)
    return int(connection.execute(query.where(S.c.method == method) if method else query).scalar_one())


def without(connection: Connection, kinds: Sequence[str], rows_max: int) -> list[OwnerId]:
    """Mailboxes of these kinds of whom nobody has noted who vouches for them."""
    known = select(S.c.owner).where(S.c.lane == B.c.lane, S.c.owner == B.c.owner).exists()
    query = select(B.c.owner).where(B.c.kind.in_(kinds), ~known).limit(rows_max)
    return [OwnerId(owner) for owner in connection.execute(query).scalars()]


# Addresses that a file gave to somebody else.


@dataclass(frozen=True, slots=True)
class ContestedRow:
    address: str
    source: int
    holder: str
    claimed_by: str
    since_ms: int


def contested(connection: Connection, source: int | None = None) -> list[ContestedRow]:
    """Oldest first."""
    query = select(X.c.address, X.c.source, X.c.holder, X.c.claimed_by, X.c.since_ms).order_by(
        X.c.since_ms, X.c.address
    )
    rows = connection.execute(query if source is None else query.where(X.c.source == source))
    return [ContestedRow(*row) for row in rows]


def contest(connection: Connection, rows: Sequence[ContestedRow]) -> None:
    """Safe to repeat: the first moment stays, and so does the first holder."""
    values = [{name: getattr(row, name) for name in ContestedRow.__slots__} for row in rows]
    if values:
        insert_ignoring(connection, X, values)


def settle(connection: Connection, addresses: Sequence[str]) -> None:
    for part in parts(sorted(addresses)):
        connection.execute(delete(X).where(X.c.address.in_(part)))
