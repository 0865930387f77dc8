"""May this address no longer answer? What we met of it, and how long ago it last wrote: a hint before one writes. Pure.

Two signs of doubt: the last mail that we sent came back, and nothing was sent from it since; or it used to write, and
has not for a year. An address that never wrote to us (a hospital's software that only takes) is not doubted for it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

SILENT = timedelta(days=365)
"""Whoever has a mailbox for care and does not write once in a year has most likely left it."""


class Doubt(StrEnum):
    """Why it may not answer."""

    CAME_BACK = "came-back"
    SILENT = "silent"


def doubt_of(bounces: int, bounced_at: datetime | None, wrote_on: datetime | None, now: datetime) -> Doubt | None:
    """`bounces`: since mail was last taken; `wrote_on`: the beginning of the day on which it last wrote, as far as we
    saw. Mail of the day of the bounce itself may have been before it, and lifts nothing."""
    if bounces and not (wrote_on and bounced_at and wrote_on > bounced_at):
        return Doubt.CAME_BACK
    return Doubt.SILENT if wrote_on is not None and now - wrote_on > SILENT else None
