"""Whose document is this CDA, what is it, who wrote it, what does it replace?

Reads the header of a CDA R2 (HL7 POCD_HD000040 as CI-SIS constrains it) and the files embedded in its
body. Identifiers are kept as sent: the ANS samples carry wrong INS keys and unknown authorities, and it
is the bridge that judges them. Never reads the coded entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from mss.formats.cdatree import (
    CdaId,
    attribute,
    broken,
    child,
    children,
    coded,
    ids,
    instance_id,
    moment,
    parse_document,
    text,
)
from mss.formats.hl7values import clean, format_ce, parse_date
from mss.model.document import Author, Coded
from mss.model.errors import BadValue
from mss.model.ids import Ins, InsOid
from mss.model.people import IdentityTraits, Sex

if TYPE_CHECKING:  # whoever wants only the values does not load the library
    from lxml import etree

_NO_CODE = Coded("")
_NOBODY = Author()
_INS_OIDS = frozenset(InsOid)


@dataclass(frozen=True, slots=True)
class CdaPatient:
    """The recordTarget as sent. What is not said is empty or None."""

    ids: tuple[CdaId, ...]
    birth_name: str = ""
    given_names: tuple[str, ...] = ()
    """All birth first names in order; the first may hold a blank."""
    first_given_name: str = ""
    """Premier prénom de naissance as marked (qualifier BR), or the first of the list."""
    used_name: str = ""
    used_given_name: str = ""
    birth_date: date | None = None
    sex: Sex | None = None
    birth_place: str = ""
    """INSEE code."""

    @property
    def ins_ids(self) -> tuple[CdaId, ...]:
        """The identifiers that claim to be an INS, whatever their key."""
        return tuple(identifier for identifier in self.ids if identifier.root in _INS_OIDS)

    def ins(self) -> tuple[Ins, ...]:
        """The INS that are well formed (a real one with a wrong key is not), each once."""
        found: dict[Ins, None] = {}
        for identifier in self.ins_ids:
            try:
                found[Ins.parse(identifier.extension, identifier.root)] = None
            except BadValue:
                continue
        return tuple(found)

    @property
    def traits(self) -> IdentityTraits | None:
        """The identity traits, or None when one of name, first name, birth date, sex is missing."""
        if not (self.birth_name and self.given_names and self.birth_date and self.sex):
            return None
        return IdentityTraits(self.birth_name, self.given_names, self.birth_date, self.sex, self.birth_place)


@dataclass(frozen=True, slots=True)
class RelatedDocument:
    """A parent document: RPLC replaces it, APND adds to it, XFRM transforms it."""

    kind: str
    ids: tuple[CdaId, ...]
    set_id: CdaId | None = None
    version: str = ""


@dataclass(frozen=True, slots=True)
class ServiceEvent:
    """An act that the document documents."""

    code: Coded
    start: datetime | None = None
    stop: datetime | None = None


@dataclass(frozen=True, slots=True)
class CdaHeader:
    """The header of one clinical document."""

    id: CdaId
    code: Coded
    title: str
    patient: CdaPatient
    set_id: CdaId | None = None
    version: str = ""
    effective_time: datetime | None = None
    confidentiality: tuple[Coded, ...] = ()
    language: str = ""
    authors: tuple[Author, ...] = ()
    custodian: Author = _NOBODY
    legal_authenticator: Author = _NOBODY
    related: tuple[RelatedDocument, ...] = ()
    events: tuple[ServiceEvent, ...] = ()
    facility: Coded = _NO_CODE
    practice: Coded = _NO_CODE
    templates: tuple[str, ...] = ()
    body_media_type: str = ""
    """Level 1: the media type of the body file; empty for a structured body."""

    @property
    def adds_to(self) -> tuple[str, str]:
        """The document (uniqueId) to which this one is an addendum, or of which it is another form, and which of both
        (APND, XFRM); empty when none."""
        related = [(one.unique_id, up.kind) for up in self.related if up.kind in ("APND", "XFRM") for one in up.ids]
        return next(iter(related), ("", ""))

    @property
    def replaces(self) -> tuple[CdaId, ...]:
        """The documents that this one replaces."""
        return tuple(identifier for parent in self.related if parent.kind == "RPLC" for identifier in parent.ids)

    @property
    def service_start(self) -> datetime | None:
        """Start of the first act that tells one."""
        return next((event.start for event in self.events if event.start), None)

    @property
    def service_stop(self) -> datetime | None:
        """End of the same act as `service_start`."""
        return next((event.stop for event in self.events if event.start), None)


def read_header(data: bytes) -> CdaHeader:
    """Read the header. Raises Malformed(CDA_BROKEN)."""
    return header_of(parse_document(data))


def header_of(root: etree._Element) -> CdaHeader:
    """The header of a document already parsed. Raises Malformed(CDA_BROKEN)."""
    identifier = instance_id(child(root, "id"))
    if identifier is None:
        raise broken("no document id")
    targets = children(root, "recordTarget/patientRole")
    if len(targets) != 1:  # CI-SIS: exactly one; a document about two people belongs to nobody
        raise broken("not exactly one recordTarget")
    body = child(root, "component/nonXMLBody/text")
    return CdaHeader(
        id=identifier,
        code=coded(child(root, "code")),
        title=text(child(root, "title")),
        patient=_patient(targets[0]),
        set_id=instance_id(child(root, "setId")),
        version=attribute(child(root, "versionNumber"), "value"),
        effective_time=moment(child(root, "effectiveTime")),
        confidentiality=tuple(coded(element) for element in children(root, "confidentialityCode")),
        language=attribute(child(root, "languageCode"), "code"),
        authors=tuple(_author(element) for element in children(root, "author/assignedAuthor")),
        custodian=_custodian(child(root, "custodian/assignedCustodian/representedCustodianOrganization")),
        legal_authenticator=_author(child(root, "legalAuthenticator/assignedEntity")),
        related=tuple(_related(element) for element in children(root, "relatedDocument")),
        events=tuple(_event(element) for element in children(root, "documentationOf/serviceEvent")),
        facility=coded(child(root, "componentOf/encompassingEncounter/location/healthCareFacility/code")),
        practice=coded(child(root, _PRACTICE)),
        templates=tuple(attribute(element, "root") for element in children(root, "templateId")),
        body_media_type=attribute(body, "mediaType") or "text/plain" if body is not None else "",
    )


_PRACTICE = "documentationOf/serviceEvent/performer/assignedEntity/representedOrganization/standardIndustryClassCode"


def _patient(role: etree._Element) -> CdaPatient:
    patient = child(role, "patient")
    names = children(patient, "name")
    # The legal name is the one with a birth name; a document may add a usual name in a second element.
    name = next((one for one in names if _qualified(one, "family", "BR")), names[0] if names else None)
    first = _qualified(name, "given", "BR")
    listed = _qualified(name, "given", "")
    return CdaPatient(
        ids=ids(role),
        birth_name=_qualified(name, "family", "BR") or _qualified(name, "family", ""),
        given_names=given_names(first, listed),
        first_given_name=first or next(iter(listed.split()), ""),
        used_name=_qualified(name, "family", "CL") or _qualified(name, "family", "SP"),
        used_given_name=_qualified(name, "given", "CL"),
        birth_date=parse_date(attribute(child(patient, "birthTime"), "value")),
        sex=_sex(attribute(child(patient, "administrativeGenderCode"), "code")),
        birth_place=text(child(patient, "birthplace/place/addr/county")),
    )


def given_names(first: str, listed: str) -> tuple[str, ...]:
    """All birth first names: the marked first one, which may hold blanks, then the rest of the list."""
    words, firsts = listed.split(), first.split()
    if not firsts:
        return tuple(words)
    if [word.casefold() for word in words[: len(firsts)]] == [word.casefold() for word in firsts]:
        return (first, *words[len(firsts) :])
    return (first, *(word for word in words if word.casefold() != first.casefold()))


def _qualified(name: etree._Element | None, part: str, qualifier: str) -> str:
    """The name parts with this qualifier (a list of words), or those with none."""
    wanted = [
        text(element)
        for element in children(name, part)
        if (qualifier in element.get("qualifier", "").split() if qualifier else not element.get("qualifier"))
    ]
    return clean(" ".join(wanted))


def _sex(code: str) -> Sex | None:
    """HL7 AdministrativeGender: M, F, and U or UN for unknown."""
    return {"F": Sex.FEMALE, "M": Sex.MALE, "U": Sex.UNKNOWN, "UN": Sex.UNKNOWN}.get(code.upper())


def _author(element: etree._Element | None) -> Author:
    """A person or a device, and the organisation for which it acts."""
    if element is None:
        return _NOBODY
    organisation = child(element, "representedOrganization")
    person = child(element, "assignedPerson/name")
    device = child(element, "assignedAuthoringDevice/softwareName")
    function = child(element, "../functionCode")
    identifier, structure = instance_id(child(element, "id")), instance_id(child(organisation, "id"))
    return Author(
        person_id=identifier.extension if identifier else "",
        person_name=_person_name(person) if person is not None else text(device),
        institution_id=structure.extension if structure else "",
        institution_name=text(child(organisation, "name")),
        role=attribute(function, "displayName"),
        specialty=format_ce(coded(child(element, "code"))),
    )


def _person_name(name: etree._Element) -> str:
    """ "Marcel CAMPARINI": given names, then family name; titles are left to the directory."""
    parts = [text(part) for kind in ("given", "family") for part in children(name, kind)]
    return clean(" ".join(parts)) or text(name)


def _custodian(element: etree._Element | None) -> Author:
    identifier = instance_id(child(element, "id"))
    return Author(
        institution_id=identifier.extension if identifier else "", institution_name=text(child(element, "name"))
    )


def _related(element: etree._Element) -> RelatedDocument:
    parent = child(element, "parentDocument")
    return RelatedDocument(
        kind=attribute(element, "typeCode"),
        ids=ids(parent),
        set_id=instance_id(child(parent, "setId")),
        version=attribute(child(parent, "versionNumber"), "value"),
    )


def _event(element: etree._Element) -> ServiceEvent:
    time = child(element, "effectiveTime")
    return ServiceEvent(
        code=coded(child(element, "code")),
        start=moment(child(time, "low")) or moment(time),
        stop=moment(child(time, "high")),
    )
