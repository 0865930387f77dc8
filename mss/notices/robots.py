"""How does an address that nobody reads answer? One letter for one duty, marked so that no machine answers it."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage

from mss.crypto.keys import Lookup
from mss.formats import headers
from mss.mail import letters
from mss.mail.submit import HouseMail
from mss.model.clock import Clock
from mss.model.ids import MailAddress, OwnerId


@dataclass(frozen=True, slots=True)
class Answer:
    """What is told to whom. `cause` makes the Message-ID: the same answer, however often its duty is done."""

    cause: str
    to: MailAddress
    subject: str
    text: str
    asked_in: str
    """The Message-ID of the question, as it came; nothing of it is believed but an id."""


class Robot:
    """Writes for one address; `name` is the one in its From field."""

    def __init__(self, name: str, address: MailAddress, lookup: Lookup, mail: HouseMail, clock: Clock) -> None:
        self._name = name
        self._address = address
        self._lookup = lookup
        self._mail = mail
        self._clock = clock

    async def send(self, owner: OwnerId, answer: Answer) -> None:
        """Queue the answer, from the null sender (RFC 3834 §3.3, §5)."""
        message_id = letters.notice_id(self._lookup, answer.cause, self._address.domain)
        now = self._clock.now()
        opening = letters.Opening(self._name, self._address, answer.to, answer.subject, now, message_id)
        message = EmailMessage(policy=letters.SEVEN_BIT)
        message.set_content(answer.text, cte="quoted-printable")
        answered = headers.parse_message_ids(answer.asked_in)[:1]
        threading = "".join(f"{name}: {one}\r\n" for one in answered for name in ("In-Reply-To", "References"))
        written = opening.to_bytes() + b"Auto-Submitted: auto-replied\r\n" + threading.encode("ascii", "ignore")
        await self._mail.send(owner, None, (answer.to,), written + message.as_bytes())
