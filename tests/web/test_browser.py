"""A real browser, with a phone's and a desk's screen: can she use it, is it readable, does anything run?

`MSS_PICTURES=DIR` keeps the pictures for eyes.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.kit import programs
from tests.kit.documents import make_jpeg
from tests.web.scene import Scene, set_scene
from tests.web.site import File, Site

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(240)]

PHONE = {"width": 390, "height": 844}
SMALLEST = {"width": 320, "height": 568}
"""1280 pixels enlarged to 400 % (WCAG 1.4.10)."""
DESK = {"width": 1280, "height": 900}

CONTRASTS = """() => {
  const parse = text => {
    const numbers = text.match(/[\\d.]+/g).map(Number);
    const scale = text.startsWith('color(') ? 255 : 1;
    return [numbers[0] * scale, numbers[1] * scale, numbers[2] * scale, numbers[3] ?? 1];
  };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const light = c => {
    const l = c.slice(0, 3).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2];
  };
  const ground = element => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c[3] > 0) layers.push(c);
      if (c[3] === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const box = element.getBoundingClientRect();
    if (!walker.currentNode.data.trim() || box.width < 2 || box.height < 2) continue;
    const style = getComputedStyle(element), below = ground(element), ink = over(parse(style.color), below);
    const [a, b] = [light(ink), light(below)].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5)) poor.push(`${walker.currentNode.data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return poor;
}"""

SMALL_TARGETS = """() => [...document.querySelectorAll(
  "button, .button, .tabs a, .get, .crumb a, textarea, summary," +
  "input:not([type=hidden], [type=radio], [type=checkbox])")]
  .filter(e => e.getClientRects().length && e.getBoundingClientRect().height < (e.matches('summary') ? 24 : 43.5))
  .map(e => `${e.tagName} ${e.className} ${e.textContent.trim().slice(0, 30)} ${e.getBoundingClientRect().height}`)"""


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=str(programs.require("chromium")), args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture
async def scene(site: Site) -> Scene:
    return await set_scene(site)


async def sign_in(page: Page, site: Site, scene: Scene) -> None:
    site.clock.forward(61)
    await page.goto(f"{site.url}/login")
    await page.get_by_label("Identifiant").fill(scene.person.login)
    await page.get_by_label("Mot de passe").fill(scene.person.password)
    await page.get_by_role("button", name="Continuer").click()
    await page.get_by_label("Code à six chiffres").fill(scene.person.code(site.clock))
    await page.get_by_role("button", name="Se connecter").click()
    await page.wait_for_url("**/inbox")


async def keep(page: Page, name: str, *, whole: bool = True) -> None:
    """A picture for eyes, when somebody wants one."""
    if directory := os.environ.get("MSS_PICTURES"):
        await page.screenshot(path=Path(directory) / f"{name}.png", full_page=whole)


def pages_of(scene: Scene) -> dict[str, str]:
    return {
        "inbox": "/inbox",
        "conversation": f"/inbox/{scene.conversation}",
        "record": "/record",
        "cda": f"/record/{scene.cda}",
        "pdf": f"/record/{scene.pdf}",
        "history": "/history",
        "profile": "/profile",
        "account": "/account",
        "accessibility": "/accessibility",
        "missing": "/inbox/1",
    }


async def context_of(browser: Browser, **more: Any) -> BrowserContext:
    return await browser.new_context(locale="fr-FR", **more)


async def test_she_reads_and_answers_without_javascript(
    chromium: Browser, site: Site, scene: Scene, tmp_path: Path
) -> None:
    """From the way in to a photo on its way, with scripts switched off and by the words that she sees."""
    photo = tmp_path / "boîte.jpg"
    photo.write_bytes(make_jpeg(64, 64))
    page = await (await context_of(chromium, viewport=PHONE, java_script_enabled=False)).new_page()
    await sign_in(page, site, scene)
    await page.get_by_role("link", name="Vos résultats du 5 janvier").click()
    await page.get_by_role("link", name="Compte rendu de biologie").click()
    assert await page.get_by_role("cell", name="Hémoglobine").is_visible()
    await page.go_back()
    await page.get_by_label("Votre message").fill("Merci, à bientôt.")
    await page.get_by_label("Joindre des fichiers").set_input_files(photo)
    await page.get_by_role("button", name="Envoyer ma réponse").click()
    assert await page.get_by_text("Votre réponse est envoyée.").is_visible()
    picture = page.get_by_role("img", name="boîte.jpg")
    assert await picture.evaluate("image => image.naturalWidth") == 64, "her photo is shown in the conversation"
    await page.get_by_role("button", name="Se déconnecter").click()
    assert await page.get_by_text("Vous êtes déconnecté.").is_visible()
    await page.go_back()
    await page.reload()
    assert page.url.startswith(f"{site.url}/login"), "nothing is left behind the Back button"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_is_readable_and_fits(chromium: Browser, site: Site, scene: Scene, scheme: Any) -> None:
    """Contrast of 4.5:1 for every word, nothing wider than the screen down to 320 pixels, targets for a thumb."""
    context = await context_of(chromium, viewport=PHONE, color_scheme=scheme)
    page = await context.new_page()
    poor: list[str] = []
    await page.goto(f"{site.url}/login")
    poor += [f"login {words}" for words in await page.evaluate(CONTRASTS)]
    await keep(page, f"login-{scheme}")
    await sign_in(page, site, scene)
    for name, path in pages_of(scene).items():
        await page.goto(f"{site.url}{path}")
        poor += [f"{name} {words}" for words in await page.evaluate(CONTRASTS)]
        poor += [f"{name} target {target}" for target in await page.evaluate(SMALL_TARGETS)]
        for size in (SMALLEST, PHONE, DESK):
            await page.set_viewport_size(size)  # type: ignore[arg-type]
            wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if wide > 0:
                poor.append(f"{name} is {wide} px too wide at {size['width']}")
            await keep(page, f"{name}-{size['width']}-{scheme}", whole=size is DESK)
        await page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    assert poor == []
    planted = "pale = document.createElement('p'); pale.textContent = 'pâle'; pale.style.color = '#8a8a8a'; "
    planted += "pale.style.background = '#777'; document.querySelector('main').append(pale)"
    await page.evaluate(planted)
    assert [words for words in await page.evaluate(CONTRASTS) if words.startswith("pâle")], "it sees what is pale"


async def test_the_keyboard_leads_through_the_page(chromium: Browser, site: Site, scene: Scene) -> None:
    """The first stop skips to the content; where the focus is can be seen; a refusal is announced and linked."""
    page = await (await context_of(chromium, viewport=DESK)).new_page()
    await sign_in(page, site, scene)
    await page.goto(f"{site.url}/inbox/{scene.conversation}")
    await page.keyboard.press("Tab")
    focused = page.locator(":focus")
    assert await focused.inner_text() == "Aller au contenu"
    box = await focused.bounding_box()
    assert box is not None
    assert box["y"] >= 0
    await page.keyboard.press("Enter")
    assert await page.locator(":focus").get_attribute("id") == "main"
    await page.get_by_label("Votre message").focus()
    outline = await page.locator(":focus").evaluate(
        "e => getComputedStyle(e).outlineStyle + getComputedStyle(e).boxShadow"
    )
    assert outline != "nonenone"
    await page.get_by_role("button", name="Envoyer ma réponse").click()
    alert = page.get_by_role("alert")
    assert "Écrivez un message" in await alert.inner_text()
    await alert.get_by_role("link").first.click()
    assert await page.locator(":target").get_attribute("name") == "body"


async def test_a_pdf_is_shown_inside_the_page(chromium: Browser, site: Site, scene: Scene) -> None:
    """The browser's own viewer takes it under our policy: it asks for the file and nothing is refused."""
    refused: list[str] = []
    context = await context_of(chromium, viewport=DESK)
    page = await context.new_page()
    page.on("console", lambda message: refused.append(message.text))
    await sign_in(page, site, scene)
    async with page.expect_response(f"**/record/{scene.pdf}/file*") as answer:
        await page.goto(f"{site.url}/record/{scene.pdf}")
    assert (await answer.value).status == 200
    await page.wait_for_timeout(300)
    assert [words for words in refused if "Content Security Policy" in words or "Refused" in words] == []


def vectors() -> list[str]:
    """Five hundred ways in which markup has run scripts or called home."""
    handlers = ["onerror", "onload", "onclick", "onfocus", "ontoggle", "onanimationstart", "onbegin", "onpointerover"]
    tags = [
        "img src=x",
        "svg",
        "body",
        "input autofocus",
        "details open",
        "style",
        "video src=x",
        "iframe",
        "math",
        "p",
    ]
    breaks = ["", '">', "'>", "</title>", "</textarea>", "-->"]
    made = [f"{b}<{t} {h}=alert(1)>" for b in breaks for t in tags for h in handlers]
    made += [
        "<script>alert(1)</script>",
        "<scr\0ipt>alert(1)</script>",
        "<script src=//evil.example/x.js></script>",
        '<link rel=stylesheet href="//evil.example/x.css">',
        "<style>@import'//evil.example/x.css'</style>",
        '<meta http-equiv=refresh content="0;url=//evil.example">',
        '<base href="//evil.example/">',
        '<form action="//evil.example"><input autofocus></form>',
        '<object data="//evil.example/x.swf"></object>',
        '<a href="javascript:alert(1)" autofocus>x</a>',
        '<img src="//evil.example/pixel.gif">',
        '<img srcset="//evil.example/pixel.gif 2x">',
        "<svg><use href='data:image/svg+xml,<svg id=x onload=alert(1)>#x'/></svg>",
        "<math><mtext></mtext><mglyph><style><img src=x onerror=alert(1)></style></mglyph></math>",
        "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
        '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
        "<![CDATA[<script>alert(1)</script>]]>",
        "<?xml version='1.0'?><x xmlns='http://www.w3.org/1999/xhtml'><script>alert(1)</script></x>",
        '<div style="background:url(//evil.example/x)">x</div>',
        "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    ]
    return made


async def test_five_hundred_vectors_run_nothing_and_call_nobody(chromium: Browser, site: Site) -> None:
    """With scripts allowed by the browser, in text, in HTML, in subjects and in file names."""
    person = await site.house.enrol()
    every = vectors()
    assert len(every) >= 500
    step = 40
    for number, start in enumerate(range(0, len(every), step)):
        part = every[start : start + step]
        name = part[0].replace("\0", "")
        files = [File(f"{name}.txt", "\n".join(part).encode(), "text/html")]
        if number % 2:
            await site.receive(person, f"{number} {name}", "\n".join(part), files=files)
        else:
            await site.receive(
                person, f"{number} {name}", None, html="".join(f"<p>{one}</p>" for one in part), files=files
            )
    context = await context_of(chromium, viewport=DESK)
    page = await context.new_page()
    ran: list[str] = []
    asked: set[str] = set()

    async def dismiss(dialog: Any) -> None:
        ran.append(dialog.message)
        await dialog.dismiss()

    page.on("dialog", dismiss)
    page.on("request", lambda request: asked.add(request.url))
    await sign_in(page, site, Scene(person, 0, 0, 0))
    links = await page.locator("a.whole").evaluate_all("links => links.map(link => link.href)")
    assert len(links) == -(-len(every) // step)
    for link in links:
        await page.goto(link)
        for shown in await page.locator(".part a:not(.get)").evaluate_all("links => links.map(link => link.href)"):
            await page.goto(shown)
    assert ran == []
    assert {url for url in asked if not url.startswith((site.url, "data:"))} == set()
    await page.goto(f"{site.url}/healthz")
    await page.evaluate("alert('control')")
    assert ran == ["control"], "the net catches what runs"
