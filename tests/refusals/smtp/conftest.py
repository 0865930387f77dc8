"""Certificates and open mail doors for tests of refusal."""

from collections.abc import AsyncIterator

import pytest

from mss.smtp.limits import Limits
from tests.kit.pki import Pki, pki
from tests.kit.smtp_wire import SmtpHouse, smtp_house

__all__ = ["pki"]

HASTY = Limits(handshake_s=0.3, command_s=0.4, data_s=0.4, closing_s=0.3)


@pytest.fixture
async def house(pki: Pki) -> AsyncIterator[SmtpHouse]:
    """The hospital's doors, with default limits."""
    async with smtp_house(pki) as opened:
        yield opened


@pytest.fixture
async def hasty_house(pki: Pki) -> AsyncIterator[SmtpHouse]:
    """The same with little patience."""
    async with smtp_house(pki, HASTY) as opened:
        yield opened
