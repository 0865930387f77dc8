"""How is a clinical document in CDA R2 made?

Writes the document that `cda` reads, with the header of CI-SIS (templates 2.16.840.1.113883.2.8.2.1 and
1.2.250.1.213.1.1.1.1): level 3 with sections, tables and coded results, or level 1 around a PDF. Moments
and identifiers are arguments, so the same values always give the same bytes. Used by the demo, by
`mss send` and by tests; never a replacement for the software of a laboratory.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime

from lxml import etree

from mss.formats.cdafiles import COPY_SECTION
from mss.formats.cdatree import NAMESPACE, CdaId
from mss.formats.hl7values import OID_PERSON, OID_STRUCTURE, format_local_time
from mss.model.document import Author, Coded
from mss.model.ids import Ins
from mss.model.people import IdentityTraits, Sex

LOINC = "2.16.840.1.113883.6.1"
NORMAL = Coded("N", "2.16.840.1.113883.5.25", "Normal")
LABORATORY_REPORT = Coded("11502-2", LOINC, "CR d'examens biologiques")
LABORATORY = Coded("SA25", "1.2.250.1.71.4.2.4", "Laboratoire de biologie médicale")
AMBULATORY = Coded("AMBULATOIRE", "1.2.250.1.213.1.1.4.9", "Ambulatoire")
_TEMPLATES = ("2.16.840.1.113883.2.8.2.1", "1.2.250.1.213.1.1.1.1")
_GENDER = "2.16.840.1.113883.5.1"
_SEX = {Sex.FEMALE: "Féminin", Sex.MALE: "Masculin", Sex.UNKNOWN: "Inconnu"}
_XSI = "http://www.w3.org/2001/XMLSchema-instance"


@dataclass(frozen=True, slots=True)
class LabResult:
    """One line of a laboratory report."""

    name: str
    value: str
    unit: str = ""
    reference: str = ""
    loinc: str = ""
    is_abnormal: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """One section: paragraphs, then a table of results."""

    title: str
    code: Coded
    paragraphs: tuple[str, ...] = ()
    results: tuple[LabResult, ...] = ()


@dataclass(frozen=True, slots=True)
class CdaToWrite:
    """One document. `body_pdf` makes it level 1; `copy_pdf` is a reading copy inside a level 3."""

    id: CdaId
    title: str
    code: Coded
    moment: datetime
    patient: IdentityTraits
    ins: Ins | None
    author: Author
    set_id: CdaId | None = None
    version: int = 1
    used_name: str = ""
    local_id: CdaId | None = None
    sections: tuple[Section, ...] = ()
    body_pdf: bytes | None = None
    copy_pdf: bytes | None = None
    replaces: CdaId | None = None
    confidentiality: tuple[Coded, ...] = (NORMAL,)
    facility: Coded = LABORATORY
    practice: Coded = AMBULATORY


def write_cda(document: CdaToWrite) -> bytes:
    """The bytes of one CDA document, UTF-8."""
    # The stubs forget that None names the default namespace.
    namespaces = {None: NAMESPACE, "xsi": _XSI}
    root = etree.Element(f"{{{NAMESPACE}}}ClinicalDocument", nsmap=namespaces)  # type: ignore[arg-type]
    _write_identity(root, document)
    _write_patient(root, document)
    _write_people(root, document)
    if document.replaces is not None:
        related = _add(root, "relatedDocument", typeCode="RPLC")
        _id(_add(related, "parentDocument"), document.replaces)
    _write_encounter(root, document)
    if document.body_pdf is not None:
        _write_file(_add(_add(root, "component"), "nonXMLBody"), "text", document.body_pdf)
    else:
        body = _add(_add(root, "component"), "structuredBody")
        for number, section in enumerate(document.sections, 1):
            _write_section(body, section, number)
        if document.copy_pdf is not None:
            _write_copy(body, document.copy_pdf)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True)


def _write_identity(root: etree._Element, document: CdaToWrite) -> None:
    _add(root, "realmCode", code="FR")
    _add(root, "typeId", root="2.16.840.1.113883.1.3", extension="POCD_HD000040")
    for template in _TEMPLATES:
        _add(root, "templateId", root=template)
    _id(root, document.id)
    _coded(root, "code", document.code)
    _add(root, "title").text = document.title
    _time(root, "effectiveTime", document.moment)
    for code in document.confidentiality:
        _coded(root, "confidentialityCode", code)
    _add(root, "languageCode", code="fr-FR")
    _id(root, document.set_id or document.id, "setId")
    _add(root, "versionNumber", value=str(document.version))


def _write_patient(root: etree._Element, document: CdaToWrite) -> None:
    traits = document.patient
    role = _add(_add(root, "recordTarget"), "patientRole")
    if document.ins is not None:
        _id(role, CdaId(document.ins.oid.value, document.ins.value))
    if document.local_id is not None:
        _id(role, document.local_id)
    _add(role, "addr", nullFlavor="NASK")
    _add(role, "telecom", nullFlavor="NASK")
    patient = _add(role, "patient")
    name = _add(patient, "name")
    _add(name, "family", qualifier="BR").text = traits.birth_name
    _add(name, "given").text = " ".join(traits.given_names)
    _add(name, "given", qualifier="BR").text = traits.first_given_name
    if document.used_name:
        _add(name, "family", qualifier="CL").text = document.used_name
        _add(name, "given", qualifier="CL").text = traits.first_given_name
    _coded(patient, "administrativeGenderCode", Coded(traits.sex.value, _GENDER, _SEX[traits.sex]))
    _add(patient, "birthTime", value=f"{traits.birth_date:%Y%m%d}")
    if traits.birth_place:
        address = _add(_add(_add(patient, "birthplace"), "place"), "addr")
        _add(address, "county").text = traits.birth_place


def _write_people(root: etree._Element, document: CdaToWrite) -> None:
    author = _add(root, "author")
    _time(author, "time", document.moment)
    _write_professional(_add(author, "assignedAuthor"), document.author)
    custodian = _add(_add(root, "custodian"), "assignedCustodian")
    _write_organisation(custodian, "representedCustodianOrganization", document.author)
    signer = _add(root, "legalAuthenticator")
    _time(signer, "time", document.moment)
    _add(signer, "signatureCode", code="S")
    _write_professional(_add(signer, "assignedEntity"), document.author)
    event = _add(_add(root, "documentationOf"), "serviceEvent")
    _time(_add(event, "effectiveTime"), "low", document.moment)
    performer = _add(_add(event, "performer", typeCode="PRF"), "assignedEntity")
    _write_professional(performer, document.author, practice=document.practice)


def _write_professional(element: etree._Element, author: Author, practice: Coded | None = None) -> None:
    _id(element, CdaId(OID_PERSON, author.person_id))
    code, _, rest = author.specialty.partition("^")
    label, _, system = rest.partition("^")
    if system:
        _coded(element, "code", Coded(code, system, label))
    _add(element, "addr", nullFlavor="NASK")
    _add(element, "telecom", nullFlavor="NASK")
    name = _add(_add(element, "assignedPerson"), "name")
    given, _, family = author.person_name.rpartition(" ")
    if given:
        _add(name, "given").text = given
    _add(name, "family").text = family
    organisation = _write_organisation(element, "representedOrganization", author)
    if practice is not None:
        _coded(organisation, "standardIndustryClassCode", practice)


def _write_organisation(parent: etree._Element, tag: str, author: Author) -> etree._Element:
    organisation = _add(parent, tag)
    _id(organisation, CdaId(OID_STRUCTURE, author.institution_id))
    _add(organisation, "name").text = author.institution_name
    return organisation


def _write_encounter(root: etree._Element, document: CdaToWrite) -> None:
    encounter = _add(_add(root, "componentOf"), "encompassingEncounter")
    _time(_add(encounter, "effectiveTime"), "low", document.moment)
    _coded(_add(_add(encounter, "location"), "healthCareFacility"), "code", document.facility)


def _write_section(body: etree._Element, section: Section, number: int) -> None:
    element = _add(_add(body, "component"), "section")
    _coded(element, "code", section.code)
    _add(element, "title").text = section.title
    text = _add(element, "text")
    for paragraph in section.paragraphs:
        _add(text, "paragraph").text = paragraph
    if section.results:
        _write_table(text, section.results, number)
        organizer = _add(_add(element, "entry"), "organizer", classCode="BATTERY", moodCode="EVN")
        _coded(organizer, "code", section.code)
        _add(organizer, "statusCode", code="completed")
        for line, result in enumerate(section.results, 1):
            _write_observation(organizer, result, f"s{number}-{line}")


def _write_table(text: etree._Element, results: tuple[LabResult, ...], number: int) -> None:
    table = _add(text, "table", border="0")
    head = _add(_add(table, "thead"), "tr")
    for title in ("Examen", "Résultat", "Unité", "Valeurs de référence"):
        _add(head, "th").text = title
    rows = _add(table, "tbody")
    for line, result in enumerate(results, 1):
        row = _add(rows, "tr")
        _add(_add(row, "td"), "content", ID=f"s{number}-{line}").text = result.name
        style = {"styleCode": "Bold xAbnormal"} if result.is_abnormal else {}
        _add(row, "td", **style).text = result.value
        _add(row, "td").text = result.unit
        _add(row, "td").text = result.reference


def _write_observation(organizer: etree._Element, result: LabResult, reference: str) -> None:
    observation = _add(_add(organizer, "component"), "observation", classCode="OBS", moodCode="EVN")
    code = _coded(observation, "code", Coded(result.loinc, LOINC, result.name))
    _add(_add(code, "originalText"), "reference", value=f"#{reference}")
    _add(observation, "statusCode", code="completed")
    is_number = result.value.replace(".", "", 1).isdigit()
    value = _add(observation, "value")
    value.set(f"{{{_XSI}}}type", "PQ" if is_number else "ST")
    if is_number:
        value.set("value", result.value)
        value.set("unit", result.unit or "1")
    else:
        value.text = result.value
    _add(
        observation, "interpretationCode", code="A" if result.is_abnormal else "N", codeSystem="2.16.840.1.113883.5.83"
    )


def _write_copy(body: etree._Element, pdf: bytes) -> None:
    """The section "Copie du document" of CI-SIS."""
    section = _add(_add(body, "component"), "section")
    _coded(section, "code", Coded(COPY_SECTION, LOINC, "Copie du document"))
    _add(section, "title").text = "Copie du document"
    _add(_add(section, "text"), "renderMultiMedia", referencedObject="copie")
    organizer = _add(_add(section, "entry"), "organizer", classCode="CLUSTER", moodCode="EVN")
    _add(organizer, "statusCode", code="completed")
    media = _add(_add(organizer, "component"), "observationMedia", classCode="OBS", moodCode="EVN", ID="copie")
    _write_file(media, "value", pdf)


def _write_file(parent: etree._Element, tag: str, pdf: bytes) -> None:
    _add(parent, tag, mediaType="application/pdf", representation="B64").text = base64.b64encode(pdf).decode()


def _add(parent: etree._Element, tag: str, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{NAMESPACE}}}{tag}", attributes)


def _id(parent: etree._Element, identifier: CdaId, tag: str = "id") -> None:
    element = _add(parent, tag, root=identifier.root)
    if identifier.extension:
        element.set("extension", identifier.extension)


def _coded(parent: etree._Element, tag: str, code: Coded) -> etree._Element:
    told = {"code": code.code, "displayName": code.label, "codeSystem": code.system}
    return _add(parent, tag, **{name: value for name, value in told.items() if value})


def _time(parent: etree._Element, tag: str, moment: datetime) -> None:
    _add(parent, tag, value=format_local_time(moment))
