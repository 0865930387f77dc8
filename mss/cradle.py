"""Where do the processes of an operator come from, so that each starts fast and shares what all of them hold?

A cradle is an interpreter that has imported the common ground, read nothing, and forks when the supervisor asks
(docs/decisions/0015-cradle.md). Whoever is born becomes the supervisor's child, waits for its "go" on a channel,
and says on the same channel that it is ready. `Cradle` is the supervisor's side, `rock` the cradle's.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

PARENT = "MSS_PARENT_PID"
"""Set for children: end when that process is gone, so that nothing is left behind that nobody watches."""
READY_FD = "MSS_READY_FD"
"""Where a child writes one byte when it answers."""

ORDER_BYTES_MAX = 1024
"""A name and a few roles."""
BIRTHS_MAX = 2
"""A cradle that died is replaced once for a birth; after that something is wrong with this machine."""
LOAD_S = 60.0
"""A cradle loads in half a second; a machine that is busy may take many times that."""
ADOPTED_S = 10.0
"""The kernel gives an orphan its new parent at once; whoever waits longer has none."""
_ADOPTION_LOOK_S = 0.001
_GO = b"g"
_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 15, 36


class CradleFailed(Exception):
    """No process could be born."""


def _prctl(option: int, value: object) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def adopt_orphans(whether: bool) -> None:
    """Whether processes that lose their parent below us become our children."""
    _prctl(_PR_SET_CHILD_SUBREAPER, int(whether))


def call_me(name: str) -> None:
    """The short name in lists of processes; 15 characters."""
    _prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()[:15]))


def die_with_parent() -> None:
    """Be asked to finish (SIGTERM) when the process that watches us dies."""
    parent = os.environ.get(PARENT)
    if parent is None:
        return
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # it died before we could ask
        os.kill(os.getpid(), signal.SIGTERM)


class Cradle:
    """The supervisor's side: starts the cradle's process when one is needed, and asks it for processes."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """`command` gets the number of its descriptor as last argument."""
        self._command = list(command)
        self._environment = dict(environment)
        self._control: socket.socket | None = None
        self._turn = asyncio.Lock()
        self._is_closed = False

    async def birth(self, name: str, roles: Sequence[str], born: Callable[[int], None]) -> socket.socket:
        """A new process, and the channel on which it will say that it is ready. `born` learns its number before it
        may run. Raises CradleFailed."""
        order = json.dumps([name, *roles]).encode()
        async with self._turn:
            for _ in range(BIRTHS_MAX):
                ours, theirs = socket.socketpair()
                try:
                    with theirs:
                        born(await self._ask(order, theirs))
                    ours.send(_GO)
                    return ours
                except (OSError, TimeoutError):
                    ours.close()
                    self._hang_up()
        raise CradleFailed(name)

    def close(self) -> None:
        """For good. Who waits for a birth is told that there is none."""
        self._is_closed = True
        self._hang_up()

    def _hang_up(self) -> None:
        if self._control is not None:
            with suppress(OSError):  # it has hung up already
                self._control.shutdown(socket.SHUT_RDWR)  # wakes who waits; a mere close would not
            self._control.close()
            self._control = None

    async def _ask(self, order: bytes, channel: socket.socket) -> int:
        if self._is_closed:
            raise ConnectionAbortedError
        if self._control is None:
            self._control = self._start()
        socket.send_fds(self._control, [order], [channel.fileno()])
        async with asyncio.timeout(LOAD_S):
            answer = await asyncio.get_running_loop().sock_recv(self._control, ORDER_BYTES_MAX)
        if not answer.isdigit():
            raise ConnectionResetError
        return int(answer)

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            theirs.set_inheritable(True)
            os.posix_spawn(self._command[0], [*self._command, str(theirs.fileno())], self._environment)
        ours.setblocking(False)
        return ours


def rock(descriptor: int, be: Callable[[str, list[str]], None]) -> None:
    """Be a cradle until the supervisor hangs up. In a process that is born, `be` is called with name and roles, and
    what it raises is the end of that process. Import everything before."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # whoever is born decides when it can
    die_with_parent()
    call_me("mss-cradle")
    gc.collect()
    gc.freeze()  # what is shared with all children stays shared
    with socket.socket(fileno=descriptor) as control:
        while True:
            order, descriptors, _, _ = socket.recv_fds(control, ORDER_BYTES_MAX, 1)
            if not order:
                return
            if middle := os.fork():
                os.close(descriptors[0])
                os.waitpid(middle, 0)
                continue
            _leave_to_supervisor(control)
            break
    name, *roles = json.loads(order)
    _wait_for_go(descriptors[0])
    call_me(f"mss-{name}")
    die_with_parent()
    be(name, roles)


def _leave_to_supervisor(control: socket.socket) -> None:
    """Fork once more, tell the number and end; returns in the third process alone."""
    try:
        third = os.fork()
    except OSError:
        third = -1  # no number: the supervisor understands
    if third:
        with suppress(OSError):  # it has gone
            control.send(str(third).encode())
        os._exit(0)


def _wait_for_go(channel: int) -> None:
    """Until the supervisor knows us and is our parent; it hangs up when it never learned of us."""
    if os.read(channel, 1) != _GO:
        os._exit(0)
    supervisor, end = int(os.environ[PARENT]), time.monotonic() + ADOPTED_S
    while os.getppid() != supervisor and time.monotonic() < end:
        time.sleep(_ADOPTION_LOOK_S)
    os.environ[READY_FD] = str(channel)
