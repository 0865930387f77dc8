"""Which other addresses has a mailbox? Rows, sealed to their owner; `owners.point` makes mail follow them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from mss.store import schema
from mss.store.owners import Way
from mss.store.sql import own, own_parameters, owned_by

A = schema.alias


@dataclass(frozen=True, slots=True)
class AliasRow:
    """`way` is never RETIRED; a retired alias has a `retired_ms`."""

    alias: int
    address_hmac: bytes
    address_sealed: bytes
    way: Way
    added_ms: int
    retired_ms: int = 0


def insert_alias(connection: Connection, owner: int, row: AliasRow) -> None:
    values = {name: getattr(row, name) for name in AliasRow.__slots__}
    connection.execute(insert(A), own(owner) | values)


def aliases(connection: Connection, owner: int) -> list[AliasRow]:
    """Those in use, oldest first."""
    columns = (A.c.alias, A.c.address_hmac, A.c.address_sealed, A.c.way, A.c.added_ms, A.c.retired_ms)
    query = select(*columns).where(owned_by(A), A.c.retired_ms == 0).order_by(A.c.alias)
    return [
        AliasRow(alias, hashed, sealed, Way(way), added_ms, retired_ms)
        for alias, hashed, sealed, way, added_ms, retired_ms in connection.execute(query, own_parameters(owner))
    ]


def retire(connection: Connection, owner: int, alias: int, now_ms: int) -> None:
    change = update(A).where(owned_by(A), A.c.alias == alias).values(retired_ms=now_ms)
    connection.execute(change, own_parameters(owner))
