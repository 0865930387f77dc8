"""An operator with several domains and certificates: mail of each leaves under its own, and each host shows its own."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mss.assembly import works
from mss.assembly.process import Process
from mss.config import load
from mss.crypto.authority import Issued, Subject
from mss.foundation import Foundation
from mss.model.clock import ManualClock, SeededChance
from mss.model.ids import MailAddress
from tests.cli.conftest import SETTINGS
from tests.crypto.test_tls import handshake_in_memory
from tests.kit.outgoing import SENDER, Outbox, outbox
from tests.kit.people import cellar
from tests.kit.pki import HOSPITAL_DOMAIN, LAB_DOMAIN, Pki
from tests.kit.smtp_wire import MESSAGE
from tests.kit.strange_peer import StrangePeer, answers_as, strange_peer

CLINIC_DOMAIN = "clinique.mssante.example"
CLINIC = Subject("smtp.clinique.mssante.example", "1690000002", "CLINIQUE DES ACACIAS")
NURSE = MailAddress.parse(f"accueil@{CLINIC_DOMAIN}")
BIO = f"bio@{LAB_DOMAIN}"


@dataclass
class Scene:
    out: Outbox
    peer: StrangePeer
    clinic: Issued


@pytest.fixture
async def scene(pki: Pki, tmp_path: Path, clock: ManualClock, chance: SeededChance) -> AsyncIterator[Scene]:
    """The hospital, which holds the clinic's domain and certificate as well, and the laboratory's server."""
    clinic = pki.authority.issue(CLINIC, now=pki.now)
    async with (
        cellar(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance) as stocked,
        outbox(stocked, pki, more={CLINIC_DOMAIN: clinic}) as out,
        strange_peer(answers_as(pki, pki.lab)) as peer,
    ):
        out.trust_host(LAB_DOMAIN, peer.port, pki.lab)
        yield Scene(out, peer, clinic)


def _report(domain: str) -> bytes:
    return f"From: <postmaster@{domain}>\r\nAuto-Submitted: auto-replied\r\n\r\nx\r\n".encode()


async def test_mail_of_each_domain_leaves_under_its_own_certificate(pki: Pki, scene: Scene) -> None:
    """In turn, at once, and a report under the certificate of the domain in its From; a few connections do."""
    for number in range(10):
        await scene.out.put(MESSAGE + b"%d\r\n" % number, BIO)
        await scene.out.put(MESSAGE + b"c%d\r\n" % number, BIO, sender=NURSE)
    await scene.out.until_empty()
    shown = {(line.split(" ")[1], der) for line, der in scene.peer.callers}
    assert shown == {(f"FROM:<{SENDER}>", pki.hospital.der), (f"FROM:<{NURSE}>", scene.clinic.der)}
    assert len(scene.peer.messages) == 20
    assert scene.peer.connections <= 8, "four workers, two certificates"
    for domain, issued in ((CLINIC_DOMAIN, scene.clinic), (HOSPITAL_DOMAIN, pki.hospital)):
        await scene.out.put(_report(domain), BIO, sender=None)
        await scene.out.until_empty()
        assert scene.peer.callers[-1][1] == issued.der
    await scene.out.put(b"Subject: nobody\r\n\r\nx\r\n", BIO, sender=None)
    await scene.out.until_empty()
    assert scene.peer.callers[-1][1] == pki.hospital.der, "the usual one"


async def test_one_certificate_that_is_refused_keeps_only_its_own_mail(
    pki: Pki, tmp_path: Path, clock: ManualClock, chance: SeededChance
) -> None:
    """The clinic forgot to renew: its mail waits with that reason, the hospital's to the same host goes on."""
    over = pki.authority.issue(CLINIC, now=pki.now - timedelta(days=400), days=365)
    async with (
        cellar(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance) as stocked,
        outbox(stocked, pki, more={CLINIC_DOMAIN: over}) as out,
        strange_peer(answers_as(pki, pki.lab)) as peer,
    ):
        out.trust_host(LAB_DOMAIN, peer.port, pki.lab)
        for number in range(6):
            await out.put(MESSAGE + b"%d\r\n" % number, BIO, sender=SENDER if number % 2 else NURSE)
        rows = await out.until_rows(lambda rows: len(rows) == 3 and all(row.last_reason for row in rows))
        assert {row.last_reason for row in rows} == {"our-certificate-refused certificate-expired"}
        assert {row.attempts for row in rows} == {1}
        assert len(peer.messages) == 3


async def test_the_settings_say_which_domain_wears_what(pki: Pki, tmp_path: Path) -> None:
    """As the courier's own process puts them together; a renewed certificate is shown by the next connection."""
    clinic = pki.authority.issue(CLINIC, now=pki.now, names=())
    for name, issued in (("relay", pki.hospital), ("clinic", clinic)):
        issued.write(tmp_path, name)
    (tmp_path / "authorities.pem").write_bytes(pki.authority.bundle_pem)
    more = '[[relay.more_tls]]\ncertificate = "clinic.pem"\nkey = "clinic.key"\ndomains = ["patient.mssante.example"]\n'
    (tmp_path / "mss.toml").write_text(SETTINGS.format(database="") + more)
    ground = SimpleNamespace(config=load(tmp_path / "mss.toml"))
    process = Process(cast(Foundation, ground), ["relay-out"])
    async with process.stack:
        identities = works._identities(process)
        clinics, usual = identities.of("patient.mssante.example"), identities.of(HOSPITAL_DOMAIN)
        assert (clinics.name, usual.name) == ("relay.more_tls[1]", "relay.tls")
        assert (_worn(pki, clinics.tls()), _worn(pki, usual.tls())) == (clinic.der, pki.hospital.der)
        renewed = pki.authority.issue(CLINIC, now=pki.now, names=())
        renewed.write(tmp_path, "clinic")
        for reload in process.reloads:  # as on SIGHUP
            reload()
        assert (_worn(pki, clinics.tls()), _worn(pki, usual.tls())) == (renewed.der, pki.hospital.der)


def _worn(pki: Pki, context: ssl.SSLContext) -> bytes | None:
    """What a server sees."""
    return handshake_in_memory(answers_as(pki, pki.lab), context)[1].getpeercert(binary_form=True)
