"""Who is told that the national directory does not say what we say of a mailbox? Staff, once a day, in numbers.

What it refused waits for a human; what could not be brought for a day is tried on, and somebody should know.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from mss.crypto.keys import Lookup
from mss.mail.letters import PARIS
from mss.mail.recipients import NOBODY
from mss.mail.submit import HouseMail
from mss.model.clock import Clock, to_ms
from mss.model.errors import MssError
from mss.model.ids import MailAddress
from mss.notices.compose import House
from mss.notices.plain import PlainLetters
from mss.store import ownmailboxes
from mss.store.database import Store

LOOK_EVERY_S = 600.0
TOLD_AFTER = timedelta(days=1)
SUBJECT = "[Alerte] boîtes non publiées dans l'annuaire national"

log = structlog.get_logger("directory")


def words(count: int) -> str:
    """French, then English: how many, and what to do."""
    return (
        f"Bonjour,\n\nl'annuaire national ne dit pas de {count} boîte(s) ce que nous en disons : il a refusé, ou n'a"
        " pas répondu depuis un jour.\nQue faire : mss directory publish --status donne chaque boîte et sa raison.\n\n"
        f"-- English --\n\nThe national directory does not say of {count} mailbox(es) what we say of them: it refused,"
        " or has not answered for a day. mss directory publish --status tells each and why.\n"
    )


class UnpublishedWatch:
    """Lives in works. `refused`: how a problem begins that waits for a human."""

    def __init__(
        self,
        house: House,
        staff: MailAddress,
        refused: str,
        store: Store,
        lookup: Lookup,
        mail: HouseMail,
        clock: Clock,
    ) -> None:
        self._letters = PlainLetters(house, lookup, mail, clock)
        self._staff = staff
        self._refused = refused
        self._store = store
        self._clock = clock

    async def keep_watch(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.look()
            except MssError as problem:
                log.error("directory.not-looked", error=type(problem).__name__)
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> int:
        """Tell staff when anything waits; the same message of a day changes nothing. Returns how much waits."""
        now = self._clock.now()
        before_ms = to_ms(now - TOLD_AFTER)
        count = await self._store.read(lambda c: ownmailboxes.stuck(c, self._refused, before_ms))
        if count:
            about = f"unpublished {now.astimezone(PARIS):%Y-%m-%d}"
            await self._letters.send(NOBODY, self._staff, SUBJECT, words(count), about)
            log.error("alarm.unpublished", mailboxes=count)
        return count
