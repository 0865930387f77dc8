"""How does a page become HTML? Templates with autoescape, one set for each language, and the few files beside them."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mss.mail.replies import ATTACHMENTS_MAX
from mss.model.clock import Clock
from mss.web import texts
from mss.web.words import LANGUAGE_NAMES, LANGUAGES, Words, words_of

HERE = Path(__file__).parent
STATIC_TYPES = {".css": "text/css", ".svg": "image/svg+xml", ".txt": "text/plain", ".png": "image/png"}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file of ours, in memory; its name in pages carries its hash, so browsers may keep it for ever."""

    media_type: str
    plain: bytes
    packed: bytes
    version: str


@cache
def static_files() -> dict[str, StaticFile]:
    """Everything below static/ that a browser may fetch."""
    found = {}
    for path in sorted((HERE / "static").rglob("*")):
        if media_type := STATIC_TYPES.get(path.suffix):
            data = path.read_bytes()
            version = hashlib.sha256(data).hexdigest()[:12]
            name = path.relative_to(HERE / "static").as_posix()
            found[name] = StaticFile(media_type, data, gzip.compress(data, mtime=0), version)
    return found


def static_url(name: str) -> str:
    return f"/static/{name}?v={static_files()[name].version}"


@cache
def environment_of(language: str) -> Environment:
    """Templates that speak one language. A name that a page forgot to give is an error, not an empty place."""
    words = words_of(language)
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.install_gettext_callables(words.gettext, words.ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.globals |= {
        "static": static_url,
        "words": words,
        "languages": {tag: LANGUAGE_NAMES[tag] for tag in LANGUAGES},
        "attachments_max": ATTACHMENTS_MAX,
    }
    environment.filters |= {
        "line": texts.one_line,
        "name": texts.name,
        "topic": texts.topic,
        "filename": texts.file_name,
        "initials": texts.initials,
        "hue": _hue,
        "moment": words.moment,
        "moment_in_words": words.moment_in_words,
        "day": words.day,
        "size": words.size,
    }
    environment.tests["doubtful"] = texts.is_doubtful
    return environment


def _hue(text: str) -> int:
    """One of eight colours for somebody, always the same one."""
    return hashlib.sha256(text.lower().encode("utf-8", "replace")).digest()[0] % 8


class Pages:
    """Renders pages of this site."""

    def __init__(self, site_name: str, clock: Clock) -> None:
        self._site_name = site_name
        self._clock = clock

    def respond(self, template: str, words: Words, *, status: int = 200, **values: Any) -> web.Response:
        """An HTML answer; personal pages are kept by nobody on the way."""
        text = self.render(template, words, **values)
        return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")

    def render(self, template: str, words: Words, **values: Any) -> str:
        environment = environment_of(words.language)
        return environment.get_template(template).render(site_name=self._site_name, now=self._clock.now(), **values)
