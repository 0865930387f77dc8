"""What does the national directory say of a mailbox, what should it say, and which patch makes the one the other?

Pure. What we say has the guide's shape (ANS "BAL MSSanté"), and only what differs is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mss.directory.own import OF_PEOPLE, Own
from mss.directory.wholes import Unit
from mss.directory.wishes import SAYS
from mss.fhir import systems
from mss.fhir.outcome import Resource
from mss.model.mailbox import MailboxKind

FOUND_MAX = 20
"""Resources that carry one address; more is no answer to our question."""


@dataclass(frozen=True, slots=True)
class There:
    """A resource of the national directory that carries the mailbox."""

    unit: Unit
    id: str
    version: str
    telecom: Resource


@dataclass(frozen=True, slots=True)
class Patch:
    """A request: `path` behind the base address, what it says, and for which version of the resource."""

    path: str
    body: Resource
    version: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """It says what we say. `sent`: how many patches that took."""

    sent: int


@dataclass(frozen=True, slots=True)
class NotNow:
    """Nothing is decided: again later."""

    why: str


@dataclass(frozen=True, slots=True)
class Refused:
    """No, and the same again would not help: a human must look."""

    status: int
    why: str


Outcome = Done | NotNow | Refused


class Speaks(Protocol):
    """Whoever speaks with a directory; never raises for what the other side does."""

    async def bring(self, own: Own, *, is_shown: bool) -> Outcome:
        """Let the directory say what we say of a mailbox; done twice it is said once."""
        ...

    async def compare(self, own: Own, *, is_shown: bool) -> bool | NotNow:
        """Whether it says what we say; changes nothing."""
        ...

    async def close(self) -> None:
        """End what is open; the next request opens it again."""
        ...


def units_of(kind: MailboxKind) -> tuple[Unit, ...]:
    """Where a mailbox of this kind may stand there."""
    return (Unit.PRACTITIONER, Unit.ROLE) if kind in OF_PEOPLE else (Unit.ORGANIZATION,)


def found_in(bundle: Any, unit: Unit, address: str) -> list[There] | None:
    """Which resources of a searchset carry the address; None when this is no searchset."""
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle" or bundle.get("type") != "searchset":
        return None
    entries = bundle.get("entry", [])
    if not isinstance(entries, list) or len(entries) > FOUND_MAX:
        return None
    found = []
    for entry in entries:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict) or resource.get("resourceType") != unit:
            continue
        name, meta = resource.get("id"), resource.get("meta")
        version = meta.get("versionId", "") if isinstance(meta, dict) else ""
        for telecom in resource.get("telecom", ()) if isinstance(resource.get("telecom", ()), list) else ():
            if isinstance(telecom, dict) and str(telecom.get("value", "")).lower() == address and isinstance(name, str):
                found.append(There(unit, name, version if isinstance(version, str) else "", telecom))
    return found


def contact_point(own: Own) -> Resource:
    """The mailbox as the guide writes it; what a kind has no room for is left out."""
    kind = {"system": systems.MAILBOX_KIND, "code": own.kind.value}
    said: list[Resource] = [{"url": "type", "valueCodeableConcept": {"coding": [kind]}}]
    said.append({"url": "listeRouge", "valueBoolean": False})
    for name in ("description", "service", "responsible"):
        if (text := getattr(own, name)) and name in SAYS[own.kind]:
            said.append({"url": name, "valueString": text})
    if own.paperless is not None:
        said.append({"url": "digitization", "valueBoolean": own.paperless})
    made: Resource = {
        "extension": [
            {"url": systems.EMAIL_TYPE, "valueCoding": {"system": systems.MESSAGING, "code": "MSSANTE"}},
            {"url": systems.MAILBOX, "extension": said},
        ],
        "system": "email",
        "value": own.address,
        "use": "work",
    }
    return made | ({"rank": own.rank} if own.rank else {})


def says_the_same(own: Own, telecom: Resource) -> bool:
    """Whether nothing that we have said is missing or otherwise there. `responsible` is served to nobody, so it is
    compared only where it is shown."""
    said = _parts(telecom)
    kind = said.get("type", {})
    codings = kind.get("valueCodeableConcept", {}).get("coding", ({},)) if isinstance(kind, dict) else ({},)
    code = kind.get("valueCode") or (codings[0].get("code") if codings else None)
    if code != own.kind.value or said.get("listeRouge", {}).get("valueBoolean") is True:
        return False
    for name in ("description", "service", "responsible"):
        ours, theirs = getattr(own, name), said.get(name, {}).get("valueString", "")
        if ours is None or name not in SAYS[own.kind] or (name == "responsible" and not theirs):
            continue
        if ours != theirs:
            return False
    if own.paperless is not None and said.get("digitization", {}).get("valueBoolean", own.paperless) != own.paperless:
        return False
    return own.rank is None or own.rank == telecom.get("rank", 0)


def _parts(telecom: Resource) -> dict[str, Any]:
    for extension in telecom.get("extension", ()):
        if isinstance(extension, dict) and extension.get("url") == systems.MAILBOX:
            listed = extension.get("extension", ())
            return {one["url"]: one for one in listed if isinstance(one, dict) and isinstance(one.get("url"), str)}
    return {}


def is_other_kind(own: Own, there: Sequence[There]) -> bool:
    """The address stands there under another kind, which never changes: a human must look."""
    for one in there:
        kind = _parts(one.telecom).get("type", {})
        codings = kind.get("valueCodeableConcept", {}).get("coding", ()) if isinstance(kind, dict) else ()
        codes = {kind.get("valueCode"), *(coding.get("code") for coding in codings if isinstance(coding, dict))} - {
            None
        }
        if codes and own.kind.value not in codes:
            return True
    return False


def patches(own: Own, there: Sequence[There], *, is_shown: bool, always: bool = False) -> list[Patch]:
    """What makes it say what we say; nothing when it does. `always`: send also what it does not show."""
    if not is_shown:
        return [Patch(f"{one.unit}/{one.id}", parameters(_delete(one.unit, own.address)), one.version) for one in there]
    if there:
        hides = bool(own.responsible) and "responsible" in SAYS[own.kind] and always
        late = [one for one in there if not says_the_same(own, one.telecom) or hides]
        return [Patch(f"{one.unit}/{one.id}", parameters(_replace(one.unit, own)), one.version) for one in late]
    unit = units_of(own.kind)[0]
    system = systems.IDNPS if own.kind in OF_PEOPLE else systems.IDNST
    return [Patch(f"{unit}?identifier={system}%7C{own.holder}", parameters(_insert(unit, own)))]


def parameters(*operations: list[Resource]) -> Resource:
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": "operation", "part": part} for part in operations],
    }


def _insert(unit: Unit, own: Own) -> list[Resource]:
    return [
        {"name": "type", "valueCode": "insert"},
        {"name": "path", "valueString": f"{unit}.telecom"},
        {"name": "index", "valueInteger": 0},
        {"name": "value", "valueContactPoint": contact_point(own)},
    ]


def _replace(unit: Unit, own: Own) -> list[Resource]:
    return [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": path_of(unit, own.address)},
        {"name": "value", "valueContactPoint": contact_point(own)},
    ]


def _delete(unit: Unit, address: str) -> list[Resource]:
    return [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": path_of(unit, address)}]


def path_of(unit: Unit, address: str) -> str:
    """Quoted as FHIRPath quotes a text: an address may have an apostrophe, and no backslash (mss/model/ids.py)."""
    quoted = address.replace("'", "\\'")
    return f"{unit}.telecom.where(value = '{quoted}')"
