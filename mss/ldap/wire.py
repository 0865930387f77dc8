"""How do octets get from a socket to a session and back? One connection of an address book.

Reading stops while more than a message waits; writing waits while the client does not read. What came in clear is
forgotten when TLS begins. Nothing here knows an operation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from mss.crypto.channel import Channel
from mss.crypto.tls import TlsHolder
from mss.ldap.codec import MESSAGE_BYTES_MAX, Frames
from mss.model.errors import MssError

WRITE_BUFFER_BYTES = 128 * 1024
STUCK_S = 60.0
"""A client that reads nothing for so long while we have something to say is gone."""
HANDSHAKE_S = 15.0


class Gone(MssError):
    """The connection has ended, or will."""


class Wire(asyncio.Protocol):
    """Plain at first; TLS after `start_tls`."""

    def __init__(self, tls: TlsHolder, made: Callable[[Wire], None]) -> None:
        self.frames = Frames()
        self.peer = ""
        self.is_secure = False
        self._tls = tls
        self._made = made
        self._transport: Channel | None = None
        self._heard = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._is_paused = self._is_gone = self._was_poked = False

    # ── asyncio's side ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(Channel, transport)
        self._transport.pause_reading()  # until we know whether TLS comes first
        name = transport.get_extra_info("peername")
        self.peer = str(name[0]) if isinstance(name, tuple) else "local"
        self._made(self)

    def data_received(self, data: bytes) -> None:
        self.frames.feed(data)
        self._heard.set()
        if self.frames.waiting_bytes > MESSAGE_BYTES_MAX and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def connection_lost(self, problem: Exception | None) -> None:
        self._is_gone = True
        self._heard.set()
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # ── the session's side ──

    def poke(self) -> None:
        """Wake the session: something else than the client has news."""
        self._was_poked = True
        self._heard.set()

    async def next_frame(self, timeout_s: float) -> bytes | None:
        """A whole message; None when the time is over (octets that drip in do not stretch it) or `poke` was called.
        Raises Broken, Gone."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + timeout_s
        while (frame := self.frames.take()) is None:
            self._check()
            self._read_on()
            self._heard.clear()
            if self._was_poked or (left_s := until_s - loop.time()) <= 0:
                self._was_poked = False
                return None
            try:
                await asyncio.wait_for(self._heard.wait(), left_s)
            except TimeoutError:
                return None
        return frame

    def _read_on(self) -> None:
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()

    async def send(self, octets: bytes) -> None:
        """Raises Gone."""
        self._check()
        assert self._transport is not None
        self._transport.write(octets)
        if not self._writable.is_set():
            try:
                await asyncio.wait_for(self._writable.wait(), STUCK_S)
            except TimeoutError:
                self._transport.abort()
                raise Gone("does not read") from None
            self._check()

    def _check(self) -> None:
        if self._is_gone or self._transport is None or self._transport.is_closing():
            raise Gone("gone")

    async def start_tls(self) -> None:
        """Go on under TLS. Raises Gone."""
        self._check()
        self.frames.forget()
        self._heard.clear()
        assert self._transport is not None
        try:
            await self._transport.start_tls(self._tls.current, HANDSHAKE_S)
        except (OSError, TimeoutError) as problem:  # every SSLError is an OSError
            raise Gone("TLS handshake failed") from problem
        self._is_paused = False
        self._transport.set_write_buffer_limits(WRITE_BUFFER_BYTES)
        self.is_secure = True

    def read(self) -> None:
        """Begin to read, on a connection that starts in clear."""
        if self._transport is not None:
            self._transport.set_write_buffer_limits(WRITE_BUFFER_BYTES)
            self._transport.resume_reading()

    def close(self) -> None:
        """Send what is left and hang up; a client that does not take it is cut off by the channel."""
        if self._transport is not None and not self._is_gone:
            self._transport.close()
