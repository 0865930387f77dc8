"""What is somebody told who wrote to the test mailbox? Everything that our door saw, in French and English."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from email.message import EmailMessage

import structlog

from mss.crypto.keys import Lookup, PrivateKeys
from mss.formats import headers
from mss.mail import letters
from mss.mail.submit import HouseMail
from mss.mail.testmailbox import TASK_TESTED, X_MSS, Seen, seen_of
from mss.model.clock import Clock
from mss.model.ids import MailAddress, OwnerId
from mss.store.tasks import Task

SUBJECT = "Réponse automatique : votre message de test est arrivé"
SENDER_NAME = "Réponse automatique de test"
OURS = ("compte de cet opérateur", "login of this operator")

log = structlog.get_logger("notices")


class TrialAnswers:
    """Lives in works."""

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
        return {TASK_TESTED: self.answer}

    async def answer(self, task: Task) -> None:
        """Answer once, however often the duty is done: the answer's Message-ID is that of the duty."""
        if self._address is None:
            return  # taken out of the settings meanwhile
        seen = seen_of(task, self._private.tasks)
        to = MailAddress.parse(seen.sender)
        message_id = letters.notice_id(self._lookup, f"tested {task.id}", self._address.domain)
        opening = letters.Opening(SENDER_NAME, self._address, to, SUBJECT, self._clock.now(), message_id)
        message = EmailMessage(policy=letters.SEVEN_BIT)
        message.set_content(words(seen), cte="quoted-printable")
        answered = headers.parse_message_ids(seen.message_id)[:1]
        threading = "".join(f"{name}: {one}\r\n" for one in answered for name in ("In-Reply-To", "References"))
        written = opening.to_bytes() + b"Auto-Submitted: auto-replied\r\n" + threading.encode("ascii", "ignore")
        await self._mail.send(OwnerId(task.owner), None, (to,), written + message.as_bytes())
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
