"""What does a METADATA.XML say about its documents?

Reads the ebRIM 3.0 of IHE XDS/XDM (ITI TF-3 §4.2) into `SubmissionSet`, `DocumentEntry` and
`Association`. Element names are compared without namespace and case, since real writers get both wrong;
identifiers and codes are kept as sent, for the bridge to judge. Never reads a document itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mss.formats.hl7values import clean, parse_time, parse_xcn, parse_xon
from mss.formats.xdsvalues import NO_CODE, Association, DescribedDocument, Folder, Metadata, Scheme, SubmissionSet
from mss.formats.xmlguard import parse, plain_name
from mss.model.document import Author, Coded, DocumentEntry
from mss.model.errors import Malformed
from mss.model.verdict import Reason

if TYPE_CHECKING:  # whoever wants only the values does not load the library
    from lxml import etree

METADATA_BYTES_MAX = 4 * 1024 * 1024  # one document takes 8 KiB
DOCUMENTS_MAX = 200  # of one submission; the largest seen had 7
VALUES_MAX = 100  # of one slot, and classifications of one kind
VALUE_CHARS_MAX = 4000  # a comment; identifiers and labels are far shorter

_PIECE = re.compile(r"([0-9]{1,2})\|(.*)\Z", re.ASCII)


def read_metadata(data: bytes) -> Metadata:
    """Read one METADATA.XML. Raises Malformed(METADATA_BROKEN)."""
    root = parse(data, Reason.METADATA_BROKEN, METADATA_BYTES_MAX)
    objects = _objects(root)
    packages = [_Described(element) for element in objects.get("registrypackage", ())]
    nodes = _package_nodes(objects, packages)
    sets = [package for package in packages if package.is_submission_set(nodes)]
    if len(sets) != 1:
        raise _broken("not exactly one submission set")
    elements = objects.get("extrinsicobject", [])
    if len(elements) > DOCUMENTS_MAX:
        raise _broken("too many documents")
    associations = tuple(_association(_Described(element)) for element in objects.get("association", ()))
    replaced = {link.source: link.target for link in associations if link.kind in ("RPLC", "XFRM_RPLC")}
    return Metadata(
        submission=_submission(sets[0]),
        documents=tuple(_document(_Described(element), index, replaced) for index, element in enumerate(elements)),
        associations=associations,
        folders=tuple(_folder(package) for package in packages if package.is_folder(nodes)),
    )


def _objects(root: etree._Element) -> dict[str, list[etree._Element]]:
    """The members of RegistryObjectList by lower-case name; the list may lie inside a wrapper."""
    for element in root.iter():
        if plain_name(element) == "registryobjectlist":
            found: dict[str, list[etree._Element]] = {}
            for child in element:
                found.setdefault(plain_name(child), []).append(child)
            return found
    raise _broken("no RegistryObjectList")


class _Described:
    """One registry object, indexed once: slots, classifications, external identifiers."""

    def __init__(self, element: etree._Element) -> None:
        self.element = element
        self.id = _attribute(element, "id")
        self.slots: dict[str, tuple[str, ...]] = {}
        self.classifications: dict[str, list[etree._Element]] = {}
        self.identifiers: dict[str, str] = {}
        self.nodes: set[str] = set()
        self.texts: dict[str, str] = {}
        for child in element:
            self._take(plain_name(child), child)

    def _take(self, name: str, child: etree._Element) -> None:
        if name == "slot":
            self.slots[_attribute(child, "name").lower()] = _values(child)
        elif name == "classification":
            self.nodes.add(_attribute(child, "classificationNode").lower())
            same = self.classifications.setdefault(_attribute(child, "classificationScheme").lower(), [])
            same.append(child)
            if len(same) > VALUES_MAX:
                raise _broken("too many classifications")
        elif name == "externalidentifier":
            self.identifiers[_attribute(child, "identificationScheme").lower()] = _attribute(child, "value")
        elif name in ("name", "description"):
            self.texts[name] = _localized(child)
        elif name == "versioninfo":
            self.texts[name] = _attribute(child, "versionName")

    def slot(self, name: str) -> str:
        """The first value of a slot, or nothing."""
        values = self.slots.get(name.lower(), ())
        return values[0] if values else ""

    def joined(self, name: str) -> str:
        """The URI slot: one value, or pieces `1|…`, `2|…` when it is long (ITI TF-3 §4.2.3.2.27)."""
        values = self.slots.get(name.lower(), ())
        pieces = [_PIECE.match(value) for value in values]
        if values and all(pieces):
            return "".join(text for _, text in sorted((int(piece[1]), piece[2]) for piece in pieces if piece))
        return values[0] if values else ""

    def coded(self, scheme: str) -> tuple[Coded, ...]:
        """The codes of one classification scheme, in order."""
        return tuple(_coded(element) for element in self.classifications.get(scheme, ()))

    def one(self, scheme: str) -> Coded:
        """The code of a scheme that allows one."""
        codes = self.coded(scheme)
        return codes[0] if codes else NO_CODE

    def authors(self, scheme: str) -> tuple[Author, ...]:
        """The authors of one classification scheme, in order."""
        return tuple(_author(_Described(element)) for element in self.classifications.get(scheme, ()))

    def is_submission_set(self, nodes: dict[str, set[str]]) -> bool:
        """By its classification node or, where a writer forgot it, by its identifier scheme."""
        return Scheme.SET_NODE in nodes.get(self.id, ()) or Scheme.SET_UNIQUE_ID in self.identifiers

    def is_folder(self, nodes: dict[str, set[str]]) -> bool:
        """In the same two ways."""
        return Scheme.FOLDER_NODE in nodes.get(self.id, ()) or Scheme.FOLDER_UNIQUE_ID in self.identifiers


def _package_nodes(objects: dict[str, list[etree._Element]], packages: list[_Described]) -> dict[str, set[str]]:
    """What each RegistryPackage is: said inside it, or by a Classification beside it."""
    nodes = {package.id: set(package.nodes) for package in packages}
    for element in objects.get("classification", ()):
        nodes.setdefault(_attribute(element, "classifiedObject"), set()).add(
            _attribute(element, "classificationNode").lower()
        )
    return nodes


def _submission(package: _Described) -> SubmissionSet:
    return SubmissionSet(
        unique_id=package.identifiers.get(Scheme.SET_UNIQUE_ID, ""),
        source_id=package.identifiers.get(Scheme.SET_SOURCE_ID, ""),
        patient_id=package.identifiers.get(Scheme.SET_PATIENT_ID, ""),
        title=package.texts.get("name", ""),
        submission_time=parse_time(package.slot("submissionTime")),
        content_type=package.one(Scheme.SET_CONTENT_TYPE),
        authors=package.authors(Scheme.SET_AUTHOR),
        comments=package.texts.get("description", ""),
        entry_uuid=package.id,
    )


def _folder(package: _Described) -> Folder:
    return Folder(
        unique_id=package.identifiers.get(Scheme.FOLDER_UNIQUE_ID, ""),
        title=package.texts.get("name", ""),
        patient_id=package.identifiers.get(Scheme.FOLDER_PATIENT_ID, ""),
        codes=package.coded(Scheme.FOLDER_CODES),
        entry_uuid=package.id,
    )


def _document(described: _Described, index: int, replaced: dict[str, str]) -> DescribedDocument:
    unique_id = described.identifiers.get(Scheme.ENTRY_UNIQUE_ID, "")
    if not unique_id:
        raise _broken(f"document {index + 1} has no uniqueId")
    entry = DocumentEntry(
        unique_id=unique_id,
        title=described.texts.get("name", ""),
        mime_type=_attribute(described.element, "mimeType").lower() or "application/octet-stream",
        size_bytes=0,
        sha1="",
        type=described.one(Scheme.ENTRY_TYPE),
        class_=described.one(Scheme.ENTRY_CLASS),
        format=described.one(Scheme.ENTRY_FORMAT),
        confidentiality=described.coded(Scheme.ENTRY_CONFIDENTIALITY),
        facility=described.one(Scheme.ENTRY_FACILITY),
        practice=described.one(Scheme.ENTRY_PRACTICE),
        authors=described.authors(Scheme.ENTRY_AUTHOR),
        legal_authenticator=described.slot("legalAuthenticator"),
        patient_id=described.identifiers.get(Scheme.ENTRY_PATIENT_ID, ""),
        source_patient_id=described.slot("sourcePatientId"),
        source_patient_info=described.slots.get("sourcepatientinfo", ()),
        creation_time=parse_time(described.slot("creationTime")),
        service_start=parse_time(described.slot("serviceStartTime")),
        service_stop=parse_time(described.slot("serviceStopTime")),
        language=described.slot("languageCode"),
        entry_uuid=described.id,
        logical_id=_attribute(described.element, "lid"),
        version=described.slot("version") or described.texts.get("versioninfo", ""),
        replaces=replaced.get(described.id, ""),
        event_codes=described.coded(Scheme.ENTRY_EVENT),
        comments=described.texts.get("description", ""),
        uri=described.joined("URI"),
        repository_unique_id=described.slot("repositoryUniqueId"),
        home_community_id=_attribute(described.element, "home"),
    )
    return DescribedDocument(entry, described.slot("hash").lower(), described.slot("size"), _action(described))


def _action(described: _Described) -> str:
    """ANS: slot `urn:action:extraMetadataSlot`, value C or D; a plain `action` is understood too."""
    for name in described.slots:
        if "action" in name.split(":"):
            return described.slot(name).upper()
    return ""


def _association(described: _Described) -> Association:
    return Association(
        kind=_last_word(_attribute(described.element, "associationType")),
        source=_attribute(described.element, "sourceObject"),
        target=_attribute(described.element, "targetObject"),
        new_status=_last_word(described.slot("NewStatus")),
    )


def _author(described: _Described) -> Author:
    person_id, person_name = parse_xcn(described.slot("authorPerson"))
    institution_id, institution_name = parse_xon(described.slot("authorInstitution"))
    return Author(
        person_id=person_id,
        person_name=person_name,
        institution_id=institution_id,
        institution_name=institution_name,
        role=described.slot("authorRole"),
        specialty=described.slot("authorSpecialty"),
    )


def _coded(element: etree._Element) -> Coded:
    described = _Described(element)
    return Coded(
        code=_attribute(element, "nodeRepresentation"),
        system=described.slot("codingScheme"),
        label=described.texts.get("name", ""),
    )


def _values(slot: etree._Element) -> tuple[str, ...]:
    values = tuple(_bounded(element.text) for element in slot.iter() if plain_name(element) == "value")
    if len(values) > VALUES_MAX:
        raise _broken("too many values in a slot")
    return values


def _localized(element: etree._Element) -> str:
    """The first LocalizedString: French writers send one."""
    for child in element:
        if plain_name(child) == "localizedstring":
            return _attribute(child, "value")
    return ""


def _attribute(element: etree._Element, name: str) -> str:
    return _bounded(element.get(name))


def _bounded(text: str | None) -> str:
    value = clean(text)
    if len(value) > VALUE_CHARS_MAX:
        raise _broken("a value is too long")
    return value


def _last_word(urn: str) -> str:
    return urn.rpartition(":")[2]


def _broken(detail: str) -> Malformed:
    return Malformed(Reason.METADATA_BROKEN, detail)
