"""What can this door do? The CapabilityStatement.

Pure; made from the table that searches read, so that it cannot promise anything else.
"""

from __future__ import annotations

from mss.directory.wholes import Unit
from mss.fhir import systems
from mss.fhir.outcome import Resource
from mss.fhir.parameters import INCLUDES, TABLES
from mss.fhir.sorting import SORTS

FHIR_JSON = "application/fhir+json"
WRITTEN = "2026-11-28"
"""When this statement was last changed by hand."""
CONDITIONAL_PATCH = (
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-CapabilityStatement.rest.resource.conditionalPatch"
)
_PATCH = (
    "FHIRPath Patch of mailboxes (insert, replace, delete on telecom), by id or by ?identifier=; only for software "
    "with a right to publish, for its domains. Address and kind never change. If-Match is honoured."
)
_LISTS = (
    "Answers come in the order of names; _sort is given where all of the answer fits on one page. Say at least a "
    "number, a profession, a place, a structure or three letters: a copy of everybody is the exported file. "
    "_lastUpdated narrows another question, and does not tell what is gone: ask for the ids that you hold. _has is not "
    "supported, as in the national directory: ask PractitionerRole by practitioner.… or organization.…, with _include. "
    f"Extension {systems.BESIDE} of a mailbox (purpose, abilities, signs of life, substitute): as of the moment of the "
    "answer, and no part of the version."
)


def capability_statement(base: str, version: str, *, writes: bool = False) -> Resource:
    """For `/metadata` (FHIR R4 §3.1.0.8.1). `writes`: whether mailboxes may be published here."""
    security = "Bearer token, or a client certificate of the health PKI; nobody else is answered."
    rest: Resource = {
        "mode": "server",
        "security": {"cors": False, "description": security},
        "resource": [_resource(unit, writes=writes) for unit in Unit],
        "interaction": [{"code": "batch"}, {"code": "search-system"}],
    }
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": WRITTEN,
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": [FHIR_JSON, "json"],
        **({"patchFormat": [FHIR_JSON]} if writes else {}),
        "software": {"name": "mss-server", "version": version},
        "implementation": {"description": "Directory of professionals", "url": base},
        "rest": [rest],
    }


def _resource(unit: Unit, *, writes: bool) -> Resource:
    made: Resource = {
        **({"extension": [{"url": CONDITIONAL_PATCH, "valueBoolean": True}]} if writes else {}),
        "type": str(unit),
        "profile": systems.PROFILES[unit],
        "interaction": [{"code": code} for code in ("read", "search-type")],
        "versioning": "no-version",
        "documentation": f"{_LISTS} _sort: {', '.join(SORTS[unit])}.",
    }
    if writes:
        made["interaction"].append({"code": "patch", "documentation": _PATCH})
    for way, name in (("_include", "searchInclude"), ("_revinclude", "searchRevInclude")):
        codes = [code for code, said in INCLUDES[unit].items() if said == way]
        made |= {name: codes} if codes else {}
    made["searchParam"] = [
        {"name": one.name, "type": one.kind, "documentation": _documentation(one.says, one.modifiers)}
        | ({"definition": one.definition} if one.definition and "." not in one.name else {})
        for one in TABLES[unit].values()
    ]
    return made


def _documentation(says: str, modifiers: tuple[str, ...]) -> str:
    return f"{says} Modifiers: {', '.join(f':{one}' for one in modifiers)}." if modifiers else says
