"""Whom can one write to? The directory on a page: by name, job, place, structure, number, for staff and professionals.

The same search as every other door (mss/directory/search.py); nothing here but words around it. What was asked for is
not written down: it names people. Only the directory names them, never a From field.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from urllib.parse import urlencode

import structlog
from aiohttp import web

from mss.accounts.staff import StaffMember
from mss.directory.extras import NOTHING_KNOWN, Extra
from mss.directory.keys import Question
from mss.directory.search import Mark, Page, Search
from mss.directory.words import QUERY_CHARS_MAX
from mss.model.directory import Found, Listing
from mss.model.errors import BadValue, NotFound
from mss.web.ownmailboxes import count_contested, edit_link
from mss.web.professionals import reader_of
from mss.web.routing import Access, get
from mss.web.session import Visit
from mss.web.words import N_

log = structlog.get_logger("web")

PAGE_LINES = 25
LOOKS_MAX = 10
"""Of one page, while it is empty: words that each are common, and together rare, would show nobody page after page."""
FIELDS = ("name", "job", "place", "structure", "number", "kind")
SEARCHES_AT_ONCE = 60
SEARCH_EVERY_S = 2.0
"""Who looks for somebody turns a few pages; who reads the directory out is slowed to a page each two seconds."""

KINDS = {
    "PER": N_("Boîte personnelle"),
    "ORG": N_("Boîte d’équipe"),
    "APP": N_("Boîte d’un logiciel"),
    "CAB": N_("Boîte de cabinet"),
}
_TOO_WIDE = N_("Précisez : au moins trois lettres d’un nom, une profession, un lieu ou une structure.")
_NOT_THROUGH = N_(
    "Ces mots sont portés par beaucoup : la recherche s’est arrêtée avant la fin. Ajoutez une ville ou un nom, ou "
    "continuez la liste."
)
_TOO_OFTEN = N_("Trop de recherches en peu de temps. Attendez quelques secondes, puis réessayez.")


@dataclass(frozen=True, slots=True)
class Line:
    """An answer as a page shows it."""

    listing: Listing
    extra: Extra
    jobs: tuple[str, ...]
    """Profession, then specialty: what tells two people of one name apart."""
    number: str
    """The end of an RPPS, for professionals; the whole number for staff."""
    edit: str = ""
    """Where staff change what is said of it, when it is theirs to say."""

    @property
    def is_paperless(self) -> bool | None:
        """As the structure's people say, else as the national file does."""
        said = self.extra.said.is_paperless
        return self.listing.paperless if said is None else said


async def show_staff(visit: Visit) -> web.StreamResponse:
    """For the operator's people. Raises NotFound where there is no directory."""
    member = await visit.member()
    if visit.rooms.desk is None or visit.rooms.desk.directory is None:
        raise NotFound("directory")
    return await _show(visit, visit.rooms.desk.directory, "/desk/directory", member.owner, member)


async def show_professional(visit: Visit) -> web.StreamResponse:
    """For professionals, with the rights that they have in the address book of their mail program."""
    surgery = await reader_of(visit)
    assert visit.session is not None, "the route asks for a signed-in professional"
    owner = visit.session.account
    if _is_asked(visit) and (wait_s := surgery.budget.take(owner)) > 0:
        response = await _page(visit, "/pro", Page((), None, await surgery.directory.as_of()), _TOO_OFTEN, status=429)
        response.headers["Retry-After"] = str(math.ceil(wait_s))
        return response
    return await _show(visit, surgery.directory, "/pro", owner)


async def _show(visit: Visit, search: Search, here: str, owner: int, member: StaffMember | None = None) -> web.Response:
    """The form, and what was found; the question stands in the link, so that a page can be kept and turned."""
    if not _is_asked(visit):
        return await _page(visit, here, Page((), None, await search.as_of()), member=member)
    try:
        mark = visit.request.query.get("after", "")
        after = Mark.parse(mark) if mark else None
        page = await _first_found(search, _question(_asked(visit)), after)
    except BadValue:
        raise NotFound("page of another question") from None
    log.info("directory.searched", door=here, owner=owner, found=len(page.found), has_more=page.more is not None)
    failure = _TOO_WIDE if page.too_wide else _NOT_THROUGH if page.more is not None and not page.found else ""
    return await _page(visit, here, page, failure, member=member)


async def _first_found(search: Search, question: Question, after: Mark | None) -> Page:
    """The page behind a mark, or the first after it with anybody on it. Raises BadValue."""
    for _ in range(LOOKS_MAX):
        page = await search.find(question, page_max=PAGE_LINES, after=after)
        if page.found or page.more is None:
            break
        after = page.more
    return page


async def _page(
    visit: Visit, here: str, page: Page, failure: str = "", status: int = 200, member: StaffMember | None = None
) -> web.Response:
    asked = _asked(visit)
    extras = await visit.rooms.extras({one.listing.address for one in page.found})
    said = {name: value for name, value in asked.items() if value}
    return await visit.page(
        "directory.html",
        status=status,
        here=here,
        asked=asked,
        lines=[_line(one, extras.get(one.listing.address, NOTHING_KNOWN), visit, member) for one in page.found],
        contested=0 if member is None else await count_contested(visit, member),
        more="" if page.more is None else urlencode({**said, "after": str(page.more)}),
        as_of=page.as_of,
        failure=failure,
        kinds=KINDS,
    )


def _line(found: Found, extra: Extra, visit: Visit, member: StaffMember | None) -> Line:
    listing = found.listing
    jobs = (job.label for job in (listing.profession, listing.specialty) if job is not None)
    edit = edit_link(visit, member, listing.address) if member is not None else ""
    return Line(listing, extra, tuple(dict.fromkeys(jobs)), _number(listing, is_whole=member is not None), edit)


def _number(listing: Listing, *, is_whole: bool) -> str:
    if not listing.idnps:
        return listing.idnst if is_whole else ""
    if is_whole:
        return listing.idnps
    return f"RPPS …{listing.idnps[-4:]}" if listing.idnps.startswith("8") else f"…{listing.idnps[-4:]}"


def _asked(visit: Visit) -> dict[str, str]:
    return {name: visit.request.query.get(name, "").strip()[:QUERY_CHARS_MAX] for name in FIELDS}


def _is_asked(visit: Visit) -> bool:
    return any(_asked(visit).values())


def _question(asked: dict[str, str]) -> Question:
    """An address may be typed where a number is asked for. Raises BadValue for a kind that is none."""
    typed = asked["number"]
    if asked["kind"] and asked["kind"] not in KINDS:
        raise BadValue("no kind of mailbox")
    return Question(
        name=asked["name"],
        job=asked["job"],
        place=asked["place"],
        structure=asked["structure"],
        identifier="" if "@" in typed else typed,
        address=typed if "@" in typed else "",
        kinds=frozenset({asked["kind"]} if asked["kind"] else ()),
    )


ROUTES = (get("/desk/directory", show_staff, Access.STAFF), get("/pro", show_professional, Access.PROFESSIONAL))
