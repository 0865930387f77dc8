"""Who reads that a mail at another operator could not be taken? The staff, once for each mail.

Such mail stays unread over there; nothing here holds it, lists it or answers its sender. So somebody has to look.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

import structlog

from mss.crypto.keys import Lookup
from mss.mail.answers import TASK_UNTAKEN
from mss.mail.submit import HouseMail
from mss.model.clock import Clock
from mss.model.ids import OwnerId
from mss.notices.compose import House
from mss.notices.plain import PlainLetters
from mss.notices.watch import Staff
from mss.store.tasks import Task

SUBJECT = "[Alerte] un message n'a pas pu être relevé"

log = structlog.get_logger("notices")


class UntakenAlarms:
    """Lives in works."""

    def __init__(self, house: House, staff: Staff, lookup: Lookup, mail: HouseMail, clock: Clock) -> None:
        self._letters = PlainLetters(house, lookup, mail, clock)
        self._staff = staff

    @property
    def handlers(self) -> Mapping[str, Callable[[Task], Awaitable[None]]]:
        """Kind of a task → who does it."""
        return {TASK_UNTAKEN: self.tell}

    async def tell(self, task: Task) -> None:
        """Write to staff; a repeat changes nothing."""
        told = json.loads(task.payload)
        source, uid, validity = str(told["source"]), int(told["uid"]), int(told["validity"])
        to = self._staff.of(str(told["domain"]))
        text = words(source, uid, str(told["why"]))
        await self._letters.send(OwnerId(task.owner), to, SUBJECT, text, f"untaken {source}/{validity}/{uid}")
        log.info("untaken.told", source=source, uid=uid)


def words(source: str, uid: int, why: str) -> str:
    """French, then English: which, why, and what to do."""
    return (
        f"Bonjour,\n\nSource « {source} » : le message de numéro (UID) {uid} n'a pas pu être relevé : {why}.\n"
        "Il reste non lu, avec sa marque, dans la boîte chez l'autre opérateur ; rien n'a été classé, et son émetteur"
        " n'en sait rien.\nQue faire : l'ouvrir là-bas, prévenir son émetteur, traiter les documents à la main.\n\n"
        f"-- English --\n\nSource '{source}': message (UID) {uid} could not be taken: {why}. It stays unread, with its"
        " mark, in the mailbox at the other operator; nothing was filed, and its sender knows nothing. Open it there,"
        " tell its sender, see to its documents by hand.\n"
    )
