"""Does this mail announce a document that was kept back, and which?

A document marked INVISIBLE_PATIENT is filed hidden and its message kept back until its sender says that the patient
knows. He says so by a mail from the same mailbox to the same patient, whose subject begins with `[ANNONCE]`, or that
has the header `X-MSS-ANNONCE`, and that names the message that was kept back.
"""

from __future__ import annotations

from mss.formats import headers
from mss.formats.parts import Structure
from mss.model.errors import BadValue
from mss.model.ids import MailAddress

SUBJECT = "[ANNONCE]"
HEADER = "X-MSS-ANNONCE"
NAMED_MAX = 20
"""Messages that one mail may announce; each is opened."""


def instruction(message_id: str) -> str:
    """What the sender is told, in one line for people and one for software."""
    subject = f"{SUBJECT} {message_id}"
    return (
        f"pour l'annoncer, écrivez au patient depuis la même BAL avec l'objet {subject} / to announce it,"
        f" write to the patient from the same mailbox, subject {subject} (or header {HEADER}: {message_id})"
    )


def instruction_to(address: MailAddress, message_id: str) -> str:
    """The same to whoever sent to an application mailbox."""
    subject = f"{SUBJECT} {message_id}"
    return (
        f"pour l'annoncer, écrivez à {address} depuis la même BAL avec l'objet {subject} / to announce it, write to"
        f" {address} from the same mailbox, subject {subject} (or header {HEADER}: {message_id})"
    )


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
