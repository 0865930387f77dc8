"""Is our IMAP as fast as Dovecot's? Both over TLS in one run, the same mail in both, ours encrypted at rest.

`python -m tests.bench imap`, in some four minutes; with names of figures (login, select …) those alone. The folder of
ten thousand is filled with a fresh intake key for each message and asked for before and after the works have wrapped
those keys (reseal). Each round asks both sides, one after the other; told is the middle of the rounds, time and CPU of
the server with all its processes. "First" is the first list after a start of ours, and without its cache file for
Dovecot; both have the disk in the kernel's memory.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench import dovecot, listing
from tests.bench.imapside import Client, Cost, Ours, Side, cost, fill_by_append, seeded
from tests.bench.letters import letter
from tests.kit.demo import Demo

MESSAGES = listing.MESSAGES
ROUNDS = 3
APPENDS, APPENDERS = 40, 8
LOGINS = 40
IDLERS = 100
PUSHES = 5
PUSH_S_MAX = 10.0
SELECT_MS_MAX = 3.0
ARCHIVE = "Archives"

Told = Callable[[str, str], None]
Act = Callable[[Side], Cost]


@dataclass(frozen=True)
class Pair:
    """Both sides of a measure, the middle of the rounds."""

    ours: Cost
    theirs: Cost

    @property
    def times(self) -> float:
        return self.ours.seconds / self.theirs.seconds

    @property
    def cpu_times(self) -> float:
        return self.ours.cpu_s / max(self.theirs.cpu_s, 1e-6)

    def __str__(self) -> str:
        ours, theirs = self.ours, self.theirs
        return (
            f"{ours.seconds * 1e3:.2f} ms (CPU {ours.cpu_s * 1e3:.2f}), Dovecot {theirs.seconds * 1e3:.2f} ms "
            f"(CPU {theirs.cpu_s * 1e3:.2f})"
        )


@dataclass(frozen=True)
class Bench:
    """Both servers, filled, and where figures are told."""

    demo: Demo
    ours: Side
    theirs: Side
    dovecot: dovecot.Dovecot
    told: Told

    def both(self, act: Act, rounds: int = ROUNDS) -> Pair:
        found: tuple[list[Cost], list[Cost]] = ([], [])
        for number in range(rounds):
            order = (0, 1) if number % 2 else (1, 0)
            for which in order:
                found[which].append(act((self.ours, self.theirs)[which]))
        return Pair(*map(_middle, found))

    def at_most(self, name: str, pair: Pair, goal: float, *, cpu: bool = False) -> None:
        """Told as a ratio: of time, or of CPU."""
        ratio = pair.cpu_times if cpu else pair.times
        what = "CPU ratio" if cpu else f"ratio (of CPU {pair.cpu_times:.2f})"
        self.told(name, f"{pair}: {what} {ratio:.3f}, goal ≤ {goal:g}: {_met(ratio <= goal)}")

    def memory(self, name: str, kb: float, goal: float) -> None:
        self.told(name, f"{kb:.0f} kB, goal ≤ {goal:g} kB: {_met(kb <= goal)}")


def _met(is_met: bool) -> str:
    return "met" if is_met else "MISSED"


def _middle(costs: list[Cost]) -> Cost:
    return Cost(median(one.seconds for one in costs), median(one.cpu_s for one in costs))


def _first_before(bench: Bench) -> None:
    first_open(bench, "before reseal", 1)  # who has listed a folder once leaves sheets behind


def _first_after(bench: Bench) -> None:
    asyncio.run(listing.reseal(bench.demo))
    first_open(bench, "after reseal")


def _warm(bench: Bench) -> None:
    bench.at_most(f"list of {MESSAGES}, warm", bench.both(lambda side: _asked(side, listing.LIST, 5)), 1.0)


def _selects(bench: Bench) -> None:
    select = bench.both(_select)
    more_ms = (select.ours.seconds - select.theirs.seconds) * 1e3
    bench.told("SELECT of it", f"{select}: {more_ms:+.2f} ms, goal ≤ +3: {_met(more_ms <= SELECT_MS_MAX)}")


def _flags(bench: Bench) -> None:
    bench.at_most("FETCH FLAGS", bench.both(lambda side: _asked(side, "FETCH 1:* (FLAGS)", 7)), 2.0)


def _searches(bench: Bench) -> None:
    bench.at_most("SEARCH SUBJECT", bench.both(lambda side: _asked(side, "SEARCH SUBJECT zzz-nowhere", 5)), 1.0)
    told_first = _asked(bench.ours, "SEARCH TEXT zzz-nowhere", 1)
    bench.told("SEARCH TEXT, the very first", f"{told_first.seconds * 1e3:.0f} ms, CPU {told_first.cpu_s * 1e3:.0f}")
    bench.at_most("SEARCH TEXT", bench.both(lambda side: _asked(side, "SEARCH TEXT zzz-nowhere", 3)), 0.3)


def _appends(bench: Bench) -> None:
    bench.at_most("APPEND, eight connections", bench.both(_append), 0.6, cpu=True)


def _logins(bench: Bench) -> None:
    bench.at_most("login", bench.both(_login), 0.6, cpu=True)


def _pushes(bench: Bench) -> None:
    bench.at_most("IDLE, from APPEND to EXISTS, p50", bench.both(_push, 1), 0.01)


def _memory(bench: Bench) -> None:
    bench.memory("memory of an idle connection", _idle_kb(bench.ours, ARCHIVE), 60)
    bench.memory(f"memory with {MESSAGES} selected", _idle_kb(bench.ours, "INBOX"), 150)


MEASURES: dict[str, Callable[[Bench], None]] = {
    "first": _first_before,
    "resealed": _first_after,
    "warm": _warm,
    "select": _selects,
    "flags": _flags,
    "search": _searches,
    "append": _appends,
    "login": _logins,
    "push": _pushes,
    "memory": _memory,
}
"""In the issue's order; each may be asked for alone."""
WITHOUT_MAIL = frozenset({"append", "login", "push"})
"""Those for which nothing need lie in the folder."""


def compare(bench: Bench, wanted: Sequence[str] = ()) -> None:
    """The figures wanted, by name; all without one."""
    for name in wanted or MEASURES:
        MEASURES[name](bench)


def first_open(bench: Bench, moment: str, rounds: int = ROUNDS) -> None:
    def first(side: Side) -> Cost:
        if side is bench.ours:
            listing.restart_desk(bench.demo)
        else:
            bench.dovecot.forget()
        return _asked(side, listing.LIST, 1)

    bench.at_most(f"list of {MESSAGES}, first open, {moment}", bench.both(first, rounds), 0.25)


def _asked(side: Side, command: str, times: int) -> Cost:
    client = side.client("INBOX")
    try:
        return cost(side.server, times, lambda: client.ask(command))
    finally:
        client.close()


def _select(side: Side) -> Cost:
    client = side.client("INBOX")

    def select() -> float:
        client.ask("UNSELECT")
        return client.ask("SELECT INBOX")

    try:
        return cost(side.server, 31, select)
    finally:
        client.close()


def _append(side: Side) -> Cost:
    clients = [side.client() for _ in range(APPENDERS)]
    chance = seeded()
    mails = [letter(chance) for _ in range(APPENDS)]

    def append(client: Client) -> None:
        for one in mails:
            client.ask(f"APPEND {ARCHIVE}", one)

    def all_at_once() -> None:
        threads = [threading.Thread(target=append, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    append(clients[0])
    spent = cost(side.server, 1, all_at_once)
    for client in clients:
        client.close()
    return Cost(spent.seconds / (APPENDS * APPENDERS), spent.cpu_s / (APPENDS * APPENDERS))


def _login(side: Side) -> Cost:
    def login() -> None:
        client = side.client()
        client.ask("LOGOUT")
        client.close()

    def many() -> float:
        began = time.perf_counter()
        for _ in range(LOGINS):
            login()
        spent = time.perf_counter() - began
        time.sleep(0.5)  # what has ended must have been waited for, to be counted
        return spent

    login()
    spent = cost(side.server, 1, many)
    return Cost(spent.seconds / LOGINS, spent.cpu_s / LOGINS)


def _push(side: Side) -> Cost:
    """From the APPEND that somebody sends until an idle client hears of it."""
    chance = seeded()
    waiting, sender = side.client(ARCHIVE), side.client()
    waiting.idle()

    def push() -> float:
        came: list[float] = []

        def hear() -> None:
            got = b""
            while b"EXISTS" not in got:
                got += waiting.wire.recv(4096)
            came.append(time.perf_counter())

        thread = threading.Thread(target=hear, daemon=True)
        thread.start()
        began = time.perf_counter()
        sender.ask(f"APPEND {ARCHIVE}", letter(chance))
        thread.join(PUSH_S_MAX)
        assert came, "nothing was pushed"
        time.sleep(0.7)  # Dovecot tells at most twice a second: one push is not to be told with the one before
        return came[0] - began

    try:
        return cost(side.server, PUSHES, push)
    finally:
        waiting.close()
        sender.close()


def _idle_kb(side: Side, folder: str) -> float:
    """kB for each of many clients that look at a folder and wait."""
    first = side.client(folder)
    first.idle()
    before = side.server.pss_mib()
    clients = [side.client(folder) for _ in range(IDLERS)]
    for client in clients:
        client.idle()
    grown = side.server.pss_mib() - before
    for client in (first, *clients):
        client.close()
    return grown * 1024 / IDLERS


def begin(demo: Demo, told: Told, messages: int = MESSAGES) -> Bench:
    """Both servers with the same mail. End with `dovecot.stop()`."""
    keys = Path(demo.told["ca"]).parent
    beside = dovecot.Dovecot(keys / "service-A.pem", keys / "service-A.key")
    person = next(one for one in demo.told["professionals"] if one["address"] == listing.DOCTOR)
    ours = Side(Ours(demo), person["username"], person["password"])
    theirs = Side(beside, dovecot.USER, dovecot.PASSWORD)
    chance = seeded()
    mails = [letter(chance) for _ in range(messages)]
    theirs.client().ask(f"CREATE {ARCHIVE}")
    if mails:
        fill_by_append(theirs, "INBOX", mails)
        asyncio.run(listing.fill(demo, mails))
    return Bench(demo, ours, theirs, beside, told)


def measure(demo: Demo, told: Told, wanted: Sequence[str] = ()) -> None:
    """The figures wanted; `told` prints a row."""
    if not dovecot.is_installed():
        told("IMAP beside Dovecot", "not measured: needs Dovecot, and root")
        return
    bench = begin(demo, told, 0 if wanted and WITHOUT_MAIL.issuperset(wanted) else MESSAGES)
    try:
        compare(bench, wanted)
    finally:
        bench.dovecot.stop()


def main(row: Told, wanted: Sequence[str]) -> None:
    """With a demo of its own."""
    if unknown := set(wanted) - set(MEASURES):
        raise SystemExit(f"{', '.join(sorted(unknown))}: no such figure; there are {', '.join(MEASURES)}")
    row("load at the beginning", f"{os.getloadavg()[0]:.1f}")
    demo = Demo()
    try:
        demo.start()
        measure(demo, row, wanted)
    finally:
        demo.stop()
        demo.remove()
    row("load at the end", f"{os.getloadavg()[0]:.1f}")
