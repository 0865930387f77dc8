"""A search in a directory ten times as large looks at no more rows, and asks the database no more often.

Counted, not timed: what is read of the index and of the facts, and how many statements that takes. A page's worth is
allowed, however common the words are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from mss.crypto.keys import Lookup
from mss.directory import keys
from mss.directory.correspondence import CorrespondenceReader
from mss.directory.entries import Entries
from mss.directory.extras import Extras
from mss.directory.facts import fact_of
from mss.directory.keys import Question, job_key
from mss.directory.search import Search
from mss.directory.structurekeys import keys_of_fact
from mss.directory.wholes import Unit
from mss.fhir.beside import Beside
from mss.fhir.cursor import Cursors
from mss.fhir.directory import DirectoryDoor
from mss.ldap.book import Book
from mss.ldap.names import Tree
from mss.ldap.requests import All, Equal
from mss.model.clock import ManualClock
from mss.model.directory import Listing, Source
from mss.store import directory
from mss.store.create import create_or_upgrade
from mss.store.database import Store
from mss.store.directory import FactRow, ImportRow, SourceRow
from mss.store.sql import Connection
from tests.bench.crowd import Crowd
from tests.kit.frenchpeople import HEADER, rpps

SMALL, LARGE = 600, 6_000
PAGE = 20
ROWS_MAX = 4 * PAGE
"""A first look no wider than the page, then one twice as wide where that held people twice."""
STATEMENTS_MAX = 16
COMMON = ("Martin", "Paris", "Infirmier")


def crowd(count: int) -> Iterator[str]:
    """Lines of people of whom every fifth is called Martin, every fourth works in Paris: as many share a word of a
    question as in a directory forty times as large."""
    for one in _people().entries(count):
        line = one.line
        if one.family and one.number % 5 == 0:
            line = line.replace(f"|{one.family}|", "|MARTIN|", 1)
        if one.number % 4 == 0:
            line = f"{line.rsplit('|', 3)[0]}|75015 PARIS|75015|"
        yield line


@cache
def _people() -> Crowd:
    return Crowd(seed=3)


async def fill(url: str, count: int) -> None:
    """What an import of `count` lines leaves, without the ways of an import."""
    await create_or_upgrade(url)
    store, reader = Store.open(url), CorrespondenceReader()
    reader.begin(HEADER.encode())
    values = {value for line in crowd(count) for value in reader.read(line.encode()).values}
    facts = [fact_of(Source.CORRESPONDENCE, value) for value in values]
    jobs = {
        (job_key(job), job.code)
        for value in values
        if isinstance(value, Listing)
        for job in (value.profession, value.specialty)
        if job is not None
    }

    def act(connection: Connection) -> None:
        rows = sorted(FactRow(one.number, Source.CORRESPONDENCE, one.kind, one.text, 1) for one in facts)
        directory.add_facts(connection, rows)
        directory.add_keys(
            connection, sorted((key, one.number) for one in facts for key in keys_of_fact(one.kind, one.text))
        )
        directory.add_jobs(connection, sorted(jobs))
        directory.begin(connection, ImportRow(1, Source.CORRESPONDENCE, "applied", b"", "file", 1, 1, 1, "{}"))
        directory.say_again(connection, SourceRow(Source.CORRESPONDENCE, 1, as_of_ms=1))

    await store.write(0, act)
    await store.close()


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A small directory and a large one."""
    folder = tmp_path_factory.mktemp("work")
    found = [f"sqlite:///{folder}/{count}.db" for count in (SMALL, LARGE)]
    for url, count in zip(found, (SMALL, LARGE), strict=True):
        asyncio.run(fill(url, count))
    return found


@pytest.fixture
async def stores(urls: list[str]) -> AsyncIterator[list[Store]]:
    """Both, open."""
    opened = [Store.open(url) for url in urls]
    yield opened
    for store in opened:
        await store.close()


@dataclass
class Work:
    """What a question cost."""

    rows: int = 0
    statements: int = 0


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Counts what is asked of the store from now on."""
    counted = Work()

    def watch(name: str) -> None:
        asked: Callable[..., Any] = getattr(directory, name)

        def watched(*arguments: Any, **named: Any) -> Any:
            found = asked(*arguments, **named)
            counted.statements += 1
            counted.rows += len(found) if isinstance(found, list) else found if isinstance(found, int) else 0
            return found

        monkeypatch.setattr(directory, name, watched)

    for name in ("walk", "walk_each", "facts_of", "facts_about", "sources", "jobs", "moments"):
        watch(name)
    return counted


family, city, job = COMMON
QUESTIONS = {
    "name": Question(name=f"{family} Jean"),
    "name and place": Question(name=family, place=city),
    "name and profession": Question(name=family, job=job),
    "profession and place": Question(job=job, place=city),
    "structure": Question(structure="cabinet medical", place=city),
    "number": Question(identifier=rpps(1)),
    "first letters": Question(name=family[:4]),
    "sound": Question(name="Martain", job=job),
}


async def cost(store: Store, work: Work, sort: str) -> tuple[int, int]:
    work.rows = work.statements = 0
    page = await Search(store).find(QUESTIONS[sort], page_max=PAGE)
    assert page.found
    return work.rows, work.statements


@pytest.mark.parametrize("sort", QUESTIONS)
async def test_a_page_costs_the_same_in_a_large_directory(stores: list[Store], work: Work, sort: str) -> None:
    """However many carry a name, live in a city or have a profession."""
    (_, statements), (large_rows, large_statements) = [await cost(store, work, sort) for store in stores]
    assert large_rows <= ROWS_MAX
    assert large_statements <= max(statements, STATEMENTS_MAX)


@pytest.mark.parametrize(("sort", "without"), [("name and place", "place"), ("name and profession", "jobs")])
async def test_the_same_test_notices_a_key_that_is_missing(
    stores: list[Store], work: Work, monkeypatch: pytest.MonkeyPatch, sort: str, without: str
) -> None:
    """Were there no keys of name and place, or of name and profession, everybody of that name would be looked at."""
    by_name = keys._by_name

    def without_key(question: Question, asked: list[str], city: str, department: str, jobs: tuple[str, ...]) -> Any:
        return by_name(question, asked, "", "", () if without == "jobs" else jobs)

    monkeypatch.setattr(keys, "_by_name", without_key)
    small, large = [await cost(store, work, sort) for store in stores]
    assert large[0] > ROWS_MAX
    assert large[0] > small[0] or small[0] > ROWS_MAX


async def test_fhir_and_the_address_book_ask_for_a_page_at_once(stores: list[Store], work: Work) -> None:
    """Not for each person of the page: what belongs to all of them comes with one statement."""
    for store in stores:
        extras = Extras(store, ManualClock())
        beside = Beside(extras, ManualClock())
        door = DirectoryDoor(Entries(store), Cursors(Lookup(b"lookup key of the test of work")), beside)
        for unit, pairs in (
            (Unit.PRACTITIONER, (("name", family), ("address-city", city))),
            (Unit.ROLE, (("practitioner.name", family), ("organization.address-city", city))),
            (Unit.ORGANIZATION, (("address-city", city),)),
        ):
            work.rows = work.statements = 0
            answer = await door.search(unit, (*pairs, ("_count", str(PAGE))), "https://house.example/fhir")
            assert answer.found == PAGE
            assert work.statements <= STATEMENTS_MAX
        book = Book(Search(store), extras, Tree("ou=bal,o=mssante,c=fr"))
        work.rows = work.statements = 0
        found = await book.find(All((Equal("sn", family), Equal("l", city))), PAGE, 0)
        assert len(found.entries) == PAGE
        assert work.statements <= STATEMENTS_MAX
