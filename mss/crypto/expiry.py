"""How long does a certificate still hold, and is it time to say so? Pure."""

from __future__ import annotations

import math
from datetime import datetime

WARN_DAYS = (30, 7, 1)
"""A month: IGC-Santé issues on application. A week: somebody forgot. A day: wake them."""
ENDED = 0


def days_left(not_after: datetime, now: datetime) -> int:
    """Whole days, counted down; nought or less once it has ended."""
    return math.floor((not_after - now).total_seconds() / 86_400) + (1 if not_after > now else 0)


def threshold(not_after: datetime, now: datetime) -> int | None:
    """The smallest of the warnings that is due, ENDED after the end, None while there is time."""
    left = days_left(not_after, now)
    if left <= 0:
        return ENDED
    return min((days for days in WARN_DAYS if left <= days), default=None)
