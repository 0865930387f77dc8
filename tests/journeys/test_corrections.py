"""Somebody said yes to the wrong patient: out of his record, into hers, through every process of a running operator."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from tests.kit.demo import DOMINIQUE, KARIM, Demo, until
from tests.kit.documents import OUR_OID, make_cda
from tests.kit.laboratory import answers_to, health_mail, person, send
from tests.kit.webvisitor import WebVisitor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("demo")]

PAGES = ("/inbox", "/record", "/history", "/profile")
TITLE = "Sérologie classée de travers"


def everything(visitor: WebVisitor) -> str:
    """All pages, and each conversation and document that they lead to."""
    pages = [visitor.get(path) for path in PAGES]
    below = [link for page in pages for link in page.links(r"/(?:inbox|record)/[0-9]+")]
    return " ".join([*(page.html for page in pages), *(visitor.get(link).html for link in dict.fromkeys(below))])


def test_from_the_wrong_record_into_the_right_one(demo: Demo) -> None:
    """Karim reads what is Dominique's; then no page of his shows it, hers do, the laboratory knows both."""
    his, hers, desk = demo.signed_in(KARIM), demo.signed_in(DOMINIQUE), demo.at_desk()
    address = demo.patient(KARIM)["address"]
    mixed = replace(person(DOMINIQUE), ins=person(KARIM).ins)
    document = make_cda(mixed, unique_id=f"{OUR_OID}.31^1", set_id=f"{OUR_OID}.32^1", title=TITLE)
    sent = send(demo, address, health_mail(address, document, text=f"Bonjour Dominique, votre {TITLE}."))
    case = desk.get(until(lambda: _case(desk)))
    desk.post(f"{case.path}/file", {"csrf": case.csrf})
    until(lambda: TITLE in everything(his))
    listed = desk.post("/desk/record", {"csrf": desk.get("/desk/corrections").csrf, "patient": address})
    (number,) = re.findall(rf'id="document-(\d+)">{TITLE}', listed.html)
    taken = demo.mss("record", "unfile", number, "--why", "document d'une autre patiente")
    out = taken.stdout.partition(":")[0]
    assert TITLE not in everything(his)
    assert "Un document classé par erreur a été retiré de votre dossier" in his.get("/history").text
    page = desk.get(f"/desk/corrections/{out}")
    asked = desk.post(f"{page.path}/refile", {"csrf": page.csrf, "to": demo.patient(DOMINIQUE)["address"]})
    assert "une autre personne doit confirmer" in asked.text
    demo.mss("record", "confirm", asked.path.rpartition("/")[2])
    until(lambda: TITLE in everything(hers))
    assert TITLE not in everything(his)
    subjects = until(lambda: _told(demo, sent.message_id))
    assert any("[Retiré du dossier]" in subject for subject in subjects)
    traced = demo.mss("trace", sent.message_id).stdout
    assert "taken out of a record" in traced
    assert "right patient" in traced
    report = json.loads(demo.mss("incident", "export", out).stdout)
    assert any("(patient)" in one["by"] for one in report["seen_by"])
    assert TITLE not in json.dumps(report, ensure_ascii=False)
    assert " 0 breaks" in demo.mss("audit", "verify").stdout


def _case(desk: WebVisitor) -> str:
    """The page of the held mail, once it is held."""
    found = re.search(rf'href="(/desk/held/\d+)">{TITLE}', desk.get("/desk").html)
    return found[1] if found else ""


def _told(demo: Demo, message_id: str) -> list[str]:
    """Subjects of what came back, once the last of it, that it is in the right record, is among them."""
    mails = answers_to(demo, message_id)
    is_whole = any("right patient" in " ".join(mail.as_string().split()) for mail in mails)
    return [str(mail["Subject"]) for mail in mails] if is_whole else []
