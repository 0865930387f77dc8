"""A cellar on each engine, for tests of accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mss.model.clock import ManualClock, SeededChance
from tests.kit.people import Cellar, cellar


@pytest.fixture
async def house(database_url: str, tmp_path: Path, clock: ManualClock, chance: SeededChance) -> AsyncIterator[Cellar]:
    """Store, keys and sign-in; empty."""
    async with cellar(database_url, tmp_path, clock, chance) as opened:
        yield opened
