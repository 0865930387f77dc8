"""What is a file of a message that its reader puts into her record? A document that nobody described.

It came without archive: no metadata, no author that could be compared. Its entry says so, and its uniqueId follows from
the place in the message, so that it is filed once however often she presses.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from mss.model.document import Author, Coded, DocumentEntry

TYPES = frozenset({"application/pdf", "application/rtf", "image/jpeg", "image/png", "image/tiff", "text/plain"})
"""What may be kept, by its bytes."""
ORIGIN = "origin: message, not structured"
"""In the entry's comments."""
TYPE = Coded("", "", "Fichier reçu dans un message")
SHA1_KIND = "sha1"  # XDS asks for it (ITI TF-3 §4.2.3.2.10), beside our own keyed hash
OID_OF_UUID = "2.25"  # ITU-T X.667: identifiers made from 128 bits need no registration


@dataclass(frozen=True, slots=True)
class LooseFile:
    """A file at its place in a message."""

    message: int
    path: str
    name: str
    media_type: str
    content: bytes
    sender: str
    at: datetime


def unique_id(message: int, path: str) -> str:
    """Of the file at that place; the record makes it the owner's."""
    digest = hashlib.sha256(f"{message}/{path}".encode()).digest()
    return f"{OID_OF_UUID}.{int.from_bytes(digest[:16])}"


def is_loose(entry: DocumentEntry) -> bool:
    """Whether somebody kept it out of a message."""
    return entry.comments == ORIGIN and entry.unique_id.startswith(OID_OF_UUID)


def entry_of(file: LooseFile) -> DocumentEntry:
    """Its fiche: what is known, and nothing that is guessed."""
    return DocumentEntry(
        unique_id=unique_id(file.message, file.path),
        title=file.name,
        mime_type=file.media_type,
        size_bytes=len(file.content),
        sha1=hashlib.new(SHA1_KIND, file.content, usedforsecurity=False).hexdigest(),
        type=TYPE,
        class_=Coded(""),
        authors=(Author(person_name=file.sender),),
        creation_time=file.at,
        comments=ORIGIN,
    )
