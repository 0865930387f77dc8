"""How many browsers may be connected, and how long may one take to read? The listening side of the pages.

aiohttp itself ends a connection that has not sent a whole header in `HEADERS_S`; forms have their own time
(mss/web/forms.py); what is left is a reader who does not read.
"""

from __future__ import annotations

import asyncio
import ssl
from asyncio import sslproto
from collections import Counter
from typing import Any

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from mss.crypto.tls import TlsHolder
from mss.model.clock import Clock

log = structlog.get_logger("web")

CONNECTIONS_MAX = 3000
CONNECTIONS_OF_ONE_MAX = 200
"""A clinic's patients sit behind one address, with some six connections each."""
HEADERS_S = 15.0
"""From the connection, or the answer before, to the last line of a request's header."""
HANDSHAKE_S = 10.0
HEADER_LINES_MAX = 60
HEADER_LINE_BYTES_MAX = 8190
LOOK_S = 10.0
STUCK_S = 60.0
"""Nothing read for so long: gone."""
READING_S_MAX = 900.0
"""35 MB at 40 kB a second."""
TLS_READ_BYTES = 16 * 1024  # one record; asyncio's own 256 KiB for each connection is for nothing

_SETTINGS: dict[str, Any] = {
    "keepalive_timeout": HEADERS_S,
    "max_line_size": HEADER_LINE_BYTES_MAX,
    "max_field_size": HEADER_LINE_BYTES_MAX,
    "max_headers": HEADER_LINES_MAX,
    "lingering_time": 5.0,  # for a browser that still sends what we have refused, so that it reads our answer
    "auto_decompress": False,  # no form of ours is compressed, so a compressed one is a bomb or a mistake
    "access_log": None,
}


class _Connection(RequestHandler):
    """One browser's connection, counted."""

    gate: Connections
    address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        if self.gate.comes(self.address):
            super().connection_made(transport)
        else:
            self.address = ""
            assert isinstance(transport, asyncio.Transport)
            transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self.address:
            self.gate.goes(self.address)
            super().connection_lost(exc)


class Connections:
    """Listens for an application."""

    def __init__(self, app: web.Application, clock: Clock) -> None:
        self._runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=5.0, **_SETTINGS)
        self._clock = clock
        self._servers: list[asyncio.Server] = []
        self._of_address: Counter[str] = Counter()
        self._unread: dict[RequestHandler, tuple[float, float, int]] = {}
        self._watch: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        await self._runner.setup()
        self._watch = asyncio.create_task(self._watch_readers())

    async def listen(self, host: str, port: int, tls: TlsHolder | None) -> int:
        """Open one port; answers which (for port 0). New handshakes take the holder's current context."""
        sslproto.SSLProtocol.max_size = TLS_READ_BYTES
        loop = asyncio.get_running_loop()
        manager = self._runner.server
        assert manager is not None, "begin comes first"

        def connection() -> _Connection:
            made = _Connection(manager, loop=loop, **_SETTINGS)
            made.gate = self
            return made

        context = None if tls is None else _following(tls)
        handshake_s = HANDSHAKE_S if context else None
        server = await loop.create_server(
            connection, host, port, ssl=context, ssl_handshake_timeout=handshake_s, backlog=512
        )
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def end(self, grace_s: float) -> None:
        """Stop listening, let requests end within the grace, then close."""
        if self._watch is not None:
            self._watch.cancel()
        for server in self._servers:
            server.close()
        self._runner._shutdown_timeout = grace_s
        await self._runner.cleanup()

    # ── counted ──

    @property
    def count(self) -> int:
        return self._of_address.total()

    def comes(self, address: str) -> bool:
        """Whether there is room for one more from there; then it is counted."""
        if self.count >= CONNECTIONS_MAX or self._of_address[address] >= CONNECTIONS_OF_ONE_MAX:
            log.warning("too many connections", remote=address)
            return False
        self._of_address[address] += 1
        return True

    def goes(self, address: str) -> None:
        self._of_address[address] -= 1
        if not self._of_address[address]:
            del self._of_address[address]

    # ── those who do not read ──

    async def _watch_readers(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self.cut_stuck_readers()

    def cut_stuck_readers(self) -> None:
        """End connections whose answer nobody takes: no progress for a minute, or not done in a quarter of an hour."""
        now, seen = self._clock.monotonic_s(), self._unread
        self._unread = {}
        manager = self._runner.server
        for connection in manager.connections if manager else ():
            transport = connection.transport
            waiting = transport.get_write_buffer_size() if transport is not None else 0
            if not waiting or transport is None:
                continue
            began, moved, before = seen.get(connection, (now, now, waiting))
            moved = now if waiting != before else moved
            if now - moved >= STUCK_S or now - began >= READING_S_MAX:
                transport.abort()
            else:
                self._unread[connection] = (began, moved, waiting)


def _following(tls: TlsHolder) -> ssl.SSLContext:
    """A context that hands each handshake on to the holder's current one: certificates change while we serve."""

    def hand_on(handshake: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _first: ssl.SSLContext) -> None:
        handshake.context = tls.current

    context = tls.current
    context.sni_callback = hand_on
    return context
