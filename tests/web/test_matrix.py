"""Every page × everybody who is not meant to see it, made from the table of routes.

A route that this file does not know how to ask for fails: whoever adds a page says here what it shows of whom.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from mss.formats.pdfwrite import write_pdf
from mss.web.routing import Access, Route
from mss.web.server import ROUTES
from tests.kit.documents import make_png
from tests.kit.people import PASSWORD, Person
from tests.web.scene import laboratory_report
from tests.web.site import Browser, File, Page, Site

pytestmark = pytest.mark.timeout(120)

SECRET = "Sérologie-Zéphyr"
"""Stands in everything of the owner: subject, body, file name, title, content."""
OWN_PAGES = {
    "/inbox", "/record", "/history", "/profile", "/account", "/account/sign-out-everywhere", "/desk", "/desk/directory",
    "/desk/corrections", "/desk/record", "/desk/record/unfile", "/desk/merge",
    "/pro", "/pro/account", "/pro/sign-out-everywhere", "/desk/directory/mailbox", "/desk/directory/contested",
}  # fmt: skip
"""Pages about whoever asks: no number in them that could be somebody else's."""
LINK = "/pro/invitation/{token:[A-Za-z0-9_-]{43}}"
EVERYBODYS = {"/", "/accessibility", "/login", "/logout", LINK}


@dataclass
class Owned:
    """The owner's things, by the names in paths."""

    owner: Person
    numbers: dict[str, str]


async def furnish(site: Site) -> Owned:
    """A patient of whom every page has something to show."""
    owner = await site.house.enrol("Claire MARTIN")
    pdf = write_pdf((SECRET,))
    message = await site.receive(
        owner, SECRET, f"Bonjour, {SECRET}.", files=[File(f"{SECRET}.png", make_png(), "image/png")]
    )
    document = await site.file(owner, laboratory_report(site, owner), title=SECRET, message=message)
    await site.file(owner, pdf, title=SECRET, mime_type="application/pdf")
    browser = await site.signed_in(owner)
    link = (await browser.get("/inbox")).links[SECRET]
    numbers = {
        "conversation": link.rpartition("/")[2], "message": str(message), "part": "2",
        "document": str(document), "place": "1", "held": "1", "correction": "1",
        "token": "A" * 43,
    }  # fmt: skip
    return Owned(owner, numbers)


def path_of(route: Route, numbers: dict[str, str]) -> str:
    """The route's path with these numbers. A name that nobody knows is an error."""
    return re.sub(r"\{(\w+):(?:[^{}]|\{[^{}]*\})+\}", lambda match: numbers[match[1]], route.path)


async def ask(browser: Browser, route: Route, path: str) -> Page:
    if route.method == "GET":
        return await browser.get(path, follow=False)
    token = (await browser.get("/accessibility")).fields.get("csrf", "")
    return await browser.post(path, {"csrf": token, "body": "x", "language": "fr"}, follow=False)


def test_every_route_is_in_the_matrix() -> None:
    """Numbers that we know, or a page of one's own, or everybody's."""
    known = {"conversation", "message", "part", "document", "place", "held", "correction", "token"}
    for route in ROUTES:
        names = set(re.findall(r"\{(\w+):", route.path))
        assert names <= known, route.path
        assert names or route.path in OWN_PAGES | EVERYBODYS, f"{route.path}: say whose it is"
        assert (route.access is Access.EVERYBODY) == (route.path in EVERYBODYS), route.path


async def test_the_owner_sees_what_is_hers(site: Site) -> None:
    """The control: without it the others prove nothing."""
    owned = await furnish(site)
    browser = await site.signed_in(owned.owner)
    for route in ROUTES:
        if route.method == "GET" and "{" in route.path and route.access is Access.PATIENT:
            page = await ask(browser, route, path_of(route, owned.numbers))
            assert page.status == 200, route.path
    assert SECRET in (await browser.get(f"/record/{owned.numbers['document']}")).shown
    assert SECRET in (await browser.get(f"/inbox/{owned.numbers['conversation']}")).shown


async def test_a_stranger_is_asked_to_sign_in_everywhere(any_site: Site) -> None:
    """Reading leads to the way in, doing is refused; nothing of hers is in any answer."""
    owned = await furnish(any_site)
    stranger, half = any_site.browser(), any_site.browser()
    await half.submit(await half.get("/login"), "/login", login=owned.owner.login, password=PASSWORD)
    for browser in (stranger, half):
        for route in ROUTES:
            if route.access is Access.EVERYBODY:
                continue
            page = await ask(browser, route, path_of(route, owned.numbers))
            if route.method == "GET":
                assert (page.status, page.headers["Location"].partition("?")[0]) == (303, "/login"), route.path
            else:
                assert page.status in (401, 403), route.path
            assert SECRET not in page.text + repr(page.headers), route.path
            assert SECRET.encode() not in page.body


async def test_another_patient_sees_exactly_what_does_not_exist(any_site: Site) -> None:
    """Status, headers and bytes: hers and invented numbers answer alike, for reading and for doing."""
    owned = await furnish(any_site)
    paul = await any_site.house.enrol("Paul DURAND")
    browser = await any_site.signed_in(paul)
    nothing = {name: "4242424242" if name not in ("part", "place") else "1" for name in owned.numbers}
    for route in ROUTES:
        if route.path == LINK:
            continue
        if "{" not in route.path:
            page = await ask(browser, route, route.path) if route.path not in ("/logout", *OWN_PAGES) else None
            assert page is None or SECRET not in page.text
            continue
        theirs = await ask(browser, route, path_of(route, owned.numbers))
        absent = await ask(browser, route, path_of(route, nothing))
        assert theirs.status == absent.status == 404, route.path
        assert theirs.body == absent.body
        ignored = {"Date"}
        assert {k: v for k, v in theirs.headers.items() if k not in ignored} == {
            k: v for k, v in absent.headers.items() if k not in ignored
        }


async def test_numbers_of_two_owners_do_not_mix(site: Site) -> None:
    """His conversation with her message, his message with her attachment: nothing."""
    owned = await furnish(site)
    paul = await site.house.enrol("Paul DURAND")
    message = await site.receive(paul, "Autre chose", files=[File("b.png", make_png(), "image/png")])
    browser = await site.signed_in(paul)
    own = (await browser.get("/inbox")).links["Autre chose"].rpartition("/")[2]
    assert (await browser.get(f"/inbox/{own}/{message}/2")).status == 200
    for path in (
        f"/inbox/{own}/{owned.numbers['message']}/2",
        f"/inbox/{owned.numbers['conversation']}/{message}/2",
        f"/inbox/{own}/{message}/1",
        f"/inbox/{own}/{message}/9.9.9",
    ):
        assert (await browser.get(path)).status == 404, path


async def test_pages_of_ones_own_show_nothing_of_others(site: Site) -> None:
    """Lists, counts, history, profile."""
    owned = await furnish(site)
    paul = await site.house.enrol("Paul DURAND")
    browser = await site.signed_in(paul)
    for path in ("/desk", "/desk/directory", "/desk/corrections", "/pro", "/pro/account"):
        assert (await browser.get(path)).status == 404
    for path in sorted(
        path for path in OWN_PAGES - {"/account/sign-out-everywhere"} if not path.startswith(("/desk", "/pro"))
    ):
        page = await browser.get(path)
        assert page.status == 200
        for word in (SECRET, "MARTIN", owned.owner.address, "1 non lu"):
            assert word not in page.text


async def test_what_is_no_number_is_no_page(site: Site) -> None:
    """Nothing that was typed into a path reaches the rooms."""
    claire = await site.house.enrol()
    browser = await site.signed_in(claire)
    missing = await browser.get("/inbox/4242424242")
    for tail in ("0", "-1", "1e3", "١٢٣", "9" * 19, "9" * 20, "9" * 500, "1%00", "1/..", "%2e%2e", "1;x", "1 OR 1=1"):
        page = await browser.get(f"/inbox/{tail}")
        assert page.status in (404, 414, 400) or page.path == "/inbox", tail
        if page.status == 404:
            assert page.body == missing.body
