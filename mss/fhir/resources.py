"""How does a person, a role or a structure look in FHIR R4, in the shape of the national directory?

Pure: entries in, plain dictionaries out. Nothing is written that the sources did not say: no element is empty or null,
and what is on the red list never got here (docs/decisions/0007-directory.md).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from mss.directory.wholes import Entry, Unit, carrier, person_id
from mss.fhir import systems
from mss.fhir.outcome import Resource
from mss.model.directory import Found, Job, Listing, Place
from mss.model.ids import ProfessionalId


def resource_of(entry: Entry) -> Resource:
    """The whole resource."""
    made = {Unit.PRACTITIONER: practitioner, Unit.ROLE: role, Unit.ORGANIZATION: organization}[entry.unit](entry)
    sources = sorted({one.verified.source for one in entry.listings}, reverse=True)
    meta: Resource = {"versionId": version_of(made), "lastUpdated": instant(entry.changed)}
    meta |= {"source": systems.SOURCES[sources[0]]} if sources else {}
    meta |= {"profile": [systems.PROFILES[entry.unit]]}
    return {"resourceType": str(entry.unit), "id": entry.id, "meta": meta, "language": "fr", "active": True, **made}


def version_of(content: Resource) -> str:
    """Equal for equal content: the ETag of a read."""
    text = json.dumps(content, ensure_ascii=False, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def practitioner(entry: Entry) -> Resource:
    """A person. Her mailboxes here are those without a structure, and those of a practice (CAB)."""
    first = entry.listings[0].listing
    made: Resource = {"identifier": person_identifiers(first.idnps)} if first.idnps else {}
    made["name"] = [human_name(first)]
    made |= _telecom(Unit.PRACTITIONER, entry.listings)
    loose = [one.listing.place for one in entry.listings if carrier(one.listing) is Unit.PRACTITIONER]
    addresses = list({json.dumps(at): at for at in (address(place) for place in loose) if at}.values())
    made |= {"address": addresses} if addresses else {}
    jobs = [job for one in entry.listings for job in _jobs(one.listing)]
    qualifications = list(dict.fromkeys(jobs))
    if qualifications:
        made["qualification"] = [{"code": concept(system, job)} for system, job in qualifications]
    return made


def role(entry: Entry) -> Resource:
    """One job of a person at one structure."""
    first = entry.listings[0]
    listing = first.listing
    made: Resource = {"extension": [{"url": systems.ROLE_NAME, "valueHumanName": role_name(listing)}]}
    reference: Resource = {"reference": f"Practitioner/{person_id(first)}", "display": listing.title}
    if listing.idnps:
        reference["identifier"] = {"system": systems.IDNPS, "value": listing.idnps}
    made["practitioner"] = reference
    where: Resource = {"display": listing.structure} if listing.structure else {}
    if listing.idnst:
        where["reference"] = f"Organization/{listing.idnst}"
        where["identifier"] = {"system": systems.IDNST, "value": listing.idnst}
    made["organization"] = where
    made |= {"code": [concept(systems.PROFESSION, listing.profession)]} if listing.profession else {}
    made |= {"specialty": [concept(systems.SPECIALTY, listing.specialty)]} if listing.specialty else {}
    return made | _telecom(Unit.ROLE, entry.listings)


def organization(entry: Entry) -> Resource:
    """A structure with the mailboxes of its teams and software."""
    made: Resource = {}
    listing = entry.listings[0].listing if entry.listings else None
    idnst = entry.structure.idnst if entry.structure else listing.idnst if listing else ""
    name = entry.structure.name if entry.structure else listing.structure if listing else ""
    sector = entry.structure.sector if entry.structure else listing.sector if listing else ""
    place = entry.structure.place if entry.structure else listing.place if listing else Place()
    made |= {"identifier": structure_identifiers(idnst)} if idnst else {}
    made |= {"type": [{"text": sector}]} if sector else {}
    made["name"] = name or (listing.title if listing else "") or entry.id
    made |= _telecom(Unit.ORGANIZATION, entry.listings)
    at = address(place)
    return made | ({"address": [at]} if at else {})


# ── parts ──


def person_identifiers(idnps: str) -> list[Resource]:
    """IDNPS, and the register's own number where it is one."""
    found = [_identifier(systems.IDNPS, idnps, "IDNPS")]
    if rpps := ProfessionalId(idnps).rpps:
        found.append(_identifier(systems.RPPS, rpps, "RPPS"))
    elif idnps.startswith("0"):
        found.append(_identifier(systems.ADELI, idnps[1:], "ADELI"))
    return found


def structure_identifiers(idnst: str) -> list[Resource]:
    found = [_identifier(systems.IDNST, idnst, "IDNST")]
    if idnst.startswith("1"):
        found.append(_identifier(systems.FINESS, idnst[1:], "FINEG"))
    elif idnst.startswith("3"):
        found.append(_identifier(systems.SIRENE, idnst[1:], "SIRET"))
    return found


def _identifier(system: str, value: str, kind: str) -> Resource:
    coding = {"system": systems.IDENTIFIER_TYPE, "code": kind}
    return {"use": "official", "type": {"coding": [coding]}, "system": system, "value": value}


def human_name(listing: Listing) -> Resource:
    made: Resource = {"use": "official", "text": listing.title, "family": listing.family}
    made |= {"given": [listing.given]} if listing.given else {}
    return made | ({"prefix": [listing.civility]} if listing.civility else {})


def role_name(listing: Listing) -> Resource:
    """The guide puts the civility of work behind the name."""
    made: Resource = {"family": listing.family} | ({"given": [listing.given]} if listing.given else {})
    return made | ({"suffix": [listing.civility]} if listing.civility else {})


def concept(system: str, job: Job) -> Resource:
    """A code where the source says one; the words for people always."""
    made: Resource = {"coding": [{"system": system, "code": job.code, "display": job.label}]} if job.code else {}
    return made | {"text": job.label}


def _jobs(listing: Listing) -> Iterable[tuple[str, Job]]:
    for system, job in ((systems.PROFESSION, listing.profession), (systems.SPECIALTY, listing.specialty)):
        if job is not None:
            yield system, job


def address(place: Place) -> Resource:
    made: Resource = {"line": list(place.lines)} if place.lines else {}
    made |= {"city": place.city} if place.city else {}
    made |= {"district": place.department} if place.department else {}
    return made | ({"postalCode": place.postal_code} if place.postal_code else {})


def _telecom(unit: Unit, found: tuple[Found, ...]) -> Resource:
    """Each address once, the preferred one first."""
    mine = [one.listing for one in found if one.listing.address and carrier(one.listing) is unit]
    by_address = {one.address: one for one in sorted(mine, key=lambda one: (one.rank or 99, one.address))}
    return {"telecom": [mailbox(one) for one in by_address.values()]} if by_address else {}


def mailbox(listing: Listing) -> Resource:
    """A contact point with the guide's two extensions. `responsible` is not for everybody (ANS "BAL MSSanté")."""
    kind = {"system": systems.MAILBOX_KIND, "code": str(listing.kind)}
    said: list[Resource] = [{"url": "type", "valueCodeableConcept": {"coding": [kind]}}]
    for name, text in (("description", listing.description), ("service", listing.service)):
        said += [{"url": name, "valueString": text}] if text else []
    said.append({"url": "listeRouge", "valueBoolean": False})
    if listing.paperless is not None:  # not in the newest guide, still in use
        said.append({"url": "digitization", "valueBoolean": listing.paperless})
    made: Resource = {
        "extension": [
            {"url": systems.EMAIL_TYPE, "valueCoding": {"system": systems.MESSAGING, "code": "MSSANTE"}},
            {"url": systems.MAILBOX, "extension": said},
        ],
        "system": "email",
        "value": listing.address,
        "use": "work",
    }
    return made | ({"rank": listing.rank} if listing.rank else {})


def instant(moment: datetime) -> str:
    """FHIR's instant, to the millisecond."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# ── a part of a resource ──


def only(resource: Resource, elements: tuple[str, ...]) -> Resource:
    """The elements that were asked for, marked as a part (FHIR R4 §3.1.1.5.8)."""
    kept: dict[str, Any] = {name: resource[name] for name in ("resourceType", "id", "meta")}
    kept["meta"] = {**resource["meta"], "tag": [systems.SUBSETTED]}
    return kept | {name: resource[name] for name in resource if name in elements}


ELEMENTS = {
    Unit.PRACTITIONER: ("identifier", "name", "telecom", "address", "qualification", "active", "language"),
    Unit.ROLE: (*("practitioner", "organization", "code", "specialty", "telecom", "extension", "active", "language"),),
    Unit.ORGANIZATION: ("identifier", "type", "name", "telecom", "address", "active", "language"),
}
"""What may be asked for alone; id and meta always come."""
