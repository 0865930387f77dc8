"""A house whose documents a hospital's own software wants: everything between filing and that software's door."""

from __future__ import annotations

import ssl
from pathlib import Path

from mss.bridge.dossier import Dossiers
from mss.bridge.routing import Route, Take
from mss.bridge.settling import Settling
from mss.bridge.sink import Sink
from mss.bridge.sinkdesk import SinkDesk
from mss.bridge.sinks import SinkWatch, SinkWorker
from mss.crypto.tls import service_server_context
from mss.formats.mdm import Unit
from mss.mail.holding import Holder
from mss.sandbox.pool import Sandbox
from mss.store import handovers
from tests.kit.documents import OUR_OID, ZOE, Person, describe, make_cda, make_package
from tests.kit.house import HOSPITAL, LABORATORY, PATIENTS, House, Patient
from tests.kit.pki import Pki

UNIT = Unit("Service d'urologie", "120456789", "UF", "3435")
EVERYTHING = (Route("dpi", (Take(unit=UNIT),)),)


class Hospital:
    """Call `use` before anything is handed over."""

    def __init__(self, house: House, sandbox: Sandbox) -> None:
        self.house, self.sandbox = house, sandbox
        below, clock, chance = house.cellar, house.clock, house.cellar.chance
        self.route(*EVERYTHING)
        by_name = {route.sink: route for route in EVERYTHING}
        self.dossiers = Dossiers(house.store, below.opener, house.records, by_name, PATIENTS)
        holder, key = Holder(below.public, clock, chance), below.public.tasks
        self.settling = Settling(house.store, self.dossiers, holder, key, HOSPITAL, house.bus, clock, chance)
        self.desk = SinkDesk(house.store, self.settling, house.bus, clock, "staff:1")
        self.watch = SinkWatch(self.settling)
        self.sink: Sink
        self.worker: SinkWorker

    def use(self, sink: Sink) -> None:
        """The worker, as after a start of the process."""
        self.sink, house = sink, self.house
        self.worker = SinkWorker(sink, house.store, self.dossiers, self.settling, house.clock, "test")

    def route(self, *routes: Route) -> None:
        self.house.routes = routes
        self.house.read_with(self.sandbox)

    async def hand_over(self) -> None:
        """Until nothing more is settled."""
        while await self.worker.round():
            continue
        await self.sink.close()

    async def open_rows(self) -> list[handovers.Handover]:
        return await self.house.store.read(handovers.open_rows)

    async def withdraw(self, patient: Patient, content: bytes) -> None:
        """Its author takes a document back."""
        archive = make_package(describe(content, action="D"))
        await self.house.deliver(self.house.health_mail(patient.address, archive=archive), LABORATORY, patient.address)
        await self.house.run_tasks()


def demanding(pki: Pki, folder: Path) -> ssl.SSLContext:
    """The software's side of TLS: it wants a certificate from whoever calls."""
    certificate, key = pki.hospital.write(folder, "record")
    context = service_server_context(certificate, key, pki.authority.bundle_pem)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def report(number: int, person: Person = ZOE, *, replaces: int = 0, version: int = 1) -> bytes:
    """A document of that number; versions of one set."""
    return make_cda(
        person,
        unique_id=f"{OUR_OID}.1^{number}",
        set_id=f"{OUR_OID}.2^{replaces or number}",
        replaces=f"{OUR_OID}.1^{replaces}" if replaces else "",
        version=version,
    )
