"""Which documents do tests send?

Invented people and their documents: a laboratory report in CDA, small valid PDF, PNG and JPEG files, and
IHE_XDM archives around them. Nothing here is copied from the samples of ANS.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from mss.formats.cda import read_header
from mss.formats.cdatree import CdaId
from mss.formats.cdawrite import LABORATORY_REPORT, LOINC, NORMAL, CdaToWrite, LabResult, Section, write_cda
from mss.formats.pdfwrite import write_pdf
from mss.formats.xdm import XdmDocument
from mss.formats.xdmwrite import PackageToWrite, SenderCard, entry_from_cda, write_package
from mss.formats.xdsvalues import SubmissionSet
from mss.model.document import Author, Coded, DocumentEntry, Visibility
from mss.model.ids import Ins, InsOid, ins_key
from mss.model.people import IdentityTraits, Sex

CONFIDENTIALITY_OID = "1.2.250.1.213.1.1.4.13"  # TRE_A07
OUR_OID = "1.2.250.1.999.1"  # of nobody
MOMENT = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
SENDER = SenderCard(
    "Ada MARTIN", "Laboratoire des Tilleuls", "1 rue des Tilleuls, 99999 EXEMPLE", "0100000000", "Essai"
)


def an_ins(matricule13: str, oid: InsOid = InsOid.NIR_TEST) -> Ins:
    """An INS of a test authority with its right key."""
    return Ins.parse(f"{matricule13}{ins_key(matricule13):02}", oid.value)


@dataclass(frozen=True, slots=True)
class Person:
    """An invented patient."""

    traits: IdentityTraits
    ins: Ins
    used_name: str = ""


ZOE = Person(
    IdentityTraits("MARCHAND-ESSAI", ("Zoé", "Anne-Lise", "Maud"), date(1990, 2, 3), Sex.FEMALE, "99999"),
    an_ins("2900299999001"),
    used_name="ÉCHANTILLON",
)
HUGO = Person(IdentityTraits("L'ÉPREUVE", ("Hugo",), date(1958, 11, 30), Sex.MALE, "2A999"), an_ins("158112A999017"))
BIOLOGIST = Author(
    person_id="899999999990",
    person_name="Ada MARTIN",
    institution_id="1999999990",
    institution_name="Laboratoire des Tilleuls & Fils",
    specialty="G15_10/SM03^Médecin - Biologie médicale (SM)^1.2.250.1.213.1.1.4.5",
)
BLOOD_COUNT = Section(
    "Hématologie",
    Coded("18723-7", LOINC, "Hématologie"),
    ("Prélèvement du matin, à jeun.",),
    (
        LabResult("Hémoglobine", "10.2", "g/dL", "12,0 - 16,0", "718-7", is_abnormal=True),
        LabResult("Leucocytes", "6.4", "10*9/L", "4,0 - 10,0", "6690-2"),
        LabResult("Groupe sanguin", "A positif", loinc="882-1"),
    ),
)
CONCLUSION = Section("Conclusion", Coded("55110-1", LOINC, "Conclusion"), ("Anémie modérée, à contrôler.",))


def make_cda(
    patient: Person = ZOE,
    *,
    unique_id: str = f"{OUR_OID}.1^1",
    title: str = "Compte rendu d'examens biologiques",
    code: Coded = LABORATORY_REPORT,
    author: Author = BIOLOGIST,
    visibility: Visibility = Visibility.NORMAL,
    embedded_pdf: bytes | None = None,
    body_pdf: bytes | None = None,
    replaces: str = "",
    set_id: str = f"{OUR_OID}.2^1",
    version: int = 1,
    moment: datetime = MOMENT,
    sections: tuple[Section, ...] = (BLOOD_COUNT, CONCLUSION),
) -> bytes:
    """A laboratory report: level 3 with tables, or level 1 around `body_pdf`. Identifiers are `root^extension`."""
    hidden = () if visibility is Visibility.NORMAL else (Coded(visibility.value, CONFIDENTIALITY_OID),)
    return write_cda(
        CdaToWrite(
            id=_cda_id(unique_id),
            set_id=_cda_id(set_id),
            version=version,
            title=title,
            code=code,
            moment=moment,
            patient=patient.traits,
            ins=patient.ins,
            used_name=patient.used_name,
            local_id=CdaId(f"{OUR_OID}.3", "IPP-1"),
            author=author,
            sections=sections,
            copy_pdf=embedded_pdf,
            body_pdf=body_pdf,
            replaces=_cda_id(replaces) if replaces else None,
            confidentiality=(NORMAL, *hidden),
        )
    )


def _cda_id(unique_id: str) -> CdaId:
    root, _, extension = unique_id.partition("^")
    return CdaId(root, extension)


def describe(content: bytes, number: int = 1, action: str = "") -> XdmDocument:
    """A CDA with the fiche that its own header gives."""
    entry = entry_from_cda(read_header(content), content, entry_uuid=an_uuid(number))
    return XdmDocument(entry, content, action)


def describe_file(content: bytes, mime_type: str, like: DocumentEntry, number: int = 2) -> XdmDocument:
    """Any file as a document of its own beside a CDA, with that one's patient and author."""
    return XdmDocument(
        replace(
            like, unique_id=f"{OUR_OID}.4^{number}", entry_uuid=an_uuid(number), mime_type=mime_type, format=Coded("")
        ),
        content,
    )


def make_package(*documents: bytes | XdmDocument, submission_id: str = f"{OUR_OID}.5.1") -> bytes:
    """An IHE_XDM.zip as our own writer makes it; CDA bytes are described by their header."""
    described = tuple(
        document if isinstance(document, XdmDocument) else describe(document, number)
        for number, document in enumerate(documents, 1)
    )
    submission = SubmissionSet(
        unique_id=submission_id,
        source_id=f"{OUR_OID}.6",
        patient_id=described[0].entry.patient_id,
        title="Résultats",
        submission_time=MOMENT,
        content_type=Coded("07", "1.2.250.1.213.2.2", "Acte médical"),
        authors=described[0].entry.authors,
        entry_uuid=an_uuid(0),
    )
    return write_package(PackageToWrite(submission, described, SENDER))


def an_uuid(number: int) -> str:
    """The same entryUUID for the same number."""
    return f"urn:uuid:00000000-0000-4000-8000-{number:012}"


def make_pdf(text: str = "Compte rendu d'examens biologiques") -> bytes:
    """A small valid PDF with one line per line of `text`."""
    return write_pdf(tuple(text.split("\n")))


def make_png(width: int = 2, height: int = 2) -> bytes:
    """A white greyscale PNG."""
    rows = (b"\x00" + b"\xff" * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def make_jpeg(width: int = 8, height: int = 8) -> bytes:
    """A grey baseline JPEG: every block is two bits, "no difference" and "end of block" (ITU T.81 Annex F)."""
    blocks = -(-width // 8) * -(-height // 8)
    bits = "00" * blocks
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8, "big")
    one_code = bytes([1] + [0] * 15 + [0])  # one Huffman code of one bit, for the value 0
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xE0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"),
            _segment(0xDB, b"\x00" + b"\x01" * 64),
            _segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00"),
            _segment(0xC4, b"\x00" + one_code),
            _segment(0xC4, b"\x10" + one_code),
            _segment(0xDA, b"\x01\x01\x00\x00\x3f\x00"),
            scan,
            b"\xff\xd9",
        )
    )


def _segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body
