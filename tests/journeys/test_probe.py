"""An administrator asks why mail to another operator does not go: one command tells each step."""

from __future__ import annotations

import json

import pytest

from mss.demo.papers import TEST_MAILBOX
from mss.demo.people import LABO, TIERS, VILLE
from tests.kit.demo import Demo, until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]


def test_a_healthy_peer_is_green_in_each_step(demo: Demo) -> None:
    """List, handshake, certificate, that it knows ours; and a mail goes there by the queue and is answered."""
    told = demo.mss("trust", "probe", LABO)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "RED" not in told.stdout
    steps = (
        "the trust list names",
        "took our handshake",
        "shows CN=",
        "takes mail from",
        f"took a mail to {TEST_MAILBOX}",
    )
    for step in (*steps, "round trip: answered"):
        assert step in told.stdout
    assert json.loads(demo.mss("queue", "list", "--json").stdout) == []


def test_an_address_that_does_not_answer_by_itself_is_told(demo: Demo) -> None:
    """It got there, and no answer came within the time; a mailbox that does not exist is told as refused."""
    somebody = next(one["address"] for one in demo.told["professionals"] if one["operator"] == "B")
    told = demo.mss("trust", "probe", LABO, "--test-mailbox", somebody, "--wait", "4")
    assert told.returncode == 1
    assert "round trip: no answer within 4 s" in told.stdout
    refused = demo.mss("trust", "probe", LABO, "--test-mailbox", f"personne@{LABO}")
    assert f"round trip: {LABO} refused a mail to personne@{LABO} (5.1.1)" in refused.stdout


def test_a_peer_that_is_away_is_red_with_what_to_do(demo: Demo) -> None:
    """Listed, but nobody answers; a stranger is not listed, and there is no way to it."""
    away = json.loads(demo.mss("trust", "probe", TIERS, "--json").stdout)
    assert [one["ok"] for one in away] == [True, False, True]
    assert "nobody answers there" in away[1]["advice"]
    stranger = demo.mss("trust", "probe", "ailleurs.mssante.example")
    assert stranger.returncode == 1
    assert stranger.stdout.count("RED") == 2
    assert "recipient-outside-trust-space" in stranger.stdout


def test_a_test_mail_is_answered_with_what_the_other_door_saw(demo: Demo) -> None:
    """The laboratory writes to A's test mailbox and reads its own certificate and the TLS of that very connection."""
    from_lab = demo.told["applications"]
    address = next(one["address"] for one in from_lab if one["operator"] == "B")
    to = f"{TEST_MAILBOX}@{VILLE}"
    raw = f"From: {address}\r\nTo: {to}\r\nSubject: essai\r\nMessage-ID: <essai@{LABO}>\r\n\r\nEssai\r\n".encode()
    demo.submit(address, [to], raw)

    def answer() -> str:
        found = [one for one in demo.mails(address) if one["In-Reply-To"] == f"<essai@{LABO}>"]
        return found[0].get_content() if found else ""

    told = until(answer)
    for said in ("CN=", "TLSv1.3", LABO, "trust list"):
        assert said in told
