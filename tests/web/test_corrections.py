"""A document in the wrong record, at the desk: found, taken out, put right by two people, and nobody else sees it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page as ChromiumPage
from playwright.async_api import async_playwright

from mss.bridge.dossier import Dossier
from mss.bridge.sink import Outcome, Refused, Taken
from mss.model.clock import ManualClock, SeededChance
from mss.sandbox.pool import Sandbox
from mss.store.accounts import AccountKind
from tests.bridge.test_corrections import LEA, SECRET, WRONG
from tests.kit import programs
from tests.kit.documents import HUGO, ZOE, make_cda, make_pdf
from tests.kit.hospital import Hospital, report
from tests.kit.house import HOSPITAL, PATIENTS, House, Patient, words_of
from tests.kit.people import PASSWORD, Person
from tests.web.site import Browser
from tests.web.test_browser import CONTRASTS, DESK, PHONE, SMALL_TARGETS, keep
from tests.web.test_desk import Counter, counter, counter_at

pytestmark = pytest.mark.timeout(180)
__all__ = ["counter"]

PAGES = ("/inbox", "/record", "/history", "/profile")


@pytest.fixture
async def one(tmp_path: Path, clock: ManualClock, chance: SeededChance, sandbox: Sandbox) -> AsyncIterator[Counter]:
    """On one engine, where nothing depends on which."""
    async with counter_at(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance, sandbox) as opened:
        yield opened


async def signs_in(counter: Counter, patient: Patient, login: str) -> Person:
    """A patient of the house with a login of her own."""
    below = counter.house.cellar
    secret = below.chance.token(20)
    hashed = await below.passwords.hash(PASSWORD)
    await below.accounts.let_sign_in(patient.owner, AccountKind.PATIENT, login, hashed, secret)
    return Person(patient.owner, login, login, PASSWORD, secret, str(patient.address), patient.ins)


async def everything(browser: Browser) -> dict[str, str]:
    return {path: (await browser.get(path)).shown for path in PAGES}


async def filed_by_staff(house: House, zoe: Patient) -> str:
    """A twin's result under Zoé's number, and somebody who says yes at the desk."""
    pdf = (("20260105_CR.pdf", make_pdf()),)
    await house.send_documents(zoe, make_cda(WRONG, title=SECRET), pdfs=pdf, text=f"Bonjour Léa, {SECRET}.\n")
    (item,) = await house.triage.held_list()
    await house.triage.file(item.id, "staff:9")
    await house.run_tasks()
    return item.message_id


async def test_from_the_wrong_record_into_the_right_one(counter: Counter) -> None:
    """Seen by the wrong patient; then on no page, in no count; hers after two people; the report says who saw."""
    house = counter.house
    zoe, lea = await house.enrol(ZOE), await house.enrol(LEA)
    message_id = await filed_by_staff(house, zoe)
    hers, _ = await counter.at_desk(await signs_in(counter, zoe, "zoe"))
    listed = await hers.get("/record")
    assert SECRET in (await hers.get(listed.links[SECRET])).shown
    nadia, _ = await counter.at_desk(await counter.hire("Nadia"))
    found = await nadia.submit(await nadia.get("/desk/corrections"), "/desk/record", patient=str(zoe.address))
    number = found.text.partition('name="document" value="')[2].partition('"')[0]
    none = await nadia.submit(found, "/desk/record/unfile", document=number, why=" ")
    assert (none.status, "Écrivez pourquoi" in none.shown) == (400, True)
    out = await nadia.submit(found, "/desk/record/unfile", document=number, why="dossier de sa jumelle")
    assert "Retiré." in out.shown
    await house.run_tasks()
    shown = await everything(hers)
    assert not any(SECRET in page or "Compte rendu" in page for page in shown.values())
    assert "Un document classé par erreur a été retiré de votre dossier" in shown["/history"]
    assert "Un document classé par erreur a été retiré de votre dossier le" in shown["/record"]
    assert (await hers.get(listed.links[SECRET])).status == 404
    correction = out.path
    wrong = await nadia.submit(out, f"{correction}/refile", to=str(HUGO.ins.value))
    assert (wrong.status, "Aucun dossier" in wrong.shown) == (404, True)
    asked = await nadia.submit(out, f"{correction}/refile", to=lea.ins.value)
    assert "une autre personne doit confirmer" in asked.shown
    assert "Proposé le" in asked.shown
    assert "Décidé le" not in asked.shown
    refused = await nadia.submit(asked, f"{asked.path}/confirm")
    assert (refused.status, "Vous l’avez proposé" in refused.shown) == (409, True)
    rita, _ = await counter.at_desk(await counter.hire("Rita", PATIENTS))
    done = await rita.submit(await rita.get(asked.path), f"{asked.path}/confirm")
    assert "Décidé le" in done.shown
    assert "Décidé" in done.shown
    await house.run_tasks()
    right, _ = await counter.at_desk(await signs_in(counter, lea, "lea"))
    assert SECRET in (await right.get("/record")).shown
    assert "1 non lu" in (await right.get("/inbox")).text
    assert not any(SECRET in page for page in (await everything(hers)).values())
    report = await rita.get(f"{correction}/incident")
    assert f"login:{zoe.owner} (patient)" in report.shown
    facts = json.loads((await rita.get(f"{correction}/incident.json")).body)
    assert "document" in {one["what"] for one in facts["seen_by"]}
    assert SECRET not in report.text + json.dumps(facts)
    told = [" ".join(words_of(mail).split()) for mail in await house.sent()]
    assert sum("filed by mistake" in text for text in told) == sum("right patient" in text for text in told) == 1
    assert "record.unfiled" in await house.trace(message_id)
    evidence = await rita.get(f"{correction}/document/{number}")
    assert (evidence.status, SECRET.encode() in evidence.body) == (200, True)
    assert "record.looked" in await house.trace(message_id)


async def test_it_is_nobody_elses_business(one: Counter) -> None:
    """Staff of a hospital, and patients: no such page; nothing is changed by pressing."""
    counter, house = one, one.house
    zoe = await house.enrol(ZOE)
    await filed_by_staff(house, zoe)
    (view,) = await house.documents(zoe)
    omar, page = await counter.at_desk(await counter.hire("Omar", HOSPITAL))
    assert "Voir ses documents" not in (await omar.get("/desk/corrections")).shown
    for path, fields in (
        ("/desk/record", {"patient": str(zoe.address)}),
        ("/desk/record/unfile", {"document": str(view.number), "why": "x"}),
        ("/desk/merge", {"ends": str(zoe.address), "stays": str(zoe.address), "why": "x"}),
    ):
        assert (await omar.submit(page, path, **fields)).status == 404, path  # type: ignore[arg-type]
    number = await house.corrections.unfile(view.number, "staff:9", "dossier de sa jumelle")
    for tail in ("", "/incident", "/incident.json", f"/document/{view.number}"):
        assert (await omar.get(f"/desk/corrections/{number}{tail}")).status == 404, tail
    for act in ("refile", "undo", "confirm", "decline"):
        assert (await omar.submit(page, f"/desk/corrections/{number}/{act}", to=str(zoe.address))).status == 404, act


async def test_a_held_document_is_given_to_the_patient_whom_it_names(one: Counter) -> None:
    """One press on the case; with four eyes filing by hand asks a second person."""
    counter, house = one, one.house
    zoe, hugo = await house.enrol(ZOE), await house.enrol(HUGO)
    await house.send_documents(zoe, make_cda(HUGO, title="Celui de Hugo"))
    nadia, page = await counter.at_desk(await counter.hire("Nadia"))
    case = await nadia.get(page.links["Celui de Hugo"])
    done = await nadia.submit(case, f"{case.path}/redirect", to=hugo.ins.value)
    assert "Décidé" in done.shown
    await house.run_tasks()
    assert [view.entry.title for view in await house.documents(hugo)] == ["Celui de Hugo"]
    house.corrections.four_eyes = True
    await house.send_documents(zoe, make_cda(WRONG, title=SECRET))
    case = await nadia.get((await nadia.get("/desk")).links[SECRET])
    asked = await nadia.submit(case, f"{case.path}/file")
    assert "une autre personne doit confirmer" in asked.shown
    assert not await house.documents(zoe)
    rita, _ = await counter.at_desk(await counter.hire("Rita"))
    await rita.submit(await rita.get(asked.path), f"{asked.path}/confirm")
    assert len(await house.documents(zoe)) == 1


class Stubborn:
    """A hospital's software that says no as long as it is told to."""

    name = "dpi"
    says: Refused | Taken = Refused(906, "AE")

    async def hand_over(self, dossier: Dossier) -> Outcome:
        return self.says

    async def probe(self) -> str:
        return ""

    async def close(self) -> None:
        return None


async def test_what_a_hospitals_software_refused_is_handed_over_again_or_given_up(
    tmp_path: Path, clock: ManualClock, chance: SeededChance, sandbox: Sandbox
) -> None:
    """A dead letter has its buttons: mended, it arrives; given up, its sender reads why."""
    async with counter_at(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance, sandbox) as counter:
        house, sink = counter.house, Stubborn()
        hospital = Hospital(house, sandbox)
        hospital.use(sink)
        counter.sinks.append(hospital.settling)
        zoe = await house.enrol(ZOE)
        for number in (1, 2):
            await house.send_documents(zoe, report(number))
        await hospital.hand_over()
        nadia, page = await counter.at_desk(await counter.hire("Nadia"))
        assert "a refusé le document" in page.shown
        first, second = [f"/desk/held/{item.id}" for item in await house.triage.held_list()]
        sink.says = Taken()
        case = await nadia.get(first)
        assert "Classer" not in case.shown
        done = await nadia.submit(case, f"{first}/sink-retry")
        assert "remis de nouveau" in done.shown
        case = await nadia.get(second)
        none = await nadia.submit(case, f"{second}/sink-drop", why="")
        assert (none.status, "Écrivez pourquoi" in none.shown) == (400, True)
        done = await nadia.submit(case, f"{second}/sink-drop", why="Le dossier papier suffit.")
        assert "Abandonné" in done.shown
        await hospital.hand_over()
        await house.run_tasks()
        assert not await hospital.open_rows()
        assert "Rien n’attend" in (await nadia.get("/desk")).shown
        assert any("Le dossier papier suffit." in words_of(mail) for mail in await house.sent())


@pytest.mark.chromium
async def test_a_browser_without_scripts_corrects(
    tmp_path: Path, clock: ManualClock, chance: SeededChance, sandbox: Sandbox
) -> None:
    """The whole way on a phone, pages readable and targets large; MSS_PICTURES keeps them."""
    async with counter_at(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance, sandbox) as counter:
        house = counter.house
        zoe, lea = await house.enrol(ZOE), await house.enrol(LEA)
        await filed_by_staff(house, zoe)
        nadia, rita = await counter.hire("Nadia"), await counter.hire("Rita")
        async with async_playwright() as driver:
            path = str(programs.require("chromium"))
            browser = await driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
            page = await enter(counter, await browser.new_page(viewport=PHONE, java_script_enabled=False), nadia)  # type: ignore[arg-type]
            await page.goto(f"{counter.url}/desk/corrections")
            await page.get_by_label("INS ou adresse du patient dont le dossier est faux").fill(zoe.ins.value)
            await page.get_by_role("button", name="Voir ses documents").click()
            await looks_well(page, "record")
            await page.get_by_label("Pourquoi").first.fill("dossier de sa jumelle")
            await page.get_by_role("button", name="Retirer de ce dossier").first.click()
            await looks_well(page, "out")
            await page.get_by_label("INS ou adresse du bon patient").fill(lea.ins.value)
            await page.get_by_role("button", name="Classer").click()
            await looks_well(page, "proposed")
            proposed = page.url
            wide = await enter(counter, await browser.new_page(viewport=DESK, java_script_enabled=False), rita)  # type: ignore[arg-type]
            await wide.goto(proposed)
            await wide.get_by_role("button", name="J’ai vérifié : je confirme").click()
            await house.run_tasks()
            await wide.goto(f"{counter.url}/desk/corrections")
            await looks_well(wide, "list")
            await wide.get_by_role("link", name="Retiré d’un dossier").click()
            await wide.get_by_role("link", name="Rapport d’incident").click()
            await looks_well(wide, "incident")
            await browser.close()
        assert [view.entry.title for view in await house.documents(lea)] == [SECRET]


async def enter(counter: Counter, page: ChromiumPage, person: Person) -> ChromiumPage:
    counter.house.clock.forward(61)
    await page.set_extra_http_headers({"Accept-Language": "fr"})
    await page.goto(f"{counter.url}/login")
    await page.get_by_label("Identifiant").fill(person.login)
    await page.get_by_label("Mot de passe").fill(PASSWORD)
    await page.get_by_role("button", name="Continuer").click()
    await page.get_by_label("Code à six chiffres").fill(person.code(counter.house.clock))
    await page.get_by_role("button", name="Se connecter").click()
    await page.wait_for_url("**/desk")
    return page


async def looks_well(page: ChromiumPage, name: str) -> None:
    await keep(page, f"corrections-{name}")
    assert await page.evaluate(CONTRASTS) == [], name
    assert await page.evaluate(SMALL_TARGETS) == [], name
    size = page.viewport_size
    assert size is not None
    assert await page.evaluate("document.documentElement.scrollWidth") <= size["width"], name
