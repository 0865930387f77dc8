"""Whom can one write to? The directory as the operator's people search it: by name, job, place, structure, number.

The same search as every other door (mss/directory/search.py); nothing here but words around it. What was asked for is
not written down: it names people. Only the directory names them, never a From field.
"""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web

from mss.directory.keys import Question
from mss.directory.search import Mark, Page, Search
from mss.directory.words import QUERY_CHARS_MAX
from mss.model.errors import BadValue, NotFound
from mss.web.routing import Access, get
from mss.web.session import Visit
from mss.web.words import N_

PAGE_LINES = 25
FIELDS = ("name", "job", "place", "structure", "number")

KINDS = {
    "PER": N_("Boîte personnelle"),
    "ORG": N_("Boîte d’équipe"),
    "APP": N_("Boîte d’un logiciel"),
    "CAB": N_("Boîte de cabinet"),
}


async def show(visit: Visit) -> web.StreamResponse:
    """The form, and what was found; the question stands in the link, so that a page can be kept and turned."""
    search = await _search(visit)
    asked = {name: visit.request.query.get(name, "").strip()[:QUERY_CHARS_MAX] for name in FIELDS}
    question = _question(asked)
    page = Page((), None, await search.as_of())
    failure = ""
    if any(asked.values()):
        try:
            mark = visit.request.query.get("after", "")
            page = await search.find(question, page_max=PAGE_LINES, after=Mark.parse(mark) if mark else None)
        except BadValue:
            raise NotFound("page of another question") from None
        if page.too_wide:
            failure = N_("Précisez : au moins trois lettres d’un nom, une profession, un lieu ou une structure.")
    more = "" if page.more is None else urlencode({**_said(asked), "after": str(page.more)})
    return await visit.page(
        "directory.html",
        asked=asked,
        found=page.found,
        extras=await visit.rooms.extras({one.listing.address for one in page.found}),
        more=more,
        as_of=page.as_of,
        failure=failure,
        kinds=KINDS,
    )


def _said(asked: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in asked.items() if value}


def _question(asked: dict[str, str]) -> Question:
    """An address may be typed where a number is asked for."""
    typed = asked["number"]
    return Question(
        name=asked["name"],
        job=asked["job"],
        place=asked["place"],
        structure=asked["structure"],
        identifier="" if "@" in typed else typed,
        address=typed if "@" in typed else "",
    )


async def _search(visit: Visit) -> Search:
    """The directory, for those who have a desk. Raises NotFound."""
    await visit.member()
    if visit.rooms.desk is None or visit.rooms.desk.directory is None:
        raise NotFound("directory")
    return visit.rooms.desk.directory


ROUTES = (get("/desk/directory", show, Access.STAFF),)
