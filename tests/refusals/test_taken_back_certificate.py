"""Software whose certificate is taken back while its sessions only wait is shown out, within the minute."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mss.accounts.knocks import Knocks
from mss.accounts.shown import Shown, ShownCertificates
from mss.accounts.software import SoftwareLogin
from mss.assembly import edge
from mss.crypto import tls
from mss.crypto.examiner import Examiner
from mss.directory.responders import Responders
from mss.foundation import Foundation
from mss.imap.mailacts import CellarMailStore
from mss.imap.people import MailLogin
from mss.imap.server import ImapServer
from mss.imap.state import Settings
from mss.model.clock import ManualClock, SeededChance
from mss.model.mailbox import MailboxKind
from mss.smtp.submission import SubmissionServer
from mss.store.changes import ChangeBus
from tests.kit.gate import trust_files
from tests.kit.imap_house import SOFTWARE, software
from tests.kit.people import Cellar, cellar
from tests.kit.pki import Pki, session_pki
from tests.kit.reception import FakeReception
from tests.kit.responder import REVOKED, responder
from tests.kit.smtp_wire import SmtpClient

LOOK_S = 0.05
"""In place of 20 and 30 s."""
ENOUGH_S = 20.0


@dataclass
class Doors:
    """Both doors of one operator, and how its software's certificate is taken back."""

    pki: Pki
    imap_port: int
    submission_port: int
    take_back: Callable[[], None]

    async def client(self, port: int) -> SmtpClient:
        """Encrypted, with the software's certificate."""
        own = software(self.pki)
        shows = tls.relay_client_context(own.certificate_pem, own.key_pem, self.pki.authority.bundle_pem)
        return await SmtpClient.connect(port, shows)

    async def mail_client(self, *commands: str) -> SmtpClient:
        """Signed in by IMAP, and then so many commands on, each to its answer."""
        client = await self.client(self.imap_port)
        await client.reader.readline()
        for number, command in enumerate(("AUTHENTICATE EXTERNAL =", *commands)):
            await client.say(f"{number} {command}\r\n".encode())
            while not (line := await client.reader.readline()).startswith((b"%d OK" % number, b"+ idling")):
                assert line.startswith(b"*"), line
        return client


@pytest.fixture(params=["list", "responder"])
async def doors(request: pytest.FixtureRequest, tmp_path: Path, chance: SeededChance) -> AsyncIterator[Doors]:
    """Taken back by its authority's list, or by what a responder says while lists still know nothing."""
    pki = session_pki()
    clock = ManualClock(at=pki.now)
    files, roots = trust_files(pki, tmp_path, clock=clock), pki.authority.certificates
    async with (
        responder(pki.authority, clock.now) as told,
        cellar(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance) as below,
    ):
        asked = None if request.param == "list" else Responders(roots, clock, url=told.url)
        shown = ShownCertificates(Examiner(roots), lambda: files.gate.lists, clock, asked).subject
        subject, serial = str(software(pki).subject), software(pki).certificate.serial_number
        known = SoftwareLogin(below.store, below.public.lookup, clock, chance)
        await known.allow_certificate(await below.professional(SOFTWARE, MailboxKind.APPLICATION), subject)

        def take_back() -> None:
            if asked is None:
                files.take_back(software(pki).certificate)
            else:
                told.states[serial] = REVOKED
                clock.forward(3600)  # until it is asked again

        own = pki.hospital
        holder = tls.TlsHolder(
            lambda: tls.service_server_context(own.certificate_pem, own.key_pem, pki.authority.bundle_pem)
        )
        imap, submission = _imap(below, known, shown, holder), _submission(below, shown, holder)
        looking = asyncio.create_task(submission.keep_looking())
        yield Doors(
            pki,
            await imap.listen("127.0.0.1", 0, implicit_tls=True),
            await submission.start("127.0.0.1", 0),
            take_back,
        )
        looking.cancel()
        await imap.close(grace_s=0.2)
        await submission.stop(grace_s=0.2)


def _imap(below: Cellar, known: SoftwareLogin, shown: Shown, holder: tls.TlsHolder) -> ImapServer:
    store, opener, clock, chance = below.store, below.opener, below.clock, below.chance
    mail = CellarMailStore(store, opener, below.bodies, ChangeBus("test"), below.public.lookup, clock, chance)
    login = MailLogin(known, store, opener, clock, chance, Knocks(clock), shown=shown)
    settings = Settings("imap.chu.mssante.example", poll_s=LOOK_S, review_s=0, idle_s=86_400)
    return ImapServer(mail, login.authenticate, clock, settings, holder, review=login.review)


def _submission(below: Cellar, shown: Shown, holder: tls.TlsHolder) -> SubmissionServer:
    ground = cast(
        Foundation,
        SimpleNamespace(store=below.store, public=below.public, clock=below.clock, chance=below.chance),
    )
    return SubmissionServer(
        hostname="smtp.chu.mssante.example",
        tls=lambda: holder.current,
        authenticate=edge._mail_login(ground, shown),
        still_opens=edge._still_opens(ground, shown),
        reception=FakeReception(),
        clock=below.clock,
        is_tls_from_start=True,
        look_every_s=LOOK_S,
    )


async def test_sessions_that_only_wait_end(doors: Doors) -> None:
    """In IDLE, with a folder open, freshly signed in, and at submission: none has to take a step first, and none is
    let in again."""
    idle = await doors.mail_client("SELECT INBOX", "IDLE")
    open_ = await doors.mail_client("SELECT INBOX")
    fresh = await doors.mail_client()
    sender = await doors.client(doors.submission_port)
    await sender.hear()
    await sender.ask("EHLO dpi.chu.mssante.example")
    assert (await sender.ask("AUTH EXTERNAL =")).code == 235
    assert (await sender.ask("NOOP")).code == 250
    doors.take_back()
    async with asyncio.timeout(ENOUGH_S):
        for client in (idle, open_, fresh):
            assert await client.reader.readline() == b"* BYE This account is closed for now\r\n"
            assert await client.reader.read() == b""
        assert (await sender.hear()).code == 421
        assert await sender.is_closed()
    again = await doors.client(doors.imap_port)
    await again.reader.readline()
    await again.say(b"a AUTHENTICATE EXTERNAL =\r\n")
    assert (await again.reader.readline()).startswith(b"a NO [AUTHENTICATIONFAILED]")
    await again.close()
