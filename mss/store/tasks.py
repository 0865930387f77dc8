"""Duties and mail waiting to leave: claimed lane by lane under a lease, done once in effect.

A worker that dies loses its lease, and another takes the row; whoever runs a row must therefore change nothing
the second time. Functions of a connection; the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from mss.store import schema
from mss.store.sql import Hot, insert_ignoring, own, own_parameters, owned_by

T = schema.task
Q = schema.queue

LEASE_MS_MAX = 3_600_000
"""No worker leases for longer than an hour (mss/runner.py, mss/mail/queue.py: minutes)."""
PAUSE_MS_MAX = 2 * 3_600_000
"""Mail in the queue is tried again within the hour (mss/mail/queue.py)."""


class RowState(StrEnum):
    """Of a task or of mail in the queue. FAILED and HELD wait for a human and never expire by themselves."""

    WAITING = "waiting"
    HELD = "held"
    DONE = "done"
    FAILED = "failed"


class NewTask(NamedTuple):
    id: int
    kind: str
    payload: bytes
    due_ms: int


@dataclass(frozen=True, slots=True)
class Task:
    owner: int
    id: int
    kind: str
    payload: bytes
    attempts: int


@dataclass(frozen=True, slots=True)
class NewQueued:
    """Mail for one next hop: sealed envelope, and the body's key sealed to the house's outbound pair."""

    id: int
    next_hop: str
    envelope_sealed: bytes
    body_key_sealed: bytes
    blob: int
    message_id_hmac: bytes
    created_ms: int
    next_try_ms: int
    expires_ms: int
    attempts: int = 0
    delay_told: int = 0


@dataclass(frozen=True, slots=True)
class Queued:
    owner: int
    id: int
    next_hop: str
    state: str
    envelope_sealed: bytes
    body_key_sealed: bytes
    blob: int
    message_id_hmac: bytes
    created_ms: int
    next_try_ms: int
    expires_ms: int
    attempts: int
    last_reason: str
    delay_told: int
    """1 once its sender was told that it is late."""


_WAITING = RowState.WAITING.value
_INSERT_TASK = Hot(insert(T), ("lane", "owner", "id", "kind", "payload", "due_ms", "state"))


def add_task(connection: Connection, owner: int, task: NewTask) -> None:
    add_tasks(connection, [(owner, task)])


def add_tasks(connection: Connection, owned: Sequence[tuple[int, NewTask]]) -> None:
    """Duties of (owner, duty) pairs."""
    rows = [
        own(owner)
        | {"id": task.id, "kind": task.kind, "payload": task.payload, "due_ms": task.due_ms, "state": _WAITING}
        for owner, task in owned
    ]
    _INSERT_TASK.each(connection, rows)


def add_task_once(connection: Connection, owner: int, task: NewTask) -> None:
    """The same for a duty whose number follows from its cause: one that waits already stays as it is."""
    row = {"id": task.id, "kind": task.kind, "payload": task.payload, "due_ms": task.due_ms}
    insert_ignoring(connection, T, [own(owner) | row | {"state": RowState.WAITING}])


_INSERT_QUEUED = Hot(insert(Q), ("lane", "owner", *NewQueued.__slots__, "state"))


def add_queued(connection: Connection, owner: int, mail: NewQueued) -> None:
    row = {name: getattr(mail, name) for name in NewQueued.__slots__}
    _INSERT_QUEUED.each(connection, [own(owner) | row | {"state": RowState.WAITING}])


_NOW: ColumnElement[int] = bindparam("now_ms")
_LEASED_MAX: ColumnElement[int] = bindparam("lease_limit_ms")
_PAUSED_MAX: ColumnElement[int] = bindparam("pause_limit_ms")


def _moments(now_ms: int) -> dict[str, int]:
    return {
        "now_ms": now_ms,
        "lease_limit_ms": now_ms + LEASE_MS_MAX,
        "pause_limit_ms": now_ms + PAUSE_MS_MAX,
    }


def _is_free(table: Table, without: Collection[str] = ()) -> ColumnElement[bool]:
    """Due, and nobody's. A lease or a pause longer than any that we give was given before the clock was set back."""
    moment = _moment(table)
    is_due = moment <= _NOW if table is T else or_(moment <= _NOW, moment > _PAUSED_MAX)
    lease = table.c.lease_until_ms
    free = and_(table.c.state == RowState.WAITING, is_due, or_(lease <= _NOW, lease > _LEASED_MAX))
    return and_(free, table.c.next_hop.not_in(without)) if without else free


def _moment(table: Table) -> ColumnElement[int]:
    return table.c.due_ms if table is T else table.c.next_try_ms


def _lanes(table: Table, without: Collection[str] = ()) -> Select[Any]:
    return select(table.c.lane).distinct().where(_is_free(table, without))


def _free_in_lane(table: Table, columns: Sequence[str], without: Collection[str] = ()) -> Select[Any]:
    return (
        select(*(table.c[name] for name in columns))
        .where(table.c.lane == bindparam("at_lane"), _is_free(table, without))
        .order_by(_moment(table), table.c.id)
        .limit(bindparam("at_most"))
        .with_for_update(skip_locked=True)
    )


def _lease(table: Table) -> Hot:
    leased = {
        "lease_owner": bindparam("worker"),
        "lease_until_ms": bindparam("until_ms"),
        "attempts": table.c.attempts + 1,
    }
    return Hot(update(table).where(owned_by(table), table.c.id == bindparam("which")).values(**leased))


def _next_due(table: Table) -> Hot:
    due = _moment(table)
    moment = case((table.c.lease_until_ms > due, table.c.lease_until_ms), else_=due)
    return Hot(select(func.min(moment)).where(table.c.state == RowState.WAITING))


_LANES_WITH_DUE = {table.name: Hot(_lanes(table)) for table in (T, Q)}
_FREE_TASKS, _FREE_MAIL = Hot(_free_in_lane(T, Task.__slots__)), Hot(_free_in_lane(Q, Queued.__slots__))
_LEASE = {table.name: _lease(table) for table in (T, Q)}
_NEXT_DUE = {table.name: _next_due(table) for table in (T, Q)}


def lanes_with_due(connection: Connection, table: Table, now_ms: int, without: Collection[str] = ()) -> list[int]:
    """Lanes in which something is due and not leased: where a worker should look. `without`: not these next hops."""
    if without:
        return [row.lane for row in connection.execute(_lanes(table, without), _moments(now_ms))]
    return [lane for (lane,) in _LANES_WITH_DUE[table.name].all(connection, _moments(now_ms))]


def next_due_ms(connection: Connection, table: Table) -> int | None:
    """When the next waiting row falls due, or its lease ends; None when nothing waits."""
    row = _NEXT_DUE[table.name].of(connection, {})
    return None if row is None or row[0] is None else int(row[0])


def claim_tasks(connection: Connection, lane: int, worker: str, now_ms: int, until_ms: int, limit: int) -> list[Task]:
    """Lease due tasks of a lane to a worker. `attempts` counts this one."""
    parameters = _moments(now_ms) | {"at_lane": lane, "at_most": limit}
    found = [Task(*row) for row in _FREE_TASKS.all(connection, parameters)]
    _take(connection, T, [(task.owner, task.id) for task in found], worker, until_ms)
    return sorted((replace(task, attempts=task.attempts + 1) for task in found), key=lambda task: task.id)


def _take(connection: Connection, table: Table, chosen: Sequence[tuple[int, int]], worker: str, until_ms: int) -> None:
    """Rows that this transaction has locked."""
    lease = {"worker": worker, "until_ms": until_ms}
    _LEASE[table.name].each(connection, [own_parameters(owner) | lease | {"which": one} for owner, one in chosen])


def claim_queued(
    connection: Connection,
    lane: int,
    worker: str,
    now_ms: int,
    until_ms: int,
    limit: int,
    without: Collection[str] = (),
) -> list[Queued]:
    """Lease mail due in a lane to a courier, but none for the next hops in `without`."""
    parameters = _moments(now_ms) | {"at_lane": lane, "at_most": limit}
    if without:
        rows: Iterable[Sequence[Any]] = connection.execute(_free_in_lane(Q, Queued.__slots__, without), parameters)
    else:
        rows = _FREE_MAIL.all(connection, parameters)
    found = [Queued(*row) for row in rows]
    _take(connection, Q, [(mail.owner, mail.id) for mail in found], worker, until_ms)
    return sorted((replace(mail, attempts=mail.attempts + 1) for mail in found), key=lambda mail: mail.id)


def _queued(row: Any) -> Queued:
    return Queued(**{name: getattr(row, name) for name in Queued.__slots__})


_STANDS = {
    table.name: Hot(select(table.c.id).where(owned_by(table), table.c.id == bindparam("which"))) for table in (T, Q)
}


def stands(connection: Connection, table: Table, owner: int, row_id: int) -> bool:
    """Whether a row is still there."""
    return _STANDS[table.name].of(connection, own_parameters(owner) | {"which": row_id}) is not None


_FINISH = {table.name: Hot(delete(table).where(owned_by(table), table.c.id == bindparam("which"))) for table in (T, Q)}


def finish(connection: Connection, table: Table, owner: int, ids: Sequence[int]) -> int:
    """Remove rows that are done. Returns how many were still there: 0 when somebody else finished first."""
    return sum(_FINISH[table.name].once(connection, own_parameters(owner) | {"which": one}) for one in ids)


def put_back(
    connection: Connection,
    table: Table,
    owner: int,
    row_id: int,
    when_ms: int,
    reason: str,
    *,
    attempts: int | None = None,
) -> None:
    """Give a row back, to be tried again at `when_ms`. `attempts`: count from there, when this one was no attempt."""
    moment = "due_ms" if table is T else "next_try_ms"
    values = {moment: when_ms, "lease_until_ms": 0, "lease_owner": "", "last_reason": reason[:200]}
    if attempts is not None:
        values["attempts"] = attempts
    connection.execute(
        update(table).where(owned_by(table), table.c.id == row_id).values(**values), own_parameters(owner)
    )


def mark_delay_told(connection: Connection, owner: int, row_id: int) -> None:
    """The sender of this mail has been told that it is late."""
    told = update(Q).where(owned_by(Q), Q.c.id == row_id).values(delay_told=1)
    connection.execute(told, own_parameters(owner))


def set_row_state(connection: Connection, table: Table, owner: int, row_id: int, state: RowState, reason: str) -> None:
    """Park a row (HELD, FAILED) or let it go again (WAITING)."""
    values = {"state": state, "lease_until_ms": 0, "lease_owner": "", "last_reason": reason[:200]}
    connection.execute(
        update(table).where(owned_by(table), table.c.id == row_id).values(**values), own_parameters(owner)
    )


_RENEW = (
    update(Q)
    .where(owned_by(Q), Q.c.id == bindparam("which"), Q.c.lease_owner == bindparam("worker"))
    .values(lease_until_ms=bindparam("until"))
)


def renew_lease(connection: Connection, owner: int, row_id: int, worker: str, until_ms: int) -> bool:
    """Keep mail leased while it is being sent; False when another courier has it."""
    parameters = own_parameters(owner) | {"which": row_id, "worker": worker, "until": until_ms}
    return connection.execute(_RENEW, parameters).rowcount == 1


def is_leased(connection: Connection, owner: int, row_id: int, now_ms: int) -> bool:
    """Whether a courier has this mail at this moment."""
    query = select(Q.c.lease_until_ms).where(owned_by(Q), Q.c.id == row_id)
    until_ms = connection.execute(query, own_parameters(owner)).scalar_one_or_none()
    return until_ms is not None and now_ms < until_ms <= now_ms + LEASE_MS_MAX


def lanes_kept_from(connection: Connection, next_hop: str, reason: str) -> list[int]:
    """Lanes in which mail for that hop waits because of that."""
    query = select(Q.c.lane).distinct().where(_kept_from(next_hop, reason))
    return [row.lane for row in connection.execute(query)]


def bring_forward(connection: Connection, lane: int, next_hop: str, reason: str, now_ms: int) -> int:
    """Make mail due that waits for that hop because of that. Returns how much it was."""
    kept = and_(Q.c.lane == lane, Q.c.next_try_ms > now_ms, _kept_from(next_hop, reason))
    return connection.execute(update(Q).where(kept).values(next_try_ms=now_ms)).rowcount


def _kept_from(next_hop: str, reason: str) -> ColumnElement[bool]:
    is_waiting = and_(Q.c.state == RowState.WAITING, Q.c.lease_owner == "")
    return and_(is_waiting, Q.c.next_hop == next_hop, Q.c.last_reason.startswith(reason, autoescape=True))


def lease_holders(connection: Connection, table: Table) -> list[tuple[int, str]]:
    """(lane, worker) of all leases, those that ran out included."""
    query = select(table.c.lane, table.c.lease_owner).where(table.c.lease_owner != "").distinct()
    return [(row.lane, row.lease_owner) for row in connection.execute(query)]


def free_leases(connection: Connection, table: Table, lane: int, worker: str) -> int:
    """End a worker's leases in a lane. Returns how many there were."""
    held = and_(table.c.lane == lane, table.c.lease_owner == worker)
    return connection.execute(update(table).where(held).values(lease_owner="", lease_until_ms=0)).rowcount


def list_queue(connection: Connection) -> list[Queued]:
    """All mail that has not left, oldest first: `mss queue list`."""
    return [_queued(row) for row in connection.execute(select(Q).order_by(Q.c.created_ms))]


def queued(connection: Connection, owner: int, row_id: int) -> Queued | None:
    """One mail of the queue."""
    row = connection.execute(select(Q).where(owned_by(Q), Q.c.id == row_id), own_parameters(owner)).one_or_none()
    return None if row is None else _queued(row)


def failed_tasks(connection: Connection) -> list[Task]:
    """Duties that gave up and wait for a human."""
    query = select(T).where(T.c.state == RowState.FAILED).order_by(T.c.due_ms)
    return [Task(r.owner, r.id, r.kind, r.payload, r.attempts) for r in connection.execute(query)]
