"""What of this HTML may be shown, and how does it read as plain text?

Allow-lists for nh3 (the parser of a browser, in Rust): nothing that runs, loads or leads anywhere survives. A link is
shown as words, its address beside it, so that nobody clicks where a stranger points. Three uses: our own rendering
of a CDA, the body of a message, and the body of a message as text.
"""

from __future__ import annotations

import re
from functools import cache
from html import unescape

import nh3

from mss.model.errors import Malformed
from mss.model.verdict import Reason

CHARS_MAX = 2 * 1024 * 1024  # the largest newsletter seen has 300 kB
RENDERED_CHARS_MAX = 32 * 1024 * 1024  # a CDA of 10 MiB with pictures
TAGS_MAX = 10_000  # nh3 is quadratic in depth: 10,000 nested elements take 0.6 s, 100,000 a minute
TEXT_CHARS_MAX = 500_000
CUT = "\n[…]"

_GONE_WITH_CONTENT = {"script", "style", "title", "head", "noscript", "template", "iframe", "object", "svg", "math"}
_TEXT_TAGS = {
    "b", "blockquote", "br", "caption", "code", "dd", "del", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5",
    "h6", "hr", "i", "ins", "li", "ol", "p", "pre", "s", "small", "span", "strong", "sub", "sup", "table", "tbody",
    "td", "tfoot", "th", "thead", "tr", "u", "ul",
}  # fmt: skip
_CELL_ATTRIBUTES = {"colspan", "rowspan"}

_CDA_TAGS = _TEXT_TAGS | {"a", "article", "header", "img", "section"}
_CDA_CLASSES = {
    "article": {"cda"},
    "header": {"cda-header"},
    "section": {"cda-section"},
    "img": {"cda-image"},
    "small": {"cda-footnote"},
}
_CDA_CLASSES_EVERYWHERE = {
    "cda-abnormal", "cda-bold", "cda-caption", "cda-center", "cda-italic", "cda-link", "cda-note", "cda-paragraph",
    "cda-plain", "cda-right", "cda-table", "cda-text", "cda-underline",
}  # fmt: skip

_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif);base64,[A-Za-z0-9+/]+={0,2}\Z", re.ASCII)
_INLINE_PART = re.compile(r"cid:[A-Za-z0-9.@_+$-]{1,200}\Z", re.ASCII)  # a part of the same message, RFC 2392
_OWN_ANCHOR = re.compile(r"cda-\S{1,200}\Z")
_ADDRESS = re.compile(r"https?://[^\s<>\"]{1,2000}\Z", re.IGNORECASE)
_SPAN = re.compile(r"[0-9]{1,3}\Z", re.ASCII)

# In nh3's own output, where "<" and quotes inside text and values are always escaped.
_LINK = re.compile(r'<a(?: href="([^"]*)")?>|</a>')
_TAG = re.compile(r"<[^>]*>")
_BARE_IMAGE = re.compile(r'<img(?: alt="([^"]*)")?>')
_NEW_LINE = re.compile(r"<(?:br|hr)>|</(?:p|div|li|tr|h[1-6]|blockquote|table|ul|ol|dl|dd|dt|pre|caption)>")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]")


def clean_rendering(html: str) -> str:
    """Our own rendering of a CDA, held to the elements and classes that the style sheet writes."""
    if len(html) > RENDERED_CHARS_MAX:
        raise Malformed(Reason.TOO_LARGE, "the rendering is too long")
    return _cda_cleaner().clean(html)


def clean_body(html: str) -> str:
    """The body of a message, fit to stand in a page. Raises Malformed(TOO_LARGE); show it as text then."""
    if len(html) > CHARS_MAX or html.count("<") > TAGS_MAX:
        raise Malformed(Reason.TOO_LARGE, "HTML too long or too dense")
    cleaned = _body_cleaner(with_links=True).clean(html)
    shown = _BARE_IMAGE.sub(lambda image: f"[{image[1]}]" if image[1] else "", _links_as_text(cleaned))
    return _body_cleaner(with_links=False).clean(shown)  # what leaves is what the allow-list lets out, whatever we did


def to_text(html: str) -> str:
    """The words of HTML, line by line; cut, and saying so, where it is too long."""
    kept = _first_tags(html[:CHARS_MAX])
    spaced = re.sub(r"\s+", " ", _text_cleaner().clean(kept))
    lines = _NEW_LINE.sub("\n", spaced).replace("</td>", "\t").replace("</th>", "\t").replace("<li>", "- ")
    text = _CONTROLS.sub("", unescape(_TAG.sub("", lines)).replace("\r", "\n"))
    text = re.sub(r"[ \t]*\n[ \t]*", "\n", text)
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    if len(kept) < len(html) or len(text) > TEXT_CHARS_MAX:
        return text[:TEXT_CHARS_MAX] + CUT
    return text


def _first_tags(html: str) -> str:
    """The part before one tag too many."""
    if html.count("<") <= TAGS_MAX:
        return html
    place = -1
    for _ in range(TAGS_MAX):
        place = html.index("<", place + 1)
    return html[:place]


def _links_as_text(cleaned: str) -> str:
    """Words of a link, then its address in parentheses, unless the words are the address."""
    pieces: list[str] = []
    opened: list[tuple[str, int]] = []
    end = 0
    for tag in _LINK.finditer(cleaned):
        pieces.append(cleaned[end : tag.start()])
        end = tag.end()
        if tag[0] != "</a>":
            opened.append((tag[1] or "", len(pieces)))
        elif opened:
            address, start = opened.pop()
            words = _TAG.sub("", "".join(pieces[start:])).strip()
            if address and words != address:
                pieces.append(f" ({address})" if words else address)
    pieces.append(cleaned[end:])
    return "".join(pieces)


@cache
def _cda_cleaner() -> nh3.Cleaner:
    def keep(tag: str, name: str, value: str) -> str | None:
        if name == "src":
            return value if _PICTURE.match(value) else None
        if name == "href":  # only inside the document
            return value if value.startswith("#") and _OWN_ANCHOR.match(value[1:]) else None
        if name == "id":
            return value if _OWN_ANCHOR.match(value) else None
        return _keep_span(name, value)

    return nh3.Cleaner(
        tags=_CDA_TAGS,
        clean_content_tags=_GONE_WITH_CONTENT,
        attributes={
            "*": {"id"},
            "a": {"href"},
            "img": {"src", "alt"},
            "td": _CELL_ATTRIBUTES,
            "th": _CELL_ATTRIBUTES | {"scope"},
        },
        attribute_filter=keep,
        allowed_classes={tag: _CDA_CLASSES_EVERYWHERE | _CDA_CLASSES.get(tag, set()) for tag in _CDA_TAGS},
        url_schemes={"data"},
        link_rel=None,
    )


@cache
def _body_cleaner(*, with_links: bool) -> nh3.Cleaner:
    def keep(tag: str, name: str, value: str) -> str | None:
        if name == "src":
            return value if _PICTURE.match(value) or _INLINE_PART.match(value) else None
        if name == "href":
            return value if _ADDRESS.match(value) else None
        return _keep_span(name, value)

    return nh3.Cleaner(
        tags=_TEXT_TAGS | {"img"} | ({"a"} if with_links else set()),
        clean_content_tags=_GONE_WITH_CONTENT,
        attributes={
            "*": set(),  # nh3 would add lang and title
            "a": {"href"},
            "img": {"src", "alt"},
            "td": _CELL_ATTRIBUTES,
            "th": _CELL_ATTRIBUTES,
        },
        attribute_filter=keep,
        url_schemes={"data", "cid", "http", "https"},
        link_rel=None,
    )


@cache
def _text_cleaner() -> nh3.Cleaner:
    return nh3.Cleaner(tags=_TEXT_TAGS, clean_content_tags=_GONE_WITH_CONTENT, attributes={"*": set()}, link_rel=None)


def _keep_span(name: str, value: str) -> str | None:
    if name in _CELL_ATTRIBUTES:
        return value if _SPAN.match(value) else None
    return value
