"""Who was meant? The one search that pages, LDAP, files and commands ask; FHIR's is beside it, on the same walks.

A question becomes a few walks along neighbouring keys (mss/directory/keys.py) in one snapshot (walking.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from mss.directory.facts import (
    CONTENT_BITS,
    Kind,
    listing_of,
    numbers_about,
    professional_of,
    structure_of,
    structure_words_of,
)
from mss.directory.keys import Question, fits, fits_words, keys_of, walks
from mss.directory.walking import (
    Mark,
    Sources,
    Walker,
    is_first,
    is_read,
    jobs_asked,
    moment_of,
    narrowest,
    said_better,
    verified_by,
)
from mss.model.directory import Found, Listing, Professional, Structure, Verified
from mss.store import directory
from mss.store.database import Store
from mss.store.directory import FactRow
from mss.store.sql import Connection

__all__ = ["Mark", "Page", "Search", "verified_by"]

PAGE_MAX = 100
"""Listings of one answer, whatever is asked for."""
EXPORT_ROWS = 2_000
TITLES_MAX = 3
NAMES_MAX = 500
"""Addresses of one page of a conversation; those behind it keep the name that they bring."""


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
        return (await self.at_all([address]))[address]

    async def at_all(self, addresses: Sequence[str]) -> dict[str, tuple[Found, ...]]:
        """The same of several addresses at once, by the address as it was given."""
        return await self._store.read(lambda c: _listings_about(c, directory.sources(c), addresses))

    async def names(self, addresses: Collection[str], now: datetime) -> dict[str, str]:
        """The name behind each address, of those that are known for certain: two different ones are none, and what was
        not checked in time is not said to be verified."""
        asked = list(addresses)[:NAMES_MAX]

        def ask(connection: Connection) -> dict[str, str]:
            sources, names = directory.sources(connection), {}
            for address, found in _listings_about(connection, sources, asked).items():
                titles = {one.listing.title for one in found if one.verified.next_check >= now}
                if len(titles) == 1:
                    names[address] = titles.pop()
            return names

        return await self._store.read(ask)

    async def titles(self, addresses: Collection[str]) -> dict[str, str]:
        """How the directory calls whoever is behind each address that it knows, also where nobody has checked in time
        or there are several: a stranger's word for himself is worth less."""
        asked = list(addresses)[:NAMES_MAX]

        def ask(connection: Connection) -> dict[str, str]:
            found = _listings_about(connection, directory.sources(connection), asked)
            titles = {one: sorted({each.listing.title for each in several}) for one, several in found.items()}
            return {one: ", ".join(several[:TITLES_MAX]) for one, several in titles.items() if several}

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
        return moment_of(await self._store.read(directory.sources))


class _Answer:
    """One question in one snapshot."""

    def __init__(self, connection: Connection, question: Question, most: int) -> None:
        self._connection = connection
        self._question = question
        self._most = most
        self._sources = directory.sources(connection)
        self._jobs = jobs_asked(connection, question)
        self._ways = walks(question, self._jobs)
        self._verified = {source: verified_by(row) for source, row in self._sources.items()}
        self._is_first_page = True
        self._seen: set[int] = set()
        """Numbers that were looked at on this page."""
        self._fitting: dict[int, Listing] = {}
        """What is met next and was asked for."""

    def page(self, after: Mark | None) -> Page:
        as_of = moment_of(self._sources)
        names_no_job = bool(self._question.job or self._question.job_code) and not self._jobs
        if not self._ways or names_no_job:
            return Page((), None, as_of, too_wide=not self._ways and not names_no_job)
        self._is_first_page, self._ways = after is None, narrowest(self._connection, self._ways, after)
        met = Walker[Found](self._connection, self._sources, self._ways, self._most).page(after, self)
        return Page(met.hits, met.more, as_of)

    def ahead(self, met: list[tuple[str, FactRow]]) -> None:
        """Read those that were not looked at yet; leave out what was not asked for, or is said better elsewhere."""
        rows = {row.number: row for _, row in met if row.kind == Kind.LISTING and row.number not in self._seen}
        words = self._question.structure
        named = (row for row in rows.values() if not words or fits_words(words, structure_words_of(row.text)))
        read = ((row, listing_of(row.text)) for row in named)
        fitting = [(row, listing) for row, listing in read if fits(self._question, self._jobs, listing)]
        better = said_better(self._connection, self._sources, [(row, listing.address) for row, listing in fitting])
        self._fitting = {row.number: listing for row, listing in fitting if row.number not in better}

    def look(self, number: int, key: str, row: FactRow) -> Found | None:
        """The listing, unless it was not asked for, or is shown elsewhere: once in an answer is enough."""
        if row.number in self._seen:
            return None
        listing = self._fitting.get(row.number)
        if listing is not None and not self._is_first_page and not is_first(self._ways, number, key, keys_of(listing)):
            return None
        self._seen.add(row.number)
        return None if listing is None else Found(row.number, listing, self._verified[row.source])


def _listings_about(connection: Connection, sources: Sources, addresses: Sequence[str]) -> dict[str, tuple[Found, ...]]:
    """What the source says of each that is believed most, of those that speak of it."""
    about = {
        (source, address): numbers_about(source, Kind.LISTING, address.lower())[0]
        for address in addresses
        for source in sorted(sources, reverse=True)
    }
    said: dict[int, list[FactRow]] = {}
    for row in directory.facts_of(connection, sorted(set(about.values())), 1 << CONTENT_BITS):
        if is_read(sources, row):
            said.setdefault(row.number >> CONTENT_BITS << CONTENT_BITS, []).append(row)
    found: dict[str, tuple[Found, ...]] = {}
    for (source, address), first in about.items():
        if address not in found and first in said:  # perhaps only that nobody is shown there
            verified = verified_by(sources[source])
            told = ((row.number, listing_of(row.text)) for row in said[first] if row.kind == Kind.LISTING)
            found[address] = tuple(Found(number, listing, verified) for number, listing in told if listing.address)
    return {address: found.get(address, ()) for address in addresses}


def _believed(connection: Connection, sources: Sources, kind: Kind, subject: str) -> tuple[FactRow, Verified] | None:
    for source in sorted(sources.values(), key=lambda one: -one.source):
        for row in directory.facts_about(connection, *numbers_about(source.source, kind, subject)):
            if row.is_read(source.current):
                return row, verified_by(source)
    return None


def _page_of_found(connection: Connection, source: int, after: int) -> list[tuple[int, Found | None]]:
    """Facts behind a number, as listings where they are ones that are shown."""
    sources = directory.sources(connection)
    current = sources[source]
    rows = directory.page_of_facts(connection, source, after, EXPORT_ROWS)
    read = ((row, listing_of(row.text)) for row in rows if row.kind == Kind.LISTING and row.is_read(current.current))
    listed = {row.number: (row, listing) for row, listing in read if listing.address}
    better = said_better(connection, sources, [(row, listing.address) for row, listing in listed.values()])
    shown, verified = listed.keys() - better, verified_by(current)
    return [
        (row.number, Found(row.number, listed[row.number][1], verified) if row.number in shown else None)
        for row in rows
    ]
