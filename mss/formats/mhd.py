"""How does a document travel to a FHIR server? ITI-65 Provide Document Bundle (IHE MHD 4.2, ANS PDSM), and its answers.

A transaction of List (the submission set), DocumentReference and Binary, the patient and the author contained; a
replacement also ends the version before, as ANS does (TD2.1). Identifiers follow from the document alone: what is sent
again is the same, and creation is conditional on them. Answers are read for codes only: `diagnostics` and
`details.text` may quote the patient.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from mss.model.document import Coded, DocumentEntry, Visibility
from mss.model.errors import BadValue
from mss.model.ids import Ins
from mss.model.people import IdentityTraits, Sex

MEDIA_TYPE = "application/fhir+json"
ANSWER_BYTES_MAX = 1024 * 1024
"""A transaction's answer names what was made; nobody may fill our memory with one."""
ISSUES_READ_MAX = 20
_PDSM = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-"
_MHD = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-"
_LIST_TYPES = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes"
_URI_SYSTEM = "urn:ietf:rfc:3986"
_NAMES = uuid.UUID("0b6c4f3e-6a4e-4d35-9f5e-2f6f1a1e7c01")
"""Of our own making: the space in which identifiers of parts follow from a document's."""
_GENDERS = {Sex.FEMALE: "female", Sex.MALE: "male", Sex.UNKNOWN: "unknown"}
_SYSTEMS = {
    "2.16.840.1.113883.6.1": "http://loinc.org",
    "2.16.840.1.113883.6.96": "http://snomed.info/sct",
    "2.16.840.1.113883.5.25": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
}
RELATIONS = {"APND": "appends", "XFRM": "transforms", "signs": "signs"}
"""XDS association → FHIR R4 DocumentRelationshipType (IHE MHD 4.2 §4.5, ITI TF-3 table 4.2.2-1)."""
_VISIBILITY = "urn:oid:1.2.250.1.213.1.1.4.13"
_OID = re.compile(r"[0-2](\.\d{1,40}){1,40}\Z", re.ASCII)
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,40}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Provided:
    """What one bundle provides. `replaces_id`: the logical id that the server gave to the version before."""

    entry: DocumentEntry
    content: bytes
    ins: Ins
    traits: IdentityTraits
    visibility: frozenset[str]
    at: datetime
    source_id: str
    """OID of ours (XDS sourceId)."""
    replaces_id: str = ""
    adds_to: tuple[str, str] = ("", "")
    """How it stands beside another document (`RELATIONS`), and the logical id that the server gave to that one."""
    known_id: str = ""
    """The logical id under which the server has this very document, as another patient's or as one in error: it is put
    in its place."""
    is_current: bool = True

    def __repr__(self) -> str:  # never in a log
        return "Provided"


def write_bundle(provided: Provided) -> bytes:
    """The transaction, JSON."""
    entry = provided.entry
    again = f" {provided.at.isoformat()}" if provided.known_id else ""  # a submission of its own
    listed, reference, binary = (_uuid(entry, part) for part in (f"list{again}", "reference", "binary"))
    contained = [one for one in (_patient(provided.ins, provided.traits), _author(entry)) if one]
    subject = f"Patient?identifier=urn:oid:{provided.ins.oid.value}|{provided.ins.value}"
    submission_id = _uri(f"urn:uuid:{_uuid(entry, f'submission{again}')}")
    submission = _submission(provided, contained, subject) | {
        "identifier": [{"use": "official", **submission_id}],
        "entry": [{"item": {"reference": f"urn:uuid:{reference}"}}],
    }
    document = _reference(provided, contained, subject, f"urn:uuid:{binary}")
    data = {
        "resourceType": "Binary",
        "contentType": entry.mime_type,
        "data": base64.b64encode(provided.content).decode(),
    }
    entries = [
        _post(listed, submission, "List", _query(submission_id)),
        _put(reference, document, provided.known_id)
        if provided.known_id
        else _post(reference, document, "DocumentReference", query_of(entry.unique_id)),
        *_ending(provided),
        _post(binary, data, "Binary"),
    ]
    profile = f"{_PDSM}comprehensive-provide-document-bundle"
    return _json({"resourceType": "Bundle", "meta": {"profile": [profile]}, "type": "transaction", "entry": entries})


def _submission(provided: Provided, contained: list[dict[str, Any]], subject: str) -> dict[str, Any]:
    """The submission set."""
    submission: dict[str, Any] = {
        "resourceType": "List",
        "meta": {"profile": [f"{_PDSM}submissionset-comprehensive"]},
        "contained": contained,
        "extension": [
            {"url": f"{_MHD}designationType", "valueCodeableConcept": _concept(provided.entry.class_)},
            {"url": f"{_MHD}sourceId", "valueIdentifier": _uri(f"urn:oid:{provided.source_id}")},
            {"url": f"{_MHD}sourcePatientId", "valueReference": {"reference": "#patient"}},
        ],
        "status": "current",
        "mode": "working",
        "code": {"coding": [{"system": _LIST_TYPES, "code": "submissionset"}]},
        "subject": {"reference": subject},
        "date": _instant(provided.at),
    }
    return submission | ({"source": {"reference": "#author"}} if len(contained) > 1 else {})


def _ending(provided: Provided) -> list[dict[str, Any]]:
    """The version before ends in the same transaction."""
    if not provided.replaces_id:
        return []
    url = f"DocumentReference/{provided.replaces_id}"
    number = _uuid(provided.entry, "superseded")
    request = {"method": "PATCH", "url": url}
    return [{"fullUrl": f"urn:uuid:{number}", "resource": _replace_status("superseded"), "request": request}]


def _reference(provided: Provided, contained: list[dict[str, Any]], subject: str, binary: str) -> dict[str, Any]:
    entry = provided.entry
    attachment = {
        "contentType": entry.mime_type,
        "language": entry.language,
        "url": binary,
        "size": len(provided.content),
        "hash": base64.b64encode(hashlib.sha1(provided.content, usedforsecurity=False).digest()).decode(),
        "title": entry.title,
    }
    if entry.creation_time:
        attachment["creation"] = _instant(entry.creation_time)
    content: dict[str, Any] = {"attachment": attachment}
    if entry.format.code:
        content["format"] = _coding(entry.format)
    resource: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "meta": {"profile": [f"{_PDSM}comprehensive-document-reference"]},
        "contained": contained,
        "masterIdentifier": identifier_of(entry.unique_id),
        "status": "current" if provided.is_current else "superseded",
        "type": _concept(entry.type),
        "category": [_concept(entry.class_)],
        "subject": {"reference": subject},
        "date": _instant(provided.at),
        "securityLabel": _labels(provided.visibility),
        "content": [content],
        "context": _context(entry),
    }
    if len(contained) > 1:
        resource["author"] = [{"reference": "#author"}]
        resource["authenticator"] = {"reference": "#author"}
    relations = [("replaces", provided.replaces_id), provided.adds_to]
    related = [{"code": code, "target": {"reference": f"DocumentReference/{one}"}} for code, one in relations if one]
    return resource | ({"relatesTo": related} if related else {})


def _context(entry: DocumentEntry) -> dict[str, Any]:
    context: dict[str, Any] = {"sourcePatientInfo": {"reference": "#patient"}}
    moments = {"start": entry.service_start, "end": entry.service_stop}
    period = {name: _instant(moment) for name, moment in moments.items() if moment is not None}
    if period:
        context["period"] = period
    if entry.facility.code:
        context["facilityType"] = _concept(entry.facility)
    if entry.practice.code:
        context["practiceSetting"] = _concept(entry.practice)
    return context


def withdraw() -> bytes:
    """A document that its author took back: nobody may rely on it (FHIR R4 DocumentReferenceStatus)."""
    return _json(_replace_status("entered-in-error"))


def announce() -> bytes:
    """The patient knows: the mark that hides it from her ends."""
    path = f"DocumentReference.securityLabel.where(coding.where(code='{Visibility.HIDDEN_FROM_PATIENT}').exists())"
    return _json(_patch({"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": path}))


def _replace_status(status: str) -> dict[str, Any]:
    return _patch(
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "DocumentReference.status"},
        {"name": "value", "valueCode": status},
    )


def _patch(*parts: dict[str, Any]) -> dict[str, Any]:
    """FHIRPath Patch (R4 §3.1.0.9.1), as ANS sends it."""
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": list(parts)}]}


def identifier_of(unique_id: str) -> dict[str, str]:
    """A uniqueId (`root^extension`) as masterIdentifier (IHE ITI TF-2 appendix E.3)."""
    root, _, extension = unique_id.partition("^")
    return {"system": f"urn:oid:{root}", "value": extension} if extension else _uri(f"urn:oid:{root}")


def query_of(unique_id: str) -> str:
    """The search that finds a document by its own identifier (`identifier` covers masterIdentifier)."""
    return _query(identifier_of(unique_id))


def _query(identifier: dict[str, str]) -> str:
    return urlencode({"identifier": f"{identifier['system']}|{identifier['value']}"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said: issue codes, and for a search the logical ids that it found."""

    issues: tuple[str, ...] = ()
    found: tuple[str, ...] = ()


def read_answer(octets: bytes) -> Answer:
    """Of any answer. Raises BadValue for what is no FHIR JSON, which tells no content."""
    if len(octets) > ANSWER_BYTES_MAX:
        raise BadValue("an answer that is too long")
    try:
        resource = json.loads(octets)
    except (ValueError, RecursionError) as problem:
        raise BadValue("an answer that is no JSON") from problem
    if not isinstance(resource, dict):
        raise BadValue("an answer that is no resource")
    match resource.get("resourceType"):
        case "OperationOutcome":
            return Answer(issues=tuple(_issues(resource)))
        case "Bundle":
            return Answer(found=tuple(_found(resource)))
        case str():
            return Answer()
    raise BadValue("an answer that is no resource")


def _issues(outcome: dict[str, Any]) -> Iterable[str]:
    issues = outcome.get("issue")
    for issue in issues[:ISSUES_READ_MAX] if isinstance(issues, list) else ():
        if isinstance(issue, dict) and issue.get("severity") in ("fatal", "error"):
            codes = [issue.get("code"), *_codes(issue.get("details"))]
            yield from (code for code in codes if isinstance(code, str) and _CODE.match(code))


def _codes(details: Any) -> list[Any]:
    coding = details.get("coding") if isinstance(details, dict) else None
    return [one.get("code") for one in coding if isinstance(one, dict)] if isinstance(coding, list) else []


def _found(bundle: dict[str, Any]) -> Iterable[str]:
    entries = bundle.get("entry")
    for entry in entries if isinstance(entries, list) else ():
        resource = entry.get("resource") if isinstance(entry, dict) else None
        number = resource.get("id") if isinstance(resource, dict) else None
        if isinstance(number, str) and re.fullmatch(r"[A-Za-z0-9.-]{1,64}", number, re.ASCII):
            yield number


def _patient(ins: Ins, traits: IdentityTraits) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": "patient",
        "identifier": [{"system": f"urn:oid:{ins.oid.value}", "value": ins.value}],
        "name": [{"use": "official", "family": traits.birth_name, "given": list(traits.given_names)}],
        "gender": _GENDERS[traits.sex],
        "birthDate": traits.birth_date.isoformat(),
    }


def _author(entry: DocumentEntry) -> dict[str, Any] | None:
    """The first author: a person, or the structure alone."""
    if not entry.authors:
        return None
    author = entry.authors[0]
    if author.person_id:
        named = {"name": [{"text": author.person_name}]} if author.person_name else {}
        identifier = {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": author.person_id}
        return {"resourceType": "Practitioner", "id": "author", "identifier": [identifier], **named}
    if author.institution_id or author.institution_name:
        identifier = {"system": "urn:oid:1.2.250.1.71.4.2.2", "value": author.institution_id}
        organisation: dict[str, Any] = {"resourceType": "Organization", "id": "author"}
        organisation |= {"identifier": [identifier]} if author.institution_id else {}
        return organisation | ({"name": author.institution_name} if author.institution_name else {})
    return None


def _labels(visibility: frozenset[str]) -> list[dict[str, Any]]:
    """The normal code, and one label for each mark."""
    normal = {"system": _SYSTEMS["2.16.840.1.113883.5.25"], "code": "N", "display": "normal"}
    marks = sorted(set(visibility) - {Visibility.NORMAL.value, ""})
    return [{"coding": [one]} for one in (normal, *({"system": _VISIBILITY, "code": mark} for mark in marks))]


def _concept(code: Coded) -> dict[str, Any]:
    return {"coding": [_coding(code)]}


def _coding(code: Coded) -> dict[str, str]:
    system = _SYSTEMS.get(code.system) or (f"urn:oid:{code.system}" if _OID.match(code.system) else "")
    told = {"system": system, "code": code.code, "display": code.label}
    return {name: value for name, value in told.items() if value}


def _uri(value: str) -> dict[str, str]:
    return {"system": _URI_SYSTEM, "value": value}


def _post(number: uuid.UUID, resource: dict[str, Any], kind: str, unless: str = "") -> dict[str, Any]:
    request = {"method": "POST", "url": kind, **({"ifNoneExist": unless} if unless else {})}
    return {"fullUrl": f"urn:uuid:{number}", "resource": resource, "request": request}


def _put(number: uuid.UUID, resource: dict[str, Any], known_id: str) -> dict[str, Any]:
    """In the place of what the server has (R4 §3.1.0.4)."""
    request = {"method": "PUT", "url": f"DocumentReference/{known_id}"}
    return {"fullUrl": f"urn:uuid:{number}", "resource": resource | {"id": known_id}, "request": request}


def _uuid(entry: DocumentEntry, part: str) -> uuid.UUID:
    return uuid.uuid5(_NAMES, f"{part} {entry.unique_id}")


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _json(resource: dict[str, Any]) -> bytes:
    return json.dumps(resource, ensure_ascii=False, separators=(",", ":")).encode()
