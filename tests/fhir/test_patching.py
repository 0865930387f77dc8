"""A patch has one of a few forms; everything else is refused before anything is looked at, with words that help."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import pytest
from fhir.resources.R4B.parameters import Parameters
from hypothesis import given, settings
from hypothesis import strategies as st

from mss.directory.own import Own
from mss.directory.wholes import Unit
from mss.directory.wishes import Change, Delete, Insert, Replace, Told
from mss.fhir import systems
from mss.fhir.outcome import Refused
from mss.fhir.patching import OPERATIONS_MAX, operations_of
from mss.fhir.telling import There, contact_point, patches, says_the_same
from mss.model.mailbox import MailboxKind
from tests.kit.patches import attribute, delete, insert, operation, patch, point, replace, where

ORG, PERSON = Unit.ORGANIZATION, Unit.PRACTITIONER
BOX = "cardio@chu.mssante.example"
NAMED = {"url": systems.EMAIL_TYPE, "valueCoding": {"system": systems.MESSAGING, "code": "MSSANTE"}}


def test_the_forms_of_the_draft_are_read() -> None:
    """Each as the national guide writes it, in one patch."""
    body = patch(
        insert(ORG, point(BOX, listeRouge=False, description="BAL principale", responsible="Accueil")),
        replace(ORG, point(BOX, rank=1, listeRouge=True)),
        operation("replace", attribute(ORG, BOX, "listeRouge"), True, "valueBoolean"),
        operation("replace", attribute(ORG, BOX, "description"), "Autre", "valueString"),
        operation("replace", f"{where(ORG, BOX)}.rank", 2, "valueInteger"),
        delete(ORG, BOX),
    )
    Parameters.model_validate(body)
    assert operations_of(body, ORG) == (
        Insert(Told(BOX, MailboxKind.ORGANISATIONAL, "BAL principale", None, "Accueil")),
        Replace(BOX, Told(BOX, MailboxKind.ORGANISATIONAL, rank=1, is_unlisted=True)),
        Change(BOX, "is_unlisted", True),
        Change(BOX, "description", "Autre"),
        Change(BOX, "rank", 2),
        Delete(BOX),
    )


def _with(contact: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return insert(ORG, contact | changed)


def _metadata(*parts: Any) -> dict[str, Any]:
    return _with(point(BOX), extension=[{"url": systems.MAILBOX, "extension": list(parts)}])


KIND = {"url": "type", "valueCode": "ORG"}
WRONG: dict[str, tuple[dict[str, Any], int, str]] = {
    "not an operation": ({"name": "other", "part": []}, 400, "structure"),
    "no parts": ({"name": "operation"}, 400, "structure"),
    "a part twice": ({"name": "operation", "part": delete(ORG, BOX)["part"] * 2}, 400, "structure"),
    "something beside it": (delete(ORG, BOX) | {"resource": {}}, 422, "not-supported"),
    "another type": (operation("move", where(ORG, BOX)), 422, "not-supported"),
    "add": (operation("add", "Organization", point(BOX)), 422, "not-supported"),
    "no value": (operation("replace", where(ORG, BOX)), 400, "required"),
    "a delete with a value": (operation("delete", where(ORG, BOX), point(BOX)), 422, "not-supported"),
    "another element": (operation("replace", "Organization.name", "x", "valueString"), 422, "not-supported"),
    "another resource": (delete("Practitioner", BOX), 422, "not-supported"),
    "all of them": (operation("delete", "Organization.telecom"), 422, "not-supported"),
    "one by its place": (operation("delete", "Organization.telecom[0]"), 422, "not-supported"),
    "another condition": (operation("delete", "Organization.telecom.where(use = 'work')"), 422, "not-supported"),
    "two conditions": (operation("delete", where(ORG, f"{BOX}' or value = 'x@y.example")), 422, "not-supported"),
    "a function": (operation("delete", f"{where(ORG, BOX)}.first()"), 422, "not-supported"),
    "a part of it": (operation("delete", attribute(ORG, BOX, "description")), 422, "not-supported"),
    "no address": (delete(ORG, "cardio"), 422, "value"),
    "an insert somewhere": (operation("insert", where(ORG, BOX), point(BOX)), 422, "not-supported"),
    "the address changed": (operation("replace", where(ORG, BOX), point("a@b.example")), 422, "business-rule"),
    "the value changed": (operation("replace", f"{where(ORG, BOX)}.value", "x", "valueString"), 422, "business-rule"),
    "the kind changed": (operation("replace", attribute(ORG, BOX, "type"), "APP", "valueCode"), 422, "business-rule"),
    "an attribute of nobody": (
        operation("replace", attribute(ORG, BOX, "age"), "x", "valueString"), 422, "not-supported",
    ),
    "another extension": (
        operation("replace", f"{where(ORG, BOX)}.extension('https://x').extension('rank').value", "x", "valueString"),
        422, "not-supported",
    ),
    "a flag as a text": (operation("replace", attribute(ORG, BOX, "listeRouge"), "true", "valueString"), 422, "value"),
    "a flag as a number": (operation("replace", attribute(ORG, BOX, "listeRouge"), 1, "valueBoolean"), 422, "value"),
    "rank 0": (operation("replace", f"{where(ORG, BOX)}.rank", 0, "valueInteger"), 422, "value"),
    "rank true": (operation("replace", f"{where(ORG, BOX)}.rank", True, "valueInteger"), 422, "value"),
    "a kind that stands elsewhere": (insert(ORG, point(BOX, "PER")), 422, "business-rule"),
    "a kind of nobody": (insert(ORG, point(BOX, "PATIENT")), 422, "value"),
    "no metadata": (_with(point(BOX), extension=[NAMED]), 422, "required"),
    "metadata twice": (_with(point(BOX), extension=point(BOX)["extension"] * 2), 422, "not-supported"),
    "no kind": (_metadata({"url": "listeRouge", "valueBoolean": False}), 422, "value"),
    "a part of metadata twice": (_metadata(KIND, KIND), 400, "structure"),
    "a part that nobody knows": (_metadata(KIND, {"url": "secret", "valueString": "x"}), 422, "not-supported"),
    "two values": (_metadata(KIND, {"url": "service", "valueString": "x", "valueCode": "y"}), 422, "not-supported"),
    "a telephone": (_with(point(BOX), system="phone"), 422, "value"),
    "at home": (_with(point(BOX), use="home"), 422, "value"),
    "a period": (_with(point(BOX), period={"end": "2020"}), 422, "not-supported"),
    "a text too long": (_metadata(KIND, {"url": "service", "valueString": "x" * 251}), 422, "value"),
    "a direction mark": (_metadata(KIND, {"url": "service", "valueString": "a\u202eb"}), 422, "value"),
    "an index below": ({"name": "operation", "part": [
        *insert(ORG, point(BOX))["part"][:2], {"name": "index", "valueInteger": -1}, insert(ORG, point(BOX))["part"][3],
    ]}, 400, "value"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_whatever_else_is_asked_is_refused(name: str) -> None:
    """Beside a good operation too: a patch is read whole before anything of it is done."""
    wrong, status, code = WRONG[name]
    for body in (patch(wrong), patch(delete(ORG, BOX), wrong)):
        with pytest.raises(Refused) as refused:
            operations_of(body, ORG)
        assert (refused.value.status, refused.value.code) == (status, code), refused.value.text


def test_what_is_no_patch_at_all_is_refused() -> None:
    """Another resource, no operations, too many of them."""
    bodies: list[Any] = [None, [], {}, {"resourceType": "Bundle"}, {"resourceType": "Parameters"}, patch()]
    bodies += [patch() | {"parameter": {}}, patch(delete(ORG, BOX)) | {"meta": {}}]
    for body in (*bodies, patch(*[delete(ORG, BOX)] * (OPERATIONS_MAX + 1))):
        with pytest.raises(Refused):
            operations_of(body, ORG)


def test_people_have_no_service_and_practices_stand_with_the_person() -> None:
    """As the guide's table of kinds says."""
    for contact, is_possible in (
        (point(BOX, "PER"), True), (point(BOX, "PER", service="x"), False), (point(BOX, "PER", description="x"), False),
        (point(BOX, "CAB", description="x", responsible="y"), True), (point(BOX, "CAB", service="x"), False),
    ):  # fmt: skip
        body = patch(insert(PERSON, contact))
        if is_possible:
            assert operations_of(body, PERSON)
            continue
        with pytest.raises(Refused, match="has no"):
            operations_of(body, PERSON)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8) | st.sampled_from(
        ["operation", "replace", "delete", "Organization.telecom", where(ORG, BOX), "Parameters", systems.MAILBOX]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["name", "part", "type", "path", "value", "url", "extension", "valueCode", "valueInteger"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(_JSON, st.integers(0, 3))
def test_garbage_is_refused_and_nothing_else(junk: Any, place: int) -> None:
    """Anywhere in a patch that would be good."""
    body = copy.deepcopy(patch(insert(ORG, point(BOX))))
    part = body["parameter"][0]["part"]
    places = (
        (body, "parameter"),
        (body["parameter"][0], "part"),
        (part, place),
        (part[3]["valueContactPoint"], "extension"),
    )
    holder, key = places[place]
    holder[key] = junk  # type: ignore[index]
    with suppress(Refused):
        operations_of(body, ORG)


@pytest.mark.parametrize("kind", [MailboxKind.ORGANISATIONAL, MailboxKind.OFFICE, MailboxKind.PERSONAL])
def test_our_own_patches_are_of_those_forms(kind: MailboxKind) -> None:
    """What our client sends, our door reads, and R4 too; an address may have an apostrophe."""
    texts = {"description": "l'accueil", "responsible": "Mme X"} if kind is not MailboxKind.PERSONAL else {}
    own = Own("m.o'brien@chu.mssante.example", kind, rank=2, paperless=True, **texts)  # type: ignore[arg-type]
    unit = ORG if kind is MailboxKind.ORGANISATIONAL else PERSON
    there = [There(unit, "1", "abc", {"value": own.address})]
    for found, is_shown in (([], True), (there, True), (there, False)):
        (made,) = patches(own, found, is_shown=is_shown)
        Parameters.model_validate(made.body)
        (read,) = operations_of(made.body, unit)
        assert read.address == own.address
        assert made.version == ("abc" if found else "")
    assert says_the_same(own, contact_point(own))
    assert patches(own, [There(unit, "1", "abc", contact_point(own))], is_shown=True) == []
