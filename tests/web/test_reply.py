"""An answer leaves the patient's page, or comes back to it with every letter."""

from __future__ import annotations

import asyncio
from email import policy
from email.parser import BytesParser

import pytest

from mss.mail.queue import QueueTaker
from mss.model.errors import StorageUnavailable
from mss.web.forms import FILE_BYTES_MAX
from tests.kit.documents import make_jpeg, make_png
from tests.kit.people import Person
from tests.web.site import Browser, File, Page, Site

pytestmark = pytest.mark.timeout(60)
DRAFT = "Bonjour,\n\nje prends <du fer> & c’est « tout ».\n\n  Claire"


async def opened(site: Site, person: Person) -> tuple[Browser, Page]:
    browser = await site.signed_in(person)
    return browser, await browser.get((await browser.get("/inbox")).links["Vos résultats"])


async def sent(site: Site) -> list[tuple[str, bytes]]:
    """(next hop, message) of what waits to leave."""
    taker = QueueTaker(site.house.store, site.house.bodies, site.house.private.outbound, site.clock, "test")
    return [(row.next_hop, (await taker.load(row)).raw) for row in await taker.claim(50)]


async def test_an_answer_with_a_photo_leaves_and_is_shown_in_the_conversation(any_site: Site) -> None:
    """Real bytes in the queue: to the laboratory, from her, with her text and the photo."""
    claire = await any_site.house.enrol("Claire MARTIN")
    await any_site.receive(claire)
    browser, page = await opened(any_site, claire)
    photo = make_jpeg()
    page = await browser.submit(page, page.path, body=DRAFT, files=[File("boîte.jpg", photo, "image/jpeg")])
    assert "Votre réponse est envoyée" in page.shown
    assert "je prends <du fer> & c’est « tout »." in page.shown
    ((next_hop, raw),) = await sent(any_site)
    message = BytesParser(policy=policy.default).parsebytes(raw)
    assert next_hop == "labo.mssante.example"
    assert message["To"] == "equipe@labo.mssante.example"
    assert message["From"] == f"Claire MARTIN <{claire.address}>"
    assert message["Subject"] == "Re: Vos résultats"
    text, attached = message.iter_parts()
    assert text.get_content().replace("\r\n", "\n").strip() == DRAFT
    assert (attached.get_filename(), attached.get_content()) == ("boîte.jpg", photo)


async def test_two_presses_of_the_button_send_one_answer(site: Site) -> None:
    """Also at the same moment, also after a reload."""
    claire = await site.house.enrol()
    await site.receive(claire)
    browser, page = await opened(site, claire)
    pages = await asyncio.gather(*(browser.submit(page, page.path, body="Merci !") for _ in range(3)))
    assert all(one.status == 200 for one in pages)
    assert len(await sent(site)) == 1


async def test_an_empty_answer_is_not_sent(site: Site) -> None:
    """The page says what is missing."""
    claire = await site.house.enrol()
    await site.receive(claire)
    browser, page = await opened(site, claire)
    page = await browser.submit(page, page.path, body=" \n ", files=[File("", b"")])
    assert page.status == 422
    assert "Écrivez un message, ou joignez un fichier" in page.shown
    assert await sent(site) == []


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([File("virus.exe", b"MZ\x90\0\3")], "« virus.exe » ne peut pas être joint"),
        ([File("faux.pdf", b"<html><script>1</script>")], "« faux.pdf » ne peut pas être joint"),
        ([File("a.zip", b"PK\x03\x04")], "« a.zip » ne peut pas être joint"),
        ([File("film.png", make_png() + b"\0" * FILE_BYTES_MAX)], "« film.png » dépasse 5 Mo"),
        ([File(f"{n}.png", make_png()) for n in range(11)], "« 10.png » est de trop : dix fichiers au plus"),
        ([File(f"{n}.png", make_png() + b"\0" * 4_900_000) for n in range(5)], "les fichiers dépassent 20 Mo ensemble"),
        ([File("vide.pdf", b"")], "« vide.pdf » est vide"),
    ],
    ids=["program", "page in disguise", "archive", "too large", "too many", "all too large", "empty"],
)
async def test_a_refused_file_gives_the_draft_back(site: Site, files: list[File], said: str) -> None:
    """In French, by the file's name; nothing was sent and no letter is lost."""
    claire = await site.house.enrol()
    await site.receive(claire)
    browser, page = await opened(site, claire)
    page = await browser.submit(page, page.path, body=DRAFT, files=files)
    assert page.status == 422
    assert said in page.shown
    assert page.fields["body"] == DRAFT
    assert await sent(site) == []
    page = await browser.submit(page, page.path, body=page.fields["body"])
    assert "Votre réponse est envoyée" in page.shown


async def test_ten_files_at_the_limit_are_sent(site: Site) -> None:
    """What is promised is kept."""
    claire = await site.house.enrol()
    await site.receive(claire)
    browser, page = await opened(site, claire)
    files = [File(f"{n}.png", make_png().ljust(1_900_000, b"\0")) for n in range(10)]
    page = await browser.submit(page, page.path, body="", files=files)
    assert "Votre réponse est envoyée" in page.shown
    ((_, raw),) = await sent(site)
    assert len(list(BytesParser(policy=policy.default).parsebytes(raw).iter_attachments())) == 10


async def test_a_text_that_is_too_long_comes_back(site: Site) -> None:
    """Twenty thousand characters are enough for an answer, and none is lost."""
    claire = await site.house.enrol()
    await site.receive(claire)
    browser, page = await opened(site, claire)
    page = await browser.submit(page, page.path, body="é" * 20_001)
    assert page.status == 413
    assert page.fields["body"] == "é" * 20_001


async def test_an_end_that_comes_while_she_writes_wins_and_gives_the_draft_back(any_site: Site) -> None:
    """The form was open, the exchange no longer is."""
    claire = await any_site.house.enrol()
    await any_site.receive(claire)
    browser, page = await opened(any_site, claire)
    await any_site.receive(claire, "[FIN]")
    page = await browser.submit(page, page.path, body=DRAFT)
    assert page.status == 409
    assert "vient d’être terminé" in page.shown
    assert page.fields["body"] == DRAFT
    assert await sent(any_site) == []


async def test_a_session_that_ended_gives_the_draft_back(site: Site) -> None:
    """She wrote for twenty minutes; her text is on the page that says so."""
    claire = await site.house.enrol()
    await site.receive(claire)
    browser, page = await opened(site, claire)
    site.clock.forward(1200)
    page = await browser.submit(page, page.path, body=DRAFT, files=[File("a.png", make_png())])
    assert page.status == 401
    assert "Rien n’a été envoyé" in page.shown
    assert page.fields["draft"] == DRAFT
    assert await sent(site) == []


async def test_a_store_that_fails_gives_the_draft_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk costs her a second press, not her text."""
    claire = await site.house.enrol()
    await site.receive(claire)
    browser, page = await opened(site, claire)

    async def fails(*_: object, **__: object) -> None:
        raise StorageUnavailable("disk")

    monkeypatch.setattr(site.rooms.replies._dispatch, "send", fails)
    page = await browser.submit(page, page.path, body=DRAFT)
    assert page.status == 503
    assert page.fields["body"] == DRAFT
    monkeypatch.undo()
    page = await browser.submit(page, page.path, body=page.fields["body"])
    assert "Votre réponse est envoyée" in page.shown
    assert len(await sent(site)) == 1


async def test_a_fault_of_ours_gives_the_draft_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks, and wherever."""
    claire = await site.house.enrol()
    await site.receive(claire)
    browser, page = await opened(site, claire)

    async def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("inner")

    monkeypatch.setattr(site.rooms.profiles, "profile", breaks)
    page = await browser.submit(page, page.path, body=DRAFT)
    assert page.status == 500
    assert page.fields["draft"] == DRAFT
    assert "inner" not in page.text
