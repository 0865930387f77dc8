"""Each test of the door's outside runs on every keeper of mail: dictionaries, SQLite, PostgreSQL."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mss.model.clock import ManualClock
from mss.store.create import create_or_upgrade
from tests.kit.imap_house import ImapHouse, Keeper, cellar_keeper, imap_house, memory_keeper
from tests.kit.pki import Pki
from tests.kit.postgres import Cluster


@pytest.fixture(scope="session")
def imap_pki() -> Pki:
    return Pki()


def _migrate(url: str) -> None:
    """In a thread with a loop of its own: fixtures may be asked for while one runs."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, create_or_upgrade(url)).result()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all tables, to be copied for each test."""
    path = tmp_path_factory.mktemp("template") / "mss.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_cluster: Cluster) -> str:
    """The same in PostgreSQL."""
    name = postgres_cluster.create()
    _migrate(postgres_cluster.url(name))
    return name


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def keeper(
    request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path, imap_pki: Pki
) -> AsyncIterator[Keeper]:
    """A store with people in it."""
    if request.param == "memory":
        yield memory_keeper(clock)
    elif request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "mss.db")
        async with cellar_keeper(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, imap_pki) as kept:
            yield kept
    else:
        cluster: Cluster = request.getfixturevalue("postgres_cluster")
        name = cluster.create(request.getfixturevalue("postgres_template"))
        async with cellar_keeper(cluster.url(name), tmp_path, clock, imap_pki) as kept:
            yield kept
        cluster.drop(name)


@pytest.fixture
async def house(keeper: Keeper, imap_pki: Pki, tmp_path: Path, clock: ManualClock) -> AsyncIterator[ImapHouse]:
    """A listening server."""
    async with imap_house(keeper, imap_pki, tmp_path, clock) as running:
        yield running
