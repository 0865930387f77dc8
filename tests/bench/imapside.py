"""Two IMAP servers as a bench sees them: somebody signs in, asks, and counts what it cost the server."""

from __future__ import annotations

import random
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.bench.processes import TICKS_PER_S, pss_mib
from tests.kit.demo import Demo
from tests.kit.memory import children

APPENDED_AT_ONCE = 100
READINGS_MAX = 20
"""A server of many processes is read again when one of them ended meanwhile."""


class Server(Protocol):
    """One side of the comparison."""

    port: int

    def cpu_s(self) -> float:
        """CPU so far of all its processes, those that have ended and been waited for included."""
        ...

    def pss_mib(self) -> float: ...


class Ours:
    """The desk of operator A."""

    def __init__(self, demo: Demo) -> None:
        self._demo = demo
        self.port = int(demo.told["operator"]["imaps"]["port"])

    def cpu_s(self) -> float:
        return fine_cpu_s(self._demo.pids()["desk"])

    def pss_mib(self) -> float:
        return pss_mib(self._demo.pids()["desk"])


def fine_cpu_s(pid: int) -> float:
    """CPU of a process, all below it and all that has ended there; finer than a tick for threads that run."""
    for _ in range(READINGS_MAX):
        with suppress(FileNotFoundError):
            return _cpu_s(pid)
    raise AssertionError("its children come and go too fast to be counted")


def _cpu_s(pid: int) -> float:
    """Raises FileNotFoundError when one of them ends meanwhile."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own, ended = (sum(map(int, fields[at : at + 2])) / TICKS_PER_S for at in (11, 13))
    spent_ns = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            spent_ns += int((thread / "schedstat").read_text().split()[0])
        except OSError:
            continue  # it ended meanwhile
    return max(own, spent_ns / 1e9) + ended + sum(_cpu_s(child) for child in children(pid))


class Client:
    """A plain socket: any library would cost more than the server."""

    def __init__(self, server: Server, user: str, password: str) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the cost is the server's, on both sides
        bare = socket.create_connection(("127.0.0.1", server.port), 120)
        bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.wire = context.wrap_socket(bare)
        self.wire.recv(4096)
        self.octets = 0
        self.ask(f"LOGIN {user} {password}")

    def ask(self, command: str, *literals: bytes) -> float:
        """Seconds until the tagged OK; literals go with the command, without waiting."""
        tail = b"".join(b" {%d+}\r\n%b" % (len(literal), literal) for literal in literals)
        began = time.perf_counter()
        self.wire.sendall(b"a " + command.encode() + tail + b"\r\n")
        seen = b""
        while True:
            block = self.wire.recv(1 << 18)
            assert block, "the server hung up"
            self.octets += len(block)
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


@dataclass(frozen=True)
class Cost:
    """What one act took: seconds on the clock, CPU seconds of the server."""

    seconds: float
    cpu_s: float


def cost(server: Server, times: int, act: Callable[[], float | None]) -> Cost:
    """The middle of `times` seconds that `act` answers (none: those that it took), and the CPU of one."""
    before, waits = server.cpu_s(), []
    for _ in range(times):
        began = time.perf_counter()
        told = act()
        waits.append(time.perf_counter() - began if told is None else told)
    return Cost(sorted(waits)[times // 2], (server.cpu_s() - before) / times)


def fill_by_append(side: Side, folder: str, messages: Sequence[bytes]) -> None:
    """One MULTIAPPEND for each hundred (RFC 3502)."""
    client = side.client()
    for at in range(0, len(messages), APPENDED_AT_ONCE):
        client.ask(f"APPEND {folder}", *messages[at : at + APPENDED_AT_ONCE])
    client.close()


def seeded() -> random.Random:
    return random.Random(2026)
