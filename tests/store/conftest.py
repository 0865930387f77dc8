"""A cellar on each engine, and a mailbox in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mss.model.clock import ManualClock, SeededChance
from mss.model.ids import OwnerId
from tests.kit.people import Cellar, cellar


@pytest.fixture
async def house(database_url: str, tmp_path: Path, clock: ManualClock, chance: SeededChance) -> AsyncIterator[Cellar]:
    """Store and keys; empty."""
    async with cellar(database_url, tmp_path, clock, chance) as opened:
        yield opened


@pytest.fixture
async def owner(house: Cellar) -> OwnerId:
    """A professional's mailbox."""
    return await house.professional("camille@ville.mssante.example")
