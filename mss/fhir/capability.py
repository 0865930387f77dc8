"""What can this door do? The CapabilityStatement, and the same as OpenAPI for tools that read that.

Pure; both are made from the table that searches read, so that they cannot promise anything else.
"""

from __future__ import annotations

from typing import Any

from mss.directory.entries import ENTRIES_MAX
from mss.directory.wholes import Unit
from mss.fhir import systems
from mss.fhir.asking import PAGE_DEFAULT
from mss.fhir.outcome import Resource
from mss.fhir.parameters import INCLUDES, TABLES

FHIR_JSON = "application/fhir+json"
WRITTEN = "2026-11-28"
"""When this statement was last changed by hand."""
_ANSWERS = {
    "200": "what was found",
    "400": "the request is wrong; the outcome says how",
    "401": "nobody whom we know",
    "403": "not for this software",
    "404": "no such resource",
    "405": "not with this method",
    "406": "only JSON here",
    "410": "the page's moment is not kept any more",
    "413": "too large",
    "415": "not JSON",
    "429": "too many at once",
    "503": "later",
}


CONDITIONAL_PATCH = (
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-CapabilityStatement.rest.resource.conditionalPatch"
)
_PATCH = (
    "FHIRPath Patch of mailboxes (insert, replace, delete on telecom), by id or by ?identifier=; only for software "
    "with a right to publish, for its domains. Address and kind never change. If-Match is honoured."
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


# ── OpenAPI ──


def open_api(base: str, version: str) -> dict[str, Any]:
    """OpenAPI 3.0 of what may be read."""
    paths: dict[str, Any] = {"/metadata": {"get": _operation("capabilities", [], with_auth=False)}}
    for unit in Unit:
        search = [_query(one.name, one.says) for one in TABLES[unit].values()]
        search += [
            _query(f"{one.name}:{modifier}", one.says)
            for one in TABLES[unit].values()
            for modifier in one.modifiers
            if one.kind != "reference"
        ]
        search += _RESULT
        paths[f"/{unit}"] = {"get": _operation(f"search{unit}", search)}
        name = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
        paths[f"/{unit}/{{id}}"] = {"get": _operation(f"read{unit}", [name, _query("_elements", "Elements alone.")])}
    return {
        "openapi": "3.0.3",
        "info": {"title": "Directory of professionals (FHIR R4)", "version": version},
        "servers": [{"url": base}],
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
        "paths": paths,
    }


def _query(name: str, says: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": says, "schema": schema or {"type": "string"}}


_RESULT = [
    _query(
        "_count",
        f"Resources of a page, {PAGE_DEFAULT} unless said, {ENTRIES_MAX} at most.",
        {"type": "integer", "minimum": 0, "maximum": 999_999_999},
    ),
    _query("_elements", "Names of elements, with commas between them."),
    _query("_include", "PractitionerRole:practitioner, PractitionerRole:organization."),
    _query("_revinclude", "PractitionerRole:practitioner."),
    _query("_page_token", "As it stands in the link 'next'."),
    _query("_format", "json"),
]


def _operation(name: str, parameters: list[dict[str, Any]], *, with_auth: bool = True) -> dict[str, Any]:
    content = {FHIR_JSON: {"schema": {"type": "object", "required": ["resourceType"]}}}
    made: dict[str, Any] = {
        "operationId": name,
        "parameters": parameters,
        "responses": {code: {"description": says, "content": content} for code, says in _ANSWERS.items()},
    }
    return made | ({"security": [{"bearer": []}]} if with_auth else {})
