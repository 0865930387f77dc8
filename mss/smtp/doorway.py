"""Who may come in, and how does a door close?

Listening sockets, the count of connections, the memory for arriving messages, and an ending that lets what is under
way finish. What is said at the door is the conversation's business.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import ClassVar

from mss.crypto.listening import Listener
from mss.model.ids import MailAddress, parse_domain
from mss.smtp import journal
from mss.smtp.conversation import Conversation, Handler
from mss.smtp.limits import ConnectionCounter, Limits, OctetBudget
from mss.smtp.meters import Meter, Party
from mss.smtp.wire import Visit, Wire
from mss.store.spool import SpoolRoom

LISTEN_BACKLOG = 1024
"""A burst of new connections waits in the kernel instead of being refused by it."""
STOP_GRACE_S = 10.0
"""How long `stop` lets messages that are arriving become durable and be answered."""

TlsContext = Callable[[], ssl.SSLContext]
"""Asked at each handshake, so that new certificates count at once (`crypto.tls.TlsHolder.current`)."""

DiskHasRoom = Callable[[], bool]
"""Asked before each message (`smtp.space.DiskSpace.has_room`)."""


def always() -> bool:
    """Whose disk is never full."""
    return True


class MailServer:
    """One mail door; it may listen on several addresses."""

    conversation: ClassVar[type[Conversation]] = Conversation
    name: str = "smtp"

    def __init__(
        self,
        *,
        hostname: str,
        handler: Handler,
        tls: TlsContext,
        meter: Meter,
        limits: Limits | None = None,
        has_disk_space: DiskHasRoom = always,
        postmaster: MailAddress | None = None,
        is_tls_from_start: bool = False,
        spools: SpoolRoom | None = None,
    ) -> None:
        """`hostname` is what we call ourselves; `postmaster` who answers to `RCPT TO:<postmaster>`; `spools`
        where large messages lie while they arrive (without, in memory)."""
        self.hostname = parse_domain(hostname)
        self.handler = handler
        self.limits = limits or Limits()
        self.meter = meter
        self.has_disk_space = has_disk_space
        self.postmaster = postmaster
        self.is_tls_from_start = is_tls_from_start
        self.spools = spools
        self.memory = OctetBudget(self.limits.octets_in_memory_max)
        self.counter = ConnectionCounter(self.limits)
        self._tls = tls
        self._open: set[Wire] = set()
        self._listeners: list[Listener] = []
        self._all_left = asyncio.Event()

    async def start(self, host: str, port: int) -> int:
        """Listen; answers the port (useful when 0 was asked for). May be called again for another address."""
        listener = Listener(
            host, port, lambda: self.conversation(self), backlog=LISTEN_BACKLOG, closing_s=self.limits.closing_s
        )
        self._listeners.append(listener)
        bound = listener.port
        journal.listening(self.name, host, bound)
        return bound

    async def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Take no new connections; say 421 to who is idle, let messages under way finish, then cut."""
        for listener in self._listeners:
            listener.close()
        self._all_left.clear()
        for wire in list(self._open):
            wire.leave()
        if self._open:
            try:
                await asyncio.wait_for(self._all_left.wait(), grace_s)
            except TimeoutError:
                pass
        for wire in list(self._open):
            wire.abort()
        self._listeners.clear()

    @property
    def open_connections(self) -> int:
        return len(self._open)

    # --- for conversations ---

    def tls_context(self) -> ssl.SSLContext:
        return self._tls()

    def enter(self, wire: Wire) -> bool:
        """Count a connection in; False when there are too many."""
        if not self.counter.enter(wire.session.remote_address):
            return False
        self._open.add(wire)
        return True

    def claim(self, session: Visit, party: Party) -> bool:
        """Somebody is known now: count the connection as theirs; False when they have too many."""
        if not self.counter.enter_party(party.name):
            journal.turned_back(self.name, session.remote_address)
            return False
        if session.party is not None:
            self.counter.leave_party(session.party.name)
        session.party = party
        return True

    def leave(self, wire: Wire) -> None:
        self.counter.leave(wire.session.remote_address)
        if wire.session.party is not None:
            self.counter.leave_party(wire.session.party.name)
        self._open.discard(wire)
        if not self._open:
            self._all_left.set()
