"""Which messages of another server stand here already? Functions of a connection; the caller's transaction.

A copy is known by its folder over there, its bytes, and its number among equal ones: so it is found again whatever
its server calls it today. Where it lay is kept besides, so that a second run need not fetch it to know it. All of it
as keyed hashes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select, update

from mss.store import schema
from mss.store.sql import UIDS_AT_ONCE_MAX, own, own_parameters, owned_by

M = schema.imported


class Copy(NamedTuple):
    """A message of a folder over there. `nth`: among equal ones of that folder, from 1."""

    content: bytes
    nth: int
    place: bytes


def of_folder(connection: Connection, owner: int, source: bytes) -> list[Copy]:
    """All that came from a folder."""
    query = select(M.c.content, M.c.nth, M.c.place).where(owned_by(M), M.c.source == source)
    return [Copy(*row) for row in connection.execute(query, own_parameters(owner))]


def standing(connection: Connection, owner: int, source: bytes, copies: Iterable[Copy]) -> set[tuple[bytes, int]]:
    """(content, nth) of those that stand already."""
    contents, found = sorted({copy.content for copy in copies}), set()
    for start in range(0, len(contents), UIDS_AT_ONCE_MAX):
        part = contents[start : start + UIDS_AT_ONCE_MAX]
        query = select(M.c.content, M.c.nth).where(owned_by(M), M.c.source == source, M.c.content.in_(part))
        found |= {(row.content, row.nth) for row in connection.execute(query, own_parameters(owner))}
    return found


def remember(connection: Connection, owner: int, source: bytes, copies: Sequence[Copy], at_ms: int) -> None:
    """In the transaction that keeps the messages."""
    start = own(owner) | {"source": source, "at_ms": at_ms}
    rows = [start | {"content": one.content, "nth": one.nth, "place": one.place} for one in copies]
    if rows:
        connection.execute(M.insert(), rows)


def moved(connection: Connection, owner: int, source: bytes, copies: Iterable[Copy]) -> None:
    """The server calls them otherwise now."""
    for one in copies:
        which = (owned_by(M), M.c.source == source, M.c.content == one.content, M.c.nth == one.nth)
        connection.execute(update(M).where(*which).values(place=one.place), own_parameters(owner))
