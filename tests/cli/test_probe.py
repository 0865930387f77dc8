"""`mss trust probe` when our own certificate is the trouble: it says so, and what to do."""

from __future__ import annotations

import asyncio

import pytest

from mss.crypto.authority import Fault
from mss.formats.trustlist import TrustEntry
from tests.cli.conftest import Operator
from tests.cli.test_check import house
from tests.kit.pki import HOSPITAL_DOMAIN, LAB_DOMAIN, Pki, pki
from tests.kit.smtp_wire import smtp_house
from tests.kit.strange_peer import DIE, answers_as, strange_peer

__all__ = ["house", "pki"]


def _aim(house: Operator, pki: Pki, port: int, description: str = "") -> None:
    """The laboratory is at that port, and the list names what answers there."""
    entries = [
        TrustEntry(LAB_DOMAIN, pki.hospital.subject, description),
        TrustEntry(HOSPITAL_DOMAIN, pki.hospital.subject),
    ]
    (house.directory / "list.xml").write_bytes(pki.signed_list(entries))
    routes = f'routes = {{"{LAB_DOMAIN}" = {{port = {port}}}}}'
    house.config.write_text(house.config.read_text().replace("[relay]", f"[relay]\n{routes}"))


@pytest.mark.parametrize(
    ("fault", "red", "advice"),
    [
        (Fault.EXPIRED, "our-certificate-refused certificate-expired", "our certificate is over: renew it"),
        (Fault.OTHER_AUTHORITY, "our-certificate-refused unknown-ca", "it does not know who issued our certificate"),
        (Fault.WRONG_USE, "our-certificate-refused unsupported-certificate", "for clients as well as for servers"),
    ],
)
async def test_a_peer_that_refuses_our_certificate_is_explained(
    house: Operator, pki: Pki, fault: Fault, red: str, advice: str
) -> None:
    """Although our side of the handshake had ended well."""
    pki.show(fault).write(house.directory, "relay")
    async with smtp_house(pki) as door:
        _aim(house, pki, door.ports["relay"])
        told = await asyncio.to_thread(house.mss, "trust", "probe", LAB_DOMAIN)
    assert told.code == 1
    assert f"RED  127.0.0.1:{door.ports['relay']}: {red}" in told.out
    assert advice in told.out


async def test_one_that_hangs_up_behind_the_handshake_is_explained(house: Operator, pki: Pki) -> None:
    """Nobody knows why it does; where to look is told."""
    async with strange_peer(answers_as(pki, pki.hospital)) as peer:
        peer.replies["EHLO"] = [peer.introduction(is_encrypted=False), DIE]
        _aim(house, pki, peer.port)
        told = await asyncio.to_thread(house.mss, "trust", "probe", LAB_DOMAIN)
    assert told.code == 1
    assert "it may refuse our certificate without saying so" in told.out


MORE = '[relay]\ntest_mailbox = "reponse.automatique-test@chu.mssante.example"'


async def test_a_mail_that_nobody_takes_from_the_queue_is_told(house: Operator, pki: Pki) -> None:
    """Without the server it stays; afterwards nothing of the test is left in the queue."""
    async with strange_peer(answers_as(pki, pki.hospital)) as peer:
        _aim(house, pki, peer.port, f"Essais : reponse.automatique-test@{LAB_DOMAIN}.")
        house.config.write_text(house.config.read_text().replace("[relay]", MORE))
        told = await asyncio.to_thread(house.mss, "trust", "probe", LAB_DOMAIN, "--wait", "1")
    assert told.code == 1
    assert "RED  round trip: the mail was not taken from our queue within 1 s" in told.out
    assert "is mss serve running" in told.out
    assert "nothing waits" in (await asyncio.to_thread(house.mss, "queue", "list")).out


@pytest.mark.parametrize(
    ("words", "red", "said"),
    [
        ((), False, "the list tells of no test mailbox"),
        (("--test-mailbox", f"test@{LAB_DOMAIN}"), True, "we have no test mailbox of our own"),
        (("--test-mailbox", "test@ailleurs.mssante.example"), True, "ailleurs.mssante.example is not trusted now"),
    ],
)
async def test_why_no_mail_was_sent_is_told(
    house: Operator, pki: Pki, words: tuple[str, ...], red: bool, said: str
) -> None:
    """With what would be needed."""
    async with strange_peer(answers_as(pki, pki.hospital)) as peer:
        _aim(house, pki, peer.port)
        told = await asyncio.to_thread(house.mss, "trust", "probe", LAB_DOMAIN, *words)
    (line,) = [line for line in told.out.splitlines() if "round trip" in line]
    assert line.startswith("RED" if red else "ok")
    assert said in line
    assert peer.messages == []
