"""DICOM images that come by mail: whose they are by number and authority, one document for a study, nothing changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mss.bridge.corrections import NotCorrectable
from mss.bridge.triage import NeedsSecond, NotFileable
from mss.formats.xdm import XdmDocument
from mss.mail import healthmail
from mss.mail.healthmail import Sending
from mss.model.errors import BadValue
from mss.model.mailbox import MailboxKind
from mss.record.access import Role, Viewer
from tests.kit.dicoms import STUDY, make_disc, make_image, make_zip, other_number
from tests.kit.documents import HUGO, OUR_OID, ZOE, describe, describe_file, make_cda, make_package, make_pdf
from tests.kit.house import APPLICATION, LABORATORY, House, Patient

SENT_AS = "image.dcm"


async def held(house: House) -> list[tuple[str, int]]:
    return [(item.reason, item.code) for item in await house.triage.held_list()]


async def contents(house: House, patient: Patient) -> list[bytes]:
    keys = await house.cellar.keys(patient.owner)
    viewer = Viewer(patient.owner, Role.PATIENT, "Test")
    views = await house.records.documents(keys, viewer)
    return [(await house.records.open(keys, view.number, viewer))[1] for view in views]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_image_is_filed_as_it_came(house: House) -> None:
    """By number, authority and traits, with its study in the fiche, octet for octet."""
    zoe, image = await house.enrol(ZOE), make_image()
    await house.send_documents(zoe, pdfs=((SENT_AS, image),))
    (view,) = await house.documents(zoe)
    assert await contents(house, zoe) == [image]
    assert (view.entry.title, view.entry.mime_type) == ("Scanner du thorax", "application/dicom")
    assert (view.entry.event_codes[0].code, view.entry.set_id) == ("CT", STUDY)
    assert view.entry.sha1 == hashlib.sha1(image, usedforsecurity=False).hexdigest()
    assert await house.unread(zoe) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_image_sent_again_is_not_filed_again(house: House) -> None:
    """Alone, and as a loose copy beside the archive that brings it."""
    zoe, image = await house.enrol(ZOE), make_image()
    for _ in range(2):
        await house.send_documents(zoe, pdfs=((SENT_AS, image),))
    assert len(await house.documents(zoe)) == 1


SEVERAL = make_zip(
    make_image(), make_image(number=2, change=lambda i: setattr(i, "PatientBirthName", "MARCHANT-ESSAI^Zoé"))
)
"""One study, one INS, and on one of its images another name: a slip, or somebody else under her number."""
CASES: list[tuple[str, bytes, str]] = [
    ("of somebody else", make_image(HUGO), "ins-mismatch"),
    ("a number without issuer", make_image(ins=None), "ins-missing"),
    ("her number, another birth date", make_image(change=lambda i: setattr(i, "PatientBirthDate", "19900204")),
     "traits-mismatch"),
    ("a name in use as birth name", make_image(change=lambda i: setattr(i, "PatientBirthName", "ÉCHANTILLON^Zoé")),
     "traits-mismatch"),
    ("no birth date", make_image(change=lambda i: delattr(i, "PatientBirthDate")), "traits-incomplete"),
    ("her number and somebody else's", make_image(change=other_number(HUGO.ins)), "ins-mismatch"),
    ("a restriction in words", make_image(
        change=lambda i: setattr(i, "ConfidentialityConstraintOnPatientDataDescription", "VIP")), "flag-unknown"),
    ("cut", make_image()[:400], "dicom-broken"),
    ("called DICOM and none", b"GIF89a" + b"x" * 400, "dicom-broken"),
    ("two patients in a folder", make_zip(make_image(), make_image(HUGO, 2)), "ins-mismatch"),
    ("a study of whose images one has no number", make_zip(make_image(), make_image(number=2, ins=None)),
     "ins-missing"),
    ("a study of her and another in it", make_zip(make_image(), make_image(HUGO, 2, study=f"{OUR_OID}.20.2")),
     "ins-mismatch"),
    ("her number under two names", SEVERAL, "images-of-several"),
    ("a directory of images that are not there", make_zip(b"x", names=("DICOMDIR",)), "dicom-broken"),
]  # fmt: skip


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_images_that_are_not_surely_hers_are_held(house: House) -> None:
    """Each with its own reason; she sees nothing, and the sender is told."""
    zoe = await house.enrol(ZOE)
    for number, (name, data, reason) in enumerate(CASES, 1):
        await house.send_documents(zoe, pdfs=((f"{SENT_AS if data[:2] != b'PK' else 'cd.zip'}", data),))
        assert await house.sees_nothing(zoe), name
        assert [found for found, _ in await held(house)][-1] == reason, name
        assert len(await house.sent()) == number, name


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_study_under_several_names_takes_two_people_and_a_reason(house: House) -> None:
    """Whatever the settings: one person files nothing, without a reason nothing is even proposed."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, pdfs=(("cd.zip", SEVERAL),))
    (item,) = await house.triage.held_list()
    assert (item.reason, item.code) == ("images-of-several", 904)
    _, explanation = await house.triage.show(item.id, "staff:1")
    assert "1 × MARCHANT-ESSAI Zoé" in explanation.detail, "whoever decides sees who is named"
    with pytest.raises(BadValue):
        await house.triage.file(item.id, "staff:1")
    with pytest.raises(NotFileable):
        await house.triage.file_confirmed(item.id, "staff:1", by_two=False)
    with pytest.raises(NeedsSecond) as asked:
        await house.triage.file(item.id, "staff:1", "faute de frappe de la console, demandée par téléphone")
    assert await house.sees_nothing(zoe)
    file = house.triage.file_confirmed
    with pytest.raises(NotCorrectable, match="same-person"):
        await house.corrections.confirm(asked.value.proposal, "staff:1", file)
    await house.corrections.confirm(asked.value.proposal, "staff:2", file)
    assert len(await house.documents(zoe)) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_loose_slices_are_one_document(house: House) -> None:
    """Three attachments, one study, one line in the record; each slice is in it as it came."""
    zoe = await house.enrol(ZOE)
    slices = [make_image(number=n) for n in (1, 2, 3)]
    await house.send_documents(zoe, pdfs=tuple((f"IM{n}", one) for n, one in enumerate(slices)))
    (content,) = await contents(house, zoe)
    assert all(one in content for one in slices)
    (view,) = await house.documents(zoe)
    assert view.entry.mime_type == "application/zip"
    assert view.entry.comments.startswith("3 images")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_disc_and_a_folder_are_filed_as_they_came(house: House, tmp_path: Path) -> None:
    """With DICOMDIR and without; a ZIP of other files is left alone."""
    zoe = await house.enrol(ZOE)
    disc = make_disc(tmp_path, make_image(number=1), make_image(number=2))
    folder = make_zip(make_image(number=5, study=f"{OUR_OID}.20.5"))
    other = make_zip(b"bonjour", names=("notes.txt",))
    for data in (disc, folder, other, other[:200]):
        await house.send_documents(zoe, pdfs=(("cd.zip", data),))
    assert sorted(await contents(house, zoe)) == sorted([disc, folder])
    assert await house.unread(zoe) == 4
    assert not await held(house)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_image_in_an_archive_may_name_no_authority(house: House) -> None:
    """METADATA does; but what the image says of her must be what we know."""
    zoe = await house.enrol(ZOE)
    like = describe(make_cda(ZOE))
    for number, image in ((2, make_image(ins=None)), (3, make_image(HUGO, 3, ins=None)), (4, make_image(HUGO, 4))):
        document: XdmDocument = describe_file(image, "application/dicom", like.entry, number)
        await house.send_documents(zoe, archive=make_package(document))
    (view,) = await house.documents(zoe)
    assert view.entry.event_codes[-1].code == "CT"
    assert await held(house) == [("traits-mismatch", 904), ("ins-mismatch", 904)]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_loose_copy_beside_its_archive_is_one_document(house: House) -> None:
    """As with a CDA: what the archive says binds."""
    zoe, image = await house.enrol(ZOE), make_image()
    document = describe_file(image, "application/dicom", describe(make_cda(ZOE)).entry)
    await house.send_documents(zoe, archive=make_package(document), pdfs=((SENT_AS, image),))
    assert len(await house.documents(zoe)) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_images_find_their_record_through_an_application_mailbox(house: House) -> None:
    """The record that number and authority name, and no inbox."""
    zoe = await house.enrol(ZOE)
    await house.professional(str(APPLICATION), MailboxKind.APPLICATION)
    for image in (make_image(), make_image(HUGO, 2), make_image(number=3, ins=None)):
        await house.deliver(house.health_mail(APPLICATION, pdfs=((SENT_AS, image),)), LABORATORY, APPLICATION)
        await house.run_tasks()
    assert len(await house.documents(zoe)) == 1
    assert not await house.conversation_list(zoe)
    assert await held(house) == [("patient-unknown", 902), ("ins-missing", 903)]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_pdf_in_an_image_file_is_an_image_document(house: House) -> None:
    """Encapsulated PDF: filed as the DICOM file that came; the page opens the PDF inside."""
    zoe, image = await house.enrol(ZOE), make_image(pdf=make_pdf())
    await house.send_documents(zoe, pdfs=((SENT_AS, image),))
    assert await contents(house, zoe) == [image]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_our_own_sender_sends_images(house: House) -> None:
    """With a report or alone; never to somebody whom the image does not name."""
    zoe = await house.enrol(ZOE)

    def composed(image: bytes, *documents: bytes) -> bytes:
        at = house.clock.now()
        sending = Sending(LABORATORY, "Imagerie", zoe.address, documents, (), at, images=((SENT_AS, image),))
        return healthmail.compose(sending, house.cellar.chance)[1]

    for mail in (composed(make_image(), make_cda(ZOE)), composed(make_image(number=2))):
        await house.deliver(mail, LABORATORY, zoe.address)
        await house.run_tasks()
    assert sorted(view.entry.mime_type for view in await house.documents(zoe)) == [
        "application/dicom",
        "application/dicom",
        "text/xml",
    ]
    for image in (make_image(HUGO), make_image(ins=None)):
        with pytest.raises(BadValue, match="nothing was sent"):
            composed(image)
