"""The few statements that SQLite and PostgreSQL spell differently, and the key that every row begins with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, bindparam
from sqlalchemy import Connection as Connection  # the one name of SQLAlchemy that rooms may use: a transaction
from sqlalchemy.exc import SQLAlchemyError

from mss.model.ids import lane_of

DatabaseTrouble = SQLAlchemyError
"""Whatever the database refuses or cannot do: commands turn it into one line."""

_IGNORING: dict[tuple[str, str], Any] = {}


def insert_ignoring(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """INSERT … ON CONFLICT DO NOTHING: what stands already stays. How many rows are new, where the driver tells it
    (SQLite); a negative number elsewhere."""
    cached = (connection.dialect.name, table.name)
    statement = _IGNORING.get(cached)
    if statement is None:
        dialect = import_module(f"sqlalchemy.dialects.{cached[0]}")  # each costs a tenth of a second at start
        statement = _IGNORING[cached] = dialect.insert(table).on_conflict_do_nothing()
    return connection.execute(statement, rows).rowcount


def own(owner: int) -> dict[str, int]:
    """The first two columns of every owned row."""
    return {"lane": lane_of(owner), "owner": owner}


def owned_by(table: Table) -> ColumnElement[bool]:
    """`lane = :o_lane AND owner = :o_owner`, for prebuilt statements run with `own_parameters`."""
    return and_(table.c.lane == bindparam("o_lane"), table.c.owner == bindparam("o_owner"))


def own_parameters(owner: int) -> dict[str, int]:
    """Values for `owned_by`."""
    return {"o_lane": lane_of(owner), "o_owner": owner}
