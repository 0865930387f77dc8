"""What staff say of our own mailboxes on a page: read at once, kept with who said it, and nobody else's to say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import async_playwright

from mss.directory.ours import OwnMailboxes
from mss.directory.search import Search
from mss.model.clock import ManualClock, SeededChance
from mss.model.directory import Source
from mss.model.ids import MailAddress
from mss.model.mailbox import MailboxKind
from mss.sandbox.pool import Sandbox
from mss.store import standings
from mss.store.standings import ContestedRow
from tests.directory.test_search import FILE
from tests.kit import programs
from tests.kit.frenchpeople import rpps
from tests.kit.people import PASSWORD
from tests.web.site import Browser, Page
from tests.web.test_browser import CONTRASTS, DESK, PHONE, SMALL_TARGETS, context_of, keep
from tests.web.test_desk import Counter, counter_at
from tests.web.test_directory import fill

pytestmark = pytest.mark.timeout(120)

CARDIO = "cardio@chu.mssante.example"
WHERE = f"/desk/directory/mailbox?address={quote(CARDIO)}"
FORM = "/desk/directory/mailbox"


@pytest.fixture
async def counter(tmp_path: Path, clock: ManualClock, chance: SeededChance, sandbox: Sandbox) -> AsyncIterator[Counter]:
    """On one engine: what is said is tried on both in tests/directory/test_ours.py."""
    async with counter_at(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance, sandbox) as opened:
        yield opened


async def at_mailbox(counter: Counter, folder: Path, domain: str = "") -> tuple[Browser, Page]:
    await fill(counter, folder, FILE)
    await counter.house.professional(CARDIO, MailboxKind.ORGANISATIONAL)
    browser, _ = await counter.at_desk(await counter.hire("Nadia", domain))
    return browser, await browser.get(WHERE)


async def test_what_staff_say_is_read_at_once_and_stands_in_the_history(counter: Counter, tmp_path: Path) -> None:
    """Purpose, responsible, rank, what it takes: in the search, and under the name of who said it; what was not touched
    stays the national file's word."""
    browser, page = await at_mailbox(counter, tmp_path)
    assert page.fields["service"] == "Secrétariat de cardiologie"
    found = await browser.get("/desk/directory?number=cardio@")
    assert found.links["Modifier"].startswith(FORM)
    fields: dict[str, Any] = {name: page.fields[name] for name in ("address", "description", "service", "phone")}
    said = fields | {"purpose": "Lettres de sortie", "responsible": "Dr Anne PETIT", "rank": "2", "paperless": "no"}
    done = await browser.submit(page, FORM, **said, max_mb="30", patients="no", xdm="yes")
    assert "Enregistré, et déjà lu partout." in done.shown, done.shown
    (listing,) = await Search(counter.house.store).at(CARDIO)
    assert (listing.listing.responsible, listing.listing.rank) == ("Dr Anne PETIT", 2)
    assert (listing.listing.paperless, listing.listing.service) == (False, "Secrétariat de cardiologie")
    below = counter.house.cellar
    ours = OwnMailboxes(below.store, below.public.lookup, below.public.tasks, below.clock, below.chance)
    own = (await ours.of(MailAddress.parse(CARDIO))).own  # type: ignore[union-attr]
    assert own is not None
    assert (own.service, own.description) == (None, None), "what nobody touched became our own word"
    shown = (await browser.get("/desk/directory?number=cardio@")).shown
    for words in ("Lettres de sortie", "Ne répond pas aux patients", "Accepte IHE_XDM", "Jusqu’à 30,0 Mo"):
        assert words in shown, shown
    assert "Zéro papier" not in shown
    for words in ("Description changée", "Nadia", "Lettres de sortie", "Dr Anne PETIT"):
        assert words in done.shown
    again = await browser.submit(
        done, FORM, **said | {"responsible": "Dr Zoé LY"}, max_mb="30", patients="no", xdm="yes"
    )
    assert "Dr Anne PETIT → Dr Zoé LY" in again.shown


async def test_the_red_list_takes_it_out_and_brings_it_back(counter: Counter, tmp_path: Path) -> None:
    """Nobody finds it, the page says so, and saving without the mark shows it again."""
    browser, page = await at_mailbox(counter, tmp_path)
    await browser.submit(page, FORM, address=CARDIO, unlisted="1")
    assert await Search(counter.house.store).at(CARDIO) == ()
    page = await browser.get(WHERE)
    assert "En liste rouge" in page.shown
    await browser.submit(page, FORM, address=CARDIO, purpose="Lettres de sortie")
    assert len(await Search(counter.house.store).at(CARDIO)) == 1


async def test_what_cannot_be_said_is_told_and_what_was_typed_comes_back(counter: Counter, tmp_path: Path) -> None:
    """A mark that turns the direction, a rank that is none, a message without end; nothing is saved."""
    browser, page = await at_mailbox(counter, tmp_path)
    cases: tuple[dict[str, Any], ...] = ({"purpose": "pour\u202etous"}, {"rank": "premier"}, {"max_mb": "9999"})
    for wrong in cases:
        answer = await browser.submit(page, FORM, address=CARDIO, responsible="Dr Anne PETIT", **wrong)
        assert (answer.status, "Rien n’a été enregistré" in answer.shown) == (422, True), wrong
        assert answer.fields["responsible"] == "Dr Anne PETIT"
    assert "Description changée" not in (await browser.get(WHERE)).shown


async def test_nobody_says_anything_of_somebody_else_s_addresses(counter: Counter, tmp_path: Path) -> None:
    """Of another operator, of a patient, of another domain than one's own, of none: always the same 404."""
    browser, _ = await at_mailbox(counter, tmp_path)
    others, _ = await counter.at_desk(await counter.hire("Paul", "patient.mssante.example"))
    missing = await browser.get("/desk/held/4242")
    for who, address in (
        (browser, "a1@ville.mssante.example"),
        (browser, "279035121518989@patient.mssante.example"),
        (browser, "nonsense"),
        (others, CARDIO),
    ):
        read = await who.get(f"{FORM}?address={quote(address)}")
        form = await who.get("/desk")
        done = await who.submit(form, FORM, address=address, purpose="Tout")
        assert (read.status, done.status) == (404, 404), address
        assert read.body == missing.body
    assert "Modifier" not in (await others.get("/desk/directory?number=cardio@")).links


async def test_a_contested_address_is_decided_at_the_desk(counter: Counter, tmp_path: Path) -> None:
    """A foreign one may be the new holder's; one of ours never; who is bound to a domain decides nothing foreign."""
    await fill(counter, tmp_path, FILE)
    store = counter.house.store
    foreign, ours = "x@ville.mssante.example", CARDIO
    rows = [ContestedRow(one, Source.CORRESPONDENCE, f"8{rpps(1)}", f"8{rpps(2)}", 1_000) for one in (foreign, ours)]
    await store.write(0, lambda c: standings.contest(c, rows))
    browser, _ = await counter.at_desk(await counter.hire("Nadia"))
    page = await browser.get("/desk/directory")
    page = await browser.get(page.links["2 adresses contestées attendent une décision"])
    for words in (foreign, ours, "Camille LEFÈVRE", "Marie-Claude LEFEBVRE", "C’est le fichier qui se trompe"):
        assert words in page.shown
    assert page.text.count("Croire le fichier") == 1
    refused = await browser.submit(page, "/desk/directory/contested", address=ours)
    assert refused.status == 409
    bound, _ = await counter.at_desk(await counter.hire("Paul", "chu.mssante.example"))
    page = await bound.get("/desk/directory/contested")
    assert (foreign in page.shown, ours in page.shown) == (False, True)
    assert (await bound.submit(page, "/desk/directory/contested", address=foreign)).status == 404
    page = await browser.get("/desk/directory/contested")
    done = await browser.submit(page, "/desk/directory/contested", address=foreign)
    assert "Décidé" in done.shown
    assert [row.address for row in await store.read(standings.contested)] == [ours]


@pytest.mark.chromium
async def test_the_pages_are_usable_without_scripts(counter: Counter, tmp_path: Path) -> None:
    """By their labels, readable, on a phone and a desk."""
    await fill(counter, tmp_path, FILE)
    await counter.house.professional(CARDIO, MailboxKind.ORGANISATIONAL)
    row = ContestedRow("x@ville.mssante.example", Source.CORRESPONDENCE, f"8{rpps(1)}", f"8{rpps(2)}", 1_000)
    await counter.house.store.write(0, lambda c: standings.contest(c, [row]))
    nadia = await counter.hire("Nadia")
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=str(programs.require("chromium")), args=["--no-sandbox"])
        page = await (await context_of(browser, viewport=PHONE, java_script_enabled=False)).new_page()
        poor: list[str] = []

        async def look(name: str) -> None:
            poor.extend(f"{name} {words}" for words in await page.evaluate(CONTRASTS))
            poor.extend(f"{name} target {target}" for target in await page.evaluate(SMALL_TARGETS))
            for size in (DESK, PHONE):
                await page.set_viewport_size(size)  # type: ignore[arg-type]
                script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                if (wide := await page.evaluate(script)) > 0:
                    poor.append(f"{name} is {wide} px too wide at {size['width']}")
                await keep(page, f"own-{name}-{size['width']}")

        counter.house.clock.forward(60)
        await page.goto(f"{counter.url}/login?next=/desk")
        await page.get_by_label("Identifiant").fill(nadia.login)
        await page.get_by_label("Mot de passe").fill(PASSWORD)
        await page.get_by_role("button", name="Continuer").click()
        await page.get_by_label("Code à six chiffres").fill(nadia.code(counter.house.clock))
        await page.get_by_role("button", name="Se connecter").click()
        await page.goto(f"{counter.url}/desk/directory?number=cardio@")
        await look("found")
        await page.get_by_role("link", name="Modifier").click()
        await page.get_by_label("À quoi sert cette adresse").fill("Lettres de sortie de cardiologie")
        await page.get_by_label("Répond aux patients").select_option(label="Non")
        await page.get_by_role("button", name="Enregistrer").click()
        assert await page.get_by_text("Enregistré, et déjà lu partout.").is_visible()
        await look("mailbox")
        await page.goto(f"{counter.url}/desk/directory/contested")
        await look("contested")
        await browser.close()
    assert poor == []
