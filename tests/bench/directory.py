"""`python -m tests.bench.directory [LISTINGS]`: an import of a million invented professionals, and searches among them.

The same searches among ten thousand stand beside: a directory that slows down with its size is a bad one. SQLite, then
PostgreSQL where it is installed. An import runs in a process of its own, whose CPU and memory are told.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from mss.directory.correspondence import CorrespondenceReader
from mss.directory.imports import Imports
from mss.directory.keys import Question
from mss.directory.search import Search
from mss.model.clock import SystemClock
from mss.store.create import create_or_upgrade
from mss.store.database import Store
from tests.kit import programs
from tests.kit.frenchpeople import FAMILIES, GIVEN, PLACES, rpps, write
from tests.kit.postgres import Cluster

SMALL = 10_000
LARGE = 1_000_000
ASKED = 300
"""Searches of each sort; the third slowest is the p99."""
RATIO_MAX = 3.0


def questions(listings: int, seed: int = 7) -> dict[str, list[Question]]:
    """The five usual searches, each asked for different people."""
    chance = Random(seed)
    families = [name.replace("_", " ") for name in FAMILIES]
    cities = [city.split(" ")[0] for _, city in PLACES]

    def draw(names: list[str]) -> str:
        return names[chance.randrange(len(names))]

    return {
        "RPPS": [Question(identifier=rpps(chance.randrange(listings))) for _ in range(ASKED)],
        "name": [Question(name=f"{draw(families)} {draw(GIVEN)}") for _ in range(ASKED)],
        "first letters": [Question(name=draw(families)[:4]) for _ in range(ASKED)],
        "name and place": [Question(name=draw(families), place=draw(cities)) for _ in range(ASKED)],
        "specialty and place": [Question(job="cardiologue", place=draw(cities)) for _ in range(ASKED)],
    }


async def search_ms(url: str, listings: int) -> dict[str, tuple[float, float, int]]:
    """Median and p99 of each search in milliseconds, and how many were found in all."""
    store = Store.open(url)
    search, figures = Search(store), {}
    try:
        for name, asked in questions(listings).items():
            took, found = [], 0
            for question in asked:
                began = time.perf_counter()
                found += len((await search.find(question)).found)
                took.append((time.perf_counter() - began) * 1000)
            took.sort()
            figures[name] = (took[len(took) // 2], took[-1 - len(took) // 100], found)
    finally:
        await store.close()
    return figures


async def take(url: str, file: Path) -> None:
    """Import, in a process that does nothing else; tells its cost as JSON."""
    await create_or_upgrade(url)
    store, began = Store.open(url), time.monotonic()
    try:
        reader = CorrespondenceReader()
        await Imports(store, file.parent / "work", SystemClock()).take(
            file, reader, lambda *_: None, accepts_losses=True
        )
    finally:
        await store.close()
    used = resource.getrusage(resource.RUSAGE_SELF)
    cost = {"s": time.monotonic() - began, "cpu_s": used.ru_utime + used.ru_stime, "mib": used.ru_maxrss / 1024}
    print(json.dumps(cost))


def measure(name: str, small_url: str, large_url: str, folder: Path, listings: int) -> bool:
    """Print a table; whether every search kept its ratio."""
    figures = []
    for url, count in ((small_url, SMALL), (large_url, listings)):
        file = write(folder / f"Extraction_Correspondance_MSSante_20260101_{count}.txt", count)
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.directory", "take", url, str(file)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        cost = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{name}: {count} imported in {cost['s']:.0f} s, {cost['cpu_s']:.0f} CPU s, {cost['mib']:.0f} MiB",
            flush=True,
        )
        figures.append(asyncio.run(search_ms(url, count)))
        file.unlink()
    kept = True
    for sort, (median, p99, found) in figures[1].items():
        small_median, small_p99, small_found = figures[0][sort]
        kept &= p99 <= RATIO_MAX * small_p99
        print(
            f"{name}: {sort:<20} p99 {p99:6.1f} ms among {listings}, {small_p99:6.1f} ms among {SMALL}: "
            f"{p99 / small_p99:.1f} (medians {median:.1f}, {small_median:.1f}; found {found}, {small_found})",
            flush=True,
        )
    return kept


def main() -> None:
    if sys.argv[1:2] == ["take"]:
        asyncio.run(take(sys.argv[2], Path(sys.argv[3])))
        return
    listings = int(sys.argv[1]) if len(sys.argv) > 1 else LARGE
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        kept = measure("SQLite", f"sqlite:///{folder}/small.db", f"sqlite:///{folder}/large.db", folder, listings)
        if programs.find("initdb"):
            cluster = Cluster().start()
            try:
                small, large = (cluster.url(cluster.create()) for _ in range(2))
                kept &= measure("PostgreSQL", small, large, folder, listings)
            finally:
                cluster.stop()
    print(f"load {os.getloadavg()[0]:.1f}; every search within {RATIO_MAX}: {'yes' if kept else 'NO'}")


if __name__ == "__main__":
    main()
