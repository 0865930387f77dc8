"""Hostile words in every place that a stranger can fill: shown, and nothing more."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from mss.formats.cdatree import CdaId
from mss.formats.cdawrite import LABORATORY_REPORT, CdaToWrite, Section, write_cda
from mss.formats.pdfwrite import write_pdf
from mss.model.document import Author, Coded
from tests.kit.documents import ZOE, make_png
from tests.web.site import File, Site

pytestmark = pytest.mark.timeout(120)

WORDS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</textarea></title><script>alert(1)</script>",
    "{{ 7*7 }}{% raw %}${7*7}#{7*7}",
    "%(name)s %s %d 100%",
    "javascript:alert(1)//",
    "&lt;b&gt;&amp;amp;",
    "<!--<script>",
    "]]><script>",
    "\u202eeiram\u202c \u2066x\u2069 \u200b",
    "Ａ\u0300\u0301 Ünïcode 北京 🙂",
]
ALLOWED_TAGS = {
    "html", "head", "meta", "title", "link", "body", "a", "header", "div", "img", "span", "nav", "ul", "ol", "li",
    "form", "input", "button", "main", "footer", "svg", "rect", "path", "circle", "h1", "h2", "h3", "h4", "p",
    "section", "article", "time", "dl", "dt", "dd", "br", "label", "textarea", "strong", "details", "summary",
    "object", "fieldset", "legend", "table", "thead", "tbody", "tr", "th", "td", "small",
}  # fmt: skip


class Checker(HTMLParser):
    """Finds what our templates never write."""

    def __init__(self) -> None:
        super().__init__()
        self.strange: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ALLOWED_TAGS:
            self.strange.append(tag)
        for name, value in attrs:
            if name.startswith("on") or name in ("style", "srcdoc", "formaction", "ping"):
                self.strange.append(f"{tag} {name}")
            if (
                name in ("href", "src", "action", "data")
                and value
                and not value.startswith(("/", "#", "?", "data:image/"))
            ):
                self.strange.append(f"{tag} {name}={value}")


def strange_in(text: str) -> list[str]:
    checker = Checker()
    checker.feed(text)
    return checker.strange


def test_the_checker_finds_what_it_is_there_for() -> None:
    """A test that finds nothing proves nothing."""
    for word in WORDS[:4]:
        assert strange_in(f"<p>{word}</p>"), word
    assert strange_in("<a href='javascript:x'>x</a>")


@pytest.mark.parametrize("word", WORDS)
async def test_hostile_words_are_inert_on_every_page(site: Site, word: str) -> None:
    """As sender, subject, body, HTML, file name, title, author, type and inside a CDA."""
    claire = await site.house.enrol()
    raw = (
        (
            f"From: =?utf-8?q?{''.join(f'={b:02X}' for b in word.encode())}?= <x@labo.mssante.example>\r\n"
            f"To: {claire.address}\r\nMessage-ID: <1@labo.mssante.example>\r\n"
            f"Subject: =?utf-8?q?{''.join(f'={b:02X}' for b in ('Sujet ' + word).encode())}?=\r\n"
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        ).encode()
        + word.encode()
        + b"\r\n"
    )
    number = await site.receive_raw(claire, raw, "x@labo.mssante.example")
    await site.receive(claire, "HTML", None, html=f"<p>{word}</p><script>alert(2)</script><style>*{{}}</style>")
    await site.receive(claire, "Fichiers", word, files=[File(f"{word}.png", make_png(), "image/png")])
    author = Author(person_name=word, institution_name=word, specialty=word)
    cda = write_cda(
        CdaToWrite(
            CdaId("1.2.3", "9"), _xml(word), LABORATORY_REPORT, site.clock.now(), ZOE.traits, ZOE.ins,
            Author(person_name=_xml(word)), sections=(Section(_xml(word), LABORATORY_REPORT, (_xml(word),)),),
        )
    )  # fmt: skip
    document = await site.file(
        claire, cda, title=f"Titre {word}", author=author, type_=Coded("x", "", word), message=number
    )
    await site.file(claire, write_pdf(("x",)), title=word, mime_type="application/pdf", author=author)
    browser = await site.signed_in(claire)
    inbox = await browser.get("/inbox")
    pages = [inbox, *[await browser.get(link) for link in inbox.links.values() if link.startswith("/inbox/")]]
    assert len(pages) == 4
    pages += [await browser.get(path) for path in ("/record", f"/record/{document}", "/history")]
    for page in pages:
        assert page.status == 200
        assert strange_in(page.text) == [], page.path
        for forbidden in "\u202e\u2066\u200b":
            assert forbidden not in page.text
    if "7*7" in word:
        assert any("{{ 7*7 }}" in page.shown for page in pages), "shown as written, computed by nobody"


def _xml(word: str) -> str:
    """What XML can carry at all."""
    return "".join(c for c in word if c >= " ")


async def test_a_draft_with_markup_comes_back_as_typed(site: Site) -> None:
    """Inside the box and nowhere else."""
    claire = await site.house.enrol()
    await site.receive(claire)
    browser = await site.signed_in(claire)
    page = await browser.get((await browser.get("/inbox")).links["Vos résultats"])
    for word in WORDS:
        page = await browser.submit(page, page.path, body=f"\n{word}\n", files=[File("x.exe", b"MZ\0")])
        assert page.fields["body"] == f"\n{word}\n"
        assert strange_in(page.text) == []


@pytest.mark.parametrize("word", WORDS)
async def test_hostile_logins_and_addresses_of_pages_are_inert(site: Site, word: str) -> None:
    """What a visitor types comes back escaped, and leads nowhere."""
    browser = site.browser()
    page = await browser.get("/login", headers={"Accept-Language": "fr"})
    page = await browser.submit(page, "/login", login=word[:64], password=word)
    assert page.status in (401, 429)
    assert strange_in(page.text) == []
    page = await browser.get("/login?next=" + word.replace("#", "").replace("%", ""))
    assert page.fields["next"] == "/inbox"
