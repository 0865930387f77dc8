"""How does an empty database get its tables, and an old one its newer ones? Alembic, and the first rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, make_url, pool
from sqlalchemy.ext.asyncio import create_async_engine

from mss.model.ids import LANES
from mss.store import audit, powercut, schema
from mss.store.sql import insert_ignoring

T = TypeVar("T")

_MIGRATIONS = Path(__file__).parent / "migrations"


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """Bring the schema to the newest version and write the first rows. Safe to repeat."""
    command.upgrade(_config(connection), "head")
    insert_ignoring(connection, schema.house, [{"name": "lanes", "value": str(LANES).encode()}])
    insert_ignoring(connection, schema.house, [{"name": powercut.NAME, "value": powercut.boot_id()}])
    audit.create_heads(connection)


def version(connection: Connection) -> tuple[str, str]:
    """(version of the database, newest version known here)."""
    current = MigrationContext.configure(connection).get_current_revision() or ""
    return current, ScriptDirectory.from_config(_config(connection)).get_current_head() or ""


async def create_or_upgrade(url: str) -> None:
    """Make or upgrade the database at `url`, which must exist (SQLite: the file is made)."""
    if make_url(url).get_backend_name() == "sqlite":
        database = make_url(url).database
        assert database, "an SQLite store needs a file"
        Path(database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    await _alone(url, upgrade)


async def versions(url: str) -> tuple[str, str]:
    """(version of the database, newest version known here); the first is empty without tables."""
    return await _alone(url, version)


async def _alone(url: str, act: Callable[[Connection], T]) -> T:
    """Run something on a connection of its own, in one transaction."""
    if make_url(url).get_backend_name() == "sqlite":
        engine = create_engine(url, poolclass=pool.NullPool)
        try:
            with engine.connect() as connection:  # for good: a first reader in another mode would lock writers out
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            with engine.begin() as connection:
                return act(connection)
        finally:
            engine.dispose()
    asynchronous = create_async_engine(url, poolclass=pool.NullPool)
    try:
        async with asynchronous.begin() as opened:
            return await opened.run_sync(act)
    finally:
        await asynchronous.dispose()
