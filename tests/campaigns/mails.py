"""What do the clients of the kill campaign send? Mail of the third operator, every one different, each known again.

To professionals, one or two at a time; to a patient, plain or with an archive of one document.
"""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass

from mss.demo.people import CHU, PATIENT_LIST, TIERS, VILLE
from tests.kit import documents
from tests.kit.smtpload import stuffed

SENDER = f"bio@{TIERS}"
PROFESSIONALS = (f"camille.lefort@{VILLE}", f"samir.benali@{CHU}", f"louise.garnier@{CHU}")
PATIENT = PATIENT_LIST[0].address
BODY_OCTETS = 1500  # some two kilobytes with the header
LINE = "La valeur de ce dosage est dans les bornes de l'intervalle de référence."


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail ready for the wire. `document`: unique id of the document in it, if any."""

    message_id: str
    recipients: tuple[str, ...]
    data: bytes
    document: str = ""


def compose(chance: random.Random, name: str) -> Mail:
    """The next mail of a client; `name` makes it unlike all others."""
    kind = chance.random()
    if kind < 0.60:
        return _mail(chance, name, (chance.choice(PROFESSIONALS),))
    if kind < 0.70:
        return _mail(chance, name, tuple(chance.sample(PROFESSIONALS, 2)))
    if kind < 0.95:
        return _mail(chance, name, (PATIENT,))
    return _with_document(chance, name)


def mail_around(chance: random.Random, name: str, to: str, archive: bytes) -> Mail:
    """An archive on its way to a patient, in a mail that asks for a receipt."""
    return _mail(chance, name, (to,), archive, receipt=True)


def _mail(
    chance: random.Random,
    name: str,
    to: tuple[str, ...],
    attachment: bytes = b"",
    document: str = "",
    *,
    receipt: bool = False,
) -> Mail:
    message_id = f"<{name}@{TIERS}>"
    subject = f"Dosage {name}"
    text = "\r\n".join(f"{chance.getrandbits(60)} {LINE}" for _ in range(BODY_OCTETS // 90)) + "\r\n"
    head = [
        f"From: Laboratoire de garde <{SENDER}>",
        f"To: {', '.join(to)}",
        f"Subject: {subject}",
        "Date: Mon, 5 Jan 2026 10:00:00 +0100",
        f"Message-ID: {message_id}",
        "MIME-Version: 1.0",
        *([f"Disposition-Notification-To: {SENDER}"] if receipt else []),
    ]
    plain = f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}"
    if not attachment:
        return Mail(message_id, to, stuffed(("\r\n".join(head) + "\r\n" + plain).encode()))
    packed = base64.encodebytes(attachment).decode().replace("\n", "\r\n")
    body = (
        f'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n{plain}\r\n--b\r\n'
        'Content-Type: application/zip; name="IHE_XDM.zip"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="IHE_XDM.zip"\r\n\r\n{packed}\r\n--b--\r\n'
    )
    return Mail(message_id, to, stuffed(("\r\n".join(head) + "\r\n" + body).encode()), document)


def _with_document(chance: random.Random, name: str) -> Mail:
    patient = PATIENT_LIST[0]
    number = chance.getrandbits(48)
    unique_id = f"{documents.OUR_OID}.7^{number}"
    person = documents.Person(patient.traits, patient.ins)
    content = documents.make_cda(person, unique_id=unique_id, set_id=f"{documents.OUR_OID}.8^{number}", title=name)
    archive = documents.make_package(content, submission_id=f"{documents.OUR_OID}.9.{number}")
    return _mail(chance, name, (patient.address,), archive, unique_id)
