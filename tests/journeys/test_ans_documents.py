"""The official sample documents, each sent by the laboratory through both operators to its outcome in our table."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.kit.demo import DOMINIQUE, Demo, until
from tests.kit.laboratory import answers_to, health_mail, send
from tests.kit.onlooker import Onlooker

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ans"), pytest.mark.timeout(300)]

OUTCOMES: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data" / "ans_outcomes.json").read_text(encoding="utf-8")
)
VERDICTS = {"bridge.filed": "filed", "bridge.held": "held"}


@pytest.fixture(scope="module")
def own_demo() -> Any:
    """A record of its own to count in."""
    running = Demo()
    try:
        yield running.start()
    finally:
        running.remove()


def _verdict(onlooker: Onlooker, message_id: str) -> str | None:
    """What the bridge made of a mail, as the audit has it."""
    return next((VERDICTS[act] for act, _ in onlooker.acts(message_id) if act in VERDICTS), None)


def _shown(demo: Demo) -> str:
    return demo.signed_in(DOMINIQUE).get("/record").text


def test_every_sample_has_its_outcome(own_demo: Demo, samples: Path) -> None:
    """Hers are filed, the newer version on top; other people's are held with a reason and shown nowhere."""
    hers, onlooker = own_demo.patient()["address"], Onlooker(own_demo)
    sent = {}
    for name in OUTCOMES:
        content = (samples / "cda" / name).read_bytes()
        sent[name] = send(own_demo, hers, health_mail(hers, content)).message_id
    for name, expected in OUTCOMES.items():
        assert until(partial(_verdict, onlooker, sent[name]), 60) == expected["outcome"], name
    held = {item["message_id"]: item for item in json.loads(own_demo.mss("held", "list", "--json").stdout)}
    for name, expected in OUTCOMES.items():
        if expected["outcome"] == "held":
            item = held.get(sent[name]) or held[sent[name].strip("<>")]
            assert (item["reason"], item["code"]) == (expected["reason"], expected["code"]), name
    filed = sum(1 for expected in OUTCOMES.values() if expected["outcome"] == "filed")
    former = sum(1 for expected in OUTCOMES.values() if expected.get("status") == "superseded")
    page = _shown(own_demo)
    assert f"{filed - former + 1} documents" in page  # and the one of the demo's first mail
    assert f"{former} ancienne version" in page


def test_those_of_other_people_sent_to_their_own_address_are_unreachable(own_demo: Demo, samples: Path) -> None:
    """Nobody of that name is here: the mail is taken, and the sender is told afterwards."""
    for name, expected in OUTCOMES.items():
        if "own_address" in expected:
            to = f"{expected['own_address']}@{own_demo.told['operator']['patient_domain']}"
            content = (samples / "cda" / name).read_bytes()
            sent = send(own_demo, to, health_mail(to, content))
            (answer,) = until(partial(answers_to, own_demo, sent.message_id), 60)
            assert answer.get_content_type() == "multipart/report", name
