"""What these tests stand on: a mail room over each engine (tests/kit/mailroom.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mss.mail.peers import TrustGate
from mss.model.clock import ManualClock, SeededChance
from tests.kit.mailroom import MailRoom, lab_gate, open_mailroom
from tests.kit.pki import Pki, pki

__all__ = ["pki"]


@pytest.fixture(scope="session")
def gate(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> TrustGate:
    """Trust as of today, read once."""
    return asyncio.run(lab_gate(pki, tmp_path_factory.mktemp("trust")))


@pytest.fixture
async def room(
    database_url: str, tmp_path: Path, clock: ManualClock, chance: SeededChance, gate: TrustGate, pki: Pki
) -> AsyncIterator[MailRoom]:
    """A new operator, once on each engine."""
    async with open_mailroom(database_url, tmp_path, clock, chance, gate, pki) as opened:
        yield opened
