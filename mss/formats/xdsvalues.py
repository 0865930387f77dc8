"""Which values do XDS metadata consist of?

The objects of IHE ITI TF-3 §4.2 that one METADATA.XML holds, and the UUIDs that name their parts. The fiche
itself is `DocumentEntry` of the model. Never parses and never writes: see `xdsmetadata` and `xdswrite`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mss.model.document import Author, Coded, DocumentEntry

NO_CODE = Coded("")


class Scheme:
    """UUIDs of IHE ITI TF-3 §4.2.5.2."""

    STABLE_ENTRY = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
    ENTRY_AUTHOR = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
    ENTRY_CLASS = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a"
    ENTRY_CONFIDENTIALITY = "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f"
    ENTRY_EVENT = "urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4"
    ENTRY_FORMAT = "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d"
    ENTRY_FACILITY = "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1"
    ENTRY_PRACTICE = "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead"
    ENTRY_TYPE = "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983"
    ENTRY_PATIENT_ID = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
    ENTRY_UNIQUE_ID = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
    SET_NODE = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
    SET_AUTHOR = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"
    SET_CONTENT_TYPE = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500"
    SET_PATIENT_ID = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446"
    SET_UNIQUE_ID = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8"
    SET_SOURCE_ID = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832"
    FOLDER_UNIQUE_ID = "urn:uuid:75df8f67-9973-4fbe-a900-df66cefecc5a"
    FOLDER_PATIENT_ID = "urn:uuid:f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a"
    FOLDER_CODES = "urn:uuid:1ba97051-7806-41a8-a48b-8fce7af683c5"
    FOLDER_NODE = "urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2"


@dataclass(frozen=True, slots=True)
class SubmissionSet:
    """Lot de soumission: who sent these documents together, when, about whom."""

    unique_id: str
    source_id: str = ""
    patient_id: str = ""
    title: str = ""
    submission_time: datetime | None = None
    content_type: Coded = NO_CODE
    authors: tuple[Author, ...] = ()
    comments: str = ""
    entry_uuid: str = ""


@dataclass(frozen=True, slots=True)
class Folder:
    """Classeur: documents of one patient that belong together, for a stay or a project."""

    unique_id: str
    title: str = ""
    patient_id: str = ""
    codes: tuple[Coded, ...] = ()
    entry_uuid: str = ""


@dataclass(frozen=True, slots=True)
class Association:
    """A link between two objects: `kind` is the last word of its URN (RPLC, APND, XFRM, HasMember …)."""

    kind: str
    source: str
    target: str
    new_status: str = ""
    """Of UpdateAvailabilityStatus: the last word of the status asked for (Deleted, Archived, Approved)."""


@dataclass(frozen=True, slots=True)
class DescribedDocument:
    """One fiche with what only this archive says: declared hash and size, and the requested action."""

    entry: DocumentEntry
    declared_sha1: str = ""
    declared_size: str = ""
    action: str = ""
    """`C` replace, `D` withdraw (ANS `urn:action:extraMetadataSlot`), empty for a first transmission."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """All that one METADATA.XML says."""

    submission: SubmissionSet
    documents: tuple[DescribedDocument, ...]
    associations: tuple[Association, ...] = ()
    folders: tuple[Folder, ...] = ()
