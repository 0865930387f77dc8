"""The doctor on retention: how long mail is kept, and what will be deleted within the next month."""

from __future__ import annotations

from mss.cli.common import Finding, store_exists
from mss.cli.mailboxretention import purging_of
from mss.config import Config
from mss.foundation import lay, retention_rules
from mss.mail.retention import FIRST_WARNING
from mss.model.errors import MssError
from mss.model.mailbox import MailboxKind
from mss.store.sql import DatabaseTrouble


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
            found = [await purging.look(owner) for owner in await purging.mailboxes()]
        finally:
            await ground.close()
    except (MssError, DatabaseTrouble) as problem:
        name = type(problem).__name__
        return [Finding(False, f"retention: cannot be looked at ({name})", "see the line about the database")]
    going = [look for look in found if look.count and look.round is not None and look.round.due <= until]
    if not going:
        return [Finding(True, "retention: nothing is deleted within 30 days")]
    first = min(look.round.due for look in going if look.round is not None)
    count, boxes = sum(look.count for look in going), len(going)
    told = f"{count} messages of {boxes} mailboxes are deleted within 30 days, the first on {first:%Y-%m-%d}"
    return [Finding(True, f"retention: {told} (mss mailbox retention ADDRESS; --hold stops it)")]
