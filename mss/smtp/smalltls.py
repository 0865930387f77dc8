"""How little memory, and how little work, can TLS do with on a connection that mostly waits?

asyncio's TLS protocol with its buffers and its idle motions left out; what it decides stays as it was. Written for
Python 3.11 to 3.13, whose `sslproto` is the same in what is replaced here.
"""

from __future__ import annotations

import asyncio
import ssl
from asyncio import sslproto
from typing import TYPE_CHECKING

RECORD_OCTETS = 16 * 1024
"""What TLS sends at most in one piece (RFC 8446 §5.1)."""
BULK_OCTETS = 128 * 1024
"""Read from a socket at once: eight records, an eighth of the wake-ups of a large message."""

Unfinished = (ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLSyscallError)


def reading_room() -> memoryview:
    """Where the connections of one loop read: what one of them has read is taken out before another's turn, so all
    share it, and a connection costs a dozen kB instead of the 268 of asyncio."""
    return memoryview(bytearray(BULK_OCTETS))


class SmallTls(sslproto.SSLProtocol):
    """The server's end of one connection."""

    max_size = 0  # no buffer of its own

    if TYPE_CHECKING:  # what the library's stubs leave out
        _sslobj: ssl.SSLObject
        _incoming: ssl.MemoryBIO
        _outgoing: ssl.MemoryBIO
        _app_protocol: asyncio.Protocol
        _app_writing_paused: bool
        _handshake_timeout_handle: asyncio.TimerHandle | None

        def _set_state(self, state: object) -> None: ...
        def _do_read(self) -> None: ...
        def _call_eof_received(self) -> None: ...

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.Protocol,
        context: ssl.SSLContext,
        waiter: asyncio.Future[None],
        room: memoryview,
        *,
        handshake_s: float,
        closing_s: float,
    ) -> None:
        """`waiter` ends with the handshake; `room` is a `reading_room`, of this loop only."""
        super().__init__(
            loop,
            protocol,
            context,
            waiter,
            server_side=True,
            call_connection_made=False,
            ssl_handshake_timeout=handshake_s,  # type: ignore[arg-type]  # a float will do
            ssl_shutdown_timeout=closing_s,
        )
        self._room = room
        self._holds_back = False

    def close_after_last_words(self) -> None:
        """Close; what was written since `hold_back` goes out together with TLS's own goodbye."""
        self._holds_back = False
        self._app_transport.close()

    def hold_back(self) -> None:
        """Send nothing until `close_after_last_words`."""
        self._holds_back = True

    # --- asyncio's own, replaced ---

    def get_buffer(self, n: int) -> memoryview:
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        self._ssl_buffer_view = self._room
        super().buffer_updated(nbytes)

    def _on_handshake_complete(self, handshake_exc: BaseException | None) -> None:
        if handshake_exc is not None:
            super()._on_handshake_complete(handshake_exc)
            return
        # As there, without turning the peer's certificate and the cipher into dictionaries that nobody asks for.
        if self._handshake_timeout_handle is not None:
            self._handshake_timeout_handle.cancel()
            self._handshake_timeout_handle = None
        self._set_state(sslproto.SSLProtocolState.WRAPPED)
        self._extra["ssl_object"] = self._sslobj
        self._wakeup_waiter()
        self._do_read()

    def _do_read__copied(self) -> None:
        """One record after the other while there are any: asyncio asks once more each time and catches the error."""
        read, waiting, pieces, is_over = self._sslobj.read, self._incoming, [], False
        try:
            while waiting.pending or self._sslobj.pending():
                if not (piece := read(RECORD_OCTETS)):
                    is_over = True
                    break
                pieces.append(piece)
        except Unfinished:
            pass
        if pieces:
            self._app_protocol.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if is_over:  # close_notify
            self._call_eof_received()
            self._start_shutdown()

    def _process_outgoing(self) -> None:
        if not self._holds_back and (self._outgoing.pending or self._app_writing_paused):
            super()._process_outgoing()  # type: ignore[misc]
