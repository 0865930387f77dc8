"""Software finds people, roles and structures as the national directory's own API would answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from mss.directory.wholes import Unit
from mss.fhir.moments import span_of
from mss.fhir.outcome import Refused
from mss.fhir.sorting import SORTS
from tests.kit.fhirdoor import CAMILLE as CAMILLE_S_NAME
from tests.kit.fhirdoor import DOCTOR, LYON, PEOPLE, Door, addresses
from tests.kit.fhirdoor import entry as line
from tests.kit.frenchpeople import finess, rpps

CAMILLE, MARIE, JEAN, ZOE = (f"8{rpps(number)}" for number in (1, 2, 3, 6))
CHU, RHONE, LILAS = (f"1{finess(number)}" for number in (90, 1, 2))
R38 = "https://mos.esante.gouv.fr/NOS/TRE_R38-SpecialiteOrdinale/FHIR/TRE-R38-SpecialiteOrdinale"
R257 = "https://mos.esante.gouv.fr/NOS/TRE_R257-TypeBAL/FHIR/TRE-R257-TypeBAL"

FOUND = {
    "name=lefevre": [CAMILLE],
    "name=Lefèvre Camille": [CAMILLE],
    "name=camille lef": [CAMILLE],
    "phonetic=lefebvre": [MARIE, CAMILLE],
    "name:exact=LEFÈVRE": [CAMILLE],
    "name:exact=lefèvre": [],
    "name:contains=fevr": [CAMILLE],
    "family=dupont": [JEAN],
    "family:exact=LY": [ZOE],
    "family:contains=tin": [JEAN],
    "family=lefe,ly": None,
    "family=lefe,martin": [MARIE, CAMILLE, JEAN],
    "given=zoé": [ZOE],
    "given=Camille": [CAMILLE],
    "given=claude": [MARIE],
    "given:exact=Marie-Claude&family=lefebvre": [MARIE],
    f"identifier={rpps(1)}": [CAMILLE],
    f"identifier=https://rpps.esante.gouv.fr|{rpps(1)}": [CAMILLE],
    f"identifier=urn:oid:1.2.250.1.71.4.2.1|{CAMILLE}": [CAMILLE],
    f"identifier=https://finess.esante.gouv.fr|{rpps(1)}": [],
    f"identifier={rpps(1)},{rpps(3)}": [CAMILLE, JEAN],
    f"identifier={rpps(1)}&name=martin": [],
    f"identifier={rpps(1)}&name=camille": [CAMILLE],
    f"_id={MARIE},{CAMILLE},nobody": [MARIE, CAMILLE],
    "qualification-code=SM04&address-city=Lyon": [CAMILLE],
    f"qualification-code={R38}|SM04&address-postalcode=35": [CAMILLE],
    "qualification-code:text=cardiologue&address-city=Rennes": [CAMILLE],
    "qualification-code=SM04": [CAMILLE],
    "qualification-code=SM99": [],
    "qualification-code=10&address-city=paris": [MARIE, ZOE],
    "mailbox-mss=jean@": [JEAN],
    "mailbox-mss:exact=cabinet.jean@ville.mssante.example": [JEAN],
    "mailbox-mss:contains=cabinet": [JEAN],
    "mailbox-mss=camille": [],  # hers stand with her roles
    "family=martin&mailbox-mss-type=CAB": [JEAN],
    f"family=martin&mailbox-mss-type={R257}|PER,{R257}|CAB": [JEAN],
    "family=lefevre&mailbox-mss-type=PER": [],
    "family=martin&active=true": [JEAN],
    "family=martin&active=false": [],
}


async def test_people_are_found(any_door: Door) -> None:
    """By name, sound, number, job, place and mailbox; each person once. Three letters are the least for many."""
    for query, found in FOUND.items():
        reply = await any_door.ask(f"/Practitioner?{quote(query, safe='=&:,|/')}")
        if found is None:
            assert (reply.status, "three letters" in reply.says) == (400, True), query
            continue
        assert reply.status == 200, reply.body
        assert reply.ids == found, query
        assert reply.body["total"] == len(found)


ROLES = {
    "practitioner.name=lefevre": {"camille@", "camille.chu@"},
    "practitioner.phonetic=lefebvre": {"camille@", "camille.chu@", "marie@"},
    f"practitioner={CAMILLE}": {"camille@", "camille.chu@"},
    f"practitioner=Practitioner/{CAMILLE}&organization=Organization/{CHU}": {"camille.chu@"},
    f"practitioner:Practitioner.identifier={rpps(1)}": {"camille@", "camille.chu@"},
    f"organization.identifier=https://finess.esante.gouv.fr|{finess(90)}": {"camille.chu@"},
    f"organization={LILAS}": {"marie@", "zoe@"},
    "organization.name=lilas&practitioner.name=lefebvre": {"marie@"},
    "organization.name:contains=ilas": {"marie@", "zoe@"},
    "specialty=SM26&organization.address-city=Paris": {"marie@"},
    "role:text=médecin&organization.address-postalcode=75015": {"marie@", "zoe@"},
    "mailbox-mss=camille": {"camille@", "camille.chu@"},
    "mailbox-mss:exact=marie@ville.mssante.example&practitioner.family=lefebvre": {"marie@"},
    "practitioner.name=martin": set[str](),  # her practice's mailbox stands with her
}


async def test_roles_are_found_through_people_and_structures(any_door: Door) -> None:
    """Chained parameters reach one step; mailboxes stand with the role they belong to."""
    for query, found in ROLES.items():
        reply = await any_door.ask(f"/PractitionerRole?{quote(query, safe='=&:,|/')}")
        assert reply.status == 200, reply.body
        assert {one.partition("@")[0] + "@" for one in addresses(reply.resources)} == found, query


STRUCTURES = {
    "name=rennes": [CHU],
    "name=CHU de": [CHU],
    "name:exact=CHU de Rennes": [CHU],
    "name:contains=enne": [CHU],
    f"identifier={finess(90)}": [CHU],
    f"identifier=urn:oid:1.2.250.1.71.4.2.2|{CHU}": [CHU],
    f"identifier=http://finess.sante.gouv.fr|{finess(90)}": [CHU],
    "address-city=lyon": [RHONE],
    "address-postalcode=35": [CHU],
    "name=cabinet&address-city=paris": [],
    "mailbox-mss=cardio@": [CHU],
    "mailbox-mss:contains=@chu.mssante": [CHU],
    "name=rennes&mailbox-mss-type=APP": [CHU],
    "name=lilas&mailbox-mss-type=APP": [],
    "mailbox-mss=camille": [],
}


async def test_structures_are_found(any_door: Door) -> None:
    """By words, number, place and the mailboxes that name nobody; also those in which nobody has one."""
    for query, found in STRUCTURES.items():
        reply = await any_door.ask(f"/Organization?{quote(query, safe='=&:,|/@')}")
        assert reply.status == 200, reply.body
        assert reply.ids == found, query


async def test_a_structure_without_a_number_is_found_and_read(door: Door) -> None:
    """Its id is made of its mailbox's number."""
    (found,) = (await door.ask("/Organization?name=tilleuls")).resources
    assert found["id"].startswith("bal-")
    assert (await door.ask("/Organization?mailbox-mss=accueil@labo")).ids == [found["id"]]
    assert (await door.ask(f"/Organization/{found['id']}")).body == found


async def test_each_found_resource_can_be_read_alone(any_door: Door) -> None:
    """The same bytes under its own address, with an ETag that saves the second reading."""
    kinds = ("Practitioner?family=lefe", "PractitionerRole?practitioner.family=lefe", "Organization?name=rennes")
    for kind in kinds:
        for resource in (await any_door.ask(f"/{kind}")).resources:
            one = await any_door.ask(f"/{resource['resourceType']}/{resource['id']}")
            assert one.body == resource
            again = await any_door.ask(
                f"/{resource['resourceType']}/{resource['id']}", headers={"If-None-Match": one.headers["ETag"]}
            )
            assert again.status == 304
    assert (await any_door.ask("/Practitioner/810000000000")).status == 404
    assert (await any_door.ask("/Practitioner/bal-0")).status == 404


async def test_what_belongs_to_the_matches_comes_along(door: Door) -> None:
    """People and structures of roles, roles of people; each once."""
    reply = await door.ask("/PractitionerRole?practitioner.name=lefevre&_include=*")
    kinds = sorted(f"{one['resourceType']}/{one['id']}" for one in reply.included)
    assert kinds == sorted([f"Practitioner/{CAMILLE}", f"Organization/{CHU}", f"Organization/{RHONE}"])
    reply = await door.ask("/Practitioner?name=lefevre&_revinclude=PractitionerRole:practitioner")
    assert addresses(reply.included) == {"camille@ville.mssante.example", "camille.chu@chu.mssante.example"}
    reply = await door.ask("/Practitioner?name=lefevre&_include=Practitioner:organization")
    assert reply.status == 400


async def test_a_part_of_a_resource_says_that_it_is_one(door: Door) -> None:
    """`_elements` leaves what was asked for, id and meta, with the tag SUBSETTED."""
    reply = await door.ask("/Practitioner?name=lefevre&_elements=identifier,telecom")
    (found,) = reply.resources
    assert set(found) == {"resourceType", "id", "meta", "identifier"}
    assert found["meta"]["tag"][0]["code"] == "SUBSETTED"
    read = await door.ask(f"/Practitioner/{CAMILLE}?_elements=name")
    assert set(read.body) == {"resourceType", "id", "meta", "name"}
    assert (await door.ask("/Practitioner?name=lefevre&_elements=photo")).status == 400


async def test_several_kinds_at_once(door: Door) -> None:
    """`_type`, as the draft of the national interface for mailboxes has it."""
    reply = await door.ask("/?_type=Practitioner,PractitionerRole,Organization&mailbox-mss:contains=mssante")
    assert reply.status == 200, reply.body
    assert len(addresses(reply.resources)) == 9
    assert (await door.ask("?_type=Patient&mailbox-mss=abc")).status == 400
    reply = await door.ask("/?_type=PractitionerRole,Organization&mailbox-mss:contains=mssante&_count=1")
    assert len(reply.resources) == 2
    (more,) = (one["resource"] for one in reply.body["entry"] if one["search"]["mode"] == "outcome")
    assert more["issue"][0]["code"] == "incomplete"
    assert more["issue"][0]["details"]["text"].count("_page_token=") == 2


async def test_a_form_asks_the_same(door: Door) -> None:
    """POST `_search`."""
    reply = await door.ask("/Practitioner/_search", method="POST", data={"name": "lefevre"})
    assert reply.ids == [CAMILLE]
    reply = await door.ask("/Practitioner/_search", method="POST", json={"name": "lefevre"})
    assert reply.status == 415


def batch(*urls: str) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": url}} for url in urls],
    }


async def test_a_batch_answers_each_in_its_place(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong one spoils no other; one that finds very much ends the batch."""
    urls = (f"Practitioner/{CAMILLE}", "Organization?name=rennes", "Practitioner?nom=x", "Patient?name=x")
    reply = await door.ask("/", method="POST", json=batch(*urls), headers={"Content-Type": "application/fhir+json"})
    statuses = [one["response"]["status"][:3] for one in reply.body["entry"]]
    assert statuses == ["200", "200", "400", "404"]
    assert reply.body["entry"][0]["resource"]["id"] == CAMILLE
    assert reply.body["entry"][1]["resource"]["total"] == 1
    assert "nom" in json.dumps(reply.body["entry"][2]["response"]["outcome"])
    monkeypatch.setattr("mss.fhir.server.BATCH_RESOURCES_MAX", 1)
    reply = await door.ask("/", method="POST", json=batch(*["Practitioner?phonetic=lefebvre"] * 2))
    assert [one["response"]["status"][:3] for one in reply.body["entry"]] == ["200", "400"]
    reply = await door.ask("/", method="POST", json=batch(*["Practitioner?name=lefevre"] * 51))
    assert (reply.status, reply.body["issue"][0]["code"]) == (400, "too-costly")


async def test_every_answer_says_of_when_it_is(door: Door) -> None:
    """The moment of the oldest source behind it."""
    for path in ("/Practitioner?name=lefevre", f"/Practitioner/{CAMILLE}", "/Practitioner?name=introuvable"):
        assert (await door.ask(path)).headers["X-As-Of"] == "2025-12-01T00:00:00.000Z"
    assert (await door.ask("/Practitioner?name=introuvable")).body["timestamp"] == "2025-12-01T00:00:00.000Z"


async def test_who_has_changed_since_is_told(any_door: Door) -> None:
    """What a synchronising software asks (ANS guide, "appel delta"): a profession, and since when."""
    moved = line("PER", "camille@ville.mssante.example", person=1, name=CAMILLE_S_NAME, job=DOCTOR, town=LYON)
    await any_door.take([PEOPLE[0], moved, *PEOPLE[2:]], "20251203")
    doctors = "/Practitioner?qualification-code=10"
    for since, found in {
        "ge2025-12-03": [CAMILLE],
        "gt2025-12-02": [CAMILLE],
        "gt2025": [],
        "lt2025-12-03T00:00:00Z": [MARIE, ZOE],
        "2025-12": [MARIE, CAMILLE, ZOE],
        "ne2025-12-01,ge2030": [CAMILLE],
        "ge2025-12-01T12:00:00.5Z&_lastUpdated=le2025-12-02": [],
    }.items():
        reply = await any_door.ask(f"{doctors}&_lastUpdated={since}")
        assert (reply.status, reply.ids) == (200, found), since
    first = await any_door.ask(f"{doctors}&_lastUpdated=le2025-12-01&_count=1")
    assert [*first.ids, *[one["id"] for one in await any_door.everything(first.next)]] == [MARIE, ZOE]
    assert (await any_door.ask(f"/Practitioner?_id={MARIE},{CAMILLE}&_lastUpdated=ge2025-12-03")).ids == [CAMILLE]
    assert (await any_door.ask("/Organization?address-city=rennes&_lastUpdated=ge2025-12-03")).ids == []
    assert len((await any_door.ask(f"/PractitionerRole?practitioner={CAMILLE}&_lastUpdated=lt2025-12-03")).ids) == 1


async def test_an_answer_of_one_page_is_sorted_as_asked(door: Door) -> None:
    """Upwards, downwards, by several; what is longer than a page is not sorted by halves."""
    for order, found in {
        "family": [MARIE, CAMILLE, ZOE],
        "-family": [ZOE, CAMILLE, MARIE],
        "given": [CAMILLE, MARIE, ZOE],
        "-_lastUpdated,-given": [ZOE, MARIE, CAMILLE],
        "_id": sorted([MARIE, CAMILLE, ZOE]),
    }.items():
        assert (await door.ask(f"/Practitioner?qualification-code=10&_sort={order}")).ids == found, order
    assert (await door.ask(f"/Organization?_id={CHU},{RHONE}&_sort=name")).ids == [RHONE, CHU]
    first = await door.ask("/Practitioner?qualification-code=10&_count=1")
    assert (await door.ask(first.next + "&_sort=family")).status == 400
    assert set(SORTS) == set(Unit)


MOMENT = datetime(2026, 11, 28, 8, 30, 15, 500_000, UTC)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        *(("2026", True), ("eq2026-11", True), ("2026-11-28", True), ("2026-11-28T08:30", True), ("2027", False)),
        *(("2026-11-28T08:30:15Z", True), ("2026-11-28T08:30:15.5Z", True), ("2026-11-28T08:30:15.4Z", False)),
        *(("2026-11-28T10:30:15+02:00", True), ("ne2026-11", False), ("gt2026", False), ("gt2025", True)),
        *(("ge2026-12", False), ("ge2026-11-28T08:30:16Z", False), ("lt2026-11-29", True), ("lt2026-11-28", False)),
        *(("le2026-11-28", True), ("le2026-11-27", False), ("sa2026-11-27", True), ("eb2026-11-29", True)),
        *(("9999", None), ("2026-13", None), ("2026-11-28T25:00", None), ("xx2026", None), ("26", None), ("", None)),
    ],
)
def test_a_date_is_as_long_as_it_is_written(text: str, holds: bool | None) -> None:
    """FHIR R4 §3.1.1.4.6. None: refused in words."""
    if holds is None:
        with pytest.raises(Refused):
            span_of("_lastUpdated", text)
    else:
        assert span_of("_lastUpdated", text).holds(MOMENT) is holds
