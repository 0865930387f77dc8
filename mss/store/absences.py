"""Who is away, and whom has he told? Rows of the mailbox's own owner; the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from mss.store import schema
from mss.store.sql import insert_ignoring, own, own_parameters, owned_by

A = schema.absence
T = schema.absence_told
B = schema.mailbox


@dataclass(frozen=True, slots=True)
class AbsenceRow:
    """`period` is the number of this absence: another one is told anew."""

    period: int
    from_ms: int
    until_ms: int
    absence_sealed: bytes


def absence(connection: Connection, owner: int) -> AbsenceRow | None:
    """The absence that is set, past ones included."""
    query = (
        select(A.c.period, B.c.absent_from_ms, B.c.absent_until_ms, A.c.absence_sealed)
        .join(B, (A.c.lane == B.c.lane) & (A.c.owner == B.c.owner))
        .where(owned_by(A))
    )
    row = connection.execute(query, own_parameters(owner)).one_or_none()
    return None if row is None else AbsenceRow(*row)


def set_absence(connection: Connection, owner: int, row: AbsenceRow | None) -> None:
    """Instead of the one before, whose correspondents are forgotten; None: he is there."""
    for table in (A, T):
        connection.execute(delete(table).where(owned_by(table)), own_parameters(owner))
    if row is not None:
        connection.execute(insert(A), own(owner) | {"period": row.period, "absence_sealed": row.absence_sealed})
    moments = {"absent_from_ms": row.from_ms if row else 0, "absent_until_ms": row.until_ms if row else 0}
    connection.execute(update(B).where(owned_by(B)).values(**moments), own_parameters(owner))


def was_told(connection: Connection, owner: int, correspondent: int) -> bool:
    query = select(T.c.correspondent).where(owned_by(T), T.c.correspondent == correspondent)
    return connection.execute(query, own_parameters(owner)).one_or_none() is not None


def note_told(connection: Connection, owner: int, correspondent: int) -> None:
    insert_ignoring(connection, T, [own(owner) | {"correspondent": correspondent}])
