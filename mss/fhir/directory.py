"""Who was meant, as a Bundle? Reads and searches of the directory for the software that asks.

The one search (mss/directory/entries.py) with FHIR around it: paging links, includes, parts of resources, the moment of
the answer. What was asked for is not written down: it names people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlencode

from mss.directory.entries import ENTRIES_MAX, Entries
from mss.directory.walking import Gone
from mss.directory.wholes import ID_CHARS_MAX, Entry, EntryPage, Unit, person_id
from mss.fhir.asking import Asked, understand
from mss.fhir.beside import Beside
from mss.fhir.cursor import Cursor, Cursors
from mss.fhir.outcome import Refused, Resource, outcome, unknown, wrong
from mss.fhir.parameters import INCLUDES, TABLES
from mss.fhir.resources import ELEMENTS, instant, only, resource_of
from mss.fhir.sorting import in_order
from mss.model.errors import BadValue

INCLUDED_MAX = 500
"""Resources of a page that were not asked for themselves."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out, and what the journal says of it."""

    resource: Resource
    as_of: datetime | None
    found: int
    version: str = ""
    changed: datetime | None = None
    is_of_the_moment: bool = False
    """It says what the version knows nothing of: whoever has this version reads it all the same."""


class DirectoryDoor:
    """Answers in FHIR."""

    def __init__(self, entries: Entries, cursors: Cursors, beside: Beside) -> None:
        self._entries = entries
        self._cursors = cursors
        self._beside = beside

    async def read(self, unit: Unit, name: str, elements: tuple[str, ...] = ()) -> Answer:
        """One resource by its id. Raises Refused."""
        entry = await self._entries.one(unit, name) if 0 < len(name) <= ID_CHARS_MAX else None
        if entry is None:
            raise unknown(f"{unit}")
        resource = resource_of(entry)
        version = resource["meta"]["versionId"]
        if elements:
            resource = only(resource, elements)
        says_more = await self._beside.add([resource])
        return Answer(resource, await self._entries.as_of(), 1, version, entry.changed, says_more)

    async def search(self, unit: Unit, pairs: Sequence[tuple[str, str]], base: str) -> Answer:
        """A page of a searchset. `base`: our address for the links. Raises Refused."""
        asked = understand(unit, pairs, TABLES, INCLUDES, ELEMENTS)
        if asked.matches_nobody:
            page = EntryPage((), None, await self._entries.as_of(), {})
        elif asked.ids:
            page = await self._by_id(asked)
        elif asked.person and not _asks_more(asked):
            page = _whole(asked, await self._entries.roles_of(asked.person), await self._entries.as_of())
        else:
            page = await self._page(asked)
        if asked.order:
            page = _sorted(asked, page)
        return Answer(await self._bundle(asked, page, base), page.as_of, len(page.entries))

    async def _by_id(self, asked: Asked) -> EntryPage:
        found = [await self._entries.one(asked.unit, name) for name in dict.fromkeys(asked.ids)]
        return _whole(asked, [one for one in found if one is not None], await self._entries.as_of())

    async def _page(self, asked: Asked) -> EntryPage:
        cursor = self._cursors.read(asked.page_token, question_of(asked)) if asked.page_token else None
        if asked.person:
            raise wrong("practitioner=… with other parameters: a person has a handful of roles, ask for all of them")
        try:
            page = await self._entries.search(
                asked.unit,
                asked.question,
                page_max=max(1, asked.count),
                after=cursor.mark if cursor else None,
                generations=cursor.generations if cursor else None,
                keeps=asked.keeps,
            )
        except Gone as gone:
            raise Refused(410, "expired", f"{gone}: begin the search again") from None
        except BadValue as problem:
            raise wrong(str(problem)) from None
        if page.too_wide:
            raise wrong(
                "this would list everybody: say at least three letters of a name, or a number, profession, place or "
                "structure",
                "too-costly",
            )
        return page if asked.count else EntryPage((), None, page.as_of, page.generations)

    # ── bundles ──

    async def _bundle(self, asked: Asked, page: EntryPage, base: str) -> Resource:
        entries = [self._row(one, base, "match", asked.elements) for one in page.entries]
        entries += [self._row(one, base, "include", ()) for one in await self._included(asked, page.entries)]
        await self._beside.add([one["resource"] for one in entries])
        if any(one.is_cut for one in page.entries):
            text = "some structures have more mailboxes than are shown: ask for them with mailbox-mss"
            entries.append({"resource": outcome("incomplete", text, "information"), "search": {"mode": "outcome"}})
        made: Resource = {"resourceType": "Bundle", "type": "searchset"}
        if page.as_of is not None:
            made |= {"meta": {"lastUpdated": instant(page.as_of)}, "timestamp": instant(page.as_of)}
        is_whole = page.more is None and not asked.page_token and asked.count > 0
        made |= {"total": len(page.entries)} if is_whole else {}
        made["link"] = self._links(asked, page, base)
        return made | ({"entry": entries} if entries else {})

    def _row(self, entry: Entry, base: str, mode: str, elements: tuple[str, ...]) -> Resource:
        resource = resource_of(entry)
        resource = only(resource, elements) if elements else resource
        return {"fullUrl": f"{base}/{entry.unit}/{entry.id}", "resource": resource, "search": {"mode": mode}}

    def _links(self, asked: Asked, page: EntryPage, base: str) -> list[Resource]:
        said = list(asked.said)
        token = [("_page_token", asked.page_token)] if asked.page_token else []
        links = [{"relation": "self", "url": _url(base, asked.unit, [*said, *token])}]
        if page.more is not None:
            following = self._cursors.token(Cursor(page.more, page.generations), question_of(asked))
            links.append({"relation": "next", "url": _url(base, asked.unit, [*said, ("_page_token", following)])})
        return links

    async def _included(self, asked: Asked, entries: tuple[Entry, ...]) -> list[Entry]:
        """What the matches refer to, or what refers to them; each once."""
        found: dict[tuple[Unit, str], Entry] = {}
        for entry in entries:
            for one in await self._around(asked, entry):
                found.setdefault((one.unit, one.id), one)
                if len(found) > INCLUDED_MAX:
                    raise wrong(f"more than {INCLUDED_MAX} included resources: make _count smaller", "too-costly")
        return list(found.values())

    async def _around(self, asked: Asked, entry: Entry) -> Sequence[Entry]:
        if asked.unit is Unit.PRACTITIONER and asked.include:
            return await self._entries.roles_of(entry.id)
        wanted: list[tuple[Unit, str]] = []
        if "PractitionerRole:practitioner" in asked.include:
            wanted.append((Unit.PRACTITIONER, person_id(entry.listings[0])))
        idnst = entry.listings[0].listing.idnst if entry.listings else ""
        if "PractitionerRole:organization" in asked.include and idnst:
            wanted.append((Unit.ORGANIZATION, idnst))
        around = [await self._entries.one(unit, name) for unit, name in wanted]
        return [one for one in around if one is not None]


def _asks_more(asked: Asked) -> bool:
    return not asked.question.is_empty or bool(asked.question.kinds)


def _whole(asked: Asked, entries: Sequence[Entry], as_of: datetime | None) -> EntryPage:
    return EntryPage(tuple(one for one in entries if asked.keeps(one.changed)), None, as_of, {})


def _sorted(asked: Asked, page: EntryPage) -> EntryPage:
    """Raises Refused where there is more than this page."""
    if page.more is not None or asked.page_token:
        text = f"_sort: the answer is longer than a page; say more, or make _count larger (up to {ENTRIES_MAX})"
        raise wrong(text, "too-costly")
    return replace(page, entries=in_order(asked.unit, asked.order, page.entries))


def question_of(asked: Asked) -> str:
    """The request that a page's token belongs to."""
    return f"{asked.unit}?{urlencode(asked.said)}"


def _url(base: str, unit: Unit, pairs: Sequence[tuple[str, str]]) -> str:
    query = urlencode(pairs)
    return f"{base}/{unit}?{query}" if query else f"{base}/{unit}"


def merged(bundles: Mapping[Unit, Resource]) -> Resource:
    """The first pages of several kinds as one searchset; each kind's next page is a search of its own."""
    made: Resource = {"resourceType": "Bundle", "type": "searchset"}
    parts = list(bundles.values())
    for name in ("meta", "timestamp"):
        made |= {name: parts[0][name]} if name in parts[0] else {}
    if all("total" in part for part in parts):
        made["total"] = sum(part["total"] for part in parts)
    entries = [entry for part in parts for entry in part.get("entry", ())]
    following = [link["url"] for part in parts for link in part["link"] if link["relation"] == "next"]
    if following:  # a Bundle has one link "next", and these are several lists
        text = f"there are more, each kind in a list of its own: {' '.join(following)}"
        entries.append({"resource": outcome("incomplete", text, "information"), "search": {"mode": "outcome"}})
    return made | ({"entry": entries} if entries else {})
