"""No search reads a whole table: how each engine says that it will answer the statements of a question.

Asked of the engine itself, so that an index that is lost, or a statement that no index serves any more, is noticed
before anybody has a million of anything. PostgreSQL reads small tables whole of its own accord: it is told not to.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from mss.crypto.keys import Lookup
from mss.directory.entries import Entries
from mss.directory.extras import Extras
from mss.directory.search import Search
from mss.directory.wholes import Unit
from mss.fhir.beside import Beside
from mss.fhir.cursor import Cursors
from mss.fhir.directory import DirectoryDoor
from mss.ldap.book import Book
from mss.ldap.names import Tree
from mss.ldap.requests import All, Equal, Like
from mss.model.clock import ManualClock
from mss.store.database import Store
from mss.store.sql import Connection
from tests.directory.test_work import QUESTIONS, fill

LISTINGS = 60
SEEN_MIN = 4
"""Statements on large tables, each counted once: along keys, counting them, along many at once, by many numbers."""
_LARGE = re.compile(r"directory_(?:fact|key)")
Asked = list[tuple[str, Any]]


@contextmanager
def listening(store: Store) -> Iterator[Asked]:
    """The statements that readers of this store are asked, with their values."""
    asked: Asked = []
    readers = store._readers
    if isinstance(readers, Engine):

        def watch(connection: sqlite3.Connection, *_: object) -> None:
            connection.set_trace_callback(lambda statement: asked.append((statement, None)))

        event.listen(readers, "connect", watch)
        yield asked
        event.remove(readers, "connect", watch)
        return

    def note(_: Any, __: Any, statement: str, values: Any, *___: Any) -> None:
        asked.append((statement, values))

    event.listen(readers.sync_engine, "before_cursor_execute", note)
    yield asked
    event.remove(readers.sync_engine, "before_cursor_execute", note)


def explained(connection: Connection, statement: str, values: Any) -> list[str]:
    """The lines of a plan."""
    if connection.dialect.name == "sqlite":
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")]
    connection.execute(text("SET LOCAL enable_seqscan = off"))
    return [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", values)]


def whole_reads(plan: list[str]) -> list[str]:
    """Lines of a plan that read one of the large tables from one end to the other."""
    found = []
    for at, line in enumerate(plan):
        if not _LARGE.search(line) or line.startswith("SEARCH"):
            continue  # SQLite: by a key
        behind = plan[at + 1 : at + 2]
        if "Scan" in line and not any("Index Cond" in one or "Recheck Cond" in one for one in behind):
            found.append(line)
        if line.startswith("SCAN"):
            found.append(line)
    return found


def unbounded_walks(plan: list[str]) -> list[str]:
    """Lines of a plan of PostgreSQL's that walk a range of a large table once for each value of a list without a limit
    of its own. It takes such a range for a two-hundredth of the table: of a million it would rather read all."""
    values = next((_depth(line) for line in plan if "Function Scan on unnest" in line), None)
    found: list[str] = []
    for at, line in enumerate(plan):
        if values is None or "Scan" not in line or not _LARGE.search(line) or ">=" not in plan[at + 1]:
            continue
        depth, above_it = _depth(line), list[str]()
        for above in reversed(plan[:at]):
            if "->" in above and values <= _depth(above) < depth:  # what is asked for each value, no further up
                depth = _depth(above)
                above_it.append(above)
        if not any("Limit" in above for above in above_it):
            found.append(line)
    return found


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


async def ask_everything(store: Store) -> None:
    """The usual searches at each door."""
    search = Search(store)
    for question in QUESTIONS.values():
        await search.find(question)
    extras = Extras(store, ManualClock())
    beside = Beside(extras, ManualClock())
    door = DirectoryDoor(Entries(store), Cursors(Lookup(b"lookup key of the test of plans")), beside)
    for unit, pairs in (
        (Unit.PRACTITIONER, (("name", "Martin"), ("address-city", "Paris"))),
        (Unit.ROLE, (("practitioner.name", "Martin"), ("organization.address-city", "Paris"))),
        (Unit.ORGANIZATION, (("name", "cabinet"), ("address-city", "Paris"))),
    ):
        await door.search(unit, pairs, "https://house.example/fhir")
    book = Book(search, extras, Tree("ou=bal,o=mssante,c=fr"))
    for asked in (All((Equal("sn", "Martin"), Equal("l", "Paris"))), Like("cn", "Mart", (), "")):
        assert (await book.find(asked, 20, 0)).entries


async def plans_of(url: str) -> dict[str, list[str]]:
    """Each statement on a large table that was asked, and its plan."""
    store = Store.open(url)
    try:
        with listening(store) as asked:
            await ask_everything(store)
        by_words = {re.sub(r"'[^']*'|-?\d+", "?", one): (one, values) for one, values in asked if _LARGE.search(one)}
        return await store.read(lambda c: {words: explained(c, *statement) for words, statement in by_words.items()})
    finally:
        await store.close()


async def test_every_search_goes_along_an_index(database_url: str) -> None:
    """On both engines, at every door."""
    await fill(database_url, LISTINGS)
    plans = await plans_of(database_url)
    assert len(plans) >= SEEN_MIN
    assert {words: found for words, plan in plans.items() if (found := whole_reads(plan))} == {}
    assert {words: found for words, plan in plans.items() if (found := unbounded_walks(plan))} == {}


async def test_a_table_without_its_index_is_noticed(database_url: str) -> None:
    """The same with the index of keys taken away."""
    await fill(database_url, LISTINGS)
    store = Store.open(database_url)

    def spoil(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE directory_key RENAME TO directory_key_before"))
        connection.execute(text("CREATE TABLE directory_key AS SELECT * FROM directory_key_before"))

    await store.write(0, spoil)
    await store.close()
    assert any(whole_reads(plan) for plan in (await plans_of(database_url)).values())


@pytest.mark.parametrize(
    ("plan", "found"),
    [
        (["SEARCH directory_key USING PRIMARY KEY (key>? AND key<?)"], 0),
        (["SCAN directory_key"], 1),
        (["Limit", "  ->  Seq Scan on directory_key", "        Filter: x"], 1),
        (["  ->  Index Scan using pk_directory_fact on directory_fact", "        Index Cond: (number = 1)"], 0),
        (["  ->  Index Only Scan using pk_directory_key on directory_key", "        Filter: x"], 1),
    ],
)
def test_plans_are_read_as_they_are_written(plan: list[str], found: int) -> None:
    """Of both engines."""
    assert len(whole_reads(plan)) == found
