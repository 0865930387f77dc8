"""Several domains behind one host: is a connection shared as far as its certificate goes, and no further?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mss.crypto.authority import Subject
from mss.formats.trustlist import TrustEntry
from mss.model.clock import ManualClock, SeededChance
from mss.smtp.destination import Pace
from tests.kit.gate import TrustFiles, trust_files
from tests.kit.outgoing import Outbox, outbox
from tests.kit.people import cellar
from tests.kit.pki import LAB_DOMAIN, Pki
from tests.kit.smtp_wire import MESSAGE
from tests.kit.strange_peer import DIE, StrangePeer, answers_as, strange_peer

ANNEX = "annexe.mssante.example"
"""The laboratory's as well."""
CLINIC = "clinique.mssante.example"
"""Another operator's, though its mail is routed to the laboratory's host."""
CLINICS = Subject("smtp.clinique.mssante.example", "1690000002", "CLINIQUE DES ACACIAS")
BIO, SECRETARY, NURSE = f"bio@{LAB_DOMAIN}", f"secretariat@{ANNEX}", f"accueil@{CLINIC}"
PATIENT = Pace(idle_s=20.0, rest_first_s=1.0)
"""No connection ends by itself while a test runs."""


@dataclass
class Scene:
    pki: Pki
    out: Outbox
    peer: StrangePeer
    files: TrustFiles

    async def carry(self, *addresses: str) -> None:
        """To each in turn, each as soon as the one before has gone."""
        for address in addresses:
            await self.out.put(MESSAGE + address.encode() + b"\r\n", address)
            await self.out.until_empty()

    def carried_to(self) -> list[str]:
        return [raw.split(b"\r\n")[-3].decode() for raw in self.peer.messages]


@pytest.fixture
async def scene(pki: Pki, tmp_path: Path, clock: ManualClock, chance: SeededChance) -> AsyncIterator[Scene]:
    """The laboratory's host, to which the mail of three domains goes; two are its own."""
    files = trust_files(pki, tmp_path, entries=_listed(pki))
    async with (
        cellar(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance) as below,
        strange_peer(answers_as(pki, pki.lab)) as peer,
        outbox(below, pki, gate=files.gate, pace=PATIENT) as out,
    ):
        out.routes.update(dict.fromkeys((LAB_DOMAIN, ANNEX, CLINIC), ("127.0.0.1", peer.port)))
        yield Scene(pki, out, peer, files)


def _listed(pki: Pki, *, annex: bool = True) -> list[TrustEntry]:
    clinics = pki.authority.issue(CLINICS, now=pki.now).subject
    return [
        TrustEntry(LAB_DOMAIN, pki.lab.subject),
        TrustEntry(ANNEX, pki.lab.subject if annex else clinics),
        TrustEntry(CLINIC, clinics),
    ]


async def test_domains_of_one_certificate_share_one_connection(scene: Scene) -> None:
    """In whatever turn their mail comes: one handshake for all of it."""
    await scene.carry(BIO, SECRETARY, SECRETARY, BIO, SECRETARY)
    assert scene.carried_to() == [BIO, SECRETARY, SECRETARY, BIO, SECRETARY]
    assert scene.peer.connections == 1


async def test_a_domain_that_the_certificate_is_not_for_never_rides_along(scene: Scene) -> None:
    """Its mail waits with its own reason, the journal says why; the others' connection is neither lost nor used."""
    with capture_logs() as logs:
        await scene.carry(BIO, SECRETARY)
        await scene.out.put(MESSAGE, NURSE)
        (row,) = await scene.out.until_put_off()
        assert (row.next_hop, row.last_reason) == (CLINIC, "peer-certificate-wrong not-listed-for-domain")
        await scene.out.put(MESSAGE + SECRETARY.encode() + b"\r\n", SECRETARY)
        await scene.out.until_rows(lambda rows: len(rows) == 1)
    told = [(one["event"], one["reason"], one["next_hop"]) for one in logs if one["event"] == "courier.not-shared"]
    assert told == [("courier.not-shared", "peer-certificate-wrong", CLINIC)]
    assert scene.carried_to() == [BIO, SECRETARY, SECRETARY]
    assert not any(NURSE in line for line in scene.peer.heard)
    assert scene.peer.connections == 2, "the clinic's mail asked the host itself who it is, and left again"
    assert scene.peer.count("MAIL") == 3


async def test_a_shared_connection_is_judged_by_the_list_of_now(scene: Scene) -> None:
    """The list takes the annex away while its connection lies idle: its next mail does not go over it."""
    await scene.carry(SECRETARY, BIO, SECRETARY)
    scene.files.clock.forward(1)
    scene.files.list(_listed(scene.pki, annex=False))
    await scene.out.put(MESSAGE, SECRETARY)
    (row,) = await scene.out.until_put_off()
    assert row.last_reason == "peer-certificate-wrong not-listed-for-domain"
    await scene.out.put(MESSAGE + BIO.encode() + b"\r\n", BIO)
    await scene.out.until_rows(lambda rows: len(rows) == 1)
    assert scene.carried_to() == [SECRETARY, BIO, SECRETARY, BIO]


async def test_a_certificate_taken_back_ends_the_sharing(scene: Scene) -> None:
    """Revoked while the connection lies idle: neither domain's mail goes over it."""
    await scene.carry(BIO)
    scene.files.take_back(scene.pki.lab.certificate)
    await scene.out.put(MESSAGE, SECRETARY)
    await scene.out.put(MESSAGE, BIO)
    rows = await scene.out.until_put_off()
    assert {row.last_reason for row in rows} == {"peer-certificate-wrong revoked"}
    assert scene.carried_to() == [BIO]


async def test_a_shared_connection_that_died_is_replaced(scene: Scene) -> None:
    """The other side hung up while nobody looked: a new connection, and nobody notices."""
    await scene.carry(BIO)
    scene.peer.replies["MAIL"] = [DIE]
    await scene.carry(SECRETARY)
    assert scene.carried_to() == [BIO, SECRETARY]
    assert scene.peer.connections == 2
    assert scene.out.notes.put_off_for == []
