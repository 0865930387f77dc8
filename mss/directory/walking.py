"""How is one question answered from one snapshot? A few walks along neighbouring keys, each hit looked at once.

What a page costs is bounded: keys looked at are counted, and where the count ends the page ends too, with a mark where
to go on. What a hit becomes (a listing, a whole person, a structure) is the matter of whoever walks.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from mss.directory.facts import CONTENT_BITS, Kind, numbers_about
from mss.directory.keys import KEY_CHARS_MAX, Question, Walk, jobs_meant
from mss.model.clock import from_ms
from mss.model.directory import IMPORTED, Source, Verified
from mss.model.errors import BadValue
from mss.store import directory
from mss.store.directory import FactRow, SourceRow
from mss.store.sql import Connection

KEYS_LOOKED_AT_MAX = 1_000
"""Of one page: a second word that excludes almost everybody costs as much as this, and no more."""
KEYS_AT_ONCE = 150
KEYS_COUNTED_MAX = 5_000
"""To tell a rare word from a common one: half a millisecond, where walking a common one looks at a thousand facts."""
CHECKED_AGAIN = timedelta(days=31)
"""A source that has not spoken for so long has to be asked again: the public files come daily."""
MARK_CHARS_MAX = 600
Sources = dict[int, SourceRow]
Hit = TypeVar("Hit")
Seen = TypeVar("Seen", covariant=True)


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


class Gone(BadValue):
    """The moment of which an answer was begun is not kept any more: two imports have come since."""


def as_it_was(sources: Sources, generations: Mapping[int, int]) -> Sources:
    """The sources as they were read when these generations were current. Raises Gone."""
    then: Sources = {}
    for source, generation in generations.items():
        row = sources.get(source, SourceRow(source))
        if row.current == generation:
            then[source] = row
        elif source == Source.OURS and row.before <= generation < row.current:
            then[source] = replace(row, current=generation)  # changed one by one: a day of them is kept
        elif row.before == generation:
            then[source] = replace(row, current=row.before, as_of_ms=row.before_as_of_ms)
        else:
            raise Gone("the list has changed twice since it was begun")
    if Source.OURS in sources:  # what was hidden since is hidden there too
        then.setdefault(Source.OURS, replace(sources[Source.OURS], current=0))
    return then


@dataclass(frozen=True, slots=True)
class Met(Generic[Hit]):
    """What a page met, and where the next one begins."""

    hits: tuple[Hit, ...]
    more: Mark | None


def narrowest(connection: Connection, ways: list[Walk], after: Mark | None) -> list[Walk]:
    """Each walk along the beginning that has the fewest keys, of those that lead to the same answers. A page that goes
    on stays on the way of its mark, whatever was written meanwhile."""
    return [_narrowest(connection, way, after if after and after.walk == at else None) for at, way in enumerate(ways)]


def _narrowest(connection: Connection, way: Walk, after: Mark | None) -> Walk:
    if not way.instead:
        return way
    starts = (way.start, *way.instead)
    if after is not None:
        return Walk(next((start for start in starts if after.key.startswith(start)), way.start))
    return Walk(min(starts, key=lambda start: directory.keys_behind(connection, start, KEYS_COUNTED_MAX)))


class Looker(Protocol[Seen]):
    """Says what becomes of the facts that a walk meets."""

    def ahead(self, met: list[tuple[str, FactRow]]) -> None:
        """What is met next, with its keys: what has to be asked of the database for it is asked at once."""

    def look(self, number: int, key: str, row: FactRow) -> Seen | None:
        """What a fact is that was met on a walk (its number) at a key; None when it is no answer."""


class Walker(Generic[Hit]):
    """Goes along the walks of one question in one snapshot."""

    def __init__(self, connection: Connection, sources: Sources, ways: list[Walk], most: int) -> None:
        self._connection = connection
        self._sources = sources
        self._ways = ways
        self._most = most
        self._looked_at = 0

    def page(self, after: Mark | None, looker: Looker[Hit]) -> Met[Hit]:
        """Go on behind a mark until the page is full. Raises BadValue for a foreign mark."""
        ways = self._ways
        if after is not None and (after.walk >= len(ways) or not after.key.startswith(ways[after.walk].start)):
            raise BadValue("this mark belongs to another question")
        hits: list[Hit] = []
        for number in range(after.walk if after else 0, len(ways)):
            since = (after.key, after.number) if after is not None and after.walk == number else None
            if (mark := self._walk(number, since, looker, hits)) is not None:
                return Met(tuple(hits), mark)
        return Met(tuple(hits), None)

    def _walk(
        self,
        number: int,
        since: tuple[str, int] | None,
        looker: Looker[Hit],
        hits: list[Hit],
    ) -> Mark | None:
        """Go along one walk; where it had to stop, or None at its end."""
        start = self._ways[number].start
        # First no more than the page has room for: on a common name all of them are hits.
        at_once = min(KEYS_AT_ONCE, self._most - len(hits) + 1)
        while rows := directory.walk(self._connection, start, since, at_once):
            looker.ahead([met for met in rows if is_read(self._sources, met[1])])
            for key, row in rows:
                if len(hits) >= self._most or self._looked_at >= KEYS_LOOKED_AT_MAX:
                    return Mark(number, *(since or (start, -1)))
                since = (key, row.number)
                self._looked_at += 1
                if is_read(self._sources, row) and (hit := looker.look(number, key, row)) is not None:
                    hits.append(hit)
            if len(rows) < at_once:
                return None
            at_once = min(KEYS_AT_ONCE, 2 * at_once)
        return None


def is_read(sources: Sources, row: FactRow) -> bool:
    source = sources.get(row.source)
    return source is not None and row.is_read(source.current)


def is_first(ways: list[Walk], number: int, key: str, keys: set[str]) -> bool:
    """Whether a fact with these keys is met first at `key` of this walk: before, it was on none."""
    if any(one.startswith(way.start) for way in ways[:number] for one in keys):
        return False
    return key == min(one for one in keys if one.startswith(ways[number].start))


def jobs_asked(connection: Connection, question: Question) -> tuple[str, ...]:
    """Which professions and specialties of the directory a question means, as parts of keys."""
    if question.job_code:
        return directory.jobs_with_code(connection, question.job_code)
    return jobs_meant(question.job, directory.jobs(connection)) if question.job else ()


def said_better(connection: Connection, sources: Sources, about: Iterable[tuple[FactRow, str]]) -> set[int]:
    """The numbers of those facts of whose subject (given beside each, "" for none) a source speaks that is believed
    more."""
    asked: dict[int, list[int]] = {}
    for row, subject in about:
        for other in sources if subject else ():
            if other > row.source:
                first, _ = numbers_about(other, Kind(row.kind), subject)
                asked.setdefault(first, []).append(row.number)
    said = directory.facts_of(connection, list(asked), 1 << CONTENT_BITS) if asked else []
    return {
        number for row in said if is_read(sources, row) for number in asked[row.number >> CONTENT_BITS << CONTENT_BITS]
    }


def verified_by(row: SourceRow) -> Verified:
    """When and how a source was last asked, and when again."""
    at = from_ms(row.as_of_ms)
    return Verified(Source(row.source), at, at + CHECKED_AGAIN)


def moment_of(sources: Sources) -> datetime | None:
    """Of the oldest imported source that is read; None while nothing was ever imported. What is ours is as of now."""
    moments = [row.as_of_ms for row in sources.values() if row.source in IMPORTED]
    return from_ms(min(moments)) if moments else None
