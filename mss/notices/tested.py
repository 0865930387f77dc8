"""What is somebody told who wrote to the test mailbox? Everything that our door saw, in French and English."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import structlog

from mss.crypto.keys import Lookup, PrivateKeys
from mss.formats import headers
from mss.mail.submit import HouseMail
from mss.mail.testmailbox import TASK_TESTED, X_MSS, Seen, seen_of
from mss.model.clock import Clock
from mss.model.ids import MailAddress, OwnerId
from mss.notices.robots import Answer, Robot
from mss.store.tasks import Task

SUBJECT = "Réponse automatique : votre message de test est arrivé"
SENDER_NAME = "Réponse automatique de test"
OURS = ("compte de cet opérateur", "login of this operator")

log = structlog.get_logger("notices")


class TrialAnswers:
    """Lives in works. `address` None: there is no such address."""

    def __init__(
        self, address: MailAddress | None, private: PrivateKeys, lookup: Lookup, mail: HouseMail, clock: Clock
    ) -> None:
        self._robot = Robot(SENDER_NAME, address, lookup, mail, clock) if address else None
        self._private = private

    @property
    def handlers(self) -> Mapping[str, Callable[[Task], Awaitable[None]]]:
        """Kind of a task → who does it."""
        return {TASK_TESTED: self.answer}

    async def answer(self, task: Task) -> None:
        """Tell what was seen, once however often the duty is done."""
        if self._robot is None:
            return  # taken out of the settings meanwhile
        seen = seen_of(task, self._private.tasks)
        told = Answer(f"tested {task.id}", MailAddress.parse(seen.sender), SUBJECT, words(seen), seen.message_id)
        await self._robot.send(OwnerId(task.owner), told)
        log.info("test.answered", task=task.id)


def words(seen: Seen) -> str:
    """French, then English: the same lines."""
    domain, number = seen.sender.rpartition("@")[2], seen.domains
    there, missing = ", ".join(seen.x_mss), ", ".join(name for name in X_MSS if name not in seen.x_mss)
    listed = ("géré ici", "one of ours")
    if seen.certificate:
        listed = (f"inscrit pour ce certificat ({number} en tout)", f"listed for this certificate ({number} in all)")
    lines = [
        ("Certificat", "Certificate", seen.certificate or OURS[0], seen.certificate or OURS[1]),
        ("Numéro de série", "Serial number", seen.serial, seen.serial),
        ("TLS", "TLS", seen.tls, seen.tls),
        ("EHLO", "EHLO", headers.plain(seen.helo), headers.plain(seen.helo)),
        (
            "Domaine d'envoi, liste blanche",
            "Sending domain, trust list",
            f"{domain}, {listed[0]}",
            f"{domain}, {listed[1]}",
        ),
        ("En-tête From", "Header From", f"{seen.shown}, conforme", f"{seen.shown}, in order"),
        ("Taille", "Size", f"{seen.octets} octets", f"{seen.octets} octets"),
        ("En-têtes X-MSS présents", "X-MSS headers there", there or "aucun", there or "none"),
        ("En-têtes X-MSS absents", "X-MSS headers missing", missing or "aucun", missing or "none"),
    ]
    if seen.long_line:
        lines.append(
            ("Ligne de plus de 998 octets", "Line over 998 octets", f"n° {seen.long_line}", f"no. {seen.long_line}")
        )
    french = "\n".join(f"- {name} : {value or '-'}" for name, _, value, _ in lines)
    english = "\n".join(f"- {name}: {value or '-'}" for _, name, _, value in lines)
    return (
        "Bonjour,\n\nVotre message de test est arrivé et a été accepté. Personne ne le lit et il n'est pas conservé.\n"
        f"Voici ce que notre serveur a vu :\n\n{french}\n\n-- English --\n\n"
        "Your test message has arrived and was accepted. Nobody reads it, and it is not kept.\n"
        f"This is what our server saw:\n\n{english}\n"
    )
