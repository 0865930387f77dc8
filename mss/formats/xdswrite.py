"""How is a submission told in METADATA.XML?

Writes the ebRIM 3.0 that `xdsmetadata` reads: one SubmissionSet, its DocumentEntries, their associations
(IHE ITI TF-3 §4.2, CI-SIS). The same values always give the same bytes. Never invents a value: what is
empty is left out.
"""

from __future__ import annotations

from datetime import datetime

from lxml import etree

from mss.formats.hl7values import format_time, format_xcn, format_xon
from mss.formats.xdsvalues import Association, DescribedDocument, Metadata, Scheme, SubmissionSet
from mss.model.document import Author, Coded, DocumentEntry

LCM = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
ACTION_SLOT = "urn:action:extraMetadataSlot"  # where ANS carries C (replace) and D (withdraw)
_OASIS_LINKS = "urn:oasis:names:tc:ebxml-regrep:AssociationType:"
_IHE_LINKS = "urn:ihe:iti:2007:AssociationType:"
_UPDATE = "UpdateAvailabilityStatus"
_APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
_ANS_STATUS = "urn:asip:ci-sis:2010:StatusType:"
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def write_metadata(metadata: Metadata) -> bytes:
    """One METADATA.XML."""
    root = etree.Element(f"{{{LCM}}}SubmitObjectsRequest", nsmap={"lcm": LCM, "rim": RIM})
    objects = _add(root, "RegistryObjectList")
    _write_submission(objects, metadata.submission)
    for document in metadata.documents:
        _write_document(objects, document)
    for number, link in enumerate(_links(metadata), 1):
        _write_association(objects, link, f"association{number:02}")
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True)


def _links(metadata: Metadata) -> list[Association]:
    """Membership and replacements follow from the documents; others are written as given."""
    links = [Association("HasMember", metadata.submission.entry_uuid, d.entry.entry_uuid) for d in metadata.documents]
    links += [Association("RPLC", d.entry.entry_uuid, d.entry.replaces) for d in metadata.documents if d.entry.replaces]
    return links + [link for link in metadata.associations if link not in links]


def _write_submission(objects: etree._Element, submission: SubmissionSet) -> None:
    package = _add(objects, "RegistryPackage", id=submission.entry_uuid, status=_APPROVED)
    writer = _Writer(package, submission.entry_uuid)
    writer.time("submissionTime", submission.submission_time)
    writer.text("Name", submission.title)
    writer.text("Description", submission.comments)
    writer.node(Scheme.SET_NODE)
    for author in submission.authors:
        writer.author(Scheme.SET_AUTHOR, author)
    writer.code(Scheme.SET_CONTENT_TYPE, submission.content_type)
    writer.identifier(Scheme.SET_PATIENT_ID, submission.patient_id, "XDSSubmissionSet.patientId")
    writer.identifier(Scheme.SET_SOURCE_ID, submission.source_id, "XDSSubmissionSet.sourceId")
    writer.identifier(Scheme.SET_UNIQUE_ID, submission.unique_id, "XDSSubmissionSet.uniqueId")


def _write_document(objects: etree._Element, document: DescribedDocument) -> None:
    entry = document.entry
    element = _add(
        objects, "ExtrinsicObject", id=entry.entry_uuid, mimeType=entry.mime_type, objectType=Scheme.STABLE_ENTRY,
        status=_APPROVED, lid=entry.logical_id, home=entry.home_community_id,
    )  # fmt: skip
    writer = _Writer(element, entry.entry_uuid)
    writer.slot(ACTION_SLOT, document.action)
    writer.slot("URI", entry.uri)
    writer.slot("hash", document.declared_sha1)
    writer.slot("size", document.declared_size)
    writer.time("creationTime", entry.creation_time)
    writer.slot("languageCode", entry.language)
    writer.slot("legalAuthenticator", entry.legal_authenticator)
    writer.time("serviceStartTime", entry.service_start)
    writer.time("serviceStopTime", entry.service_stop)
    writer.slot("sourcePatientId", entry.source_patient_id)
    writer.slot("sourcePatientInfo", *entry.source_patient_info)
    writer.slot("repositoryUniqueId", entry.repository_unique_id)
    writer.text("Name", entry.title)
    writer.text("Description", entry.comments)
    if entry.version:
        _add(element, "VersionInfo", versionName=entry.version)
    _write_codes(writer, entry)
    writer.identifier(Scheme.ENTRY_PATIENT_ID, entry.patient_id, "XDSDocumentEntry.patientId")
    writer.identifier(Scheme.ENTRY_UNIQUE_ID, entry.unique_id, "XDSDocumentEntry.uniqueId")


def _write_codes(writer: _Writer, entry: DocumentEntry) -> None:
    for author in entry.authors:
        writer.author(Scheme.ENTRY_AUTHOR, author)
    writer.code(Scheme.ENTRY_CLASS, entry.class_)
    for confidentiality in entry.confidentiality:
        writer.code(Scheme.ENTRY_CONFIDENTIALITY, confidentiality)
    for event in entry.event_codes:
        writer.code(Scheme.ENTRY_EVENT, event)
    writer.code(Scheme.ENTRY_FORMAT, entry.format)
    writer.code(Scheme.ENTRY_FACILITY, entry.facility)
    writer.code(Scheme.ENTRY_PRACTICE, entry.practice)
    writer.code(Scheme.ENTRY_TYPE, entry.type)


def _write_association(objects: etree._Element, link: Association, name: str) -> None:
    oasis = link.kind == "HasMember"
    kind = f"urn:ihe:iti:2010:AssociationType:{_UPDATE}" if link.kind == _UPDATE else _IHE_LINKS + link.kind
    element = _add(
        objects, "Association", id=name, sourceObject=link.source, targetObject=link.target,
        associationType=_OASIS_LINKS + link.kind if oasis else kind,
    )  # fmt: skip
    writer = _Writer(element, name)
    if oasis:
        writer.slot("SubmissionSetStatus", "Original")
    if link.new_status:
        writer.slot("OriginalStatus", _APPROVED)
        writer.slot("NewStatus", _APPROVED if link.new_status == "Approved" else _ANS_STATUS + link.new_status)


class _Writer:
    """Adds the parts of one registry object; ids of its parts count up from its own."""

    def __init__(self, element: etree._Element, object_id: str) -> None:
        self._element = element
        self._object_id = object_id
        self._parts = 0

    def slot(self, name: str, *values: str) -> None:
        _slot(self._element, name, *values)

    def time(self, name: str, moment: datetime | None) -> None:
        if moment is not None:
            _slot(self._element, name, format_time(moment))

    def text(self, name: str, value: str) -> None:
        if value:
            _localized(self._element, name, value)

    def node(self, node: str) -> None:
        """What kind of package this is."""
        _add(self._element, "Classification", id=self._part(), classificationNode=node, **self._classified())

    def code(self, scheme: str, code: Coded) -> None:
        if code.code:
            element = self._classification(scheme, code.code)
            _slot(element, "codingScheme", code.system)
            if code.label:
                _localized(element, "Name", code.label)

    def author(self, scheme: str, author: Author) -> None:
        element = self._classification(scheme, "")
        if author.institution_name or author.institution_id:
            _slot(element, "authorInstitution", format_xon(author.institution_id, author.institution_name))
        if author.person_id or author.person_name:
            _slot(element, "authorPerson", format_xcn(author.person_id, author.person_name))
        _slot(element, "authorRole", author.role)
        _slot(element, "authorSpecialty", author.specialty)

    def identifier(self, scheme: str, value: str, name: str) -> None:
        if value:
            element = _add(
                self._element, "ExternalIdentifier", id=self._part(), identificationScheme=scheme, value=value,
                registryObject=self._object_id,
            )  # fmt: skip
            _localized(element, "Name", name)

    def _classification(self, scheme: str, representation: str) -> etree._Element:
        element = _add(
            self._element, "Classification", id=self._part(), classificationScheme=scheme, **self._classified()
        )
        element.set("nodeRepresentation", representation)  # empty for authors, and required (ebRIM 3.0)
        return element

    def _classified(self) -> dict[str, str]:
        return {"classifiedObject": self._object_id}

    def _part(self) -> str:
        self._parts += 1
        return f"{self._object_id.removeprefix('urn:uuid:')}_{self._parts:02}"


def _add(parent: etree._Element, tag: str, **attributes: str) -> etree._Element:
    """A rim element with the attributes that say something."""
    element = etree.SubElement(parent, f"{{{RIM}}}{tag}")
    for key, value in attributes.items():
        if value:
            element.set(key, value)
    return element


def _slot(parent: etree._Element, name: str, *values: str) -> None:
    """A slot with the values that say something; none at all when none does."""
    told = [value for value in values if value]
    if told:
        values_list = _add(_add(parent, "Slot", name=name), "ValueList")
        for value in told:
            _add(values_list, "Value").text = value


def _localized(parent: etree._Element, name: str, value: str) -> None:
    element = _add(_add(parent, name), "LocalizedString", charset="UTF-8", value=value)
    element.set(_XML_LANG, "fr-FR")
