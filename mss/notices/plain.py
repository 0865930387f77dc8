"""How does the house write a letter of its own, that answers nobody's message? A few words to one address.

Its Message-ID follows from what it is about, so that what is told twice, after a crash or by two processes, is one
letter.
"""

from __future__ import annotations

from mss.crypto.keys import Lookup
from mss.formats import report
from mss.formats.report import Heading
from mss.mail import letters
from mss.mail.letters import PARIS
from mss.mail.submit import HouseMail
from mss.model.clock import Clock
from mss.model.ids import MailAddress, OwnerId
from mss.notices.compose import SENDER_NAME, House, header_of


class PlainLetters:
    """Writes and sends them."""

    def __init__(self, house: House, lookup: Lookup, mail: HouseMail, clock: Clock) -> None:
        self._house = house
        self._lookup = lookup
        self._mail = mail
        self._clock = clock

    async def send(self, owner: OwnerId, to: MailAddress, subject: str, text: str, about: str) -> str:
        """`owner`: in whose lane it is queued; `about`: what makes it one letter. Answers its Message-ID. Raises
        StorageUnavailable."""
        message_id = letters.notice_id(self._lookup, about, self._house.sender.domain)
        at = self._clock.now().astimezone(PARIS)
        heading = Heading(message_id, at, self._house.sender, SENDER_NAME, to, subject)
        written = report.write(heading, text, None, header_of([("Subject", subject)]), whole=False)
        await self._mail.send(owner, None, (to,), written)
        return message_id
