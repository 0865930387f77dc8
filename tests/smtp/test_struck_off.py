"""A peer that is struck off, or whose certificate is taken back, is refused on its next message of the session."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from mss.crypto import tls
from mss.crypto.certs import Examiner
from mss.directory.feed import ListTrust, RevocationFeed, TrustFeed
from mss.directory.sources import FileSource
from mss.mail.peers import TrustGate
from mss.model.clock import ManualClock
from mss.model.ids import MailAddress
from mss.smtp.server import RelayServer
from tests.kit.pki import HOSPITAL_DOMAIN, LAB_DOMAIN, LIST_SIGNER, Pki
from tests.kit.reception import FakeReception
from tests.kit.smtp_wire import LAB_SENDER, SmtpClient


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("what", ["revoked", "struck off"])
async def test_the_next_message_of_a_running_session_is_refused(
    pki: Pki, tmp_path: Path, version: ssl.TLSVersion, what: str
) -> None:
    """The session stays; what was true when it began is asked again before each message."""
    listing, crl, root_crl = tmp_path / "list.xml", tmp_path / "a.crl", tmp_path / "b.crl"
    listing.write_bytes(pki.signed_list())
    crl.write_bytes(pki.authority.crl([], now=pki.now))
    root_crl.write_bytes(pki.authority.root_crl(now=pki.now))
    roots, clock = pki.authority.certificates, ManualClock(at=pki.now)
    feed = TrustFeed(FileSource(listing), ListTrust(roots, roots, [LIST_SIGNER.common_name]), clock)
    gate = TrustGate(feed, RevocationFeed([FileSource(crl), FileSource(root_crl)], roots), Examiner(roots), clock)
    gate.refresh()
    bundle, own, lab = pki.authority.bundle_pem, pki.hospital, pki.lab
    door = RelayServer(
        hostname="smtp.chu.mssante.example",
        tls=lambda: tls.relay_server_context(own.certificate_pem, own.key_pem, bundle),
        judge=gate,
        reception=FakeReception(),
        clock=clock,
        postmaster=MailAddress.parse(f"postmaster@{HOSPITAL_DOMAIN}"),
    )
    port = await door.start("127.0.0.1", 0)
    client = await SmtpClient.connect(port)
    await client.hear()
    await client.ask("EHLO smtp.labo.mssante.example")
    await client.ask("STARTTLS")
    shows = tls.relay_client_context(lab.certificate_pem, lab.key_pem, bundle)
    shows.maximum_version = version
    await client.encrypt(shows)
    await client.ask("EHLO smtp.labo.mssante.example")
    assert (await client.send()).code == 250
    if what == "revoked":
        crl.write_bytes(pki.authority.crl([lab.certificate], now=pki.now))
        gate.refresh()
    else:
        listing.write_bytes(pki.signed_list([one for one in pki.entries() if one.domain != LAB_DOMAIN]))
        assert feed.refresh(accept_shrink=True).taken
    assert (await client.ask(f"MAIL FROM:<{LAB_SENDER}>")).text.startswith("550 5.7.1 ")
    await client.close()
    await door.stop(grace_s=0.2)
