"""What does a FHIRPath Patch of a mailbox ask for? The few forms of the national draft, read by a grammar of our own.

Pure: Parameters as they came in, operations out, or a refusal that says what to write (FHIR R4 §3.1.0.10, FHIRPath
Patch; ANS "API FHIR MSS", flux d'alimentation). No FHIRPath is evaluated: a path has one of four shapes, or is refused.
"""

from __future__ import annotations

import re
from typing import Any

from mss.directory.wholes import Unit
from mss.directory.wishes import CARRIES, Change, Delete, Insert, Operation, Replace, Told
from mss.fhir import systems
from mss.fhir.outcome import Refused, Resource, wrong
from mss.model.errors import BadValue
from mss.model.ids import MailAddress
from mss.model.mailbox import MailboxKind

OPERATIONS_MAX = 20
"""Of one patch: the mailboxes of one person or structure that change together."""
PATCH_BYTES_MAX = 64 * 1024
PATH_CHARS_MAX = 600
EXTENSIONS_MAX = 3
"""Of a contact point: the guide's two, and ours."""
_PATH = re.compile(
    r"(?P<unit>[A-Za-z]{1,20})\.telecom"
    r"(?:\.where\( ?value ?= ?'(?P<address>(?:[^'\\]|\\'){3,320})' ?\)(?P<rest>\..{1,300})?)?\Z",
    re.ASCII | re.DOTALL,
)
_ATTRIBUTE = re.compile(
    r"\.extension\('(?P<url>[^'\\]{1,200})'\)\.extension\('(?P<name>[A-Za-z]{1,20})'\)\.value\Z", re.ASCII
)
_FIELDS = {
    "description": ("description", "valueString"),
    "service": ("service", "valueString"),
    "responsible": ("responsible", "valueString"),
    "phone": ("phone", "valueString"),
    "listeRouge": ("is_unlisted", "valueBoolean"),
    "digitization": ("paperless", "valueBoolean"),
}
"""Name of a part of the extension → field, and the type that its value has."""
_TYPES: dict[str, type] = {"valueString": str, "valueBoolean": bool, "valueInteger": int, "valuePositiveInt": int}
_KINDS = {kind.value: kind for kind in CARRIES}
_FORMS = (
    "forms: insert into U.telecom; replace or delete of U.telecom.where(value = 'ADDRESS'); replace of its .rank or of "
    "its .extension('…as-ext-mailbox-mss-metadata').extension('NAME').value"
)


def cannot(text: str, code: str = "processing") -> Refused:
    """422: understood, and not to be done."""
    return Refused(422, code, text)


def operations_of(body: Any, unit: Unit) -> tuple[Operation, ...]:
    """Read a patch. Raises Refused: nothing of it is done then."""
    if not isinstance(body, dict) or body.get("resourceType") != "Parameters":
        raise wrong("a Parameters resource with operations is expected (FHIRPath Patch)", "structure")
    _only(body, ("resourceType", "parameter"), "Parameters")
    parameters = body.get("parameter")
    if not isinstance(parameters, list) or not parameters:
        raise wrong("parameter: a list of operations is expected", "structure")
    if len(parameters) > OPERATIONS_MAX:
        raise wrong(f"more than {OPERATIONS_MAX} operations: send several patches", "too-costly")
    try:
        return tuple(_operation(one, unit, f"operation {at}") for at, one in enumerate(parameters))
    except BadValue as problem:
        raise cannot(str(problem), "value") from None


def _operation(parameter: Any, unit: Unit, at: str) -> Operation:
    if not isinstance(parameter, dict) or parameter.get("name") != "operation":
        raise wrong(f"{at}: a parameter named operation is expected", "structure")
    _only(parameter, ("name", "part"), at)
    parts = _parts(parameter.get("part"), at)
    what, path = _plain(parts, "type", "valueCode", at), _plain(parts, "path", "valueString", at)
    if what not in ("insert", "replace", "delete"):
        raise cannot(f"{at}: type is insert, replace or delete here", "not-supported")
    allowed = {
        "insert": ("type", "path", "index", "value"),
        "replace": ("type", "path", "value"),
        "delete": ("type", "path"),
    }
    _only(parts, allowed[what], at)
    found = _PATH.match(path) if len(path) <= PATH_CHARS_MAX else None
    if found is None or found["unit"] != unit:
        raise cannot(f"{at}: this path is not possible; {_FORMS.replace('U.', f'{unit}.')}", "not-supported")
    if what == "insert":
        return _insert(parts, found, unit, at)
    if found["address"] is None:
        raise cannot(f"{at}: say which mailbox: telecom.where(value = 'ADDRESS')", "not-supported")
    address = MailAddress.parse(found["address"].replace("\\'", "'")).key
    if what == "delete":
        if found["rest"]:
            raise cannot(f"{at}: only a whole mailbox is deleted", "not-supported")
        return Delete(address)
    if found["rest"]:
        return _change(address, found["rest"], parts, at)
    told = _told(_value(parts, "valueContactPoint", at), unit, at)
    if told.address != address:
        raise cannot(
            f"{at}: the address of a mailbox never changes: delete this one, insert the other", "business-rule"
        )
    return Replace(address, told)


def _insert(parts: dict[str, Any], found: re.Match[str], unit: Unit, at: str) -> Insert:
    if found["address"] is not None:
        raise cannot(f"{at}: insert into {unit}.telecom", "not-supported")
    if "index" in parts:
        index = _value({"value": parts["index"]}, "valueInteger", at)
        if index < 0:
            raise wrong(f"{at}: index is not negative", "value")
    return Insert(_told(_value(parts, "valueContactPoint", at), unit, at))


def _change(address: str, rest: str, parts: dict[str, Any], at: str) -> Change:
    if rest == ".rank":
        return Change(address, "rank", _rank(_number(parts, at), at))
    if rest == ".value":
        raise cannot(f"{at}: the address of a mailbox never changes", "business-rule")
    named = _ATTRIBUTE.match(rest)
    if named is None or named["url"] != systems.MAILBOX:
        raise cannot(f"{at}: this path is not possible; {_FORMS}", "not-supported")
    if named["name"] == "type":
        raise cannot(f"{at}: the kind of a mailbox never changes", "business-rule")
    if named["name"] not in _FIELDS:
        raise cannot(f"{at}: there is no {named['name']}; there are {', '.join(_FIELDS)}", "not-supported")
    field, kind = _FIELDS[named["name"]]
    return Change(address, field, _value(parts, kind, at))


def _number(parts: dict[str, Any], at: str) -> int:
    part = parts.get("value", {})
    name = "valuePositiveInt" if isinstance(part, dict) and "valuePositiveInt" in part else "valueInteger"
    return int(_value(parts, name, at))


def _rank(number: Any, at: str) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= 99:
        raise cannot(f"{at}: rank is a number from 1 to 99", "value")
    return number


# ── a contact point ──


def _told(point: Resource, unit: Unit, at: str) -> Told:
    """A mailbox with everything that is said of it."""
    _only(point, ("system", "value", "use", "rank", "extension"), f"{at}: telecom")
    if point.get("system") != "email" or not isinstance(point.get("value"), str):
        raise cannot(f"{at}: a telecom with system email and a value is expected", "value")
    if point.get("use", "work") != "work":
        raise cannot(f"{at}: only addresses of work (use) are listed", "value")
    parts = _metadata(point.get("extension"), at)
    kind = _kind(parts.pop("type", None), at)
    if unit not in CARRIES[kind]:
        raise cannot(f"{at}: a {kind} mailbox stands in {' or '.join(CARRIES[kind])}", "business-rule")
    said: dict[str, Any] = {"rank": _rank(point["rank"], at)} if "rank" in point else {}
    for name, part in parts.items():
        if name not in _FIELDS:
            raise cannot(f"{at}: there is no {name[:20]}; there are type, {', '.join(_FIELDS)}", "not-supported")
        field, typed = _FIELDS[name]
        said[field] = _typed(part, typed, f"{at}: {name}", also=("url",))
    return Told(MailAddress.parse(point["value"]).key, kind, **said)


def _metadata(extensions: Any, at: str) -> dict[str, Any]:
    """The parts of the guide's extension; the other one only says that it is an MSSanté address; ours is ignored."""
    if not isinstance(extensions, list) or not 1 <= len(extensions) <= EXTENSIONS_MAX:
        raise cannot(f"{at}: the extension as-ext-mailbox-mss-metadata is expected", "required")
    found: dict[str, Any] | None = None
    for one in extensions:
        url = one.get("url") if isinstance(one, dict) else None
        if url == systems.EMAIL_TYPE:
            _only(one, ("url", "valueCoding"), at)
            coding = one.get("valueCoding")
            if not isinstance(coding, dict) or coding.get("code") != "MSSANTE":
                raise cannot(f"{at}: only addresses of type MSSANTE are listed", "value")
        elif url == systems.MAILBOX and found is None:
            _only(one, ("url", "extension"), at)
            found = _by(one.get("extension"), "url", at)
        elif url == systems.BESIDE:
            continue  # whoever changes what she has read gives back what we had added to it
        else:
            raise cannot(f"{at}: this extension is not possible here", "not-supported")
    if found is None:
        raise cannot(f"{at}: the extension as-ext-mailbox-mss-metadata is expected", "required")
    return found


def _kind(part: Any, at: str) -> MailboxKind:
    """As a code, or as the guide's concept; its description and its examples differ in the system."""
    if isinstance(part, dict) and "valueCode" in part:
        code = _typed(part, "valueCode", f"{at}: type", also=("url",))
    else:
        concept = part.get("valueCodeableConcept") if isinstance(part, dict) else None
        codings = concept.get("coding") if isinstance(concept, dict) else None
        coding = codings[0] if isinstance(codings, list) and len(codings) == 1 else None
        if not isinstance(coding, dict) or coding.get("system") not in systems.KIND_SYSTEMS:
            raise cannot(f"{at}: type is one of {', '.join(_KINDS)}", "value")
        code = coding.get("code")
    kind = _KINDS.get(code) if isinstance(code, str) else None
    if kind is None:
        raise cannot(f"{at}: type is one of {', '.join(_KINDS)}", "value")
    return kind


# ── JSON of strangers ──


def _only(found: dict[str, Any], names: tuple[str, ...], at: str) -> None:
    """What we do not know may change the meaning: it is refused, not ignored."""
    if unknown := [name for name in found if name not in names]:
        told = "".join(letter for letter in str(unknown[0])[:30] if letter.isprintable())
        raise cannot(f"{at}: {told} is not possible here", "not-supported")


def _parts(listed: Any, at: str) -> dict[str, Any]:
    if not isinstance(listed, list):
        raise wrong(f"{at}: part is a list", "structure")
    return _by(listed, "name", at)


def _by(listed: Any, name: str, at: str) -> dict[str, Any]:
    """Things of a list by their name, each once."""
    if not isinstance(listed, list) or not 1 <= len(listed) <= 12:
        raise wrong(f"{at}: a list of some parts is expected", "structure")
    found: dict[str, Any] = {}
    for one in listed:
        said = one.get(name) if isinstance(one, dict) else None
        if not isinstance(said, str) or said in found:
            raise wrong(f"{at}: each part has a {name} of its own", "structure")
        found[said] = one
    return found


def _plain(parts: dict[str, Any], name: str, typed: str, at: str) -> str:
    if name not in parts:
        raise wrong(f"{at}: {name} is missing", "required")
    return str(_typed(parts[name], typed, f"{at}: {name}", also=("name",)))


def _value(parts: dict[str, Any], typed: str, at: str) -> Any:
    if "value" not in parts:
        raise wrong(f"{at}: value is missing", "required")
    return _typed(parts["value"], typed, f"{at}: value", also=("name",))


def _typed(part: Any, typed: str, at: str, *, also: tuple[str, ...]) -> Any:
    """The one value of a part, of the type that it must have."""
    value = part.get(typed) if isinstance(part, dict) else None
    expected = {"valueCode": str, "valueContactPoint": dict, **_TYPES}[typed]
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise cannot(f"{at}: {typed} is expected", "value")
    _only(part, (typed, *also), at)
    return value
