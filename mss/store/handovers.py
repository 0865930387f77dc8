"""Documents owed to software of a hospital: in order for each patient, taken under a lease, settled once.

Functions of a connection; the caller's transaction. A row is first in line when no earlier one of the same owner and
sink waits. Rows whose original was refused stand behind it and hold nobody else up.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, and_, exists, func, insert, or_, select, update

from mss.store import recordschema
from mss.store.records import HeldState, HeldWhat
from mss.store.sql import own, own_parameters, owned_by
from mss.store.tasks import LEASE_MS_MAX, PAUSE_MS_MAX

W = recordschema.handover
H = recordschema.held
_BEFORE = W.alias("before")


class HandoverAct(StrEnum):
    """What was done with the document here. RELINK: it is this patient's and current, whatever the sink knows of it: it
    may have it as withdrawn, as another record's, or not at all."""

    FILE = "file"
    REPLACE = "replace"
    WITHDRAW = "withdraw"
    ANNOUNCE = "announce"
    RELINK = "relink"


class HandoverState(StrEnum):
    """REFUSED waits for a human, BEHIND for him too; neither expires."""

    WAITING = "waiting"
    BEHIND = "behind"
    REFUSED = "refused"
    DONE = "done"
    DROPPED = "dropped"


OVERTAKEN = "merged"
"""Why a row was dropped whose document changed its record."""
OPEN = (HandoverState.WAITING, HandoverState.BEHIND, HandoverState.REFUSED)


@dataclass(frozen=True, slots=True)
class NewHandover:
    """`box` is the owner of the mailbox whose message brought the document."""

    id: int
    sink: str
    act: HandoverAct
    document: int
    earlier: int
    box: int
    message: int
    message_id_hmac: bytes
    created_ms: int


@dataclass(frozen=True, slots=True)
class Handover:
    """A row."""

    owner: int
    id: int
    sink: str
    seq: int
    act: str
    state: str
    document: int
    earlier: int
    box: int
    message: int
    message_id_hmac: bytes
    created_ms: int
    next_try_ms: int
    settled_ms: int
    attempts: int
    last_reason: str


_COLUMNS = tuple(W.c[name] for name in Handover.__slots__)


def add(connection: Connection, owner: int, new: NewHandover) -> None:
    """Owe it, last in its owner's line. Raises IntegrityError when another transaction took the place: try again."""
    last = select(func.max(W.c.seq)).where(owned_by(W), W.c.sink == new.sink)
    seq = (connection.execute(last, own_parameters(owner)).scalar() or 0) + 1
    stuck = (HandoverState.REFUSED, HandoverState.BEHIND)
    is_behind = _of_documents(connection, owner, new.sink, {new.document, new.earlier} - {0}, stuck)
    state = HandoverState.BEHIND if is_behind else HandoverState.WAITING
    values = {name: getattr(new, name) for name in NewHandover.__slots__}
    values |= {"seq": seq, "state": state, "next_try_ms": new.created_ms}
    connection.execute(insert(W), own(owner) | values)


def first_in_line(connection: Connection, sink: str, now_ms: int, limit: int) -> list[Handover]:
    """Rows that may leave now, of each owner at most one, oldest first."""
    is_first = ~exists().where(
        _BEFORE.c.lane == W.c.lane,
        _BEFORE.c.owner == W.c.owner,
        _BEFORE.c.sink == W.c.sink,
        _BEFORE.c.seq < W.c.seq,
        _BEFORE.c.state == HandoverState.WAITING,
    )
    query = select(*_COLUMNS).where(W.c.sink == sink, _is_free(now_ms), is_first)
    return [_row(row) for row in connection.execute(query.order_by(W.c.created_ms, W.c.id).limit(limit))]


def _is_free(now_ms: int) -> Any:
    """Due, and nobody's. What is longer than any pause or lease of ours was written before the clock went back."""
    due, lease = W.c.next_try_ms, W.c.lease_until_ms
    is_due = or_(due <= now_ms, due > now_ms + PAUSE_MS_MAX)
    return and_(W.c.state == HandoverState.WAITING, is_due, or_(lease <= now_ms, lease > now_ms + LEASE_MS_MAX))


def claim(connection: Connection, row: Handover, worker: str, now_ms: int, until_ms: int) -> Handover | None:
    """Lease a row; None when somebody else was faster. `attempts` counts this one."""
    lease = {"lease_owner": worker, "lease_until_ms": until_ms, "attempts": W.c.attempts + 1}
    taken = update(W).where(owned_by(W), W.c.id == row.id, _is_free(now_ms)).values(**lease)
    if not connection.execute(taken, own_parameters(row.owner)).rowcount:
        return None
    return of(connection, row.owner, row.id)


def put_back(connection: Connection, row: Handover, when_ms: int, reason: str, attempts: int | None = None) -> bool:
    """Give a waiting row back, to be tried again at `when_ms`. False when it does not wait."""
    values = {"next_try_ms": when_ms, "lease_until_ms": 0, "lease_owner": "", "last_reason": reason[:200]}
    values |= {} if attempts is None else {"attempts": attempts}
    return _change(connection, row, (HandoverState.WAITING,), values)


def settle(connection: Connection, row: Handover, state: HandoverState, reason: str, now_ms: int) -> bool:
    """End a row, or let it wait for a human; False when that was done before. What builds on a refused document stands
    behind it, and goes on when that is decided."""
    values = {"state": state, "settled_ms": now_ms, "lease_until_ms": 0, "lease_owner": "", "last_reason": reason[:200]}
    if not _change(connection, row, OPEN, values):
        return False
    if state is HandoverState.REFUSED:
        _move_followers(connection, row, HandoverState.WAITING, HandoverState.BEHIND, now_ms)
    elif row.state in (HandoverState.REFUSED, HandoverState.BEHIND):
        _move_followers(connection, row, HandoverState.BEHIND, HandoverState.WAITING, now_ms)
    return True


def let_go(connection: Connection, row: Handover, now_ms: int, reason: str) -> bool:
    """A human wants a refused row tried again: it waits as if it were new, and what stands behind it follows."""
    values = {"state": HandoverState.WAITING, "next_try_ms": now_ms, "attempts": 0, "last_reason": reason[:200]}
    if not _change(connection, row, (HandoverState.REFUSED,), values):
        return False
    _move_followers(connection, row, HandoverState.BEHIND, HandoverState.WAITING, now_ms)
    return True


def try_now(connection: Connection, row: Handover, now_ms: int) -> bool:
    """Do not wait for the end of a pause. False when it does not wait, or is being handed over."""
    free = and_(owned_by(W), W.c.id == row.id, W.c.state == HandoverState.WAITING, W.c.lease_until_ms <= now_ms)
    return connection.execute(update(W).where(free).values(next_try_ms=now_ms), own_parameters(row.owner)).rowcount == 1


def is_leased(connection: Connection, row: Handover, now_ms: int) -> bool:
    """Whether it is being handed over at this moment."""
    leased = and_(owned_by(W), W.c.id == row.id, W.c.lease_until_ms > now_ms)
    return connection.execute(select(W.c.id).where(leased), own_parameters(row.owner)).one_or_none() is not None


def _change(connection: Connection, row: Handover, states: Collection[str], values: dict[str, Any]) -> bool:
    change = update(W).where(owned_by(W), W.c.id == row.id, W.c.state.in_(states)).values(**values)
    return connection.execute(change, own_parameters(row.owner)).rowcount == 1


def _move_followers(
    connection: Connection, row: Handover, before: HandoverState, after: HandoverState, now_ms: int
) -> None:
    """Rows about the same document, about what replaces it, and so on."""
    documents, moved = {row.document}, {row.id}
    while True:
        found = _of_documents(connection, row.owner, row.sink, documents, (before,))
        new = [one for one in found if one.id not in moved and one.seq > row.seq]
        if not new:
            return
        moved |= {one.id for one in new}
        documents = {one.document for one in new}
        change = update(W).where(owned_by(W), W.c.id.in_([one.id for one in new]))
        connection.execute(change.values(state=after, next_try_ms=now_ms), own_parameters(row.owner))


def _of_documents(
    connection: Connection, owner: int, sink: str, documents: Collection[int], states: Collection[str]
) -> list[Handover]:
    """Rows that name one of these documents, as their own or as the one that they replace."""
    about = or_(W.c.document.in_(documents), W.c.earlier.in_(documents))
    query = select(*_COLUMNS).where(owned_by(W), W.c.sink == sink, W.c.state.in_(states), about).order_by(W.c.seq)
    return [_row(row) for row in connection.execute(query, own_parameters(owner))]


def of(connection: Connection, owner: int, number: int) -> Handover | None:
    row = connection.execute(
        select(*_COLUMNS).where(owned_by(W), W.c.id == number), own_parameters(owner)
    ).one_or_none()
    return None if row is None else _row(row)


def by_number(connection: Connection, number: int) -> Handover | None:
    """By number alone (a fan-out; staff only)."""
    row = connection.execute(select(*_COLUMNS).where(W.c.id == number)).one_or_none()
    return None if row is None else _row(row)


def has_it(connection: Connection, owner: int, sink: str, document: int) -> bool:
    """Whether the sink has accepted a document (and not taken it out again)."""
    query = select(W.c.act).where(
        owned_by(W), W.c.sink == sink, W.c.document == document, W.c.state == HandoverState.DONE
    )
    acts = [row.act for row in connection.execute(query.order_by(W.c.seq), own_parameters(owner))]
    return bool(acts) and acts[-1] != HandoverAct.WITHDRAW


def anybody_has_it(connection: Connection, sink: str, document: int) -> bool:
    """The same whosever record it was in when the sink accepted it: records of one person keep a document's number when
    they are merged and parted."""
    query = select(W.c.act).where(W.c.sink == sink, W.c.document == document, W.c.state == HandoverState.DONE)
    acts = [row.act for row in connection.execute(query.order_by(W.c.settled_ms, W.c.id))]
    return bool(acts) and acts[-1] != HandoverAct.WITHDRAW


def overtaken(connection: Connection, owner: int, document: int, now_ms: int) -> list[int]:
    """What has not arrived about a document of this record is not to leave any more, refused or not: another record's
    row says it all. Returns which were refused."""
    query = select(W.c.id).where(owned_by(W), W.c.document == document, W.c.state == HandoverState.REFUSED)
    refused = list(connection.execute(query, own_parameters(owner)).scalars())
    values = {"state": HandoverState.DROPPED, "settled_ms": now_ms, "last_reason": OVERTAKEN}
    change = update(W).where(owned_by(W), W.c.document == document, W.c.state.in_(OPEN)).values(**values)
    connection.execute(change, own_parameters(owner))
    return refused


def overtaken_rows(connection: Connection, sink: str, document: int) -> list[tuple[int, int]]:
    """(owner, number) of the rows that one about this document has taken the place of."""
    query = select(W.c.owner, W.c.id).where(W.c.sink == sink, W.c.document == document)
    query = query.where(W.c.state == HandoverState.DROPPED, W.c.last_reason == OVERTAKEN)
    return [(row.owner, row.id) for row in connection.execute(query)]


def sinks_of(connection: Connection, owner: int, document: int) -> set[str]:
    """Which sinks were ever owed a document: what happens to it later concerns them, whatever is routed now."""
    query = select(W.c.sink).distinct().where(owned_by(W), W.c.document == document)
    return {row.sink for row in connection.execute(query, own_parameters(owner))}


def open_rows(connection: Connection, limit: int | None = None) -> list[Handover]:
    """Everything that has not arrived, oldest first."""
    query = select(*_COLUMNS).where(W.c.state.in_(OPEN)).order_by(W.c.created_ms, W.c.id).limit(limit)
    return [_row(row) for row in connection.execute(query)]


def overdue(connection: Connection, before_ms: int, limit: int) -> list[Handover]:
    """Rows that wait since then or longer, and that nobody has been made aware of."""
    waits = W.c.state.in_((HandoverState.WAITING, HandoverState.BEHIND))
    known = select(H.c.message).where(H.c.what == HeldWhat.SINK, H.c.state == HeldState.WAITING)
    query = select(*_COLUMNS).where(waits, W.c.created_ms <= before_ms, W.c.id.not_in(known))
    return [_row(row) for row in connection.execute(query.order_by(W.c.created_ms).limit(limit))]


def by_sink_and_state(connection: Connection) -> dict[tuple[str, str], int]:
    query = select(W.c.sink, W.c.state, func.count()).where(W.c.state.in_(OPEN)).group_by(W.c.sink, W.c.state)
    return {(row[0], row[1]): int(row[2]) for row in connection.execute(query)}


def oldest_ms(connection: Connection) -> int | None:
    """Since when the oldest row that has not arrived waits."""
    value = connection.execute(select(func.min(W.c.created_ms)).where(W.c.state.in_(OPEN))).scalar()
    return None if value is None else int(value)


def _row(row: Any) -> Handover:
    return Handover(**row._mapping)
