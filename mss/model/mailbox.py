"""Mailboxes (boîtes aux lettres, BAL) and their folders."""

from __future__ import annotations

from enum import StrEnum


class MailboxKind(StrEnum):
    """Kind of a mailbox; the value is the national code (TRE_R257), `PATIENT` is ours."""

    PERSONAL = "PER"
    ORGANISATIONAL = "ORG"
    APPLICATION = "APP"
    OFFICE = "CAB"
    PATIENT = "PATIENT"


class AccountState(StrEnum):
    """Life of a mailbox. ACTIVE may be opened; READ_ONLY be read by whoever leaves, and nothing comes or goes.
    PROVISIONED exists but its person has not come yet."""

    PROVISIONED = "provisioned"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    READ_ONLY = "read-only"
    CLOSED = "closed"


class SpecialUse(StrEnum):
    """Role of a folder (RFC 6154), without the backslash. INBOX is a name, not a role, but has one here."""

    INBOX = "Inbox"
    SENT = "Sent"
    DRAFTS = "Drafts"
    TRASH = "Trash"
    JUNK = "Junk"
    ARCHIVE = "Archive"
    UNANSWERED = "Unanswered"
    """Ours, told to no client: messages of patients that wait for an answer (mss/store/unanswered.py)."""


class RetentionRule(StrEnum):
    """By which setting of the operator old messages go: everywhere in a mailbox, in the trash, among junk."""

    MAILBOX = "mailbox"
    TRASH = "trash"
    JUNK = "junk"


DEFAULT_FOLDERS: tuple[tuple[str, SpecialUse], ...] = (
    ("INBOX", SpecialUse.INBOX),
    ("Envoyés", SpecialUse.SENT),
    ("Brouillons", SpecialUse.DRAFTS),
    ("Corbeille", SpecialUse.TRASH),
    ("Indésirables", SpecialUse.JUNK),
    ("Archives", SpecialUse.ARCHIVE),
    ("Sans réponse", SpecialUse.UNANSWERED),
)
"""Folders that a professional mailbox is born with, named in French for people; the last only where people read
(mss/mail/unanswered.py)."""
ONLY_HERE = frozenset({SpecialUse.INBOX, SpecialUse.UNANSWERED})
"""Uses that are not words of RFC 6154."""


BORN_KEYWORDS = ("$MSSPatient", "$MSSResult", "$MSSReceipt")
"""Keywords that a professional's INBOX is born with, as its bits 0, 1, 2: delivery sets them (mss/mail/labels.py)."""


SENT_COPY = "SENT-COPY"
"""In the mask of an account (beside capabilities of IMAP): the server does not file what it sends
(mss/mail/sentcopies.py)."""


class Flag:
    """System flags as bits of `entry.flags` (RFC 9051 §2.3.2)."""

    SEEN = 1
    ANSWERED = 2
    FLAGGED = 4
    DELETED = 8
    DRAFT = 16


FLAG_NAMES: dict[int, str] = {
    Flag.ANSWERED: "\\Answered",
    Flag.FLAGGED: "\\Flagged",
    Flag.DELETED: "\\Deleted",
    Flag.SEEN: "\\Seen",
    Flag.DRAFT: "\\Draft",
}
