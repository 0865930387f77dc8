"""Both ends of an SMTP connection for tests: doors that listen on real sockets with real TLS, and a client that
says exactly what it is told, right or wrong."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from mss.crypto import tls
from mss.crypto.authority import Issued
from mss.mail.reception import Peer, Reception
from mss.model.clock import ManualClock
from mss.model.errors import StorageUnavailable
from mss.model.ids import MailAddress, OwnerId
from mss.smtp.limits import Limits
from mss.smtp.meters import Caps, Meter
from mss.smtp.server import RelayServer
from mss.smtp.submission import EXTERNAL, Attempt, SubmissionServer
from mss.store.spool import SpoolRoom
from tests.kit.pki import HOSPITAL_DOMAIN, LAB_DOMAIN, Pki
from tests.kit.reception import FakeJudge, FakeReception

LAB_SENDER = f"bio@{LAB_DOMAIN}"
DOCTOR = f"marie.dubois@{HOSPITAL_DOMAIN}"
PASSWORD = "abcd-efgh-ijkl-mnop"
PATIENCE_S = 20  # of a test for one reply; the doors' own deadlines are shorter

MESSAGE = (
    f"From: Laboratoire des Tilleuls <{LAB_SENDER}>\r\nTo: {DOCTOR}\r\nSubject: Compte rendu\r\n"
    "Date: Mon, 5 Jan 2026 10:00:00 +0100\r\nMessage-ID: <1@labo.mssante.example>\r\n\r\nBonjour.\r\n"
).encode()


@dataclass(frozen=True)
class Heard:
    """A reply as it came."""

    lines: tuple[str, ...]

    @property
    def code(self) -> int:
        return int(self.lines[0][:3])

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def __str__(self) -> str:
        return self.text


class SmtpClient:
    """Says octets, hears replies."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int, context: ssl.SSLContext | None = None, address: str = "127.0.0.1") -> SmtpClient:
        """From an address of this machine."""
        streams = await asyncio.open_connection("127.0.0.1", port, ssl=context, limit=1 << 20, local_addr=(address, 0))
        return cls(*streams)

    async def say(self, octets: bytes) -> None:
        self.writer.write(octets)
        await self.writer.drain()

    async def hear(self) -> Heard:
        """The next reply, all its lines. Raises EOFError when there is none any more."""
        lines: list[str] = []
        while True:
            line = await asyncio.wait_for(self.reader.readline(), PATIENCE_S)
            if not line:
                raise EOFError
            assert line.endswith(b"\r\n"), line
            lines.append(line[:-2].decode("ascii"))
            if lines[-1][3:4] != "-":
                return Heard(tuple(lines))

    async def ask(self, command: str) -> Heard:
        await self.say(command.encode() + b"\r\n")
        return await self.hear()

    async def encrypt(self, context: ssl.SSLContext) -> None:
        await self.writer.start_tls(context)

    async def is_closed(self) -> bool:
        """True when the other side has nothing more to say and hangs up."""
        try:
            return await asyncio.wait_for(self.reader.read(1), PATIENCE_S) == b""
        except ConnectionError:
            return True

    async def hears_to_the_end(self) -> str:
        """Everything that still comes, until the other side hangs up."""
        said = b""
        try:
            while octets := await asyncio.wait_for(self.reader.read(65536), PATIENCE_S):
                said += octets
        except ConnectionError:
            pass
        return said.decode("ascii")

    async def go_to_recipient(self, sender: str = LAB_SENDER, recipient: str = DOCTOR) -> None:
        for command in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>"):
            heard = await self.ask(command)
            assert heard.code == 250, heard

    async def go_to_data(self, sender: str = LAB_SENDER, recipient: str = DOCTOR) -> None:
        await self.go_to_recipient(sender, recipient)
        heard = await self.ask("DATA")
        assert heard.code == 354, heard

    async def send(self, message: bytes = MESSAGE, sender: str = LAB_SENDER, recipient: str = DOCTOR) -> Heard:
        """One message, command by command."""
        await self.go_to_data(sender, recipient)
        await self.say(message + b".\r\n")
        return await self.hear()

    async def close(self) -> None:
        self.writer.close()
        try:
            await asyncio.wait_for(self.writer.wait_closed(), PATIENCE_S)
        except (OSError, TimeoutError):
            pass


@dataclass
class SmtpHouse:
    """Listening doors with one reception behind them."""

    pki: Pki
    reception: FakeReception
    judge: FakeJudge
    relay: RelayServer
    submission: SubmissionServer
    submissions: SubmissionServer
    clock: ManualClock
    ports: dict[str, int] = field(default_factory=dict)
    disk_is_full: bool = False

    def shows(self, issued: Issued | None) -> ssl.SSLContext:
        """A client that shows this certificate, or none."""
        if issued is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        return tls.relay_client_context(issued.certificate_pem, issued.key_pem, self.pki.authority.bundle_pem)

    async def visitor(self, door: str = "relay") -> SmtpClient:
        """Connected and greeted, nothing said yet."""
        client = await SmtpClient.connect(self.ports[door], self.shows(None) if door == "submissions" else None)
        assert (await client.hear()).code == 220
        return client

    async def peer(self, shown: Issued | None = None, address: str = "127.0.0.1") -> SmtpClient:
        """The laboratory's server, encrypted, known and introduced; or whoever has this certificate."""
        client = await SmtpClient.connect(self.ports["relay"], address=address)
        assert (await client.hear()).code == 220
        assert (await client.ask("EHLO smtp.labo.mssante.example")).code == 250
        assert (await client.ask("STARTTLS")).code == 220
        await client.encrypt(self.shows(shown or self.pki.lab))
        assert (await client.ask("EHLO smtp.labo.mssante.example")).code == 250
        return client


@dataclass(frozen=True)
class Behind:
    """A real house behind the doors, instead of one that keeps everything in a list."""

    intake: Reception
    submission: Reception
    doctor: OwnerId
    """Who signs in as DOCTOR."""


@asynccontextmanager
async def smtp_house(
    pki: Pki,
    limits: Limits | None = None,
    behind: Behind | None = None,
    caps: Caps | None = None,
    spools: SpoolRoom | None = None,
) -> AsyncIterator[SmtpHouse]:
    """The hospital's doors, open."""
    reception, judge, clock = FakeReception(), FakeJudge(pki), ManualClock()
    doctor = behind.doctor if behind else OwnerId(1)
    roots, own = pki.authority.bundle_pem, pki.hospital
    relay_tls = tls.TlsHolder(lambda: tls.relay_server_context(own.certificate_pem, own.key_pem, roots))
    service_tls = tls.TlsHolder(lambda: tls.service_server_context(own.certificate_pem, own.key_pem, roots))
    hostname, postmaster = "smtp.chu.mssante.example", MailAddress.parse(f"postmaster@{HOSPITAL_DOMAIN}")

    meters = {door: Meter(caps or Caps(), clock) for door in ("relay", "submission")}

    def has_disk_space() -> bool:
        return not house.disk_is_full

    async def authenticate(attempt: Attempt) -> Peer | None:
        if attempt.username == "no-store":
            raise StorageUnavailable("no room")
        by_certificate = attempt.mechanism == EXTERNAL and attempt.certificate_der == pki.lab.der
        if by_certificate or (attempt.username, attempt.secret) == (DOCTOR, PASSWORD):
            return Peer(DOCTOR, account=doctor)
        return None

    def submission(*, is_tls_from_start: bool) -> SubmissionServer:
        return SubmissionServer(
            hostname=hostname,
            tls=lambda: service_tls.current,
            authenticate=authenticate,
            reception=behind.submission if behind else reception,
            clock=clock,
            limits=limits,
            meter=meters["submission"],
            has_disk_space=has_disk_space,
            postmaster=postmaster,
            is_tls_from_start=is_tls_from_start,
            spools=spools,
        )

    relay = RelayServer(
        hostname=hostname,
        tls=lambda: relay_tls.current,
        judge=judge,
        reception=behind.intake if behind else reception,
        clock=clock,
        limits=limits,
        meter=meters["relay"],
        has_disk_space=has_disk_space,
        postmaster=postmaster,
        spools=spools,
    )
    house = SmtpHouse(
        pki, reception, judge, relay, submission(is_tls_from_start=False), submission(is_tls_from_start=True), clock
    )
    doors = {"relay": relay, "submission": house.submission, "submissions": house.submissions}
    try:
        for name, door in doors.items():
            house.ports[name] = await door.start("127.0.0.1", 0)
        yield house
    finally:
        for door in doors.values():
            await door.stop(grace_s=0.2)
