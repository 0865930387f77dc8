"""Who is told that something changed, and how does the word reach other processes?

A change is a hint: (topic, owner, folder). Whoever hears it reads the store again, so a lost hint costs delay and
never truth. Inside a process subscribers are called directly; between the processes of one host the hint goes
as a datagram to the sockets of those siblings that want to hear of it, in a private run directory. Publish only after
the commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Collection
from pathlib import Path

FOLDER = 1
"""An entry came, changed or went: owner, folder."""
TASK = 2
"""A duty or mail to send is due now."""

ACCOUNT = 3
"""Whether somebody may sign in, or with what, is not what it was: owner."""
DUTY = 4
"""A task of the runner is due, and nothing else: courier, sinks and sources need not look, which costs them a query
each. Whoever is not sure says TASK."""
TOPICS = (FOLDER, TASK, ACCOUNT, DUTY)

_FORM = struct.Struct("<Bqq")
_KIND = (socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
_BACKLOG_BYTES = 1 << 20
HINTS_MAX = 200
"""In one datagram: some 3 kB."""
PAUSE_S = 0.005
"""Siblings are told at once, and then no more often than this: a busy door would wake them at each of its mails."""
LISTED_S = 0.2
"""How long the list of siblings counts: a new one is told of nothing so long, and polls meanwhile."""

Listener = Callable[[int, int], None]
"""Called with owner and folder, on the loop; must not block."""


class ChangeBus:
    """One for each process. `run_directory` None: this process only (tests, commands)."""

    def __init__(self, name: str, run_directory: Path | None = None, hears: Collection[int] = TOPICS) -> None:
        """`hears`: the topics that siblings tell it; they read them from the name of its socket."""
        self._name = f"{name}-{''.join(map(str, sorted(hears)))}"
        self._hears = frozenset(hears)
        self._directory = run_directory
        self._of_owner: dict[int, set[Listener]] = {}
        self._of_topic: dict[int, set[Callable[[], None]]] = {}
        self._of_accounts: list[Callable[[int], None]] = []
        self._socket: socket.socket | None = None
        self._outlet: socket.socket | None = None
        self._untold: dict[bytes, None] = {}
        self._tells_later = False
        self._told_at_s = self._listed_at_s = float("-inf")
        self._siblings: list[tuple[str, frozenset[int]]] = []

    async def start(self) -> None:
        """Begin to hear siblings."""
        if self._directory is None:
            return
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / f"{self._name}.sock"
        path.unlink(missing_ok=True)
        self._socket = socket.socket(*_KIND)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BACKLOG_BYTES)
        self._socket.bind(str(path))
        asyncio.get_running_loop().add_reader(self._socket, self._hear)

    def close(self) -> None:
        self._tell_siblings()
        if self._outlet is not None:
            self._outlet.close()
        if self._socket is not None and self._directory is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            (self._directory / f"{self._name}.sock").unlink(missing_ok=True)
            self._socket = None

    def subscribe(self, owner: int, listener: Listener) -> Callable[[], None]:
        """Hear changes of an owner's folders. Returns what ends it."""
        assert FOLDER in self._hears
        self._of_owner.setdefault(owner, set()).add(listener)

        def end() -> None:
            listeners = self._of_owner.get(owner, set())
            listeners.discard(listener)
            if not listeners:
                self._of_owner.pop(owner, None)

        return end

    def on_task(self, listener: Callable[[], None]) -> None:
        """Hear that a duty is due, or mail to send."""
        self._on_topic(TASK, listener)

    def on_duty(self, listener: Callable[[], None]) -> None:
        """Hear that a task of the runner is due, whether or not it concerns others too."""
        self._on_topic(TASK, listener)
        self._on_topic(DUTY, listener)

    def _on_topic(self, topic: int, listener: Callable[[], None]) -> None:
        assert topic in self._hears
        self._of_topic.setdefault(topic, set()).add(listener)

    def on_account(self, listener: Callable[[int], None]) -> None:
        """Hear whose access has changed."""
        assert ACCOUNT in self._hears
        self._of_accounts.append(listener)

    def publish(self, topic: int, owner: int = 0, folder: int = 0) -> None:
        """Tell everybody here, and the siblings as soon as what runs now has ended. Never fails, never waits."""
        self._tell(topic, owner, folder)
        if self._directory is None:
            return
        self._untold[_FORM.pack(topic, owner, folder)] = None
        if not self._tells_later:
            self._tells_later = True
            loop = asyncio.get_running_loop()
            now_s, next_s = loop.time(), self._told_at_s + PAUSE_S
            self._told_at_s = max(now_s, next_s)
            if now_s >= next_s:
                loop.call_soon(self._tell_siblings)
            else:
                loop.call_at(next_s, self._tell_siblings)

    def _tell_siblings(self) -> None:
        """What a batch of commits changed, each hint once."""
        hints, self._untold, self._tells_later = list(self._untold), {}, False
        if not hints or self._directory is None:
            return
        outlet = self._socket
        if outlet is None:  # a command, which tells and does not listen
            outlet = self._outlet = self._outlet or socket.socket(*_KIND)
        if self._told_at_s >= self._listed_at_s + LISTED_S:
            listed = [path for path in self._directory.glob("*-*.sock") if path.stem != self._name]
            self._siblings = [(str(path), _topics_of(path.stem)) for path in listed]
            self._listed_at_s = self._told_at_s
        for sibling, hears in self._siblings:
            wanted = [hint for hint in hints if hint[0] in hears]
            for start in range(0, len(wanted), HINTS_MAX):
                with contextlib.suppress(OSError):  # gone, restarting or full: it polls
                    outlet.sendto(b"".join(wanted[start : start + HINTS_MAX]), sibling)

    def _hear(self) -> None:
        assert self._socket is not None
        with contextlib.suppress(BlockingIOError):
            while True:
                datagram = self._socket.recv(HINTS_MAX * _FORM.size + 1)
                if len(datagram) % _FORM.size == 0:
                    for hint in _FORM.iter_unpack(datagram):
                        self._tell(*hint)

    def _tell(self, topic: int, owner: int, folder: int) -> None:
        if topic == FOLDER:
            for listener in list(self._of_owner.get(owner, ())):
                listener(owner, folder)
        if topic == ACCOUNT:
            for heard in self._of_accounts:
                heard(owner)
        for wake in list(self._of_topic.get(topic, ())):
            wake()


def _topics_of(name: str) -> frozenset[int]:
    """What a sibling wants to hear, from the name of its socket."""
    return frozenset(topic for topic in TOPICS if str(topic) in name.rpartition("-")[2])
