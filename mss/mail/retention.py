"""When may old mail go, and what must have been said before? Nothing goes that was not told twice.

A mailbox has one round at a time. It begins when messages will be old enough within a month: its holder is told how
many, and the day. A week before that day she is told again; then they go, and only they. A warning that could not be
put into the mailbox in time moves the day, never the other way round. Pure: moments and counts in, what to do out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from mss.model.clock import to_ms
from mss.model.mailbox import MailboxKind
from mss.model.mailbox import RetentionRule as Rule

FIRST_WARNING = timedelta(days=30)
LAST_WARNING = timedelta(days=7)
"""At least so long before anything goes."""
SLACK = timedelta(days=1)
"""Within so long a warning must stand in the mailbox; then it is written anew, with a later day."""


Bounds = Mapping[Rule, int]
"""By rule: messages that came into their folder until this moment (ms) are meant."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator has set; what is not there is kept for ever."""

    trash: timedelta | None = None
    junk: timedelta | None = None
    mailbox: Mapping[MailboxKind, timedelta] = field(default_factory=dict)

    def of(self, kind: MailboxKind) -> Mapping[Rule, timedelta]:
        """How long a mailbox keeps what. A patient's keeps everything, whatever is set."""
        if kind is MailboxKind.PATIENT:
            return {}
        ages = {Rule.MAILBOX: self.mailbox.get(kind), Rule.TRASH: self.trash, Rule.JUNK: self.junk}
        return {rule: age for rule, age in ages.items() if age is not None}


@dataclass(frozen=True, slots=True)
class Round:
    """What a mailbox's holder is being told of."""

    due: datetime
    """Nothing goes earlier."""
    bounds: Bounds
    told: datetime | None = None
    """When the first warning stood in her mailbox."""
    reminded: datetime | None = None
    """When the last one did."""


class Step(StrEnum):
    """What is to be done now."""

    NOTHING = "nothing"
    BEGIN = "begin"
    """A round, anew: the day is `first_day`."""
    TELL = "tell"
    MOVE = "move"
    """The day is `moved_day`, and the last warning is owed again."""
    REMIND = "remind"
    DELETE = "delete"
    END = "end"
    """Nothing that was told of is left, or it may stay."""


def first_day(now: datetime) -> datetime:
    """When a round that begins now ends."""
    return now + FIRST_WARNING + SLACK


def moved_day(now: datetime) -> datetime:
    """The day of a round whose last warning is late."""
    return now + LAST_WARNING + SLACK


def bounds(ages: Mapping[Rule, timedelta], due: datetime) -> dict[Rule, int]:
    """What will be old enough at a moment."""
    return {rule: to_ms(due - age) for rule, age in ages.items()}


def still(told: Bounds, now: Bounds) -> dict[Rule, int]:
    """What was told of and is still to go by the settings of today: longer ones count, shorter ones were not told."""
    return {rule: min(until, now[rule]) for rule, until in told.items() if rule in now}


def judge(running: Round | None, meant: int, now: datetime) -> Step:
    """`meant`: how many messages the round is about, or would be."""
    if running is None:
        return Step.BEGIN if meant else Step.NOTHING
    if not meant:
        return Step.END
    if running.told is None:
        return Step.TELL if now <= running.due - FIRST_WARNING else Step.BEGIN
    if running.reminded is None:
        if now < running.due - LAST_WARNING - SLACK:
            return Step.NOTHING
        return Step.REMIND if now <= running.due - LAST_WARNING else Step.MOVE
    if now < running.due:
        return Step.NOTHING
    # Long after the day nobody remembers the warning: works did not run, or the mailbox was suspended meanwhile.
    return Step.DELETE if now <= running.due + LAST_WARNING else Step.MOVE
