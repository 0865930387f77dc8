"""Which images do tests send? Made with pydicom: invented people, a few grey pixels, and files that no modality writes.

`make_image` is a CT slice of eight by eight pixels whose PatientID names an INS with its authority, as a hospital's RIS
writes it; `make_disc` a ZIP with DICOMDIR as viewers burn it. `HOSTILE` are files by somebody who read our code.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.fileset import FileSet
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)  # fmt: skip

from mss.model.ids import Ins
from tests.kit.documents import HUGO, OUR_OID, ZOE, Person, make_pdf

STUDY = f"{OUR_OID}.20.1"
SERIES = f"{OUR_OID}.21.1"
MIB = 1024 * 1024


def make_image(
    person: Person = ZOE,
    number: int = 1,
    *,
    study: str = STUDY,
    ins: Ins | str | None = "own",
    pixels: bytes = b"\x10" * 64,
    syntax: UID = ExplicitVRLittleEndian,
    pdf: bytes | None = None,
    change: Callable[[Dataset], None] = lambda _: None,
) -> bytes:
    """A file of DICOM media. `ins`: the number with its issuer; None: a number of the hospital's own."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    kind = CTImageStorage if pdf is None else EncapsulatedPDFStorage
    meta.MediaStorageSOPClassUID = kind
    meta.MediaStorageSOPInstanceUID = UID(f"{OUR_OID}.22.{number}")
    image = FileDataset("", {}, b"\0" * 128, meta, syntax.is_implicit_VR, syntax.is_little_endian)
    image.SpecificCharacterSet = "ISO_IR 192"
    image.SOPClassUID, image.SOPInstanceUID = kind, meta.MediaStorageSOPInstanceUID
    image.StudyDate, image.StudyTime = "20260105", "093000"
    image.Modality = "CT" if pdf is None else "DOC"
    image.InstitutionName = "Imagerie des Tilleuls"
    image.StudyDescription = "Scanner du thorax"
    name = f"{person.traits.birth_name}^{person.traits.first_given_name}"
    image.PatientName = image.PatientBirthName = name
    image.PatientBirthDate = f"{person.traits.birth_date:%Y%m%d}"
    image.PatientSex = person.traits.sex.value
    image.StudyInstanceUID, image.SeriesInstanceUID = study, SERIES
    image.StudyID, image.SeriesNumber, image.InstanceNumber = "1", 1, number
    image.BodyPartExamined = "CHEST"
    _number(image, person.ins if ins == "own" else ins)
    if pdf is None:
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.Rows = image.Columns = 8
        image.BitsAllocated = image.BitsStored = 8
        image.HighBit, image.PixelRepresentation = 7, 0
        image.PixelData = pixels
    else:
        image.MIMETypeOfEncapsulatedDocument = "application/pdf"
        image.EncapsulatedDocumentLength = len(pdf)
        image.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    change(image)
    buffer = io.BytesIO()
    image.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _number(image: Dataset, ins: Ins | str | None) -> None:
    """IHE RAD PIR: the issuer of a number is an OID, in its qualifiers."""
    if not isinstance(ins, Ins):
        image.PatientID, image.IssuerOfPatientID = "IPP-1", "CHU"
        return
    image.PatientID = ins.value
    image.IssuerOfPatientIDQualifiersSequence = Sequence([_issuer(ins.oid.value)])


def _issuer(oid: str) -> Dataset:
    issuer = Dataset()
    issuer.UniversalEntityID, issuer.UniversalEntityIDType = oid, "ISO"
    return issuer


def other_number(ins: Ins) -> Callable[[Dataset], None]:
    """The INS beside a number of the hospital's own."""

    def change(image: Dataset) -> None:
        other = Dataset()
        other.PatientID = ins.value
        other.IssuerOfPatientIDQualifiersSequence = Sequence([_issuer(ins.oid.value)])
        image.OtherPatientIDsSequence = Sequence([other])

    return change


def make_zip(*images: bytes, names: tuple[str, ...] = ()) -> bytes:
    """A ZIP as a folder of images, without DICOMDIR."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, image in enumerate(images):
            archive.writestr(names[number] if names else f"SCANNER/IM{number:04}", image)
        archive.writestr("LISEZMOI.TXT", "Ouvrir avec le visualiseur.\n")
    return buffer.getvalue()


def make_disc(folder: Path, *images: bytes) -> bytes:
    """What lies on a patient's disc, in a ZIP: DICOMDIR, the images in its folders, something beside."""
    discs = FileSet()
    for number, image in enumerate(images):
        path = folder / f"in{number}"
        path.write_bytes(image)
        discs.add(path)
    discs.write(folder / "disc")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((folder / "disc").rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder / "disc").as_posix())
        archive.writestr("AUTORUN.INF", "[autorun]\r\n")
    return buffer.getvalue()


# Hostile files

_made = partial(make_image, HUGO)


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """One element, explicit VR, little endian; its length may lie."""
    size = len(value) if length is None else length
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    if vr in (b"OB", b"OW", b"SQ", b"UN", b"UT"):
        return head + b"\0\0" + struct.pack("<I", size) + value
    return head + struct.pack("<H", size & 0xFFFF) + value


def _split(data: bytes) -> tuple[bytes, bytes]:
    """The file's own group, and its dataset."""
    at = data.index(b"\x08\x00\x05\x00")
    return data[:at], data[at:]


def _behind(extra: bytes, before: bytes = b"\x10\x00\x40\x00") -> bytes:
    """With elements put before PatientSex."""
    data = _made()
    at = data.index(before)
    return data[:at] + extra + data[at:]


def _nested(depth: int, *, undefined: bool) -> bytes:
    """A sequence in a sequence in a sequence."""
    inner = b""
    for _ in range(depth):
        if undefined:
            item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + inner + b"\xfe\xff\x0d\xe0\0\0\0\0"
            inner = element(0x00081115, b"SQ", item + b"\xfe\xff\xdd\xe0\0\0\0\0", 0xFFFFFFFF)
        else:
            inner = element(0x00081115, b"SQ", b"\xfe\xff\x00\xe0" + struct.pack("<I", len(inner)) + inner)
    return inner


def _deflated_bomb(size_mib: int) -> bytes:
    machine = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    body = _split(_made())[1]
    packed = machine.compress(body) + b"".join(machine.compress(b"\0" * MIB) for _ in range(size_mib)) + machine.flush()
    return _head_of(DeflatedExplicitVRLittleEndian) + packed


def _head_of(syntax: UID) -> bytes:
    """What stands before the dataset of a file in that transfer syntax."""
    data = _made(syntax=syntax)
    length = struct.unpack("<I", data[140:144])[0]
    return data[: 144 + length]


def _lie(tag: bytes, length: int) -> bytes:
    """The 32-bit length of the element behind `tag` with OB or SQ, or 16-bit otherwise, replaced."""
    data = bytearray(_made())
    at = data.index(tag)
    if bytes(data[at + 4 : at + 6]) in (b"OB", b"OW", b"SQ", b"UN"):
        struct.pack_into("<I", data, at + 8, length & 0xFFFFFFFF)
    else:
        struct.pack_into("<H", data, at + 6, length & 0xFFFF)
    return bytes(data)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "nothing behind the magic": lambda: b"\0" * 128 + b"DICM",
    "noise behind the magic": lambda: b"\0" * 128 + b"DICM" + bytes(range(256)) * 400,
    "cut in the head": lambda: _made()[:400],
    "a deflated bomb": lambda: _deflated_bomb(300),
    "deflated garbage": lambda: _head_of(DeflatedExplicitVRLittleEndian) + b"\xff" * 5000,
    "4 GiB of issuer": lambda: _lie(b"\x10\x00\x24\x00", 0xFFFFFFFE),
    "4 GiB of a private element": lambda: _behind(element(0x00100039, b"OB", b"", 0xFFFFFFFE)),
    "4 GiB of unknown": lambda: _behind(element(0x00100039, b"UN", b"x", 0xFFFFFFF0)),
    "a sequence 5,000 deep": lambda: _behind(_nested(5000, undefined=True), b"\x10\x00\x10\x00"),
    "a sequence 300 deep": lambda: _behind(_nested(300, undefined=True), b"\x10\x00\x10\x00"),
    "a defined sequence 3,000 deep": lambda: _behind(_nested(3000, undefined=False), b"\x10\x00\x10\x00"),
    "100,000 private elements": lambda: _behind(
        b"".join(element(0x00110000 + n, b"LO", b"xx") for n in range(0x1000, 0xFFFF)) * 2, b"\x18\x00\x15\x00"),
    "two patient numbers": lambda: _behind(element(0x00100020, b"LO", b"279035121518989 ")),
    "a number behind the sex": lambda: _behind(element(0x00100020, b"LO", b"1234"), b"\x18\x00\x15\x00"),
    "two values in a number": lambda: _made(change=lambda i: setattr(i, "PatientID", ["1", "2"])),
    "two issuers": lambda: _made(
        change=lambda i: setattr(i, "IssuerOfPatientIDQualifiersSequence", Sequence([_issuer("1.2"), _issuer("1.3")]))),
    "two issuers in two places": lambda: _made(change=lambda i: setattr(i, "IssuerOfPatientID", "1.2.3")),
    "1,000 other numbers": lambda: _made(
        change=lambda i: setattr(i, "OtherPatientIDsSequence", Sequence([_issuer("1.2") for _ in range(1000)]))),
    "a name of 60 kB": lambda: _made(change=lambda i: setattr(i, "PatientName", "A" * 60_000)),
    "a name with controls": lambda: _made(change=lambda i: setattr(i, "PatientName", "A\x1b[2J^B\n")),
    "a character set of nobody": lambda: _made().replace(b"ISO_IR 192", b"ISO_IR 999"),
    "an escape without end": lambda: _made().replace(b"ISO_IR 192", b"ISO 2022 I"),
    "no study": lambda: _made(change=lambda i: delattr(i, "StudyInstanceUID")),
    "a study that is no UID": lambda: _made(study="1.2").replace(b"UI\x04\x001.2\0", b"UI\x04\x00../x"),
    "big endian that is little": lambda: _head_of(ExplicitVRBigEndian) + _split(_made())[1],
    "implicit that is explicit": lambda: _head_of(ImplicitVRLittleEndian) + _split(_made())[1],
    "pixels of 4 GiB that are not there": lambda: _lie(b"\xe0\x7f\x10\x00", 0xFFFFFFFE),
    "a PDF that is none": lambda: _made(pdf=b"<html><script>"),
    "a PDF longer than itself": lambda: _made(
        pdf=make_pdf(), change=lambda i: setattr(i, "EncapsulatedDocumentLength", 2**32 - 1)),
    "a directory alone": lambda: _made().replace(
        b"1.2.840.10008.5.1.4.1.1.2\0", b"1.2.840.10008.1.3.10" + b"\0" * 6),
}  # fmt: skip
"""Name → bytes; all about Hugo where they are about anybody."""
