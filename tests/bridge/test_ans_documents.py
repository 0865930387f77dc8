"""The official sample documents, each against its line of tests/data/ans_outcomes.json."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from mss.formats.cda import read_header
from mss.model.document import DocumentStatus
from mss.model.ids import Ins, InsOid, MailAddress
from mss.model.people import IdentityTraits, Sex
from tests.kit.documents import Person
from tests.kit.house import LABORATORY, PATIENTS, House

OUTCOMES: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data" / "ans_outcomes.json").read_text(encoding="utf-8")
)
DOMINIQUE = Person(
    IdentityTraits("PAT-TROIS", ("DOMINIQUE", "MARIE-LOUISE"), date(1979, 3, 28), Sex.FEMALE, "51215"),
    Ins.parse("279035121518989", InsOid.NIR_TEST),
)


async def test_every_document_has_its_outcome(house: House, samples: Path) -> None:
    """All of hers are in her record, in the end with the newer version on top; the others' are held and not seen."""
    found = {path.name: path.read_bytes() for path in sorted((samples / "cda").glob("*.xml"))}
    assert set(found) == set(OUTCOMES)
    patient = await house.enrol(DOMINIQUE)
    for name, content in found.items():
        await house.send_documents(patient, content, subject=name)
    filed = {view.entry.unique_id: view for view in await house.documents(patient)}
    held = {}
    for item in await house.triage.held_list():
        _, explanation = await house.triage.show(item.id, "staff:1")
        held[explanation.subject] = item
    for name, expected in OUTCOMES.items():
        header = read_header(found[name])
        view = filed.pop(header.id.unique_id, None)
        if expected["outcome"] == "held":
            assert view is None, name
            item = held.pop(name)
            assert (item.reason, item.code) == (expected["reason"], expected["code"]), name
        else:
            assert view is not None, name
            assert view.entry.title == (header.title or header.code.label), name
            assert view.status == expected.get("status", DocumentStatus.APPROVED), name
            assert view.entry.type == header.code, name
    assert not filed
    assert not held
    n_filed = sum(expected["outcome"] == "filed" for expected in OUTCOMES.values())
    assert await house.unread(patient) == n_filed
    assert len(await house.sent()) == len(OUTCOMES)


@pytest.mark.parametrize("name", [name for name, expected in OUTCOMES.items() if "own_address" in expected])
async def test_sent_to_their_own_address_they_are_told_as_unreachable(house: House, samples: Path, name: str) -> None:
    """Nobody of that name is enrolled; the bad key of a child crashes nothing."""
    address = MailAddress.parse(f"{OUTCOMES[name]['own_address']}@{PATIENTS}")
    content = (samples / "cda" / name).read_bytes()
    await house.deliver(house.health_mail(address, content), LABORATORY, address)
    house.clock.forward(120)
    await house.run_tasks()
    (told,) = await house.sent()
    assert told["Subject"].startswith("Message non distribué")
    assert not await house.triage.held_list()
