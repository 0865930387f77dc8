"""Who else hears of a correction? Those to whom the patient had sent it on, staff whose proposal nobody confirmed, and
whoever represented a record that was merged.

Each letter's Message-ID follows from its cause, so that a repeat tells nothing twice. No letter names a patient.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from email.message import EmailMessage

import structlog

from mss.accounts.profiles import Profiles
from mss.crypto.keys import Lookup
from mss.formats import mime
from mss.mail import letters
from mss.mail.letters import PARIS, Opening
from mss.mail.submit import HouseMail
from mss.model.clock import Chance, Clock, from_ms, to_ms
from mss.model.errors import NotFound
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.notices.compose import SENDER_NAME, House
from mss.notices.watch import Staff
from mss.store import audit, corrections, messages, schema, tasks
from mss.store.corrections import Correction, CorrectionKind, CorrectionState
from mss.store.database import Store
from mss.store.ids import new_id
from mss.store.sql import Connection
from mss.store.tasks import NewTask, Task
from mss.vault.opener import Opener

TASK_SENT_ON = "correction-sent-on"
"""Tell to whom the patient had sent what was taken out: payload {"messages": [number], "correction": number}."""
TASK_EXPIRES = "correction-expires"
"""End a proposal that nobody confirmed, or remind of what is out of every record: payload {"correction": number}."""
TASK_REPRESENT = "correction-represent"
"""Tell a representative what became of his right: payload {"correction": number, "what": one of `_RIGHTS`}."""
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
        self._profiles = Profiles(store)

    @property
    def handlers(self) -> Mapping[str, Callable[[Task], Awaitable[None]]]:
        """Kind of a task → who does it."""
        return {TASK_SENT_ON: self.sent_on, TASK_EXPIRES: self.expires, TASK_REPRESENT: self.represented}

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

    async def represented(self, task: Task) -> None:
        """A letter to who represented, in the mailbox of his own account; to nobody when that is gone."""
        asked = json.loads(task.payload)
        number, what = int(asked["correction"]), str(asked["what"])
        row = await self._store.read(lambda c: corrections.correction(c, number))
        assert row is not None, "corrections are never deleted"
        try:
            keys = await self._opener.open(OwnerId(row.other), ACTOR, "tell of a right")
            to = MailAddress.parse(await self._profiles.mailbox_address(keys))
        except NotFound:
            log.warning("correction.nobody-to-tell", correction=number, what=what)
            return
        own_id = self._message_id(f"represent {row.owner}/{number}/{what}")
        subject, words = _RIGHTS[what]
        staff, at = self._staff.of(row.domain), self._clock.now()
        written = _letter(subject, words, self._house, to, own_id, at, answers_to=staff)

        def also(connection: Connection) -> None:
            if tasks.finish(connection, schema.task, task.owner, [task.id]):
                told = audit.Act(self._clock.now(), ACTOR, "member.told", row.owner, row.other, b"", what)
                audit.write(connection, [told])

        await self._mail.send(OwnerId(task.owner), None, (to,), written, also=also)

    def _expire(self, connection: Connection, row: Correction) -> None:
        now = self._clock.now()
        if corrections.settle(connection, row, CorrectionState.EXPIRED, to_ms(now)):
            if row.kind == CorrectionKind.REPRESENT:
                payload = json.dumps({"correction": row.id, "what": "lapsed"}).encode()
                duty = NewTask(new_id(self._clock, self._chance), TASK_REPRESENT, payload, to_ms(now))
                tasks.add_task(connection, row.owner, duty)
            act = audit.Act(now, ACTOR, "record.expired", row.owner, row.id, row.message_id_hmac)
            audit.write(connection, [act])

    def _message_id(self, cause: str) -> str:
        return letters.notice_id(self._lookup, cause, self._house.sender.domain)


def _letter(
    subject: str,
    words: str,
    house: House,
    to: MailAddress,
    message_id: str,
    at: datetime,
    *,
    answers_to: MailAddress | None = None,
) -> bytes:
    mail = EmailMessage(policy=letters.SEVEN_BIT)
    if answers_to is None:
        mail["Auto-Submitted"] = "auto-generated"
    else:  # people read it: whoever may answer is not told that a machine wrote
        mail["Reply-To"] = str(answers_to)
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
_RIGHTS = {
    "ended": (
        "Le dossier d'une personne que vous représentez a été réuni à un autre",
        "Bonjour,\n\nUne personne que vous représentez avait deux dossiers : ils n'en font plus qu'un. Votre"
        " accès ne passe pas de lui-même à ce dossier. Quelqu'un de notre équipe le vérifie, et vous lirez sa"
        " décision ici dans les trois jours. Rien n'est perdu entre-temps : tout ce qui arrive est gardé. Pour"
        " toute question, répondez à ce message.\n\n-- English --\n\nA person whom you represent had two records,"
        " which are one now. Your access does not pass to that record by itself: one of our staff checks it, and"
        " you will read the decision here within three days. Nothing is lost meanwhile. Answer this message if you"
        " have questions.\n",
    ),
    "given": (
        "Votre accès au dossier réuni est confirmé",
        "Bonjour,\n\nVotre accès au dossier réuni de la personne que vous représentez est confirmé.\n\n-- English"
        " --\n\nYour access to the merged record of the person whom you represent was confirmed.\n",
    ),
    "lapsed": (
        "Vous n'avez plus accès au dossier d'une personne que vous représentiez",
        "Bonjour,\n\nDeux dossiers d'une personne que vous représentiez ont été réunis, et votre accès au dossier"
        " réuni n'a pas été confirmé : vous n'y avez pas accès. Si vous êtes son représentant légal (parent ou"
        " tuteur), répondez à ce message : il vous sera dit quelles pièces présenter.\n\n-- English --\n\nTwo"
        " records of a person whom you represented were merged, and your access to the merged one was not"
        " confirmed: you have none. If you are the legal representative (parent or guardian), answer this message:"
        " you will be told what to show.\n",
    ),
    "parted": (
        "Le dossier d'une personne que vous représentez est de nouveau séparé d'un autre",
        "Bonjour,\n\nLe dossier d'une personne que vous représentez avait été réuni à un autre : ils sont de"
        " nouveau deux. Vous avez accès au premier comme avant, et n'avez pas, ou plus, accès à l'autre. Pour"
        " toute question, répondez à ce message.\n\n-- English --\n\nThe record of a person whom you represent had"
        " been merged with another: they are two again. You have access to the first one as before, and none to"
        " the other. Answer this message if you have questions.\n",
    ),
}
"""What became of the right of a representative. Names nobody: he may represent several."""
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
