"""Where do reads and writes go? One `Store` for SQLite and PostgreSQL, with one set of repositories.

Repositories are plain functions of a SQLAlchemy `Connection`. `read` runs one in a snapshot; `write` hands one to
the group-commit writer (mss/store/writer.py) and returns when it is durable. On SQLite both run in threads, on
PostgreSQL on the loop through `run_sync`. Nothing else opens a connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from mss.model.errors import BadValue
from mss.store.sql import to_driver
from mss.store.writer import CHECKPOINT_PAGES, LaneWriter, SqliteWriter, Work, as_ours

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")

READERS = 4
"""Read threads (SQLite) or pooled connections (PostgreSQL) of one process; two cores keep them busy."""
LANE_WRITERS = 4
"""Write connections of one process on PostgreSQL: transactions of different lanes overlap their syncs."""


class Store:
    """The cellar's door. Build with `Store.open`, end with `close`."""

    def __init__(self, url: str, writer: SqliteWriter | LaneWriter, readers: Engine | AsyncEngine) -> None:
        self.url = url
        self._writer = writer
        self._readers = readers
        self._threads = ThreadPoolExecutor(READERS, "read") if isinstance(readers, Engine) else None
        self._path = Path(make_url(url).database or "").resolve()
        self._at_hand: Connection | None = None

    @classmethod
    def open(cls, url: str) -> Store:
        """Open the database at `url` (`sqlite:///PATH` or `postgresql+asyncpg://…`). The schema must be there."""
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            if not parsed.database:
                raise BadValue("database_url: an SQLite store needs a file, sqlite:///PATH")
            path = Path(parsed.database).resolve()
            writing = sqlite_engine(path, write=True, begins=False)
            return cls(url, SqliteWriter(writing, path), sqlite_engine(path, write=False))
        if parsed.drivername != "postgresql+asyncpg":
            raise BadValue("database_url: use sqlite:///PATH or postgresql+asyncpg://USER@HOST/DATABASE")
        from sqlalchemy.ext.asyncio import (
            create_async_engine,
        )  # brings the ORM, half a second that SQLite can do without

        engine = create_async_engine(url, pool_size=READERS + LANE_WRITERS, max_overflow=2)
        return cls(url, LaneWriter(engine, LANE_WRITERS), engine)

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._readers.dialect.name

    @property
    def failed(self) -> bool:
        """A sync failed: nothing more will be acknowledged; the process should end and be started again."""
        return self._writer.failed

    async def read(self, question: Callable[[Connection], T]) -> T:
        """Run a repository function on one consistent snapshot. Raises StorageUnavailable when nobody answers."""
        try:
            if not isinstance(self._readers, Engine):
                async with self._readers.connect() as connection:
                    return await connection.run_sync(question)
            assert self._threads is not None
            return await asyncio.get_running_loop().run_in_executor(self._threads, _ask, self._readers, question)
        except (DBAPIError, OSError) as problem:
            raise as_ours(problem) from problem

    async def look_up(self, question: Callable[[Connection], T]) -> T:
        """Ask for a few rows by their keys, each as of its own moment. Raises StorageUnavailable when nobody answers.

        On SQLite answered where we stand: handing it to a thread costs ten times the look-up itself.
        """
        if not isinstance(self._readers, Engine):
            return await self.read(question)
        try:
            if self._at_hand is None:
                self._at_hand = sqlite_engine(self._path, write=False, begins=False).connect()
            return question(self._at_hand)
        except (DBAPIError, OSError) as problem:
            self._put_away()
            raise as_ours(problem) from problem

    def _put_away(self) -> None:
        if self._at_hand is not None:
            self._at_hand.close()
            self._at_hand.engine.dispose()
            self._at_hand = None

    async def write(self, lane: int, act: Callable[[Connection], T], *, size_bytes: int = 0, lazy: bool = False) -> T:
        """Run `act` in a transaction of `lane` shared with whoever waits too; durable when this returns.

        `act` may be run again when the shared transaction fails, so it must do nothing but database work.
        `lazy` acts (flags, counters) may be lost at a power cut (SQLite). Raises StorageUnavailable when the store
        cannot keep it; any other exception of `act` comes back as it was.
        """
        return cast(T, await self._writer.submit(Work(lane, act, size_bytes, lazy)))

    async def close(self) -> None:
        """Finish what is waiting, then let go of every connection."""
        await self._writer.close()
        if not isinstance(self._readers, Engine):
            await self._readers.dispose()
        else:
            assert self._threads is not None
            self._threads.shutdown(wait=True)
            self._put_away()
            self._readers.dispose()


def _ask(engine: Engine, question: Callable[[Connection], T]) -> T:
    with engine.connect() as connection:
        return question(connection)


def sqlite_engine(path: Path, *, write: bool, begins: bool = True) -> Engine:
    """An engine on an SQLite file: explicit BEGIN so that a snapshot is one, WAL, full sync, no mmap. Without `begins`
    each statement is a snapshot of its own, and none is left open between them, unless its user says BEGIN himself."""
    mode = "rwc" if write else "ro"
    engine = create_engine(
        f"sqlite:///file:{path}?mode={mode}&uri=true",
        poolclass=QueuePool,
        pool_size=1 if write else READERS,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": 30},
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # sqlite3 must not BEGIN by itself
        cursor = connection.cursor()
        if write:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")  # commits happen under our lock
        cursor.execute("PRAGMA mmap_size=0")
        cursor.execute("PRAGMA cache_size=-16000")
        cursor.execute("PRAGMA temp_store=MEMORY")  # no clear-text temporary file, ever
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if begins:
            to_driver(connection, "BEGIN")  # as a statement of SQLAlchemy's it would cost as much as a look-up

    return engine
