"""Who is told that a document which somebody opened was replaced or withdrawn? The patient, in her own inbox.

Told is whoever read what does not hold any more: by one letter for each document and change, however often the duty is
done. Who opened what stands in the audit trail (`record.open`); the letter of a withdrawn document does not say what
was in it. Of a newer version that she may not see yet nothing is said: the announcement owes the letter again.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
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
from mss.notices.compose import SENDER_NAME, House
from mss.record.access import Role, Viewer
from mss.record.service import Change, DocumentView, EventKind, Records
from mss.record.versions import TASK_CHANGED
from mss.store import audit, schema, tasks
from mss.store.database import Store
from mss.store.sql import Connection
from mss.store.tasks import Task
from mss.vault.opener import Opener, OwnerKeys

ACTOR = "notices"
TITLE_CHARS_MAX = 120
TOLD = frozenset({Role.PATIENT.value, Role.REPRESENTATIVE.value})
"""Who reads the patient's inbox."""
KINDS = {DocumentStatus.SUPERSEDED: EventKind.REPLACED, DocumentStatus.WITHDRAWN: EventKind.WITHDRAWN}

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
        """Write to the patient when she, or somebody for her, opened what was changed."""
        owner, number = OwnerId(task.owner), int(json.loads(task.payload)["document"])
        keys = await self._opener.open(owner, ACTOR, "tell of a change")
        view = await self._as_the_patient_knows(keys, number)
        openers = [one for one in await self._records.openers(keys, number) if one.role in TOLD]
        changed = {} if view is None else await self._records.changes(keys, [number], KINDS[view.status])
        if view is None or not openers or number not in changed:
            await self._store.write(lane_of(owner), lambda c: tasks.finish(c, schema.task, owner, [task.id]))
            return
        to = MailAddress.parse((await self._profiles.profile(keys)).address)
        cause = f"changed {owner}/{number}/{view.status}/{view.replaced_by}"
        message_id = f"<{self._lookup.of('notice', cause).hex()}@{self._house.sender.domain}>"
        written = compose(view, changed[number], self._house, to, message_id, self._clock.now())
        told = audit.Act(self._clock.now(), ACTOR, "record.told", owner, number, result=f"{view.status} patient")

        def also(connection: Connection) -> None:
            if tasks.finish(connection, schema.task, owner, [task.id]):
                audit.write(connection, [told])

        await self._mail.send(owner, None, (to,), written, also=also)
        log.info("notice.sent", task=task.id, kind=task.kind, told=view.status.value)

    async def _as_the_patient_knows(self, keys: OwnerKeys, number: int) -> DocumentView | None:
        """The document with its change; None when she does not know of either (flags hide the newer version)."""
        staff = await self._records.one(keys, number, Viewer(0, Role.STAFF, ""))
        if staff.status is DocumentStatus.WITHDRAWN:
            return staff
        try:
            seen = await self._records.one(keys, number, Viewer(0, Role.PATIENT, ""))
        except NotFound:
            return None
        return seen if seen.status is DocumentStatus.SUPERSEDED else None


def compose(view: DocumentView, change: Change, house: House, to: MailAddress, message_id: str, at: datetime) -> bytes:
    """The letter, French first."""
    by = headers.plain(change.by)[:TITLE_CHARS_MAX] or "son auteur"
    days = {"when": f"{change.at.astimezone(PARIS):%d/%m/%Y}", "came": f"{view.filed_at.astimezone(PARIS):%d/%m/%Y}"}
    title = headers.plain(view.entry.title)[:TITLE_CHARS_MAX]
    subject, words = _WITHDRAWN if view.status is DocumentStatus.WITHDRAWN else _REPLACED
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
