"""The house's side of the nursery and of one worker: start, order, ask, kill.

Nothing here decides which worker does what; that is the pool's. What comes back from a worker is believed only
in its shape: everything else is checked by whoever asked.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import mss
from mss.sandbox.frames import Assembly, BadFrame, Frame
from mss.sandbox.limits import Limits

ROOT = Path(mss.__file__).resolve().parents[1]
_START = "import sys; sys.path.insert(0, sys.argv[1]); from mss.sandbox.nursery import main; main()"
_ENVIRONMENT = {"LANG": "C.UTF-8", "TZ": "UTC"}  # nothing of the house's own environment, which may hold secrets


class Gone(OSError):
    """The nursery or the worker does not answer any more."""


@dataclass(frozen=True, slots=True)
class Confinement:
    """What holds a worker, as it said itself before its first job."""

    calls_filtered: bool
    """seccomp: it can neither open, connect, run nor signal anything."""
    network_left: bool
    files_left: bool


class Nursery:
    """The process that forks workers."""

    def __init__(self, limits: Limits, jobs_module: str) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        with theirs:
            arguments = (str(ROOT), str(theirs.fileno()), jobs_module, json.dumps(asdict(limits)))
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _START, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=_ENVIRONMENT,
                cwd="/",
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # a Ctrl-C is for the house, which lets work in flight finish
            )
        self.pid = self._process.pid

    def fork(self, serial: int, theirs: socket.socket) -> None:
        """Order a worker at the other end of a socket pair. Raises Gone when the nursery is gone or stuck."""
        try:
            socket.send_fds(self._control, [b"fork %d" % serial], [theirs.fileno()])
        except OSError as problem:
            raise Gone("the nursery takes no order") from problem

    def kill(self, serial: int) -> None:
        """End a worker of this nursery; when the nursery is gone, its workers are too."""
        try:
            self._control.send(b"kill %d" % serial)
        except OSError:
            pass

    def close(self) -> None:
        """End the nursery; the kernel ends its workers with it. It holds nothing worth a farewell."""
        self._control.close()
        self._process.kill()
        self._process.wait()


class Worker:
    """One worker, seen from the house."""

    def __init__(self, serial: int, nursery: Nursery, limits: Limits) -> None:
        self.serial = serial
        self.nursery = nursery
        self.owner: int | None = None
        self.jobs = 0
        self.pid = 0
        """For tests and for people; nothing is ever done to it."""
        self.confinement: Confinement | None = None
        """Known once it has said hello."""
        self._limits = limits
        self._socket, theirs = socket.socketpair()
        self._socket.setblocking(False)
        with theirs:
            theirs.setblocking(True)
            try:
                nursery.fork(serial, theirs)
            except Gone:
                self._socket.close()
                raise

    def end(self) -> None:
        """Kill it, busy or not."""
        self.nursery.kill(self.serial)
        self._socket.close()

    def greet(self, hello: Frame) -> None:
        """Take its first words. Raises BadFrame."""
        said = hello.said.get("hello")
        if not isinstance(said, dict) or not isinstance(said.get("pid"), int):
            raise BadFrame("no hello")
        self.pid = said["pid"]
        flags = {name: said.get(name) is True for name in ("calls_filtered", "network_left", "files_left")}
        self.confinement = Confinement(**flags)

    async def ask(self, pieces: Iterable[bytes]) -> Frame:
        """Write a question, read the answer. Raises BadFrame, OSError; the worker is of no use then."""
        loop = asyncio.get_running_loop()
        for piece in pieces:
            await loop.sock_sendall(self._socket, piece)
        return await self.listen()

    async def listen(self) -> Frame:
        """Read one frame. Raises BadFrame, OSError."""
        loop = asyncio.get_running_loop()
        assembly = Assembly(self._limits, self._limits.answer_bytes_max)
        while True:
            count = await loop.sock_recv_into(self._socket, assembly.room())
            if not count:
                raise Gone("the worker is gone")
            if (frame := assembly.received(count)) is not None:
                return frame
