"""Forms from elsewhere, what every answer carries, HTTPS, and what everybody may ask."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import ssl
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest

from mss.crypto.tls import TlsHolder, service_server_context
from mss.web import server as web_server
from mss.web.pages import HERE, static_files, static_url
from mss.web.server import Listening, WebServer
from tests.kit.people import PASSWORD
from tests.kit.pki import Pki, pki  # noqa: F401 — a fixture
from tests.web.site import Site

pytestmark = pytest.mark.timeout(60)
ELSEWHERE: list[Mapping[str, str]] = [
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
    {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
]


@pytest.mark.parametrize("headers", ELSEWHERE, ids=str)
async def test_a_form_of_another_site_is_refused(site: Site, headers: Mapping[str, str]) -> None:
    """Even with the right token."""
    claire = await site.house.enrol()
    await site.receive(claire)
    browser = await site.signed_in(claire)
    page = await browser.get((await browser.get("/inbox")).links["Vos résultats"])
    form = {"csrf": page.fields["csrf"], "once": page.fields["once"], "body": "Bonjour"}
    refused = await browser.post(page.path, form, headers=headers)
    assert refused.status == 403
    assert "n’a pas été envoyé depuis une page de ce site" in refused.shown
    assert (await browser.post(page.path, form)).path == page.path, "and ours is taken"


async def test_a_form_without_the_token_of_this_browser_is_refused(site: Site) -> None:
    """Missing, wrong, of another browser; typed or with files; signed in or not."""
    claire, paul = await site.house.enrol(), await site.house.enrol("Paul DURAND")
    browser, other = await site.signed_in(claire), await site.signed_in(paul)
    foreign = (await other.get("/account")).fields["csrf"]
    for form in ({}, {"csrf": ""}, {"csrf": "x" * 27}, {"csrf": foreign}, {"csrf": "é"}):
        assert (await browser.post("/account", {"language": "en", **form})).status == 403
        assert (await browser.post("/logout", form)).status == 403
        assert (
            await site.browser().post("/login", {"login": claire.login, "password": PASSWORD, **form})
        ).status == 403
    assert (await browser.get("/inbox")).status == 200, "nobody signed her out"


async def test_programs_that_are_no_browser_are_held_by_the_token(site: Site) -> None:
    """Neither Origin nor Sec-Fetch-Site: old browsers and tools."""
    claire = await site.house.enrol()
    form = {"login": claire.login, "password": PASSWORD}
    async with aiohttp.ClientSession() as tool, tool.post(f"{site.url}/login", data=form) as answer:
        assert answer.status == 403


async def test_every_answer_tells_the_browser_to_be_careful(site: Site) -> None:
    """Pages, errors, redirects and health alike."""
    claire = await site.house.enrol()
    browser = await site.signed_in(claire)
    for path in ("/inbox", "/nowhere", "/", "/healthz", "/record/1"):
        page = await browser.get(path, follow=False)
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Referrer-Policy"] == "same-origin"
        assert page.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Server"] == "mss"
        assert "Strict-Transport-Security" not in page.headers, "plain HTTP on loopback"


async def test_no_page_holds_a_script_or_a_style_of_its_own(site: Site) -> None:
    """The policy would stop them; there are none."""
    claire = await site.house.enrol()
    await site.receive(claire)
    browser = await site.signed_in(claire)
    inbox = await browser.get("/inbox")
    for path in ("/inbox", inbox.links["Vos résultats"], "/record", "/profile", "/account", "/login"):
        text = (await browser.get(path)).text
        for forbidden in ("<script", "style=", "onclick", "onload", "javascript:", "http://", "https://"):
            assert forbidden not in text.replace('xmlns="http://www.w3.org/2000/svg"', ""), (path, forbidden)


async def test_style_sheets_are_kept_for_ever_and_change_their_name(site: Site) -> None:
    """By hash; packed for who takes it; without a cookie; and nothing else lies there."""
    browser = site.browser()
    for name, file in static_files().items():
        assert static_url(name).endswith(hashlib.sha256(file.plain).hexdigest()[:12])
        answer = await browser.get(static_url(name))
        assert answer.body == file.plain
        assert "immutable" in answer.headers["Cache-Control"]
        assert "Set-Cookie" not in answer.headers
        assert gzip.decompress(file.packed) == file.plain
    for nothing in ("/static/", "/static/../server.py", "/static/%2e%2e/server.py", "/static//etc/passwd", "/static/x"):
        assert (await browser.get(nothing)).status == 404


def test_the_vendored_style_sheet_is_the_published_one() -> None:
    """Byte for byte, with its licence beside it."""
    static = HERE / "static"
    lines = (line.split() for line in (static / "SHA256SUMS").read_text().splitlines())
    sums = {name: expected for expected, name in lines}
    assert {"pico.min.css", "pico.LICENSE.md"} <= set(sums)
    for name, expected in sums.items():
        assert hashlib.sha256((static / name).read_bytes()).hexdigest() == expected


async def test_health_and_readiness_need_no_cookie(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alive is not ready."""
    browser = site.browser()
    page = await browser.get("/healthz")
    assert (page.status, page.body, "Set-Cookie" in page.headers) == (200, b"ok\n", False)
    monkeypatch.setattr(site.server, "_is_ready", lambda: False)
    assert (await browser.get("/readyz")).status == 503
    assert (await browser.get("/healthz")).status == 200


async def test_errors_are_pages_without_our_inside(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong method, fault of ours: a sentence, and no detail; the fault is noted by its place."""
    claire = await site.house.enrol()
    browser = await site.signed_in(claire)
    token = {"csrf": (await browser.get("/inbox")).fields["csrf"]}
    assert (await browser.post("/inbox", token)).status == 405

    async def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(site.rooms.inbox, "conversations", breaks)
    page = await browser.get("/inbox")
    assert page.status == 500
    assert "Une erreur est survenue de notre côté" in page.shown
    assert "secret" not in page.text


# ── HTTPS ──


@pytest.fixture
async def pair(site: Site, pki: Pki):  # type: ignore[no-untyped-def]  # noqa: F811
    """A server as in production: pages on HTTPS, HTTP only leads there."""
    issued = pki.hospital
    holder = TlsHolder(lambda: service_server_context(issued.certificate_pem, issued.key_pem))
    server = WebServer(site.rooms, http=Listening("127.0.0.1", 0), https=Listening("127.0.0.1", 0, holder))
    await server.start()
    yield server, holder
    await server.stop(0.1)


def trusting(pki_: Pki) -> ssl.SSLContext:
    pem = pki_.authority.root.certificate_pem.decode()
    context = ssl.create_default_context(cadata=pem)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


async def test_https_has_the_stricter_cookies_and_http_only_leads_there(pair, pki: Pki) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    """`__Host-`, Secure, HSTS; nothing is taken over plain HTTP."""
    server, _ = pair
    connector = aiohttp.TCPConnector(ssl=trusting(pki))
    async with aiohttp.ClientSession(connector=connector) as browser:
        async with browser.get(f"https://localhost:{server.ports['https']}/login") as answer:
            cookie = answer.headers["Set-Cookie"]
            assert answer.status == 200
            assert cookie.startswith("__Host-mss=")
            assert {"Secure", "HttpOnly", "Path=/"} <= {part.strip() for part in cookie.split(";")}
            assert "max-age" in answer.headers["Strict-Transport-Security"]
        plain = f"http://localhost:{server.ports['http']}"
        async with browser.get(f"{plain}/inbox?before=5", allow_redirects=False) as answer:
            assert answer.status == 308
            assert answer.headers["Location"] == f"https://localhost:{server.ports['https']}/inbox?before=5"
            assert "Set-Cookie" not in answer.headers
        async with browser.post(f"{plain}/login", data={"login": "x", "password": "y"}) as answer:
            assert answer.status == 403
        evil = {"Host": "evil.example\\@x"}
        async with browser.get(f"{plain}/inbox", allow_redirects=False, headers=evil) as answer:
            assert answer.headers.get("Location", "").startswith(("", "https://evil.example:"))


async def test_a_new_certificate_is_shown_without_a_restart(pair, pki: Pki) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    """Renewing is not an outage."""
    server, holder = pair

    async def shown() -> bytes:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        _, writer = await asyncio.open_connection("127.0.0.1", server.ports["https"], ssl=context)
        der: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return der

    assert await shown() == pki.hospital.der
    holder._build = lambda: service_server_context(pki.lab.certificate_pem, pki.lab.key_pem)
    holder.reload()
    assert await shown() == pki.lab.der


def test_every_error_has_its_sentence() -> None:
    """No status of ours is left without words."""
    text = Path(web_server.__file__).read_text()
    assert {400, 403, 404, 405, 408, 413, 415, 500, 503} == set(web_server.ERRORS)
    assert "ERRORS[status]" in text
