"""Who is told that a document which somebody opened was replaced, withdrawn, or taken out as another patient's?

Told is whoever read what does not hold any more: the patient in her own inbox, professionals in their mailboxes; by one
letter for each of them, document and change, however often the duty is done. Who opened what stands in the audit trail
(`record.open`). The patient's letter does not say what was in a document that is gone. Of a newer version that she may
not see yet nothing is said: the announcement owes the letter again.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage

import structlog

from mss.accounts.profiles import Profiles
from mss.crypto.keys import Lookup
from mss.formats import headers
from mss.mail import letters
from mss.mail.letters import PARIS, Opening
from mss.mail.submit import HouseMail
from mss.model.clock import Clock
from mss.model.document import DocumentStatus
from mss.model.errors import NotFound
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.mailbox import MailboxKind
from mss.notices.compose import SENDER_NAME, House
from mss.record.access import Role, Viewer
from mss.record.service import Change, DocumentView, EventKind, Records, came_under
from mss.record.versions import TASK_CHANGED
from mss.store import audit, owners, schema, tasks
from mss.store.database import Store
from mss.store.records import DocumentRow
from mss.store.sql import Connection
from mss.store.tasks import Task
from mss.vault.opener import Opener, OwnerKeys

ACTOR = "notices"
TITLE_CHARS_MAX = 120
TOLD = frozenset({Role.PATIENT.value, Role.REPRESENTATIVE.value})
"""Who reads the patient's inbox."""
KINDS = {
    DocumentStatus.SUPERSEDED: EventKind.REPLACED,
    DocumentStatus.WITHDRAWN: EventKind.WITHDRAWN,
    DocumentStatus.UNFILED: EventKind.UNFILED,
}
GONE = frozenset({DocumentStatus.WITHDRAWN, DocumentStatus.UNFILED})
"""Of these professionals are told too: of a newer version the record itself tells them."""

log = structlog.get_logger("notices")


class ChangeNotices:
    """Writes to patients. Lives in works."""

    def __init__(
        self,
        house: House,
        store: Store,
        opener: Opener,
        records: Records,
        lookup: Lookup,
        mail: HouseMail,
        clock: Clock,
    ) -> None:
        self._house = house
        self._store = store
        self._opener = opener
        self._records = records
        self._lookup = lookup
        self._mail = mail
        self._clock = clock
        self._profiles = Profiles(store)

    @property
    def handlers(self) -> Mapping[str, Callable[[Task], Awaitable[None]]]:
        """Kind of a task → who does it."""
        return {TASK_CHANGED: self.tell}

    async def tell(self, task: Task) -> None:
        """Write to the patient when she, or somebody for her, opened what was changed, and to professionals who did."""
        owner, number = OwnerId(task.owner), int(json.loads(task.payload)["document"])
        keys = await self._opener.open(owner, ACTOR, "tell of a change")
        _, row = await self._records.evidence(keys, number)
        view = await self._as_the_patient_knows(keys, number)
        to_send = [] if view is None else await self._letters(keys, view, row)
        for letter in to_send[:-1]:
            await self._mail.send(owner, None, (letter.to,), letter.written)
        if view is None or not to_send:
            await self._store.write(lane_of(owner), lambda c: tasks.finish(c, schema.task, owner, [task.id]))
            return
        result = f"{view.status} {' '.join(letter.who for letter in to_send)}"
        hashed = await self._store.read(lambda c: came_under(c, owner, row))
        told = audit.Act(self._clock.now(), ACTOR, "record.told", owner, number, hashed, result)

        def also(connection: Connection) -> None:
            if tasks.finish(connection, schema.task, owner, [task.id]):
                audit.write(connection, [told])

        last = to_send[-1]
        await self._mail.send(owner, None, (last.to,), last.written, also=also)
        log.info("notice.sent", task=task.id, kind=task.kind, told=view.status.value)

    async def _letters(self, keys: OwnerKeys, view: DocumentView, row: DocumentRow) -> list[_Letter]:
        """To the patient, then to each professional who opened it."""
        found = []
        openers = [one for one in await self._records.openers(keys, view.number) if one.role in TOLD]
        changed = await self._records.changes(keys, [view.number], KINDS[view.status])
        if openers and (view.number in changed or view.status is DocumentStatus.UNFILED):
            to = MailAddress.parse((await self._profiles.profile(keys)).address)
            change = changed.get(view.number) or Change("", self._clock.now())
            written = compose(view, change, self._house, to, self._own_id(keys, view), self._clock.now())
            found.append(_Letter(to, written, "patient"))
        for account in await self._professionals(keys, view, row) if view.status in GONE else ():
            try:
                of_account = await self._opener.open(account, ACTOR, "tell of a change")
                to = MailAddress.parse(await self._profiles.mailbox_address(of_account))
            except NotFound:
                continue  # a mailbox that is gone reads nothing
            own_id = self._own_id(keys, view, f"/{account}")
            written = to_professional(view, self._house, to, own_id, self._clock.now())
            found.append(_Letter(to, written, f"{account}"))
        return found

    async def _professionals(self, keys: OwnerKeys, view: DocumentView, row: DocumentRow) -> list[OwnerId]:
        """Accounts with a mailbox of their own, but patients', that opened it."""

        def ask(connection: Connection) -> list[OwnerId]:
            hashed = came_under(connection, keys.owner, row)
            opened = [one.act for one in audit.by_message_id(connection, hashed)] if hashed else []
            accounts = {
                int(act.actor.removeprefix("login:"))
                for act in opened
                if (act.act, act.object, act.actor[:6]) == ("record.open", view.number, "login:")
            }
            boxes = [owners.mailbox(connection, account) for account in sorted(accounts)]
            return [box.owner for box in boxes if box is not None and box.kind is not MailboxKind.PATIENT]

        return await self._store.read(ask)

    def _own_id(self, keys: OwnerKeys, view: DocumentView, whom: str = "") -> str:
        cause = f"changed {keys.owner}/{view.number}/{view.status}/{view.replaced_by}{whom}"
        return letters.notice_id(self._lookup, cause, self._house.sender.domain)

    async def _as_the_patient_knows(self, keys: OwnerKeys, number: int) -> DocumentView | None:
        """The document with its change; None when she does not know of either (flags hide the newer version)."""
        kept, _ = await self._records.evidence(keys, number)
        if kept.status in GONE:
            return kept
        try:
            seen = await self._records.one(keys, number, Viewer(0, Role.PATIENT, ""))
        except NotFound:
            return None
        return seen if seen.status is DocumentStatus.SUPERSEDED else None


@dataclass(frozen=True, slots=True)
class _Letter:
    """To whom, and what; `who` for the audit: `patient`, or the number of an account."""

    to: MailAddress
    written: bytes
    who: str


def to_professional(view: DocumentView, house: House, to: MailAddress, message_id: str, at: datetime) -> bytes:
    """The letter to somebody who opened what is gone: the title that he read, no patient."""
    title = headers.plain(view.entry.title)[:TITLE_CHARS_MAX] or "document"
    subject, words = _NOT_HIS if view.status is DocumentStatus.UNFILED else _GONE
    mail = EmailMessage(policy=letters.SEVEN_BIT)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(words.format(title=title, came=f"{view.filed_at.astimezone(PARIS):%d/%m/%Y}"))
    return Opening(SENDER_NAME, house.sender, to, subject, at, message_id).to_bytes() + mail.as_bytes()


def compose(view: DocumentView, change: Change, house: House, to: MailAddress, message_id: str, at: datetime) -> bytes:
    """The letter, French first."""
    by = headers.plain(change.by)[:TITLE_CHARS_MAX] or "son auteur"
    days = {"when": f"{change.at.astimezone(PARIS):%d/%m/%Y}", "came": f"{view.filed_at.astimezone(PARIS):%d/%m/%Y}"}
    title = headers.plain(view.entry.title)[:TITLE_CHARS_MAX]
    subject, words = _WORDS[view.status]
    mail = EmailMessage(policy=letters.SEVEN_BIT)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(words.format(by=by, title=title or "document", **days))
    return Opening(SENDER_NAME, house.sender, to, subject, at, message_id).to_bytes() + mail.as_bytes()


_WITHDRAWN = (
    "Un document que vous aviez ouvert a été retiré",
    "Bonjour,\n\nUn document arrivé dans votre dossier le {came}, que vous aviez ouvert, a été retiré le {when} par"
    " {by}. Il n'est plus dans votre dossier, ni dans le message qui l'apportait. Si vous en avez gardé une copie, ne"
    " vous y fiez plus, et posez vos questions à {by}.\n\n-- English --\n\nA document that came into your record on"
    " {came}, and that you had opened, was withdrawn on {when} by {by}. It is no longer in your record, nor in the"
    " message that brought it. Do not rely on a copy that you kept, and ask {by} if you have questions.\n",
)
_REPLACED = (
    "Un document que vous aviez ouvert a été remplacé",
    "Bonjour,\n\nLe document « {title} », que vous aviez ouvert, a été remplacé le {when} par {by}. Votre dossier"
    " médical conduit à la version actuelle. L'ancienne y reste, marquée comme remplacée : ne vous y fiez plus.\n\n"
    "-- English --\n\nThe document “{title}”, which you had opened, was replaced on {when} by {by}. Your medical record"
    " leads to the current version. The former one stays there, marked as replaced: do not rely on it any more.\n",
)
_UNFILED = (
    "Un document classé par erreur a été retiré de votre dossier",
    "Bonjour,\n\nUn document arrivé dans votre dossier le {came}, et qui avait été ouvert, a été retiré le {when} : il"
    " y avait été classé par erreur et ne vous concerne pas. Il n'est plus dans votre dossier ni dans vos messages. Si"
    " vous en avez gardé une copie, détruisez-la et ne vous y fiez pas. Parlez-en à votre médecin si vous avez un"
    " doute.\n\n-- English --\n\nA document that came into your record on {came}, and that was opened, was taken out on"
    " {when}: it had been filed there by mistake and is not about you. It is no longer in your record nor in your"
    " messages. If you kept a copy, destroy it and do not rely on it. Ask your doctor if you are in doubt.\n",
)
_NOT_HIS = (
    "Un document que vous aviez ouvert était classé dans le dossier d'un autre patient",
    "Bonjour,\n\nLe document « {title} », arrivé le {came}, que vous aviez ouvert, avait été classé dans le dossier"
    " d'un autre patient. Il en a été retiré. Ne vous y fiez pas pour ce patient, et détruisez vos copies.\n\n"
    "-- English --\n\nThe document “{title}”, which came on {came} and which you had opened, had been filed in another"
    " patient's record. It was taken out. Do not rely on it for that patient, and destroy your copies.\n",
)
_GONE = (
    "Un document que vous aviez ouvert a été retiré",
    "Bonjour,\n\nLe document « {title} », arrivé le {came}, que vous aviez ouvert, a été retiré par son auteur. Ne vous"
    " y fiez plus.\n\n-- English --\n\nThe document “{title}”, which came on {came} and which you had opened, was"
    " withdrawn by its author. Do not rely on it any more.\n",
)
_WORDS = {
    DocumentStatus.WITHDRAWN: _WITHDRAWN,
    DocumentStatus.UNFILED: _UNFILED,
    DocumentStatus.SUPERSEDED: _REPLACED,
}
