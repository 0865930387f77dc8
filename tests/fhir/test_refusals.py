"""Who should not be there gets nothing, and who asks wrongly hears what to write: an OperationOutcome each time."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from fhir.resources.R4B.operationoutcome import OperationOutcome

from mss.crypto.authority import Subject
from mss.crypto.certs import name_of
from mss.crypto.tls import service_server_context, sink_client_context
from mss.directory.entries import Entries
from mss.directory.extras import Extras
from mss.fhir.beside import Beside
from mss.fhir.callers import Client
from mss.fhir.cursor import Cursors
from mss.fhir.directory import DirectoryDoor
from mss.fhir.server import FhirDoor
from mss.formats.dn import DistinguishedName
from tests.kit.fhirdoor import LOOKUP, PEOPLE, TOKEN, Door, open_door
from tests.kit.pki import Pki

WRONG = {
    "/Practitioner": (400, "too-costly"),
    "/Practitioner?name=le": (400, "too-costly"),
    "/Practitioner?mailbox-mss:contains=%40": (400, "too-costly"),
    "/Practitioner?mailbox-mss-type=PER": (400, "too-costly"),
    "/Practitioner?active=true": (400, "too-costly"),
    "/Practitioner?identifier=https://rpps.esante.gouv.fr|": (400, "too-costly"),
    "/Practitioner?nom=lefevre": (400, "not-supported"),
    "/Practitioner?name:missing=true": (400, "not-supported"),
    "/Practitioner?name=lefevre&_sort=birthdate": (400, "invalid"),
    "/Practitioner?qualification-code=10&_count=1&_sort=family": (400, "too-costly"),
    "/?_type=Practitioner,Organization&mailbox-mss=abc&_sort=_id": (400, "invalid"),
    "/Practitioner?_lastUpdated=ge2020": (400, "too-costly"),
    "/Practitioner?name=lefevre&_lastUpdated=hier": (400, "invalid"),
    "/Practitioner?name=lefevre&_lastUpdated=ap2025": (400, "invalid"),
    "/Practitioner?name=lefevre&_lastUpdated=2025-02-30": (400, "invalid"),
    "/Practitioner?name=lefevre&_lastUpdated:missing=true": (400, "not-supported"),
    "/Practitioner?name=lefevre&_has:PractitionerRole:practitioner:role=10": (400, "not-supported"),
    "/PractitionerRole?practitioner.organization.name=x": (400, "not-supported"),
    "/Practitioner?name=lefevre&_count=many": (400, "invalid"),
    "/Practitioner?name=lefevre&_count=-1": (400, "invalid"),
    "/Practitioner?name=": (400, "invalid"),
    "/Practitioner?name=a,b,c": (400, "invalid"),
    "/Practitioner?name=lefevre&name=martin": (400, "invalid"),
    "/Practitioner?family=" + ",".join(["abc"] * 51): (400, "invalid"),
    "/Practitioner?family=" + "a" * 401: (400, "invalid"),
    "/Practitioner?" + "&".join(["family=abc"] * 31): (400, "invalid"),
    "/Practitioner?family=abc%00": (400, "invalid"),
    "/Practitioner?name=lefevre&_format=xml": (406, "not-supported"),
    "/PractitionerRole?organization=Practitioner/1": (400, "invalid"),
    "/Organization?address-postalcode=7": (400, "invalid"),
    "/Patient?name=lefevre": (404, "not-found"),
    "/Practitioner/" + "1" * 65: (404, "not-found"),
    "/Practitioner/1/_history": (404, "not-found"),
}


async def test_a_wrong_question_hears_what_is_wrong(door: Door) -> None:
    """In an outcome that R4 reads."""
    for path, expected in WRONG.items():
        reply = await door.ask(path)
        assert (reply.status, reply.body["issue"][0]["code"]) == expected, path
        OperationOutcome.model_validate(reply.body)
        assert reply.headers["Content-Type"].startswith("application/fhir+json")


async def test_nothing_is_changed_through_a_reading_door(door: Door) -> None:
    for method in ("PUT", "DELETE", "POST", "PATCH"):
        reply = await door.ask("/Practitioner/899000000010", method=method, json={})
        assert reply.status == 405
        OperationOutcome.model_validate(reply.body)


async def test_without_the_right_token_nothing_is_said(door: Door) -> None:
    """Neither who exists, nor whether the question was good."""
    outcomes = set()
    paths = ("/Practitioner?name=lefevre", "/Practitioner/899000000010", "/Practitioner?nom=x", "/Practitioner")
    for token in ("", "wrong-" + TOKEN, TOKEN[:-1], "x" * 600, "é" * 40):
        for path in paths:
            headers = {"Authorization": f"Bearer {token}".encode().decode("latin-1")} if token else {}
            reply = await door.ask(path, token="", headers=headers)
            assert reply.status == 401
            assert reply.headers["WWW-Authenticate"].startswith("Bearer")
            outcomes.add(json.dumps(reply.body))
    assert len(outcomes) == 1
    assert (await door.ask("/metadata", token="")).status == 200


async def test_a_token_that_was_replaced_opens_nothing_any_more(door: Door) -> None:
    """At once, and a file that became too short or is gone opens nothing at all."""
    file = door.folder / "software.token"
    file.write_text("another-token-of-forty-characters-in-all")
    assert (await door.ask("/Practitioner?name=lefevre")).status == 401
    assert (await door.ask("/Practitioner?name=lefevre", token=file.read_text())).status == 200
    file.write_text("short")
    assert (await door.ask("/Practitioner?name=lefevre", token="short")).status == 401
    file.unlink()
    assert (await door.ask("/Practitioner?name=lefevre")).status == 401


async def test_a_certificate_opens_the_door_to_whom_it_names(tmp_path: Path, pki: Pki) -> None:
    """Named clients only; where token and certificate are both asked for, each alone opens nothing."""
    subject = Subject("dpi.chu.mssante.example", "1690000001", "DPI")
    issued = pki.authority.issue_client(subject, now=pki.now, mail="dpi@chu.mssante.example")
    stranger = pki.authority.issue_client(
        Subject("autre.mssante.example", "1690000001", "AUTRE"), now=pki.now, mail="autre@chu.mssante.example"
    )
    for one, name in ((issued, "client"), (stranger, "stranger"), (pki.hospital, "server")):
        one.write(tmp_path, name)
    roots = tmp_path / "ca.pem"
    roots.write_bytes(pki.authority.bundle_pem)
    tls = service_server_context(tmp_path / "server.pem", tmp_path / "server.key", roots)
    shown = {
        name: sink_client_context(roots, tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
        for name in ("client", "stranger")
    }
    for context in shown.values():
        context.check_hostname = False
    known = DistinguishedName.parse(str(name_of(issued.certificate.subject)))
    token_file = tmp_path / "software.token"
    for needs_token in (False, True):
        clients = [Client("dpi", token_file if needs_token else None, known)]
        url = f"sqlite:///{tmp_path}/{needs_token}.db"
        folder = tmp_path / str(needs_token)
        folder.mkdir()
        async with open_door(url, folder, PEOPLE, tls=tls, client_tls=shown["client"], clients=clients) as door:
            token_file.write_text(TOKEN)
            alone = await door.ask("/Practitioner?name=lefevre", token="")
            assert alone.status == (401 if needs_token else 200)
            both = await door.ask("/Practitioner?name=lefevre")
            assert both.status == (200 if needs_token else 401)  # a token that we do not know is a wrong one
        async with open_door(url, folder, (), tls=tls, client_tls=shown["stranger"], clients=clients) as door:
            assert (await door.ask("/Practitioner?name=lefevre", token="")).status == 401
            assert (await door.ask("/Practitioner?name=lefevre")).status == 401


async def test_in_clear_nobody_is_answered(door: Door) -> None:
    """A token in clear is lost: the door says so instead of working."""
    beside = Beside(Extras(door.store, door.clock), door.clock)
    strict = FhirDoor(DirectoryDoor(Entries(door.store), Cursors(LOOKUP), beside), door.callers, version="test")
    async with TestClient(TestServer(strict.application())) as client:
        answer = await client.get("/Practitioner?name=lefevre", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status == 403
        assert "https" in await answer.text()


async def test_one_software_cannot_take_the_whole_door(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a few at once are told to come again; the others are answered."""
    monkeypatch.setattr("mss.fhir.server.AT_ONCE_OF_ONE", 2)
    replies = await asyncio.gather(*(door.ask("/Practitioner?phonetic=lefebvre") for _ in range(30)))
    assert {reply.status for reply in replies} <= {200, 429}
    assert any(reply.status == 200 for reply in replies)
    assert all(reply.headers["Retry-After"] for reply in replies if reply.status == 429)
    assert (await door.ask("/Practitioner?name=lefevre")).status == 200


async def test_the_journal_holds_numbers_and_no_names(
    door: Door, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who searched what is nobody's business; that a software searched, is."""
    await door.ask("/Practitioner?name=lefevre")
    await door.ask("/Practitioner?nom=lefevre")
    said = capsys.readouterr()
    text = said.out + said.err + caplog.text
    assert "fhir.answered" in text
    assert "software" in text
    assert "lefevre" not in text.lower()
    assert "camille" not in text.lower()
