"""The desk of the operator's people: who gets in, what they see, what they decide, and what no page lets them do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from mss.accounts.lifecycle import LifeEvent
from mss.accounts.staff import StaffAccounts
from mss.bridge.explain import EXPLANATIONS
from mss.bridge.mergedesk import MergeDesk
from mss.bridge.settling import Settling
from mss.bridge.sinkdesk import SinkDesk
from mss.directory.contests import Contests
from mss.directory.extras import Extras
from mss.directory.ours import OwnMailboxes
from mss.directory.search import Search
from mss.formats.pdfwrite import write_pdf
from mss.mail.holding import SENTENCES as HELD_BEFORE
from mss.model.clock import ManualClock, SeededChance
from mss.model.document import Visibility
from mss.model.ids import Ins, InsOid, OwnerId
from mss.sandbox.pool import Sandbox
from mss.store.messages import MessageState
from mss.web import desk
from mss.web.rooms import Desk, DirectoryDesk, Rooms
from mss.web.routing import Access
from mss.web.server import ROUTES, Listening, WebServer
from tests.kit import programs
from tests.kit.documents import HUGO, ZOE, make_cda
from tests.kit.house import HOSPITAL, PATIENTS, House, open_house, words_of
from tests.kit.people import PASSWORD, Person
from tests.web.site import Browser, Page
from tests.web.test_browser import CONTRASTS, DESK, PHONE, SMALL_TARGETS, keep

pytestmark = pytest.mark.timeout(120)

TWIN = replace(ZOE, traits=replace(ZOE.traits, given_names=("Léa",)))


@dataclass
class Counter:
    """A house with its pages, and people who sign in to the desk."""

    house: House
    server: WebServer
    staff: StaffAccounts
    browsers: list[Browser]
    sinks: list[Settling]
    """What settles the documents that a hospital's software is owed, once a test has such a hospital."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.ports['http']}"

    async def hire(self, name: str, domain: str = "") -> Person:
        """Somebody with a login, a password and a phone."""
        below = self.house.cellar
        secret, login = below.chance.token(20), f"{name.lower()}@staff"
        owner = await self.staff.add(login, name, domain, await below.passwords.hash(PASSWORD), secret)
        nobody = Ins.parse("279035121518989", InsOid.NIR_TEST)
        return Person(owner, name, login, PASSWORD, secret, "", nobody)

    def browser(self) -> Browser:
        self.browsers.append(Browser(self.url, self.house.clock))
        return self.browsers[-1]

    async def at_desk(self, person: Person) -> tuple[Browser, Page]:
        """Signed in by both steps, like a patient; ends on the desk."""
        browser = self.browser()
        self.house.clock.forward(60)
        form = await browser.get("/login")
        page = await browser.submit(form, "/login", login=person.login, password=person.password)
        page = await browser.submit(page, "/login", code=person.code(self.house.clock))
        return browser, page


@asynccontextmanager
async def counter_at(
    url: str, directory: Path, clock: ManualClock, chance: SeededChance, sandbox: Sandbox
) -> AsyncIterator[Counter]:
    async with open_house(url, directory, clock, chance, sandbox) as house:
        below, settles = house.cellar, list[Settling]()
        staff = StaffAccounts(below.store, below.public.lookup, below.private.wrapper, clock, chance)
        rooms = Rooms(
            login=below.login,
            extras=Extras(below.store, below.clock).of,
            sessions=below.sessions,
            profiles=below.profiles,
            opener=below.opener,
            inbox=house.inbox,
            replies=house.replies,
            records=house.records,
            sandbox=sandbox,
            lookup=below.public.lookup,
            clock=clock,
            chance=chance,
            site_name="Santé Ville",
            desk=Desk(
                staff,
                house.triage,
                Search(below.store),
                house.corrections,
                MergeDesk(below.store, below.opener, house.corrections),
                lambda actor: SinkDesk(below.store, settles[0], house.bus, clock, actor),
                DirectoryDesk(
                    OwnMailboxes(below.store, below.public.lookup, below.public.tasks, clock, chance),
                    Extras(below.store, clock),
                    Contests(below.store, {HOSPITAL, PATIENTS}, clock),
                ),
            ),
        )
        server = WebServer(rooms, http=Listening("127.0.0.1", 0), pages_on_http=True)
        counter = Counter(house, server, staff, [], settles)
        await counter.server.start()
        try:
            yield counter
        finally:
            for browser in counter.browsers:
                await browser.close()
            await counter.server.stop(0.1)


@pytest.fixture
async def counter(
    database_url: str, tmp_path: Path, clock: ManualClock, chance: SeededChance, sandbox: Sandbox
) -> AsyncIterator[Counter]:
    """Once on each engine."""
    async with counter_at(database_url, tmp_path, clock, chance, sandbox) as opened:
        yield opened


async def test_staff_compare_look_and_file(counter: Counter) -> None:
    """A changed first name waits; the page shows both names side by side and the document; one press files it."""
    house = counter.house
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(TWIN, title="Bilan sanguin"))
    browser, page = await counter.at_desk(await counter.hire("Nadia"))
    assert page.path == "/desk"
    assert "Bilan sanguin" in page.shown
    assert "un trait diffère" in page.shown
    case = await browser.get(page.links["Bilan sanguin"])
    assert "Léa" in case.shown
    assert "différent" in case.shown
    look = await browser.get(case.links["Regarder le document"])
    assert (look.status, "Bilan sanguin" in look.shown) == (200, True)
    assert TWIN.traits.birth_name in look.shown.upper()
    done = await browser.submit(case, f"{case.path}/file")
    assert (done.path, "Classé." in done.shown, "Rien n’attend" in done.shown) == ("/desk", True, True)
    await house.run_tasks()
    assert len(await house.documents(zoe)) == await house.unread(zoe) == 1
    again = await browser.submit(case, f"{case.path}/file")
    assert (again.status, "Quelqu’un a décidé entre-temps" in again.shown) == (409, True)


async def test_each_look_and_decision_is_written_down_by_person(counter: Counter) -> None:
    """Not `staff`, but who."""
    house = counter.house
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(TWIN))
    (item,) = await house.triage.held_list()
    nadia = await counter.hire("Nadia")
    browser, _ = await counter.at_desk(nadia)
    case = await browser.get(f"/desk/held/{item.id}")
    await browser.submit(case, f"{case.path}/file")
    assert await house.actors(item.message_id, "held.shown") == {f"staff:{nadia.owner}"}
    assert await house.actors(item.message_id, "held.filed") == {f"staff:{nadia.owner}"}


async def test_no_press_files_another_persons_document(counter: Counter) -> None:
    """An INS that does not fit stays an objection; it can be refused, with words that the sender reads."""
    house = counter.house
    zoe = await house.enrol(ZOE)
    number = await house.send_documents(zoe, make_cda(HUGO))
    (item,) = await house.triage.held_list()
    browser, _ = await counter.at_desk(await counter.hire("Nadia"))
    case = await browser.get(f"/desk/held/{item.id}")
    refused = await browser.submit(case, f"{case.path}/file")
    assert (refused.status, "l’objection demeure" in refused.shown) == (409, True)
    assert await house.sees_nothing(zoe)
    empty = await browser.submit(case, f"{case.path}/refuse", why="  ")
    assert (empty.status, "Écrivez pourquoi" in empty.shown) == (400, True)
    done = await browser.submit(case, f"{case.path}/refuse", why="Ce document est d’un autre patient.")
    assert "Refusé." in done.shown
    await house.run_tasks()
    assert await house.state(zoe, number) == MessageState.REFUSED
    assert "Ce document est d’un autre patient." in words_of((await house.sent())[-1])


async def test_what_is_kept_back_is_shown_after_the_announcement(counter: Counter) -> None:
    """On a page of its own, and one press when the patient knows."""
    house = counter.house
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE, title="Biopsie", visibility=Visibility.HIDDEN_FROM_PATIENT))
    browser, page = await counter.at_desk(await counter.hire("Nadia"))
    assert "Biopsie" not in page.shown
    kept = await browser.get("/desk?state=kept-back")
    case = await browser.get(kept.links["Biopsie"])
    done = await browser.submit(case, f"{case.path}/release")
    assert "Visible par le patient." in done.shown
    assert len(await house.documents(zoe)) == 1


async def test_the_staff_of_one_domain_see_its_cases_only(counter: Counter) -> None:
    """Another's case is no page at all, and pressing on it changes nothing."""
    house = counter.house
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(TWIN, title="Bilan"))
    (item,) = await house.triage.held_list()
    browser, page = await counter.at_desk(await counter.hire("Omar", HOSPITAL))
    assert "Bilan" not in page.text
    nothing = await browser.get("/desk/held/4242")
    for path in (f"/desk/held/{item.id}", f"/desk/held/{item.id}/document/1", f"/desk/held/{item.id}/document/1/file"):
        other = await browser.get(path)
        assert (other.status, other.body) == (404, nothing.body), path
    for act in ("file", "refuse", "release"):
        assert (await browser.submit(page, f"/desk/held/{item.id}/{act}", why="x")).status == 404
    assert len(await house.triage.held_list()) == 1
    _, own = await counter.at_desk(await counter.hire("Rita", PATIENTS))
    assert "Bilan" in own.shown


async def test_staff_have_no_inbox_and_nobody_else_has_a_desk(counter: Counter) -> None:
    """Signed in as staff: patients' pages are none. Not signed in: the way in. Suspended: out at once."""
    browser, page = await counter.at_desk(await counter.hire("Nadia"))
    for route in ROUTES:
        if route.method == "GET" and route.access is Access.PATIENT and "{" not in route.path:
            assert (await browser.get(route.path)).status == 404, route.path
    stranger = await counter.browser().get("/desk", follow=False)
    assert (stranger.status, stranger.headers["Location"].partition("?")[0]) == (303, "/login")
    without_token = await browser.post("/desk/held/1/file", {})
    assert without_token.status == 403
    await counter.staff.live_on("nadia@staff", LifeEvent.SUSPEND)
    assert (await browser.get("/desk")).path == "/login"
    _, still = await counter.at_desk(Person(OwnerId(0), "", "nadia@staff", PASSWORD, b"x" * 20, "", ZOE.ins))
    assert still.path == "/login"
    assert page.path == "/desk"


def test_every_reason_to_hold_has_a_sentence_in_french() -> None:
    """What the bridge and the antivirus can hold for; only what is added later is told in English."""
    assert set(EXPLANATIONS) | set(HELD_BEFORE) <= set(desk.SENTENCES)


@pytest.mark.chromium
async def test_a_browser_shows_the_desk_well(
    tmp_path: Path, clock: ManualClock, chance: SeededChance, sandbox: Sandbox
) -> None:
    """On a phone and a screen: readable, nothing wider than the page, targets large enough. MSS_PICTURES keeps them."""
    async with counter_at(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance, sandbox) as counter:
        house = counter.house
        zoe = await house.enrol(ZOE)
        await house.send_documents(zoe, make_cda(TWIN, title="Compte rendu de biologie médicale"))
        clock.forward(30 * 3600)
        await house.send_documents(zoe, make_cda(HUGO, title="Ordonnance"), pdfs=(("copie.pdf", write_pdf(("A",))),))
        first, _ = await house.triage.held_list()
        person = await counter.hire("Nadia")
        async with async_playwright() as driver:
            browser = await driver.chromium.launch(
                executable_path=str(programs.require("chromium")), args=["--no-sandbox"]
            )
            for name, size in (("phone", PHONE), ("desk", DESK)):
                page = await browser.new_page(viewport=size, java_script_enabled=True, locale="fr-FR")  # type: ignore[arg-type]
                clock.forward(61)
                await page.goto(f"{counter.url}/login")
                await page.get_by_label("Identifiant").fill(person.login)
                await page.get_by_label("Mot de passe").fill(PASSWORD)
                await page.get_by_role("button", name="Continuer").click()
                await page.get_by_label("Code à six chiffres").fill(person.code(clock))
                await page.get_by_role("button", name="Se connecter").click()
                await page.wait_for_url("**/desk")
                for title, path in (
                    ("list", "/desk"),
                    ("case", f"/desk/held/{first.id}"),
                    ("preview", f"/desk/held/{first.id}/document/1"),
                    ("directory", "/desk/directory?name=ma"),
                ):
                    await page.goto(counter.url + path)
                    await keep(page, f"staff-{title}-{name}")
                    assert await page.evaluate(CONTRASTS) == [], title
                    assert await page.evaluate(SMALL_TARGETS) == [], title
                    width = await page.evaluate("document.documentElement.scrollWidth")
                    assert width <= size["width"], title
                await page.close()
            await browser.close()
