"""A database with all tables for each test: copied, since making them anew takes longer than most tests.

One template for each engine and process. What tests of creation itself want empty they take from the engine.
"""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from sqlalchemy import make_url

from mss.store.create import create_or_upgrade
from tests.kit.postgres import Cluster

_copied: set[str] = set()
"""URLs of databases that came with their tables."""


def _make_tables(url: str) -> None:
    """In a thread with a loop of its own: fixtures may be asked for while one runs."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, create_or_upgrade(url)).result()


@cache
def _sqlite_template() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="mss-template-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    _make_tables(f"sqlite:///{directory}/mss.db")
    return directory / "mss.db"


@cache
def _postgres_template(cluster: Cluster) -> str:
    name = cluster.create()
    _make_tables(cluster.url(name))
    return name


def postgres(cluster: Cluster) -> tuple[str, str]:
    """A new database with all tables: its name, to be dropped, and its URL."""
    name = cluster.create(_postgres_template(cluster))
    _copied.add(cluster.url(name))
    return name, cluster.url(name)


async def with_tables(url: str) -> None:
    """What `create_or_upgrade` does, from the template where the database is new."""
    where = make_url(url)
    if url in _copied:
        return
    if where.get_backend_name() != "sqlite" or Path(where.database or "").exists():
        await create_or_upgrade(url)
        return
    path = Path(where.database or "")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copyfile(_sqlite_template(), path)
