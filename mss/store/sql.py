"""The few statements that SQLite and PostgreSQL spell differently, and the key that every row begins with."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, bindparam
from sqlalchemy import Connection as Connection  # the one name of SQLAlchemy that rooms may use: a transaction
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import SQLAlchemyError

from mss.model.errors import StorageUnavailable
from mss.model.ids import lane_of

DatabaseTrouble = SQLAlchemyError
"""Whatever the database refuses or cannot do: commands turn it into one line."""


class HotRow:
    """A SELECT of at most one row that every mail asks: on SQLite its text is made once and handed to the driver, which
    costs a tenth of what building, caching and wrapping cost. Elsewhere an ordinary statement."""

    def __init__(self, statement: Select[Any]) -> None:
        self._statement = statement
        compiled = statement.compile(dialect=sqlite.dialect())
        self._text = str(compiled)
        self._names = tuple(compiled.positiontup or ())

    def of(self, connection: Connection, parameters: Mapping[str, Any]) -> Sequence[Any] | None:
        """The row, or None. Raises StorageUnavailable, or what SQLAlchemy raises."""
        if connection.dialect.name != "sqlite":
            return connection.execute(self._statement, parameters).one_or_none()
        try:
            cursor = connection.connection.cursor()
            cursor.execute(self._text, [parameters[name] for name in self._names])
            row: Sequence[Any] | None = cursor.fetchone()
            cursor.close()
        except sqlite3.Error as problem:
            raise StorageUnavailable(type(problem).__name__) from problem
        return row


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
