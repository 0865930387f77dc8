"""A house with an address book, on each engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from mss.ldap.server import Caps
from mss.ldap.session import Settings
from mss.model.clock import ManualClock, SeededChance
from tests.directory.test_search import FILE
from tests.kit.ldap_house import LdapHouse, ldap_house
from tests.kit.people import cellar
from tests.kit.pki import Pki

Build = Callable[..., Awaitable[LdapHouse]]


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki()


@pytest.fixture
async def book(build: Build) -> LdapHouse:
    """Nine entries."""
    return await build()


@pytest.fixture
async def book_anywhere(
    database_url: str, tmp_path: Path, clock: ManualClock, chance: SeededChance, pki: Pki
) -> AsyncIterator[LdapHouse]:
    """The same on SQLite and on PostgreSQL."""
    async with cellar(database_url, tmp_path, clock, chance) as below, ldap_house(below, pki, tmp_path) as house:
        await house.import_lines(FILE, tmp_path)
        yield house


@pytest.fixture
async def build(tmp_path: Path, clock: ManualClock, chance: SeededChance, pki: Pki) -> AsyncIterator[Build]:
    """Houses with the limits that a test wants, on SQLite."""
    async with AsyncExitStack() as stack:

        async def make(caps: Caps | None = None, content: list[str] | None = None, **settings: Any) -> LdapHouse:
            url = f"sqlite:///{tmp_path}/mss.db"
            below = await stack.enter_async_context(cellar(url, tmp_path, clock, chance))
            opened = ldap_house(below, pki, tmp_path, Settings(**settings), caps)
            house = await stack.enter_async_context(opened)
            await house.import_lines(content or FILE, tmp_path)
            return house

        yield make
