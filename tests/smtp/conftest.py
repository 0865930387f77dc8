"""Certificates and open doors for every test of this folder."""

from collections.abc import AsyncIterator

import pytest

from tests.kit.pki import Pki, pki
from tests.kit.smtp_wire import SmtpHouse, smtp_house

__all__ = ["pki"]


@pytest.fixture
async def house(pki: Pki) -> AsyncIterator[SmtpHouse]:
    """The hospital's doors, with default limits."""
    async with smtp_house(pki) as opened:
        yield opened
