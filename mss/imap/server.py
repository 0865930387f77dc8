"""Who may connect, and who serves them? The listening side of the IMAP door.

STARTTLS on one port (no login before it), implicit TLS on the other. Bounded: connections in all and of one
address, time to log in, octets of messages that are on their way in at one moment.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from dataclasses import dataclass

import structlog

from mss.crypto.listening import Listener
from mss.crypto.tls import TlsHolder
from mss.imap import responses
from mss.imap.backend import Authenticate, MailStore, Members, Review
from mss.imap.hub import Hub
from mss.imap.session import converse
from mss.imap.state import Disconnected, Session, Settings
from mss.imap.wire import SocketWire
from mss.model.clock import Clock

log = structlog.get_logger("imap")

LISTEN_BACKLOG = 512
"""Clients that all come back after a restart wait in the kernel instead of being refused by it."""


@dataclass(frozen=True, slots=True)
class Caps:
    """How much of this process clients may use."""

    connections_max: int = 5000
    connections_per_address_max: int = 1000
    """A hospital stands behind one address with all its mail clients."""
    incoming_bytes_max: int = 512 * 1024 * 1024
    """Large literals on their way in, all together; whoever comes on top is asked to try again."""


class ImapServer:
    """Listens, and keeps a task for each client. `tls` None: only for tests in clear."""

    def __init__(
        self,
        store: MailStore,
        authenticate: Authenticate,
        clock: Clock,
        settings: Settings,
        tls: TlsHolder,
        caps: Caps | None = None,
        *,
        review: Review | None = None,
        members: Members | None = None,
    ) -> None:
        self._store = store
        self._authenticate = authenticate
        self._review = review
        self._members = members
        self._clock = clock
        self._settings = settings
        self._tls = tls
        self._caps = caps or Caps()
        self._hub = Hub(store)
        self._listeners: list[Listener] = []
        self._tasks: dict[SocketWire, asyncio.Task[None]] = {}
        self._sessions: dict[SocketWire, Session] = {}
        self._of_address: Counter[str] = Counter()
        self._numbers = itertools.count(1)

    @property
    def connections(self) -> int:
        return len(self._tasks)

    def look_again(self, owner: int) -> None:
        """An account's access has changed: its sessions find out now whether they may go on."""
        for wire, session in self._sessions.items():
            if session.account is not None and session.account.owner == owner:
                session.is_in_doubt = True
                wire.poke()

    async def listen(self, host: str, port: int, *, implicit_tls: bool) -> int:
        """Open one port; answers which (for port 0)."""

        def wire() -> SocketWire:
            return SocketWire(self._tls, lambda made: self._begin(made, implicit_tls), self._gone, self._has_room)

        listener = Listener(host, port, wire, backlog=LISTEN_BACKLOG)
        self._listeners.append(listener)
        return listener.port

    async def close(self, grace_s: float = 5.0) -> None:
        """Stop listening, let running commands end, say goodbye."""
        for listener in self._listeners:
            listener.close()
        farewell = responses.bye("The server is closing", "UNAVAILABLE")
        for wire in list(self._tasks):
            wire.close_with(farewell)
        tasks = list(self._tasks.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    # --- one client

    def _begin(self, wire: SocketWire, implicit_tls: bool) -> None:
        caps = self._caps
        if len(self._tasks) >= caps.connections_max or self._of_address[wire.peer] >= caps.connections_per_address_max:
            if not implicit_tls:
                wire.write(responses.bye("Too many connections", "UNAVAILABLE"))
            wire.close()
            return
        self._of_address[wire.peer] += 1
        number = next(self._numbers)
        task = asyncio.get_running_loop().create_task(self._serve(wire, number, implicit_tls))
        self._tasks[wire] = task

    async def _serve(self, wire: SocketWire, number: int, implicit_tls: bool) -> None:
        session = Session(
            wire,
            self._store,
            self._hub,
            self._authenticate,
            self._clock,
            self._settings,
            self._review,
            self._members,
        )
        self._sessions[wire] = session
        try:
            if implicit_tls:
                await wire.start_tls()
            else:
                wire.read()
            await converse(session)
        except Disconnected as end:
            log.debug("imap.ended", connection=number, reason=str(end))
        except asyncio.CancelledError:
            wire.write(responses.bye("The server is closing", "UNAVAILABLE"))
        except Exception as problem:  # the edge of a connection — one client's line fails, not the house
            owner = session.account.owner if session.account else 0
            log.exception("imap.failed", connection=number, owner=owner, error=type(problem).__name__)
            wire.write(responses.bye("Something failed here", "SERVERBUG"))
        finally:
            wire.close()
            self._tasks.pop(wire, None)
            self._sessions.pop(wire, None)
            self._leave(wire)

    def _leave(self, wire: SocketWire) -> None:
        self._of_address[wire.peer] -= 1
        if self._of_address[wire.peer] <= 0:
            del self._of_address[wire.peer]

    def _gone(self, wire: SocketWire) -> None:
        """The transport has ended; the task finds out when it next waits."""

    def _has_room(self, size: int) -> bool:
        """May another large literal come in?"""
        held = sum(wire.reader.held_bytes for wire in self._tasks)
        return held + size <= self._caps.incoming_bytes_max
