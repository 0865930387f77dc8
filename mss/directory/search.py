"""Who was meant? The one search that every door asks: FHIR, LDAP, web and command line get equal answers.

A question becomes a few walks along neighbouring keys (mss/directory/keys.py), in one snapshot. What a page costs is
bounded: keys looked at are counted, and where the count ends the page ends too, with a mark where to go on.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from mss.directory.facts import Kind, listing_of, numbers_about, professional_of, structure_of
from mss.directory.keys import KEY_CHARS_MAX, Question, Walk, fits, jobs_meant, keys_of, walks
from mss.model.clock import from_ms
from mss.model.directory import Found, Listing, Professional, Source, Structure, Verified
from mss.model.errors import BadValue
from mss.store import directory
from mss.store.database import Store
from mss.store.directory import FactRow, SourceRow
from mss.store.sql import Connection

PAGE_MAX = 100
"""Listings of one answer, whatever is asked for."""
KEYS_LOOKED_AT_MAX = 1_000
"""Of one page: a second word that excludes almost everybody costs as much as this, and no more."""
KEYS_AT_ONCE = 150
EXPORT_ROWS = 2_000
CHECKED_AGAIN = timedelta(days=31)
"""A source that has not spoken for so long has to be asked again: the public files come daily."""
NAMES_MAX = 500
"""Addresses of one page of a conversation; those behind it keep the name that they bring."""
MARK_CHARS_MAX = 600


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a page ended: which walk, and the last key and number seen on it."""

    walk: int
    key: str
    number: int

    def __str__(self) -> str:
        text = json.dumps([self.walk, self.key, self.number], ensure_ascii=False)
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Mark:
        """Read what `str` wrote. Raises BadValue for anything else."""
        try:
            if len(text) > MARK_CHARS_MAX:
                raise ValueError
            padded = text + "=" * (-len(text) % 4)
            walk, key, number = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
        except (ValueError, TypeError, RecursionError):
            raise BadValue("not a mark of a page: take it from the answer before") from None
        if not (isinstance(walk, int) and isinstance(key, str) and isinstance(number, int)):
            raise BadValue("not a mark of a page: take it from the answer before")
        if not (0 <= walk < 1_000 and len(key) <= KEY_CHARS_MAX and -1 <= number < 2**63):
            raise BadValue("not a mark of a page: take it from the answer before")
        return cls(walk, key, number)


@dataclass(frozen=True, slots=True)
class Page:
    """A part of an answer. `more`: where the next part begins, or None when this is the end."""

    found: tuple[Found, ...]
    more: Mark | None
    as_of: datetime | None
    """Of the oldest source that this was answered from; None while nothing was ever imported."""
    too_wide: bool = False
    """The question names nobody: say at least three letters of a name, or a profession, a place, a structure."""


@dataclass(frozen=True, slots=True)
class Person:
    """A professional with everything that is listed under her number."""

    professional: Professional
    verified: Verified


@dataclass(frozen=True, slots=True)
class Site:
    """A structure, and who says so."""

    structure: Structure
    verified: Verified


class Search:
    """Answers questions from the generation that is read now. Holds nothing between two of them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, question: Question, *, page_max: int = 50, after: Mark | None = None) -> Page:
        """A page of listings in the order of names. Raises BadValue for a mark of another question."""
        most = max(1, min(page_max, PAGE_MAX))
        return await self._store.read(lambda c: _Answer(c, question, most).page(after))

    async def at(self, address: str) -> tuple[Found, ...]:
        """Every listing under exactly this address (lower case)."""
        return await self._store.read(lambda c: _listings_about(c, directory.sources(c), address.lower()))

    async def names(self, addresses: Collection[str], now: datetime) -> dict[str, str]:
        """The name behind each address, of those that are known for certain: two different ones are none, and what was
        not checked in time is not said to be verified."""
        asked = list(addresses)[:NAMES_MAX]

        def ask(connection: Connection) -> dict[str, str]:
            sources, names = directory.sources(connection), {}
            for address in asked if sources else ():
                found = _listings_about(connection, sources, address.lower())
                titles = {one.listing.title for one in found if one.verified.next_check >= now}
                if len(titles) == 1:
                    names[address] = titles.pop()
            return names

        return await self._store.read(ask)

    async def everybody(self) -> AsyncIterator[Found]:
        """Each listing that can be found, in the order of numbers, a page in memory at a time. An import in between
        shows in the rest."""
        for source in (await self._store.read(directory.sources)).values():
            after = -1
            while rows := await self._store.read(partial(_page_of_found, source=source.source, after=after)):
                after = rows[-1][0]
                for _, one in rows:
                    if one is not None:
                        yield one

    async def person(self, idnps: str) -> Person | None:
        """The professional with this number."""

        def ask(connection: Connection) -> Person | None:
            found = _believed(connection, directory.sources(connection), Kind.PROFESSIONAL, idnps)
            return None if found is None else Person(professional_of(found[0].text), found[1])

        return await self._store.read(ask)

    async def site(self, idnst: str) -> Site | None:
        """The structure with this number."""

        def ask(connection: Connection) -> Site | None:
            found = _believed(connection, directory.sources(connection), Kind.STRUCTURE, idnst)
            return None if found is None else Site(structure_of(found[0].text), found[1])

        return await self._store.read(ask)

    async def as_of(self) -> datetime | None:
        """The moment of the oldest source that is read."""
        return _as_of(await self._store.read(directory.sources))


class _Answer:
    """One question in one snapshot."""

    def __init__(self, connection: Connection, question: Question, most: int) -> None:
        self._connection = connection
        self._question = question
        self._most = most
        self._sources = directory.sources(connection)
        self._looked_at = 0
        self._seen: set[int] | None = None
        """Numbers met since the beginning of the answer, when this page begins there."""

    def page(self, after: Mark | None) -> Page:
        question = self._question
        jobs: tuple[str, ...] = ()
        if question.job:
            jobs = jobs_meant(question.job, directory.jobs(self._connection))
        ways = walks(question, jobs)
        as_of = _as_of(self._sources)
        if not ways or (question.job and not jobs):
            return Page((), None, as_of, too_wide=not ways and not (question.job and not jobs))
        if after is not None and (after.walk >= len(ways) or not after.key.startswith(ways[after.walk].start)):
            raise BadValue("this mark belongs to another question")
        found: list[Found] = []
        self._seen = set() if after is None else None
        for number in range(after.walk if after else 0, len(ways)):
            since = (after.key, after.number) if after is not None and after.walk == number else None
            mark = self._walk(ways, number, since, jobs, found)
            if mark is not None:
                return Page(tuple(found), mark, as_of)
        return Page(tuple(found), None, as_of)

    def _walk(
        self,
        ways: list[Walk],
        number: int,
        since: tuple[str, int] | None,
        jobs: tuple[str, ...],
        found: list[Found],
    ) -> Mark | None:
        """Go along one walk; where it had to stop, or None at its end."""
        start = ways[number].start
        while rows := directory.walk(self._connection, start, since, KEYS_AT_ONCE):
            for key, row in rows:
                if len(found) >= self._most or self._looked_at >= KEYS_LOOKED_AT_MAX:
                    return Mark(number, *(since or (start, -1)))
                since = (key, row.number)
                self._looked_at += 1
                if self._is_read(row) and (hit := self._hit(ways, number, key, row, jobs)) is not None:
                    found.append(hit)
            if len(rows) < KEYS_AT_ONCE:
                return None
        return None

    def _is_read(self, row: FactRow) -> bool:
        source = self._sources.get(row.source)
        return source is not None and row.is_read(source.current)

    def _hit(self, ways: list[Walk], number: int, key: str, row: FactRow, jobs: tuple[str, ...]) -> Found | None:
        """The listing, unless it was not asked for, or is shown elsewhere: once in an answer is enough."""
        listing = listing_of(row.text)
        if not fits(self._question, jobs, listing):
            return None
        if self._was_shown(ways, number, key, row.number, listing):
            return None
        if said_better(self._connection, self._sources, row.source, listing):
            return None
        return Found(row.number, listing, verified_by(self._sources[row.source]))

    def _was_shown(self, ways: list[Walk], number: int, key: str, fact: int, listing: Listing) -> bool:
        """Whether a walk before this one, or a key before this one on it, has led here. A first page remembers; a later
        one asks the listing for all of its keys, which costs most of what a page costs."""
        if self._seen is not None:
            if fact in self._seen:
                return True
            self._seen.add(fact)
            return False
        keys = keys_of(listing)
        if any(one.startswith(way.start) for way in ways[:number] for one in keys):
            return True
        return key != min(one for one in keys if one.startswith(ways[number].start))


def _listings_about(connection: Connection, sources: dict[int, SourceRow], subject: str) -> tuple[Found, ...]:
    for source in sorted(sources.values(), key=lambda one: -one.source):
        rows = directory.facts_about(connection, *numbers_about(source.source, Kind.LISTING, subject))
        read = [row for row in rows if row.is_read(source.current)]
        if read:
            return tuple(Found(row.number, listing_of(row.text), verified_by(source)) for row in read)
    return ()


def _believed(
    connection: Connection, sources: dict[int, SourceRow], kind: Kind, subject: str
) -> tuple[FactRow, Verified] | None:
    for source in sorted(sources.values(), key=lambda one: -one.source):
        for row in directory.facts_about(connection, *numbers_about(source.source, kind, subject)):
            if row.is_read(source.current):
                return row, verified_by(source)
    return None


def _page_of_found(connection: Connection, source: int, after: int) -> list[tuple[int, Found | None]]:
    """Facts behind a number, as listings where they are ones that are shown."""
    sources = directory.sources(connection)
    current = sources[source]
    found: list[tuple[int, Found | None]] = []
    for row in directory.page_of_facts(connection, source, after, EXPORT_ROWS):
        one = None
        if row.kind == Kind.LISTING and row.is_read(current.current):
            listing = listing_of(row.text)
            if listing.address and not said_better(connection, sources, row.source, listing):
                one = Found(row.number, listing, verified_by(current))
        found.append((row.number, one))
    return found


def said_better(connection: Connection, sources: dict[int, SourceRow], source: int, listing: Listing) -> bool:
    """Whether a source that is believed more speaks of the same address."""
    for other in sources.values():
        if other.source <= source or not listing.address:
            continue
        rows = directory.facts_about(connection, *numbers_about(other.source, Kind.LISTING, listing.address))
        if any(row.is_read(other.current) for row in rows):
            return True
    return False


def _as_of(sources: dict[int, SourceRow]) -> datetime | None:
    return from_ms(min(row.as_of_ms for row in sources.values())) if sources else None


def verified_by(row: SourceRow) -> Verified:
    """When and how a source was last asked, and when again."""
    at = from_ms(row.as_of_ms)
    return Verified(Source(row.source), at, at + CHECKED_AGAIN)
