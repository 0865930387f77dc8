"""Health documents as the record keeps them: the XDS metadata of a `DocumentEntry` (fiche).

Sources: IHE ITI TF-3 §4.2.3.2; ANS CI-SIS DocumentEntry (docs/standards.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Visibility(StrEnum):
    """confidentialityCode of TRE_A07 that we honour (OID 1.2.250.1.213.1.1.4.13), and `N`."""

    NORMAL = "N"
    MASKED_FROM_PRACTITIONERS = "MASQUE_PS"
    HIDDEN_FROM_PATIENT = "INVISIBLE_PATIENT"
    HIDDEN_FROM_REPRESENTATIVES = "INVISIBLE_REPRESENTANTS_LEGAUX"


class DocumentStatus(StrEnum):
    """availabilityStatus: Approved, or superseded by a newer version, or withdrawn by its author, or taken out by staff
    because it is somebody else's."""

    APPROVED = "approved"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    UNFILED = "unfiled"


@dataclass(frozen=True, slots=True)
class Coded:
    """A code of a terminology: code, OID of the system, label as sent."""

    code: str
    system: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Author:
    """Author of a document: a person (IDNPS) and an institution (IDNST)."""

    person_id: str = ""
    person_name: str = ""
    institution_id: str = ""
    institution_name: str = ""
    role: str = ""
    specialty: str = ""
    """As XDS carries it: `code^label^OID`, or plain text."""

    @property
    def specialty_label(self) -> str:
        """The words of the speciality, for people."""
        code, caret, rest = self.specialty.partition("^")
        return rest.partition("^")[0] or code if caret else code


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """The metadata of one document. Required ones as in facts §6.1; absent text is the empty string."""

    unique_id: str
    title: str
    mime_type: str
    size_bytes: int
    sha1: str
    """XDS `hash` of the document, lower-case hex."""
    type: Coded
    class_: Coded
    format: Coded = field(default_factory=lambda: Coded(""))
    confidentiality: tuple[Coded, ...] = ()
    facility: Coded = field(default_factory=lambda: Coded(""))
    practice: Coded = field(default_factory=lambda: Coded(""))
    authors: tuple[Author, ...] = ()
    legal_authenticator: str = ""
    patient_id: str = ""
    """`<INS>^^^&<OID>&ISO^NH` as received."""
    source_patient_id: str = ""
    source_patient_info: tuple[str, ...] = ()
    creation_time: datetime | None = None
    service_start: datetime | None = None
    service_stop: datetime | None = None
    language: str = "fr-FR"
    entry_uuid: str = ""
    logical_id: str = ""
    set_id: str = ""
    version: str = ""
    replaces: str = ""
    """uniqueId (or entryUUID) of the document that this one replaces (RPLC)."""
    adds_to: str = ""
    """uniqueId (or entryUUID) of the document to which this one is an addendum (APND), of which it is another form
    (XFRM), or which it signs."""
    adds_as: str = ""
    """How: APND, XFRM or signs, where `adds_to` names something."""
    folders: tuple[str, ...] = ()
    """Titles of the folders (classeurs) with which it came."""
    event_codes: tuple[Coded, ...] = ()
    comments: str = ""
    uri: str = ""
    repository_unique_id: str = ""
    home_community_id: str = ""
    signature: str = ""
    """What was found of the signature under the message that brought it (model/signature.py); empty: none, or not
    checked."""
