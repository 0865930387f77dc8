"""Which mailboxes fill, and what were their holders told? Functions of a connection; the caller's transaction."""

from __future__ import annotations

from sqlalchemy import Connection, or_, select, update

from mss.store import schema
from mss.store.sql import own_parameters, owned_by

B = schema.mailbox


def filling(connection: Connection, percent: int) -> list[tuple[int, int]]:
    """(owner, level told) of mailboxes that are so full, or whose holders were told that they are."""
    is_full = (B.c.quota_bytes > 0) & (B.c.used_bytes * 100 >= B.c.quota_bytes * percent)
    query = select(B.c.owner, B.c.fullness_told).where(or_(is_full, B.c.fullness_told > 0)).order_by(B.c.owner)
    return [(row.owner, row.fullness_told) for row in connection.execute(query)]


def remember(connection: Connection, owner: int, level: int) -> None:
    connection.execute(update(B).where(owned_by(B)).values(fullness_told=level), own_parameters(owner))
