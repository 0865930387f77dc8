"""The main job, end to end: a laboratory's mail reaches the record, the patient answers, the laboratory reads it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext

from tests.journeys.newcomer import Newcomer
from tests.kit import documents
from tests.kit.demo import Demo, as_message, until
from tests.kit.laboratory import BIOLOGIST, TEAM

pytestmark = [pytest.mark.chromium, pytest.mark.slow, pytest.mark.xdist_group("demo"), pytest.mark.timeout(240)]

TITLE = "CR d'examens biologiques"
ANSWER = "Merci docteur. Voici la photo de mon ordonnance actuelle."
TRACE_LINES_MAX = 12


def test_the_main_job(demo: Demo, chromium: BrowserContext, screenshots: Path, tmp_path: Path) -> None:
    """She signs in, reads message and document, answers with a photo; the laboratory's team has it; the trace tells."""
    her = Newcomer(demo, chromium, screenshots)
    her.sign_in()
    _the_inbox_shows_the_message(her)
    _the_record_shows_the_document_once(her)
    _the_document_can_be_read(her)
    photo = tmp_path / "ordonnance.jpg"
    photo.write_bytes(documents.make_jpeg(640, 480))
    _she_answers(her, photo)
    _the_team_has_the_answer(demo, photo)
    _the_trace_tells(demo)


def _the_inbox_shows_the_message(her: Newcomer) -> None:
    her.sees("Laboratoire des Tilleuls")
    her.picture("2-inbox")


def _the_record_shows_the_document_once(her: Newcomer) -> None:
    """Although CDA, its PDF and the copy beside the archive came."""
    her.go("/record")
    her.picture("3-record")
    link = her.page.get_by_role("link", name=TITLE)
    assert link.count() == 1
    row = her.page.locator("li.row-document", has=link)
    assert "Inès ROUSSEL" in row.inner_text()
    assert "CR d'examens biologiques" in row.locator(".tag").first.inner_text()
    assert row.locator("time").inner_text().strip()


def _the_document_can_be_read(her: Newcomer) -> None:
    her.opens(TITLE)
    her.picture("4-document")
    her.sees("Hémoglobine")
    her.sees("13,4")
    her.sees("Inès ROUSSEL")
    her.go("/inbox")
    row = her.page.locator("li.row", has_text="Laboratoire des Tilleuls").filter(has_text=TITLE)
    row.get_by_role("link").first.click()
    her.page.wait_for_load_state()
    link = her.page.locator("li.part", has_text=".pdf").get_by_role("link").first
    path = link.get_attribute("href")
    assert path is not None
    pdf = her.fetch(path)
    assert pdf.status == 200
    assert pdf.headers["content-type"] == "application/pdf"
    assert pdf.body().startswith(b"%PDF-")


def _she_answers(her: Newcomer, photo: Path) -> None:
    her.sees("15 ou 112, 114")
    her.answers(ANSWER, photo)
    her.sees("Votre réponse est envoyée.")
    her.picture("6-answered")


def _the_team_has_the_answer(demo: Demo, photo: Path) -> None:
    """In any mail client of a member, among the shared mailboxes."""
    client = demo.imap(BIOLOGIST)
    try:
        _, listed = client.list()
        names = [re.sub(rb'^.*? "/" ', b"", line).decode().strip('"') for line in listed if isinstance(line, bytes)]
        (inbox,) = [name for name in names if name.endswith(f"{TEAM}/INBOX")]

        def arrived() -> bytes | None:
            assert client.select(f'"{inbox}"', readonly=True)[0] == "OK", names
            _, found = client.uid("SEARCH", "SUBJECT", '"Re:"')
            if not found[0]:
                return None
            _, data = client.uid("FETCH", found[0].split()[-1].decode(), "(BODY.PEEK[])")
            return next(bytes(part[1]) for part in data if isinstance(part, tuple))

        mail = as_message(until(arrived))
    finally:
        client.logout()
    assert mail["From"].addresses[0].addr_spec == demo.patient()["address"]
    body = mail.get_body(("plain",))
    assert body is not None
    assert ANSWER in body.get_content()
    (attached,) = mail.iter_attachments()
    assert attached.get_payload(decode=True) == photo.read_bytes()


def _the_trace_tells(demo: Demo) -> None:
    message_id = (demo.directory / "keys" / "first-mail-sent").read_text()

    def told() -> list[str] | None:
        lines = demo.mss("trace", message_id).stdout.splitlines()
        return lines if any("relayed" in line for line in lines) else None

    lines = until(told)
    print("\n".join(lines))
    assert len(lines) <= TRACE_LINES_MAX
    story = "\n".join(lines)
    for step in ("received", "filed in the record", "opened the message", "answered"):
        assert step in story, story
    names = [demo.patient()["birth_name"], demo.patient()["ins"], "Inès", TITLE]
    assert not any(name in story for name in names)
