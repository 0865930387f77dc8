"""Is our IMAP as fast as Dovecot's? Both over TLS in one run, the same mail in both, ours encrypted at rest.

`python -m tests.bench imap`, in some two minutes. The folder of ten thousand is filled with a fresh intake key for each
message and asked for before and after the works have wrapped those keys (reseal). Times are medians of one machine's
loopback; CPU is of the server alone, with all its processes.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Protocol

from tests.bench import dovecot, listing
from tests.bench.intake import plain
from tests.bench.processes import cpu_s, pss_mib
from tests.kit.demo import Demo

MESSAGES = listing.MESSAGES
APPENDS, APPENDERS = 40, 8
LOGINS = 60
IDLERS = 100
PUSHES = 6
PUSH_S_MAX = 10.0
ARCHIVE = "Archives"


class Server(Protocol):
    """One side of the comparison."""

    port: int

    def cpu_s(self) -> float: ...


class Ours:
    """The desk of operator A."""

    def __init__(self, demo: Demo) -> None:
        self._demo = demo
        self.port = int(demo.told["operator"]["imaps"]["port"])

    def cpu_s(self) -> float:
        return cpu_s(self._demo.pids()["desk"])


class Client:
    """A plain socket: any library would cost more than the server."""

    def __init__(self, server: Server, user: str, password: str) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the cost is the server's, on both sides
        bare = socket.create_connection(("127.0.0.1", server.port), 120)
        bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.wire = context.wrap_socket(bare)
        self.wire.recv(4096)
        self.ask(f"LOGIN {user} {password}")

    def ask(self, command: str, literal: bytes = b"") -> float:
        """Seconds until the tagged OK."""
        began = time.perf_counter()
        tail = b" {%d+}\r\n%b\r\n" % (len(literal), literal) if literal else b"\r\n"
        self.wire.sendall(b"a " + command.encode() + tail)
        seen = b""
        while True:
            block = self.wire.recv(1 << 18)
            assert block, "the server hung up"
            seen = (seen + block)[-4096:]
            last = seen[:-2].rpartition(b"\r\n")[2] if seen.endswith(b"\r\n") else b""
            if last.startswith(b"a "):
                assert last.startswith(b"a OK"), (command, last)
                return time.perf_counter() - began

    def idle(self) -> None:
        self.wire.sendall(b"a IDLE\r\n")
        while b"+ idling" not in (got := self.wire.recv(4096)):
            assert got, "the server hung up"

    def close(self) -> None:
        self.wire.close()


@dataclass(frozen=True)
class Side:
    """A server with somebody who signs in to it."""

    server: Server
    user: str
    password: str

    def client(self, folder: str = "") -> Client:
        client = Client(self.server, self.user, self.password)
        if folder:
            client.ask(f"SELECT {folder}")
        return client


Told = Callable[[str, str], None]


def measure(demo: Demo, told: Told) -> None:
    """All figures; `told` prints a row."""
    if not dovecot.is_installed():
        told("IMAP beside Dovecot", "not measured: needs Dovecot, and root")
        return
    peer = demo.told["peer"]
    theirs_server = dovecot.Dovecot(Path(peer["certificate"]), Path(peer["key"]))
    try:
        person = next(one for one in demo.told["professionals"] if one["address"] == listing.DOCTOR)
        ours = Side(Ours(demo), person["username"], person["password"])
        theirs = Side(theirs_server, "louise", dovecot.PASSWORD)
        _fill_dovecot(theirs)
        theirs.client().ask(f"CREATE {ARCHIVE}")
        asyncio.run(listing.fill(demo))
        _compare(demo, ours, theirs, told)
    finally:
        theirs_server.stop()


def _compare(demo: Demo, ours: Side, theirs: Side, told: Told) -> None:
    def both(name: str, unit: str, scale: float, goal: str, act: Callable[[Side], float]) -> None:
        mine, other = act(ours) * scale, act(theirs) * scale
        told(name, f"{mine:.2f} {unit}, Dovecot {other:.2f} {unit}: {mine / other:.3f} (goal {goal})")

    first_theirs = _timed_list(theirs)
    for moment in ("before reseal", "after reseal"):
        listing.restart_desk(demo)
        first = _timed_list(ours)
        told(
            f"list of {MESSAGES}, first open, {moment}",
            f"{first * 1e3:.0f} ms, Dovecot {first_theirs * 1e3:.0f} ms: {first / first_theirs:.3f} (goal ≤ 0.25)",
        )
        if moment == "before reseal":
            asyncio.run(listing.reseal(demo))
    both(f"list of {MESSAGES}, warm", "ms", 1e3, "≤ 1.0", lambda side: _again(side, listing.LIST, 5))
    both("SELECT, UNSELECT of it", "ms", 1e3, "within 3 ms", _select)
    both("FETCH FLAGS", "ms", 1e3, "≤ 2", lambda side: _again(side, "FETCH 1:* (FLAGS)", 7))
    both("SEARCH SUBJECT", "ms", 1e3, "≤ 1", lambda side: _again(side, "SEARCH SUBJECT zzz-nowhere", 5))
    both("SEARCH TEXT", "ms", 1e3, "≤ 0.3", lambda side: _again(side, "SEARCH TEXT zzz-nowhere", 1))
    both("CPU of an APPEND, eight connections", "ms", 1e3, "≤ 0.6", _append_cpu)
    both("CPU of a login", "ms", 1e3, "≤ 0.6", _login_cpu)
    both("IDLE, from APPEND's OK to EXISTS, p50", "ms", 1e3, "≤ 0.01", _push)
    told("memory of an idle connection", f"{_idle_kb(demo, ours, ARCHIVE):.0f} kB (goal ≤ 60 kB)")
    told(f"memory with {MESSAGES} selected", f"{_idle_kb(demo, ours, 'INBOX'):.0f} kB (goal ≤ 150 kB)")


def _fill_dovecot(side: Side) -> None:
    """The same mail, by APPEND; half a hundred on their way at once."""
    client = side.client()
    for _ in range(MESSAGES // listing.BATCH):
        raw = [plain(2000) for _ in range(listing.BATCH)]
        sent = b"".join(b"x APPEND INBOX {%d+}\r\n%b\r\n" % (len(one), one) for one in raw[:-1])
        writer = threading.Thread(target=client.wire.sendall, args=(sent,))
        writer.start()
        answered = b""
        while answered.count(b"x OK") < len(raw) - 1:
            block = client.wire.recv(1 << 16)
            assert block, "Dovecot hung up"
            answered += block
        writer.join()
        client.ask("APPEND INBOX", raw[-1])
    client.close()


def _timed_list(side: Side) -> float:
    client = side.client("INBOX")
    try:
        return client.ask(listing.LIST)
    finally:
        client.close()


def _again(side: Side, command: str, times: int) -> float:
    client = side.client("INBOX")
    try:
        return median(client.ask(command) for _ in range(times))
    finally:
        client.close()


def _select(side: Side) -> float:
    client = side.client()
    try:
        return median(client.ask("SELECT INBOX") + client.ask("UNSELECT") for _ in range(15))
    finally:
        client.close()


def _append_cpu(side: Side) -> float:
    """Seconds of CPU for each."""
    clients = [side.client() for _ in range(APPENDERS)]
    raw = plain(8500)

    def append(client: Client) -> None:
        for _ in range(APPENDS):
            client.ask(f"APPEND {ARCHIVE}", raw)

    append(clients[0])
    before = side.server.cpu_s()
    threads = [threading.Thread(target=append, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = side.server.cpu_s() - before
    for client in clients:
        client.close()
    return spent / (APPENDS * APPENDERS)


def _login_cpu(side: Side) -> float:
    side.client().close()
    before = side.server.cpu_s()
    for _ in range(LOGINS):
        client = side.client()
        client.ask("LOGOUT")
        client.close()
    time.sleep(0.5)  # what has ended must have been waited for, to be counted
    return (side.server.cpu_s() - before) / LOGINS


def _push(side: Side) -> float:
    waits = []
    waiting, sender = side.client(ARCHIVE), side.client()
    waiting.idle()
    for _ in range(PUSHES):
        came: list[float] = []

        def hear(came: list[float] = came) -> None:
            got = b""
            while b"EXISTS" not in got:
                got += waiting.wire.recv(4096)
            came.append(time.perf_counter())

        thread = threading.Thread(target=hear, daemon=True)
        thread.start()
        sender.ask(f"APPEND {ARCHIVE}", plain(2000))
        done = time.perf_counter()
        thread.join(PUSH_S_MAX)
        waits.append(max(came[0] - done, 1e-6) if came else PUSH_S_MAX)
        if not came:
            break  # it polls, and does not hear
        time.sleep(0.7)  # Dovecot tells at most twice a second: one push is not to be told with the one before
    waiting.close()
    sender.close()
    return median(waits)


def _idle_kb(demo: Demo, side: Side, folder: str) -> float:
    """kB for each of many clients that look at a folder and wait."""
    first = side.client(folder)
    first.idle()
    before = pss_mib(demo.pids()["desk"])
    clients = [side.client(folder) for _ in range(IDLERS)]
    for client in clients:
        client.idle()
    grown = pss_mib(demo.pids()["desk"]) - before
    for client in (first, *clients):
        client.close()
    return grown * 1024 / IDLERS


def main(row: Told) -> None:
    """With a demo of its own."""
    row("load at the beginning", f"{os.getloadavg()[0]:.1f}")
    demo = Demo()
    try:
        demo.start()
        measure(demo, row)
    finally:
        demo.stop()
        demo.remove()
    row("load at the end", f"{os.getloadavg()[0]:.1f}")
