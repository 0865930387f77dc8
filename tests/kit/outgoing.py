"""A queue with a courier on it: a real store, real sockets; trust and what the house notes are plain lists."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from mss.crypto import tls
from mss.crypto.authority import Issued
from mss.formats.dsn import RecipientStatus, wanted
from mss.mail.queue import Outgoing, OutgoingEnvelope, QueuePutter, QueueTaker
from mss.model.clock import ManualClock, to_ms
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.message import NOTHING_WISHED, DsnWish
from mss.model.verdict import Accept, Later, Reason, Refuse, Verdict
from mss.smtp.courier import Courier, Errand, TrustSpace
from mss.smtp.destination import Pace
from mss.smtp.identities import Identities, Identity
from mss.smtp.link import Patience
from mss.smtp.routes import Routes, Signposts
from mss.store import tasks
from mss.store.sql import Connection
from mss.store.tasks import Queued
from tests.kit.people import Cellar
from tests.kit.pki import Pki

SENDER = MailAddress.parse("marie.dubois@chu.mssante.example")
WAIT_S = 20.0

QUICK = Patience(open_s=10, command_s=10, block_s=10, end_of_data_s=10, goodbye_s=0.2)
BRISK = Pace(idle_s=1.0, rest_first_s=1.0)


@dataclass
class FakeTrust:
    """Domain to the certificates under which it is served."""

    listed: dict[str, set[bytes]] = field(default_factory=dict)
    is_stale: bool = False

    def domain(self, domain: str) -> Verdict:
        if self.is_stale:
            return Later(Reason.TRUST_LIST_STALE)
        return Accept() if domain in self.listed else Refuse(Reason.RECIPIENT_OUTSIDE_TRUST_SPACE, domain)

    async def inquire(self, certificate_der: bytes) -> None:
        pass

    def server(self, domain: str, certificate_der: bytes) -> Verdict:
        if not isinstance(verdict := self.domain(domain), Accept):
            return verdict
        return Accept() if certificate_der in self.listed[domain] else Later(Reason.PEER_CERTIFICATE_WRONG)


@dataclass
class Notes:
    """What the house noted."""

    relayed_to: list[tuple[str, str]] = field(default_factory=list)
    """Recipient and host."""
    failures: list[RecipientStatus] = field(default_factory=list)
    put_off_for: list[str] = field(default_factory=list)
    told: list[tuple[RecipientStatus, ...]] = field(default_factory=list)
    """Each report that its sender wants."""
    rooms: dict[str, int] = field(default_factory=dict)

    def learned_room(self, connection: Connection, domain: str, octets: int) -> None:
        self.rooms[domain] = octets

    def relayed(self, connection: Connection, mail: Outgoing, recipients: Sequence[MailAddress], host: str) -> None:
        self.relayed_to += [(str(recipient), host) for recipient in recipients]

    def failed(self, connection: Connection, mail: Outgoing, failures: Sequence[RecipientStatus]) -> None:
        self.failures += failures

    def put_off(self, connection: Connection, mail: Outgoing, why: str) -> None:
        self.put_off_for.append(why)

    def tell(self, connection: Connection, mail: Outgoing, statuses: Sequence[RecipientStatus]) -> None:
        if told := wanted(mail.envelope.wish, statuses):
            self.told.append(told)


@dataclass
class Outbox:
    """The queue, its courier, and what came of it."""

    cellar: Cellar
    clock: ManualClock
    owner: OwnerId
    trust: FakeTrust
    notes: Notes
    routes: dict[str, tuple[str, int] | None]
    putter: QueuePutter
    courier: Courier
    worn: dict[str, ssl.SSLContext]

    def wear(self, pki: Pki, issued: Issued) -> None:
        """Our certificate is renewed."""
        self.worn["usual"] = _shows(pki, issued)

    async def put(
        self,
        raw: bytes,
        *recipients: str,
        sender: MailAddress | None = SENDER,
        hop: str = "",
        attempts: int = 0,
        wish: DsnWish = NOTHING_WISHED,
    ) -> None:
        """Queue a message, tried so often already; all recipients are of one domain unless a hop is named."""
        addresses = tuple(map(MailAddress.parse, recipients))
        envelope = OutgoingEnvelope(sender, addresses, "<1@chu.mssante.example>", wish)
        prepared = await self.putter.prepare(self.owner, hop or addresses[0].domain, envelope, raw)
        tried = replace(prepared, mail=replace(prepared.mail, attempts=attempts))
        await self.cellar.store.write(lane_of(self.owner), tried.put)
        self.courier.wake()

    async def rows(self) -> list[Queued]:
        """What has not left."""
        return await self.cellar.store.read(tasks.list_queue)

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not is_so():
                await asyncio.sleep(0.01)

    async def until_rows(self, are_so: Callable[[list[Queued]], bool]) -> list[Queued]:
        """Until the queue, as committed, is so."""
        async with asyncio.timeout(WAIT_S):
            while not are_so(rows := await self.rows()):
                await asyncio.sleep(0.02)
        return rows

    async def until_empty(self) -> None:
        await self.until_rows(lambda rows: not rows)

    async def until_put_off(self, attempts: int = 1) -> list[Queued]:
        """Until every row has been tried so often and waits again for its time."""
        now_ms = to_ms(self.clock.now())
        return await self.until_rows(
            lambda rows: all(row.attempts >= attempts and row.next_try_ms > now_ms for row in rows)
        )

    def later(self, seconds: float) -> None:
        """Time passes, and the courier looks again."""
        self.clock.forward(seconds)
        self.courier.wake()

    def trust_host(self, domain: str, port: int, *issued: Issued) -> None:
        """List a domain, with a route to a port of this machine."""
        self.trust.listed[domain] = {one.der for one in issued}
        self.routes[domain] = ("127.0.0.1", port)


@asynccontextmanager
async def outbox(
    cellar: Cellar,
    pki: Pki,
    *,
    shows: Issued | None = None,
    pace: Pace = BRISK,
    patience: Patience = QUICK,
    worker: str = "courier",
    gate: TrustSpace | None = None,
    more: dict[str, Issued] | None = None,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> AsyncIterator[Outbox]:
    """The hospital's queue with a running courier, which shows the hospital's certificate unless told otherwise, for
    some of its domains one of `more`; `gate` judges in place of the plain lists of `trust`."""
    owner = await cellar.professional(str(SENDER)) if worker == "courier" else OwnerId(1)
    worn = {"usual": _shows(pki, shows or pki.hospital, version)}
    worn |= {domain: _shows(pki, one, version) for domain, one in (more or {}).items()}
    identities = {name: Identity(name, partial(worn.__getitem__, name)) for name in worn}
    trust, notes, routes = FakeTrust(), Notes(), dict[str, tuple[str, int] | None]({"*": None})
    routed: Routes = routes
    putter = QueuePutter(cellar.bodies, cellar.public, cellar.clock, cellar.chance)
    errand = Errand(
        hostname="smtp.chu.mssante.example",
        identities=Identities(identities.pop("usual"), identities),
        trust=gate or trust,
        signposts=Signposts(routed, cellar.chance),
        outcomes=notes,
    )
    taker = QueueTaker(cellar.store, cellar.bodies, cellar.private.outbound, cellar.clock, worker)
    courier = Courier(taker, putter, errand, cellar.clock, pace=pace, patience=patience)
    running = asyncio.create_task(courier.run())
    try:
        yield Outbox(cellar, cellar.clock, owner, trust, notes, routes, putter, courier, worn)
    finally:
        await courier.stop(grace_s=0.5)
        await asyncio.wait_for(running, 5)


def _shows(pki: Pki, issued: Issued, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = tls.relay_client_context(issued.certificate_pem, issued.key_pem, pki.authority.bundle_pem)
    context.maximum_version = version
    return context
