"""Who else hears of a correction? Those to whom the patient had sent it on, and staff whose proposal nobody confirmed.

Each letter's Message-ID follows from its cause, so that a repeat tells nothing twice. No letter names a patient.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from email.message import EmailMessage

import structlog

from mss.crypto.keys import Lookup
from mss.formats import mime
from mss.mail import letters
from mss.mail.letters import PARIS, Opening
from mss.mail.submit import HouseMail
from mss.model.clock import Chance, Clock, from_ms, to_ms
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.notices.compose import SENDER_NAME, House
from mss.notices.watch import Staff
from mss.store import audit, corrections, messages, schema, tasks
from mss.store.corrections import Correction, CorrectionState
from mss.store.database import Store
from mss.store.ids import new_id
from mss.store.sql import Connection
from mss.store.tasks import NewTask, Task
from mss.vault.opener import Opener

TASK_SENT_ON = "correction-sent-on"
"""Tell to whom the patient had sent what was taken out: payload {"messages": [number], "correction": number}."""
TASK_EXPIRES = "correction-expires"
"""End a proposal that nobody confirmed, or remind of what is out of every record: payload {"correction": number}."""
ACTOR = "notices"
LAST_MS = 72 * 3_600_000

log = structlog.get_logger("notices")


class CorrectionNotices:
    """Writes to professionals and staff. Lives in works."""

    def __init__(
        self,
        house: House,
        staff: Staff,
        store: Store,
        opener: Opener,
        lookup: Lookup,
        mail: HouseMail,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._chance = chance
        self._house = house
        self._staff = staff
        self._store = store
        self._opener = opener
        self._lookup = lookup
        self._mail = mail
        self._clock = clock

    @property
    def handlers(self) -> Mapping[str, Callable[[Task], Awaitable[None]]]:
        """Kind of a task → who does it."""
        return {TASK_SENT_ON: self.sent_on, TASK_EXPIRES: self.expires}

    async def sent_on(self, task: Task) -> None:
        """One letter to each address to which she had sent a copy, or written about it."""
        asked = json.loads(task.payload)
        owner, number = OwnerId(task.owner), int(asked["correction"])
        keys = await self._opener.open(owner, ACTOR, "tell of a correction")
        found: dict[str, MailAddress] = {}
        for message in asked["messages"]:
            stored = await self._store.read(lambda c, m=message: messages.one_message(c, owner, int(m)))  # type: ignore[misc]
            if stored is None:
                continue
            raw = await self._opener.message_body(keys, stored)
            structure = await asyncio.to_thread(mime.scan, raw)
            for name in ("To", "Cc"):
                found |= {one.key: one for one in letters.read_addresses(structure, name)[0]}
        for to in found.values():
            own_id = self._message_id(f"sent-on {owner}/{number}/{to.key}")
            await self._mail.send(owner, None, (to,), _letter(*_SENT_ON, self._house, to, own_id, self._clock.now()))
        told = audit.Act(self._clock.now(), ACTOR, "record.told", owner, number, result=f"sent on {len(found)}")

        def end(connection: Connection) -> None:
            if tasks.finish(connection, schema.task, owner, [task.id]):
                audit.write(connection, [told])

        await self._store.write(lane_of(owner), end)

    async def expires(self, task: Task) -> None:
        """A proposal stays in the list as expired, and what it was about goes on waiting. Of what is out of the wrong
        record, and not in the right one, staff are told after 24 and 72 hours: a patient misses it."""
        asked = json.loads(task.payload)
        number = int(asked["correction"])
        row = await self._store.read(lambda c: corrections.correction(c, number))
        if row is None or row.state not in (CorrectionState.PROPOSED, CorrectionState.OUT):
            return
        to, again = self._staff.of(row.domain), int(asked.get("again", 0))
        own_id = self._message_id(f"{row.state} {row.owner}/{row.id}/{again}")
        subject, words = _EXPIRED if row.state == CorrectionState.PROPOSED else _STILL_OUT
        at = from_ms(row.proposed_ms).astimezone(PARIS)
        words = words.format(number=row.id, kind=row.kind, when=f"{at:%d/%m/%Y %H:%M}")
        written = _letter(subject, words, self._house, to, own_id, self._clock.now())

        def also(connection: Connection) -> None:
            if not tasks.finish(connection, schema.task, task.owner, [task.id]):
                return
            if row.state == CorrectionState.PROPOSED:
                self._expire(connection, row)
            elif not again:
                payload = json.dumps({"correction": number, "again": 1}).encode()
                due_ms = row.proposed_ms + LAST_MS
                tasks.add_task(
                    connection, task.owner, NewTask(new_id(self._clock, self._chance), TASK_EXPIRES, payload, due_ms)
                )

        await self._mail.send(OwnerId(task.owner), None, (to,), written, also=also)
        log.error("correction.waits", correction=row.id, kind=row.kind, state=row.state)

    def _expire(self, connection: Connection, row: Correction) -> None:
        now = self._clock.now()
        if corrections.settle(connection, row, CorrectionState.EXPIRED, to_ms(now)):
            act = audit.Act(now, ACTOR, "record.expired", row.owner, row.id, row.message_id_hmac)
            audit.write(connection, [act])

    def _message_id(self, cause: str) -> str:
        return letters.notice_id(self._lookup, cause, self._house.sender.domain)


def _letter(subject: str, words: str, house: House, to: MailAddress, message_id: str, at: datetime) -> bytes:
    mail = EmailMessage(policy=letters.SEVEN_BIT)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(words)
    return Opening(SENDER_NAME, house.sender, to, subject, at, message_id).to_bytes() + mail.as_bytes()


_SENT_ON = (
    "Un document qu'un patient vous avait transmis n'était pas le sien",
    "Bonjour,\n\nUn patient vous avait transmis un document, ou vous avait écrit à son sujet. Ce document avait été"
    " classé dans son dossier par erreur : il est d'une autre personne, et a été retiré. Ne vous y fiez pas pour ce"
    " patient, et détruisez vos copies.\n\n-- English --\n\nA patient had sent you a document, or had"
    " written to you about it. It had been filed in the patient's record by mistake: it is about somebody else, and was"
    " taken out. Do not rely on it for that patient, and destroy your copies.\n",
)
_EXPIRED = (
    "[Correction expirée] Personne n'a confirmé une proposition",
    "La proposition {number} ({kind}), du {when}, n'a été confirmée par personne : elle a expiré, rien n'a été changé."
    " Si elle reste juste, proposez-la de nouveau : /desk/corrections, ou mss record list.\n\n-- English --\n\nProposal"
    " {number} ({kind}), of {when}, was confirmed by nobody: it has expired, nothing was changed. If it is still right,"
    " propose it again: /desk/corrections, or mss record list.\n",
)
_STILL_OUT = (
    "[Correction en attente] Un document retiré n'est dans aucun dossier",
    "Le document retiré le {when} (correction {number}) attend toujours son dossier : le bon patient ne l'a pas."
    " Classez-le (/desk/corrections, ou mss record refile), ou demandez à l'émetteur de le corriger.\n\n"
    "-- English --\n\nThe document taken out on {when} (correction {number}) still waits for its record: the right"
    " patient does not have it. File it (/desk/corrections, or mss record refile), or ask its sender to correct it.\n",
)
