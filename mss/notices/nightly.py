"""What became of yesterday's mail? A table by mail for each sending mailbox that the operator has listed, once a day.

Nobody else gets one: the accountable sender reads about his own mail, at his own address or another of his domain. A
day without mail is told too, so that a missing table means something. Told once: the day is written down in the
transaction that sends, and the Message-ID follows from sender and day.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from email.message import EmailMessage
from functools import partial
from typing import Any

import structlog

from mss.crypto.keys import Lookup
from mss.formats.csvtext import as_text
from mss.mail import letters
from mss.mail.ledger import COLUMNS, LINES_MAX, LedgerReader, last_of_each
from mss.mail.letters import PARIS
from mss.mail.recipients import NOBODY
from mss.mail.submit import HouseMail
from mss.model.clock import Clock, to_ms
from mss.model.errors import MssError
from mss.model.ids import MailAddress
from mss.notices.compose import SENDER_NAME, House
from mss.store import outcomes
from mss.store.database import Store
from mss.store.sql import Connection

LOOK_EVERY_S = 600.0
AFTER_HOUR = 2
"""In Paris: a notice about an unreachable patient follows its mail within the hour, so the day is complete."""
DAYS_BACK_MAX = 7
"""A house that was away for longer does not send a month of tables at once; `mss stats --sender` has them."""
KEPT_DAYS = 93
"""Rows are forgotten after a quarter."""
FORGOTTEN_AT_ONCE = 1_000
SUBJECT = "[Bilan] vos envois du {day:%d/%m/%Y}"

log = structlog.get_logger("nightly")


OUTCOMES: dict[str, tuple[str, str]] = {
    "filed": ("intégrés au dossier", "filed in the record"),
    "replaced": ("intégrés, remplacent une version antérieure", "filed, replacing an older version"),
    "withdrawn": ("demandes de retrait suivies", "withdrawals carried out"),
    "shown": ("remis, sans document à intégrer", "given to their reader, no document to file"),
    "kept-back": ("conservés jusqu'à votre annonce", "kept back until you announce them"),
    "announced": ("annoncés, désormais visibles du patient", "announced, visible to the patient now"),
    "held": ("RETENUS, en attente d'une personne", "HELD, waiting for a person"),
    "refused": ("REFUSÉS par une personne", "REFUSED by a person"),
    "unreachable": ("NON REMIS, patient injoignable", "NOT DELIVERED, patient unreachable"),
    "not-integrated": (
        "au dossier, PAS dans le logiciel de l'hôpital",
        "in the record, NOT in the hospital's software",
    ),
    "integrated": ("désormais aussi dans le logiciel de l'hôpital", "now in the hospital's software too"),
    "unfiled": ("RETIRÉS d'un dossier qui n'était pas le bon", "TAKEN OUT of a wrong record"),
    "refiled": ("classés dans le bon dossier", "filed in the right record"),
}
"""What a line's outcome means, in the order of the sums."""


def words(sender: MailAddress, day: date, lines: list[dict[str, Any]]) -> str:
    """French, then English: sums that add up to the copies, and what the columns mean; the table is attached."""
    last = last_of_each(lines)
    sums = Counter(line["outcome"] for line in last)
    mails, copies = len({line["message_id"] for line in last}), len(last)
    names = [*OUTCOMES, *sorted(sums.keys() - OUTCOMES.keys())]
    french, english = (
        "\n".join(f"  {sums[name]:>6}  {name} : {OUTCOMES.get(name, (name, name))[at]}" for name in names if sums[name])
        for at in (0, 1)
    )
    cut = f"\n(!) {LINES_MAX} lignes au plus / lines at most\n" if len(lines) >= LINES_MAX else ""
    return (
        f"Bonjour,\n\nce que sont devenus les messages de {sender} aux patients et aux boîtes applicatives, d'après ce"
        f" que nous en savions le {day:%d/%m/%Y} :\n\n  {copies:>6}  au total ({mails} message(s), compté(s) une fois"
        f" par destinataire, selon la dernière nouvelle du jour)\n{french}\n{cut}\n"
        "Le tableau joint (CSV) a une ligne par nouvelle : quand (at), quel message (message_id), l'exemplaire de quel"
        " destinataire (copy : même mot, même exemplaire), reçu quand (received_at), son sort (outcome), le code ANS"
        " 900 à 906 et le motif s'il n'est pas intégré, et de combien de documents il s'agit (documents). Un message"
        " retenu lundi et intégré mardi a une ligne dans chacun des deux tableaux.\n\n-- English --\n\n"
        f"What became of the mail of {sender} to patients and application mailboxes, as known on {day:%Y-%m-%d}:\n\n"
        f"  {copies:>6}  in all ({mails} message(s), each counted once for each recipient, by the day's last news)\n"
        f"{english}\n\nThe table has a line for each piece of news: when, which message, whose copy (the same word, the"
        " same copy), when it came, its outcome, ANS code and reason where it was not filed, and of how many documents"
        " the line speaks. What was held on Monday and filed on Tuesday has a line in both tables.\n"
    )


class _ToldMeanwhile(MssError):
    """Another process has sent that day's table: this one does not leave."""


class NightlyTables:
    """Lives in works. `readers`: sending mailbox → where its table goes."""

    def __init__(
        self,
        house: House,
        readers: Mapping[MailAddress, MailAddress],
        ledger: LedgerReader,
        store: Store,
        lookup: Lookup,
        mail: HouseMail,
        clock: Clock,
    ) -> None:
        self._house = house
        self._readers = dict(readers)
        self._ledger = ledger
        self._store = store
        self._lookup = lookup
        self._mail = mail
        self._clock = clock

    async def keep_watch(self) -> None:
        """Look every ten minutes; what cannot be sent now is sent at the next look."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> int:
        """Send every table that is due, and forget what is old. Returns how many were sent."""
        sent = 0
        for sender, reader in self._readers.items():
            try:
                sent += await self._all_of(sender, reader)
            except MssError as problem:
                log.error("nightly.not-sent", error=type(problem).__name__)
        try:
            await self._forget()
        except MssError as problem:
            log.error("nightly.not-forgotten", error=type(problem).__name__)
        return sent

    async def _all_of(self, sender: MailAddress, reader: MailAddress) -> int:
        """Of the last days, those that were not told: the oldest first, but none before the first that is."""
        now = self._clock.now().astimezone(PARIS)
        last = now.date() - timedelta(days=1 if now.hour >= AFTER_HOUR else 2)
        hashed = self._ledger.hashed(sender)
        due: list[date] = []
        for back in range(DAYS_BACK_MAX):
            day = last - timedelta(days=back)
            if await self._store.read(lambda c, day=day: outcomes.was_told(c, hashed, _number(day))):  # type: ignore[misc]
                break
            due.append(day)
        if len(due) == DAYS_BACK_MAX:  # listed since yesterday, or away for long
            due = due[:1]
        for day in reversed(due):
            await self._send(sender, reader, day)
        return len(due)

    async def _send(self, sender: MailAddress, reader: MailAddress, day: date) -> None:
        lines = await self._store.read(lambda c: self._ledger.lines(c, sender, day, day))
        hashed, number = self._ledger.hashed(sender), _number(day)
        message_id = letters.notice_id(self._lookup, f"nightly {sender.key} {number}", self._house.sender.domain)
        subject = SUBJECT.format(day=day)
        opening = letters.Opening(SENDER_NAME, self._house.sender, reader, subject, self._clock.now(), message_id)
        mail = EmailMessage(policy=letters.SEVEN_BIT)
        mail.set_content(words(sender, day, lines), cte="quoted-printable")
        table = as_text(lines, COLUMNS).encode()
        mail.add_attachment(table, maintype="text", subtype="csv", filename=f"bilan-{day:%Y-%m-%d}.csv")
        written = opening.to_bytes() + b"Auto-Submitted: auto-generated\r\n" + mail.as_bytes()

        def also(connection: Connection) -> None:
            if not outcomes.told(connection, hashed, number):
                raise _ToldMeanwhile

        await self._mail.send(NOBODY, None, (reader,), written, also=also)
        log.info("nightly.sent", day=number, lines=len(lines))

    async def _forget(self) -> None:
        before_ms = to_ms(self._clock.now() - timedelta(days=KEPT_DAYS))
        forget = partial(outcomes.forget, before_ms=before_ms, limit=FORGOTTEN_AT_ONCE)
        if await self._store.read(partial(outcomes.has_older, before_ms=before_ms)):
            await self._store.write(0, forget)


def _number(day: date) -> int:
    """20260105."""
    return int(f"{day:%Y%m%d}")
