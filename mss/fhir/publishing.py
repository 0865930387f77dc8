"""Who may write to the directory, to which resource, and in which words is she answered? PATCH of mailboxes.

The one writing request of this door (ANS "API FHIR MSS", flux d'alimentation). What may be said is judged where it is
written (mss/directory/taking.py); the journal holds who wrote to which kind of resource, and how much.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import structlog

from mss.directory.entries import Entries
from mss.directory.taking import Changed, NotThere, Publisher, Several, Taken, Taking, Target
from mss.directory.wholes import ID_CHARS_MAX, Entry, Unit
from mss.fhir.callers import Caller
from mss.fhir.directory import Answer
from mss.fhir.outcome import Refused, outcome, unknown, wrong
from mss.fhir.parameters import person_numbers, structure_numbers
from mss.fhir.patching import cannot, operations_of
from mss.fhir.resources import resource_of
from mss.model.errors import BadValue

TOKEN_CHARS_MAX = 300

log = structlog.get_logger("fhir")


class PublishingDoor:
    """Writes. Nobody is let in here who has no right to."""

    def __init__(self, taking: Taking, entries: Entries) -> None:
        self._taking = taking
        self._entries = entries

    def judge(self, caller: Caller) -> Publisher:
        """Raises Refused for whoever may only read."""
        if not caller.publishes:
            raise Refused(403, "forbidden", "this software may read; publishing needs a right for named domains")
        return Publisher(caller.name, caller.publishes)

    async def patch(
        self, unit: Unit, name: str, pairs: Sequence[tuple[str, str]], body: bytes, publisher: Publisher, if_match: str
    ) -> Answer:
        """Change mailboxes of the resource with this id, or, without one, of the one that `identifier` means.

        Raises Refused.
        """
        target = Target(unit, id=name) if name else Target(unit, numbers=_numbers(unit, pairs))
        if len(name) > ID_CHARS_MAX or (name and any(pair[0] != "_format" for pair in pairs)):
            raise wrong("an id or an identifier, not both") if len(name) <= ID_CHARS_MAX else unknown(unit)
        operations = operations_of(_json(body), unit)
        versions = _versions(if_match)
        try:
            taken = await self._taking.patch(
                target, operations, publisher, lambda entry: not versions or _version(entry) in versions
            )
        except NotThere:
            raise unknown(unit) from None
        except Several as several:
            raise Refused(412, "multiple-matches", str(several)) from None
        except Changed as changed:
            raise Refused(412, "conflict", str(changed)) from None
        except BadValue as problem:
            raise cannot(str(problem), "business-rule") from None
        log.info("fhir.published", client=publisher.name, kind=str(unit), changed=taken.changed)
        return await self._answer(taken)

    async def _answer(self, taken: Taken) -> Answer:
        as_of = await self._entries.as_of()
        if taken.entry is None:
            return Answer(outcome("informational", "done; nothing of the resource is left", "information"), as_of, 0)
        resource = resource_of(taken.entry)
        return Answer(resource, as_of, taken.changed, resource["meta"]["versionId"], taken.entry.changed)


def _version(entry: Entry) -> str:
    return str(resource_of(entry)["meta"]["versionId"])


def _versions(if_match: str) -> frozenset[str]:
    """Tags of If-Match; none: whatever it is (RFC 9110 §13.1.1)."""
    if not if_match.strip() or if_match.strip() == "*":
        return frozenset()
    return frozenset(one.strip().removeprefix("W/").strip('"') for one in if_match.split(","))


def _numbers(unit: Unit, pairs: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """The one condition there is (FHIR R4 §3.1.0.10.1): which national numbers `identifier=system|value` may mean."""
    said = [(name, value) for name, value in pairs if name != "_format"]
    if len(said) != 1 or said[0][0] != "identifier":
        raise wrong(f"PATCH {unit}?identifier=SYSTEM|VALUE is the condition there is, or say the id")
    value = said[0][1]
    if not value or len(value) > TOKEN_CHARS_MAX or "," in value or "\x00" in value:
        raise wrong("identifier: one SYSTEM|VALUE")
    return structure_numbers(value) if unit is Unit.ORGANIZATION else person_numbers(value)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise wrong("this is not JSON in UTF-8, or a name stands twice in it", "structure") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values under one name, readers choose differently."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found
