"""How is an IHE_XDM.zip made?

Writes the archive that `xdm` reads (IHE ITI TF-2 §3.32): INDEX.HTM and README.TXT for people,
IHE_XDM/SUBSET01 with METADATA.XML and the documents, names ISO 9660 level 1. Moments and identifiers are
arguments, so the same package always gives the same bytes. Never decides to whom it may be sent.
"""

from __future__ import annotations

import hashlib
import html
import io
import zipfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from mss.formats.cda import CdaHeader
from mss.formats.hl7values import clean, format_cx, format_xcn
from mss.formats.xdm import XdmDocument
from mss.formats.xdsvalues import Association, DescribedDocument, Metadata, SubmissionSet
from mss.formats.xdswrite import write_metadata
from mss.model.document import Coded, DocumentEntry
from mss.model.errors import BadValue
from mss.model.ids import InsOid

SUBSET = "IHE_XDM/SUBSET01"
_EXTENSIONS = {
    "text/xml": "XML", "application/pdf": "PDF", "image/jpeg": "JPG", "image/png": "PNG", "image/tiff": "TIF",
    "text/plain": "TXT", "application/rtf": "RTF", "application/dicom": "DCM",
}  # fmt: skip
_ZIP_EPOCH = datetime(1980, 1, 1, tzinfo=UTC)  # the first moment that ZIP can tell (APPNOTE §4.4.6)

# TRE_A03 classes, and those of ASS_X04 that are sure; a compte rendu where the table is not installed.
_CLASSES = "1.2.250.1.213.1.1.4.1"
REPORT = Coded("10", _CLASSES, "Compte rendu")
_CLASS_OF_TYPE = {
    "18748-4": Coded("31", _CLASSES, "Imagerie médicale"),
    "57833-6": Coded("42", _CLASSES, "Prescription"),
    "60591-5": Coded("11", _CLASSES, "Synthèse"),
    "SYNTH": Coded("11", _CLASSES, "Synthèse"),
}
# ASS_A12 (level 1) and the IHE code for "the media type says it" (level 3, where ASS_A11 is not installed).
_FORMAT_OF_BODY = {
    "application/pdf": Coded("urn:ihe:iti:xds-sd:pdf:2008", "1.3.6.1.4.1.19376.1.2.3", "CDA niveau 1, PDF"),
    "text/plain": Coded("urn:ihe:iti:xds-sd:text:2008", "1.3.6.1.4.1.19376.1.2.3", "CDA niveau 1, texte"),
}
_FORMAT_BY_TYPE = Coded("urn:ihe:iti:xds:2017:mimeTypeSufficient", "1.3.6.1.4.1.19376.1.2.3", "mimeType Sufficient")


@dataclass(frozen=True, slots=True)
class SenderCard:
    """Who sends and with which software, as README.TXT tells people."""

    name: str
    organisation: str = ""
    address: str = ""
    phone: str = ""
    software: str = ""
    software_version: str = ""
    publisher: str = ""


@dataclass(frozen=True, slots=True)
class PackageToWrite:
    """One submission. Entries get their `uri`, size and hash from the writer; ids are the caller's."""

    submission: SubmissionSet
    documents: tuple[XdmDocument, ...]
    sender: SenderCard
    associations: tuple[Association, ...] = ()

    def __post_init__(self) -> None:
        ids = [self.submission.entry_uuid, *(document.entry.entry_uuid for document in self.documents)]
        if not all(ids) or len(set(ids)) != len(ids):
            raise BadValue("submission and documents need an entry_uuid each")


def write_package(package: PackageToWrite) -> bytes:
    """The bytes of IHE_XDM.zip."""
    documents = [_placed(document, number) for number, document in enumerate(package.documents, 1)]
    metadata = Metadata(
        package.submission,
        tuple(
            DescribedDocument(document.entry, document.entry.sha1, str(document.entry.size_bytes), document.action)
            for document in documents
        ),
        package.associations,
    )
    files = {
        "INDEX.HTM": _index(package.sender, documents).encode(),
        "README.TXT": _readme(package.sender, documents).encode(),
        f"{SUBSET}/METADATA.XML": write_metadata(metadata),
    }
    files.update({f"{SUBSET}/{document.entry.uri}": document.content for document in documents})
    return _zip(files, package.submission.submission_time or _ZIP_EPOCH)


def entry_from_cda(header: CdaHeader, data: bytes, *, entry_uuid: str, class_: Coded | None = None) -> DocumentEntry:
    """The fiche of a CDA as CI-SIS derives it from the header ("lien entre l'en-tête CDA et les métadonnées XDS")."""
    patient = header.patient
    local = next((one for one in patient.ids if one.root not in set(InsOid)), None)
    ins = next(iter(patient.ins_ids), None)
    patient_id = format_cx(ins.extension, ins.root) if ins else ""
    signer = header.legal_authenticator
    return DocumentEntry(
        unique_id=header.id.unique_id,
        title=header.title or header.code.label,
        mime_type="text/xml",
        size_bytes=len(data),
        sha1=hashlib.sha1(data, usedforsecurity=False).hexdigest(),
        type=header.code,
        class_=class_ or _CLASS_OF_TYPE.get(header.code.code, REPORT),
        format=_FORMAT_OF_BODY.get(header.body_media_type, _FORMAT_BY_TYPE),
        confidentiality=header.confidentiality,
        facility=header.facility,
        practice=header.practice,
        authors=header.authors,
        legal_authenticator=format_xcn(signer.person_id, signer.person_name) if signer.person_id else "",
        patient_id=patient_id,
        source_patient_id=format_cx(local.extension, local.root, "PI") if local else patient_id,
        source_patient_info=_patient_info(header),
        creation_time=header.effective_time,
        service_start=header.service_start,
        service_stop=header.service_stop,
        language=header.language or "fr-FR",
        entry_uuid=entry_uuid,
        set_id=header.set_id.unique_id if header.set_id else "",
        version=header.version,
        replaces=next((parent.unique_id for parent in header.replaces), ""),
        event_codes=tuple(event.code for event in header.events if event.code.code),
    )


def _patient_info(header: CdaHeader) -> tuple[str, ...]:
    """PID-5 (L birth name, D used name), PID-7, PID-8, PID-11 (BDL birth place), as CI-SIS asks."""
    patient = header.patient
    told = []
    if patient.birth_name:
        given = f"{patient.first_given_name}^{' '.join(patient.given_names)}"
        told.append(f"PID-5|{patient.birth_name}^{given}^^^^L")
    if patient.used_name:
        told.append(f"PID-5|{patient.used_name}^{patient.used_given_name}^^^^^D")
    if patient.birth_date:
        told.append(f"PID-7|{patient.birth_date:%Y%m%d}")
    if patient.sex:
        told.append(f"PID-8|{patient.sex.value}")
    if patient.birth_place:
        told.append(f"PID-11|^^^^^^BDL^^{patient.birth_place}")
    return tuple(told)


def _placed(document: XdmDocument, number: int) -> XdmDocument:
    """The document under its name in the archive, with its true size and hash."""
    extension = _EXTENSIONS.get(document.entry.mime_type, "BIN")
    entry = replace(
        document.entry,
        uri=f"DOC{number:05}.{extension}",
        size_bytes=len(document.content),
        sha1=hashlib.sha1(document.content, usedforsecurity=False).hexdigest(),
    )
    return replace(document, entry=entry)


def _zip(files: dict[str, bytes], moment: datetime) -> bytes:
    """A ZIP that depends on nothing but its content and `moment`."""
    buffer = io.BytesIO()
    utc = max(moment.astimezone(UTC), _ZIP_EPOCH)
    stamp = (utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name, stamp)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 0  # as from DOS: no permissions of our machine
            member.external_attr = 0
            archive.writestr(member, content)
    return buffer.getvalue()


def _readme(sender: SenderCard, documents: list[XdmDocument]) -> str:
    """What ANS asks for: sender, software, how to open it, what lies where."""
    lines = [
        "EMETTEUR", f"Nom : {sender.name}", f"Organisation : {sender.organisation}", f"Adresse : {sender.address}",
        f"Téléphone : {sender.phone}", "", "LOGICIEL", f"Nom : {sender.software}",
        f"Version : {sender.software_version}", f"Editeur : {sender.publisher}", "", "INSTRUCTIONS",
        "Ouvrir INDEX.HTM avec un navigateur, ou l'archive avec un logiciel de santé (profil IHE XDM).", "",
        "ARBORESCENCE", "INDEX.HTM", "README.TXT", f"{SUBSET}/METADATA.XML",
        *(f"{SUBSET}/{document.entry.uri}" for document in documents), "",
    ]  # fmt: skip
    return "\r\n".join(clean(line) for line in lines)


def _index(sender: SenderCard, documents: list[XdmDocument]) -> str:
    """A page that needs no health software. Titles stay inside the archive's metadata."""
    links = "".join(
        f'<li><a href="{SUBSET}/{document.entry.uri}">Document {number}</a></li>\n'
        for number, document in enumerate(documents, 1)
    )
    who = html.escape(clean(f"{sender.name} {sender.organisation}"))
    return (
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML Basic 1.0//EN" '
        '"http://www.w3.org/TR/xhtml-basic/xhtml-basic10.dtd">\n'
        '<html xmlns="http://www.w3.org/1999/xhtml" lang="fr">\n<head>\n'
        '<meta http-equiv="Content-Type" content="text/html; charset=utf-8" />\n'
        "<title>Documents de santé</title>\n</head>\n<body>\n"
        f"<h1>Documents de santé</h1>\n<p>Emetteur : {who}</p>\n"
        f'<ul>\n{links}</ul>\n<p><a href="README.TXT">README.TXT</a></p>\n</body>\n</html>\n'
    )
