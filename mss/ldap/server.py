"""Who may connect, and who serves them? The listening side of the address-book door.

StartTLS on one port (RFC 4511 §4.14), TLS from the first octet on the other. Bounded: connections in all and of one
address, time to bind, time without a word.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from dataclasses import dataclass

import structlog

from mss.crypto.listening import Listener
from mss.crypto.tls import TlsHolder
from mss.ldap.replies import Problem
from mss.ldap.session import Rooms, Session, Settings
from mss.ldap.wire import Gone, Wire
from mss.model.errors import MssError

log = structlog.get_logger("ldap")

LISTEN_BACKLOG = 256
LINGER_S = 5.0
"""For an address book to read our last words and hang up."""


@dataclass(frozen=True, slots=True)
class Caps:
    """How much of this process address books may use."""

    connections_max: int = 2000
    connections_per_address_max: int = 200
    """A hospital stands behind one address with all its mail clients, which connect when somebody types."""


class LdapServer:
    """Listens, and keeps a task for each client."""

    def __init__(
        self, rooms: Rooms, tls: TlsHolder, settings: Settings | None = None, caps: Caps | None = None
    ) -> None:
        self._rooms = rooms
        self._tls = tls
        self._settings = settings or Settings()
        self._caps = caps or Caps()
        self._listeners: list[Listener] = []
        self._tasks: dict[Wire, asyncio.Task[None]] = {}
        self._sessions: dict[Wire, Session] = {}
        self._of_address: Counter[str] = Counter()
        self._numbers = itertools.count(1)

    @property
    def connections(self) -> int:
        return len(self._tasks)

    def look_again(self, owner: int) -> None:
        """An account's access has changed: its sessions find out now whether they may go on."""
        for wire, session in self._sessions.items():
            if session.reader is not None and session.reader.owner == owner:
                session.is_in_doubt = True
                wire.poke()

    async def listen(self, host: str, port: int, *, implicit_tls: bool) -> int:
        """Open one port; answers which (for port 0)."""
        listener = Listener(
            host,
            port,
            lambda: Wire(self._tls, lambda made: self._begin(made, implicit_tls)),
            backlog=LISTEN_BACKLOG,
            closing_s=LINGER_S,
        )
        self._listeners.append(listener)
        return listener.port

    async def close(self, grace_s: float = 2.0) -> None:
        """Stop listening and end every conversation."""
        for listener in self._listeners:
            listener.close()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s)

    def _begin(self, wire: Wire, implicit_tls: bool) -> None:
        caps = self._caps
        if len(self._tasks) >= caps.connections_max or self._of_address[wire.peer] >= caps.connections_per_address_max:
            log.warning("ldap.too-many-connections", connections=len(self._tasks))
            wire.close()
            return
        self._of_address[wire.peer] += 1
        self._tasks[wire] = asyncio.get_running_loop().create_task(self._serve(wire, next(self._numbers), implicit_tls))

    async def _serve(self, wire: Wire, number: int, implicit_tls: bool) -> None:
        session = Session(wire, self._rooms, self._settings, number)
        self._sessions[wire] = session
        try:
            if implicit_tls:
                await wire.start_tls()
            else:
                wire.read()
            await session.converse()
        except Gone as end:
            log.debug("ldap.ended", connection=number, reason=str(end))
        except asyncio.CancelledError:
            await self._farewell(session, Problem.CLOSING)
        except Exception as problem:  # the edge of a connection — one client's line fails, not the house
            log.exception("ldap.failed", connection=number, error=type(problem).__name__)
            await self._farewell(session, Problem.BROKEN)
        finally:
            wire.close()
            self._tasks.pop(wire, None)
            self._sessions.pop(wire, None)
            self._of_address[wire.peer] -= 1
            if self._of_address[wire.peer] <= 0:
                del self._of_address[wire.peer]

    async def _farewell(self, session: Session, problem: Problem) -> None:
        try:
            await session.disconnect(problem)
        except MssError:
            pass
