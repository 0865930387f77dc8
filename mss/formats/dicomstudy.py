"""Which studies do these images make, and how is each of them one document?

A study is one document whatever the number of its images: a single file stays itself; several become one ZIP with every
file as it came, or stay in the ZIP in which they came, DICOMDIR and all (PS3.10, PS3.12 annex V). Called in the
sandbox where an archive has to be opened.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mss.formats import dicom
from mss.formats.cdafiles import EmbeddedFile
from mss.formats.dicom import DicomHeader
from mss.formats.filetypes import sniff
from mss.formats.hl7values import format_cx
from mss.formats.xdmzip import Archive
from mss.model.document import Author, Coded, DocumentEntry
from mss.model.errors import Malformed
from mss.model.verdict import Reason

STUDIES_MAX = 20  # of one archive; a CD of a patient has one to three
IMAGES_MAX = 1000  # members of an archive (xdmzip)
PDFS_MAX = 50  # shown of one study, as of one CDA
DIRECTORY_NAME = "dicomdir"

DICOM_TYPE, ZIP_TYPE = "application/dicom", "application/zip"
TYPE = Coded("18748-4", "2.16.840.1.113883.6.1", "Imagerie médicale")
CLASS = Coded("31", "1.2.250.1.213.1.1.4.1", "Imagerie médicale")
FORMAT = Coded("urn:ihe:iti:xds:2017:mimeTypeSufficient", "1.3.6.1.4.1.19376.1.2.3", "mimeType Sufficient")
PDF_TITLE = "Document en PDF"
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_WHOLE_DIGEST = "sha256"


@dataclass(frozen=True, slots=True)
class Image:
    """One file: what its header says and a digest of its bytes (hex)."""

    header: DicomHeader
    digest: str


@dataclass(frozen=True, slots=True)
class Study:
    """The images of one study, by instance. `content`: what is kept; None: the archive as it came."""

    images: tuple[Image, ...]
    content: bytes | None = None

    @property
    def headers(self) -> tuple[DicomHeader, ...]:
        return tuple(image.header for image in self.images)


def read_file(data: bytes) -> Image:
    """One file. Raises Malformed(DICOM_BROKEN)."""
    return Image(dicom.read_header(data), hashlib.new(_WHOLE_DIGEST, data).hexdigest())


def read_archive(data: bytes) -> tuple[Study, ...]:
    """The studies of a ZIP; none when it holds no image. Raises Malformed: DICOM_BROKEN for a directory without images,
    and what the guard of archives raises (ARCHIVE_BROKEN, ARCHIVE_UNSAFE)."""
    archive = Archive(data)
    files: list[tuple[Image, bytes]] = []
    has_directory = False
    for name in archive.names:
        content = archive.read(name)
        if name.rpartition("/")[2].casefold() == DIRECTORY_NAME:
            has_directory = True
        elif dicom.is_dicom(content):
            files.append((read_file(content), content))
    if has_directory and not files:
        raise dicom.broken("a DICOMDIR without images")
    groups = _by_study(files)
    if len(groups) == 1:
        return (Study(tuple(image for image, _ in groups[0])),)
    return tuple(map(_study, groups))


def together(files: Sequence[tuple[Image, bytes]]) -> tuple[Study, ...]:
    """Images by study, in the order in which the studies first occur; the same file twice is one. Raises
    Malformed(DOCUMENT_CONFLICT): two contents under one instance."""
    return tuple(map(_study, _by_study(files)))


def _by_study(files: Sequence[tuple[Image, bytes]]) -> list[list[tuple[Image, bytes]]]:
    found: dict[str, dict[str, tuple[Image, bytes]]] = {}
    for image, content in files:
        same = found.setdefault(image.header.study, {}).setdefault(image.header.instance, (image, content))
        if same[0].digest != image.digest:
            raise Malformed(Reason.DOCUMENT_CONFLICT, "two images of one identifier")
    if len(found) > STUDIES_MAX:
        raise Malformed(Reason.ARCHIVE_UNSAFE, "too many studies")
    return [[images[instance] for instance in sorted(images)] for images in found.values()]


def _study(images: list[tuple[Image, bytes]]) -> Study:
    return Study(tuple(image for image, _ in images), _packed([content for _, content in images]))


def _packed(contents: list[bytes]) -> bytes:
    """One file as it is; several in a ZIP that depends on nothing but them, uncompressed."""
    if len(contents) == 1:
        return contents[0]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for number, content in enumerate(contents, 1):
            member = zipfile.ZipInfo(f"DICOM/IM{number:05}", _ZIP_EPOCH)
            member.create_system = 0  # as from DOS: no permissions of our machine
            archive.writestr(member, content)
    return buffer.getvalue()


def unique_id(headers: Sequence[DicomHeader]) -> str:
    """Of one image its own; of several that of the study, with what tells another set of its images apart."""
    if len(headers) == 1:
        return headers[0].instance
    names = "\n".join(sorted(header.instance for header in headers))
    return f"{headers[0].study}^{hashlib.sha256(names.encode()).hexdigest()[:16]}"  # uniqueId: ITI TF-3 §4.2.3.2.26


def entry_of(study: Study, content: bytes, entry_uuid: str) -> DocumentEntry:
    """The fiche that the headers give (IHE XDS-I.b, RAD TF-3 §4.68.4.1.2.3)."""
    headers = study.headers
    first = headers[0]
    modalities = _modalities(headers)
    parts = tuple(dict.fromkeys(header.body_part for header in headers if header.body_part))
    is_file = dicom.is_dicom(content)
    author = Author(person_name=first.physician, institution_name=first.institution)
    return DocumentEntry(
        unique_id=unique_id(headers),
        title=first.description or f"{TYPE.label} {' '.join(modalities)}".strip(),
        mime_type=DICOM_TYPE if is_file else ZIP_TYPE,
        size_bytes=len(content),
        sha1=hashlib.sha1(content, usedforsecurity=False).hexdigest(),
        type=TYPE,
        class_=CLASS,
        format=first.class_code if is_file else FORMAT,
        confidentiality=_restrictions(headers),
        authors=(author,) if author != Author() else (),
        patient_id=next((format_cx(n.value, n.issuer) for n in first.numbers), ""),
        source_patient_id=first.local_id,
        creation_time=first.study_time,
        service_start=first.study_time,
        entry_uuid=entry_uuid,
        set_id=first.study,
        event_codes=tuple(Coded(modality, dicom.MODALITIES) for modality in modalities),
        comments=", ".join([f"{len(headers)} image{'s' if len(headers) > 1 else ''}", *parts]),
    )


def completed(entry: DocumentEntry, headers: Sequence[DicomHeader]) -> DocumentEntry:
    """The fiche of images in an archive: what METADATA leaves out."""
    header = headers[0]
    told = {code.code for code in entry.event_codes} | {""}
    modalities = [Coded(one, dicom.MODALITIES) for one in _modalities(headers) if one not in told]
    return replace(
        entry,
        title=entry.title or header.description,
        type=entry.type if entry.type.code else TYPE,
        class_=entry.class_ if entry.class_.code else CLASS,
        creation_time=entry.creation_time or header.study_time,
        service_start=entry.service_start or header.study_time,
        event_codes=(*entry.event_codes, *modalities),
        confidentiality=entry.confidentiality + _restrictions(headers),
    )


def _modalities(headers: Sequence[DicomHeader]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(header.modality for header in headers if header.modality))


def _restrictions(headers: Sequence[DicomHeader]) -> tuple[Coded, ...]:
    """Free words about confidentiality: no flag that we know, so that the judge has a human read them."""
    return tuple(dict.fromkeys(Coded(header.restriction) for header in headers if header.restriction))


def embedded_pdfs(data: bytes) -> tuple[EmbeddedFile, ...]:
    """The PDF that images of a study carry, for people to read. Raises Malformed."""
    if dicom.is_dicom(data):
        contents = [data]
    else:
        archive = Archive(data)
        contents = [one for one in map(archive.read, archive.names) if dicom.is_dicom(one)]
    found = []
    for content in contents:
        pdf = dicom.read_pdf(content)
        if pdf is not None and sniff(pdf) == "application/pdf":
            found.append(EmbeddedFile("application/pdf", pdf, is_copy=len(contents) == 1, section=PDF_TITLE))
    return tuple(found[:PDFS_MAX])
