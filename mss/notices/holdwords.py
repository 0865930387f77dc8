"""What do people read about something that is held? Senders: that it arrived and is still not where it should be.
Staff: which numbers wait, why and since when, and nothing of what is in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mss.formats import dsn, headers, report
from mss.formats.dsn import Dsn
from mss.formats.report import Heading
from mss.mail.letters import PARIS
from mss.model.clock import from_ms
from mss.model.ids import MailAddress
from mss.notices.compose import SENDER_NAME, DeliveryReport, House, header_of
from mss.store.records import HeldRow, HeldWhat

HELD_SUBJECT = "[Message retenu] reçu, NON remis"
STILL_HELD_SUBJECT = "[Message retenu] reçu, TOUJOURS PAS remis"
STAFF_SUBJECT = "[Alerte] messages retenus : {count}"


def still(hours: int) -> str:
    """For a sender of documents."""
    if not hours:
        return "le message est retenu / the message is held"
    french, english = _after(hours)
    return f"reçu, TOUJOURS PAS intégré après {french} / received, still NOT filed after {english}"


def still_not_integrated(hours: int) -> str:
    """For a sender of a document that the record here has, and the hospital's own software has not."""
    if not hours:
        return "une personne s'en occupe / a person looks after it"
    french, english = _after(hours)
    return f"TOUJOURS PAS intégré après {french} / still NOT integrated after {english}"


def _after(hours: int) -> tuple[str, str]:
    """As hours are counted (mss/model/workdays.py)."""
    return f"{hours} h (jours ouvrés)", f"{hours} h (working days)"


def held(about: DeliveryReport, house: House, message_id: str, at: datetime, hours: int) -> bytes:
    """A delivery status (delayed) for mail that is held."""
    told = Dsn(house.host, about.recipients, about.arrival)
    subject = STILL_HELD_SUBJECT if hours else HELD_SUBJECT
    heading = Heading(message_id, at, house.sender, SENDER_NAME, about.to, subject, about.message_id)
    french, english = _after(hours)
    opening = (
        f"Votre message est reçu, mais n'est TOUJOURS PAS remis après {french}. Il est conservé. Destinataires :",
        f"Your message was received, but is still NOT delivered after {english}. It is kept. Recipients:",
    )
    first = (
        "Votre message est reçu, mais NON remis. Il est conservé. Destinataires concernés :",
        "Your message was received, but NOT delivered. It is kept. Recipients concerned:",
    )
    return dsn.write_dsn(heading, told, about.content, opening=opening if hours else first)


def message_id_of(header: bytes) -> str:
    """The Message-ID in a header block; empty when there is none."""
    for line in header.split(b"\r\n"):
        if line[:11].lower() == b"message-id:":
            return next(iter(headers.parse_message_ids(line[11:].decode("ascii", "replace"))), "")
    return ""


def for_staff(
    rows: Sequence[HeldRow], count: int, to: MailAddress, house: House, message_id: str, at: datetime
) -> bytes:
    """The list: numbers, reasons, moments; a `+` where more wait than are listed."""
    more = "+" if count > len(rows) else ""
    lines = [f"  {row.id}  {from_ms(row.held_ms).astimezone(PARIS):%d/%m/%Y %H:%M}  {row.reason}" for row in rows]
    shown = f"{len(rows)}{more}"
    of_sinks = "; mss sink list, retry, drop" if any(row.what == HeldWhat.SINK for row in rows) else ""
    words = (
        f"Bonjour,\n\nRetenus, en attente d'une décision : {shown}. Rien n'en est visible, rien n'expire.\n"
        f"Que faire : mss held list, show, file, reject{of_sinks}.\n\n" + "\n".join(lines) + "\n\n-- English --\n\n"
        f"Held and waiting for a decision: {shown}. Nothing of it is visible, nothing expires.\n"
        f"What to do: mss held list, show, file, reject{of_sinks}.\n"
    )
    subject = STAFF_SUBJECT.format(count=shown)
    heading = Heading(message_id, at.astimezone(PARIS), house.sender, SENDER_NAME, to, subject)
    return report.write(heading, words, None, header_of([("Subject", subject)]), whole=False)
