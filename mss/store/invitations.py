"""Who holds a link that lets her make a way into the pages? Functions of a connection; the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from mss.model.ids import LANES, OwnerId
from mss.store import standingschema as tables
from mss.store.ids import lane_of_hash

V = tables.invitation


@dataclass(frozen=True, slots=True)
class InvitationRow:
    token_hmac: bytes
    account: OwnerId
    until_ms: int
    address_sealed: bytes


def invitation(connection: Connection, token_hmac: bytes) -> InvitationRow | None:
    query = select(V.c.token_hmac, V.c.account, V.c.until_ms, V.c.address_sealed).where(
        V.c.lane == lane_of_hash(token_hmac, LANES), V.c.token_hmac == token_hmac
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else InvitationRow(row[0], OwnerId(row[1]), *row[2:])


def replace_with(connection: Connection, row: InvitationRow) -> None:
    """One link at a time: an earlier one of the same account opens nothing any more."""
    delete_of(connection, row.account)
    values = {name: getattr(row, name) for name in InvitationRow.__slots__}
    connection.execute(insert(V), {"lane": lane_of_hash(row.token_hmac, LANES)} | values)


def delete_of(connection: Connection, account: int) -> None:
    """Links of an account, wherever their lane: there is one, and few people are invited at a time."""
    connection.execute(delete(V).where(V.c.account == account))


def sweep(connection: Connection, now_ms: int) -> int:
    """Remove links whose time is over."""
    return connection.execute(delete(V).where(V.c.until_ms < now_ms)).rowcount
