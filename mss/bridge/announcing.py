"""Does this mail announce a document that was kept back, and which?

A document marked INVISIBLE_PATIENT is filed hidden and its message kept back until its sender says that the patient
knows. He says so by a mail from the same mailbox to the same patient, whose subject begins with `[ANNONCE]`, or that
has the header `X-MSS-ANNONCE`, and that names the message that was kept back.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta

from mss.formats import headers
from mss.formats.parts import Structure
from mss.mail.letters import PARIS
from mss.model.clock import Chance, Clock, to_ms
from mss.model.errors import BadValue
from mss.model.ids import MailAddress
from mss.store import tasks
from mss.store.ids import new_id
from mss.store.sql import Connection
from mss.store.tasks import NewTask

SUBJECT = "[ANNONCE]"
HEADER = "X-MSS-ANNONCE"
DAY_MS = 86_400_000
TASK_UNANNOUNCED = "unannounced"
"""Show what nobody has announced, where the operator has set a delay: payload {"message": number}."""
NAMED_MAX = 20
"""Messages that one mail may announce; each is opened."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an announcement is waited for: without end, or so many days, where the operator has set them."""

    days: int
    clock: Clock
    chance: Chance

    def owe(self, connection: Connection, owner: int, message: int) -> None:
        """The duty to show it then all the same (bridge/unannounced.py)."""
        if self.days:
            payload, due_ms = json.dumps({"message": message}).encode(), to_ms(self.clock.now()) + self.days * DAY_MS
            number = new_id(self.clock, self.chance)
            tasks.add_task(connection, owner, NewTask(number, TASK_UNANNOUNCED, payload, due_ms))

    @property
    def until(self) -> date | None:
        """The day, for what is kept back today."""
        return (self.clock.now().astimezone(PARIS) + timedelta(days=self.days)).date() if self.days else None


def instruction(message_id: str, until: date | None = None) -> str:
    """What the sender is told, for people and for software. `until`: when the patient sees it without."""
    subject = f"{SUBJECT} {message_id}"
    return (
        f"pour l'annoncer, écrivez au patient depuis la même BAL avec l'objet {subject}{_shown(until, 0)} / to announce"
        f" it, write to the patient from the same mailbox, subject {subject} (or header {HEADER}: {message_id})"
        f"{_shown(until, 1)}"
    )


def instruction_to(address: MailAddress, message_id: str, until: date | None = None) -> str:
    """The same to whoever sent to an application mailbox."""
    subject = f"{SUBJECT} {message_id}"
    return (
        f"pour l'annoncer, écrivez à {address} depuis la même BAL avec l'objet {subject}{_shown(until, 0)} / to"
        f" announce it, write to {address} from the same mailbox, subject {subject} (or header {HEADER}: {message_id})"
        f"{_shown(until, 1)}"
    )


def _shown(until: date | None, language: int) -> str:
    if until is None:
        return ""
    french = f" ; sans annonce, le patient le verra à partir du {until:%d/%m/%Y}"
    return (french, f"; without it the patient sees it from {until:%Y-%m-%d} on")[language]


def announced(structure: Structure) -> tuple[str, ...] | None:
    """The Message-IDs that are announced; None when the mail does not announce anything."""
    subject = headers.decode_words(structure.header("Subject") or "").strip()
    header = structure.header(HEADER)
    if header is None and not subject.upper().startswith(SUBJECT):
        return None
    told = (header, subject, structure.header("In-Reply-To"), structure.header("References"))
    named = [one for text in told for one in headers.parse_message_ids(text or "")]
    return tuple(dict.fromkeys(named))[:NAMED_MAX]


def sender_of(structure: Structure) -> MailAddress | None:
    """The accountable sender, as our own trace field at the top tells (RFC 5321 §4.4); None for a null path."""
    written = (structure.header("Return-Path") or "").strip().removeprefix("<").removesuffix(">")
    try:
        return MailAddress.parse(written)
    except BadValue:
        return None
