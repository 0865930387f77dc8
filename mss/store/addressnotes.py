"""What do we know of an address beside what the files say? Functions of a connection; the caller's transaction.

Only addresses of professionals that a directory lists, so nothing here that is not public already but what we have
met: a bounce, a delivery, an absence of our own people.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select, update

from mss.store import standingschema as tables
from mss.store.sql import insert_ignoring, parts

N = tables.address_note


@dataclass(frozen=True, slots=True)
class NoteRow:
    """Numbers are 0 and texts empty where nobody said; `patients`, `xdm`: -1 unknown, 0 no, 1 yes."""

    address: str
    purpose: str = ""
    size_bytes_max: int = 0
    patients: int = -1
    xdm: int = -1
    paperless: int = -1
    said_ms: int = 0
    accepted_ms: int = 0
    bounced_ms: int = 0
    bounces: int = 0
    absent_from_ms: int = 0
    absent_until_ms: int = 0
    substitute: str = ""
    wrote_ms: int = 0


_FIELDS = tuple(NoteRow.__slots__)
_ROWS = select(*(N.c[name] for name in _FIELDS))


def notes(connection: Connection, addresses: Iterable[str]) -> dict[str, NoteRow]:
    """What is known of these addresses (small letters)."""
    found: dict[str, NoteRow] = {}
    for part in parts(sorted(set(addresses))):
        found |= {row[0]: NoteRow(*row) for row in connection.execute(_ROWS.where(N.c.address.in_(part)))}
    return found


def write(connection: Connection, address: str, **values: Any) -> None:
    """Note something of an address; the rest stays."""
    blank = {name: getattr(NoteRow(address), name) for name in _FIELDS}
    insert_ignoring(connection, N, [blank])
    connection.execute(update(N).where(N.c.address == address).values(**values))


def wrote(connection: Connection, addresses: Iterable[str], day_ms: int) -> None:
    """These sent mail on a day (its beginning); an earlier day changes nothing."""
    known = notes(connection, addresses)
    for address in addresses:
        if address not in known or known[address].wrote_ms < day_ms:
            write(connection, address, wrote_ms=day_ms)


def forget(connection: Connection, address: str) -> None:
    """Nothing is known of it any more."""
    connection.execute(delete(N).where(N.c.address == address))


def bounced(connection: Connection, address: str, now_ms: int) -> None:
    """Another operator said that there is nobody behind it."""
    write(connection, address, bounced_ms=now_ms, bounces=N.c.bounces + 1)


def accepted(connection: Connection, address: str, now_ms: int) -> None:
    """Another operator took mail for it: what bounced before is over."""
    write(connection, address, accepted_ms=now_ms, bounces=0)
