"""Mail as a laboratory's software makes it, for the demo: any patient's document to any address, right or wrong.

`mss send` refuses to write one patient's document to another; software of others does not.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from mss.demo.people import LABO, PATIENT_LIST
from mss.formats.cda import read_header
from tests.kit import documents
from tests.kit.demo import Demo, on_the_wire

SOFTWARE = f"resultats@{LABO}"
TEAM = f"secretariat@{LABO}"
BIOLOGIST = f"ines.roussel@{LABO}"


@dataclass(frozen=True)
class Sent:
    """What left."""

    message_id: str
    subject: str


def person(login: str) -> documents.Person:
    """A patient of the demo, as the makers of documents want one."""
    patient = next(one for one in PATIENT_LIST if one.login == login)
    return documents.Person(patient.traits, patient.ins)


def report(login: str, title: str = "Bilan sanguin", *, embedded_pdf: bytes | None = None) -> bytes:
    """A new laboratory report about a patient of the demo."""
    number = random.Random().getrandbits(60)
    return documents.make_cda(
        person(login),
        unique_id=f"{documents.OUR_OID}.21^{number}",
        set_id=f"{documents.OUR_OID}.22^{number}",
        title=title,
        embedded_pdf=embedded_pdf,
    )


def health_mail(to: str, *contents: bytes, text: str = "Veuillez trouver ci-joint un document.") -> EmailMessage:
    """The documents in an archive; the subject names whom the first is about, as ANS asks."""
    header = read_header(contents[0])
    about = header.patient
    born = f" {about.birth_date:%d/%m/%Y}" if about.birth_date else ""
    subject = f"XDM/1.0/DDM+{header.title} {about.birth_name.upper()} {about.first_given_name}{born}"
    mail = plain_mail(to, subject, text)
    mail["Disposition-Notification-To"] = SOFTWARE
    number = random.Random().getrandbits(60)
    archive = documents.make_package(*contents, submission_id=f"{documents.OUR_OID}.23.{number}")
    mail.add_attachment(archive, maintype="application", subtype="zip", filename="IHE_XDM.zip")
    return mail


def plain_mail(to: str, subject: str, text: str, **fields: str) -> EmailMessage:
    """From the laboratory's software; answers go to the team. Field names with underscores for hyphens."""
    mail = EmailMessage()
    mail["From"] = f"Laboratoire des Tilleuls <{SOFTWARE}>"
    mail["Reply-To"], mail["To"], mail["Subject"] = TEAM, to, subject
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{random.Random().getrandbits(96):024x}@{LABO}>"
    for name, value in fields.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    return mail


def send(demo: Demo, to: str, mail: EmailMessage) -> Sent:
    """Through operator B, who relays it to A."""
    demo.submit(SOFTWARE, [to], on_the_wire(mail))
    return Sent(str(mail["Message-ID"]), str(mail["Subject"]))


def answers_to(demo: Demo, message_id: str, mailbox: str = SOFTWARE) -> list[EmailMessage]:
    """What came back about a mail: receipts and notices that name it anywhere."""
    return [mail for mail in demo.mails(mailbox) if message_id in mail.as_string()]
