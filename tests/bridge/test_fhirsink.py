"""A hospital's own FHIR server, real over TLS: documents arrive whole, once, versions end, and refusals are heard."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.bridge.fhirsink import FhirPlace, FhirSink
from mss.bridge.mergedesk import MergeDesk
from mss.bridge.sinkdesk import NotNow
from mss.bridge.sinks import RETRY_MAX_S
from mss.crypto.tls import sink_client_context
from mss.formats.mhd import Provided, read_answer, write_bundle
from mss.model.clock import ManualClock, SeededChance
from mss.model.document import Author, Coded, DocumentEntry, Visibility
from mss.model.errors import BadValue
from mss.model.ids import Ins, InsOid
from mss.model.people import IdentityTraits, Sex
from mss.sandbox.pool import Sandbox
from mss.store.records import HeldState
from tests.kit.documents import OUR_OID, ZOE, an_ins, describe, make_cda, make_package
from tests.kit.fhirpeer import FhirPeer
from tests.kit.hospital import Hospital, demanding, report
from tests.kit.house import LABORATORY, House, open_house, words_of
from tests.kit.pki import Pki

TOKEN = "un-secret.de_test"
SOURCE = f"{OUR_OID}.99"


class FhirHospital(Hospital):
    """Its server speaks FHIR."""

    def __init__(self, house: House, peer: FhirPeer, tls: ssl.SSLContext, token: Path, sandbox: Sandbox) -> None:
        super().__init__(house, sandbox)
        self.peer, self.token = peer, token
        place = FhirPlace(f"https://127.0.0.1:{peer.port}/fhir", SOURCE, token, answer_s=5.0)
        self.use(FhirSink("dpi", place, lambda: tls))

    @property
    def statuses(self) -> list[tuple[str, str]]:
        """(number, status) of each document that the server has."""
        return [(one["masterIdentifier"]["value"], one["status"]) for one in self.peer.documents]


@pytest.fixture
async def hospital(
    tmp_path: Path, clock: ManualClock, chance: SeededChance, sandbox: Sandbox
) -> AsyncIterator[FhirHospital]:
    """Both sides, their certificates from one authority, and a token."""
    pki, token = Pki(), tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    peer = FhirPeer(demanding(pki, tmp_path), TOKEN)
    await peer.start()
    tls = sink_client_context(pki.authority.bundle_pem, *pki.lab.write(tmp_path, "ours"))
    async with open_house(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance, sandbox) as house:
        opened = FhirHospital(house, peer, tls, token, sandbox)
        yield opened
        await opened.sink.close()
    await peer.stop()


async def test_a_document_its_next_version_and_its_withdrawal(hospital: FhirHospital) -> None:
    """Whole, with patient, author, hash; a replacement ends the version before; what is withdrawn is in error."""
    house, peer = hospital.house, hospital.peer
    zoe = await house.enrol(ZOE)
    first = report(1)
    await house.send_documents(zoe, first)
    await house.send_documents(zoe, report(2, replaces=1, version=2))
    await hospital.hand_over()
    assert hospital.statuses == [("1", "superseded"), ("2", "current")]
    old, new = peer.documents
    assert base64.b64decode(peer.of("Binary")[0]["data"]) == first
    (patient, author) = old["contained"]
    assert patient["identifier"] == [{"system": f"urn:oid:{zoe.ins.oid.value}", "value": zoe.ins.value}]
    assert author["resourceType"] == "Practitioner"
    assert new["relatesTo"] == [{"code": "replaces", "target": {"reference": f"DocumentReference/{old['id']}"}}]
    await hospital.withdraw(zoe, report(2, replaces=1, version=2))
    await hospital.hand_over()
    assert hospital.statuses[1] == ("2", "entered-in-error")
    assert not await hospital.open_rows()
    assert len(peer.of("List")) == 2


async def test_a_document_that_changes_its_record_changes_its_patient_there(hospital: FhirHospital) -> None:
    """Merged, parted, taken out and given to the right patient: one document there, always current, always whose it is
    here."""
    house, peer = hospital.house, hospital.peer
    old, new = await house.enrol(ZOE), await house.enrol(replace(ZOE, ins=an_ins("2900299999005")))

    def whose() -> list[tuple[str, str]]:
        return [(one["status"], one["contained"][0]["identifier"][0]["value"]) for one in peer.documents]

    await house.send_documents(old, report(1))
    await hospital.hand_over()
    merging = MergeDesk(house.store, house.cellar.opener, house.corrections)
    done = await merging.merge(old.owner, new.owner, "staff:1", "même personne")
    await house.run_tasks()
    await hospital.hand_over()
    assert whose() == [("current", new.ins.value)]
    (view,) = await house.documents(new)
    assert await house.corrections.book.record_of(view.number) == new.owner
    await house.corrections.undo(done.id, "staff:1")
    await house.run_tasks()
    await hospital.hand_over()
    assert whose() == [("current", old.ins.value)]
    (view,) = await house.documents(old)
    out = await house.corrections.unfile(view.number, "staff:1", "dossier de l'autre")
    await house.run_tasks()
    await hospital.hand_over()
    assert whose() == [("entered-in-error", old.ins.value)]
    await house.corrections.undo(out, "staff:1")
    await house.run_tasks()
    await hospital.hand_over()
    assert whose() == [("current", old.ins.value)]
    assert not await hospital.open_rows()


async def test_a_version_and_an_addendum_keep_what_they_stand_beside(hospital: FhirHospital) -> None:
    """Replaces and appends, also once the record was merged into another: nobody there takes the older version for the
    current one, nor the addendum for a document of its own."""
    house, peer = hospital.house, hospital.peer
    old, new = await house.enrol(ZOE), await house.enrol(replace(ZOE, ins=an_ins("2900299999005")))
    await house.send_documents(old, report(1))
    await house.send_documents(old, report(2, replaces=1, version=2))
    third = make_cda(ZOE, unique_id=f"{OUR_OID}.1^3", set_id=f"{OUR_OID}.2^3", replaces=f"{OUR_OID}.1^2")
    await house.send_documents(old, third.replace(b'typeCode="RPLC"', b'typeCode="APND"'))
    await hospital.hand_over()

    def beside() -> dict[str, list[tuple[str, str]]]:
        numbers = {f"DocumentReference/{one['id']}": one["masterIdentifier"]["value"] for one in peer.documents}
        return {
            one["masterIdentifier"]["value"]: [
                (related["code"], numbers[related["target"]["reference"]]) for related in one.get("relatesTo", [])
            ]
            for one in peer.documents
        }

    said = {"1": [], "2": [("replaces", "1")], "3": [("appends", "2")]}
    assert beside() == said
    merging = MergeDesk(house.store, house.cellar.opener, house.corrections)
    await merging.merge(old.owner, new.owner, "staff:1", "même personne")
    await house.run_tasks()
    await hospital.hand_over()
    assert beside() == said
    assert hospital.statuses == [("1", "superseded"), ("2", "current"), ("3", "current")]
    assert {one["contained"][0]["identifier"][0]["value"] for one in peer.documents} == {new.ins.value}


async def test_what_was_refused_before_a_merge_leaves_under_the_identity_that_stays(hospital: FhirHospital) -> None:
    """Once, by itself; its sender, who was told that it did not arrive, is told that it did. The old row is done with,
    and what is tried again about the record that ended names nobody by her former number."""
    house, peer = hospital.house, hospital.peer
    old, new = await house.enrol(ZOE), await house.enrol(replace(ZOE, ins=an_ins("2900299999005")))
    peer.says = lambda request: 422 if request.method == "POST" else None
    await house.send_documents(old, report(1))
    await hospital.hand_over()
    await house.run_tasks()
    (refused,) = await hospital.desk.waiting()
    merging = MergeDesk(house.store, house.cellar.opener, house.corrections)
    await merging.merge(old.owner, new.owner, "staff:1", "même personne")
    await house.run_tasks()
    assert (await hospital.dossiers.open(refused)).identity.ins == new.ins
    assert not await house.triage.held_list()
    with pytest.raises(NotNow):
        await hospital.desk.retry(refused.id)
    peer.says = lambda request: None
    await hospital.hand_over()
    await house.run_tasks()
    (there,) = peer.documents
    assert there["contained"][0]["identifier"][0]["value"] == new.ins.value
    arrived = "désormais intégré dans le logiciel de l'établissement"
    assert sum(arrived in words_of(mail) for mail in await house.sent()) == 1


async def test_an_announced_document_loses_the_mark_that_hides_it(hospital: FhirHospital) -> None:
    """Hidden from the patient until its author has spoken with her, there as here."""
    house, peer = hospital.house, hospital.peer
    zoe = await house.enrol(ZOE)
    hidden = make_cda(ZOE, visibility=Visibility.HIDDEN_FROM_PATIENT)
    mail = house.health_mail(zoe.address, archive=make_package(describe(hidden)))
    await house.deliver(mail, LABORATORY, zoe.address)
    await house.run_tasks()
    await hospital.hand_over()
    codes = [coding["code"] for label in peer.documents[0]["securityLabel"] for coding in label["coding"]]
    assert codes == ["N", "INVISIBLE_PATIENT"]
    (kept,) = await house.triage.held_list(HeldState.KEPT_BACK)
    await house.triage.release(kept.id, "staff:1")
    await hospital.hand_over()
    codes = [coding["code"] for label in peer.documents[0]["securityLabel"] for coding in label["coding"]]
    assert codes == ["N"]


async def test_away_for_an_hour_everything_arrives_afterwards_in_order_once(hospital: FhirHospital) -> None:
    """Nobody listens, then it restarts badly (503, lost answers), then it is there."""
    house, peer = hospital.house, hospital.peer
    zoe = await house.enrol(ZOE)
    await peer.stop()
    for number in range(1, 6):
        await house.send_documents(zoe, report(number))
    for _ in range(7):
        await hospital.hand_over()
        house.clock.forward(RETRY_MAX_S)
    await peer.start()
    words = iter([503, None, "cut", None, "cut"])
    peer.says = lambda request: next(words, None)
    for _ in range(8):
        await hospital.hand_over()
        house.clock.forward(RETRY_MAX_S)
    assert [number for number, _ in hospital.statuses] == ["1", "2", "3", "4", "5"]
    assert len(peer.of("Binary")) == len(peer.of("List")) == 5
    assert not await hospital.open_rows()


async def test_a_refusal_is_held_and_told_without_the_servers_words(hospital: FhirHospital) -> None:
    """422: the sender reads a code, staff read status and issue code, nobody what the server wrote of the patient."""
    house, peer = hospital.house, hospital.peer
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, report(1))
    peer.says = lambda request: 422 if request.method == "POST" else None
    await hospital.hand_over()
    await house.run_tasks()
    (item,) = await house.triage.held_list()
    _, explanation = await house.triage.show(item.id, "staff:1")
    assert (item.reason, explanation.detail) == ("sink-refused", "dpi: HTTP 422 processing")
    told = [words_of(mail) for mail in await house.sent() if "[906]" in mail["Subject"]]
    assert len(told) == 1
    assert "NON intégré dans le logiciel" in told[0]
    assert "ne convient pas" not in told[0]


@pytest.mark.parametrize("status", [401, 403, 408, 429, 500, 503, 302])
async def test_what_is_no_answer_about_the_document_is_tried_again(hospital: FhirHospital, status: int) -> None:
    """A token that ran out, a server that is busy or moved: no dead letter, and it arrives in the end."""
    house, peer = hospital.house, hospital.peer
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, report(1))
    peer.says = lambda request: status
    await hospital.hand_over()
    assert not await house.triage.held_list()
    assert str(status) in await hospital.sink.probe()
    peer.says = lambda request: None
    house.clock.forward(RETRY_MAX_S)
    await hospital.hand_over()
    assert hospital.statuses == [("1", "current")]
    assert await hospital.sink.probe() == ""


async def test_a_new_token_counts_without_a_restart(hospital: FhirHospital) -> None:
    """It is read anew for each request; a file without one is said so."""
    house = hospital.house
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, report(1))
    for text in ("périmé", "", "deux mots", "ancien"):
        hospital.token.write_text(text)
        assert "token" in (trouble := await hospital.sink.probe()) or "401" in trouble
        await hospital.hand_over()
        house.clock.forward(RETRY_MAX_S)
    assert not hospital.peer.documents
    hospital.token.write_text(TOKEN)
    await hospital.hand_over()
    assert hospital.statuses == [("1", "current")]


PROVIDED = Provided(
    entry=DocumentEntry(
        unique_id="1.2.250.1.213.1.4.8.99999.2",
        title="Compte rendu de consultation",
        mime_type="application/xml",
        size_bytes=80,
        sha1="",
        type=Coded("11488-4", "2.16.840.1.113883.6.1", "Consult note"),
        class_=Coded("11", "1.2.250.1.213.1.1.4.1", "Synthèse"),
        format=Coded("urn:ihe:iti:xds:2017:mimeTypeSufficient", "1.3.6.1.4.1.19376.1.2.3"),
        facility=Coded("22232009", "2.16.840.1.113883.6.96", "Hospital"),
        practice=Coded("394802001", "2.16.840.1.113883.6.96", "General medicine"),
        authors=(Author(person_id="899700218896"),),
        creation_time=datetime(2026, 6, 12, 8, tzinfo=UTC),
        service_start=datetime(2026, 6, 12, 8, tzinfo=UTC),
    ),
    content=b"<ClinicalDocument/>",
    ins=Ins.parse("279035121518989", InsOid.NIR_TEST),
    traits=IdentityTraits("PAT-TROIS", ("DOMINIQUE",), date(1979, 3, 28), Sex.FEMALE),
    visibility=frozenset({"N"}),
    at=datetime(2026, 6, 12, 8, tzinfo=UTC),
    source_id="1.2.3.4.5.6.7.8",
)


def _paths(value: Any, at: str = "") -> set[str]:
    """Every element of a resource, without places in lists."""
    if isinstance(value, dict):
        return {f"{at}.{name}" for name in value}.union(*(_paths(one, f"{at}.{name}") for name, one in value.items()))
    return set().union(*(_paths(one, at) for one in value)) if isinstance(value, list) else set()


@pytest.mark.parametrize(
    ("name", "replaces"),
    [("Bundle-example-td2-iti65-lot-soumission.json", ""), ("Bundle-example-td2-1-remplacement.json", "doc-x-id")],
)
def test_our_bundle_has_every_element_of_the_examples_of_ans(samples: Path, name: str, replaces: str) -> None:
    """Ours says more (an identifier of the submission, conditions, the patient's traits); it lacks only resource ids,
    which a server gives, and narrative."""
    example = json.loads((samples / "fhir" / name).read_text(encoding="utf-8"))
    ours = json.loads(write_bundle(replace(PROVIDED, replaces_id=replaces)))
    missing = _paths(example) - _paths(ours)
    assert {path for path in missing if not path.endswith((".id", ".text")) and ".text." not in path} <= EXPLAINED
    assert [one["request"]["method"] for one in ours["entry"]] == [one["request"]["method"] for one in example["entry"]]


EXPLAINED = {".entry.resource.content.format.display"}
"""A label that our reader of METADATA did not get in this value."""


def test_the_same_document_gives_the_same_octets() -> None:
    """What is sent again is the same."""
    assert write_bundle(PROVIDED) == write_bundle(replace(PROVIDED))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_garbage_raises_our_error_only(octets: bytes) -> None:
    """Whatever a server says."""
    try:
        read_answer(octets)
    except BadValue:
        pass


NAMES = st.sampled_from(["resourceType", "issue", "entry", "resource", "details", "coding", "code", "severity", "id"])
LEAVES = st.none() | st.integers() | st.text(max_size=9)


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)))
def test_any_json_is_read_or_refused(value: Any) -> None:
    """Also where a list stands for an object."""
    for kind in ("OperationOutcome", "Bundle"):
        told = {**value, "resourceType": kind} if isinstance(value, dict) else value
        try:
            read_answer(json.dumps(told).encode())
        except BadValue:
            pass
