"""The FHIR door on a real socket over a small directory, and a software that asks it."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from mss.accounts.software import SoftwareLogin
from mss.crypto import seal
from mss.crypto.keys import Lookup
from mss.directory.correspondence import CorrespondenceReader
from mss.directory.entries import Entries
from mss.directory.extras import Extras
from mss.directory.imports import Imports, Report
from mss.directory.ours import OwnMailboxes
from mss.directory.taking import Taking
from mss.fhir.beside import Beside
from mss.fhir.callers import Callers, Client
from mss.fhir.cursor import Cursors
from mss.fhir.directory import DirectoryDoor
from mss.fhir.publishing import PublishingDoor
from mss.fhir.server import PREFIX, FhirDoor
from mss.model.clock import ManualClock, SystemChance
from mss.store.database import Store
from tests.kit.databases import with_tables
from tests.kit.frenchpeople import HEADER, finess, rpps

TOKEN = "jeton-de-demonstration-de-quarante-lettres"
LOOKUP = Lookup(b"lookup key of the tests of the FHIR door")
CARDIOLOGY, GENERAL = ("SM04", "Cardiologie et maladies vasculaires"), ("SM26", "Qualifié en Médecine Générale")


def entry(
    kind: str,
    address: str,
    *,
    person: int = 0,
    name: tuple[str, str, str] = ("", "", ""),
    job: tuple[str, str] = ("", ""),
    specialty: tuple[str, str] = ("", ""),
    structure: tuple[int, str] = (0, ""),
    town: tuple[str, str] = ("", ""),
    service: str = "",
    paperless: str = "",
) -> str:
    """A line of the public file. `name`: civility, family, given; `town`: postal code, city."""
    who = f"8|{rpps(person)}|8{rpps(person)}" if person else "||"
    where = f"1|1{finess(structure[0])}" if structure[0] else "|"
    title, family, given = name
    code, city = town
    return (
        f"{kind}|{address}|{who}|{where}|{service}|{title}|{family}|{given}|{job[0]}|{job[1]}|{specialty[0]}|"
        f"{specialty[1]}|{paperless}|{structure[1]}|1|Rue des Tilleuls|{code} {city}|{code}|"
    )


DOCTOR, NURSE = ("10", "Médecin"), ("60", "Infirmier")
LYON, RENNES, PARIS = ("69003", "LYON 03"), ("35000", "RENNES"), ("75015", "PARIS 15")
CAMILLE, JEAN = ("DR", "LEFÈVRE", "Camille"), ("", "MARTIN-DUPONT", "Jean")
PEOPLE = [
    HEADER,
    entry("PER", "camille@ville.mssante.example", person=1, name=CAMILLE, job=DOCTOR, specialty=CARDIOLOGY,
          structure=(1, "Cabinet du Rhône"), town=LYON, paperless="O"),
    entry("PER", "camille.chu@chu.mssante.example", person=1, name=CAMILLE, job=DOCTOR, specialty=CARDIOLOGY,
          structure=(90, "CHU de Rennes"), town=RENNES),
    entry("PER", "marie@ville.mssante.example", person=2, name=("DR", "LEFEBVRE", "Marie-Claude"), job=DOCTOR,
          specialty=GENERAL, structure=(2, "Maison de santé des Lilas"), town=PARIS),
    entry("PER", "jean@ville.mssante.example", person=3, name=JEAN, job=NURSE, town=LYON),
    entry("CAB", "cabinet.jean@ville.mssante.example", person=3, name=JEAN, job=NURSE,
          structure=(1, "Cabinet du Rhône"), town=LYON),
    entry("PER", "zoe@ville.mssante.example", person=6, name=("DR", "LY", "Zoé"), job=DOCTOR,
          structure=(2, "Maison de santé des Lilas"), town=PARIS),
    entry("ORG", "cardio@chu.mssante.example", structure=(90, "CHU de Rennes"), town=RENNES,
          service="Secrétariat de cardiologie", paperless="O"),
    entry("APP", "dpi@chu.mssante.example", structure=(90, "CHU de Rennes"), town=RENNES, service="Dossier patient"),
    entry("ORG", "accueil@labo.mssante.example", structure=(0, "Laboratoire des Tilleuls"), town=PARIS),
]  # fmt: skip


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def resources(self) -> list[dict[str, Any]]:
        return [one["resource"] for one in self.body.get("entry", ()) if one["search"]["mode"] == "match"]

    @property
    def included(self) -> list[dict[str, Any]]:
        return [one["resource"] for one in self.body.get("entry", ()) if one["search"]["mode"] == "include"]

    @property
    def next(self) -> str:
        return next((one["url"] for one in self.body.get("link", ()) if one["relation"] == "next"), "")

    @property
    def says(self) -> str:
        """The words of an outcome."""
        return str(self.body["issue"][0]["details"]["text"])

    @property
    def ids(self) -> list[str]:
        return [one["id"] for one in self.resources]


def addresses(resources: Sequence[dict[str, Any]]) -> set[str]:
    """Every mailbox that some resources carry."""
    return {one["value"] for resource in resources for one in resource.get("telecom", ()) if one["system"] == "email"}


@dataclass
class Door:
    """An open door and the house behind it."""

    store: Store
    folder: Path
    clock: ManualClock
    callers: Callers
    port: int = 0
    scheme: str = "http"
    token: str = TOKEN
    client_tls: ssl.SSLContext | None = None
    session: aiohttp.ClientSession | None = None
    ours: OwnMailboxes | None = None

    @property
    def base(self) -> str:
        return f"{self.scheme}://localhost:{self.port}{PREFIX}"

    async def take(self, lines: Sequence[str], day: str = "20251201") -> Report:
        """Import a file of these lines."""
        file = self.folder / f"Extraction_{day}.txt"
        file.write_text("\n".join(lines), encoding="utf-8")
        service = Imports(self.store, self.folder / "work", self.clock)
        return await service.take(file, CorrespondenceReader(), lambda *_: None, accepts_losses=True)

    async def ask(
        self, path: str, *, method: str = "GET", headers: dict[str, str] | None = None, token: str | None = None,
        json: Any = None, data: Any = None,
    ) -> Reply:  # fmt: skip
        """One request. `token`: another one; empty: none."""
        assert self.session is not None
        shown = self.token if token is None else token
        sent = {"Authorization": f"Bearer {shown}"} if shown else {}
        url = path if path.startswith("http") else f"{self.base}{path}"
        async with self.session.request(
            method, url, headers=sent | (headers or {}), json=json, data=data, ssl=self.client_tls or True,
            allow_redirects=False,
        ) as answer:  # fmt: skip
            octets = await answer.read()
            body = await answer.json(content_type=None) if octets else {}
            return Reply(answer.status, answer.headers, body)

    async def everything(self, path: str, pages_max: int = 200) -> list[dict[str, Any]]:
        """Every page of a search."""
        found: list[dict[str, Any]] = []
        for _ in range(pages_max):
            reply = await self.ask(path)
            assert reply.status == 200, reply.body
            found += reply.resources
            if not (path := reply.next):
                return found
        raise AssertionError("this list does not end")


def copied(filled: Path, folder: Path) -> str:
    """The address of a copy of a directory that was imported once."""
    for file in filled.glob("mss.db*"):
        shutil.copy(file, folder)
    return f"sqlite:///{folder}/mss.db"


@asynccontextmanager
async def open_door(
    url: str,
    folder: Path,
    lines: Sequence[str] = PEOPLE,
    *,
    tls: ssl.SSLContext | None = None,
    client_tls: ssl.SSLContext | None = None,
    clients: Sequence[Client] | None = None,
    software: SoftwareLogin | None = None,
    publishes: frozenset[str] = frozenset(),
    own_domains: frozenset[str] = frozenset(),
) -> AsyncIterator[Door]:
    """A door over a directory of these lines, on a free port. `publishes`: for which domains its software may PATCH."""
    await with_tables(url)
    store, clock = Store.open(url), ManualClock()
    token_file = folder / "software.token"
    token_file.write_text(TOKEN)
    callers = Callers(clients or [Client("software", token_file, None, publishes)], software)
    door = Door(store, folder, clock, callers, scheme="https" if tls else "http", client_tls=client_tls)
    if lines:
        await door.take(lines)
    app = web.Application()
    door.ours = OwnMailboxes(store, LOOKUP, seal.new_pair(SystemChance()).public, clock, SystemChance())
    publishing = PublishingDoor(Taking(store, door.ours, clock, own_domains), Entries(store)) if publishes else None
    fhir = FhirDoor(
        DirectoryDoor(Entries(store), Cursors(LOOKUP), Beside(Extras(store, clock), clock)),
        callers,
        version="test",
        allows_plain=not tls,
        publishing=publishing,
    )
    app.add_subapp(PREFIX, fhir.application())
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    door.port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession() as door.session:
            yield door
    finally:
        await runner.cleanup()
        await store.close()
