"""How do bytes get from a socket to a session and back, without either outrunning the other?

One connection: what comes is fed to the reader, and reading stops while more is waiting than the session can use;
what is written is gathered and sent together, and writing waits while the client does not read. Nothing here knows
a command.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from mss.crypto.channel import Channel
from mss.crypto.tls import TlsHolder, peer_certificate
from mss.imap.reader import CommandReader, Event, Limits, Refused
from mss.imap.state import Disconnected

READ_AHEAD_BYTES = 128 * 1024
"""Unused octets of one client above which we stop reading."""
SEND_AT_BYTES = 64 * 1024
"""Gathered answers are sent at this size, or when the session waits."""
WRITE_BUFFER_BYTES = 256 * 1024
"""Octets that the client has not read above which writing waits."""
STUCK_S = 300.0
"""A client that reads nothing for so long while we have something to say is gone."""
HANDSHAKE_S = 15.0


class SocketWire(asyncio.Protocol):
    """The `Wire` of mss/imap/state.py on a channel; plain at first, TLS after `start_tls`."""

    def __init__(
        self,
        tls: TlsHolder | None,
        made: Callable[[SocketWire], None],
        lost: Callable[[SocketWire], None],
        room: Callable[[int], bool],
    ) -> None:
        self.peer = ""
        self.is_secure = False
        self.certificate: bytes | None = None
        self.reader = CommandReader(Limits(0, 0), room)
        self.farewell = b""
        """Said instead of waiting any longer: the house is closing."""
        self._tls = tls
        self._made = made
        self._lost = lost
        self._transport: Channel | None = None
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._has_come = False
        self._was_poked = False
        self._is_paused = False  # reading
        self._is_gone = False
        self._waiter: asyncio.Future[bool] | None = None
        self._drainer: asyncio.Future[None] | None = None
        self._is_full = False  # writing

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(Channel, transport)
        self._transport.pause_reading()  # until we know whether TLS comes first
        self._transport.set_write_buffer_limits(WRITE_BUFFER_BYTES)
        name = transport.get_extra_info("peername")
        self.peer = str(name[0]) if isinstance(name, tuple) else "local"
        self._made(self)

    def data_received(self, data: bytes) -> None:
        self.reader.feed(data)
        self._has_come = True
        self._wake(heard=True)
        if self.reader.waiting_bytes > READ_AHEAD_BYTES and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def connection_lost(self, problem: Exception | None) -> None:
        self._is_gone = True
        self._wake(heard=True)
        if self._drainer is not None and not self._drainer.done():
            self._drainer.set_result(None)
        self._lost(self)

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        if self._drainer is not None and not self._drainer.done():
            self._drainer.set_result(None)

    # --- the session's side: reading

    def take_command(self) -> Event | None:
        event = self.reader.next_command()
        if event is None:
            self._read_on()
        return event

    def take_line(self) -> bytes | Refused | None:
        line = self.reader.next_line()
        if line is None:
            self._read_on()
        return line

    def _read_on(self) -> None:
        self._has_come = False
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()

    def set_limits(self, limits: Limits) -> None:
        self.reader.limits = limits

    def use_utf8(self) -> None:
        self.reader.utf8 = True

    async def wait(self, timeout_s: float) -> bool:
        self._send()
        if self.farewell:
            self.write(self.farewell)
            self._send()
            raise Disconnected("closing")
        if self._has_come or self._was_poked:
            self._has_come = self._was_poked = False
            return True
        self._check()
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(max(timeout_s, 0), self._wake, False)
        try:
            return await self._waiter
        finally:
            timer.cancel()
            self._waiter = None
            self._was_poked = False

    def poke(self) -> None:
        """Wake the session, now or when it next waits: something else than the client has news."""
        self._was_poked = True
        self._wake(heard=True)

    def close_with(self, farewell: bytes) -> None:
        """Let the session end at its next pause."""
        self.farewell = farewell
        self._has_come = False
        self._wake(heard=True)

    def _wake(self, heard: bool) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(heard)

    def _check(self) -> None:
        if self._is_gone or self._transport is None or self._transport.is_closing():
            raise Disconnected("gone")

    # --- writing

    def write(self, data: bytes) -> None:
        self._out.append(data)
        self._out_bytes += len(data)
        if self._out_bytes >= SEND_AT_BYTES:
            self._send()

    def _send(self) -> None:
        if self._out and self._transport is not None and not self._is_gone:
            self._transport.write(self._out[0] if len(self._out) == 1 else b"".join(self._out))
        self._out = []
        self._out_bytes = 0

    async def drain(self) -> None:
        """Wait until the client has read enough; small answers stay gathered until the session waits."""
        self._check()
        while self._is_full:
            self._drainer = asyncio.get_running_loop().create_future()
            try:
                await asyncio.wait_for(self._drainer, STUCK_S)
            except TimeoutError:
                self.abort()
                raise Disconnected("does not read") from None
            self._check()

    # --- TLS and the end

    async def start_tls(self) -> None:
        """Go on under TLS; what was sent before it is forgotten (RFC 9051 §6.2.1)."""
        assert self._tls is not None
        self._send()
        self._check()
        self.reader.discard()
        self._has_come = self._is_paused = self._is_full = False
        assert self._transport is not None
        try:
            secured = await self._transport.start_tls(self._tls.current, HANDSHAKE_S)
        except (OSError, TimeoutError) as problem:  # every SSLError is an OSError
            raise Disconnected("TLS handshake failed") from problem
        self.is_secure = True
        self.certificate = peer_certificate(secured)

    def read(self) -> None:
        """Begin to read, on a connection that starts in clear."""
        if self._transport is not None:
            self._transport.resume_reading()

    def close(self) -> None:
        """Send what is left and hang up; a client that does not take it is cut off by the channel."""
        if self._transport is not None and not self._is_gone:
            self._transport.close_with(b"".join(self._out))
        self._out = []
        self._out_bytes = 0

    def abort(self) -> None:
        if self._transport is not None and not self._is_gone:
            self._transport.abort()
