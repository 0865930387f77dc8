"""Which people of the operator decide about what is held? Rows beside their accounts."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from mss.model.ids import OwnerId
from mss.store import schema
from mss.store.sql import own, own_parameters, owned_by

S = schema.staff


@dataclass(frozen=True, slots=True)
class StaffRow:
    """`profile_wrapped`: login and name, wrapped. `domain`: whose held mail; empty: all."""

    owner: OwnerId
    profile_wrapped: bytes
    domain: str


_COLUMNS = (S.c.owner, S.c.profile_wrapped, S.c.domain)


def insert_staff(connection: Connection, row: StaffRow, created_ms: int) -> None:
    values = {"profile_wrapped": row.profile_wrapped, "domain": row.domain, "created_ms": created_ms}
    connection.execute(insert(S), own(row.owner) | values)


def one_staff(connection: Connection, owner: int) -> StaffRow | None:
    row = connection.execute(select(*_COLUMNS).where(owned_by(S)), own_parameters(owner)).one_or_none()
    return None if row is None else StaffRow(OwnerId(row.owner), row.profile_wrapped, row.domain)


def list_staff(connection: Connection) -> list[StaffRow]:
    """Everybody, whatever the lane: some dozens."""
    rows = connection.execute(select(*_COLUMNS).order_by(S.c.created_ms))
    return [StaffRow(OwnerId(row.owner), row.profile_wrapped, row.domain) for row in rows]
