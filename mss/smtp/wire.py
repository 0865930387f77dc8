"""How do octets come in and go out on one connection, with every wait bounded?

The lower half of our aiosmtpd protocol class: command lines, the block-wise transfer of messages, STARTTLS, replies
in one write, deadlines that no dripping octet can move. It knows no SMTP verb; `conversation.py` is the upper half.

Of aiosmtpd's `SMTP` we keep Session, Envelope, hooks and verbs; its reader (one line at a time through a stream) and
its constructor (which looks through all methods for each connection) are replaced here.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Protocol, cast

from aiosmtpd.smtp import SMTP, Session

from mss.crypto.certs import serial_of
from mss.crypto.channel import Channel
from mss.crypto.tls import peer_certificate
from mss.mail.reception import Peer
from mss.smtp import journal, replies
from mss.smtp.arrival import Arrival
from mss.smtp.blocks import BlockReader, ChunkReader, MessageReader
from mss.smtp.commands import CommandReader
from mss.smtp.limits import Limits, OctetBudget
from mss.smtp.meters import Meter, Party
from mss.smtp.replies import Reply
from mss.store.spool import SpoolRoom

BACKLOG_OCTETS_MAX = 64 * 1024
"""Commands that a client sends ahead while we work on one; more waits in its own socket."""


class HungUp(Exception):
    """The client is gone."""


class CutOff(Exception):
    """We end this connection, with these last words."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class Visit(Session):
    """aiosmtpd's session, and whom we know to be there."""

    def __init__(self, loop: asyncio.AbstractEventLoop, remote_address: str) -> None:
        super().__init__(loop)
        self.peer = remote_address
        self.is_encrypted = False
        self.certificate_der: bytes | None = None
        self.tls = ""
        """Version and cipher, once encrypted."""
        self.known: Peer | None = None
        self.judged: Peer | None = None
        """As the judge named them, when `known` was made from that."""
        self.party: Party | None = None
        """Under which name and network it is counted; None before its first message."""

    @property
    def remote_address(self) -> str:
        return self.peer or ""

    @property
    def serial(self) -> str:
        """For the journal; also of a certificate that may not speak."""
        return self.known.serial if self.known else serial_of(self.certificate_der)


class Doorway(Protocol):
    """What a connection needs from the server that accepted it."""

    name: str
    hostname: str
    limits: Limits
    memory: OctetBudget
    meter: Meter
    spools: SpoolRoom | None
    is_tls_from_start: bool

    def tls_context(self) -> ssl.SSLContext: ...

    def enter(self, wire: Wire) -> bool: ...

    def leave(self, wire: Wire) -> None: ...


class Wire(SMTP):
    """One connection's octets."""

    def __init__(self, doorway: Doorway) -> None:
        # Not SMTP.__init__: see the head of this file.
        loop = self.loop = asyncio.get_running_loop()
        self.doorway = doorway
        self.hostname = doorway.hostname
        self.limits = doorway.limits
        self.transport: Channel | None = None
        self.session: Visit = Visit(loop, "")
        self._commands = CommandReader(max(self.limits.command_octets_max, self.limits.auth_octets_max))
        self._arriving: MessageReader | None = None  # while octets of a message are awaited
        self._arrival = Arrival(doorway.memory, doorway.spools, self.limits.octets_spooled_from)
        self._message_begun_at = 0.0
        self._out: list[bytes] = []
        self._last_words: Reply | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = float("inf")
        self._timer: asyncio.TimerHandle | None = None
        self._is_counted = self._is_gone = self._is_done = self._eof = self._is_leaving = False
        self._is_reading_paused = self._is_writing_paused = False
        self._handler_coroutine: asyncio.Task[None] | None = None

    # --- called by the event loop ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(Channel, transport)
        peername = transport.get_extra_info("peername")
        self.session = Visit(self.loop, str(peername[0]) if peername else "")
        self._is_counted = self.doorway.enter(self)
        if self.doorway.is_tls_from_start:
            self._pause_reading()  # the first octet belongs to TLS
        if self._is_counted:
            self._handler_coroutine = self.loop.create_task(self._handle_client())
            return
        journal.turned_back(self.doorway.name, self.session.remote_address)
        if not self.doorway.is_tls_from_start:
            self._out.append(replies.TOO_MANY_CONNECTIONS.line)
        self._hang_up()

    def data_received(self, data: bytes) -> None:
        if (reader := self._arriving) is not None:
            if not self._take_in(reader, data):
                if self._arrival.is_much(reader):
                    if self._arrival.is_too_much(reader):
                        self._pause_reading()
                    self._wake()
                return
            data, self._arriving = reader.rest, None
        self._commands.feed(data)
        if self._commands.waiting_octets > BACKLOG_OCTETS_MAX:
            self._pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._eof = True
        self._wake()
        return not self.session.is_encrypted  # half a TLS connection cannot be kept

    def pause_writing(self) -> None:
        self._is_writing_paused = True

    def resume_writing(self) -> None:
        self._is_writing_paused = False
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        if self._is_gone:
            return
        self._is_gone = True
        if self._timer is not None:
            self._timer.cancel()
        self._leave_if_over()
        self._wake()

    def leave(self) -> None:
        """The house closes: last words at once when nothing is under way, else after what is."""
        self._is_leaving = True
        if self._arriving is None:
            self._wake()

    def turn_out(self, reply: Reply) -> None:
        """It ends now, with these last words: also in the middle of a message, but not of keeping one."""
        self._cut(reply)

    def abort(self) -> None:
        """No more patience, also with ourselves."""
        if self.transport is not None:
            self.transport.abort()
        if self._handler_coroutine is not None:
            self._handler_coroutine.cancel()

    # --- for the upper half ---

    async def _next_line(self) -> bytes:
        """The next command line, within its deadline. Raises BadLine, HungUp, CutOff."""
        self._allow(self.limits.command_s)
        while True:
            if self._is_leaving:
                raise CutOff(replies.SHUTTING_DOWN)
            if not self._is_writing_paused:  # who reads no replies is asked nothing more
                if (line := self._commands.take()) is not None:
                    break
                if self._eof:
                    raise HungUp
            await self._more()
        self._deadline = float("inf")
        return line

    async def _transfer(self) -> BlockReader:
        """Say 354 and read a message to its end. Raises HungUp, CutOff."""
        reader = BlockReader(self.limits.message_octets_max, self.limits.line_octets_max)
        self._message_begun_at = self.loop.time()
        self._say(replies.GO_AHEAD)
        await self._fill(reader)
        return reader

    async def _transfer_chunk(self, reader: ChunkReader, octets: int) -> None:
        """Read the next so many octets, some of which may be here already. Raises HungUp, CutOff.

        The patience is that of the whole message: many small chunks buy no time.
        """
        if reader.chunks == 0:
            self._message_begun_at = self.loop.time()
        if self.loop.time() > self._message_deadline(reader):
            raise CutOff(replies.TIMEOUT)
        reader.expect(octets)
        self._take_in(reader, self._commands.take_octets(octets))
        await self._fill(reader)
        if self._arrival.is_much(reader):  # a chunk that was here already was awaited by nobody
            await self._arrival.put_aside(reader)

    async def _fill(self, reader: MessageReader) -> None:
        """Until the end that the reader awaits."""
        self._arriving = None if reader.is_whole else reader
        self._allow(self._message_deadline(reader) - self.loop.time())
        try:
            while not reader.is_whole:
                if self._eof:
                    raise HungUp
                if self._arrival.is_much(reader):
                    await self._arrival.put_aside(reader)  # what comes meanwhile wakes nobody: look again
                else:
                    await self._more()
        except CutOff:
            if reader.problem is not None:  # a client that waits for us behind a false ending reads why
                raise CutOff(replies.REPLIES[reader.problem]) from None
            raise
        finally:
            self._arriving = None
            self._deadline = float("inf")

    def _message_deadline(self, reader: MessageReader) -> float:
        return self._message_begun_at + self.limits.data_s + reader.received / self.limits.data_octets_per_s

    def _say(self, reply: Reply) -> None:
        """Replies to a group of commands go out together (RFC 2920 §3.2)."""
        self._out.append(reply.line)

    async def push(self, status: str | bytes | Reply) -> None:
        """aiosmtpd's way to answer, for hooks written for it."""
        if isinstance(status, Reply):
            self._say(status)
        else:
            self._out.append((status.encode("ascii") if isinstance(status, str) else status) + b"\r\n")

    async def _start_tls(self, go_ahead: Reply | None) -> bool:
        """Encrypt from here on; False when it came to nothing. What was said before counts no more (RFC 3207 §4.2)."""
        assert self.transport is not None
        if go_ahead is not None:
            self._say(go_ahead)
            self._flush()
        self._commands.clear()
        self.session = Visit(self.loop, self.session.remote_address)
        self.session.is_encrypted = True
        self._is_reading_paused = False
        try:
            tls = await self.transport.start_tls(self.doorway.tls_context(), self.limits.handshake_s)
        except (TimeoutError, OSError) as problem:  # every SSLError is an OSError
            journal.handshake_failed(self.doorway.name, self.session.remote_address, type(problem).__name__)
            self.connection_lost(None)
            return False
        self.session.certificate_der = peer_certificate(tls)
        cipher = tls.cipher()
        self.session.tls = f"{tls.version()} {cipher[0] if cipher else ''}".strip()
        return True

    def _hang_up(self) -> None:
        """Send what is left to say, then close; who does not read it in time is cut by the channel."""
        if self.transport is None or self._is_gone:
            return
        self.transport.close_with(b"".join(self._out))
        self._out.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _end(self) -> None:
        """The upper half has ended; say and close what is left."""
        self._is_done = True
        self._arrival.forget()
        self._hang_up()
        self._leave_if_over()

    def _leave_if_over(self) -> None:
        """A place is free when the client is gone and nothing is done for it any more."""
        if self._is_gone and self._is_done and self._is_counted:
            self._is_counted = False
            self.doorway.leave(self)

    async def _handle_client(self) -> None:
        raise NotImplementedError

    # --- inside ---

    def _take_in(self, reader: MessageReader, data: bytes) -> bool:
        """Octets of a message; True when its awaited end was among them."""
        before = reader.received
        is_whole = reader.feed(data)
        if self.session.party is not None:
            self.doorway.meter.count_octets(self.session.party, reader.received - before)
        self._arrival.count(reader)
        if reader.problem is not None and reader.received > 2 * self.limits.message_octets_max:
            self._cut(replies.REPLIES[reader.problem])
        self._deadline = self._message_deadline(reader)
        return is_whole

    def _flush(self) -> None:
        if self._out and self.transport is not None and not self._is_gone:
            self.transport.write(b"".join(self._out))
        self._out.clear()

    async def _more(self) -> None:
        """Until something arrives, ends or is late."""
        self._flush()
        self._resume_reading(self.transport)
        if not self._is_gone and self._last_words is None:
            self._waiter = self.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._is_gone:
            raise HungUp
        if self._last_words is not None:
            raise CutOff(self._last_words)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _cut(self, reply: Reply) -> None:
        """End it from a callback: whoever waits, or is about to, says the last words."""
        self._last_words = reply
        self._wake()

    def _allow(self, seconds: float) -> None:
        """What is awaited next must be whole in so many seconds."""
        self._deadline = self.loop.time() + seconds
        if self._timer is None or self._timer.when() > self._deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_at(self._deadline, self._look_at_the_clock)

    def _look_at_the_clock(self) -> None:
        """One timer for a connection; it goes on as long as the deadline has moved."""
        self._timer = None
        if self._is_gone or self._deadline == float("inf"):
            return
        if self.loop.time() < self._deadline:
            self._timer = self.loop.call_at(self._deadline, self._look_at_the_clock)
        else:
            self._cut(replies.TIMEOUT)

    def _pause_reading(self) -> None:
        if not self._is_reading_paused and self.transport is not None:
            self._is_reading_paused = True
            self.transport.pause_reading()

    def _resume_reading(self, transport: asyncio.Transport | None) -> None:
        if self._is_reading_paused and transport is not None:
            self._is_reading_paused = False
            transport.resume_reading()
