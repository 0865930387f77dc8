"""Which messages of a mailbox at another operator were fetched, and are they marked there? Functions of a connection.

The note of a message stands in the transaction that keeps it, so that whoever is killed in between fetches it again and
finds it standing. It says what became of it once that is known, and which mark it bears over there.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, func, select, update

from mss.store import records, schema
from mss.store.records import HeldState
from mss.store.sql import insert_ignoring, own, own_parameters, owned_by

F = schema.fetched

FILED, HELD, LEFT, REFUSED, UNTAKEN = "filed", "held", "left", "refused", "untaken"
"""What became of it. Held may still change."""
FINAL = frozenset({FILED, LEFT, REFUSED, UNTAKEN})
UNMARKED_AT_ONCE_MAX = 200


class Fetched(NamedTuple):
    """A message over there by its number, and here."""

    validity: int
    uid: int
    message: int
    outcome: str
    marked: str


def last_uid(connection: Connection, owner: int, source: bytes, validity: int) -> int:
    """The highest number that was fetched; 0 when none was."""
    query = select(func.max(F.c.uid)).where(owned_by(F), F.c.source == source, F.c.validity == validity)
    return connection.execute(query, own_parameters(owner)).scalar() or 0


def known(connection: Connection, owner: int, source: bytes, content: bytes) -> Fetched | None:
    """The same octets, whatever number they bear today."""
    query = select(F.c.validity, F.c.uid, F.c.message, F.c.outcome, F.c.marked).where(
        owned_by(F), F.c.source == source, F.c.content == content
    )
    row = connection.execute(query.limit(1), own_parameters(owner)).first()
    return None if row is None else Fetched(*row)


def remember(connection: Connection, owner: int, source: bytes, content: bytes, row: Fetched, at_ms: int) -> None:
    """In the transaction that keeps the message; again changes nothing."""
    values = own(owner) | {"source": source, "content": content, "at_ms": at_ms} | row._asdict()
    insert_ignoring(connection, F, [values])


def conclude(connection: Connection, owner: int, message: int, outcome: str) -> None:
    """What became of a message, in the transaction of the verdict. Nothing when it was not fetched."""
    which = (owned_by(F), F.c.message == message)
    connection.execute(update(F).where(*which).values(outcome=outcome), own_parameters(owner))


def unmarked(connection: Connection, owner: int, source: bytes, validity: int) -> list[Fetched]:
    """Messages whose mark over there does not tell what became of them; what is not judged yet is left out."""
    query = (
        select(F.c.validity, F.c.uid, F.c.message, F.c.outcome, F.c.marked)
        .where(owned_by(F), F.c.source == source, F.c.validity == validity, F.c.marked.not_in(FINAL))
        .order_by(F.c.uid)
    )
    rows = [Fetched(*row) for row in connection.execute(query, own_parameters(owner))]
    told = [row._replace(outcome=_outcome(connection, owner, row)) for row in rows]
    return [row for row in told if row.outcome and row.outcome != row.marked][:UNMARKED_AT_ONCE_MAX]


def waits(connection: Connection, owner: int, source: bytes) -> bool:
    """Whether a message is not judged yet."""
    query = select(F.c.uid).where(owned_by(F), F.c.source == source, F.c.outcome == "", F.c.marked == "")
    return connection.execute(query.limit(1), own_parameters(owner)).first() is not None


def _outcome(connection: Connection, owner: int, row: Fetched) -> str:
    """What is held tells for itself, also after somebody decided."""
    held = records.held_of_message(connection, owner, row.message) if row.message else None
    if held is None:
        return row.outcome
    decided = {HeldState.FILED: FILED, HeldState.RELEASED: FILED, HeldState.REFUSED: REFUSED}
    return decided.get(HeldState(held.state), HELD)


def mark(connection: Connection, owner: int, source: bytes, row: Fetched) -> None:
    """It bears its mark over there."""
    which = (owned_by(F), F.c.source == source, F.c.validity == row.validity, F.c.uid == row.uid)
    connection.execute(update(F).where(*which).values(marked=row.outcome), own_parameters(owner))


def tally(connection: Connection, owner: int, source: bytes) -> dict[str, int]:
    """How many were fetched, by what became of them; not judged yet under the empty word."""
    query = select(F.c.message, F.c.outcome, F.c.marked).where(owned_by(F), F.c.source == source)
    found: dict[str, int] = {}
    for message, outcome, marked in connection.execute(query, own_parameters(owner)):
        word = _outcome(connection, owner, Fetched(0, 0, message, outcome, marked))
        found[word] = found.get(word, 0) + 1
    return found
