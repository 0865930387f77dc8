"""Fixtures of tests that need a whole house: `from tests.kit.rooms import house, sandbox` in a conftest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mss.model.clock import ManualClock, SeededChance
from mss.sandbox.pool import Sandbox
from tests.kit.house import House, open_house


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Real workers, started once."""
    running = Sandbox()
    running.start()
    yield running
    running.close()


@pytest.fixture
async def house(
    database_url: str, tmp_path: Path, clock: ManualClock, chance: SeededChance, sandbox: Sandbox
) -> AsyncIterator[House]:
    """A new operator, once on each engine."""
    async with open_house(database_url, tmp_path, clock, chance, sandbox) as opened:
        yield opened
