"""How much waits, and since when? Counts and ages for whoever watches, from indexes: asked every few seconds."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from mss.store import recordschema, schema
from mss.store.records import HeldState
from mss.store.tasks import RowState

Q = schema.queue
T = schema.task
H = recordschema.held


def queue_by_state(connection: Connection) -> dict[str, float]:
    """Mail that has not left: waiting, held, failed."""
    known = dict.fromkeys((RowState.WAITING.value, RowState.HELD.value, RowState.FAILED.value), 0.0)
    query = select(Q.c.state, func.count()).group_by(Q.c.state)
    return known | {row[0]: float(row[1]) for row in connection.execute(query)}


def oldest_queued_ms(connection: Connection) -> int | None:
    """When the oldest mail that still waits to leave was taken in."""
    return _moment(connection.execute(select(func.min(Q.c.created_ms)).where(Q.c.state == RowState.WAITING)).scalar())


def held_by_reason(connection: Connection) -> dict[str, float]:
    """What waits for a human."""
    query = select(H.c.reason, func.count()).where(H.c.state == HeldState.WAITING).group_by(H.c.reason)
    return {row[0]: float(row[1]) for row in connection.execute(query)}


def held(connection: Connection, state: HeldState, before_ms: int | None = None) -> float:
    """How many are in that state; with `before_ms` those since then or longer."""
    query = select(func.count()).where(H.c.state == state)
    query = query if before_ms is None else query.where(H.c.held_ms <= before_ms)
    return float(connection.execute(query).scalar_one())


def oldest_held_ms(connection: Connection, state: HeldState) -> int | None:
    return _moment(connection.execute(select(func.min(H.c.held_ms)).where(H.c.state == state)).scalar())


def tasks_by_state(connection: Connection) -> dict[str, float]:
    """Duties: waiting (also those whose moment has not come), failed."""
    known = dict.fromkeys((RowState.WAITING.value, RowState.FAILED.value), 0.0)
    query = select(T.c.state, func.count()).group_by(T.c.state)
    return known | {row[0]: float(row[1]) for row in connection.execute(query)}


def most_overdue_task_ms(connection: Connection, now_ms: int) -> int | None:
    """Since when the oldest duty that is due has not been done."""
    query = select(func.min(T.c.due_ms)).where(T.c.state == RowState.WAITING, T.c.due_ms <= now_ms)
    return _moment(connection.execute(query).scalar())


def _moment(value: int | None) -> int | None:
    return None if value is None else int(value)
