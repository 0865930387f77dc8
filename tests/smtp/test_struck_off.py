"""A peer that is struck off, or whose certificate is taken back, is refused on its next message: of a session that
runs, and of one that is resumed without showing the certificate again."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from mss.crypto import tls
from mss.smtp.server import RelayServer
from tests.kit.gate import TrustFiles, trust_files
from tests.kit.pki import LAB_DOMAIN, Pki
from tests.kit.reception import FakeReception
from tests.kit.smtp_wire import LAB_SENDER, SmtpClient

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
REFUSED = {"revoked": "550 5.7.1 Certificate revoked", "struck off": "550 5.7.1 Certificate is not in the trust list"}


@dataclass
class Scene:
    """The hospital's relay with real lists, and a laboratory that may be struck off them."""

    pki: Pki
    files: TrustFiles
    context: ssl.SSLContext
    port: int

    def turn_away(self, what: str) -> None:
        if what == "revoked":
            self.files.take_back(self.pki.lab.certificate)
        else:
            self.files.list([one for one in self.pki.entries() if one.domain != LAB_DOMAIN])

    async def peer(self, shows: ssl.SSLContext, session: ssl.SSLSession | None = None) -> SmtpClient:
        """Encrypted and introduced, in a session of before if one is given."""
        client = await SmtpClient.connect(self.port)
        await client.hear()
        await client.ask("EHLO smtp.labo.mssante.example")
        await client.ask("STARTTLS")
        shows.sslobject_class = _resuming(session)
        await client.encrypt(shows)
        await client.ask("EHLO smtp.labo.mssante.example")
        return client


def _resuming(wanted: ssl.SSLSession | None) -> type[ssl.SSLObject]:
    """asyncio has no argument for it: the session is asked for before the first octet of the handshake."""

    class Resuming(ssl.SSLObject):
        is_begun = False

        def do_handshake(self) -> None:
            if wanted is not None and not self.is_begun:
                self.session = wanted
            self.is_begun = True
            super().do_handshake()

    return Resuming


def _tls(client: SmtpClient) -> ssl.SSLObject:
    return cast(ssl.SSLObject, client.writer.get_extra_info("ssl_object"))


@pytest.fixture
async def scene(pki: Pki, tmp_path: Path) -> AsyncIterator[Scene]:
    files = trust_files(pki, tmp_path)
    own = pki.hospital
    context = tls.relay_server_context(own.certificate_pem, own.key_pem, pki.authority.bundle_pem)
    door = RelayServer(
        hostname="smtp.chu.mssante.example",
        tls=lambda: context,
        judge=files.gate,
        reception=FakeReception(),
        clock=files.clock,
    )
    yield Scene(pki, files, context, await door.start("127.0.0.1", 0))
    await door.stop(grace_s=0.2)


def _shows(pki: Pki, version: ssl.TLSVersion) -> ssl.SSLContext:
    shows = tls.relay_client_context(pki.lab.certificate_pem, pki.lab.key_pem, pki.authority.bundle_pem)
    shows.maximum_version = version
    return shows


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("what", REFUSED)
async def test_the_next_message_of_a_running_session_is_refused(
    scene: Scene, version: ssl.TLSVersion, what: str
) -> None:
    """The session stays; what was true when it began is asked again before each message."""
    client = await scene.peer(_shows(scene.pki, version))
    assert (await client.send()).code == 250
    scene.turn_away(what)
    assert (await client.ask(f"MAIL FROM:<{LAB_SENDER}>")).text == REFUSED[what]
    await client.close()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("what", REFUSED)
async def test_a_resumed_session_is_judged_by_the_certificate_of_before(
    scene: Scene, version: ssl.TLSVersion, what: str
) -> None:
    """Tickets switched on, as another build of TLS might have them: mail goes on in a resumed session while the peer is
    welcome, and not a message longer."""
    scene.context.options &= ~ssl.OP_NO_TICKET
    scene.context.num_tickets = 2
    shows = _shows(scene.pki, version)
    first = await scene.peer(shows)
    assert (await first.send()).code == 250
    session = _tls(first).session
    assert session is not None
    assert session.has_ticket
    await first.close()
    again = await scene.peer(shows, session)
    assert _tls(again).session_reused
    assert (await again.send()).code == 250
    scene.turn_away(what)
    assert (await again.ask(f"MAIL FROM:<{LAB_SENDER}>")).text == REFUSED[what]
    await again.close()
    later = await scene.peer(shows, session)
    assert (await later.ask(f"MAIL FROM:<{LAB_SENDER}>")).text == REFUSED[what]
    await later.close()


async def test_our_door_itself_gives_no_tickets(scene: Scene) -> None:
    """With TLS 1.3 nothing is resumed; with 1.2 by session number, and judged like any other."""
    for version in VERSIONS:
        shows = _shows(scene.pki, version)
        first = await scene.peer(shows)
        assert (await first.send()).code == 250
        session = _tls(first).session
        assert session is None or not session.has_ticket
        await first.close()
        again = await scene.peer(shows, session)
        assert not (_tls(again).session_reused and version is ssl.TLSVersion.TLSv1_3)
        assert (await again.send()).code == 250
        scene.turn_away("revoked")
        assert (await again.ask(f"MAIL FROM:<{LAB_SENDER}>")).text == REFUSED["revoked"]
        await again.close()
        scene.files.clock.forward(1)
        scene.files.take_back()
