"""A hospital's own record, real over MLLP and TLS: what is filed arrives, in order, once, and refusals are heard."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mss.bridge.mergedesk import MergeDesk
from mss.bridge.mllp import MllpPlace, MllpSink
from mss.bridge.routing import Offer, Route, Take, sinks_for
from mss.bridge.sinks import RETRY_MAX_S
from mss.bridge.triage import NotDecidable
from mss.crypto.authority import Authority
from mss.crypto.tls import service_server_context, sink_client_context
from mss.directory.correspondence import CorrespondenceReader
from mss.directory.imports import Imports
from mss.formats.mdm import Ends
from mss.model.clock import ManualClock, SeededChance
from mss.model.errors import BadValue
from mss.model.ids import MailAddress
from mss.model.mailbox import MailboxKind
from mss.sandbox.pool import Sandbox
from mss.store import handovers
from mss.store.handovers import HandoverState
from tests.kit.documents import HUGO, OUR_OID, ZOE, an_ins
from tests.kit.frenchpeople import HEADER, finess, rpps
from tests.kit.hl7peer import Hl7Peer, Message
from tests.kit.hospital import EVERYTHING, Hospital, demanding, report
from tests.kit.house import APPLICATION, LABORATORY, House, open_house, words_of
from tests.kit.pki import HOSPITAL as RECORD
from tests.kit.pki import LAB as STRANGER
from tests.kit.pki import Pki
from tests.kit.reading import CHECKOUT

HOUR_S = 3600
NEW_NUMBER = replace(ZOE, ins=an_ins("2900299999005"))
"""The same person under another number."""


class MllpHospital(Hospital):
    """Its record speaks HL7 v2."""

    def __init__(self, house: House, peer: Hl7Peer, tls: ssl.SSLContext, sandbox: Sandbox) -> None:
        super().__init__(house, sandbox)
        self.peer, self.tls = peer, tls
        ends = Ends("MSS", "Opérateur", "DPI", "CHU", "T")
        self.place = MllpPlace("127.0.0.1", peer.port, ends, answer_s=2.0)
        self.begin()

    def begin(self, **place: Any) -> None:
        """The worker, as after a start of the process."""
        self.use(MllpSink("dpi", replace(self.place, **place), lambda: self.tls))

    @property
    def arrived(self) -> list[tuple[str, str]]:
        """Event and document of what the record accepted."""
        return [(one.event, one.document) for one in self.peer.kept]


@pytest.fixture(scope="module")
def hospital_pki() -> Pki:
    return Pki()


@pytest.fixture
async def hospital(
    hospital_pki: Pki, tmp_path: Path, clock: ManualClock, chance: SeededChance, sandbox: Sandbox
) -> AsyncIterator[MllpHospital]:
    """Both sides, their certificates from one authority; what engines may do differently is asked of `any_hospital`."""
    url = f"sqlite:///{tmp_path}/mss.db"
    async with (
        open_house(url, tmp_path, clock, chance, sandbox) as house,
        _hospital(house, hospital_pki, tmp_path, sandbox) as opened,
    ):
        yield opened


@pytest.fixture
async def any_hospital(
    house: House, hospital_pki: Pki, tmp_path: Path, sandbox: Sandbox
) -> AsyncIterator[MllpHospital]:
    """The same, once on each engine."""
    async with _hospital(house, hospital_pki, tmp_path, sandbox) as opened:
        yield opened


@asynccontextmanager
async def _hospital(house: House, pki: Pki, folder: Path, sandbox: Sandbox) -> AsyncIterator[MllpHospital]:
    certificate, key = pki.lab.write(folder, "ours")
    peer = Hl7Peer(demanding(pki, folder))
    await peer.start()
    opened = MllpHospital(house, peer, sink_client_context(pki.authority.bundle_pem, certificate, key), sandbox)
    yield opened
    await opened.sink.close()
    await peer.stop()


def named(number: int) -> str:
    return f"{number}^^{OUR_OID}.1^ISO"


async def test_what_is_filed_replaced_and_withdrawn_reaches_the_record(any_hospital: MllpHospital) -> None:
    """T02, T10 with the version before, T04: with the patient, the mail, the unit, and the octets that came."""
    hospital = any_hospital
    house = hospital.house
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, report(1), headers={"Reply-To": "secretariat@labo.mssante.example"})
    await house.send_documents(zoe, report(2, replaces=1, version=2))
    await hospital.withdraw(zoe, report(2, replaces=1, version=2))
    await hospital.hand_over()
    assert hospital.arrived == [("T02", named(1)), ("T10", named(2)), ("T04", named(2))]
    first, second, third = (one.message for one in hospital.peer.kept)
    assert first.of("PID", 3).startswith(f"{zoe.ins.value}^^^ASIP-SANTE-INS-NIR&{zoe.ins.oid.value}")
    assert first.of("PID", 32) == "VALI"
    assert first.of("PRT", 15, 0) == "^^X.400^resultats@labo.mssante.example"
    assert first.of("PRT", 15, 1) == f"^^X.400^{zoe.address}"
    assert first.of("PRT", 8, 1) == "Service d'urologie^^^^^120456789^UF^^^3435"
    assert first.of("PRT", 15, 2) == "^^X.400^secretariat@labo.mssante.example"
    assert (second.of("TXA", 13), second.of("ORC", 1), second.of("OBX", 11)) == (named(1), "RO", "C")
    assert (third.of("ORC", 1), third.of("OBX", 11), third.of("TXA", 13)) == ("CA", "D", named(1))
    assert not await hospital.open_rows()


async def test_both_away_for_an_hour_everything_arrives_afterwards_in_order_once(any_hospital: MllpHospital) -> None:
    """Sixteen documents of two patients while nobody listens; the store is asked, not memory."""
    hospital = any_hospital
    house, peer = hospital.house, hospital.peer
    zoe, hugo = await house.enrol(ZOE), await house.enrol(HUGO)
    await peer.stop()
    sent = []
    for number in range(1, 9):
        for patient, person in ((zoe, ZOE), (hugo, HUGO)):
            await house.send_documents(patient, report(number, person))
            sent.append((patient.ins.value, named(number)))
    for _ in range(int(HOUR_S // RETRY_MAX_S) + 8):
        await hospital.hand_over()
        house.clock.forward(RETRY_MAX_S - 1)
    assert not peer.kept
    hospital.begin()
    await peer.start()
    house.clock.forward(RETRY_MAX_S)
    await hospital.hand_over()
    for ins in (zoe.ins.value, hugo.ins.value):
        assert [one.document for one in peer.kept if one.patient == ins] == [d for i, d in sent if i == ins]
    assert len(peer.seen) == len(set(peer.seen)) == 16
    assert not await hospital.open_rows()


async def test_a_record_that_is_away_is_asked_by_one_row_only(hospital: MllpHospital) -> None:
    """An outage does not become a storm."""
    house, peer = hospital.house, hospital.peer
    zoe, hugo = await house.enrol(ZOE), await house.enrol(HUGO)
    await house.send_documents(zoe, report(1))
    await house.send_documents(hugo, report(2, HUGO))
    peer.says = lambda message: ["cut"]
    for _ in range(5):
        await hospital.worker.round()
    assert len(peer.seen) == 1


async def test_an_answer_that_was_lost_is_asked_for_again_with_the_same_octets(hospital: MllpHospital) -> None:
    """The record took it and the line broke: the number is the same, so it knows the message."""
    house, peer = hospital.house, hospital.peer
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, report(1))
    peer.says = lambda message: ["cut-after"]
    await hospital.hand_over()
    peer.says = lambda message: ["AA"]
    house.clock.forward(60)
    await hospital.hand_over()
    assert len(peer.seen) == 2
    assert len(set(peer.seen)) == 1
    assert len(peer.octets[peer.seen[0]]) == 1
    assert hospital.arrived == [("T02", named(1))]


async def test_a_process_that_died_before_it_wrote_the_answer_down_repeats_the_message(hospital: MllpHospital) -> None:
    """The lease ends, another worker takes the row: once in the record, never missing."""
    house, peer = hospital.house, hospital.peer
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, report(1))
    (row,) = await hospital.open_rows()
    (leased,) = await house.store.read(lambda c: handovers.first_in_line(c, "dpi", row.created_ms, 10))
    await house.store.write(0, lambda c: handovers.claim(c, leased, "dead", row.created_ms, row.created_ms + 240_000))
    await hospital.sink.hand_over(await hospital.dossiers.open(leased))
    await hospital.hand_over()
    assert len(peer.seen) == 1
    house.clock.forward(300)
    await hospital.hand_over()
    assert len(peer.seen) == 2
    assert hospital.arrived == [("T02", named(1))]
    assert not await hospital.open_rows()


async def test_killed_in_the_middle_again_and_again_nothing_is_missing_or_doubled(
    hospital: MllpHospital, hospital_pki: Pki, tmp_path: Path
) -> None:
    """kill -9 of the process that hands over: after the record kept a message, and as it answers."""
    house, peer = hospital.house, hospital.peer
    zoe = await house.enrol(ZOE)
    for number in range(1, 7):
        await house.send_documents(zoe, report(number))
    (tmp_path / "authorities.pem").write_bytes(hospital_pki.authority.bundle_pem)
    living: list[asyncio.subprocess.Process] = []

    def says(message: Message) -> list[str]:
        """The second and the fifth message kill their bringer."""
        if len(peer.seen) not in (2, 5):
            return ["AA"]
        living[-1].kill()
        return ["cut-after"] if len(peer.seen) == 2 else ["AA"]

    peer.says = says
    async with asyncio.timeout(150):
        while await hospital.open_rows():
            if not living or living[-1].returncode is not None:
                words = ("-m", "tests.kit.sinkchild", house.store.url, str(tmp_path), str(peer.port))
                living.append(await asyncio.create_subprocess_exec(sys.executable, *words, cwd=CHECKOUT))
            await asyncio.sleep(0.1)
    living[-1].kill()
    await asyncio.gather(*(one.wait() for one in living))
    assert len(living) == 3
    assert [one.document for one in peer.kept] == [named(number) for number in range(1, 7)]
    assert len(peer.seen) > 6
    assert all(len(octets) == 1 for octets in peer.octets.values())


async def test_a_refusal_is_told_to_its_sender_with_the_records_code(hospital: MllpHospital) -> None:
    """AE 902: our record has it, the hospital's does not; the sender reads which, at once, at 24 and at 72 hours."""
    house, peer = hospital.house, hospital.peer
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, report(1))
    peer.says = lambda message: ["AE 902"]
    await hospital.hand_over()
    await house.run_tasks()
    (first,) = [mail for mail in await house.sent() if mail.get_content_type() == "multipart/report"]
    (refused,) = [mail for mail in await house.sent() if mail is not first and "[902]" in mail["Subject"]]
    assert "ont été intégrés au dossier" in words_of(first)
    assert refused["Subject"].startswith("[KO Intégration système !][902] XDM/1.0/DDM+")
    assert "NON intégré dans le logiciel de l'établissement" in words_of(refused)
    (item,) = await house.triage.held_list()
    assert (item.reason, item.code) == ("sink-refused", 902)
    _, explanation = await house.triage.show(item.id, "staff:1")
    assert explanation.detail == "dpi: AE 207 902"
    for hours in (24, 48):
        house.clock.forward(hours * HOUR_S)
        await house.run_tasks()
    assert len({mail["Message-ID"] for mail in await house.sent() if "902" in mail["Subject"]}) == 3
    house.clock.forward(400 * HOUR_S)
    await house.run_tasks()
    assert len(await house.triage.held_list()) == 1
    assert not peer.kept


async def test_what_comes_to_an_application_mailbox_is_routed_by_its_address(any_hospital: MllpHospital) -> None:
    """Mailbox and record have different owners; the record reads which it was; a refusal is heard."""
    hospital, house = any_hospital, any_hospital.house
    await house.professional(str(APPLICATION), MailboxKind.APPLICATION)
    zoe = await house.enrol(ZOE)
    hospital.route(Route("dpi", (Take(mailboxes=frozenset({str(APPLICATION)})),)))
    await house.send_documents(zoe, report(1))
    for number in (2, 3):
        await house.deliver(house.health_mail(APPLICATION, report(number)), LABORATORY, APPLICATION)
        await house.run_tasks()
    hospital.peer.says = lambda message: ["AE 905"] if message.of("TXA", 12) == named(3) else ["AA"]
    await hospital.hand_over()
    await house.run_tasks()
    assert hospital.arrived == [("T02", named(2))]
    assert hospital.peer.kept[0].message.of("PRT", 15, 1) == f"^^X.400^{APPLICATION}"
    assert any("[905]" in mail["Subject"] for mail in await house.sent())
    (refused,) = await hospital.desk.waiting()
    await hospital.desk.drop(refused.id, "Traits à corriger.")
    await house.run_tasks()
    assert any("Traits à corriger." in words_of(mail) for mail in await house.sent())


async def test_what_builds_on_a_refused_document_waits_and_others_go_on(any_hospital: MllpHospital) -> None:
    """After the human's retry the original comes before its replacement; the sender hears that it has arrived."""
    hospital = any_hospital
    house, peer = hospital.house, hospital.peer
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, report(1))
    await house.send_documents(zoe, report(2, replaces=1, version=2))
    await house.send_documents(zoe, report(3))
    peer.says = lambda message: ["AE 904"] if message.of("TXA", 12) == named(1) else ["AA"]
    await hospital.hand_over()
    await house.run_tasks()
    assert hospital.arrived == [("T02", named(3))]
    peer.says = lambda message: ["AA"]
    (refused,) = [row for row in await hospital.desk.waiting() if row.state == HandoverState.REFUSED]
    await hospital.desk.retry(refused.id)
    await hospital.hand_over()
    assert hospital.arrived[1:] == [("T02", named(1)), ("T10", named(2))]
    await house.run_tasks()
    arrived = "désormais intégré dans le logiciel de l'établissement"
    assert sum(arrived in words_of(mail) for mail in await house.sent()) == 1
    assert not await house.triage.held_list()


async def test_after_a_drop_the_replacement_arrives_as_an_original(hospital: MllpHospital) -> None:
    """The record never had the version before; its sender reads why."""
    house, peer = hospital.house, hospital.peer
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, report(1))
    await house.send_documents(zoe, report(2, replaces=1, version=2))
    peer.says = lambda message: ["AE 906"] if message.of("TXA", 12) == named(1) else ["AA"]
    await hospital.hand_over()
    (item,) = await house.triage.held_list()
    with pytest.raises(NotDecidable, match="mss sink retry"):
        await house.triage.file(item.id, "staff:1")
    (refused,) = [row for row in await hospital.desk.waiting() if row.state == HandoverState.REFUSED]
    with pytest.raises(BadValue):
        await hospital.desk.drop(refused.id, " ")
    await hospital.desk.drop(refused.id, "La version 2 suffit.")
    await hospital.hand_over()
    await house.run_tasks()
    assert hospital.arrived == [("T02", named(2))]
    assert any("La version 2 suffit." in words_of(mail) for mail in await house.sent())
    assert not await house.triage.held_list()


async def test_a_record_that_never_had_a_document_is_asked_to_withdraw_nothing(hospital: MllpHospital) -> None:
    """A document that it refused, and that was given up here, is withdrawn without a word to it."""
    house, peer = hospital.house, hospital.peer
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, report(1))
    peer.says = lambda message: ["AE 906"]
    await hospital.hand_over()
    await hospital.withdraw(zoe, report(1))
    (refused,) = [row for row in await hospital.desk.waiting() if row.state == HandoverState.REFUSED]
    await hospital.desk.drop(refused.id, "Retiré par son auteur.")
    await hospital.hand_over()
    assert len(peer.seen) == 1
    assert not await hospital.open_rows()


@pytest.mark.parametrize("answers", [["AR"], ["CR"], ["CE"], ["hang"], ["CA"], ["XX"], ["other"]])
async def test_what_is_no_answer_about_the_document_is_tried_again(hospital: MllpHospital, answers: list[str]) -> None:
    """ "Later", a word of the system in front, silence, nonsense: no dead letter, nobody is told, and it arrives."""
    house, peer = hospital.house, hospital.peer
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, report(1))
    hospital.begin(answer_s=0.3)
    peer.says = lambda message: answers
    await hospital.hand_over()
    assert not await house.triage.held_list()
    peer.says = lambda message: ["CA", "AA"]
    house.clock.forward(60)
    await hospital.hand_over()
    assert hospital.arrived == [("T02", named(1))]


async def test_a_receipt_is_enough_where_the_operator_says_so(hospital: MllpHospital) -> None:
    """`acknowledgement = "commit"`."""
    house, peer = hospital.house, hospital.peer
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, report(1))
    peer.says = lambda message: ["CA"]
    hospital.begin(waits_for_application=False)
    await hospital.hand_over()
    assert not await hospital.open_rows()


async def test_after_a_day_sender_and_staff_are_told_and_it_is_still_tried(any_hospital: MllpHospital) -> None:
    """A record that is away for a weekend loses nothing; what arrives on Monday is told to who was told before."""
    hospital = any_hospital
    house, peer = hospital.house, hospital.peer
    zoe = await house.enrol(ZOE)
    await peer.stop()
    await house.send_documents(zoe, report(1))
    await hospital.hand_over()
    assert not await hospital.watch.look()
    house.clock.forward(25 * HOUR_S)
    assert await hospital.watch.look() == 1
    assert not await hospital.watch.look()
    await house.run_tasks()
    (item,) = await house.triage.held_list()
    assert item.reason == "sink-away"
    assert any("TOUJOURS PAS intégré après 24 h" in words_of(mail) for mail in await house.sent())
    await peer.start()
    await hospital.hand_over()
    await house.run_tasks()
    assert hospital.arrived == [("T02", named(1))]
    assert any("désormais intégré" in words_of(mail) for mail in await house.sent())
    assert not await house.triage.held_list()


async def test_a_record_with_a_strangers_certificate_gets_nothing(hospital: MllpHospital, tmp_path: Path) -> None:
    """Another authority, or another host: the probe says what is wrong, and not one octet of a document leaves."""
    house, peer = hospital.house, hospital.peer
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, report(1))
    await peer.stop()
    other = Authority.create("AILLEURS", now=Pki().now)
    for issued in (other.issue(RECORD, now=Pki().now), Pki().authority.issue(STRANGER, now=Pki().now, names=())):
        certificate, key = issued.write(tmp_path, "stranger")
        stranger = Hl7Peer(service_server_context(certificate, key))
        stranger.port = peer.port
        await stranger.start()
        assert "certificate" in await hospital.sink.probe()
        await hospital.hand_over()
        house.clock.forward(RETRY_MAX_S)
        await stranger.stop()
        assert not stranger.seen
    await peer.start()
    assert await hospital.sink.probe() == ""


async def test_nothing_leaves_that_no_take_names(hospital: MllpHospital) -> None:
    """Held documents, other types, no sinks: nothing is owed. What stood already is not owed again."""
    house = hospital.house
    zoe = await house.enrol(ZOE)
    hospital.route(Route("dpi", (Take(types=frozenset({"34112-3"})),)))
    await house.send_documents(zoe, report(1))
    hospital.route()
    await house.send_documents(zoe, report(2))
    hospital.route(*EVERYTHING)
    await house.send_documents(zoe, report(2))
    await house.send_documents(zoe, report(3, HUGO))
    assert not await hospital.open_rows()
    assert len(await house.triage.held_list()) == 1


@pytest.mark.parametrize(
    ("take", "wants"),
    [
        (Take(), True),
        (Take(mailboxes=frozenset({"dpi@chu.example"})), True),
        (Take(mailboxes=frozenset({"chu.example"})), True),
        (Take(mailboxes=frozenset({"hu.example", "pi@chu.example"})), False),
        (Take(types=frozenset({"11502-2"})), True),
        (Take(types=frozenset({"11502"})), False),
        (Take(services=frozenset({"BIO"})), True),
        (Take(frozenset({"chu.example"}), frozenset({"11502-2"}), frozenset({"AMBU"})), False),
    ],
)
def test_a_take_wants_what_all_its_lists_name(take: Take, wants: bool) -> None:
    """By mailbox, type and service; an empty list asks nothing."""
    offer = Offer("DPI@chu.example", "11502-2", "BIO")
    assert sinks_for([Route("dpi", (take,))], offer) == (("dpi",) if wants else ())
    assert sinks_for([Route("dpi", (Take(types=frozenset({"x"})), take))], offer) == (("dpi",) if wants else ())


async def test_records_that_are_merged_and_parted_are_told_to_the_record(hospital: MllpHospital) -> None:
    """The profile knows no merge: the document replaces itself under the patient of today, in either direction; what
    had not arrived arrives once, as hers."""
    house, peer = hospital.house, hospital.peer
    old, new = await house.enrol(ZOE), await house.enrol(NEW_NUMBER)
    await house.send_documents(old, report(1))
    await hospital.hand_over()
    await house.send_documents(old, report(2))
    merging = MergeDesk(house.store, house.cellar.opener, house.corrections)
    done = await merging.merge(old.owner, new.owner, "staff:1", "même personne")
    await house.run_tasks()
    await hospital.hand_over()
    told = [(one.event, one.document, one.patient) for one in peer.kept]
    assert told[0] == ("T02", named(1), old.ins.value)
    assert sorted(told[1:]) == [("T02", named(2), new.ins.value), ("T10", named(1), new.ins.value)]
    await house.corrections.undo(done.id, "staff:1")
    await house.run_tasks()
    await hospital.hand_over()
    back = [(one.event, one.document, one.patient) for one in peer.kept[3:]]
    assert sorted(back) == [("T10", named(1), old.ins.value), ("T10", named(2), old.ins.value)]
    assert peer.kept[3].message.of("TXA", 13) == peer.kept[3].document
    assert not await hospital.open_rows()


async def test_the_record_reads_who_sends_as_the_directory_knows_him(hospital: MllpHospital, tmp_path: Path) -> None:
    """A person with number and structure (PRT-5, PRT-8), a program by its reference (PRT-10), an unknown mailbox by its
    address alone. The sender's own number of the patient follows her INS."""
    house = hospital.house
    zoe = await house.enrol(ZOE)
    people = [f"{name}@labo.mssante.example" for name in ("ada", "robot", "inconnu")]
    number = rpps(1)
    role = f"1|1{finess(7)}||DR|MARTIN-ESSAI|Ada|10|Médecin|||N|Labo des Tilleuls|1|Rue|69003 LYON|69003|"
    listed = [
        f"PER|{people[0]}|8|{number}|8{number}|{role}",
        f"APP|{people[1]}||||1|1{finess(7)}|Automate||||||||O|Labo des Tilleuls|1|Rue|69003 LYON||",
    ]
    file = tmp_path / "Extraction_20251201.txt"
    file.write_text("\n".join([HEADER, *listed]), encoding="utf-8")
    await Imports(house.store, tmp_path / "work", house.clock).take(file, CorrespondenceReader(), lambda *_: None)
    for at, address in enumerate(people, 1):
        sender = MailAddress.parse(address)
        await house.send_documents(zoe, report(at), sender=sender, headers={"X-MSS-NIL": "DEV000042"})
    await hospital.hand_over()
    ada, robot, nobody = (one.message for one in hospital.peer.kept)
    assert ada.of("PRT", 5) == f"8{number}^MARTIN-ESSAI^Ada^^^^^^ASIP-SANTE-PS&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"
    assert ada.of("PRT", 8) == f"Labo des Tilleuls^^^^^^IDNST^^^1{finess(7)}"
    assert (robot.of("PRT", 5), robot.of("PRT", 8)) == ("", ada.of("PRT", 8))
    assert [one.of("PRT", 10) for one in (ada, robot, nobody)] == ["", "DEV000042", ""]
    assert (nobody.of("PRT", 5), nobody.of("PRT", 8)) == ("", "")
    assert ada.of("PID", 3).split("~")[1:] == [f"IPP-1^^^&{OUR_OID}.3&ISO^PI"]
