"""`python -m tests.bench directory [LISTINGS [FOLDER]]`: an import of a million invented entries, the usual searches.

The same questions are asked of the first ten thousand of them, in turns: a directory that slows down with its size is a
bad one. What counts is the CPU of the process that answers and of PostgreSQL's behind it, so that a busy machine shows
as little as possible; of three rounds the best of each question. SQLite, then PostgreSQL where it is installed.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from sqlalchemy import text

from mss.crypto.keys import Lookup
from mss.directory.correspondence import CorrespondenceReader
from mss.directory.entries import Entries
from mss.directory.extras import Extras
from mss.directory.imports import Imports
from mss.directory.keys import Question
from mss.directory.search import Search
from mss.directory.wholes import Unit
from mss.directory.words import sound, words
from mss.fhir.beside import Beside
from mss.fhir.cursor import Cursors
from mss.fhir.directory import DirectoryDoor
from mss.ldap import codec
from mss.ldap.book import Book
from mss.ldap.names import Tree
from mss.ldap.requests import All, Any, Equal, Filter, Like
from mss.model.clock import SystemClock
from mss.store.create import create_or_upgrade
from mss.store.database import Store
from tests.bench.crowd import Crowd, write
from tests.bench.proc import cpu_s
from tests.kit import programs
from tests.kit.postgres import Cluster

SMALL = 10_000
LARGE = 1_000_000
ASKED = 200
"""Questions of each sort; the second slowest is the p99."""
ROUNDS = 3
RATIO_MAX = 3.0
SEED, QUESTIONS_SEED = 1, 7
DULL = ("de", "du", "la", "le", "les", "saint")
_MISHEARD = (
    ("ph", "f"),
    ("eau", "o"),
    ("aux", "o"),
    ("th", "t"),
    ("ss", "s"),
    ("ll", "l"),
    ("y", "i"),
    ("qu", "k"),
    ("t", "tt"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One question, in the words of each door."""

    question: Question
    unit: Unit
    fhir: tuple[tuple[str, str], ...]
    ldap: Filter


def asked_of(crowd: Crowd, seed: int = QUESTIONS_SEED) -> dict[str, list[Asked]]:
    """The usual searches for people drawn from the first ten thousand: common names, cities and jobs as often as they
    are carried."""
    chance, found = Random(seed), dict[str, list[Asked]]()
    while len(found) < 7 or any(len(several) < ASKED for several in found.values()):
        one = crowd.entry(chance.randrange(SMALL))
        if not one.family:
            continue
        family, city = one.family.title(), one.city.split(" ")[0].title() if one.city.startswith("PARIS") else one.city
        other = _misheard(family)
        job = one.specialty or one.job
        place = [word for word in words(one.structure) if word not in DULL and len(word) > 3][-1]
        person, role = Unit.PRACTITIONER, Unit.ROLE
        lives, whole = (("address-city", city),), f"{family} {one.given}"
        both = Any(tuple(Equal(name, family) for name in ("cn", "sn")))
        for sort, asked in (
            ("name", Asked(Question(name=whole), person, (("name", whole),),
                           All((both, Equal("givenname", one.given))))),
            ("name, place", Asked(Question(name=family, place=city), person, (("name", family), *lives),
                                  All((both, Equal("l", city))))),
            ("name, profession", Asked(Question(name=family, job=job), person,
                                       (("name", family), ("qualification-code:text", job)),
                                       All((both, Like("title", job.split(" ")[0], (), ""))))),
            ("structure", Asked(Question(structure=one.structure), Unit.ORGANIZATION, (("name", place),),
                                Like("o", "", (place,), ""))),
            ("RPPS", Asked(Question(identifier=one.rpps), role, (("practitioner.identifier", one.rpps),),
                           Equal("employeenumber", one.rpps))),
            ("first letters", Asked(Question(name=family[:5]), person, (("name", family[:5]),),
                                    Any(tuple(Like(name, family[:5], (), "") for name in ("cn", "sn", "mail"))))),
            ("by sound", Asked(Question(name=other), person, (("phonetic", other),),
                               Any(tuple(Equal(name, other, sounds_alike=True) for name in ("cn", "sn"))))),
        ):  # fmt: skip
            if len(found.setdefault(sort, [])) < ASKED:
                found[sort].append(asked)
    return found


def _misheard(family: str) -> str:
    """As somebody writes it who has only heard it."""
    for heard, written in _MISHEARD:
        other = family.lower().replace(heard, written)
        if other != family.lower() and sound("".join(words(other))) == sound("".join(words(family))):
            return other
    return family


Door = Callable[[Asked], Awaitable[int]]
"""Answers, as octets where the door makes some; how many were found."""


def doors_of(store: Store) -> dict[str, Door]:
    search, tree = Search(store), Tree("ou=bal,o=mssante,c=fr")
    extras = Extras(store, SystemClock())
    fhir = DirectoryDoor(Entries(store), Cursors(Lookup(b"lookup key of the bench")), Beside(extras, SystemClock()))
    book = Book(search, extras, tree)

    async def ask_search(asked: Asked) -> int:
        return len((await search.find(asked.question)).found)

    async def ask_fhir(asked: Asked) -> int:
        answer = await fhir.search(asked.unit, asked.fhir, "https://bench.mssante.example/fhir")
        json.dumps(answer.resource, ensure_ascii=False, separators=(",", ":")).encode()
        return answer.found

    async def ask_ldap(asked: Asked) -> int:
        answer = await book.find(asked.ldap, 0, 0)
        for entry in answer.entries:
            codec.entry(1, entry.dn, entry.chosen((), types_only=False))
        return len(answer.entries)

    return {"search": ask_search, "FHIR": ask_fhir, "LDAP": ask_ldap}


class Side:
    """One directory, its doors, and the CPU that it takes to answer."""

    def __init__(self, url: str) -> None:
        self.store = Store.open(url)
        self.doors = doors_of(self.store)
        self._backend = ""

    async def begin(self) -> None:
        if self.store.dialect == "postgresql":
            pid = await self.store.read(lambda c: c.execute(text("SELECT pg_backend_pid()")).scalar_one())
            self._backend = f"/proc/{pid}/schedstat"

    async def ask(self, door: str, asked: Asked) -> tuple[float, int]:
        """CPU in milliseconds, of this process and of the database's; how many were found."""
        await self.begin()
        backend_ns, own_ns = self._backend_ns(), time.process_time_ns()
        found = await self.doors[door](asked)
        own_ns = time.process_time_ns() - own_ns
        try:
            return (own_ns + self._backend_ns() - backend_ns) / 1e6, found
        except FileNotFoundError:  # the door gave up, and the connection with it
            return math.inf, found

    def _backend_ns(self) -> int:
        """Our questions come one after the other, so that the pool has one connection, until a door gives one up."""
        return int(Path(self._backend).read_text().split()[0]) if self._backend else 0


@dataclass(slots=True)
class Figures:
    """Of one sort of question at one door: for each directory, milliseconds of CPU and how many were found."""

    small: list[float]
    large: list[float]
    small_found: int = 0
    large_found: int = 0


async def compare(small_url: str, large_url: str) -> dict[tuple[str, str], Figures]:
    """Ask everything of both, in turns."""
    small, large = Side(small_url), Side(large_url)
    questions, figures = asked_of(Crowd(SEED)), dict[tuple[str, str], Figures]()
    try:
        await small.begin()
        await large.begin()
        for turn in range(ROUNDS):
            for sort, several in questions.items():
                for door in small.doors:
                    at = figures.setdefault((door, sort), Figures([9e9] * ASKED, [9e9] * ASKED))
                    for number, asked in enumerate(several):
                        small_ms, small_found = await small.ask(door, asked)
                        large_ms, large_found = await large.ask(door, asked)
                        at.small[number], at.large[number] = (
                            min(small_ms, at.small[number]),
                            min(large_ms, at.large[number]),
                        )
                        at.small_found += small_found * (turn == 0)
                        at.large_found += large_found * (turn == 0)
    finally:
        await small.store.close()
        await large.store.close()
    return figures


def tell(engine: str, figures: dict[tuple[str, str], Figures], listings: int) -> bool:
    """Print a table; whether every search kept its ratio."""
    kept = True
    for (door, sort), one in sorted(figures.items()):
        (small_p50, small_p99), (large_p50, large_p99) = _of(one.small), _of(one.large)
        ratio = large_p99 / small_p99
        kept &= ratio <= RATIO_MAX
        p99 = f"p99 {large_p99:6.2f} CPU ms among {listings}, {small_p99:6.2f} among {SMALL}"
        found = f"p50 {large_p50:.2f}, {small_p50:.2f}; found {one.large_found}, {one.small_found}"
        mark = "" if ratio <= RATIO_MAX else " !"
        print(f"{engine:<10} {door:<6} {sort:<17} {p99}: {ratio:4.1f} ({found}){mark}", flush=True)
    return kept


def _of(several: list[float]) -> tuple[float, float]:
    ordered = sorted(several)
    return ordered[len(ordered) // 2], ordered[-1 - len(ordered) // 100]


# ── imports ──


async def take(url: str, file: Path) -> None:
    """Import, in a process that does nothing else; tells its cost as JSON."""
    await create_or_upgrade(url)
    store, began = Store.open(url), time.monotonic()
    before = resource.getrusage(resource.RUSAGE_SELF)
    try:
        imports = Imports(store, file.parent / f"work-{file.stem}", SystemClock())
        await imports.take(file, CorrespondenceReader(), lambda *_: None, accepts_losses=True)
    finally:
        await store.close()
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"s": time.monotonic() - began, "cpu_s": cpu, "mib": used.ru_maxrss / 1024}))


def build(engine: str, url: str, folder: Path, count: int, postgres: int = 0) -> None:
    """A directory of the first `count`; told with what it cost. `postgres`: the server's process."""
    file = folder / f"Extraction_Correspondance_MSSante_20260101_{count}.txt"
    if not file.exists():
        write(file, count, SEED)
    before_s = cpu_s(postgres) + _children_s(postgres) if postgres else 0.0
    command = [sys.executable, "-m", "tests.bench.directory", "take", url, str(file)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    cost = json.loads(done.stdout.splitlines()[-1])
    theirs = f" and {cpu_s(postgres) + _children_s(postgres) - before_s:.0f} of PostgreSQL" if postgres else ""
    size = asyncio.run(_size_mb(url))
    print(
        f"{engine:<10} {count} imported in {cost['s']:.0f} s, {cost['cpu_s']:.0f} CPU s{theirs}, "
        f"{cost['mib']:.0f} MiB; {size:.0f} MB on disk, a file of {file.stat().st_size / 1e6:.0f} MB",
        flush=True,
    )


def _children_s(pid: int) -> float:
    """Of PostgreSQL's processes that live; those that end meanwhile are counted by their parent."""
    spent = 0.0
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(OSError):
            spent += cpu_s(int(child))
    return spent


async def _size_mb(url: str) -> float:
    store = Store.open(url)
    counted = (
        "SELECT pg_database_size(current_database())"
        if store.dialect == "postgresql"
        else "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    )
    try:
        return float(await store.read(lambda c: c.execute(text(counted)).scalar_one())) / 1e6
    finally:
        await store.close()


def main(listings: int = LARGE, folder: Path | None = None) -> None:
    """All of it. `folder`: where the SQLite files are kept, and found again by the next run."""
    asked = f"{ASKED} questions of each sort, the best of {ROUNDS} rounds"
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {asked}; seeds {SEED} and {QUESTIONS_SEED}", flush=True
    )
    with tempfile.TemporaryDirectory() as place:
        kept_in, kept = folder or Path(place), True
        urls = {count: f"sqlite:///{kept_in}/{count}.db" for count in (SMALL, listings)}
        for count, url in urls.items():
            if not Path(f"{kept_in}/{count}.db").exists():
                build("SQLite", url, kept_in, count)
        kept &= tell("SQLite", asyncio.run(compare(urls[SMALL], urls[listings])), listings)
        if programs.find("initdb"):
            cluster = Cluster().start()
            try:
                urls = {count: cluster.url(cluster.create()) for count in (SMALL, listings)}
                for count, url in urls.items():
                    build("PostgreSQL", url, Path(place), count, cluster.pid)
                kept &= tell("PostgreSQL", asyncio.run(compare(urls[SMALL], urls[listings])), listings)
            finally:
                cluster.stop()
    print(f"load {os.getloadavg()[0]:.1f}; floor: p99 within {RATIO_MAX} of {SMALL}: {'kept' if kept else 'NOT KEPT'}")


if __name__ == "__main__":
    asyncio.run(take(sys.argv[2], Path(sys.argv[3])))
