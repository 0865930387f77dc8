"""What is a document of a message, and what is not: archives, loose CDA, twins, and odd requests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mss.bridge import reading
from mss.bridge.attachments import is_archive, is_cda
from mss.formats.xdm import XdmDocument
from mss.formats.xdmwrite import PackageToWrite, write_package
from mss.formats.xdsvalues import Association, SubmissionSet
from mss.model.document import Coded, DocumentStatus
from mss.model.ids import MailAddress
from tests.kit.documents import HUGO, MOMENT, OUR_OID, SENDER, ZOE, an_uuid, describe, make_cda, make_package, make_png
from tests.kit.house import LABORATORY, House

CDA = make_cda(ZOE)
STYLE = (
    b'<?xml version="1.0"?><xsl:stylesheet xmlns:xsl="x"><xsl:template match="/n1:ClinicalDocument"/></xsl:stylesheet>'
)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (CDA, True),
        (b"\xef\xbb\xbf" + CDA, True),
        (CDA.decode().replace('encoding="UTF-8"', 'encoding="UTF-16"').encode("utf-16"), True),
        (b"<!-- " + b"x" * 100_000 + b" -->" + CDA.split(b"?>", 1)[1], False),  # XML begins elsewhere: a text
        (CDA.replace(b"?>", b"?><!-- " + b"x" * 100_000 + b" -->", 1), True),
        (b'<?xml version="1.0"?><cda:ClinicalDocument xmlns:cda="urn:hl7-org:v3"/>', True),
        (STYLE, False),
        (b"Bonjour <ClinicalDocument>", False),
        (make_png(), False),
        (b"", False),
    ],
)
def test_a_cda_is_known_by_its_root(content: bytes, expected: bool) -> None:
    """In any usual encoding, behind any comment; a style sheet for such documents is none."""
    assert is_cda(content) is expected


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("IHE_XDM.zip", b"", True),
        ("ihe_xdm.ZIP", b"x", True),
        ("IHE_XDM (2).zip", b"x", True),
        ("IHE XDM.zip", b"x", True),
        ("bilan.zip", make_package(CDA), True),
        ("bilan.pdf", make_package(CDA), True),
        ("bilan.zip", make_package(CDA).replace(b"METADATA.XML", b"METADATE.XML"), False),
        ("notes.txt", b"METADATA.XML is the name of a file", False),
        ("IHE_XDM.zip.txt", b"x", False),
    ],
)
def test_an_archive_is_known_by_its_name_or_its_inside(name: str, content: bytes, expected: bool) -> None:
    """Whatever the sender's mail program called it."""
    assert is_archive(name, content) is expected


async def held(house: House) -> list[tuple[str, int]]:
    return [(item.reason, item.code) for item in await house.triage.held_list()]


async def test_the_documents_own_id_counts(house: House) -> None:
    """A writer that invents a new uniqueId in METADATA at each sending still brings one document."""
    zoe = await house.enrol(ZOE)
    for number in (1, 2):
        document = describe(CDA)
        entry = replace(document.entry, unique_id=f"{OUR_OID}.77.{number}")
        await house.send_documents(zoe, archive=make_package(replace(document, entry=entry)))
    assert [view.entry.unique_id for view in await house.documents(zoe)] == [f"{OUR_OID}.1^1"]


async def test_a_submission_set_about_somebody_else(house: House) -> None:
    """The outer label is a claim like the others."""
    zoe = await house.enrol(ZOE)
    archive = packed(describe(CDA), patient_id=f"{HUGO.ins.value}^^^&{HUGO.ins.oid.value}&ISO^NH")
    await house.send_documents(zoe, archive=archive)
    assert await house.sees_nothing(zoe)
    assert await held(house) == [("ins-mismatch", 904)]


@pytest.mark.parametrize(("kind", "status"), [("UpdateAvailabilityStatus", ""), ("HasMember", "Deleted")])
async def test_a_change_of_status_is_for_a_human(house: House, kind: str, status: str) -> None:
    """Deleting, archiving, approving by an association beside a document."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, CDA)
    other = describe(make_cda(ZOE, unique_id=f"{OUR_OID}.1^2", set_id=f"{OUR_OID}.2^2"))
    link = Association(kind, an_uuid(0), an_uuid(1), status)
    await house.send_documents(zoe, archive=packed(other, associations=(link,)))
    assert [view.status for view in await house.documents(zoe)] == [DocumentStatus.APPROVED]
    assert await held(house) == [("status-change-asked", 900)]


async def test_a_replacement_named_by_the_entry_id_of_the_archive_before(house: House) -> None:
    """RPLC of METADATA points at an entryUUID, where the document itself says nothing."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, archive=packed(describe(CDA, 1)))
    new = describe(make_cda(ZOE, unique_id=f"{OUR_OID}.1^2", set_id=f"{OUR_OID}.2^2"), 2)
    await house.send_documents(zoe, archive=packed(new, associations=(Association("RPLC", an_uuid(2), an_uuid(1)),)))
    second, first = await house.documents(zoe)
    assert (first.replaced_by, first.status) == (second.number, DocumentStatus.SUPERSEDED)


async def test_one_document_described_in_two_ways_is_a_conflict(house: House) -> None:
    """Two archives in one mail, one of which hides what the other shows."""
    zoe = await house.enrol(ZOE)
    plain = describe(CDA)
    flag = (Coded("INVISIBLE_PATIENT", "1.2.250.1.213.1.1.4.13"),)
    hidden = replace(plain, entry=replace(plain.entry, confidentiality=flag))
    archives = (("IHE_XDM.zip", make_package(plain)), ("IHE_XDM_2.zip", make_package(hidden)))
    await house.send_documents(zoe, pdfs=archives)
    assert await house.sees_nothing(zoe)
    assert await held(house) == [("document-conflict", 906)]


async def test_the_same_document_loose_beside_its_archive_is_one(house: House) -> None:
    """A copy for software that opens no archives."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, CDA, pdfs=(("cr.xml", CDA),))
    assert len(await house.documents(zoe)) == 1
    (view,) = await house.documents(zoe)
    assert view.entry.uri == "DOC00001.XML"  # as the archive describes it


async def test_too_many_documents_are_for_a_human(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on everything: the duty ends within its lease."""
    monkeypatch.setattr(reading, "DOCUMENTS_MAX", 2)
    zoe = await house.enrol(ZOE)
    contents = [make_cda(ZOE, unique_id=f"{OUR_OID}.1^{n}", set_id=f"{OUR_OID}.2^{n}") for n in range(3)]
    await house.send_documents(zoe, *contents)
    assert await house.sees_nothing(zoe)
    assert await held(house) == [("archive-unsafe", 906)]


async def test_one_mail_to_two_patients_is_filed_for_one(house: House) -> None:
    """The document is hers; he sees nothing of the same mail."""
    zoe, hugo = await house.enrol(ZOE), await house.enrol(HUGO)
    mail = house.health_mail(MailAddress.parse("liste@labo.mssante.example"), CDA)
    await house.deliver(mail, LABORATORY, zoe.address, hugo.address)
    await house.run_tasks()
    assert len(await house.documents(zoe)) == 1
    assert await house.sees_nothing(hugo)
    assert len(await house.sent()) == 2


def packed(*documents: XdmDocument, patient_id: str = "", associations: tuple[Association, ...] = ()) -> bytes:
    """An archive with a submission set and associations of one's own."""
    submission = SubmissionSet(
        unique_id=f"{OUR_OID}.5.1",
        source_id=f"{OUR_OID}.6",
        patient_id=patient_id or documents[0].entry.patient_id,
        submission_time=MOMENT,
        entry_uuid=an_uuid(900),
    )
    return write_package(PackageToWrite(submission, documents, SENDER, associations))
