"""What hospitals send to Dominique, each with an id of its own: a laboratory report, a PDF of 20 kB in an archive."""

from __future__ import annotations

import os
from dataclasses import replace
from email.message import EmailMessage

from mss.demo.firstmail import BIOLOGIST, LOINC, RESULTS
from mss.demo.people import PATIENT_LIST, DemoPatient
from mss.formats.cda import read_header
from mss.formats.cdatree import CdaId
from mss.formats.cdawrite import CdaToWrite, write_cda
from mss.formats.xdm import XdmDocument
from mss.formats.xdmwrite import entry_from_cda
from mss.mail import healthmail
from mss.model.clock import Chance, SystemChance, SystemClock
from mss.model.document import Coded
from tests.kit.documents import an_uuid, make_package, make_pdf

PDF_OCTETS = 20_000


def report(chance: Chance, patient: DemoPatient = PATIENT_LIST[0]) -> bytes:
    """A CDA document, level 3."""
    return write_cda(
        CdaToWrite(
            id=CdaId("1.2.250.1.999.1.9", str(int.from_bytes(chance.token(6)))),
            title="CR d'examens biologiques",
            code=Coded("11502-2", LOINC, "CR d'examens biologiques"),
            moment=SystemClock().now().replace(microsecond=0),
            patient=patient.traits,
            ins=patient.ins,
            author=BIOLOGIST,
            sections=RESULTS,
        )
    )


def pdf() -> bytes:
    """One that no other mail has."""
    return make_pdf("\n".join(os.urandom(30).hex() for _ in range(PDF_OCTETS // 75)))


def pdf_mail(
    sender: str, number: int, *, patient: DemoPatient = PATIENT_LIST[0], wants_receipt: bool = False
) -> tuple[str, bytes]:
    """Message-ID and bytes of a mail with such a PDF in an IHE_XDM archive."""
    chance = SystemChance()
    cda = report(chance, patient)
    like = entry_from_cda(read_header(cda), cda, entry_uuid=an_uuid(1))
    unique = f"1.2.250.1.999.1.4.{int.from_bytes(chance.token(7))}"
    entry = replace(like, unique_id=unique, entry_uuid=an_uuid(2), mime_type="application/pdf", set_id="")
    archive = make_package(XdmDocument(entry, pdf()), submission_id=f"{unique}.1")
    message_id = f"<{chance.token(8).hex()}@{sender.rpartition('@')[2]}>"
    mail = EmailMessage()
    mail["From"], mail["To"] = sender, patient.address
    mail["Subject"] = f"Bilan {number}"
    mail["Date"] = "Mon, 5 Jan 2026 10:00:00 +0100"
    mail["Message-ID"] = message_id
    if wants_receipt:
        mail["Disposition-Notification-To"] = sender
    mail.set_content("Bonjour\n")
    mail.add_attachment(archive, maintype="application", subtype="zip", filename=healthmail.ARCHIVE_NAME)
    return message_id, mail.as_bytes(policy=mail.policy.clone(linesep="\r\n"))
