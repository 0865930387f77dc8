"""Each test of the door's outside runs on every keeper of mail: dictionaries, SQLite, PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mss.model.clock import ManualClock
from tests.kit import databases
from tests.kit.imap_house import ImapHouse, Keeper, cellar_keeper, imap_house, memory_keeper
from tests.kit.pki import Pki
from tests.kit.postgres import Cluster


@pytest.fixture(scope="session")
def imap_pki() -> Pki:
    return Pki()


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def keeper(
    request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path, imap_pki: Pki
) -> AsyncIterator[Keeper]:
    """A store with people in it."""
    if request.param == "memory":
        yield memory_keeper(clock)
    elif request.param == "sqlite":
        async with cellar_keeper(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, imap_pki) as kept:
            yield kept
    else:
        cluster: Cluster = request.getfixturevalue("postgres_cluster")
        name, url = databases.postgres(cluster)
        async with cellar_keeper(url, tmp_path, clock, imap_pki) as kept:
            yield kept
        cluster.drop(name)


@pytest.fixture
async def house(keeper: Keeper, imap_pki: Pki, tmp_path: Path, clock: ManualClock) -> AsyncIterator[ImapHouse]:
    """A listening server."""
    async with imap_house(keeper, imap_pki, tmp_path, clock) as running:
        yield running
