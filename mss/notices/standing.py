"""Who is told that nobody vouches for a professional any more, and when? She and staff, before anything is suspended.

A look every minute: what is overdue is told, then suspended when the grace is over; whoever is gone for good is closed
in the end. If more than one in a hundred would be suspended at once, nobody is, and staff are told daily.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog

from mss.accounts.service import ADDRESS_KIND, profile_from_bytes
from mss.accounts.standing import Step
from mss.accounts.verification import Due, Verification
from mss.crypto.keys import Lookup
from mss.mail.letters import PARIS
from mss.mail.recipients import NOBODY
from mss.mail.submit import HouseMail
from mss.model.clock import Clock
from mss.model.errors import MssError
from mss.model.ids import MailAddress
from mss.notices.compose import House
from mss.notices.plain import PlainLetters
from mss.store import owners
from mss.store.database import Store
from mss.vault.opener import Opener

LOOK_EVERY_S = 60.0
TOLD_AT_ONCE = 50
"""Mails of one look: a thousand holders are told within half an hour."""
ACTOR = "works"

log = structlog.get_logger("standing")


def words(address: str, since: datetime, suspended_at: datetime) -> str:
    """French, then English: what is missing, until when, and what to do."""
    since_day, until_day = (f"{moment.astimezone(PARIS):%d/%m/%Y}" for moment in (since, suspended_at))
    return (
        f"Bonjour,\n\nvotre inscription de professionnel, dont dépend la boîte {address}, devait être vérifiée avant le"
        f" {since_day}.\nSans nouvelle vérification, la boîte sera suspendue le {until_day} : vous ne pourrez plus"
        " l'ouvrir, et vos correspondants seront priés de réessayer plus tard.\nQue faire : demandez à votre opérateur"
        " de vérifier votre inscription.\n\n-- English --\n\n"
        f"Your registration as a professional, on which the mailbox {address} depends, was to be checked before"
        f" {since_day}. Unless it is checked, the mailbox is suspended on {until_day}. Ask your operator to check it.\n"
    )


def staff_words(overdue: int, waiting: int) -> str:
    """The same for staff, in numbers."""
    braked, braked_english = "", ""
    if waiting:
        braked = (
            f"\n{waiting} boîtes devraient être suspendues d'un coup, plus de 1 % : rien n'est fait. Est-ce un oubli ?"
            " Sinon : mss directory suspend-overdue."
        )
        braked_english = f"\n{waiting} mailboxes would be suspended at once: nothing is done until you say so."
    return (
        f"Bonjour,\n\nla vérification de {overdue} professionnel(s) est en retard ; ils en sont informés.\n"
        "Que faire : mss directory verify, puis importer un fichier récent (mss directory import), ou vérifier chaque"
        f" personne (mss directory check ADRESSE).{braked}\n\n-- English --\n\n"
        f"The check of {overdue} professional(s) is overdue; they are told. Import a recent file, or check each"
        f" person.{braked_english}\n"
    )


class StandingWatch:
    """Lives in works."""

    def __init__(
        self,
        house: House,
        staff: MailAddress,
        verification: Verification,
        store: Store,
        opener: Opener,
        lookup: Lookup,
        mail: HouseMail,
        clock: Clock,
        grace: timedelta,
    ) -> None:
        self._letters = PlainLetters(house, lookup, mail, clock)
        self._staff = staff
        self._verification = verification
        self._store = store
        self._opener = opener
        self._clock = clock
        self._grace = grace

    async def keep_watch(self) -> None:
        """Look every minute; what cannot be done now is done at the next look."""
        while True:
            try:
                await self.look()
            except MssError as problem:
                log.error("standing.not-looked", error=type(problem).__name__)
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Whatever is due. Raises StorageUnavailable."""
        await self._verification.begin_missing(self._opener)
        await self._verification.settle()
        dues = await self._verification.due()
        if not dues:
            return
        to_tell = [one for one in dues if one.step is Step.TELL]
        for one in to_tell[:TOLD_AT_ONCE]:
            await self._tell(one)
        waiting = await self._verification.suspend_overdue(dues)
        if to_tell or waiting:
            await self._tell_staff(len(dues), waiting)

    async def _tell(self, due: Due) -> None:
        owner = due.row.owner
        box = await self._store.read(lambda c: owners.mailbox(c, owner))
        if box is None:
            return
        keys = await self._opener.open(owner, ACTOR, "standing notice")
        address = profile_from_bytes(keys.open_small(ADDRESS_KIND, 0, box.address_sealed)).address
        text = words(address, due.next_check, self._clock.now() + self._grace)
        mark = f"standing {owner} {due.next_check:%Y-%m-%d}"
        await self._letters.send(owner, MailAddress.parse(address), "Votre inscription n'est plus vérifiée", text, mark)
        await self._verification.told(owner)
        log.info("standing.told", owner=owner)

    async def _tell_staff(self, overdue: int, waiting: int) -> None:
        """Once a day at most: the same message of a day changes nothing."""
        mark = f"standing staff {self._clock.now().astimezone(PARIS):%Y-%m-%d}"
        subject = "[Alerte] professionnels à vérifier"
        await self._letters.send(NOBODY, self._staff, subject, staff_words(overdue, waiting), mark)
