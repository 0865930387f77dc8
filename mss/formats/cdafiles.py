"""Which files does this CDA carry inside, and which of them is the document itself?

CDA level 1 is a file with a header; level 3 often brings its own reading copy, and may attach other files.
Never says whether a file is what it claims to be: that is `filetypes`.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mss.formats.cdatree import NAMESPACE, attribute, broken, child, parse_document, path, text

if TYPE_CHECKING:  # whoever wants only the values does not load the library
    from lxml import etree

FILES_MAX = 50  # embedded files; the largest ANS sample has 3
COPY_SECTION = "55108-5"  # LOINC "Copie du document": the reading copy, unlike 55107-7 "Documents joints"


@dataclass(frozen=True, slots=True)
class EmbeddedFile:
    """A file carried inside a CDA. `is_copy`: it is the document itself in readable form."""

    media_type: str
    content: bytes
    is_copy: bool
    section: str = ""


def embedded_files(data: bytes) -> tuple[EmbeddedFile, ...]:
    """All files inside the body, in document order. Raises Malformed(CDA_BROKEN)."""
    root = parse_document(data)
    found: list[EmbeddedFile] = []
    for element in root.iterfind(path("component") + "//*[@representation='B64']"):
        if len(found) == FILES_MAX:
            raise broken("too many embedded files")
        found.append(_embedded(element))
    return tuple(found)


def embedded_pdf(data: bytes) -> bytes | None:
    """The document itself as a PDF: the level-1 body, or the section "Copie du document".

    Other PDFs in it (an insurance certificate, advance directives) are no copy: see `embedded_files`.
    """
    for file in embedded_files(data):
        if file.is_copy and file.content.startswith(b"%PDF-"):
            return file.content
    return None


def _embedded(element: etree._Element) -> EmbeddedFile:
    data = "".join((element.text or "").split())
    data += "=" * (-len(data) % 4)  # some writers leave the padding out
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise broken("an embedded file is not base64") from error
    parent = element.getparent()
    is_body = parent is not None and parent.tag == f"{{{NAMESPACE}}}nonXMLBody"
    section = next(element.iterancestors(f"{{{NAMESPACE}}}section"), None)
    return EmbeddedFile(
        media_type=attribute(element, "mediaType").lower(),
        content=content,
        is_copy=is_body or attribute(child(section, "code"), "code") == COPY_SECTION,
        section=text(child(section, "title")),
    )
