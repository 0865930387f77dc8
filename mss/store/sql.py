"""The few statements that SQLite and PostgreSQL spell differently, and the key that every row begins with."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from itertools import chain
from operator import itemgetter
from typing import Any, TypeVar, cast

from sqlalchemy import (
    ARRAY,
    ClauseElement,
    ColumnElement,
    Executable,
    Table,
    TableValuedAlias,
    and_,
    bindparam,
    func,
    select,
)
from sqlalchemy import Connection as Connection  # the one name of SQLAlchemy that rooms may use: a transaction
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from mss.model.ids import lane_of

T = TypeVar("T")
UIDS_AT_ONCE_MAX = 500
"""Numbers in one IN list; longer sets are cut up (SQLite's limit of variables, PostgreSQL's planner)."""
ROWS_OF_A_STATEMENT = 50
"""Of an import; a hundred and more cost as much again for the longer text."""
_SQLITE = sqlite.dialect()
DatabaseTrouble = SQLAlchemyError
"""Whatever the database refuses or cannot do: commands turn it into one line."""


class Hot:
    """A statement that every mail runs: on SQLite its text is made once and handed to the driver, which costs a tenth
    of what building, caching and wrapping cost. Elsewhere an ordinary statement."""

    def __init__(self, statement: Executable, columns: Sequence[str] | None = None) -> None:
        """`columns`: of an INSERT, those that rows bring."""
        self._statement = statement
        compiled = cast(ClauseElement, statement).compile(dialect=_SQLITE, column_keys=columns)
        assert isinstance(compiled, SQLCompiler)
        self._text = str(compiled)
        brought = frozenset(columns or ())
        self._fixed = {k: value for k, value in compiled.params.items() if value is not None and k not in brought}
        self._pick = _picker(compiled.positiontup or ())

    def of(self, connection: Connection, parameters: Mapping[str, Any]) -> Sequence[Any] | None:
        """The row that it answers, or None. Raises what SQLAlchemy raises."""
        if connection.dialect.name != "sqlite":
            return connection.execute(self._statement, parameters).one_or_none()
        cursor = self._run(connection, parameters)
        try:
            row: Sequence[Any] | None = cursor.fetchone()
        except sqlite3.Error as problem:
            raise told(self._text, problem) from problem
        cursor.close()
        return row

    def all(self, connection: Connection, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """The rows that it answers. Raises what SQLAlchemy raises."""
        if connection.dialect.name != "sqlite":
            return connection.execute(self._statement, parameters).all()
        cursor = self._run(connection, parameters)
        try:
            rows: Sequence[Sequence[Any]] = cursor.fetchall()
        except sqlite3.Error as problem:
            raise told(self._text, problem) from problem
        return rows

    def once(self, connection: Connection, row: Mapping[str, Any]) -> int:
        """Run it for one row. How many rows of the table it touched. Raises what SQLAlchemy raises."""
        if connection.dialect.name != "sqlite":
            return connection.execute(self._statement, row).rowcount
        return self.each(connection, [row])

    def each(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Run it for each row. How many rows of the table it touched, where the driver tells (SQLite); else a negative
        number. Raises what SQLAlchemy raises."""
        if not rows:
            return 0
        if connection.dialect.name != "sqlite":
            return connection.execute(self._statement, rows).rowcount
        cursor = self._run(connection, *rows)
        touched: int = cursor.rowcount
        cursor.close()
        return touched

    def each_as_it_is(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Run an INSERT on SQLite for rows that are in the order of its own parameters. Raises what SQLAlchemy raises.

        Many rows a statement: that costs less than half of a statement for each.
        """
        if not connection.in_transaction():
            connection.begin()
        driver = cast(sqlite3.Connection, connection.connection.dbapi_connection)
        single = f"({', '.join('?' * len(rows[0]))})"
        many = self._text.replace(single, ", ".join([single] * ROWS_OF_A_STATEMENT), 1)
        alone = len(rows) - len(rows) % ROWS_OF_A_STATEMENT
        together = range(0, alone, ROWS_OF_A_STATEMENT)
        try:
            driver.executemany(many, [[*chain(*rows[at : at + ROWS_OF_A_STATEMENT])] for at in together]).close()
            driver.executemany(self._text, rows[alone:]).close()
        except sqlite3.Error as problem:
            raise told(self._text, problem) from problem

    def _run(self, connection: Connection, *rows: Mapping[str, Any]) -> sqlite3.Cursor:
        if not connection.in_transaction():
            connection.begin()
        fixed, pick = self._fixed, self._pick
        values = [pick({**fixed, **row}) for row in rows] if fixed else [pick(row) for row in rows]
        driver = cast(sqlite3.Connection, connection.connection.dbapi_connection)
        try:
            if len(values) == 1:
                return driver.execute(self._text, values[0])
            return driver.executemany(self._text, values)
        except sqlite3.Error as problem:
            raise told(self._text, problem) from problem


def told(statement: str, problem: sqlite3.Error) -> BaseException:
    """As SQLAlchemy tells it, without the values."""
    return DBAPIError.instance(statement, None, problem, sqlite3.Error, hide_parameters=True)


def to_driver(connection: Connection, words: str) -> None:
    """A few words to SQLite past SQLAlchemy (BEGIN IMMEDIATE, COMMIT, a pragma). Raises what SQLAlchemy raises."""
    driver = cast(sqlite3.Connection, connection.connection.dbapi_connection)
    try:
        driver.execute(words).close()
    except sqlite3.Error as problem:
        raise told(words, problem) from problem


def _picker(names: Sequence[str]) -> Callable[[Mapping[str, Any]], Sequence[Any]]:
    """Takes the values of `names` out of a row."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda row: [row[name] for name in names]


_IGNORING: dict[tuple[str, str], Any] = {}
_HOT_IGNORING: dict[tuple[str, tuple[str, ...]], Hot] = {}


def insert_ignoring(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """INSERT … ON CONFLICT DO NOTHING: what stands already stays. How many rows are new, where the driver tells it
    (SQLite); a negative number elsewhere."""
    if connection.dialect.name == "sqlite":
        shape = (table.name, tuple(rows[0]))
        hot = _HOT_IGNORING.get(shape)
        if hot is None:
            hot = _HOT_IGNORING[shape] = Hot(sqlite.insert(table).on_conflict_do_nothing(), shape[1])
        return hot.each(connection, rows)
    cached = (connection.dialect.name, table.name)
    statement = _IGNORING.get(cached)
    if statement is None:
        dialect = import_module(f"sqlalchemy.dialects.{cached[0]}")  # each costs a tenth of a second at start
        statement = _IGNORING[cached] = dialect.insert(table).on_conflict_do_nothing()
    return connection.execute(statement, rows).rowcount


def pour(connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    """What `insert_ignoring` does, for rows by the million: values in the order of the table's columns. On PostgreSQL
    each column travels as one array, in one statement."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        hot = _POURING.get(table.name)
        if hot is None:
            hot = _POURING[table.name] = Hot(sqlite.insert(table).on_conflict_do_nothing(), table.c.keys())
        hot.each_as_it_is(connection, rows)
        return
    statement = _POURED.get(table.name)
    if statement is None:
        dialect = import_module("sqlalchemy.dialects.postgresql")
        columns = [bindparam(one.name, type_=ARRAY(one.type)) for one in table.c]
        arrays = select(func.unnest(*columns).table_valued(*table.c.keys()).render_derived())
        statement = dialect.insert(table).from_select(table.c.keys(), arrays).on_conflict_do_nothing()
        _POURED[table.name] = statement
    connection.execute(statement, dict(zip(table.c.keys(), map(list, zip(*rows, strict=True)), strict=True)))


_POURING: dict[str, Hot] = {}
_POURED: dict[str, Any] = {}


def each_of(dialect: str, name: str, kind: TypeEngine[Any]) -> TableValuedAlias:
    """A table with one column, `value`: as many values as one likes, of one parameter that `as_each` makes, so that the
    text of a statement is always the same."""
    if dialect == "sqlite":
        return func.json_each(bindparam(name)).table_valued("value", name=name)
    return func.unnest(bindparam(name, type_=ARRAY(kind))).table_valued("value").render_derived(name=name)


def as_each(connection: Connection, values: Sequence[int] | Sequence[str]) -> object:
    """The parameter behind `each_of`."""
    return json.dumps(values) if connection.dialect.name == "sqlite" else list(values)


def own(owner: int) -> dict[str, int]:
    """The first two columns of every owned row."""
    return {"lane": lane_of(owner), "owner": owner}


def owned_by(table: Table) -> ColumnElement[bool]:
    """`lane = :o_lane AND owner = :o_owner`, for prebuilt statements run with `own_parameters`."""
    return and_(table.c.lane == bindparam("o_lane"), table.c.owner == bindparam("o_owner"))


def own_parameters(owner: int) -> dict[str, int]:
    """Values for `owned_by`."""
    return {"o_lane": lane_of(owner), "o_owner": owner}


def parts(numbers: Sequence[T]) -> Iterable[Sequence[T]]:
    """Numbers, or other keys, in runs that fit into one IN list."""
    return (numbers[start : start + UIDS_AT_ONCE_MAX] for start in range(0, len(numbers), UIDS_AT_ONCE_MAX))
