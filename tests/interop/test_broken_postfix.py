"""A Postfix whose certificate is not what the trust list says, or that has none: it gets no mail, and we know why."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from mss.crypto.authority import Fault, Issued
from mss.crypto.examiner import Examiner
from mss.directory.feed import ListTrust, RevocationFeed, TrustFeed
from mss.directory.sources import FileSource
from mss.mail.peers import TrustGate
from mss.model.clock import ManualClock, SeededChance
from tests.kit.outgoing import outbox
from tests.kit.people import cellar
from tests.kit.pki import LAB_DOMAIN, LIST_SIGNER, Pki
from tests.kit.postfix import Pair, Postfix, free_port, postfix, shows
from tests.kit.smtp_wire import MESSAGE

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("broken-postfix")]

BIO = f"bio@{LAB_DOMAIN}"
FAULTS = {
    "none": "peer-certificate-wrong no-starttls",
    "other": "peer-certificate-wrong",
    Fault.EXPIRED: "peer-certificate-wrong verify-10",
    Fault.REVOKED: "peer-certificate-wrong",
    Fault.WRONG_USE: "peer-certificate-wrong verify-",
    Fault.SELF_SIGNED: "peer-certificate-wrong verify-",
    Fault.OTHER_AUTHORITY: "peer-certificate-wrong verify-",
}


@pytest.fixture(scope="module")
def lab(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postfix]:
    """The laboratory's Postfix, with a door for each fault and a good one."""
    folder = tmp_path_factory.mktemp("pairs")

    def pair(name: str, issued: Issued) -> Pair:
        written = Pair(folder / f"{name}.pem", folder / f"{name}.key")
        written.certificate.write_bytes(issued.certificate_pem)
        written.key.write_bytes(issued.key_pem)
        return written

    doors = {"good": {}, "none": {"smtpd_tls_security_level": "none", "smtpd_tls_req_ccert": "no"}}
    doors["other"] = shows(pair("other", pki.hospital))
    doors |= {fault.value: shows(pair(fault.value, pki.show(fault))) for fault in FAULTS if isinstance(fault, Fault)}
    authorities = folder / "authorities.pem"
    authorities.write_bytes(pki.authority.bundle_pem)
    with postfix(LAB_DOMAIN, pair("own", pki.lab), authorities, free_port(), doors=doors) as running:
        yield running


@pytest.fixture(scope="module")
def gate(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> TrustGate:
    """Trust and revocations of today, from files as an operator has them."""
    folder = tmp_path_factory.mktemp("trust")
    listing, crls = folder / "list.xml", [folder / "one.crl", folder / "root.crl"]
    listing.write_bytes(pki.signed_list())
    crls[0].write_bytes(pki.authority.crl([pki.revoked_lab.certificate], now=pki.now))
    crls[1].write_bytes(pki.authority.root_crl(now=pki.now))
    clock, certificates = ManualClock(at=pki.now), pki.authority.certificates
    feed = TrustFeed(FileSource(listing), ListTrust(certificates, certificates, [LIST_SIGNER.common_name]), clock)
    revocations = RevocationFeed([FileSource(path) for path in crls], certificates)
    found = TrustGate(feed, revocations, Examiner(certificates), clock)
    found.refresh()
    return found


@pytest.mark.parametrize("door", FAULTS, ids=str)
async def test_a_wrong_host_gets_nothing_until_it_is_right(
    door: str, lab: Postfix, gate: TrustGate, pki: Pki, tmp_path: Path, clock: ManualClock, chance: SeededChance
) -> None:
    """The mail waits, with the reason beside it; it leaves for the right certificate, and the wrong one was told
    nothing."""
    async with (
        cellar(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance) as below,
        outbox(below, pki, gate=gate) as out,
    ):
        mark = f"X-Door: {door}\r\n".encode()
        out.routes[LAB_DOMAIN] = ("127.0.0.1", lab.ports[door])
        await out.put(mark + MESSAGE, BIO)
        (row,) = await out.until_put_off()
        assert row.last_reason.startswith(FAULTS[door])
        assert out.notes.failures == []
        assert not [mail for mail in lab.mails() if mark.strip() in mail]
        out.routes[LAB_DOMAIN] = ("127.0.0.1", lab.ports["good"])
        out.later(61)
        await out.until_empty()
        async with asyncio.timeout(20):
            while not [mail for mail in lab.mails() if mark.strip() in mail]:
                await asyncio.sleep(0.05)
