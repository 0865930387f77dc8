"""The pages of professionals: how one makes her way in, what she finds, and when she is out again."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pyotp
import pytest
from playwright.async_api import async_playwright

from mss.accounts.professionals import INVITED_S, Professionals
from mss.accounts.software import SoftwareLogin, verifier_of
from mss.accounts.verification import Verification
from mss.directory.correspondence import CorrespondenceReader
from mss.directory.extras import Extras, Said
from mss.directory.imports import Imports
from mss.model.errors import BadValue
from mss.model.ids import Ins, InsOid, MailAddress, OwnerId
from mss.model.mailbox import AccountState, MailboxKind
from mss.store import addressnotes
from mss.store.accounts import CredentialKind
from mss.store.changes import ChangeBus
from mss.web.directory import SEARCH_EVERY_S, SEARCHES_AT_ONCE
from tests.directory.test_search import FILE
from tests.kit import programs
from tests.kit.frenchpeople import lines, rpps
from tests.kit.people import PASSWORD, Person
from tests.web.site import Browser, Page, Site
from tests.web.test_browser import CONTRASTS, DESK, PHONE, SMALL_TARGETS, SMALLEST, context_of, keep

pytestmark = pytest.mark.timeout(120)

ADDRESS = "a1@ville.mssante.example"
NOBODY = Ins.parse("279035121518989", InsOid.NIR_TEST)


def surgery(site: Site) -> Professionals:
    assert site.rooms.surgery is not None
    return site.rooms.surgery.professionals


def verification(site: Site) -> Verification:
    below = site.house
    return Verification(below.store, below.public.lookup, ChangeBus("test"), below.clock)


async def fill(site: Site, folder: Path, content: list[str]) -> None:
    file = folder / "Extraction_20251201.txt"
    file.write_text("\n".join(content), encoding="utf-8")
    service = Imports(site.house.store, folder / "work", site.clock)
    await service.take(file, CorrespondenceReader(), lambda *_: None)


async def hire(site: Site, address: str = ADDRESS, number: int = 1) -> OwnerId:
    """A professional with a mailbox, for whom somebody vouches."""
    owner = await site.house.professional(address)
    await verification(site).begin(owner, rpps(number))
    return owner


async def invite(site: Site, owner: OwnerId, address: str = ADDRESS) -> str:
    token = await surgery(site).invite(owner, MailAddress.parse(address), "staff:test")
    return f"/pro/invitation/{token}"


def code_of(page: Page, site: Site) -> str:
    """What her phone shows, once she has typed the key of the page into it."""
    found = re.search(r"<code>([A-Z2-7 ]+)</code>", page.text)
    assert found is not None
    return pyotp.TOTP(found[1].replace(" ", "")).at(site.clock.now())


async def let_in(site: Site, address: str = ADDRESS, number: int = 1) -> tuple[Browser, Person]:
    """A professional who has used her link: her browser, and what she knows."""
    link = await invite(site, await hire(site, address, number), address)
    browser = site.browser()
    page = await browser.get(link)
    found = re.search(r"<code>([A-Z2-7 ]+)</code>", page.text)
    assert found is not None
    secret = found[1].replace(" ", "")
    page = await browser.submit(page, link, password=PASSWORD, again=PASSWORD, code=code_of(page, site))
    assert page.path == "/pro", page.shown
    plain = pyotp.TOTP(secret).byte_secret()
    return browser, Person(OwnerId(0), address, address, PASSWORD, plain, address, NOBODY)


async def sign_in(site: Site, person: Person) -> tuple[Browser, Page]:
    browser = site.browser()
    site.clock.forward(60)
    page = await browser.submit(await browser.get("/pro"), "/login", login=person.login, password=person.password)
    return browser, await browser.submit(page, "/login", code=person.code(site.clock))


async def test_a_link_lets_her_in_once(any_site: Site) -> None:
    """She chooses a password and sets up her codes; from then on she signs in with both, from any browser."""
    site = any_site
    _, person = await let_in(site)
    browser, page = await sign_in(site, person)
    assert (page.path, "Annuaire des professionnels" in page.shown) == ("/pro", True)
    page = await browser.submit(await browser.get("/pro/account"), "/pro/sign-out-everywhere")
    assert "Vous êtes déconnecté" in page.shown
    assert (await browser.get("/pro")).path == "/login"


async def test_a_link_is_refused_in_one_wording_once_it_is_used_old_replaced_or_invented(site: Site) -> None:
    """And whoever holds it learns nothing of whom it was for."""
    owner = await hire(site)
    first = await invite(site, owner)
    second = await invite(site, owner)
    browser = site.browser()
    page = await browser.get(second)
    assert ADDRESS in page.shown
    used = await browser.submit(page, second, password=PASSWORD, again=PASSWORD, code=code_of(page, site))
    assert used.path == "/pro"
    stranger = site.browser()
    pages = [await stranger.get(link) for link in (first, second, f"/pro/invitation/{'A' * 43}")]
    late = await invite(site, owner)
    site.clock.forward(INVITED_S)
    pages.append(await stranger.get(late))
    assert {page.status for page in pages} == {404}
    assert len({page.body for page in pages}) == 1
    assert "ne sert plus" in pages[0].shown


async def test_what_is_wrong_is_told_and_the_link_stays_good(site: Site) -> None:
    """A weak password, two that differ, a code that is not the one; then it works."""
    link = await invite(site, await hire(site))
    browser = site.browser()
    page = await browser.get(link)
    for password, again, code, words in (
        ("court", "court", "000000", "Neuf caractères au moins."),
        (PASSWORD, PASSWORD + "x", "000000", "ne sont pas les mêmes"),
        (PASSWORD, PASSWORD, "000000", "Ce code n’est pas le bon"),
    ):
        answer = await browser.submit(page, link, password=password, again=again, code=code)
        assert (answer.status, words in answer.shown) == (422, True), answer.shown
        assert PASSWORD not in answer.text
    done = await browser.submit(page, link, password=PASSWORD, again=PASSWORD, code=code_of(page, site))
    assert "Votre accès est ouvert" in done.shown


async def test_whoever_only_handed_the_link_over_does_not_know_her_codes(site: Site) -> None:
    """The key on the page belongs to the browser that shows it, so a kept link is worth nothing."""
    link = await invite(site, await hire(site))
    mine, theirs = await site.browser().get(link), await site.browser().get(link)
    assert code_of(mine, site) != code_of(theirs, site)


async def test_an_application_password_opens_no_page_and_her_password_no_mailbox(site: Site) -> None:
    """Two keys for two doors, whoever has learnt one of them."""
    owner = await hire(site)
    below = site.house
    secret = "abcd-efgh-ijkl-mnop-qrst-uvwx"
    verifier = verifier_of(below.public.lookup, secret)
    await below.accounts.add_credential(owner, CredentialKind.APPLICATION_PASSWORD, verifier)
    software = SoftwareLogin(below.store, below.public.lookup, below.clock, below.chance)
    assert await software.application_password(ADDRESS, secret) == owner
    for _ in range(2):  # before and after she has a way into the pages
        browser = site.browser()
        site.clock.forward(600)
        page = await browser.submit(await browser.get("/login"), "/login", login=ADDRESS, password=secret)
        assert (page.status, "incorrect" in page.shown) == (401, True)
        link = await invite(site, owner)
        page = await browser.get(link)
        await browser.submit(page, link, password=PASSWORD, again=PASSWORD, code=code_of(page, site))
        assert await software.application_password(ADDRESS, PASSWORD) is None


@pytest.mark.parametrize("state", [AccountState.SUSPENDED, AccountState.CLOSED])
async def test_whose_mailbox_is_suspended_or_closed_is_out_at_the_next_click(site: Site, state: AccountState) -> None:
    """Wherever she is signed in; her password opens nothing, and neither does a link."""
    owner = await hire(site)
    link = await invite(site, owner)
    browser = site.browser()
    page = await browser.get(link)
    page = await browser.submit(page, link, password=PASSWORD, again=PASSWORD, code=code_of(page, site))
    assert page.path == "/pro"
    unused = await invite(site, owner)
    await site.house.accounts.set_state(owner, state)
    assert (await browser.get("/pro")).path == "/login"
    assert (await site.browser().get(unused)).status == 404
    with pytest.raises(BadValue, match="verified"):
        await invite(site, owner)


async def test_who_is_struck_off_is_out_and_back_when_it_was_a_mistake(site: Site) -> None:
    """By the number alone, as staff say it; also where the state of her mailbox was not told."""
    browser, person = await let_in(site)
    assert await verification(site).strike(f"8{rpps(1)}", "staff:test")
    assert (await browser.get("/pro")).path == "/login"
    _, page = await sign_in(site, person)
    assert page.path == "/login"
    await verification(site).reinstate(f"8{rpps(1)}", "staff:test")
    _, page = await sign_in(site, person)
    assert page.path == "/pro"


async def test_only_people_for_whom_somebody_vouches_are_invited(site: Site) -> None:
    """No team, no software, nobody whose standing nobody has noted."""
    for kind in (MailboxKind.ORGANISATIONAL, MailboxKind.APPLICATION, MailboxKind.PERSONAL):
        owner = await site.house.professional(f"{kind.value.lower()}@ville.mssante.example", kind)
        with pytest.raises(BadValue, match="verified"):
            await invite(site, owner, f"{kind.value.lower()}@ville.mssante.example")


async def test_withdrawn_is_out(site: Site) -> None:
    """Password and sessions are gone; her mail programs are not asked."""
    owner = await hire(site)
    link = await invite(site, owner)
    browser = site.browser()
    page = await browser.get(link)
    await browser.submit(page, link, password=PASSWORD, again=PASSWORD, code=code_of(page, site))
    await surgery(site).withdraw(owner, "staff:test")
    assert (await browser.get("/pro")).path == "/login"
    page = await browser.submit(await browser.get("/login"), "/login", login=ADDRESS, password=PASSWORD)
    assert page.status == 401


async def test_a_professional_sees_no_page_of_patients_or_staff_and_they_none_of_hers(site: Site) -> None:
    """The same 404 as for what does not exist."""
    browser, _ = await let_in(site)
    for path in ("/inbox", "/record", "/history", "/profile", "/account", "/desk", "/desk/directory"):
        assert (await browser.get(path)).status == 404, path
    patient = await site.signed_in(await site.house.enrol())
    for path in ("/pro", "/pro/account"):
        assert (await patient.get(path)).status == 404, path


async def test_she_finds_people_as_she_asks_and_tells_them_apart(site: Site, tmp_path: Path) -> None:
    """By sound, accents or none, job and place, structure, number, address, kind; what each answer says."""
    browser, _ = await let_in(site)
    assert "Aucun fichier" in (await browser.get("/pro")).shown
    await fill(site, tmp_path, FILE)
    page = await browser.get("/pro?name=lefebvre")
    for words in ("Camille LEFÈVRE", "Marie-Claude LEFEBVRE", "Médecin – Psychiatrie", "Cabinet LYON 03", "69003"):
        assert words in page.shown
    assert f"RPPS …{rpps(1)[-4:]}" in page.shown
    assert rpps(1) not in page.shown
    assert "1 déc. 2025" in page.shown
    for query in (f"name={quote('Lefèvre')}&place=69", "job=cardiologue&place=Lyon", f"number={rpps(1)}", "number=a1@"):
        page = await browser.get(f"/pro?{query}")
        assert "a1@ville.mssante.example" in page.shown, query
        assert "a2@ville.mssante.example" not in page.shown, query
    teams = await browser.get("/pro?structure=rennes&kind=ORG")
    assert ("cardio@" in teams.shown, "dpi@" in teams.shown) == (True, False)
    assert "Personne de ce nom" in (await browser.get("/pro?name=introuvable")).shown
    assert "trois lettres" in (await browser.get("/pro?name=ma")).shown
    for nonsense in ("name=martin&after=nonsense", "name=martin&kind=XXX"):
        assert (await browser.get(f"/pro?{nonsense}")).status == 404


async def test_she_reads_what_an_address_takes_and_whether_it_answers(site: Site, tmp_path: Path) -> None:
    """Before she writes: purpose, largest message, patients, archives, paper; a bounce; who stands in."""
    await fill(site, tmp_path, FILE)
    store, address = site.house.store, MailAddress.parse("cardio@chu.mssante.example")
    extras = Extras(store, site.clock)
    said = Said("Lettres de sortie de cardiologie", 30 * 10**6, False, True)
    await extras.say(address, said, "staff:test")
    until = site.clock.now() + timedelta(days=2)
    await extras.away(address, site.clock.now(), until, "a1@ville.mssante.example")
    await store.write(0, lambda c: addressnotes.bounced(c, address.key, 1_000))
    browser, _ = await let_in(site)
    shown = (await browser.get("/pro?number=cardio@")).shown
    for words in ("Lettres de sortie", "30,0 Mo", "Ne répond pas aux patients", "Accepte IHE_XDM", "Zéro papier"):
        assert words in shown
    for words in ("Ne répond peut-être plus", "Absent jusqu’au", "a1@ville.mssante.example"):
        assert words in shown


async def test_a_long_list_is_turned_and_who_reads_it_out_is_slowed(site: Site, tmp_path: Path) -> None:
    """Each line once; after a burst a page each two seconds, and a word that says so."""
    await fill(site, tmp_path, list(lines(300, seed=3)))
    browser, _ = await let_in(site)
    page = await browser.get("/pro?job=medecin")
    first = {word for word in page.shown.split() if "@" in word}
    page = await browser.get(page.links["Suite de la liste"])
    assert first
    assert not first & {word for word in page.shown.split() if "@" in word}
    for _ in range(SEARCHES_AT_ONCE - 2):
        assert (await browser.get("/pro?name=introuvable")).status == 200
    page = await browser.get("/pro?name=introuvable")
    assert (page.status, "Trop de recherches" in page.shown, page.headers["Retry-After"]) == (429, True, "2")
    assert (await browser.get("/pro")).status == 200, "the form itself is free"
    site.clock.forward(SEARCH_EVERY_S)
    assert (await browser.get("/pro?name=introuvable")).status == 200


async def test_what_she_asks_is_written_nowhere(site: Site, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The journal has a number and a count."""
    await fill(site, tmp_path, FILE)
    browser, _ = await let_in(site)
    await browser.get("/pro?name=lefebvre&place=paris")
    said = "".join(capfd.readouterr())
    assert "directory.searched" in said
    for word in ("lefebvre", "LEFEBVRE", "paris", "PARIS"):
        assert word not in said


@pytest.mark.chromium
async def test_the_pages_are_usable_without_scripts(site: Site, tmp_path: Path) -> None:
    """From the link to an answer, by the words that she sees; readable on a phone and a desk."""
    await fill(site, tmp_path, FILE)
    store, address = site.house.store, MailAddress.parse("cardio@chu.mssante.example")
    await Extras(store, site.clock).say(address, Said("Lettres de sortie de cardiologie", 30 * 10**6, False, True), "s")
    await store.write(0, lambda c: addressnotes.bounced(c, address.key, 1_000))
    link = await invite(site, await hire(site))
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=str(programs.require("chromium")), args=["--no-sandbox"])
        context = await context_of(browser, viewport=PHONE, java_script_enabled=False)
        page = await context.new_page()
        poor: list[str] = []

        async def look(name: str) -> None:
            poor.extend(f"{name} {words}" for words in await page.evaluate(CONTRASTS))
            poor.extend(f"{name} target {target}" for target in await page.evaluate(SMALL_TARGETS))
            for size in (SMALLEST, DESK, PHONE):
                await page.set_viewport_size(size)  # type: ignore[arg-type]
                script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                if (wide := await page.evaluate(script)) > 0:
                    poor.append(f"{name} is {wide} px too wide at {size['width']}")
                await keep(page, f"pro-{name}-{size['width']}")

        await page.goto(f"{site.url}{link}")
        await look("invitation")
        secret = (await page.locator(".secret code").inner_text()).replace(" ", "")
        await page.get_by_label("Mot de passe à choisir").fill(PASSWORD)
        await page.get_by_label("Le même encore une fois").fill(PASSWORD)
        await page.get_by_label("Code à six chiffres").fill("000000")
        await page.get_by_role("button", name="Ouvrir mon accès").click()
        await look("invitation-wrong")
        await page.get_by_label("Mot de passe à choisir").fill(PASSWORD)
        await page.get_by_label("Le même encore une fois").fill(PASSWORD)
        await page.get_by_label("Code à six chiffres").fill(pyotp.TOTP(secret).at(site.clock.now()))
        await page.get_by_role("button", name="Ouvrir mon accès").click()
        assert await page.get_by_text("Votre accès est ouvert").is_visible()
        await look("welcome")
        await page.get_by_label("Nom et prénom").fill("lefebvre")
        await page.get_by_role("button", name="Chercher").click()
        assert await page.get_by_text("Camille LEFÈVRE").is_visible()
        await look("found")
        await page.goto(f"{site.url}/pro?structure=rennes")
        assert await page.get_by_text("Ne répond peut-être plus").is_visible()
        await look("extras")
        await page.get_by_role("link", name="Connexions").click()
        await look("account")
        await page.get_by_role("button", name="Se déconnecter").click()
        await look("login")
        await browser.close()
    assert poor == []
