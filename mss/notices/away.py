"""May somebody be told that a holder is away, and in which words?

Only a person who wrote to this very mailbox is answered, never a machine (RFC 3834 §2): an answer to an answer is a
loop, and a list or a laboratory's software learns nothing from it. French comes first. The substitute's address is
named, and that nothing was passed on to her.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage

from mss.accounts.absence import Absence
from mss.formats import headers
from mss.formats.parts import Structure
from mss.mail import letters
from mss.model.ids import MailAddress, matricule_of

SUBJECT = "Absence : "
LIST_FIELDS = ("List-Id", "List-Post", "List-Help", "List-Unsubscribe", "List-Subscribe", "List-Owner", "List-Archive")
BULK = frozenset({"bulk", "list", "junk"})
QUIET_PLEASE = frozenset({"all", "oof", "autoreply"})
"""Values of X-Auto-Response-Suppress, which several mail programs write for this."""
MACHINES = re.compile(
    r"(?:owner-.*|.*-(?:request|owner|bounces?|relay)|mailer-daemon|postmaster|listserv|majordomo|no-?reply"
    r"|(?:ne-?pas-?repondre|reponse\.automatique)\b.*)\Z",
    re.ASCII,
)
"""Local parts of which RFC 3834 §2 and habit say that no person reads there."""
ADDRESSED = ("To", "Cc", "Resent-To", "Resent-Cc")


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message that came to somebody who is away."""

    structure: Structure
    return_path: MailAddress | None
    own: Collection[str]
    """Keys of every address of the mailbox."""
    sender_is_software: bool
    """Whether the sender's is an application mailbox of this house."""


Objection = Callable[[Arrived], bool]


def comes_from_nobody(arrived: Arrived) -> bool:
    """A report, or mail that wants no answer; an answer to oneself helps nobody either."""
    return arrived.return_path is None or arrived.return_path.key in arrived.own


def comes_from_a_machine(arrived: Arrived) -> bool:
    """By its own word (RFC 3834 §5, X-Auto-Response-Suppress), or its address, or its content: MDN and DSN."""
    assert arrived.return_path is not None
    asked = (arrived.structure.header("X-Auto-Response-Suppress") or "").lower()
    return (
        letters.header_facts(arrived.structure).is_report
        or arrived.structure.root.content_type.startswith("message/disposition")
        or not QUIET_PLEASE.isdisjoint(word.strip() for word in asked.split(","))
        or MACHINES.match(arrived.return_path.local.lower()) is not None
    )


def comes_by_a_list(arrived: Arrived) -> bool:
    """Many get it, the writer knows nobody of them."""
    precedence = (arrived.structure.header("Precedence") or "").strip().lower()
    return precedence in BULK or any(arrived.structure.header(field) is not None for field in LIST_FIELDS)


def comes_from_software(arrived: Arrived) -> bool:
    """An application mailbox: ours, or one that says so by naming its software and somebody else to answer to
    (ANS: X-MSS-NIL in every message, Reply-To in those of software)."""
    if arrived.sender_is_software:
        return True
    seen = letters.header_facts(arrived.structure)
    elsewhere = seen.reply_to and seen.reply_to[:1] != seen.from_addresses[:1]
    return bool(elsewhere) and arrived.structure.header("X-MSS-NIL") is not None


def is_not_to_this_mailbox(arrived: Arrived) -> bool:
    """Copied in secret, or passed on: who wrote does not expect anybody here (RFC 3834 §2)."""
    named = {one.key for field in ADDRESSED for one in letters.read_addresses(arrived.structure, field)[0]}
    return named.isdisjoint(arrived.own)


OBJECTIONS: tuple[Objection, ...] = (
    comes_from_nobody,
    comes_from_a_machine,
    comes_by_a_list,
    comes_from_software,
    is_not_to_this_mailbox,
)


def whom_to_tell(arrived: Arrived) -> MailAddress | None:
    """The address that is answered (RFC 3834 §4: the return path), or None."""
    return None if any(objects(arrived) for objects in OBJECTIONS) else arrived.return_path


@dataclass(frozen=True, slots=True)
class Away:
    """Whose absence is told."""

    name: str
    address: MailAddress
    absence: Absence


def write(away: Away, to: MailAddress, original: Structure, message_id: str, at: datetime) -> bytes:
    """The answer's bytes: a message like another in the conversation, marked as automatic (RFC 3834 §3.1.7)."""
    subject = headers.decode_words(original.header("Subject") or "").strip()
    opening = letters.Opening(away.name, away.address, to, f"{SUBJECT}{subject}", at, message_id)
    message = EmailMessage(policy=letters.SEVEN_BIT)
    message.set_content(words(away, is_patient=matricule_of(to) is not None), cte="quoted-printable")
    return opening.to_bytes() + b"Auto-Submitted: auto-replied\r\n" + letters.threading(original) + message.as_bytes()


def words(away: Away, *, is_patient: bool) -> str:
    """French, then English in short."""
    absence, instead = away.absence, away.absence.substitute
    first, last = f"{absence.first:%d/%m/%Y}", f"{absence.last:%d/%m/%Y}"
    said = headers.plain(absence.text.replace("\n", " ")).strip()
    paragraphs = [
        f"Réponse automatique : {away.name} est absent(e) du {first} au {last} inclus. Votre message est bien arrivé"
        " et sera lu à son retour.",
        said,
        f"En son absence, adressez-vous à {instead}. Votre message ne lui a pas été transmis." if instead else "",
        "Depuis votre messagerie, vous ne pouvez écrire qu'à un professionnel qui vous a déjà écrit ; sinon, appelez"
        " son cabinet ou son service."
        if is_patient and instead
        else "",
        "En cas d'urgence, appelez le 15 ou le 112." if is_patient else "",
        "Vous ne recevrez cette réponse qu'une fois pendant cette absence.",
        f"-- \nAutomatic reply: {away.name} is away from {first} to {last}; your message will be read afterwards."
        + (f" Meanwhile write to {instead}; your message was not passed on." if instead else "")
        + (" In an emergency call 15 or 112." if is_patient else ""),
    ]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"
