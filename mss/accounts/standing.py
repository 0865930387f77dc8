"""What becomes of a person's mailbox when nobody vouches for her any more? A table of named rules.

Pure: moments in, what to do out. Who vouches, when it was last asked and who acts is for whoever calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

SUSPENDED_SHARE_MAX = 0.01
"""More at once is a source that fell silent, or our own forgetting, and no reason to silence a hospital: staff are
asked."""
STAFF = "staff"
"""Checked by people of the operator, by other means than the directory."""


class Why(StrEnum):
    """Why somebody's access ended."""

    STRUCK_OFF = "struck-off"
    """Staff said so (the order's notice): no import brings her back."""
    LEFT_DIRECTORY = "left-directory"
    """An import does not know her any more; one that does brings her back."""
    OVERDUE = "overdue"
    """Nobody has checked in time; a check brings her back."""


FOR_GOOD = (Why.STRUCK_OFF, Why.LEFT_DIRECTORY)
"""After these the mailbox is closed when the time is up."""


class Step(StrEnum):
    """What is to be done now."""

    NOTHING = "nothing"
    TELL = "tell"
    SUSPEND = "suspend"


@dataclass(frozen=True, slots=True)
class Check:
    """Of one mailbox: until when somebody vouches, and when its holder was told that it is overdue."""

    next_check: datetime
    told_at: datetime | None


def judge(check: Check, now: datetime, grace: timedelta) -> Step:
    """An overdue check is told first; the grace begins when it was told, not before."""
    if now <= check.next_check:
        return Step.NOTHING
    if check.told_at is None or check.told_at < check.next_check:
        return Step.TELL
    return Step.SUSPEND if now >= check.told_at + grace else Step.NOTHING


def is_too_many(suspended: int, standing: int) -> bool:
    """Whether so many at once must be asked about. One alone is never a catastrophe of a file."""
    return suspended > 1 and suspended > standing * SUSPENDED_SHARE_MAX
