"""How do octets travel between one client and a door, in clear and then encrypted, with nothing in between?

asyncio's TLS copies each octet through two buffers and each event through three layers, for any kind of transport and
of loop. Behind a door there is always a socket: here OpenSSL reads and writes it itself. What protocols are told, and
when, is as asyncio tells it (`asyncio.Protocol`).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import cast

RECORD_OCTETS = 16 * 1024
"""What TLS sends at most in one piece (RFC 8446 §5.1): a read of so much leaves nothing behind in OpenSSL."""
BULK_OCTETS = 8 * RECORD_OCTETS
"""Handed to a protocol in one turn: an eighth of the wake-ups of a large message, and others have their turn."""
WRITE_BUFFER_OCTETS = 64 * 1024
"""As asyncio's: what a client may leave unread before its protocol is asked to wait."""
CLOSING_S = 10.0
"""For a client to read our last words and hang up, where its door says nothing else."""


_NOBODY = asyncio.Protocol()
"""Takes the place of a protocol whose connection is gone, so that neither keeps the other alive."""


def _nothing() -> None:
    """What is done for a connection that is gone."""


class Channel(asyncio.Transport):
    """The server's end of one TCP connection, which `start_tls` encrypts.

    Closing sends what is left to say, says goodbye and waits for the client to hang up: a socket that is closed with
    something unread resets the connection, and the reset overtakes our last words.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connection: socket.socket,
        remote: object,
        protocol: asyncio.Protocol,
        closing_s: float = CLOSING_S,
    ) -> None:
        """`connection` does not block; `remote` as `accept` tells it."""
        super().__init__({"peername": remote, "socket": connection})
        self._loop = loop
        self._socket = connection
        self._tls: ssl.SSLSocket | None = None
        self._descriptor = connection.fileno()
        self._protocol: asyncio.Protocol = protocol
        self._closing_s = closing_s
        self._unsent = bytearray()
        self._high_octets, self._low_octets = WRITE_BUFFER_OCTETS, WRITE_BUFFER_OCTETS // 4
        self._handshake: asyncio.Future[None] | None = None
        self._failure: ssl.SSLError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_paused = self._is_full = self._is_closing = self._is_lost = self._is_over = False
        self._heard: Callable[[], None] = self._read_clear
        self._is_heard = self._is_awaited = False  # the loop watches: for octets to read, for room to write
        protocol.connection_made(self)
        self._listen()

    # --- for protocols, as asyncio has it ---

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def is_closing(self) -> bool:
        return self._is_closing

    def is_reading(self) -> bool:
        return not self._is_paused and not self._is_closing

    def pause_reading(self) -> None:
        self._is_paused = True
        if self._handshake is None and not self._is_closing:
            self._be_deaf()

    def resume_reading(self) -> None:
        self._is_paused = False
        self._listen()

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low_octets, self._high_octets

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high_octets = WRITE_BUFFER_OCTETS if high is None else high
        self._low_octets = self._high_octets // 4 if low is None else low

    def can_write_eof(self) -> bool:
        return False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._is_closing or self._handshake is not None or not data:  # nothing is said in a handshake but TLS's own
            return
        if not self._unsent:
            if (sent := self._send(data)) == len(data) or self._is_lost:
                return
            data = memoryview(data)[sent:]
            self._await_room(self._room_came)
        self._unsent += data
        if len(self._unsent) > self._high_octets and not self._is_full:
            self._is_full = True
            self._protocol.pause_writing()

    def close(self) -> None:
        """Send what is left, say goodbye, and let the client hang up; who takes too long is cut."""
        if self._is_closing:
            return
        self._is_closing = True
        if self._handshake is not None:
            self._lose(None)
            return
        self._timer = self._loop.call_later(self._closing_s, self.abort)
        if self._unsent:
            self._be_deaf()
        else:
            self._await_no_room()
            self._say_goodbye()

    def close_with(self, last_words: bytes) -> None:
        """Close; the words, TLS's goodbye and the connection's end go out in one packet."""
        if not self._is_closing:
            try:
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)  # until the end, which ends it
            except OSError:  # it is gone; writing will tell
                pass
            self.write(last_words)
            self.close()

    def abort(self) -> None:
        """Close at once, whatever is left to say."""
        self._lose(None)

    async def start_tls(self, context: ssl.SSLContext, handshake_s: float) -> ssl.SSLSocket:
        """Encrypt from here on, and read; only for `peer_certificate` and the like is what it answers.

        Raises OSError (an `ssl.SSLError` is one) or TimeoutError when it comes to nothing; the connection is gone then.
        """
        if self._is_closing:
            raise ConnectionResetError("gone before TLS")
        if self._unsent:
            self._lose(None)
            raise ConnectionAbortedError("does not read")  # words in clear would go out among the handshake's
        shaken = self._handshake = self._loop.create_future()
        timer = self._loop.call_later(handshake_s, self._fail)
        try:
            tls = context.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
            self._socket = self._tls = tls
            self._hear(self._shake_hands)
            await shaken
        except BaseException as problem:
            self._lose(problem if isinstance(problem, Exception) else None)
            raise
        finally:
            timer.cancel()
            self._handshake = None
        return tls

    # --- called by the loop ---

    def _shake_hands(self) -> None:
        assert self._tls is not None
        assert self._handshake is not None
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._hear(self._shake_hands)
            self._await_no_room()
        except ssl.SSLWantWriteError:
            self._be_deaf()
            self._await_room(self._shake_hands)
        except ssl.SSLError as problem:
            # OpenSSL has told the client why. Closed now, with something unread, the reset would overtake that: the
            # client's end or the deadline ends it.
            self._failure = problem
            self._await_no_room()
            self._say_no_more()
        except OSError as problem:
            self._lose(problem)
        else:
            self._await_no_room()
            self._is_paused = False
            self._hear(self._read_records)
            if not self._handshake.done():
                self._handshake.set_result(None)

    def _fail(self) -> None:
        """Its time is over."""
        self._lose(self._failure or TimeoutError("the handshake took too long"))

    def _octets_came(self) -> None:
        self._heard()

    def _read_clear(self) -> None:
        try:
            octets = self._socket.recv(RECORD_OCTETS)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as problem:
            self._lose(problem)
            return
        if octets:
            self._protocol.data_received(octets)
        else:
            self._hear_the_end()

    def _read_records(self) -> None:
        """One record after the other while there is much to read; a small one is probably the last."""
        assert self._tls is not None
        read, pieces, octets, is_over = self._tls.read, [], 0, False
        try:
            while octets < BULK_OCTETS:
                if not (piece := read(RECORD_OCTETS)):
                    is_over = True
                    break
                pieces.append(piece)
                octets += len(piece)
                if len(piece) < RECORD_OCTETS // 2:
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLWantWriteError:  # a change of keys wants an answer first (RFC 8446 §4.6.3)
            self._be_deaf()
            self._await_room(self._room_came)
        except OSError as problem:
            self._lose(problem)
            return
        if pieces:
            self._protocol.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if is_over:
            self._hear_the_end()

    def _hear_the_end(self) -> None:
        """The client says nothing more; without TLS it may still listen."""
        self._is_over = True
        self._be_deaf()
        if self._is_closing:
            return
        if not self._protocol.eof_received() or self._tls is not None:
            self.close()

    def _room_came(self) -> None:
        """The socket takes more."""
        if self._unsent:
            with memoryview(self._unsent) as waiting:
                sent = self._send(waiting)
            if self._is_lost:
                return
            del self._unsent[:sent]
        if not self._unsent:
            self._await_no_room()
            self._say_goodbye() if self._is_closing else self._listen()
        if self._is_full and len(self._unsent) <= self._low_octets:
            self._is_full = False
            self._protocol.resume_writing()

    def _read_for_nobody(self) -> None:
        """After our goodbye: until the client has hung up."""
        try:
            for _ in range(BULK_OCTETS // RECORD_OCTETS):
                if not self._socket.recv(RECORD_OCTETS):
                    self._lose(self._failure)
                    return
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._lose(self._failure)

    # --- inside ---

    def _send(self, data: bytes | bytearray | memoryview) -> int:
        """As many octets as go now."""
        send, sent, size = self._socket.send, 0, len(data)
        try:
            while sent < size:
                sent += send(data if sent == 0 else memoryview(data)[sent:])
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError, InterruptedError):
            pass
        except OSError as problem:
            self._lose(problem)
        return sent

    def _say_goodbye(self) -> None:
        if self._tls is not None:
            try:
                self._tls.unwrap()
            except ssl.SSLError:  # it is said all the same, if anything can be; the client's own is not waited for
                pass
            except OSError:
                self._lose(None)
                return
        self._say_no_more()

    def _say_no_more(self) -> None:
        """The end goes out; what still comes is taken, and heard by nobody."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._lose(self._failure)
            return
        if self._is_over:
            self._lose(None)
        else:
            self._hear(self._read_for_nobody)

    def _lose(self, problem: Exception | None) -> None:
        if self._is_lost:
            return
        self._is_lost = self._is_closing = True
        self._be_deaf()
        self._await_no_room()
        if self._timer is not None:
            self._timer.cancel()
        if self._handshake is not None and not self._handshake.done():
            self._handshake.set_exception(problem or ConnectionResetError("gone in the handshake"))
        self._loop.call_soon(self._end, problem)

    def _end(self, problem: Exception | None) -> None:
        try:
            self._protocol.connection_lost(problem)
        finally:
            self._socket.close()
            self._tls, self._protocol, self._heard, self._unsent = None, _NOBODY, _nothing, bytearray()

    def _listen(self) -> None:
        """Watch for what the protocol wants to hear."""
        if not (self._is_paused or self._is_closing or self._is_over or self._handshake is not None):
            self._hear(self._read_clear if self._tls is None else self._read_records)

    def _hear(self, how: Callable[[], None]) -> None:
        """`how` what comes is read; to tell the loop once, and not of each change, spares it half of its work."""
        self._heard = how
        if not self._is_heard:
            self._is_heard = True
            self._loop.add_reader(self._descriptor, self._octets_came)

    def _be_deaf(self) -> None:
        if self._is_heard:
            self._is_heard = False
            self._loop.remove_reader(self._descriptor)

    def _await_room(self, what: Callable[[], None]) -> None:
        self._is_awaited = True
        self._loop.add_writer(self._descriptor, what)

    def _await_no_room(self) -> None:
        if self._is_awaited:
            self._is_awaited = False
            self._loop.remove_writer(self._descriptor)
