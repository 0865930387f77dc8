"""How do three processes become one service? Starts edge, desk and works, watches them, starts what died again.

A child that dies is started again after a pause that grows while it keeps dying. On SIGTERM or SIGINT the children
are asked to finish, and after a limit they are ended. Holds no key and opens no file of the state.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import stat
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

RESTART_FIRST_S = 0.2
RESTART_MAX_S = 30.0
STEADY_S = 30.0
"""A child that lived so long starts afresh without pause."""
READY_S = 60.0
"""A process loads in a second or two; a machine that is busy may take many times that."""
STOP_S = 8.0
"""Children finish what they answer within this; the demo promises ten seconds in all."""

PARENT = "MSS_PARENT_PID"
"""Set for children: end when that process is gone, so that nothing is left behind that nobody watches."""
OPENSSL_CONF = Path(__file__).parent / "crypto" / "openssl.cnf"
"""Read by OpenSSL when a child starts: the only way to limit key exchange groups on Python 3.11."""
READY_FD = "MSS_READY_FD"
"""Where a child writes one byte when it answers."""
_PR_SET_PDEATHSIG = 1

log = structlog.get_logger("supervisor")


def die_with_parent() -> None:
    """Be asked to finish (SIGTERM) when the process that started us dies. Linux; elsewhere nothing happens."""
    parent = os.environ.get(PARENT)
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(parent):  # it died before we could ask
        os.kill(os.getpid(), signal.SIGTERM)


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
    command: list[str]
    process: asyncio.subprocess.Process | None = None
    started_s: float = 0.0
    pause_s: float = RESTART_FIRST_S
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def running(self) -> asyncio.subprocess.Process | None:
        """Its process, while it lives."""
        return self.process if self.process is not None and self.process.returncode is None else None

    def signal(self, number: signal.Signals) -> None:
        """To its process, if it lives."""
        if (process := self.running) is not None:
            with suppress(ProcessLookupError):  # it ended just now
                process.send_signal(number)


class Supervisor:
    """Keeps the named parts of one operator running."""

    def __init__(self, config: Path, parts: dict[str, list[str]], run_directory: Path) -> None:
        """`parts`: process name → roles in it. `run_directory`: where `pids.json` tells who runs."""
        self._pids_file = run_directory / "pids.json"
        self._ready_file = run_directory / "ready"
        self._stopping = asyncio.Event()
        self._watchers: list[asyncio.Task[None]] = []
        self.children = {
            name: Child(name, [sys.executable, "-m", "mss.assembly", str(config), name, *roles])
            for name, roles in parts.items()
        }

    async def start(self) -> None:
        """Start every child and wait until each says that it is ready, or until a signal. Raises RuntimeError when
        one cannot, with its name."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
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
        for child in self.children.values():
            child.signal(signal.SIGTERM)
        if self._watchers:
            await asyncio.wait(self._watchers, timeout=STOP_S)
            for child in self.children.values():
                child.signal(signal.SIGKILL)
            await asyncio.gather(*self._watchers, return_exceptions=True)
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
        running = {name: child.running for name, child in self.children.items()}
        pids = {"supervisor": os.getpid()} | {name: one.pid for name, one in running.items() if one is not None}
        temporary.write_text(json.dumps(pids))
        temporary.replace(self._pids_file)

    async def _watch(self, child: Child) -> None:
        first = True
        while not self._stopping.is_set():
            child.started_s = time.monotonic()
            code = await self._live(child)
            if self._stopping.is_set():
                return
            self._write_pids()
            if first and not child.ready.is_set():
                raise RuntimeError(f"{child.name} ended with {code} before it was ready: its lines above say why")
            first = False
            if time.monotonic() - child.started_s > STEADY_S:
                child.pause_s = RESTART_FIRST_S
            log.warning("process.died", name=child.name, code=code, restart_in_s=child.pause_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(child.pause_s):
                    await self._stopping.wait()
            child.pause_s = min(RESTART_MAX_S, child.pause_s * 2)

    async def _live(self, child: Child) -> int:
        """Run a child until it ends. It says `ready` on a pipe of its own."""
        reading, writing = os.pipe()
        child.process = await asyncio.create_subprocess_exec(
            *child.command,
            env={"OPENSSL_CONF": str(OPENSSL_CONF)} | os.environ | {READY_FD: str(writing), PARENT: str(os.getpid())},
            pass_fds=(writing,),
        )
        os.close(writing)
        self._write_pids()
        loop = asyncio.get_running_loop()

        def on_ready() -> None:
            loop.remove_reader(reading)
            if os.read(reading, 16):
                child.ready.set()
            os.close(reading)

        loop.add_reader(reading, on_ready)
        return await child.process.wait()
