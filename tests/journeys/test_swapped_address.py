"""The mistake that nobody can undo: one patient's document, another patient's address."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.kit.demo import DOMINIQUE, KARIM, Demo, until
from tests.kit.laboratory import answers_to, health_mail, report, send
from tests.kit.webvisitor import WebVisitor

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]

PAGES = ("/inbox", "/record", "/history", "/profile")


def _everything(visitor: WebVisitor) -> dict[str, str]:
    return {path: visitor.get(path).text for path in PAGES}


def _held(demo: Demo, message_id: str) -> dict[str, Any] | None:
    listed: list[dict[str, Any]] = json.loads(demo.mss("held", "list", "--json").stdout)
    return next((item for item in listed if message_id in (item["message_id"], f"<{item['message_id']}>")), None)


def test_a_document_of_somebody_else_shows_nowhere(demo: Demo) -> None:
    """He sees no page, count or notice of it; a human sees why; the sender is told at once."""
    visitor, secret = demo.signed_in(KARIM), "Sérologie de Dominique"
    before, his = _everything(visitor), demo.patient(KARIM)["address"]
    mail = health_mail(his, report(DOMINIQUE, secret), text="Bonjour Dominique, votre sérologie.")
    sent = send(demo, his, mail)
    item = until(lambda: _held(demo, sent.message_id))
    assert item["reason"] == "ins-mismatch"
    assert item["code"]
    assert item["held_at"]
    shown = demo.mss("held", "show", str(item["id"])).stdout
    assert "ins" in shown.lower()
    desk = demo.at_desk()
    assert secret in desk.get("/desk").text
    assert "Refuser définitivement" in desk.get(f"/desk/held/{item['id']}").text
    answer = until(lambda: answers_to(demo, sent.message_id))[0]
    assert "Auto-Submitted" in answer
    assert _everything(visitor) == before
    assert not any(secret in page for page in before.values())
    traced = demo.mss("trace", sent.message_id).stdout
    assert "held for a human" in traced


def test_a_document_whose_archive_names_two_people_is_held_whole(demo: Demo) -> None:
    """One of them is hers: still no part of the mail is visible."""
    visitor, hers = demo.signed_in(DOMINIQUE), demo.patient()["address"]
    before = _everything(visitor)
    mail = health_mail(hers, report(DOMINIQUE, "Le sien"), report(KARIM, "Pas le sien"))
    sent = send(demo, hers, mail)
    until(lambda: _held(demo, sent.message_id))
    assert _everything(visitor) == before
