"""Who is told that old mail will be deleted? Whoever reads the mailbox, a month and a week ahead, by a letter in it.

A look every few hours, so that a day is never missed; what cannot be told now is told at the next look, and nothing is
deleted before (mss/mail/retention.py). A warning counts when it stands in the mailbox, not when it was sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime

import structlog

from mss.accounts.service import ADDRESS_KIND, profile_from_bytes
from mss.crypto.keys import Lookup
from mss.mail.letters import PARIS
from mss.mail.purging import Look, Purging
from mss.mail.retention import Step
from mss.mail.submit import HouseMail
from mss.model.clock import Clock
from mss.model.errors import MssError
from mss.model.ids import MailAddress, OwnerId
from mss.model.mailbox import SpecialUse
from mss.notices.compose import House
from mss.notices.plain import PlainLetters
from mss.store import owners
from mss.store.database import Store
from mss.vault.opener import Opener

LOOK_EVERY_S = 6 * 3600.0
LOOK_AFTER_S = 300.0
"""After a start others have more urgent work."""
ACTOR = "works"
_PLACES = {SpecialUse.TRASH: ("dans la corbeille", "in the trash"), SpecialUse.JUNK: ("indésirables", "junk")}

log = structlog.get_logger("retention")


def words(address: str, meant: Mapping[str, int], due: datetime, *, is_last: bool) -> str:
    """French, then English: how many messages, the day, and what to do."""
    count, day = sum(meant.values()), f"{due.astimezone(PARIS):%d/%m/%Y}"
    told = [(number, _PLACES.get(SpecialUse(use)) if use else None) for use, number in sorted(meant.items())]
    places = [(number, place) for number, place in told if place]
    inside = ", ".join(f"{number} {french}" for number, (french, _) in places)
    inside_english = ", ".join(f"{number} {english}" for number, (_, english) in places)
    inside, inside_english = (f" (dont {inside})" if inside else ""), (f" ({inside_english})" if inside else "")
    last, last_english = ("Dernier avis. ", "Last notice. ") if is_last else ("", "")
    return (
        f"Bonjour,\n\n{last}{count} message(s){inside} de la boîte {address} ont atteint la durée de conservation fixée"
        f" par votre opérateur : ils seront supprimés définitivement à partir du {day}.\n"
        "Les documents déjà classés dans un dossier de patient n'en font pas partie : ils restent.\n"
        "Que faire : pour garder un message, déplacez-le dans un autre dossier avant cette date (sa durée repart), ou"
        " enregistrez-le ailleurs. Pour tout garder, demandez à votre opérateur de suspendre la suppression.\n\n"
        "-- English --\n\n"
        f"{last_english}{count} message(s){inside_english} of the mailbox {address} have reached the age that your"
        f" operator has set: they are deleted for good from {day} on. Documents that were filed in a patient's record"
        " stay. To keep a message, move it to another folder before that day (its time begins anew), or save it"
        " elsewhere; to keep everything, ask your operator for a hold.\n"
    )


class RetentionWatch:
    """Lives in works."""

    def __init__(
        self,
        house: House,
        purging: Purging,
        store: Store,
        opener: Opener,
        lookup: Lookup,
        mail: HouseMail,
        clock: Clock,
    ) -> None:
        self._letters = PlainLetters(house, lookup, mail, clock)
        self._purging = purging
        self._store = store
        self._opener = opener

    async def keep_watch(self) -> None:
        """Look every few hours."""
        await asyncio.sleep(LOOK_AFTER_S)
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Whatever is due, mailbox by mailbox: one that fails does not stop the others."""
        try:
            found = await self._purging.mailboxes()
        except MssError as problem:
            log.error("retention.not-looked", error=type(problem).__name__)
            return
        for owner in found:
            try:
                await self._look_at(owner)
            except MssError as problem:
                log.error("retention.not-done", owner=owner, error=type(problem).__name__)

    async def _look_at(self, owner: OwnerId) -> None:
        look = await self._purging.look(owner)
        if look.step is Step.END:
            await self._purging.end(owner)
        elif look.step is Step.DELETE:
            log.info("retention.deleted", owner=owner, messages=await self._purging.delete(look))
        elif look.step is Step.MOVE:
            await self._warn(await self._purging.move(look))
        elif look.step is not Step.NOTHING:
            assert look.round is not None
            if look.step is Step.BEGIN:
                await self._purging.keep(owner, look.round)
            await self._warn(look)

    async def _warn(self, look: Look) -> None:
        """Put a warning into the mailbox; it counts once it is seen to stand there."""
        owner, running = look.owner, look.round
        assert running is not None
        box = await self._store.read(lambda c: owners.mailbox(c, owner))
        if box is None:
            return
        keys = await self._opener.open(owner, ACTOR, "retention notice")
        address = profile_from_bytes(keys.open_small(ADDRESS_KIND, 0, box.address_sealed)).address
        is_last = look.step is Step.REMIND
        about = f"retention {owner} {running.due:%Y-%m-%d} {'last' if is_last else 'first'}"
        day = f"{running.due.astimezone(PARIS):%d/%m/%Y}"
        subject = f"{look.count} message(s) seront supprimés à partir du {day}"
        text = words(address, look.meant, running.due, is_last=is_last)
        message_id = await self._letters.send(owner, MailAddress.parse(address), subject, text, about)
        if await self._purging.stands(owner, message_id):
            await self._purging.told(look)
            log.info("retention.told", owner=owner, messages=look.count, is_last=is_last)
        else:
            log.warning("retention.not-told", owner=owner)
