"""Answers have the shape that R4 and the national guides give them; where ours differs, a table says why."""

from __future__ import annotations

import importlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.organization import Organization

from mss.directory.extras import Extras, Said
from mss.fhir import systems
from mss.fhir.resources import instant
from mss.model.clock import to_ms
from mss.model.ids import MailAddress
from mss.store import addressnotes
from tests.kit.fhirdoor import Door
from tests.kit.frenchpeople import finess

DIFFERENCES = {
    # element of the national sample: why we do not say it
    "meta.versionId": "ours is the hash of the content, so that equal content has an equal ETag",
    "meta.profile": "the sample's profiles are of an older server; ours are those of the guide",
    "extension.registration": "registrations with the orders are not in what we import",
    "extension.educationLevel": "neither are diplomas",
    "extension.partOf": "a role is one resource in the guide, where the sample has two",
    "extension.endCause": "who has ended is not listed",
    "extension.practiceRegion": "not in what we import",
    "period": "not in what we import",
    "location": "places stand with the structure",
    "contained": "places stand with the structure",
    "endpoint": "the guide has none",
    "identifier": "the number of a situation of practice is not in what we import",
    "telecom.phone": "private telephone numbers are not read from any file",
    "telecom.fax": "neither are fax numbers",
}
"""Walked by the test below: every element of the samples is ours too, or stands here."""


def model_of(resource: dict[str, Any]) -> Any:
    name = resource["resourceType"]
    return getattr(importlib.import_module(f"fhir.resources.R4B.{name.lower()}"), name)


def without_empty(value: Any) -> Any:
    """As FHIR's JSON must be: the samples write null where nothing is."""
    if isinstance(value, dict):
        return {name: one for name, part in value.items() if (one := without_empty(part)) not in (None, {}, [])}
    if isinstance(value, list):
        return [one for part in value if (one := without_empty(part)) not in (None, {}, [])]
    return value


PATHS = (
    "/Practitioner?phonetic=lefebvre&_revinclude=PractitionerRole:practitioner",
    "/Practitioner?family=martin&_elements=telecom",
    "/PractitionerRole?organization.address-city=rennes&_include=*",
    "/Organization?address-city=rennes",
    "/Organization?name=tilleuls",
    "/Practitioner?name=introuvable",
    "/?_type=Practitioner,PractitionerRole,Organization&mailbox-mss:contains=mssante",
)


async def test_r4_reads_every_answer_and_loses_nothing(door: Door) -> None:
    """The models of fhir.resources take each resource, and give back the same."""
    bodies = [(await door.ask(path)).body for path in PATHS]
    for body in bodies:
        Bundle.model_validate(body)
    for entry in [entry for body in bodies for entry in body.get("entry", ())]:
        resource = entry["resource"]
        again = json.loads(model_of(resource).model_validate(resource).model_dump_json())
        assert without_empty(again).keys() == resource.keys()
        assert without_empty(resource) == resource  # nothing empty, nothing null


async def test_the_capability_statement_promises_what_is_there(door: Door) -> None:
    """R4 reads it, and every parameter that it names is understood."""
    body = (await door.ask("/metadata", token="")).body
    CapabilityStatement.model_validate(body)
    (rest,) = body["rest"]
    for resource in rest["resource"]:
        for parameter in resource["searchParam"]:
            reply = await door.ask(f"/{resource['type']}?{parameter['name']}=x")
            assert "there is no parameter" not in json.dumps(reply.body)
            for modifier in () if parameter["name"] == "_id" else ("exact", "contains", "text"):
                promised = f":{modifier}" in parameter["documentation"].partition("Modifiers")[2]
                reply = await door.ask(f"/{resource['type']}?{parameter['name']}:{modifier}=abc")
                assert ("its modifiers are" in json.dumps(reply.body)) != promised, parameter["name"]


async def test_a_mailbox_stands_as_the_guide_writes_it(door: Door) -> None:
    """Extension for extension, as in the guide's own example."""
    (found,) = (await door.ask("/Organization?name=rennes")).resources
    cardio = next(one for one in found["telecom"] if one["value"].startswith("cardio"))
    assert cardio["system"] == "email"
    kind, metadata = cardio["extension"]
    assert kind["url"] == systems.EMAIL_TYPE
    assert kind["valueCoding"]["code"] == "MSSANTE"
    assert metadata["url"].endswith("as-ext-mailbox-mss-metadata")
    said = {one["url"]: one for one in metadata["extension"]}
    assert said["type"]["valueCodeableConcept"]["coding"][0]["code"] == "ORG"
    assert said["service"]["valueString"] == "Secrétariat de cardiologie"
    assert said["listeRouge"]["valueBoolean"] is False
    assert "responsible" not in said


async def test_what_the_guide_has_no_room_for_stands_beside_it(door: Door) -> None:
    """Purpose, abilities, signs of life, who stands in: with their moment; no version changes by them, and whoever has
    the version reads them all the same. Who is not listed stands in for nobody."""
    cardio, listed, hidden = (f"{name}@chu.mssante.example" for name in ("cardio", "dpi", "rouge"))
    extras, hospital = Extras(door.store, door.clock), f"/Organization/1{finess(90)}"
    before = await door.ask(hospital)
    same = {"If-None-Match": before.headers["ETag"]}
    assert (await door.ask(hospital, headers=same)).status == 304
    said = Said("Lettres de sortie", 25 * 1024**2, accepts_patients=False, accepts_xdm=True)
    await extras.say(MailAddress.parse(cardio), said, "staff")
    await door.store.write(0, lambda c: addressnotes.bounced(c, cardio, to_ms(door.clock.now())))
    until = door.clock.now() + timedelta(days=3)
    for substitute in (hidden, listed):
        await extras.away(MailAddress.parse(cardio), door.clock.now(), until, substitute)
        after = await door.ask(hospital, headers=same)
        (beside,) = [
            {part["url"]: value for part in one["extension"] for name, value in part.items() if name != "url"}
            for telecom in after.body["telecom"]
            for one in telecom["extension"]
            if one["url"] == systems.BESIDE
        ]
        assert beside.pop("substitute", hidden) == substitute
    assert hidden not in json.dumps(after.body)
    assert beside == {
        "asOf": instant(door.clock.now()),
        "purpose": "Lettres de sortie",
        "sizeBytesMax": 25 * 1024**2,
        "acceptsPatients": False,
        "acceptsXdm": True,
        "mayNotAnswer": "came-back",
        "absentUntil": instant(until),
    }
    assert after.headers["ETag"] == before.headers["ETag"]
    Organization.model_validate(after.body)
    (found,) = (await door.ask("/Organization?name=rennes&_elements=telecom")).resources
    assert found["telecom"] == after.body["telecom"]


def names_of(resource: dict[str, Any]) -> set[str]:
    """Elements of a resource, two deep, and the extensions and telecoms by name."""
    found: set[str] = set()
    for name, value in without_empty(resource).items():
        if name == "extension":
            found |= {f"extension.{one['url'].rpartition('-')[2]}" for one in value}
        elif name == "telecom":
            found |= {f"telecom.{one['system']}" for one in resource["telecom"]}
        elif name == "meta":
            found |= {f"meta.{part}" for part in value}
        else:
            found.add(name)
    return found


async def test_each_element_of_the_national_samples_is_here_or_explained(door: Door, samples: Path) -> None:
    """Field by field; and an explanation that is not needed any more is heard."""
    roles = (await door.ask("/PractitionerRole?practitioner.name=lefevre")).resources
    ours = set.union(*map(names_of, roles))
    theirs: set[str] = set()
    files = sorted((samples / "fhir").glob("doc-PP*.json"))
    if not files:
        pytest.skip("the national samples are not here")
    for file in files:
        resource = json.loads(file.read_text())["resource"]
        theirs |= names_of({name: value for name, value in resource.items() if name != "specialty"})
        for one in resource.get("telecom", ()):
            theirs.add(f"telecom.{one['system']}")
    assert not theirs - ours - DIFFERENCES.keys()
    explained = {name for name in DIFFERENCES if name in theirs or any(one.startswith(f"{name}.") for one in theirs)}
    assert explained == DIFFERENCES.keys()
