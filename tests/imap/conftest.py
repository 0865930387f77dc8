"""Each test of the door's outside runs on every keeper of mail: dictionaries, SQLite, PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mss.model.clock import ManualClock
from tests.kit.imap_house import ImapHouse, Keeper, imap_house, memory_keeper
from tests.kit.pki import Pki


@pytest.fixture(scope="session")
def imap_pki() -> Pki:
    return Pki()


@pytest.fixture(params=["memory"])
async def keeper(request: pytest.FixtureRequest, clock: ManualClock) -> AsyncIterator[Keeper]:
    """A store with people in it."""
    yield memory_keeper(clock)


@pytest.fixture
async def house(keeper: Keeper, imap_pki: Pki, tmp_path: Path, clock: ManualClock) -> AsyncIterator[ImapHouse]:
    """A listening server."""
    async with imap_house(keeper, imap_pki, tmp_path, clock) as running:
        yield running
