"""Which people, roles and structures were meant, each of them whole and once? What FHIR asks of the one search.

The same questions, keys and bounds as everywhere (mss/directory/walking.py). A whole is shown where its first listing
that fits is met, which follows from its own listings: no page has to remember another.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial

from mss.directory.facts import Kind, listing_of, numbers_about, professional_of, structure_of
from mss.directory.keys import Question, Walk, keys_of, walks
from mss.directory.structurekeys import fits_structure, keys_of_fact, structure_walks
from mss.directory.walking import (
    Mark,
    Sources,
    Walker,
    as_it_was,
    is_first,
    is_read,
    jobs_asked,
    moment_of,
    narrowest,
    said_better,
    verified_by,
)
from mss.directory.wholes import (
    Entry,
    EntryPage,
    Unit,
    asks_for_mailbox,
    matches,
    number_as_id,
    numbers_behind,
    organization_id,
    person_id,
    person_of_role,
    place_on,
    role_id,
    role_mark,
    start_of_person,
    start_of_teams,
)
from mss.model.clock import from_ms
from mss.model.directory import Found, Listing, Structure
from mss.store import directory
from mss.store.database import Store
from mss.store.directory import FactRow
from mss.store.sql import Connection

EXPORT_ROWS = 200
"""Facts of one page of an export: each asks for what belongs to it."""
ENTRIES_MAX = 200
"""Of one page, whatever is asked for."""
LISTINGS_OF_PERSON_MAX = 200
ROWS_BESIDE_MAX = 2_000
"""Read at once for what a page met; where there are more, each whole asks for its own."""
MAILBOXES_OF_STRUCTURE_MAX = 300
"""Of a large hospital some hundreds: what is cut is said (`Entry.is_cut`), and found by address."""

Keeps = Callable[[datetime], bool]
"""Of which moment of change a whole is to be; `bool`: of any."""


class Entries:
    """Answers for FHIR. Holds nothing between two questions."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def search(
        self,
        unit: Unit,
        question: Question,
        *,
        page_max: int,
        after: Mark | None = None,
        generations: Mapping[int, int] | None = None,
        keeps: Keeps = bool,
    ) -> EntryPage:
        """A page of wholes. `generations`: of the page before. Raises BadValue for a mark of another question, Gone."""
        most = max(1, min(page_max, ENTRIES_MAX))
        return await self._store.read(lambda c: _Asking(c, generations, keeps).page(unit, question, most, after))

    async def one(self, unit: Unit, name: str) -> Entry | None:
        """The whole with this id."""
        return await self._store.read(lambda c: _Asking(c, None).one(unit, name))

    async def roles_of(self, person: str) -> tuple[Entry, ...]:
        """Every role of the person with this id."""
        return await self._store.read(lambda c: _Asking(c, None).roles_of(person))

    async def everything(self) -> AsyncIterator[Entry]:
        """Every person, role and structure, each once; a page of facts in memory at a time. An import in between shows
        in the rest."""
        for source in await self._store.read(directory.sources):
            after: int | None = -1
            while after is not None:
                page = await self._store.read(partial(_page, source=source, after=after))
                after = page[0]
                for entry in page[1]:
                    yield entry

    async def as_of(self) -> datetime | None:
        return moment_of(await self._store.read(directory.sources))


def whole(connection: Connection, unit: Unit, name: str) -> Entry | None:
    """The whole with this id, in the caller's snapshot."""
    return _Asking(connection, None).one(unit, name)


def roles(connection: Connection, person: str) -> tuple[Entry, ...]:
    """Every role of the person with this id, likewise."""
    return _Asking(connection, None).roles_of(person)


Rows = list[tuple[FactRow, Found]]
_ID = {Unit.PRACTITIONER: person_id, Unit.ROLE: role_id, Unit.ORGANIZATION: organization_id}


def _page(connection: Connection, source: int, after: int) -> tuple[int | None, list[Entry]]:
    """What the next facts of a source say, and the last of their numbers."""
    asking = _Asking(connection, None)
    rows = directory.page_of_facts(connection, source, after, EXPORT_ROWS)
    entries = [entry for row in rows for entry in asking.told_at(row)]
    return (rows[-1].number if rows else None), entries


def _known(entry: Entry | None) -> Entry:
    assert entry is not None, "a structure that is said is there"
    return entry


class _Asking:
    """One snapshot."""

    def __init__(self, connection: Connection, generations: Mapping[int, int] | None, keeps: Keeps = bool) -> None:
        self._connection, self._keeps = connection, keeps
        sources = directory.sources(connection)
        self._sources: Sources = sources if generations is None else as_it_was(sources, generations)
        self._question = Question()
        self._jobs: tuple[str, ...] = ()
        self._ways: list[Walk] = []
        self._unit = Unit.ROLE
        self._of_structures = False
        self._moments: dict[int, datetime] = {}
        self._is_first_page = True
        self._seen: set[str] = set()
        """Ids of wholes that this page shows."""
        self._next: dict[int, str] = {}
        """What is met next and was asked for: numbers of facts, each with the id of its whole."""
        self._read: dict[int, Found] = {}
        """Listings by the numbers of their rows: each is decoded once."""
        self._better: dict[int, bool] = {}
        """By number: whether a source that is believed more speaks of the same address or structure."""
        self._beside: dict[str, list[FactRow]] = {}
        """Facts behind keys that begin so, where they were asked for ahead."""

    # ── many ──

    def page(self, unit: Unit, question: Question, most: int, after: Mark | None) -> EntryPage:
        self._question, self._jobs = question, jobs_asked(self._connection, question)
        as_of = moment_of(self._sources)
        generations = {source: row.current for source, row in self._sources.items()}
        names_no_job = bool(question.job or question.job_code) and not self._jobs
        of_structures = structure_walks(question) if unit is Unit.ORGANIZATION else []
        self._ways = of_structures or walks(question, self._jobs)
        if not self._ways or names_no_job:
            return EntryPage((), None, as_of, generations, too_wide=not self._ways and not names_no_job)
        self._ways = narrowest(self._connection, self._ways, after)
        self._unit, self._of_structures, self._is_first_page = unit, bool(of_structures), after is None
        met = Walker[Entry](self._connection, self._sources, self._ways, most).page(after, self)
        return EntryPage(met.hits, met.more, as_of, generations)

    def ahead(self, met: list[tuple[str, FactRow]]) -> None:
        """What belongs to those that were asked for, of all of them at once."""
        fitting = {row.number: (row, name) for _, row in met if (name := self._whole_asked_for(row))}
        self._judge(row for row, _ in fitting.values())
        self._next = {number: name for number, (_, name) in fitting.items() if not self._better[number]}
        shown = [fitting[number][0] for number, name in self._next.items() if name not in self._seen]
        starts = dict.fromkeys(start for row in shown if (start := self._start_beside(row)))
        found = directory.walk_each(self._connection, list(starts), ROWS_BESIDE_MAX)
        if len(found) == ROWS_BESIDE_MAX:
            return  # some of it is missing: each asks for its own
        self._beside = {start: [] for start in starts}
        for start, row in found:
            self._beside[start].append(row)
        self._judge([row for rows in self._beside.values() for row in rows])

    def _whole_asked_for(self, row: FactRow) -> str:
        """The id of the whole that a fact belongs to; empty when it was not asked for."""
        if row.kind == Kind.LISTING:
            found = self._found(row)
            if self._of_structures:
                fits = fits_structure(self._question, found.listing.structure, found.listing.place)
            else:
                fits = matches(self._unit, self._question, self._jobs, found.listing)
            return _ID[self._unit](found) if fits else ""
        if row.kind != Kind.STRUCTURE or not self._of_structures:
            return ""
        structure = structure_of(row.text)
        return structure.idnst if fits_structure(self._question, structure.name, structure.place) else ""

    def _start_beside(self, row: FactRow) -> str:
        """Behind which keys stands what belongs to the whole of this fact? Empty: it is alone, or found by numbers."""
        if row.kind == Kind.STRUCTURE:
            return start_of_teams(structure_of(row.text).idnst)
        if self._of_structures:
            return ""  # a team whose structure has no number
        found = self._found(row)
        if self._unit is Unit.ORGANIZATION:
            return start_of_teams(found.listing.idnst) if found.listing.idnst else ""
        name = person_id(found)
        return "" if numbers_behind(name) else start_of_person(name)

    def look(self, number: int, key: str, row: FactRow) -> Entry | None:
        """The whole that a fact belongs to, where it is met first."""
        name = self._next.get(row.number)
        if name is None or name in self._seen:
            return None
        entry = self._structure_met(number, key, row) if self._of_structures else self._listing_met(number, key, row)
        if entry is not None and not self._of_structures:
            self._seen.add(name)
        return entry if entry is not None and self._keeps(entry.changed) else None

    def _listing_met(self, number: int, key: str, row: FactRow) -> Entry | None:
        members, is_cut = self._members(self._unit, row, self._found(row).listing)
        if not self._is_first_page:  # that one remembers, which is cheaper than asking all of her listings
            met = (
                place_on(self._ways, keys_of(found.listing), found.number)
                for _, found in members
                if matches(self._unit, self._question, self._jobs, found.listing)
            )
            if min((one for one in met if one is not None), default=None) != (number, key, row.number):
                return None
        return self._entry(self._unit, members, is_cut)

    def _structure_met(self, number: int, key: str, row: FactRow) -> Entry | None:
        if not is_first(self._ways, number, key, keys_of_fact(Kind(row.kind), row.text)):
            return None
        structure = structure_of(row.text) if row.kind == Kind.STRUCTURE else None
        members, is_cut = self._teams(structure.idnst) if structure else ([(row, self._found(row))], False)
        if asks_for_mailbox(self._question) and not any(
            matches(Unit.ORGANIZATION, self._question, (), found.listing) for _, found in members
        ):
            return None
        if structure is None:
            return self._entry(Unit.ORGANIZATION, members, is_cut)
        return self._structure_entry(row, structure, members, is_cut)

    # ── one ──

    def one(self, unit: Unit, name: str) -> Entry | None:
        if unit is Unit.ORGANIZATION:
            return self._organization(name)
        if unit is Unit.ROLE:
            return next((one for one in self.roles_of_id(name) if one.id == name), None)
        members, is_cut = self._person(name)
        return self._entry(unit, members, is_cut) if members else None

    def roles_of_id(self, name: str) -> Iterable[Entry]:
        parts = person_of_role(name)
        return () if parts is None else self.roles_of(parts[0])

    def roles_of(self, person: str) -> tuple[Entry, ...]:
        return self._roles(*self._person(person))

    def _roles(self, members: Rows, is_cut: bool) -> tuple[Entry, ...]:
        roles: dict[str, Rows] = {}
        for row, found in members:
            if matches(Unit.ROLE, Question(has_address=False), (), found.listing):
                roles.setdefault(role_mark(found.listing), []).append((row, found))
        return tuple(self._entry(Unit.ROLE, rows, is_cut) for rows in roles.values())

    def _organization(self, name: str) -> Entry | None:
        if (behind := numbers_behind(name)) is not None:
            members = [one for one in self._shown(*behind) if not one[1].listing.family and not one[1].listing.idnst]
            return self._entry(Unit.ORGANIZATION, members, False) if members else None
        members, is_cut = self._teams(name)
        for source in sorted(self._sources, reverse=True):
            for row in directory.facts_about(self._connection, *numbers_about(source, Kind.STRUCTURE, name)):
                if is_read(self._sources, row):
                    return self._structure_entry(row, structure_of(row.text), members, is_cut)
        return self._entry(Unit.ORGANIZATION, members, is_cut) if members else None

    # ── all ──

    def told_at(self, row: FactRow) -> Iterable[Entry]:
        """What is told where this fact stands in the order of numbers: a person and her roles at what is said of her, a
        structure likewise; who has no number at the first of her listings."""
        if not is_read(self._sources, row) or row.kind == Kind.NOTHING or self._is_said_better(row):
            return ()
        if row.kind == Kind.PROFESSIONAL:
            return self._person_and_roles(self._person(number_as_id(professional_of(row.text).idnps)))
        if row.kind == Kind.STRUCTURE:
            return [_known(self._organization(structure_of(row.text).idnst))]
        found = self._found(row)
        listing = found.listing
        if listing.idnps or (not listing.family and listing.idnst):
            return ()
        name = person_id(found) if listing.family else organization_id(found)
        behind = numbers_behind(name)
        members = self._shown(*behind) if behind else []
        if not members or members[0][0].number != row.number:
            return ()
        if listing.family:
            return self._person_and_roles((members, False))
        return [self._entry(Unit.ORGANIZATION, members, False)]

    def _person_and_roles(self, person: tuple[Rows, bool]) -> list[Entry]:
        members, is_cut = person
        if not members:
            return []
        return [self._entry(Unit.PRACTITIONER, members, is_cut), *self._roles(members, is_cut)]

    # ── what belongs together ──

    def _members(self, unit: Unit, row: FactRow, listing: Listing) -> tuple[Rows, bool]:
        found = self._found(row)
        if unit is Unit.ORGANIZATION:
            return self._teams(listing.idnst) if listing.idnst else ([(row, found)], False)
        members, is_cut = self._person(person_id(found))
        if unit is Unit.ROLE:
            mark = role_mark(listing)
            members = [one for one in members if role_mark(one[1].listing) == mark]
        return members, is_cut

    def _person(self, name: str) -> tuple[Rows, bool]:
        if (behind := numbers_behind(name)) is not None:
            return [one for one in self._shown(*behind) if one[1].listing.family], False
        return self._along(start_of_person(name), LISTINGS_OF_PERSON_MAX)

    def _teams(self, idnst: str) -> tuple[Rows, bool]:
        return self._along(start_of_teams(idnst), MAILBOXES_OF_STRUCTURE_MAX)

    def _along(self, start: str, most: int) -> tuple[Rows, bool]:
        """What is shown of the listings behind keys that begin so; whether there were more."""
        rows = self._beside.get(start)
        if rows is None:
            rows = [row for _, row in directory.walk(self._connection, start, None, 2 * most)]
        shown = self._shown_of(rows[: 2 * most])
        return shown[:most], len(shown) > most or len(rows) >= 2 * most

    def _shown(self, first: int, last: int) -> Rows:
        rows = directory.facts_about(self._connection, first, last)
        return self._shown_of([row for row in rows if row.kind == Kind.LISTING])

    def _shown_of(self, rows: Sequence[FactRow]) -> Rows:
        read = [row for row in rows if is_read(self._sources, row)]
        self._judge(read)
        return [(row, self._found(row)) for row in read if not self._better[row.number]]

    def _found(self, row: FactRow) -> Found:
        found = self._read.get(row.number)
        if found is None:
            verified = verified_by(self._sources[row.source])
            found = self._read[row.number] = Found(row.number, listing_of(row.text), verified)
        return found

    def _is_said_better(self, row: FactRow) -> bool:
        """Whether a source that is believed more speaks of the same."""
        self._judge([row])
        return self._better[row.number]

    def _judge(self, rows: Iterable[FactRow]) -> None:
        """Ask that of all of these at once."""
        new = [row for row in rows if row.number not in self._better]
        better = said_better(self._connection, self._sources, [(row, self._subject(row)) for row in new])
        self._better |= {row.number: row.number in better for row in new}

    def _subject(self, row: FactRow) -> str:
        if row.kind == Kind.LISTING:
            return self._found(row).listing.address
        return structure_of(row.text).idnst if row.kind == Kind.STRUCTURE else professional_of(row.text).idnps

    # ── entries ──

    def _entry(self, unit: Unit, members: Rows, is_cut: bool) -> Entry:
        rows = sorted(members, key=lambda one: (-one[0].source, one[1].listing.rank or 99, one[1].listing.address))
        first = rows[0][1]
        changed = self._changed(row for row, _ in rows)
        return Entry(unit, _ID[unit](first), tuple(found for _, found in rows), changed, None, is_cut)

    def _structure_entry(self, row: FactRow, structure: Structure, members: Rows, is_cut: bool) -> Entry:
        found = tuple(one for _, one in members)
        changed = self._changed([row, *(one for one, _ in members)])
        return Entry(Unit.ORGANIZATION, structure.idnst, found, changed, structure, is_cut)

    def _changed(self, rows: Iterable[FactRow]) -> datetime:
        """As of when the newest of these facts was first said."""
        asked = {row.since for row in rows}
        if missing := asked - self._moments.keys():
            told = directory.moments(self._connection, sorted(missing))
            self._moments |= {generation: from_ms(as_of_ms) for generation, as_of_ms in told.items()}
        return max(self._moments[generation] for generation in asked)
