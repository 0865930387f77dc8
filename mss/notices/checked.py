"""What is a software maker sent who asked what would become of an archive? The report, once."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from email.message import EmailMessage

import structlog

from mss.crypto import seal
from mss.crypto.keys import Lookup, PrivateKeys
from mss.formats import headers
from mss.mail import letters
from mss.mail.answers import TASK_CHECKED, task_context
from mss.mail.submit import HouseMail
from mss.model.clock import Clock
from mss.model.ids import MailAddress, OwnerId
from mss.store.tasks import Task

SENDER_NAME = "Vérification d'archives"
SUBJECT = "Rapport de vérification : {outcome}"
OPENING = (
    "Bonjour,\n\n"
    "Voici ce que le pont ferait de votre message. Rien n'a été classé, et aucun dossier n'a été consulté :\n"
    "le patient est supposé connu exactement comme vos documents le nomment.\n\n"
    "This is what the bridge would do with your message. Nothing was filed and no record was looked at:\n"
    "the patient is taken to be known exactly as your documents name him.\n\n"
)

log = structlog.get_logger("notices")


class CheckAnswers:
    """Lives in works. `address` None: there is no such address."""

    def __init__(
        self, address: MailAddress | None, private: PrivateKeys, lookup: Lookup, mail: HouseMail, clock: Clock
    ) -> None:
        self._address = address
        self._private = private
        self._lookup = lookup
        self._mail = mail
        self._clock = clock

    @property
    def handlers(self) -> Mapping[str, Callable[[Task], Awaitable[None]]]:
        """Kind of a task → who does it."""
        return {TASK_CHECKED: self.answer}

    async def answer(self, task: Task) -> None:
        """Answer once, however often the duty is done: the answer's Message-ID is that of the duty."""
        if self._address is None:
            return  # taken out of the settings meanwhile
        opened = seal.open_sealed(self._private.tasks, task.payload, task_context(task.id))
        sender, asked_in, outcome, text = json.loads(opened)
        to = MailAddress.parse(sender)
        message_id = letters.notice_id(self._lookup, f"checked {task.id}", self._address.domain)
        subject = SUBJECT.format(outcome=outcome)
        opening = letters.Opening(SENDER_NAME, self._address, to, subject, self._clock.now(), message_id)
        message = EmailMessage(policy=letters.SEVEN_BIT)
        message.set_content(f"{OPENING}{text}\n", cte="quoted-printable")
        answered = headers.parse_message_ids(asked_in)[:1]
        threading = "".join(f"{name}: {one}\r\n" for one in answered for name in ("In-Reply-To", "References"))
        written = opening.to_bytes() + b"Auto-Submitted: auto-replied\r\n" + threading.encode("ascii", "ignore")
        await self._mail.send(OwnerId(task.owner), None, (to,), written + message.as_bytes())
        log.info("check.answered", task=task.id)
