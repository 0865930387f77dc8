"""What does the house write to a sender, and may it write at all?

From a verdict and the message it is about to the bytes of an answer: an MDN where one was asked for and is safe, else
an ordinary mail, French first. Never says more than the sender wrote himself, the verdict and its code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mss.formats import dsn, headers, mdn, report
from mss.formats.dsn import Dsn, RecipientStatus
from mss.formats.mdn import Mdn, MdnRequest
from mss.formats.parts import Structure
from mss.formats.report import Heading
from mss.mail.answers import FAILURES, Answer, Fate
from mss.model.errors import BadValue
from mss.model.ids import MailAddress
from mss.model.verdict import Reason
from mss.notices.advice import advice

SENDER_NAME = "Ne pas répondre"
KEPT_BACK_SUBJECT = "[Conservé jusqu'à l'annonce]"
FILED_LATER_SUBJECT = "[Intégré]"
MDN_SUBJECT = "[Intégration]"
UNFILED_SUBJECT = "[Retiré du dossier]"
TITLE_CHARS_MAX = 120
DOCUMENTS_TOLD_MAX = 100

_AUTOMATIC_BUT_ACCOUNTABLE = "auto-generated"
"""RFC 3834 §5.1: a machine wrote it, answering nobody: a laboratory's results. Its sender must hear of a failure."""

_FATES: dict[Fate, tuple[str, str]] = {
    Fate.FILED: ("intégré au dossier du patient", "filed in the patient's record"),
    Fate.REPLACED: ("intégré, remplace la version précédente", "filed, replaces the former version"),
    Fate.ALREADY: ("déjà présent dans le dossier", "already in the record"),
    Fate.KEPT_BACK: (
        "intégré sans être visible du patient ; le message est conservé jusqu'à ce que vous l'annonciez",
        "filed, not visible to the patient; the message is kept back until you announce it",
    ),
    Fate.HELD: (
        "reçu, NON intégré : en attente d'une vérification humaine, rien n'est visible du patient",
        "received, NOT filed: waiting for a human check, nothing is visible to the patient",
    ),
    Fate.WITHDRAWN: ("retiré du dossier du patient", "withdrawn from the patient's record"),
    Fate.ANNOUNCED: ("annoncé : désormais visible du patient", "announced: visible to the patient from now on"),
    Fate.UNFILED: (
        "retiré du dossier où il avait été classé par erreur ; il n'est plus intégré",
        "taken out of the record where it had been filed by mistake; it is filed no longer",
    ),
    Fate.REFILED: ("classé dans le dossier du bon patient", "filed in the record of the right patient"),
    Fate.SHOWN: ("remis au patient, sans document à intégrer", "given to the patient, with no document to file"),
    Fate.NOT_INTEGRATED: (
        "présent dans le dossier tenu ici, NON intégré dans le logiciel de l'établissement",
        "in the record kept here, NOT integrated into the hospital's software",
    ),
    Fate.INTEGRATED: (
        "désormais intégré dans le logiciel de l'établissement",
        "integrated into the hospital's software by now",
    ),
    Fate.REFUSED: ("refusé après vérification humaine, NON intégré", "refused after a human check, NOT filed"),
}


@dataclass(frozen=True, slots=True)
class House:
    """In whose name answers are written."""

    host: str
    sender: MailAddress
    """Header From; the envelope's sender is empty."""


@dataclass(frozen=True, slots=True)
class Original:
    """The message that is answered."""

    raw: bytes
    structure: Structure
    recipient: str
    """The patient's address."""

    @property
    def return_path(self) -> MailAddress | None:
        """The envelope's sender, which we wrote at the top (RFC 5321 §4.4); None for the null path."""
        written = (self.structure.header("Return-Path") or "").strip().removeprefix("<").removesuffix(">")
        try:
            return MailAddress.parse(written)
        except BadValue:
            return None

    @property
    def message_id(self) -> str:
        return next(iter(headers.parse_message_ids(self.structure.header("Message-ID") or "")), "")

    @property
    def subject(self) -> str:
        return headers.decode_words(self.structure.header("Subject") or "").strip()

    @property
    def auto_submitted(self) -> str:
        return (self.structure.header("Auto-Submitted") or "no").partition(";")[0].strip().lower() or "no"

    @property
    def mdn_request(self) -> MdnRequest:
        asked = [a for f in self.structure.headers("Disposition-Notification-To") for a in headers.parse_addresses(f)]
        return MdnRequest(
            notify=[address.address for address in asked],
            return_path=self.return_path,
            content_type=self.structure.root.content_type,
            auto_submitted=self.auto_submitted,
            options=self.structure.header("Disposition-Notification-Options") or "",
        )


def answer(
    owed: Answer, original: Original, house: House, message_id: str, at: datetime, *, returns_failed: bool = True
) -> bytes | None:
    """The answer that is owed, or None when nobody is to be answered: no sender, a report, an automaton's answer, or
    a success that nobody asked about. `returns_failed`: what failed comes back whole, as ANS has it."""
    to = original.return_path
    is_failure = owed.fate in FAILURES
    if to is None or original.structure.root.content_type == "multipart/report":
        return None
    by_mdn = owed.is_first and mdn.may_send_mdn(original.mdn_request)
    accountable = ("no", _AUTOMATIC_BUT_ACCOUNTABLE) if is_failure else ("no",)
    if not by_mdn and (original.auto_submitted not in accountable or not _is_always_told(owed)):
        return None
    error = mdn.error_of(owed.reason or Reason.UNREADABLE, owed.code) if is_failure else ""
    told = Mdn(
        final_recipient=original.recipient,
        original_message_id=original.message_id,
        error=error,
        reporting_ua=house.host,
    )
    heading = _heading(original, house, to, _subject(owed, original, error), message_id, at)
    write = mdn.write_mdn if by_mdn else mdn.write_letter
    return write(heading, told, original.raw, details=details(owed), whole=is_failure and returns_failed)


def _is_always_told(owed: Answer) -> bool:
    """Failures, what is kept back, and what follows a first answer."""
    return owed.fate in FAILURES or owed.fate is Fate.KEPT_BACK or not owed.is_first


def details(owed: Answer) -> list[str]:
    """One line for each document, French then English; what the sender can do; what staff wrote comes last."""
    lines = [_line(title, fate) for title, fate in owed.documents[:DOCUMENTS_TOLD_MAX]]
    if not lines:
        lines = [_line("", owed.fate)]
    if owed.fate in (Fate.HELD, Fate.NOT_INTEGRATED) and (told := advice(owed.reason)):
        lines.append(told)
    return [*lines, *([f"Précision / note: {headers.plain(owed.why)}"] if owed.why else [])]


def _line(title: str, fate: Fate) -> str:
    french, english = _FATES[fate]
    name = headers.plain(title)[:TITLE_CHARS_MAX]
    return f"{name} : {french} / {english}" if name else f"{french} / {english}"


def _subject(owed: Answer, original: Original, error: str) -> str:
    if error:
        return mdn.failure_subject(error, original.subject)
    if owed.fate is Fate.KEPT_BACK:
        return f"{KEPT_BACK_SUBJECT} {original.subject}"
    if owed.fate is Fate.UNFILED:
        return f"{UNFILED_SUBJECT} {original.subject}"
    return f"{MDN_SUBJECT if owed.is_first else FILED_LATER_SUBJECT} {original.subject}"


def _heading(original: Original, house: House, to: MailAddress, subject: str, message_id: str, at: datetime) -> Heading:
    before = headers.parse_message_ids(original.structure.header("References") or "")
    return Heading(message_id, at, house.sender, SENDER_NAME, to, subject, original.message_id, before)


# What became of mail on its way


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """About a message, as far as its sender may know."""

    to: MailAddress
    message_id: str
    content: bytes
    """Its header block, or what is known of it; all of it when it comes back whole."""
    recipients: tuple[RecipientStatus, ...]
    arrival: datetime | None = None
    envelope_id: str = ""
    """ENVID as it was sent."""
    is_whole: bool = False


def delivery_report(about: DeliveryReport, house: House, message_id: str, at: datetime) -> bytes:
    """The delivery status notification."""
    told = Dsn(house.host, about.recipients, about.arrival, dsn.decode_xtext(about.envelope_id))
    heading = Heading(message_id, at, house.sender, SENDER_NAME, about.to, dsn.subject_of(told), about.message_id)
    return dsn.write_dsn(heading, told, about.content, whole=about.is_whole)


def header_of(fields: Sequence[tuple[str, str]]) -> bytes:
    """A header block from the little that is known of a message."""
    lines = [report.unstructured(name, value) for name, value in fields if value]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii", "replace")
