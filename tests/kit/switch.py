"""A port that leads wherever a test wants it to, and elsewhere a moment later: another operator's host that changes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Switch:
    """Listens on loopback and hands every connection on to `target`; with none it hangs up."""

    def __init__(self, host: str, port: int) -> None:
        self.target: int | None = None
        self.connections = 0
        self._listening = socket.create_server((host, port))
        self._open: list[socket.socket] = []

    def run(self) -> None:
        while True:
            try:
                caller, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            self._hand_on(caller)

    def _hand_on(self, caller: socket.socket) -> None:
        try:
            called = socket.create_connection(("127.0.0.1", self.target or 1), 5)
        except OSError:
            caller.close()
            return
        called.settimeout(None)  # a line may be silent as long as it likes
        self._open += [caller, called]
        for one, other in ((caller, called), (called, caller)):
            threading.Thread(target=_pump, args=(one, other), daemon=True).start()

    def cut(self) -> None:
        """Every connection ends now."""
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept
        self._listening.close()
        self.cut()


def _pump(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while octets := one.recv(65536):
            other.sendall(octets)
        other.shutdown(socket.SHUT_WR)


@contextmanager
def switch(host: str, port: int) -> Iterator[Switch]:
    """Listening until the end."""
    opened = Switch(host, port)
    threading.Thread(target=opened.run, daemon=True).start()
    try:
        yield opened
    finally:
        opened.close()
