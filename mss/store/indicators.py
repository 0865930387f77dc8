"""How much happened, counted without saying to whom: sums by day, and how far the audit chains have been counted.

Nothing here names a patient, a document or a message. Rows of a lane are written in the transaction of the act; later
they are folded into one row for each day and kind, so that the table grows with days and peers, not with mail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from sqlalchemy import Connection, and_, delete, func, select, tuple_, update

from mss.store import schema
from mss.store.sql import Hot, insert_ignoring

I = schema.indicator  # noqa: E741 — as the other repositories call their tables
C = schema.counted
A = schema.audit
H = schema.audit_head
B = schema.mailbox

FOLDED = -1
"""The lane of sums."""
FOLDED_AT_ONCE_MAX = 5_000
PEER_CHARS_MAX = 120
WORD_CHARS_MAX = 48
_KEYS = ("lane", "day", "what", "peer", "box", "structure", "cda", "ins")


@dataclass(frozen=True, slots=True, order=True)
class Count:
    """What is counted. `day`: 20260105 in Paris. `box`: kind of mailbox, or the reason of a refusal. `cda`: type code
    of a document. `ins`: X-MSS-INS as the sender wrote it. Whatever does not apply is empty."""

    day: int
    what: str
    peer: str = ""
    box: str = ""
    structure: str = ""
    cda: str = ""
    ins: str = ""

    def row(self, lane: int, n: int) -> dict[str, Any]:
        peer, words = self.peer[:PEER_CHARS_MAX], (self.what, self.box, self.structure, self.cda, self.ins)
        what, box, structure, cda, ins = (word[:WORD_CHARS_MAX] for word in words)
        values = (lane, self.day, what, peer, box, structure, cda, ins)
        return dict(zip(_KEYS, values, strict=True)) | {"n": n}


_ADDING: dict[str, Any] = {}


def add(connection: Connection, lane: int, counts: Mapping[Count, int]) -> None:
    """Add to sums: one statement, its rows in one order, so that two who add never wait for each other in a ring."""
    if not counts:
        return
    name = connection.dialect.name
    if name not in _ADDING:
        statement = import_module(f"sqlalchemy.dialects.{name}").insert(I)
        added = {"n": I.c.n + statement.excluded.n}
        adding = statement.on_conflict_do_update(index_elements=list(_KEYS), set_=added)
        _ADDING[name] = Hot(adding, (*_KEYS, "n")) if name == "sqlite" else adding
    adding, rows = _ADDING[name], [count.row(lane, n) for count, n in sorted(counts.items())]
    if isinstance(adding, Hot):
        adding.each(connection, rows)
    else:
        connection.execute(adding, rows)


def fold(connection: Connection) -> int:
    """Turn rows of lanes into sums. Returns how many there were; what somebody else is adding to is left for later."""
    key = [I.c[name] for name in _KEYS]
    chosen = select(I).where(I.c.lane > FOLDED).order_by(*key).limit(FOLDED_AT_ONCE_MAX)
    rows = list(connection.execute(chosen.with_for_update(skip_locked=True)))
    if not rows:
        return 0
    sums: dict[Count, int] = {}
    for row in rows:
        count = Count(row.day, row.what, row.peer, row.box, row.structure, row.cda, row.ins)
        sums[count] = sums.get(count, 0) + row.n
    for start in range(0, len(rows), 100):
        part = rows[start : start + 100]
        connection.execute(delete(I).where(tuple_(*key).in_([tuple(row[: len(_KEYS)]) for row in part])))
    add(connection, FOLDED, sums)
    return len(rows)


def totals(connection: Connection, first: int, last: int, structures: Sequence[str] = ()) -> list[tuple[Count, int]]:
    """Sums of days `first` to `last`, both included."""
    columns = [I.c[name] for name in _KEYS[1:]]
    query = select(*columns, func.sum(I.c.n)).where(I.c.day >= first, I.c.day <= last).group_by(*columns)
    if structures:
        query = query.where(I.c.structure.in_(structures))
    return [(Count(*row[:-1]), int(row[-1])) for row in connection.execute(query.order_by(*columns))]


def by_box(connection: Connection, whats: Sequence[str], day: int) -> dict[str, float]:
    """What was counted of these kinds on one day, by `box`: sums, and what the doors wrote since they were folded."""
    query = select(I.c.box, func.sum(I.c.n)).where(I.c.lane.in_((FOLDED, 0)), I.c.day == day, I.c.what.in_(whats))
    return {row[0]: float(row[1]) for row in connection.execute(query.group_by(I.c.box))}


# The audit chains, read once


@dataclass(frozen=True, slots=True)
class Ahead:
    """A chain that has grown: counted up to `after`, ends at `head`."""

    lane: int
    after: int
    head: int


def lanes_ahead(connection: Connection, limit: int) -> list[Ahead]:
    """Chains that hold rows which nobody has counted."""
    after = func.coalesce(C.c.seq, 0)
    query = select(H.c.lane, after, H.c.seq).select_from(H.outerjoin(C, C.c.lane == H.c.lane)).where(H.c.seq > after)
    return [Ahead(*row) for row in connection.execute(query.order_by(H.c.lane).limit(limit))]


@dataclass(frozen=True, slots=True)
class Act:
    """As much of an audit row as is counted."""

    lane: int
    seq: int
    at_ms: int
    actor: str
    act: str
    owner: int
    result: str


def acts(connection: Connection, ahead: Ahead, limit: int) -> list[Act]:
    """The next rows of a chain, by its key: no scan."""
    columns = (A.c.lane, A.c.seq, A.c.at_ms, A.c.actor, A.c.act, A.c.owner, A.c.result)
    query = select(*columns).where(A.c.lane == ahead.lane, A.c.seq > ahead.after, A.c.seq <= ahead.head)
    return [Act(*row) for row in connection.execute(query.order_by(A.c.seq).limit(limit))]


def kinds(connection: Connection, lane: int, owners: Sequence[int]) -> dict[int, str]:
    """Kind of each owner's mailbox; who has none is missing."""
    found: dict[int, str] = {}
    for start in range(0, len(owners), 500):
        part = owners[start : start + 500]
        query = select(B.c.owner, B.c.kind).where(B.c.lane == lane, B.c.owner.in_(part))
        found |= {row.owner: row.kind for row in connection.execute(query)}
    return found


def advance(connection: Connection, steps: Sequence[Ahead]) -> bool:
    """Mark chains as counted up to `head`. False when somebody else counted meanwhile: roll back."""
    insert_ignoring(connection, C, [{"lane": step.lane, "seq": 0} for step in steps])
    for step in steps:
        change = update(C).where(and_(C.c.lane == step.lane, C.c.seq == step.after)).values(seq=step.head)
        if connection.execute(change).rowcount != 1:
            return False
    return True
