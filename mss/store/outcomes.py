"""What was each sending mailbox told, and about which days has it had its table? Functions of a connection."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from mss.store import outcomeschema
from mss.store.sql import insert_ignoring

O = outcomeschema.outcome  # noqa: E741 — tables have one letter here
N = outcomeschema.nightly


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """`id` is that of the duty that told it."""

    lane: int
    id: int
    sender_hmac: bytes
    at_ms: int
    fate: str
    reason: str
    code: int
    documents: int
    detail_sealed: bytes


def add(connection: Connection, row: OutcomeRow) -> None:
    """A repeat changes nothing."""
    insert_ignoring(connection, O, [{name: getattr(row, name) for name in OutcomeRow.__slots__}])


def of_sender(connection: Connection, sender_hmac: bytes, from_ms: int, until_ms: int, limit: int) -> list[OutcomeRow]:
    """From one moment to before another, oldest first."""
    query = select(*(O.c[name] for name in OutcomeRow.__slots__))
    query = query.where(O.c.sender_hmac == sender_hmac, O.c.at_ms >= from_ms, O.c.at_ms < until_ms)
    return [OutcomeRow(*row) for row in connection.execute(query.order_by(O.c.at_ms, O.c.id).limit(limit))]


def forget(connection: Connection, before_ms: int, limit: int) -> int:
    """Delete what is older, some at a time. Returns how many."""
    old = select(O.c.lane, O.c.id).where(O.c.at_ms < before_ms).limit(limit)
    found = list(connection.execute(old))
    for lane, number in found:
        connection.execute(delete(O).where(O.c.lane == lane, O.c.id == number))
    return len(found)


def has_older(connection: Connection, before_ms: int) -> bool:
    """Whether there is something to forget."""
    return connection.execute(select(O.c.id).where(O.c.at_ms < before_ms).limit(1)).one_or_none() is not None


def was_told(connection: Connection, sender_hmac: bytes, day: int) -> bool:
    query = select(N.c.day).where(N.c.sender_hmac == sender_hmac, N.c.day == day)
    return connection.execute(query).one_or_none() is not None


def told(connection: Connection, sender_hmac: bytes, day: int) -> bool:
    """In the transaction that sends. False when another has told."""
    if was_told(connection, sender_hmac, day):
        return False
    insert_ignoring(connection, N, [{"sender_hmac": sender_hmac, "day": day}])
    return True
