"""Whoever runs a domain says what the directory shows of its mailboxes; nobody else does, and of nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.operationoutcome import OperationOutcome
from fhir.resources.R4B.organization import Organization
from fhir.resources.R4B.practitioner import Practitioner

from mss.directory import ownfacts
from mss.directory.search import Search
from mss.fhir import systems
from mss.fhir.callers import Client
from mss.fhir.capability import CONDITIONAL_PATCH
from mss.model.ids import MailAddress
from mss.store import audit
from tests.kit.fhirdoor import LOOKUP, PEOPLE, Door, Reply, addresses, copied, open_door
from tests.kit.frenchpeople import finess, rpps
from tests.kit.ownhouse import team
from tests.kit.patches import attribute, delete, insert, operation, patch, point, replace, where

CHU, VILLE = "chu.mssante.example", "ville.mssante.example"
HOSPITAL = f"1{finess(90)}"
CARDIO, NEW = f"cardio@{CHU}", f"urgences@{CHU}"
CAMILLE, JEAN = f"8{rpps(1)}", f"8{rpps(3)}"
JSON = {"Content-Type": "application/fhir+json"}
ORG = "Organization"


@pytest.fixture
async def any_publisher(database_url: str, tmp_path: Path) -> AsyncIterator[Door]:
    """A door that somebody may write at, for two domains of another operator, on each engine."""
    async with open_door(database_url, tmp_path, publishes=frozenset((CHU, VILLE))) as opened:
        yield opened


@pytest.fixture
async def publisher(filled: Path, tmp_path: Path) -> AsyncIterator[Door]:
    """The same on SQLite; `ville` is a domain of this house, where a mailbox must exist."""
    url, both = copied(filled, tmp_path), frozenset((CHU, VILLE))
    async with open_door(url, tmp_path, (), publishes=both, own_domains=frozenset((VILLE,))) as opened:
        yield opened


async def send(door: Door, path: str, *operations: dict[str, Any], **headers: str) -> Reply:
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    return await door.ask(path, method="PATCH", json=patch(*operations), headers=JSON | said)


async def mailboxes(door: Door, idnst: str = HOSPITAL) -> dict[str, dict[str, Any]]:
    """What a reader is shown of a structure, by address: the parts of the extension."""
    found = (await door.ask(f"/Organization/{idnst}")).body
    return {
        one["value"]: {part["url"]: part for part in one["extension"][1]["extension"]} | {"rank": one.get("rank", 0)}
        for one in found.get("telecom", ())
    }


async def test_a_mailbox_is_inserted_changed_and_deleted(any_publisher: Door) -> None:
    """By id and by national number; read at once; R4 reads each answer; the same again changes nothing."""
    door = any_publisher
    conditional = f"/Organization?identifier={systems.FINESS}|{finess(90)}"
    for path in (conditional, f"/Organization/{HOSPITAL}", conditional):
        reply = await send(door, path, insert(ORG, point(NEW, rank=1, service="Urgences", description="Accueil")))
        assert reply.status == 200, reply.body
        Organization.model_validate(reply.body)
    tag = reply.headers["ETag"]
    assert (await door.ask(f"/Organization/{HOSPITAL}")).headers["ETag"] == tag
    assert (await mailboxes(door))[NEW]["service"]["valueString"] == "Urgences"
    assert addresses((await door.ask("/Organization?mailbox-mss=urgences")).resources) >= {NEW}
    changes = [
        operation("replace", attribute(ORG, NEW, "description"), "Nuit", "valueString"),
        operation("replace", f"{where(ORG, NEW)}.rank", 3, "valueInteger"),
    ]
    reply = await send(door, f"/Organization/{HOSPITAL}", *changes, If_Match=tag)
    assert reply.status == 200, reply.body
    said = (await mailboxes(door))[NEW]
    assert (said["description"]["valueString"], said["service"]["valueString"], said["rank"]) == ("Nuit", "Urgences", 3)
    reply = await send(door, f"/Organization/{HOSPITAL}", replace(ORG, point(NEW, description="Seul")))
    said = (await mailboxes(door))[NEW]
    assert said["description"]["valueString"] == "Seul"
    assert "service" not in said, "a contact point that is replaced whole says all there is"
    for _ in range(2):
        assert (await send(door, f"/Organization/{HOSPITAL}", delete(ORG, NEW), delete(ORG, CARDIO))).status == 200
        assert not {NEW, CARDIO} & set(await mailboxes(door))
    assert (await door.ask(f"/Organization?mailbox-mss:exact={NEW}")).resources == []
    known = await door.ours.of(MailAddress.parse(NEW))  # type: ignore[union-attr]
    assert known is not None
    assert known.row.version == 6, "begun, inserted, two changes, replaced, deleted; nothing for what was said again"
    assert (await door.store.read(audit.verify))[1] == []


async def test_a_persons_mailboxes_stand_with_her_and_with_her_role(any_publisher: Door) -> None:
    """PER at the person or at one of her roles, CAB at the person; she stays when her only mailbox goes."""
    door = any_publisher
    mine = f"dr.lefevre@{VILLE}"
    reply = await send(
        door, f"/Practitioner?identifier={systems.RPPS}|{rpps(1)}", insert("Practitioner", point(mine, "PER"))
    )
    assert reply.status == 200, reply.body
    Practitioner.model_validate(reply.body)
    assert mine in addresses([reply.body])
    role = (await door.ask(f"/PractitionerRole?mailbox-mss:exact=camille.chu@{CHU}")).resources[0]
    other = f"camille.garde@{CHU}"
    reply = await send(door, f"/PractitionerRole/{role['id']}", insert("PractitionerRole", point(other, "PER")))
    assert reply.status == 200, reply.body
    assert reply.body["id"] == role["id"]
    assert other in addresses([reply.body])
    alone = f"zoe@{VILLE}"
    zoe = (await door.ask(f"/PractitionerRole?mailbox-mss:exact={alone}")).resources[0]
    assert (await send(door, f"/PractitionerRole/{zoe['id']}", delete("PractitionerRole", alone))).status == 200
    assert (await door.ask(f"/Practitioner?identifier={rpps(6)}")).ids == [f"8{rpps(6)}"]
    assert (await door.ask(f"/PractitionerRole?mailbox-mss:exact={alone}")).resources == []
    back = await send(door, f"/PractitionerRole/{zoe['id']}", insert("PractitionerRole", point(alone, "PER")))
    assert back.status == 200, back.body
    assert (await door.ask(f"/PractitionerRole?mailbox-mss:exact={alone}")).ids == [zoe["id"]]


async def test_nobody_is_meant_or_several(publisher: Door) -> None:
    """404 and 412 of the conditional form; 412 also for who has read something else; nothing is done then."""
    door, one = publisher, insert(ORG, point(NEW))
    for path, status in (
        (f"/Organization?identifier={systems.FINESS}|{finess(77)}", 404),
        ("/Organization?identifier=https://nowhere.example|1", 404),
        (f"/Organization/1{finess(77)}", 404),
        (f"/Organization/{'1' * 65}", 404),
        ("/Organization", 400),
        ("/Organization?name=rennes", 400),
        (f"/Organization?identifier={HOSPITAL},{HOSPITAL}", 400),
        (f"/Organization/{HOSPITAL}?identifier={HOSPITAL}", 400),
    ):
        assert (await send(door, path, one)).status == status, path
    two = await send(door, f"/PractitionerRole?identifier={rpps(1)}", insert("PractitionerRole", point(NEW, "PER")))
    assert (two.status, two.body["issue"][0]["code"]) == (412, "multiple-matches")
    stale = await send(door, f"/Organization/{HOSPITAL}", one, If_Match='W/"0123456789abcdef"')
    assert (stale.status, stale.body["issue"][0]["code"]) == (412, "conflict")
    OperationOutcome.model_validate(stale.body)
    assert NEW not in await mailboxes(door)


async def test_what_may_not_be_said_is_refused_and_nothing_of_it_is_done(publisher: Door) -> None:
    """Foreign domains, another's address, another kind, mailboxes that are none; a good operation beside it neither."""
    door, at = publisher, f"/Organization/{HOSPITAL}"
    labo = "/Organization?mailbox-mss:exact=accueil@labo.mssante.example"
    elsewhere = (await door.ask(labo)).ids[0]
    for path, wrong in (
        (at, insert(ORG, point("x@labo.mssante.example"))),
        (at, insert(ORG, point("x@gmail.example"))),
        (f"/Organization/{elsewhere}", delete(ORG, "accueil@labo.mssante.example")),
        (at, insert(ORG, point(f"dpi@{CHU}", "ORG"))),
        (at, insert(ORG, point(f"camille.chu@{CHU}", "ORG"))),
        (at, replace(ORG, point(CARDIO, "APP"))),
        (at, replace(ORG, point(f"nobody@{CHU}"))),
        (at, delete(ORG, f"nobody@{CHU}")),
        (at, insert(ORG, point(CARDIO, description="twice"))),
        (at, insert(ORG, point(f"279035121518989@{CHU}"))),
        (f"/Practitioner/{JEAN}", insert("Practitioner", point(f"camille.chu@{CHU}", "PER"))),
        (f"/Practitioner/{JEAN}", insert("Practitioner", point(f"jean.neuf@{VILLE}", "PER"))),
        (f"/Practitioner/{CAMILLE}", delete("Practitioner", f"jean@{VILLE}")),
    ):
        good = insert(ORG, point(NEW)) if path == at else wrong
        reply = await send(door, path, good, wrong)
        assert reply.status == 422, (wrong, reply.body)
        OperationOutcome.model_validate(reply.body)
        assert len(reply.says) > 15
    assert set(await mailboxes(door)) == {CARDIO, f"dpi@{CHU}"}


async def test_an_address_is_never_given_to_another(publisher: Door) -> None:
    """Neither while it is listed nor after it was deleted, nor from the red list; back to whose it was at any time."""
    door, at, other = publisher, f"/Organization/{HOSPITAL}", f"/Organization/1{finess(1)}"
    assert (await door.ask(other)).status == 200
    good = insert(ORG, point(NEW, description="Accueil"))
    assert (await send(door, at, good)).status == 200
    for way in (None, delete(ORG, NEW), replace(ORG, point(NEW, listeRouge=True))):
        if way is not None:
            assert (await send(door, at, way)).status == 200
        for path, wrong in ((other, good), (other, delete(ORG, NEW)), (at, insert(ORG, point(NEW, "APP")))):
            assert (await send(door, path, wrong)).status == 422, (way, path)
        assert (await send(door, f"/Practitioner/{JEAN}", insert("Practitioner", point(NEW, "CAB")))).status == 422
        assert (await send(door, at, good)).status == 200
        assert list(await mailboxes(door, f"1{finess(1)}")) == []


async def test_a_mailbox_of_this_house_must_exist_and_its_closing_counts_more(publisher: Door) -> None:
    """A publisher of our own domain says what exists here and of whom we know; what is closed stays away."""
    door = publisher
    mine = MailAddress.parse(f"equipe@{VILLE}")
    at, one = f"/Organization/{HOSPITAL}", insert(ORG, point(str(mine), description="Équipe"))
    assert "no such mailbox" in (await send(door, at, one)).says
    now = door.clock.now()
    await door.store.write(0, lambda c: ownfacts.begin(c, LOOKUP, team(str(mine)), now, "staff"))
    assert (await send(door, at, replace(ORG, point(str(mine), description="Équipe")))).status == 200
    assert (await mailboxes(door))[str(mine)]["description"]["valueString"] == "Équipe"
    hashed = LOOKUP.address(mine.key)
    await door.store.write(0, lambda c: ownfacts.lives(c, hashed, now, "staff", takes_mail=False))
    assert str(mine) not in await mailboxes(door)
    assert "is closed" in (await send(door, at, one)).says


async def test_who_is_put_on_the_red_list_is_nowhere_and_comes_back_whole(publisher: Door) -> None:
    """By one attribute or with the whole contact point; asked for by name of the address itself."""
    door, at = publisher, f"/Organization/{HOSPITAL}"
    ways = [
        operation("replace", attribute(ORG, CARDIO, "listeRouge"), True, "valueBoolean"),
        replace(ORG, point(CARDIO, listeRouge=True, service="secret")),
    ]
    for way in ways:
        for _ in range(2):  # again: nothing more happens
            reply = await send(door, at, way)
            assert reply.status == 200, reply.body
        assert CARDIO not in str(reply.body)
        assert "secret" not in str(reply.body)
        for path in (
            f"/Organization?mailbox-mss:exact={CARDIO}",
            f"/?_type=Organization,Practitioner&mailbox-mss={CARDIO}",
        ):
            assert (await door.ask(path)).resources == []
        assert await Search(door.store).at(CARDIO) == ()
        single = operation("replace", attribute(ORG, CARDIO, "listeRouge"), False, "valueBoolean")
        assert (await send(door, at, single)).status == 422, "nothing was kept of it to be shown again"
        back = await send(door, at, insert(ORG, point(CARDIO, listeRouge=False, service="Cardiologie")))
        assert back.status == 200, back.body
        assert (await mailboxes(door))[CARDIO]["service"]["valueString"] == "Cardiologie"


async def test_who_may_only_read_writes_nothing(publisher: Door, tmp_path: Path) -> None:
    """403 without the right, 401 for nobody, 405 with words for PUT, 415 and 413 for what is no patch."""
    door, at = publisher, f"/Organization/{HOSPITAL}"
    one = patch(insert(ORG, point(NEW)))
    (tmp_path / "reader.token").write_text("r" * 40)
    door.callers.clients = [*door.callers.clients, Client("reader", tmp_path / "reader.token")]
    assert (await door.ask(at, method="PATCH", json=one, headers=JSON, token="r" * 40)).status == 403
    assert (await door.ask(at, method="PATCH", json=one, headers=JSON, token="")).status == 401
    put = await door.ask(at, method="PUT", json={}, headers=JSON)
    assert (put.status, "PATCH" in put.says) == (405, True)
    assert (await door.ask(at, method="PATCH", json=one)).status == 415  # plain JSON
    assert (await door.ask(at, method="PATCH", data=b"{", headers=JSON)).status == 400
    assert (await door.ask(at, method="PATCH", data=b'{"a": 1, "a": 2}', headers=JSON)).status == 400
    assert (await door.ask(at, method="PATCH", data=b" " * 70_000, headers=JSON)).status == 413
    assert NEW not in await mailboxes(door)


async def test_the_statement_says_who_may_write_what(publisher: Door, door: Door) -> None:
    """And a door where nobody may write promises nothing."""
    (rest,) = (await publisher.ask("/metadata", token="")).body["rest"]
    for resource in rest["resource"]:
        assert "patch" in [one["code"] for one in resource["interaction"]]
        assert {"url": CONDITIONAL_PATCH, "valueBoolean": True} in resource["extension"]
    (rest,) = (await door.ask("/metadata", token="")).body["rest"]
    assert all("patch" not in [one["code"] for one in resource["interaction"]] for resource in rest["resource"])


async def test_the_journal_names_no_mailbox(
    publisher: Door, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who published how much, of which kind; not what."""
    await send(publisher, f"/Organization/{HOSPITAL}", insert(ORG, point(NEW)))
    said = capsys.readouterr()
    text = said.out + said.err + caplog.text
    assert "fhir.published" in text
    assert "urgences" not in text
    assert len(PEOPLE) > 5
