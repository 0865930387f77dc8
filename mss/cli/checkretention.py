"""The doctor on retention: how long mail is kept, and what will be deleted within the next month."""

from __future__ import annotations

from collections.abc import Sequence

from mss.cli.common import Finding, store_exists
from mss.cli.mailboxretention import purging_of
from mss.config import Config
from mss.foundation import lay, retention_rules
from mss.mail.purging import Look
from mss.mail.retention import FIRST_WARNING
from mss.model.errors import MssError
from mss.model.mailbox import MailboxKind
from mss.store.sql import DatabaseTrouble

LOOKED_AT_MAX = 100
"""Mailboxes whose messages are counted, those whose day comes first: of the others only how many they are."""


async def look_at_retention(config: Config) -> list[Finding]:
    """Never red: it tells."""
    rules = retention_rules(config)
    if not any(rules.of(kind) for kind in MailboxKind):
        return [Finding(True, "retention: mail is kept for ever")]
    if not store_exists(config):
        return []
    try:
        ground = await lay(config, "command", hears=False)
        try:
            purging, until = purging_of(ground), ground.clock.now() + FIRST_WARNING
            ending, first = await purging.ending(until, LOOKED_AT_MAX)
            found = [await purging.look(owner) for owner in first]
        finally:
            await ground.close()
    except (MssError, DatabaseTrouble) as problem:
        name = type(problem).__name__
        return [Finding(False, f"retention: cannot be looked at ({name})", "see the line about the database")]
    going = [look for look in found if look.count and look.round is not None and look.round.due <= until]
    return [Finding(True, f"retention: {told(going, ending - len(found))}")]


def told(going: Sequence[Look], others: int) -> str:
    """What goes within the month, in words: `others` are mailboxes whose day comes later than those of all `going`."""
    if not going:
        return f"{others} mailboxes were told of a deletion" if others else "nothing is deleted within 30 days"
    first = min(look.round.due for look in going if look.round is not None)
    count, boxes = sum(look.count for look in going), len(going)
    words = f"{count} messages of {boxes} mailboxes are deleted within 30 days, the first on {first:%Y-%m-%d}"
    more = f", and more of {others} others" if others else ""
    return f"{words}{more} (mss mailbox retention ADDRESS; --hold stops it)"
