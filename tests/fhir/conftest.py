"""The FHIR door over a small directory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kit.fhirdoor import Door, copied, open_door
from tests.kit.pki import pki

__all__ = ["pki"]


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory, imported once; tests get copies."""
    folder = tmp_path_factory.mktemp("filled")

    async def fill() -> None:
        async with open_door(f"sqlite:///{folder}/mss.db", folder):
            pass

    asyncio.run(fill())
    return folder


@pytest.fixture
async def door(filled: Path, tmp_path: Path) -> AsyncIterator[Door]:
    """On SQLite."""
    async with open_door(copied(filled, tmp_path), tmp_path, ()) as opened:
        yield opened


@pytest.fixture
async def any_door(database_url: str, tmp_path: Path) -> AsyncIterator[Door]:
    """On each engine, for what walks along keys."""
    async with open_door(database_url, tmp_path) as opened:
        yield opened
