"""What does one FHIR resource of the national directory say?

Pure: a resource in, what it says out, or a named refusal. Practitioner, PractitionerRole and Organization as the guide
"FHIR Annuaire" (ANS) shapes them, and the older shape of the national samples. Private addresses and telephones are not
read, a mailbox on the red list is dropped here, and whoever is not active is not listed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from mss.directory.correspondence import department_of
from mss.model.directory import Job, Place, clean
from mss.model.errors import BadValue
from mss.model.ids import MailAddress, ProfessionalId, StructureId
from mss.model.mailbox import MailboxKind

IDNPS_SYSTEM, IDNST_SYSTEM = "urn:oid:1.2.250.1.71.4.2.1", "urn:oid:1.2.250.1.71.4.2.2"
MAILBOX_EXTENSION = "as-ext-mailbox-mss-metadata"
_NAME_EXTENSIONS = ("as-ext-practitionerrole-name", "practitionerRole-name")
_PROFESSION_SYSTEMS = ("TRE-G15-ProfessionSante", "urn:oid:1.2.250.1.71.1.2.7")
_SPECIALTY_SYSTEMS = ("TRE-R38-SpecialiteOrdinale", "urn:oid:1.2.250.1.213.2.28")
_KINDS = {kind.value: kind for kind in MailboxKind if kind is not MailboxKind.PATIENT}
KEY_CHARS_MAX = 300
LISTED_MAX = 2_000
"""Elements of any list of a resource; a large hospital has some hundred mailboxes."""


@dataclass(slots=True)
class Mailbox:
    """A mailbox as a resource carries it."""

    address: str
    kind: str
    description: str = ""
    service: str = ""
    responsible: str = ""
    paperless: bool | None = None
    rank: int = 0


@dataclass(slots=True)
class Said:
    """What a resource says. `keys`: under which others refer to it."""

    sort: str
    keys: list[str] = field(default_factory=list)
    number: str = ""
    """IDNPS or IDNST."""
    family: str = ""
    given: str = ""
    civility: str = ""
    name: str = ""
    sector: str = ""
    place: list[Any] = field(default_factory=list)
    profession: list[str] = field(default_factory=list)
    specialty: list[str] = field(default_factory=list)
    person: str = ""
    structure: str = ""
    mailboxes: list[Mailbox] = field(default_factory=list)
    unlisted: int = 0
    """Mailboxes on the red list, which were dropped."""

    def fields(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Said:
        return cls(**{**fields, "mailboxes": [Mailbox(**one) for one in fields["mailboxes"]]})


SORTS = {"Practitioner": "person", "PractitionerRole": "role", "Organization": "structure"}


def said_by(resource: Any, full_url: str = "") -> Said | None:
    """Read a resource; None when it is not active. Raises BadValue with what is wrong, naming nobody."""
    sort = SORTS.get(_word(resource, "resourceType"))
    if sort is None:
        raise BadValue("not a Practitioner, PractitionerRole or Organization")
    if resource.get("active") is False:
        return None
    said = Said(sort)
    if name := _word(resource, "id"):
        said.keys.append(f"i:{resource['resourceType']}/{name}")
    if full_url.startswith("urn:"):
        said.keys.append(f"u:{full_url}")
    {"person": _person, "role": _role, "structure": _structure}[sort](said, resource)
    _mailboxes(said, resource)
    for key in (*said.keys, said.person, said.structure):
        if len(key) > KEY_CHARS_MAX or not key.isprintable():
            raise BadValue("an id or a reference of no known shape")
    return said


def _person(said: Said, resource: dict[str, Any]) -> None:
    said.number = ProfessionalId(_identifier(resource, IDNPS_SYSTEM)).value
    said.keys.append(f"n:Practitioner/{said.number}")
    names = _objects(resource, "name")
    name = next((one for one in names if _word(one, "family")), None)
    if name is None:
        raise BadValue("a professional without a family name")
    _name(said, name)
    for qualification in _objects(resource, "qualification"):
        _jobs(said, _objects({"one": [qualification.get("code")]}, "one"))


def _role(said: Said, resource: dict[str, Any]) -> None:
    said.person = _reference(resource.get("practitioner"), "Practitioner", IDNPS_SYSTEM)
    if not said.person:
        raise BadValue("a role without its practitioner")
    said.structure = _reference(resource.get("organization"), "Organization", IDNST_SYSTEM)
    for extension in _objects(resource, "extension"):
        if _word(extension, "url").endswith(_NAME_EXTENSIONS) and isinstance(extension.get("valueHumanName"), dict):
            _name(said, extension["valueHumanName"])
    _jobs(said, [*_objects(resource, "code"), *_objects(resource, "specialty")])


def _structure(said: Said, resource: dict[str, Any]) -> None:
    said.number = StructureId(_identifier(resource, IDNST_SYSTEM)).value
    said.keys.append(f"n:Organization/{said.number}")
    said.name = _text(resource, "name")
    types = [_word(one, "text") or _display(one) for one in _objects(resource, "type")]
    said.sector = clean(next((one for one in types if one), ""))
    for address in _objects(resource, "address")[:1]:
        lines = tuple(clean(line) for line in _words(address, "line") if line.strip())
        code = clean(_word(address, "postalCode"))
        said.place = [lines, code, _text(address, "city"), department_of(code)]


def _name(said: Said, name: dict[str, Any]) -> None:
    said.family = _text(name, "family") or said.family
    said.given = clean(" ".join(_words(name, "given"))) or said.given
    said.civility = clean(next(iter((*_words(name, "suffix"), *_words(name, "prefix"))), "")) or said.civility


def _jobs(said: Said, concepts: list[dict[str, Any]]) -> None:
    for concept in concepts:
        for coding in _objects(concept, "coding"):
            system, code = _word(coding, "system"), _word(coding, "code")
            label = clean(_word(coding, "display") or _word(concept, "text") or code)
            if code and system.endswith(_PROFESSION_SYSTEMS) and not said.profession:
                said.profession = [label, clean(code)]
            elif code and system.endswith(_SPECIALTY_SYSTEMS) and not said.specialty:
                said.specialty = [label, clean(code)]


def _mailboxes(said: Said, resource: dict[str, Any]) -> None:
    for telecom in _objects(resource, "telecom"):
        metadata = next(
            (one for one in _objects(telecom, "extension") if _word(one, "url").endswith(MAILBOX_EXTENSION)), None
        )
        if metadata is None or telecom.get("system") != "email":
            continue  # a telephone, a private address
        parts = {_word(one, "url"): one for one in _objects(metadata, "extension")}
        if parts.get("listeRouge", {}).get("valueBoolean") is True:
            said.unlisted += 1
            continue
        said.mailboxes.append(_mailbox(telecom, parts))


def _mailbox(telecom: dict[str, Any], parts: dict[str, dict[str, Any]]) -> Mailbox:
    kind = parts.get("type", {})
    codes = [_word(one, "code") for one in _objects(_object(kind, "valueCodeableConcept"), "coding")]
    code = next((one for one in (*codes, _word(kind, "valueCode")) if one in _KINDS), "")
    if not code:
        raise BadValue("a mailbox of no known kind")
    rank = telecom.get("rank")
    paperless = parts.get("digitization", {}).get("valueBoolean")
    return Mailbox(
        MailAddress.parse(_word(telecom, "value")).key,
        code,
        _text(parts.get("description", {}), "valueString"),
        _text(parts.get("service", {}), "valueString"),
        _text(parts.get("responsible", {}), "valueString"),
        paperless if isinstance(paperless, bool) else None,
        rank if isinstance(rank, int) and not isinstance(rank, bool) and 0 < rank < 1_000 else 0,
    )


def place_of(fields: list[Any]) -> Place:
    return Place(tuple(fields[0]), *fields[1:]) if fields else Place()


def job_of(fields: list[str]) -> Job | None:
    return Job(*fields) if fields else None


# ── JSON of strangers ──


def _identifier(resource: dict[str, Any], system: str) -> str:
    return next((_word(one, "value") for one in _objects(resource, "identifier") if one.get("system") == system), "")


def _reference(value: Any, kind: str, system: str) -> str:
    """The key of what is referred to: by id, by urn, or by its national number."""
    reference = _word(value, "reference")
    if reference.startswith("urn:"):
        return f"u:{reference}"
    if reference:
        return f"i:{'/'.join(reference.split('/')[-2:])}"
    identifier = _object(value, "identifier")
    number = _word(identifier, "value") if identifier.get("system") == system else ""
    return f"n:{kind}/{number}" if number else ""


def _display(concept: dict[str, Any]) -> str:
    return next((_word(one, "display") for one in _objects(concept, "coding") if _word(one, "display")), "")


def _word(value: Any, name: str) -> str:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def _text(value: Any, name: str) -> str:
    return clean(_word(value, name))


def _object(value: Any, name: str) -> dict[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _listed(value: Any, name: str) -> list[Any]:
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, list):
        return []
    if len(found) > LISTED_MAX:
        raise BadValue(f"more than {LISTED_MAX} in a list")
    return found


def _objects(value: Any, name: str) -> list[dict[str, Any]]:
    return [one for one in _listed(value, name) if isinstance(one, dict)]


def _words(value: Any, name: str) -> list[str]:
    return [one for one in _listed(value, name) if isinstance(one, str)]
