"""Which parts of a message may be documents for a record, by a first look that opens nothing?

Archives IHE_XDM, loose CDA documents, DICOM images, other ZIPs that may hold images; and loose files that nobody
describes. What was hidden by an encoding is found too, and told. Never parses what it finds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from mss.formats import dicom, dicomstudy, filetypes, mime, tnef
from mss.formats.parts import Part, Structure, decode_body
from mss.model.errors import Malformed
from mss.record import loose

CONTENT_BYTES_MAX = 35 * 1024 * 1024  # no message is larger
ENCODED_MESSAGES_DEPTH_MAX = 3  # messages that were encoded against RFC 2046 §5.2.1, one inside another
LOOSE_TYPES = frozenset({"application/pdf", "application/rtf", "image/jpeg", "image/png", "image/tiff"})

_ARCHIVE_NAME = re.compile(r"ihe[_ -]?xdm.*\.zip\Z", re.IGNORECASE | re.DOTALL)
_METADATA_NAME = re.compile(rb"metadata\.xml", re.IGNORECASE)  # names in a ZIP are never compressed
ZIP_MEMBER = b"PK\x03\x04"  # APPNOTE §4.3.7
_ARCHIVE_INSIDE = re.compile(rb"IHE[_ -]?XDM[^\x00-\x1f/]{0,30}\.zip", re.IGNORECASE)
_APPLE_DOUBLE = b"\x00\x05\x16\x07"  # RFC 1740 §3
_PROGRAMS_OWN = frozenset(
    {
        "application/applefile",
        "application/pgp-encrypted",
        "application/pgp-keys",
        "application/pgp-signature",
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
        "text/calendar",
        "text/vcard",
        "text/x-vcard",
    }
)
"""What mail programs attach for each other, and no person opens."""
_DICOM_NAME = re.compile(r".*\.(?:dcm|dicom)\Z", re.IGNORECASE | re.DOTALL)
_CDA_ROOT = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?ClinicalDocument[\s>/]")


class Kind(StrEnum):
    """What a part is taken for by its first look."""

    ARCHIVE = "archive"
    """IHE_XDM.zip."""
    CDA = "cda"
    IMAGE = "image"
    """A DICOM file."""
    ZIP = "zip"
    """Another ZIP: there may be images in it."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part that may be for the record. `is_forwarded`: it lies inside another message; `is_encoded`: inside one that
    was encoded, so that its header was not read."""

    kind: Kind
    is_forwarded: bool
    content: bytes
    is_encoded: bool = False


@dataclass(frozen=True, slots=True)
class LoosePart:
    """A file that no archive describes and that its true parser, where there is one, can read."""

    path: str
    name: str
    media_type: str
    content: bytes


def find_attachments(raw: bytes, structure: Structure) -> list[Attachment]:
    """Those among the parts; what a report returns is the patient's own mail."""
    is_report = structure.root.content_type == "multipart/report"
    found = _attachments(raw, structure.root, is_forwarded=False, depth=0)
    return [one for one in found if not (is_report and one.is_forwarded)]


def _attachments(raw: bytes, part: Part, *, is_forwarded: bool, depth: int) -> Iterator[Attachment]:
    if part.children:
        inside = is_forwarded or part.message is not None
        for child in part.children:
            yield from _attachments(raw, child, is_forwarded=inside, depth=depth)
        return
    if part.is_multipart:
        return
    content = decode_body(raw, part, CONTENT_BYTES_MAX)  # of texts too: any of them may be a file in disguise
    if part.content_type == "message/rfc822":
        yield from _inside(content, depth)
        return
    for name, one in files_in(part, content):
        if (kind := _kind(name, part.content_type, one)) is not None:
            yield Attachment(kind, is_forwarded, one)


def files_in(part: Part, content: bytes) -> list[tuple[str, bytes]]:
    """The part itself, or the files that Exchange wrapped into it (winmail.dat); one that cannot be read is a file like
    any other."""
    wrapped = tnef.files(content) if tnef.is_tnef(content) else None
    return [(part.filename or "", content)] if wrapped is None else wrapped


def _kind(name: str, content_type: str, content: bytes) -> Kind | None:
    if is_archive(name, content):
        return Kind.ARCHIVE
    if is_cda(content):
        return Kind.CDA
    if is_image(name, content_type, content):
        return Kind.IMAGE
    return Kind.ZIP if filetypes.sniff(content) == dicomstudy.ZIP_TYPE else None


def _inside(content: bytes, depth: int) -> Iterator[Attachment]:
    """A message that was encoded: look into it all the same, and take what cannot be looked into for the worst."""
    try:
        structure = mime.scan(content) if depth < ENCODED_MESSAGES_DEPTH_MAX else None
    except Malformed:
        structure = None
    if structure is None:
        yield Attachment(Kind.ARCHIVE, True, b"", is_encoded=True)
        return
    for one in _attachments(content, structure.root, is_forwarded=True, depth=depth + 1):
        yield replace(one, is_encoded=True)


def has_loose(raw: bytes, structure: Structure) -> bool:
    """Whether there is a file that could be a document."""
    return next(_loose(raw, structure), None) is not None


def has_unread(raw: bytes, structure: Structure) -> bool:
    """For a mailbox that nobody reads: whether there is any file that a person would have to open."""
    return next(_loose(raw, structure, of_any_type=True), None) is not None


def loose_parts(raw: bytes, structure: Structure) -> list[LoosePart]:
    """Those that may be kept in a record without being described."""
    return [part for part in _loose(raw, structure) if part.media_type in loose.TYPES]


def _loose(raw: bytes, structure: Structure, *, of_any_type: bool = False) -> Iterator[LoosePart]:
    """Files that could be documents, by their bytes. A picture that the text shows (a logo) and a report are none; a
    text is one when it was attached, and with `of_any_type` so is all that was and does no mail program's own work."""
    if structure.root.content_type == "multipart/report":
        return
    shown = {id(child) for part in structure.root.walk() if part.subtype == "related" for child in part.children}
    for part in structure.root.walk():
        is_inline = part.content_id and id(part) in shown and part.disposition != "attachment"
        if part.children or part.is_multipart or is_inline:
            continue
        files = files_in(part, decode_body(raw, part, CONTENT_BYTES_MAX))
        is_attached = part.disposition == "attachment" and part.content_type not in _PROGRAMS_OWN
        for number, (name, content) in enumerate(files):
            media_type = filetypes.sniff(content)
            if media_type in LOOSE_TYPES or (is_attached and (of_any_type or media_type == "text/plain")):
                path = f"{part.path}.{number}" if len(files) > 1 else part.path
                yield LoosePart(path, name or f"piece-{path}", media_type, content)


def is_archive(filename: str, content: bytes) -> bool:
    """Named IHE_XDM, or a ZIP that names a METADATA.XML, behind whatever bytes, or such an archive. The archive itself
    is not opened. (The other half of a file of a Macintosh bears the file's name too.)"""
    if _ARCHIVE_NAME.match(filename) and not content.startswith(_APPLE_DOUBLE):
        return True
    if ZIP_MEMBER not in content:
        return False
    if _METADATA_NAME.search(content) is not None:
        return True
    return content.startswith(ZIP_MEMBER) and _ARCHIVE_INSIDE.search(content) is not None


def is_cda(content: bytes) -> bool:
    """XML with a ClinicalDocument in it, in any usual encoding. The XML is not parsed."""
    if filetypes.sniff(content) != "text/xml":
        return False
    return bool(_CDA_ROOT.search(content) or (b"\0" in content and _CDA_ROOT.search(content.replace(b"\0", b""))))


def is_image(name: str, content_type: str, content: bytes) -> bool:
    """A DICOM file by its bytes, or what calls itself one and must therefore be readable as one."""
    is_called = content_type == dicomstudy.DICOM_TYPE or _DICOM_NAME.match(name)
    return dicom.is_dicom(content) or (bool(is_called) and filetypes.sniff(content) != dicomstudy.ZIP_TYPE)
