"""What are these bytes really, whatever their name says?

`sniff` looks at first bytes only. `check_pdf` opens a PDF with its true parser and is therefore only
called in the sandbox. Neither ever trusts a file name or a declared type.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mss.model.errors import Malformed
from mss.model.verdict import Reason

if TYPE_CHECKING:  # pypdf takes 0.4 s to load: only the sandbox does, when it opens a PDF
    from pypdf import PdfReader

HEAD_BYTES = 1024  # readers accept %PDF- within the first kibibyte (ISO 32000-1 Annex H.3.4.1)
TEXT_SAMPLE_BYTES = 64 * 1024
PDF_PAGES_MAX = 5000
UNKNOWN = "application/octet-stream"

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "application/pdf"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"{\\rtf", "application/rtf"),
)
_XML = re.compile(rb"<(\?xml[\s?]|(\w+:)?ClinicalDocument[\s>])")
_HTML = re.compile(rb"<(!doctype\s+html|html|head|body|script|svg|iframe|img)[\s>/]", re.IGNORECASE)
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\x1b")) + b"\x7f"

# What pypdf lets escape from broken files besides its own errors, found by mutating good ones.
_PDF_ERRORS = (
    ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError,
    RecursionError, OverflowError, NotImplementedError, zlib.error, struct.error, OSError,
)  # fmt: skip


def sniff(data: bytes) -> str:
    """The media type of the first bytes: PDF, JPEG, PNG, GIF, TIFF, ZIP, DICOM, RTF, XML, HTML, text."""
    for magic, media_type in _MAGIC:
        if data.startswith(magic):
            return media_type
    if data[128:132] == b"DICM":  # PS3.10 §7.1
        return "application/dicom"
    if b"%PDF-" in data[:HEAD_BYTES]:
        return "application/pdf"
    return _sniff_text(data[:TEXT_SAMPLE_BYTES])


def _sniff_text(sample: bytes) -> str:
    """XML, HTML (which browsers would run) or plain text; UNKNOWN for the rest."""
    for bom, encoding in _BOMS:
        if sample.startswith(bom):
            sample = sample[len(bom) :].decode(encoding, "replace").encode()
            break
    start = sample.lstrip()[:HEAD_BYTES]
    if _XML.match(start):
        return "text/xml"
    if _HTML.search(start):
        return "text/html"
    if not sample or sample.translate(None, _CONTROLS) != sample:
        return UNKNOWN
    try:
        sample[:-4].decode()  # the sample may end inside a character
    except UnicodeDecodeError:
        return UNKNOWN
    return "text/plain"


@dataclass(frozen=True, slots=True)
class PdfFacts:
    """What the parser found. `is_active`: it would run something when opened."""

    pages: int
    is_active: bool


def check_pdf(data: bytes) -> PdfFacts:
    """Open a PDF for real. Raises Malformed(UNREADABLE): broken, encrypted, or without a page."""
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(io.BytesIO(data), strict=False)
        if reader.is_encrypted:
            raise Malformed(Reason.UNREADABLE, "PDF is encrypted")
        pages = len(reader.pages)
        if not 0 < pages <= PDF_PAGES_MAX:
            raise Malformed(Reason.UNREADABLE, "PDF has no page or too many")
        reader.pages[0].mediabox  # noqa: B018 — the first page must be reachable
        return PdfFacts(pages, _is_active(reader))
    except (PyPdfError, *_PDF_ERRORS) as error:
        raise Malformed(Reason.UNREADABLE, "not a readable PDF") from error


def _is_active(reader: PdfReader) -> bool:
    """OpenAction that is more than a view, JavaScript names, or additional actions (ISO 32000-1 §12.6)."""
    from pypdf.generic import ArrayObject, DictionaryObject

    root = reader.root_object
    action = root.get("/OpenAction")
    action = action.get_object() if action is not None else None
    names = root.get("/Names")
    names = names.get_object() if names is not None else None
    return (
        (isinstance(action, DictionaryObject) and action.get("/S") != "/GoTo")
        or (action is not None and not isinstance(action, DictionaryObject | ArrayObject))
        or (isinstance(names, DictionaryObject) and "/JavaScript" in names)
        or "/AA" in root
    )
