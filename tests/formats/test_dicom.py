"""What the header of a DICOM file says: whose it is by whom, what it shows, and nothing in two ways."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from mss.formats import dicom, dicomstudy
from mss.formats.dicom import PatientNumber, read_header, read_pdf
from mss.formats.dicomstudy import Study, entry_of, read_archive, read_file, together
from mss.model.errors import Malformed
from mss.model.verdict import Reason
from tests.kit.dicoms import HOSTILE, STUDY, make_disc, make_image, make_zip, other_number
from tests.kit.documents import OUR_OID, ZOE, make_pdf

READ_IN_ONE_WAY = {
    "a defined sequence 3,000 deep", "a character set of nobody", "an escape without end",
    "pixels of 4 GiB that are not there", "a PDF longer than itself", "a PDF that is none",
}  # fmt: skip
"""Odd, but no reader could take them for somebody else's: the header is read."""
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.name)
def test_a_header_is_read_in_every_spelling(syntax: UID) -> None:
    """Patient, issuer, study, moment: as a modality writes them."""
    header = read_header(make_image(syntax=syntax))
    assert header.numbers == (PatientNumber(ZOE.ins.value, ZOE.ins.oid.value),)
    assert header.birth_name == ("MARCHAND-ESSAI", "Zoé")
    assert (header.birth_date, header.sex) == (ZOE.traits.birth_date, ZOE.traits.sex)
    assert (header.study, header.modality, header.description) == (STUDY, "CT", "Scanner du thorax")
    assert header.study_time is not None
    assert header.study_time.isoformat() == "2026-01-05T08:30:00+00:00"


def test_a_number_without_issuer_is_no_ins() -> None:
    """However it looks: a local number may have fifteen digits."""
    header = read_header(make_image(ins=None, change=lambda i: setattr(i, "PatientID", ZOE.ins.value)))
    assert header.numbers == ()
    assert header.local_id == ZOE.ins.value


def test_the_ins_may_stand_beside_a_local_number() -> None:
    """OtherPatientIDsSequence (0010,1002)."""
    header = read_header(make_image(ins=None, change=other_number(ZOE.ins)))
    assert header.numbers == (PatientNumber(ZOE.ins.value, ZOE.ins.oid.value),)


def test_an_encapsulated_pdf_comes_out_as_it_went_in() -> None:
    """Without the octet that DICOM pads with."""
    for text in ("a", "ab"):
        pdf = make_pdf(text)
        assert read_pdf(make_image(pdf=pdf)) == pdf
    assert read_pdf(make_image()) is None


@pytest.mark.parametrize("name", HOSTILE)
def test_what_can_be_read_in_two_ways_is_refused(name: str) -> None:
    """Cheaply, and with our own word."""
    data = HOSTILE[name]()
    begin = time.process_time()
    if name in READ_IN_ONE_WAY:
        assert read_header(data).study == STUDY
    else:
        with pytest.raises(Malformed) as refused:
            read_header(data)
        assert refused.value.reason in (Reason.DICOM_BROKEN, Reason.TOO_LARGE)
    assert time.process_time() - begin < 2


def test_garbage_gives_our_error_only() -> None:
    """A thousand files with some bits turned, in every spelling."""
    chance = random.Random(20260105)
    good = [make_image(syntax=syntax) for syntax in SYNTAXES] + [make_image(pdf=make_pdf())]
    read = 0
    for _ in range(1000):
        data = bytearray(chance.choice(good))
        for _ in range(1 + chance.randrange(8)):
            data[chance.randrange(132, len(data))] ^= 1 << chance.randrange(8)
        try:
            read_header(bytes(data))
            read_pdf(bytes(data))
            read += 1
        except Malformed:
            continue
    assert 0 < read < 1000


def test_a_disc_stays_as_it_came(tmp_path: Path) -> None:
    """One study with its DICOMDIR: one document, whose content is the archive itself."""
    disc = make_disc(tmp_path, make_image(number=1), make_image(number=2))
    (study,) = read_archive(disc)
    assert (len(study.images), study.content) == (2, None)
    entry = entry_of(study, disc, "urn:uuid:x")
    assert entry.unique_id.startswith(f"{STUDY}^")
    assert (entry.mime_type, entry.event_codes[0].code) == ("application/zip", "CT")


def test_a_directory_without_images_is_refused() -> None:
    """Half of a disc: the images were left behind."""
    only = make_zip(b"x", names=("DICOMDIR",))
    with pytest.raises(Malformed, match="without images"):
        read_archive(only)


def test_two_studies_of_one_folder_are_two_documents() -> None:
    """Each with its own images, octet for octet."""
    images = [make_image(number=1), make_image(number=2, study=f"{OUR_OID}.20.2")]
    first, second = read_archive(make_zip(*images))
    assert (first.content, second.content) == tuple(images)
    assert read_archive(make_zip(b"text", b"%PDF-1.4")) == ()


def test_the_same_images_make_the_same_document_in_any_order() -> None:
    """Sent again, in another order, with one twice: nothing new for the record."""
    images = [make_image(number=n) for n in (1, 2, 3)]
    files = [(read_file(image), image) for image in images]
    one = together(files)
    assert one == together([*reversed(files), files[0]])
    assert one[0].content is not None
    assert [image.header.instance for image in read_archive(one[0].content)[0].images] == [
        f"{OUR_OID}.22.{n}" for n in (1, 2, 3)
    ]


def test_two_contents_of_one_image_are_a_conflict() -> None:
    """One of them is wrong, and we do not choose."""
    files = [make_image(), make_image(pixels=b"\x20" * 64)]
    with pytest.raises(Malformed) as refused:
        together([(read_file(one), one) for one in files])
    assert refused.value.reason is Reason.DOCUMENT_CONFLICT


def test_a_part_of_a_study_has_its_own_id() -> None:
    """A large study comes in two mails: both are filed, none is taken for the other."""
    parts = [[make_image(number=n) for n in numbers] for numbers in ((1, 2), (3, 4))]
    made = [together([(read_file(one), one) for one in part])[0] for part in parts]
    ids = {dicomstudy.unique_id(study.headers) for study in made}
    assert len(ids) == 2
    assert all(entry_of(study, study.content or b"", "x").set_id == STUDY for study in made)


def test_words_about_confidentiality_are_not_dropped() -> None:
    """They become a flag that nobody knows, so that a human reads them."""

    def secret(image: object) -> None:
        image.ConfidentialityConstraintOnPatientDataDescription = "VIP"  # type: ignore[attr-defined]

    data = make_image(change=secret)
    entry = entry_of(Study((read_file(data),)), data, "x")
    assert [code.code for code in entry.confidentiality] == ["VIP"]
    assert not dicom.read_header(make_image()).restriction
