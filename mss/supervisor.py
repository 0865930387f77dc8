"""How do three processes become one service? Starts edge, desk and works, watches them, starts what died again.

A child that dies is started again after a pause that grows while it keeps dying. On SIGTERM or SIGINT the children
are asked to finish, and after a limit they are ended. Holds no key and opens no file of the state.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from mss.cradle import PARENT, Cradle, CradleFailed, adopt_orphans

RESTART_FIRST_S = 0.2
RESTART_MAX_S = 30.0
STEADY_S = 30.0
"""A child that lived so long starts afresh without pause."""
READY_S = 60.0
"""A process loads in a second or two; a machine that is busy may take many times that."""
STOP_S = 8.0
"""Children finish what they answer within this; the demo promises ten seconds in all."""
OPENSSL_CONF = Path(__file__).parent / "crypto" / "openssl.cnf"
"""Read by OpenSSL when a child starts: the only way to limit key exchange groups on Python 3.11."""

log = structlog.get_logger("supervisor")


def _make_private(directory: Path) -> None:
    """Sockets and pids lie where nobody else writes. Raises RuntimeError for a directory that is somebody else's."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise RuntimeError(f"{directory} must be a directory of this user alone (mode 0700): see run_dir")


@dataclass(slots=True)
class Child:
    """A process of ours."""

    name: str
    roles: list[str]
    pid: int | None = None
    """While it lives, or is not buried: until then the number is its own."""
    code: asyncio.Future[int] | None = None
    started_s: float = 0.0
    pause_s: float = RESTART_FIRST_S
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    def signal(self, number: signal.Signals) -> None:
        """To its process, if it lives."""
        if self.pid is not None:
            os.kill(self.pid, number)

    def died(self, code: int) -> None:
        """Its process was buried."""
        self.pid = None
        if self.code is not None and not self.code.done():
            self.code.set_result(code)


class Supervisor:
    """Keeps the named parts of one operator running."""

    def __init__(
        self, config: Path, parts: dict[str, list[str]], run_directory: Path, cradle: Sequence[str] = ()
    ) -> None:
        """`parts`: process name → roles in it. `run_directory`: where `pids.json` tells who runs. `cradle`: another
        command for the process that all others come from."""
        self._pids_file = run_directory / "pids.json"
        self._ready_file = run_directory / "ready"
        self._stopping = asyncio.Event()
        self._watchers: list[asyncio.Task[None]] = []
        self.children = {name: Child(name, roles) for name, roles in parts.items()}
        self._cradle = Cradle(
            cradle or [sys.executable, "-m", "mss.assembly", str(config)],
            {"OPENSSL_CONF": str(OPENSSL_CONF)} | os.environ | {PARENT: str(os.getpid())},
        )

    async def start(self) -> None:
        """Start every child and wait until each says that it is ready, or until a signal. Raises RuntimeError when
        one cannot, with its name."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        loop.add_signal_handler(signal.SIGCHLD, self._bury)
        adopt_orphans(True)
        _make_private(self._pids_file.parent)
        self._ready_file.unlink(missing_ok=True)  # of an earlier run
        for child in self.children.values():
            self._watchers.append(asyncio.create_task(self._watch(child)))
        ready = asyncio.create_task(self._all_ready())
        stopped = asyncio.create_task(self._told_to_stop())
        # A watcher ends only by failing, so whatever ends first tells.
        ends = [ready, stopped, *self._watchers]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED, timeout=READY_S)
        for waiting in (ready, stopped):
            waiting.cancel()
        late = [child.name for child in self.children.values() if not child.ready.is_set()]
        if late and not self._stopping.is_set():
            failed = [watcher.exception() for watcher in self._watchers if watcher.done()]
            await self.stop()
            raise RuntimeError(str(failed[0]) if failed else f"{', '.join(late)}: not ready within {READY_S:.0f} s")
        if not late:
            self._ready_file.write_text(str(os.getpid()))

    async def _told_to_stop(self) -> None:
        await self._stopping.wait()

    async def _all_ready(self) -> None:
        for child in self.children.values():
            await child.ready.wait()

    async def stop(self) -> None:
        """Ask every child to finish, end those that do not, and wait for all."""
        self._stopping.set()
        self._cradle.close()
        for child in self.children.values():
            child.signal(signal.SIGTERM)
        if self._watchers:
            await asyncio.wait(self._watchers, timeout=STOP_S)
            for child in self.children.values():
                child.signal(signal.SIGKILL)
            await asyncio.gather(*self._watchers, return_exceptions=True)
        adopt_orphans(False)
        asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)
        for file in (self._ready_file, self._pids_file):
            file.unlink(missing_ok=True)

    async def run(self) -> None:
        """Until stopped by a signal."""
        await self._stopping.wait()
        await self.stop()

    def reload(self) -> None:
        """Tell every child to read certificates and lists again."""
        for child in self.children.values():
            child.signal(signal.SIGHUP)

    def _write_pids(self) -> None:
        """Tell who runs, for people and tools; replaced whole. Who does not run is left out."""
        temporary = self._pids_file.with_suffix(".new")
        running = {name: child.pid for name, child in self.children.items() if child.pid is not None}
        pids = {"supervisor": os.getpid()} | running
        temporary.write_text(json.dumps(pids))
        temporary.replace(self._pids_file)

    async def _watch(self, child: Child) -> None:
        first = True
        while not self._stopping.is_set():
            child.started_s = time.monotonic()
            ended = await self._live(child)
            if self._stopping.is_set():
                return
            self._write_pids()
            if first and not child.ready.is_set():
                raise RuntimeError(f"{child.name} {ended} before it was ready: its lines above say why")
            first = False
            if time.monotonic() - child.started_s > STEADY_S:
                child.pause_s = RESTART_FIRST_S
            log.warning("process.died", name=child.name, how=ended, restart_in_s=child.pause_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(child.pause_s):
                    await self._stopping.wait()
            child.pause_s = min(RESTART_MAX_S, child.pause_s * 2)

    async def _live(self, child: Child) -> str:
        """Run a child until it ends, and tell how. It says `ready` on a channel of its own."""
        loop = asyncio.get_running_loop()
        child.code = loop.create_future()

        def born(pid: int) -> None:
            child.pid = pid
            self._write_pids()

        try:
            channel = await self._cradle.birth(child.name, child.roles, born)
        except CradleFailed:
            return "could not be started"
        if self._stopping.is_set():
            child.signal(signal.SIGTERM)

        def on_ready() -> None:
            loop.remove_reader(channel)
            with channel, suppress(ConnectionError):
                if channel.recv(1):
                    child.ready.set()

        loop.add_reader(channel, on_ready)
        return f"ended with {await child.code}"

    def _bury(self) -> None:
        """Learn who has ended. Orphans that became ours are buried too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for child in self.children.values():
                if child.pid == pid:
                    child.died(os.waitstatus_to_exitcode(status))
