"""The same as OpenAPI, for tools that read that: what may be asked and, where somebody may publish, what may be sent.

Pure; made from the table that searches read, so that it cannot promise anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mss.directory.entries import ENTRIES_MAX
from mss.directory.wholes import Unit
from mss.fhir import systems
from mss.fhir.asking import PAGE_DEFAULT
from mss.fhir.capability import FHIR_JSON
from mss.fhir.parameters import KINDS, TABLES
from mss.fhir.patching import OPERATIONS_MAX
from mss.fhir.sorting import SORTS

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
_WRITTEN_ANSWERS = {
    **_ANSWERS,
    "408": "the request took too long to arrive",
    "412": "several are meant, or it has changed since that version",
    "422": "understood, and not to be done; nothing of it was",
}


def open_api(base: str, version: str, *, writes: bool = False) -> dict[str, Any]:
    """OpenAPI 3.0 of what may be read and, with `writes`, of what may be published."""
    paths: dict[str, Any] = {"/metadata": {"get": _operation("capabilities", [], with_auth=False)}}
    for unit in Unit:
        search = [_query(one.name, one.says) for one in TABLES[unit].values()]
        search += [
            _query(f"{one.name}:{modifier}", one.says)
            for one in TABLES[unit].values()
            for modifier in one.modifiers
            if one.kind != "reference"
        ]
        search += [*_RESULT, _query("_sort", f"{', '.join(SORTS[unit])}, with - before what is turned round.")]
        paths[f"/{unit}"] = {"get": _operation(f"search{unit}", search)}
        name = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
        paths[f"/{unit}/{{id}}"] = {"get": _operation(f"read{unit}", [name, _query("_elements", "Elements alone.")])}
        if writes:
            meant = _query("identifier", "SYSTEM|VALUE of the one that is meant.") | {"required": True}
            paths[f"/{unit}"]["patch"] = _patch(unit, "which", meant)
            paths[f"/{unit}/{{id}}"]["patch"] = _patch(unit, "", name)
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


def _patch(unit: Unit, behind: str, meant: dict[str, Any]) -> dict[str, Any]:
    """A FHIRPath Patch of mailboxes (mss/fhir/patching.py)."""
    match = {"name": "If-Match", "in": "header", "schema": {"type": "string", "pattern": '^W/"[0-9a-f]{16}"$'}}
    made = _operation(f"patch{unit}{behind}", [meant, match], answers=_WRITTEN_ANSWERS)
    return made | {"requestBody": {"required": True, "content": {FHIR_JSON: {"schema": _patch_schema(unit)}}}}


def _patch_schema(unit: Unit) -> dict[str, Any]:
    """Parameters with operations; what they may not say together is told by an outcome."""
    telecom, text, flag = f"{unit}.telecom", {"type": "string", "maxLength": 250}, {"type": "boolean"}
    path = {"type": "string", "pattern": rf"^{telecom}(\.where\(value = '[a-z]{{1,9}}@[a-z.]{{3,20}}'\)(\.rank)?)?$"}
    names = ("type", "description", "service", "responsible", "listeRouge", "digitization")
    kind = {"enum": list(KINDS)}
    said = _object(("url",), url={"enum": list(names)}, valueString=text, valueBoolean=flag, valueCode=kind)
    metadata = _object(("url", "extension"), url={"enum": [systems.MAILBOX]}, extension=_list(said, len(names)))
    point = _object(
        ("system", "value", "extension"),
        system={"enum": ["email"]},
        value=text,
        rank={"type": "integer", "minimum": 1, "maximum": 99},
        extension=_list(metadata, 1),
    )
    part = _object(
        ("name",),
        name={"enum": ["type", "path", "index", "value"]},
        valueCode={"enum": ["insert", "replace", "delete"]},
        valueString=path,
        valueInteger={"type": "integer"},
        valueContactPoint=point,
    )
    operation = _object(("name", "part"), name={"enum": ["operation"]}, part=_list(part, 4))
    listed = _list(operation, OPERATIONS_MAX)
    return _object(("resourceType", "parameter"), resourceType={"enum": ["Parameters"]}, parameter=listed)


def _object(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    """Whatever else is said is refused, not ignored."""
    said = {"type": "object", "required": list(required), "properties": properties}
    return said | {"additionalProperties": False}


def _list(items: dict[str, Any], most: int) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "maxItems": most, "items": items}


def _operation(
    name: str, parameters: list[dict[str, Any]], *, with_auth: bool = True, answers: Mapping[str, str] = _ANSWERS
) -> dict[str, Any]:
    content = {FHIR_JSON: {"schema": {"type": "object", "required": ["resourceType"]}}}
    made: dict[str, Any] = {
        "operationId": name,
        "parameters": parameters,
        "responses": {code: {"description": says, "content": content} for code, says in answers.items()},
    }
    return made | ({"security": [{"bearer": []}]} if with_auth else {})
