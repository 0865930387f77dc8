"""Patches of mailboxes as the national draft writes them."""

from __future__ import annotations

from typing import Any

from mss.fhir import systems


def point(address: str, kind: str = "ORG", *, rank: int = 0, **said: str | bool) -> dict[str, Any]:
    """A contact point in the draft's shape: the kind as a plain code."""
    parts: list[dict[str, Any]] = [{"url": "type", "valueCode": kind}]
    for name, value in said.items():
        parts.append({"url": name, "valueBoolean" if isinstance(value, bool) else "valueString": value})
    made: dict[str, Any] = {"system": "email", "value": address}
    made |= {"rank": rank} if rank else {}
    return made | {"extension": [{"url": systems.MAILBOX, "extension": parts}]}


def operation(what: str, path: str, value: Any = None, typed: str = "valueContactPoint") -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"name": "type", "valueCode": what}, {"name": "path", "valueString": path}]
    if what == "insert":
        parts.append({"name": "index", "valueInteger": 0})
    if value is not None:
        parts.append({"name": "value", typed: value})
    return {"name": "operation", "part": parts}


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": list(operations)}


def where(unit: str, address: str) -> str:
    return f"{unit}.telecom.where(value = '{address}')"


def attribute(unit: str, address: str, name: str) -> str:
    return f"{where(unit, address)}.extension('{systems.MAILBOX}').extension('{name}').value"


def insert(unit: str, contact: dict[str, Any]) -> dict[str, Any]:
    return operation("insert", f"{unit}.telecom", contact)


def replace(unit: str, contact: dict[str, Any]) -> dict[str, Any]:
    return operation("replace", where(unit, contact["value"]), contact)


def delete(unit: str, address: str) -> dict[str, Any]:
    return operation("delete", where(unit, address))
