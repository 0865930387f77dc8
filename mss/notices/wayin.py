"""Who is told that a way in to the pages of professionals was opened? Whoever reads the mailbox it belongs to.

A link is handed over by letter; whoever opened the letter before her would be in. A mail in her own mailbox, which the
link does not open, tells her so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog

from mss.accounts.professionals import WAY_IN
from mss.accounts.service import ADDRESS_KIND, profile_from_bytes
from mss.crypto.keys import Lookup
from mss.mail.letters import PARIS
from mss.mail.submit import HouseMail
from mss.model.clock import Clock, from_ms
from mss.model.ids import MailAddress, OwnerId
from mss.notices.compose import House
from mss.notices.plain import PlainLetters
from mss.store import owners
from mss.store.database import Store
from mss.store.tasks import Task
from mss.vault.opener import Opener

ACTOR = "works"
SUBJECT = "Un accès aux pages web a été ouvert"

log = structlog.get_logger("wayin")


def words(address: str, at: datetime) -> str:
    """French, then English: what happened, when, and what to do if it was somebody else."""
    day, hour = f"{at.astimezone(PARIS):%d/%m/%Y}", f"{at.astimezone(PARIS):%H:%M}"
    return (
        f"Bonjour,\n\nun mot de passe et des codes viennent d'être choisis pour ouvrir les pages web de la boîte\n"
        f"{address}, le {day} à {hour} (heure de Paris), par le lien que votre opérateur a remis.\n"
        "Vos logiciels de messagerie ne sont pas concernés.\nCe n'était pas vous : prévenez aussitôt votre opérateur,"
        " qui ferme cet accès et remet un nouveau lien.\n\n-- English --\n\n"
        f"A password and codes were chosen for the web pages of {address}, on {day} at {hour} (Paris), by the link that"
        " your operator handed over. If it was not you, tell your operator at once.\n"
    )


class WayInNotices:
    """Lives in works."""

    def __init__(
        self, house: House, store: Store, opener: Opener, lookup: Lookup, mail: HouseMail, clock: Clock
    ) -> None:
        self._letters = PlainLetters(house, lookup, mail, clock)
        self._store = store
        self._opener = opener

    @property
    def handlers(self) -> dict[str, Callable[[Task], Awaitable[None]]]:
        return {WAY_IN: self._tell}

    async def _tell(self, task: Task) -> None:
        """Told twice it is one mail: its Message-ID follows from the duty. Nobody is left to tell of a mailbox that is
        gone."""
        owner = OwnerId(task.owner)
        box = await self._store.read(lambda c: owners.mailbox(c, owner))
        if box is None:
            return
        keys = await self._opener.open(owner, ACTOR, "way-in notice")
        address = profile_from_bytes(keys.open_small(ADDRESS_KIND, 0, box.address_sealed)).address
        text = words(address, from_ms(int(task.payload)))
        await self._letters.send(owner, MailAddress.parse(address), SUBJECT, text, f"way in {owner} {task.id}")
        log.info("wayin.told", owner=owner)
