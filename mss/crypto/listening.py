"""Who has come to a door's address? Each gets a channel; the house stays on its feet when too many come."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import structlog

from mss.crypto.channel import CLOSING_S, Channel

log = structlog.get_logger("door")

ACCEPTED_AT_ONCE = 64
"""New connections of one turn of the loop; those who are there have theirs in between."""
FULL_S = 1.0
"""The machine has no descriptor left: look again after so long, as asyncio does."""


class Listener:
    """Takes the connections of one address; each is a `Channel` with a protocol of its own."""

    def __init__(
        self,
        host: str,
        port: int,
        protocol: Callable[[], asyncio.Protocol],
        *,
        backlog: int,
        closing_s: float = CLOSING_S,
    ) -> None:
        """Listens at once, in the running loop. Port 0 takes any. Raises OSError with the address in its words."""
        self._loop = asyncio.get_running_loop()
        self._new_protocol = protocol
        self._closing_s = closing_s
        self._sockets: list[socket.socket] = []
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, _, _, _, address in dict.fromkeys(found):
                listening = _listening(family, address, backlog)
                self._sockets.append(listening)
                self._loop.add_reader(listening.fileno(), self._accept, listening)
        except OSError:
            self.close()
            raise

    @property
    def port(self) -> int:
        return int(self._sockets[0].getsockname()[1])

    def close(self) -> None:
        """Take no more; connections that stand go on."""
        for listening in self._sockets:
            self._loop.remove_reader(listening.fileno())
            listening.close()
        self._sockets.clear()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                connection, remote = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as problem:
                log.error("door.full", errno=problem.errno)
                self._loop.remove_reader(listening.fileno())
                self._loop.call_later(FULL_S, self._accept_again, listening)
                return
            connection.setblocking(False)
            Channel(self._loop, connection, remote, self._new_protocol(), self._closing_s)

    def _accept_again(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            self._loop.add_reader(listening.fileno(), self._accept, listening)


def _listening(family: int, address: Any, backlog: int) -> socket.socket:
    try:
        listening = socket.create_server(address[:2], family=family, backlog=backlog)
    except OSError as problem:
        raise OSError(problem.errno, f"cannot listen on {address[0]} port {address[1]}: {problem.strerror}") from None
    listening.setblocking(False)
    # Connections inherit it: an answer is one write, and must not wait for the client to confirm the one before.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
