"""The patient's pages on real sockets, with a laboratory that writes to her."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mss.model.clock import ManualClock, SeededChance
from mss.sandbox.pool import Sandbox
from tests.web.site import Site, site_at


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Workers for the whole session; they load for half a second."""
    workers = Sandbox()
    workers.start()
    yield workers
    workers.close()


@pytest.fixture
async def site(tmp_path: Path, clock: ManualClock, chance: SeededChance, sandbox: Sandbox) -> AsyncIterator[Site]:
    """Pages over a fresh store."""
    async with site_at(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance, sandbox) as opened:
        yield opened


@pytest.fixture
async def any_site(
    database_url: str, tmp_path: Path, clock: ManualClock, chance: SeededChance, sandbox: Sandbox
) -> AsyncIterator[Site]:
    """The same on each engine, for what touches the store in every way."""
    async with site_at(database_url, tmp_path, clock, chance, sandbox) as opened:
        yield opened
