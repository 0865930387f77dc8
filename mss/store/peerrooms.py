"""How large a message does another operator take? As its servers last said at EHLO (RFC 1870 §4)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from mss.store import schema

R = schema.peer_room
RENEW_MS = 24 * 3_600_000
"""The same number is written again once a day, not with each mail."""


def learn(connection: Connection, domain: str, octets: int, now_ms: int) -> None:
    """What a server of that domain said."""
    known = connection.execute(select(R.c.octets, R.c.learned_ms).where(R.c.domain == domain)).one_or_none()
    if known is not None and known.octets == octets and 0 <= now_ms - known.learned_ms < RENEW_MS:
        return
    connection.execute(delete(R).where(R.c.domain == domain))
    connection.execute(insert(R), {"domain": domain, "octets": octets, "learned_ms": now_ms})


def rooms_of(connection: Connection, domains: Sequence[str], since_ms: int) -> dict[str, int]:
    """Domain → octets, of those that said so since."""
    query = select(R.c.domain, R.c.octets).where(R.c.domain.in_(domains), R.c.learned_ms >= since_ms)
    return {row.domain: row.octets for row in connection.execute(query)}
