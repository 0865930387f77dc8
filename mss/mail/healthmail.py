"""What does a hospital's software send? A mail with IHE_XDM.zip, its readable copies, subject and MSSanté headers.

Used by `mss send`, the demo and tests. Refuses when documents name different people, or other people than the
address: the mistake that nobody can undo.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from uuid import UUID

from mss.formats import cda, dicom, xdmwrite
from mss.formats.cda import CdaHeader, CdaPatient
from mss.formats.cdatree import CdaId
from mss.formats.dicom import DicomHeader
from mss.formats.xdm import XdmDocument
from mss.formats.xdmwrite import PackageToWrite, SenderCard
from mss.formats.xdsvalues import SubmissionSet
from mss.mail import letters
from mss.model.clock import Chance
from mss.model.errors import BadValue
from mss.model.ids import InsOid, MailAddress

SUBJECT_PREFIX = "XDM/1.0/DDM"
ARCHIVE_NAME = "IHE_XDM.zip"
INS_CHARS = 15
TITLE_CHARS_MAX = 120
"""Of the subject, so that the patient's name still fits."""
SUBMISSION_OID = "2.25"
"""OID arc for identifiers made from UUIDs (ITU-T X.667): no registration needed."""


@dataclass(frozen=True, slots=True)
class Sending:
    """What is sent by whom. `pdfs`: readable copies, (file name, bytes)."""

    sender: MailAddress
    sender_name: str
    recipient: MailAddress
    documents: tuple[bytes, ...]
    pdfs: tuple[tuple[str, bytes], ...]
    at: datetime
    reply_to: MailAddress | None = None
    receipt_wanted: bool = True
    text: str = ""
    software: str = "mss"
    reference: str = ""
    """Product reference of that software, for X-MSS-NIL."""
    images: tuple[tuple[str, bytes], ...] = ()
    """DICOM files beside the archive, (file name, bytes)."""


def subject_of(header: CdaHeader) -> str:
    """`XDM/1.0/DDM+<label> <NAME> <first name> <birth date>` (ANS, volet LPS – MSS)."""
    patient = header.patient
    born = f" {patient.birth_date:%d/%m/%Y}" if patient.birth_date else ""
    title, name = header.title[:TITLE_CHARS_MAX], f"{patient.birth_name.upper()} {patient.first_given_name}"
    subject = f"{SUBJECT_PREFIX}+{title} {name}{born}"
    return " ".join(subject.split())


def compose(sending: Sending, chance: Chance) -> tuple[str, bytes]:
    """(Message-ID, the mail's bytes). Raises BadValue, Malformed (a document that is no CDA)."""
    headers = [cda.read_header(document) for document in sending.documents]
    images = [dicom.read_header(octets) for _, octets in sending.images]
    if not headers and not images:
        raise BadValue("nothing to send: name at least one CDA document or DICOM file")
    ins = _one_patient(headers, sending.recipient) if headers else ()
    _of_the_same_patient(images, sending.recipient, {one.extension for one in ins})
    subject = subject_of(headers[0]) if headers else _subject_of_images(images[0])
    message_id = letters.new_message_id(chance, sending.sender.domain)
    opening = letters.Opening(sending.sender_name, sending.sender, sending.recipient, subject, sending.at, message_id)
    mail = EmailMessage(policy=letters.SEVEN_BIT)
    if sending.reply_to is not None:
        mail["Reply-To"] = str(sending.reply_to)
    if sending.receipt_wanted:
        mail["Disposition-Notification-To"] = str(sending.sender)
    if headers:
        mail["X-MSS-CODECDA"] = ",".join(header.code.code for header in headers)
        mail["X-MSS-INS"] = "O" if ins and all(header.patient.traits for header in headers) else "N"
    if sending.reference:
        mail["X-MSS-NIL"] = sending.reference
    mail.set_content(sending.text or "Veuillez trouver ci-joint un document de santé.\n")
    if headers:
        archive = _archive(sending, headers, chance)
        mail.add_attachment(archive, maintype="application", subtype="zip", filename=ARCHIVE_NAME)
    for name, octets in sending.pdfs:
        mail.add_attachment(octets, maintype="application", subtype="pdf", filename=name)
    for name, octets in sending.images:
        mail.add_attachment(octets, maintype="application", subtype="dicom", filename=name)
    return message_id, opening.to_bytes() + mail.as_bytes()


def _subject_of_images(image: DicomHeader) -> str:
    """As of a document, without the mark of an archive."""
    family, given = image.birth_name if any(image.birth_name) else image.name
    born = f" {image.birth_date:%d/%m/%Y}" if image.birth_date else ""
    return " ".join(f"{image.description[:TITLE_CHARS_MAX]} {family.upper()} {given}{born}".split())


def _of_the_same_patient(images: list[DicomHeader], recipient: MailAddress, of_documents: set[str]) -> None:
    """Every image names, with its authority, the INS of the address and of the documents beside it."""
    wanted = {one.upper() for one in of_documents}
    if _looks_like_ins(recipient):
        wanted = {recipient.local.upper()}
    for image in images:
        numbers = {number.value.upper() for number in image.numbers if number.issuer in set(InsOid)}
        if wanted and not wanted & numbers:
            raise BadValue("an image names another patient, or no INS with its authority (0010,0024): nothing was sent")


def _looks_like_ins(recipient: MailAddress) -> bool:
    return recipient.local[:1].isdigit() and len(recipient.local) == INS_CHARS


def _one_patient(headers: list[CdaHeader], recipient: MailAddress) -> tuple[CdaId, ...]:
    """The INS that all documents share. When the address is an INS, it must be among them."""
    first = headers[0].patient
    if any(_who(header.patient) != _who(first) for header in headers):
        raise BadValue("the documents name different patients: send one patient's documents in one mail")
    if _looks_like_ins(recipient) and recipient.local.upper() not in {one.extension for one in first.ins_ids}:
        raise BadValue("the address and the document name different patients: nothing was sent")
    return first.ins_ids


def _who(patient: CdaPatient) -> object:
    """What two documents of one patient share: the INS; without one, the traits."""
    ins = {(one.root, one.extension) for one in patient.ins_ids}
    return ins or (patient.birth_name.upper(), patient.first_given_name.upper(), patient.birth_date, patient.sex)


def _archive(sending: Sending, headers: list[CdaHeader], chance: Chance) -> bytes:
    documents = []
    for header, data in zip(headers, sending.documents, strict=True):
        entry = xdmwrite.entry_from_cda(header, data, entry_uuid=_uuid(chance).urn)
        documents.append(XdmDocument(entry, data))
    first = documents[0].entry
    made = _uuid(chance)
    submission = SubmissionSet(
        entry_uuid=made.urn,
        unique_id=f"{SUBMISSION_OID}.{made.int}",
        source_id=SUBMISSION_OID,
        patient_id=first.patient_id,
        title=headers[0].title,
        authors=first.authors,
        submission_time=sending.at,
        content_type=first.class_,
    )
    card = SenderCard(sending.sender_name, software=sending.software)
    return xdmwrite.write_package(PackageToWrite(submission, tuple(documents), card))


def _uuid(chance: Chance) -> UUID:
    return UUID(bytes=chance.token(16), version=4)
