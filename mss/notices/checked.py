"""What is a software maker sent who asked what would become of an archive? The report, once."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

import structlog

from mss.crypto import seal
from mss.crypto.keys import Lookup, PrivateKeys
from mss.mail.answers import TASK_CHECKED, task_context
from mss.mail.submit import HouseMail
from mss.model.clock import Clock
from mss.model.ids import MailAddress, OwnerId
from mss.notices.robots import Answer, Robot
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
        self._robot = Robot(SENDER_NAME, address, lookup, mail, clock) if address else None
        self._private = private

    @property
    def handlers(self) -> Mapping[str, Callable[[Task], Awaitable[None]]]:
        """Kind of a task → who does it."""
        return {TASK_CHECKED: self.answer}

    async def answer(self, task: Task) -> None:
        """Send the report, once however often the duty is done."""
        if self._robot is None:
            return  # taken out of the settings meanwhile
        opened = seal.open_sealed(self._private.tasks, task.payload, task_context(task.id))
        sender, asked_in, outcome, text = json.loads(opened)
        subject = SUBJECT.format(outcome=outcome)
        report = Answer(f"checked {task.id}", MailAddress.parse(sender), subject, f"{OPENING}{text}\n", asked_in)
        await self._robot.send(OwnerId(task.owner), report)
        log.info("check.answered", task=task.id)
