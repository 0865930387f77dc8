"""A patient comes in and goes out, and others try to."""

from __future__ import annotations

import re

import pytest

from mss.accounts import login
from mss.accounts.sessions import IDLE_S, Level
from tests.kit.people import PASSWORD, Person
from tests.web.site import Browser, Page, Site

pytestmark = pytest.mark.timeout(60)


async def first_step(browser: Browser, person: Person, password: str = PASSWORD) -> Page:
    return await browser.submit(await browser.get("/login"), "/login", login=person.login, password=password)


def masked(page: Page) -> str:
    """A page without what differs at each showing: form token, login name."""
    return re.sub(r'(name="csrf" value|name="login" value)="[^"]*"', r"\1", page.text)


async def test_password_then_code_lead_to_the_inbox(any_site: Site) -> None:
    """Login, password, and on the next page the code."""
    claire = await any_site.house.enrol()
    browser = any_site.browser()
    page = await first_step(browser, claire)
    assert page.path == "/login"
    assert "Code à six chiffres" in page.shown
    page = await browser.submit(page, "/login", code=claire.code(any_site.clock))
    assert page.path == "/inbox"
    assert "Aucun message" in page.shown
    assert (await browser.get("/login")).path == "/inbox", "who is in does not knock again"


async def test_a_half_open_door_shows_nothing(site: Site) -> None:
    """The password alone opens no page."""
    claire = await site.house.enrol()
    browser = site.browser()
    await first_step(browser, claire)
    assert (await browser.get("/inbox")).path == "/login"
    assert (await browser.get("/record")).path == "/login"


async def test_she_comes_back_to_the_page_she_wanted_and_nowhere_else(site: Site) -> None:
    """`next` leads to pages of ours only."""
    claire = await site.house.enrol()
    browser = site.browser()
    page = await browser.get("/record")
    assert page.fields["next"] == "/record"
    page = await browser.submit(page, "/login", login=claire.login, password=PASSWORD)
    assert (await browser.submit(page, "/login", code=claire.code(site.clock))).path == "/record"
    for foreign in ("https://evil.example/", "//evil.example/inbox", "/\\evil.example", "/inbox/../x", "/logout"):
        page = await site.browser().get("/login?next=" + foreign)
        assert page.fields["next"] == "/inbox"


async def test_a_wrong_password_and_an_unknown_login_look_the_same(site: Site) -> None:
    """Status and every byte of the page."""
    claire = await site.house.enrol()
    nobody = Person(claire.owner, "", "nobody.here", PASSWORD, b"", "", claire.ins)
    wrong = await first_step(site.browser(), claire, "Wrong-Horse-1")
    unknown = await first_step(site.browser(), nobody)
    assert wrong.status == unknown.status == 401
    assert masked(wrong) == masked(unknown)
    assert "Identifiant ou mot de passe incorrect" in wrong.shown
    assert wrong.fields["password"] == "", "a password is never sent back"


async def test_a_code_that_was_used_is_refused_and_the_next_one_is_not(site: Site) -> None:
    """Somebody who saw it over her shoulder is too late."""
    claire = await site.house.enrol()
    browser = await site.signed_in(claire)
    other = site.browser()
    page = await other.submit(await first_step(other, claire), "/login", code=claire.code(site.clock))
    assert page.status == 401
    assert "il a déjà servi" in page.shown
    site.clock.forward(30)
    page = await other.submit(page, "/login", code=claire.code(site.clock))
    assert page.path == "/inbox"
    assert (await browser.get("/inbox")).path == "/inbox", "the first browser stays signed in"


async def test_too_many_codes_lead_back_to_the_password(site: Site) -> None:
    """And the page says so."""
    claire = await site.house.enrol()
    browser = site.browser()
    page = await first_step(browser, claire)
    for _ in range(login.CODES_A_SESSION):
        page = await browser.submit(page, "/login", code="000000")
    assert "Recommencez" in page.shown
    assert "password" in page.fields
    assert (await browser.get("/login")).fields.get("login") == ""


async def test_guessing_is_slowed_and_a_neighbour_is_not(site: Site) -> None:
    """The page tells for how long; another patient behind the same address comes in at once."""
    claire, paul = await site.house.enrol(), await site.house.enrol("Paul DURAND")
    browser = site.browser()
    for _ in range(40):
        page = await first_step(browser, claire, "Wrong-Horse-1")
    assert page.status == 429
    assert 0 < int(page.headers["Retry-After"]) <= login.PAUSE_S_MAX
    assert "Attendez" in page.shown
    assert "Code à six chiffres" in (await first_step(site.browser(), paul)).shown


async def test_her_own_browser_comes_in_while_somebody_guesses(site: Site) -> None:
    """The cookie of a browser that signed in before is what makes the difference."""
    claire = await site.house.enrol()
    browser = await site.signed_in(claire)
    page = await browser.get("/inbox")
    await browser.submit(page, "/logout")
    for _ in range(20):
        await first_step(site.browser(), claire, "Wrong-Horse-1")
    assert (await first_step(site.browser(), claire)).status == 429
    assert "Code à six chiffres" in (await first_step(browser, claire)).shown


async def test_signing_out_ends_the_session_here_or_everywhere(any_site: Site) -> None:
    """The old cookie opens nothing any more."""
    claire = await any_site.house.enrol()
    one, two = await any_site.signed_in(claire), await any_site.signed_in(claire)
    token = one.cookies["mss"]
    page = await one.submit(await one.get("/inbox"), "/logout")
    assert "Vous êtes déconnecté" in page.shown
    thief = any_site.browser()
    thief.plant("mss", token)
    assert (await thief.get("/inbox")).path == "/login"
    page = await two.submit(await two.get("/account"), "/account/sign-out-everywhere")
    assert page.path == "/login"
    assert (await two.get("/inbox")).path == "/login"


async def test_a_planted_cookie_is_not_the_session(site: Site) -> None:
    """Session fixation: the token that an attacker put there stays outside."""
    claire = await site.house.enrol()
    attacker, victim = site.browser(), site.browser()
    await attacker.get("/login")
    planted = attacker.cookies["mss"]
    victim.plant("mss", planted)
    await victim.sign_in(claire)
    assert victim.cookies["mss"] != planted
    assert (await attacker.get("/inbox")).path == "/login"


async def test_a_browser_left_alone_is_signed_out(site: Site) -> None:
    """After a quarter of an hour."""
    claire = await site.house.enrol()
    browser = await site.signed_in(claire)
    site.clock.forward(IDLE_S[Level.FULL] - 30)
    assert (await browser.get("/inbox")).path == "/inbox"
    site.clock.forward(IDLE_S[Level.FULL] + 1)
    assert (await browser.get("/inbox")).path == "/login"


async def test_cookies_are_closed_to_scripts_and_to_other_sites(site: Site) -> None:
    """HttpOnly, SameSite, whole path, no domain; the session's ends with the browser."""
    claire = await site.house.enrol()
    browser = site.browser()
    page = await browser.get("/login")
    cookies = [page.headers["Set-Cookie"]]
    await browser.sign_in(claire)
    for cookie in cookies:
        assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= {part.strip() for part in cookie.split(";")}
        assert "Domain" not in cookie
        assert "Max-Age" not in cookie


async def test_english_on_choice_and_kept(any_site: Site) -> None:
    """By the link in the footer, by the browser's wish, and by the account on the next browser."""
    claire = await any_site.house.enrol()
    assert (await any_site.browser().get("/login")).text.count('lang="fr"') >= 1
    assert "Sign in" in (await any_site.browser().get("/login", headers={"Accept-Language": "en"})).shown
    browser = any_site.browser()
    page = await browser.get("/login?lang=en")
    assert (page.path, 'lang="en"' in page.text) == ("/login", True)
    await browser.sign_in(claire)
    page = await browser.get("/account")
    await browser.submit(page, "/account", language="en")
    page = await (await any_site.signed_in(claire)).get("/inbox")
    assert "No messages" in page.shown


async def test_pages_have_titles_labels_and_a_language(site: Site) -> None:
    """What a screen reader needs first, on every page."""
    claire = await site.house.enrol()
    browser = await site.signed_in(claire)
    titles = set()
    for path in ("/inbox", "/record", "/history", "/profile", "/account", "/accessibility"):
        page = await browser.get(path)
        assert re.search(r'<html lang="fr">', page.text)
        assert 'href="#main"' in page.text
        assert page.text.count("<h1") == 1
        title = re.search("<title>(.*?)</title>", page.text)
        assert title
        titles.add(title[1])
        labelled = set(re.findall(r'<label for="([^"]+)"', page.text))
        fields = set(
            re.findall(r'<(?:input|textarea|select)(?![^>]*type="(?:hidden|radio)")[^>]* id="([^"]+)"', page.text)
        )
        assert fields <= labelled
    assert len(titles) == 6
