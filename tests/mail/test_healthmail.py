"""What a hospital's software sends: one patient, one archive, the subject and headers that MSSanté asks for."""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest

from mss.formats import mime, xdm
from mss.formats.cda import CdaHeader, read_header
from mss.mail.healthmail import ARCHIVE_NAME, Sending, compose, subject_of
from mss.model.clock import SeededChance
from mss.model.errors import BadValue, Malformed
from mss.model.ids import MailAddress
from tests.kit.documents import HUGO, MOMENT, ZOE, make_cda, make_pdf

LABORATORY = MailAddress.parse("resultats@labo.mssante.example")
TEAM = MailAddress.parse("secretariat@labo.mssante.example")
ZOES = MailAddress.parse(f"{ZOE.ins.value}@patient.mssante.example")


def sending(*documents: bytes, to: MailAddress = ZOES, **more: object) -> Sending:
    plain = Sending(LABORATORY, "Laboratoire des Tilleuls, Évreux", to, documents, (), MOMENT)
    return replace(plain, **more)  # type: ignore[arg-type]


def composed(*documents: bytes, **more: object) -> EmailMessage:
    """As the other side's software reads it."""
    message_id, raw = compose(sending(*documents, **more), SeededChance(1))  # type: ignore[arg-type]
    assert raw.isascii()
    assert mime.scan(raw).longest_line is None
    read = message_from_bytes(raw, policy=default)
    assert isinstance(read, EmailMessage)
    assert read["Message-ID"] == message_id
    return read


def documents_of(mail: EmailMessage) -> list[xdm.XdmDocument]:
    (part,) = [one for one in mail.iter_attachments() if one.get_filename() == ARCHIVE_NAME]
    package = xdm.read_package(part.get_content())
    return [document for submission in package.submissions for document in submission.documents]


def test_one_document_in_one_archive() -> None:
    """Our own reader opens it: the document to the byte, its fiche, the patient."""
    content = make_cda()
    mail = composed(content, reply_to=TEAM)
    (document,) = documents_of(mail)
    assert document.content == content
    assert ZOE.ins.value in document.entry.patient_id
    assert mail["Subject"] == "XDM/1.0/DDM+Compte rendu d'examens biologiques MARCHAND-ESSAI Zoé 03/02/1990"
    assert mail["X-MSS-CODECDA"] == read_header(content).code.code
    assert mail["X-MSS-INS"] == "O"
    assert mail["Reply-To"] == str(TEAM)
    assert mail["Disposition-Notification-To"] == str(LABORATORY)
    assert mail["Date"].datetime == MOMENT
    assert mail["From"].addresses[0].display_name == "Laboratoire des Tilleuls, Évreux"


def test_several_documents_and_readable_copies() -> None:
    """All of one patient in one archive, their codes in order; the PDF lies beside it for people."""
    first, second = make_cda(), make_cda(unique_id="1.2.250.1.999.1.77^2", title="Deuxième")
    pdf = make_pdf()
    mail = composed(first, second, pdfs=(("Compte rendu n° 1.pdf", pdf),), receipt_wanted=False)
    assert {document.content for document in documents_of(mail)} == {first, second}
    codes = [read_header(one).code.code for one in (first, second)]
    assert mail["X-MSS-CODECDA"] == ",".join(codes)
    copies = [one for one in mail.iter_attachments() if one.get_content_type() == "application/pdf"]
    assert [(one.get_filename(), one.get_content()) for one in copies] == [("Compte rendu n° 1.pdf", pdf)]
    assert mail["Disposition-Notification-To"] is None


def test_two_patients_never_share_a_mail() -> None:
    """The mistake that nobody can undo."""
    with pytest.raises(BadValue, match="different patients"):
        compose(sending(make_cda(), make_cda(HUGO)), SeededChance(1))


def test_the_address_names_the_patient_of_the_document() -> None:
    """Hugo's document is not sent to Zoé; to a colleague any document may be sent."""
    with pytest.raises(BadValue, match="nothing was sent"):
        compose(sending(make_cda(HUGO)), SeededChance(1))
    composed(make_cda(HUGO), to=MailAddress.parse("dr.house@chu.mssante.example"))
    composed(make_cda(HUGO), to=MailAddress.parse(f"{HUGO.ins.value.lower()}@patient.mssante.example"))


def without_ins(content: bytes) -> bytes:
    """The same document as an older program writes it: a local number only."""
    header = read_header(content)
    for one in header.patient.ins_ids:
        content = content.replace(one.root.encode(), b"1.2.250.1.999.1.33")
    assert not read_header(content).patient.ins_ids
    return content


def test_documents_without_ins_are_told_apart_by_their_traits() -> None:
    """Two people without INS do not slip into one mail, and none of them to a patient's address."""
    doctor = MailAddress.parse("dr.house@chu.mssante.example")
    zoe, hugo = without_ins(make_cda()), without_ins(make_cda(HUGO))
    with pytest.raises(BadValue, match="different patients"):
        compose(sending(zoe, hugo, to=doctor), SeededChance(1))
    with pytest.raises(BadValue, match="nothing was sent"):
        compose(sending(zoe), SeededChance(1))
    assert composed(zoe, to=doctor)["X-MSS-INS"] == "N"


def test_there_is_something_to_send() -> None:
    """No document, or one that is none: said before anything leaves."""
    with pytest.raises(BadValue, match="nothing to send"):
        compose(sending(), SeededChance(1))
    with pytest.raises(Malformed):
        compose(sending(b"%PDF-1.4"), SeededChance(1))


@pytest.mark.parametrize("title", ["Compte\r\nrendu", "  deux   blancs ", "Bilan\tcomplet", "é" * 300, "a\u2028b"])
def test_any_title_makes_one_subject(title: str) -> None:
    """Line ends and tabs of a title do not end the subject; long ones are folded."""
    header: CdaHeader = replace(read_header(make_cda()), title=title)
    assert subject_of(header).splitlines() == [subject_of(header)]
    mail = composed(make_cda(title=title))
    assert mail["Subject"] == subject_of(read_header(make_cda(title=title)))


def test_a_patient_without_birth_date_has_a_subject() -> None:
    """Every part is required but the birth date (ANS)."""
    header = read_header(make_cda())
    header = replace(header, patient=replace(header.patient, birth_date=None))
    assert subject_of(header) == "XDM/1.0/DDM+Compte rendu d'examens biologiques MARCHAND-ESSAI Zoé"
