"""How does aioimaplib hear a server without losing an octet?

The library cuts what it hears into lines, and lets some pass changed ("* " inside a name is dropped), recurses once
for each line, and waits for a line that was cut for as long as it takes. This subclass keeps its commands, states and
timeouts and reads by itself: an answer is its pieces of line with the literals between them, whole, bounded and
untouched; a lost connection ends what waits. Nothing that was heard is logged.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from contextlib import suppress

from aioimaplib import aioimaplib
from aioimaplib.aioimaplib import AioImapException, Command, FetchCommand

from mss.bridge.source import SourceDeclined, SourceTrouble
from mss.formats.mime import LIMITS

LINE_OCTETS_MAX = 1024 * 1024
"""Between two literals: a search over 100,000 messages answers in one line."""
LITERAL_OCTETS_MAX = 2 * LIMITS.octets
"""A message larger than ours is not asked for; whoever sends more than twice that is stopped."""
ANSWERS_MAX = 500_000
"""Untagged answers to one command: the largest folder that anybody keeps, twice."""
GOODBYE_S = 2.0
"""For how long a goodbye is waited for."""
_LITERAL = re.compile(rb"\{(\d{1,10})\}\Z")
_TAGGED = re.compile(rb"[A-Z0-9]+ (?:OK|NO|BAD)\b")

Answer = tuple[bytes, ...]
"""Pieces of line, and the literals between them."""


class ExactProtocol(aioimaplib.IMAP4ClientProtocol):  # type: ignore[misc]
    """One connection. `heard`: the untagged answers to the last command."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.heard: list[Answer] = []
        self._buffer = bytearray()
        self._pieces: list[bytes] = []
        self._literal = -1
        self.stirred = asyncio.Event()
        """Something was heard that nobody may have asked for."""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if (pending := self._pending()) is not None:
            pending._reset_timer()
        try:
            while self._take():
                pass
        except (AioImapException, ValueError, IndexError):
            self.transport.abort()  # no IMAP, or more than anybody may send

    def connection_lost(self, problem: Exception | None) -> None:
        super().connection_lost(problem)
        self.stirred.set()
        if (pending := self._pending()) is not None:
            pending._exception = aioimaplib.Abort("the connection is gone")
            pending.close(b"", "KO")
        self.pending_sync_command = None
        self.pending_async_commands.clear()
        self.state = aioimaplib.LOGOUT

    def _continuation(self, line: bytes) -> None:
        pending = self._pending()
        if pending is not None and pending.name == "AUTHENTICATE":
            self.transport.write(b"\r\n")  # EXTERNAL, as whoever the certificate names (RFC 4422 appendix A)
        else:
            super()._continuation(line)

    def forget(self) -> None:
        """What was heard in clear counts for nothing once TLS has begun."""
        self._buffer.clear()
        self._pieces.clear()

    def _pending(self) -> Command | None:
        waiting = [self.pending_sync_command, *self.pending_async_commands.values()]
        return next((command for command in waiting if command is not None), None)

    def _take(self) -> bool:
        """One piece out of the buffer; False when it is not whole yet."""
        if self._literal >= 0:
            if len(self._buffer) < self._literal:
                return False
            self._pieces.append(bytes(self._buffer[: self._literal]))
            del self._buffer[: self._literal]
            self._literal = -1
            return True
        end = self._buffer.find(b"\r\n", 0, LINE_OCTETS_MAX)
        if end < 0:
            if len(self._buffer) >= LINE_OCTETS_MAX:
                raise ValueError("a line without end")
            return False
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        self._pieces.append(line)
        if (announced := _LITERAL.search(line)) is not None:
            self._literal = int(announced[1])
            if self._literal > LITERAL_OCTETS_MAX:
                raise ValueError("a literal too large")
            return True
        pieces, self._pieces = tuple(self._pieces), []
        self._whole(pieces)
        return True

    def _whole(self, pieces: Answer) -> None:
        first = pieces[0]
        if self.state == aioimaplib.CONNECTED or not first.startswith(b"* "):
            if self.state == aioimaplib.CONNECTED or _TAGGED.match(first) or first.startswith(b"+"):
                self._handle_line(first, None)
            return
        self.heard.append((first[2:], *pieces[1:]))
        self.stirred.set()
        if len(self.heard) > ANSWERS_MAX:
            raise ValueError("answers without end")
        if (pending := self._pending()) is not None and pending.name == "CAPABILITY":
            pending.append_to_resp(first[2:])  # of which the library reads what the server can do


class ExactImap(aioimaplib.IMAP4):  # type: ignore[misc]
    """A client that reads. Raises AioImapException, OSError, TimeoutError where the library does."""

    protocol: ExactProtocol

    def create_client(
        self,
        host: str,
        port: int,
        loop: asyncio.AbstractEventLoop | None,
        conn_lost_cb: object = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        here = loop or asyncio.get_running_loop()
        self.protocol = ExactProtocol(here)
        connecting = here.create_connection(lambda: self.protocol, host, port, ssl=ssl_context)
        self._client_task = here.create_task(connecting)

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """RFC 9051 §6.2.1. What was heard before is forgotten, abilities included."""
        protocol = self.protocol
        await self.ask("STARTTLS")
        protocol.forget()
        plain = protocol.transport
        protocol.transport = await asyncio.wait_for(
            protocol.loop.start_tls(plain, protocol, context, server_hostname=self.host), self.timeout
        )
        protocol.capabilities = set()
        await asyncio.wait_for(protocol.capability(), self.timeout)

    async def sign_in(self, user: str, password: str) -> None:
        """Raises SourceTrouble when the server says no."""
        if not (user + password).isprintable():
            raise SourceTrouble("user name and password must not hold control characters")
        answer = await self.login(aioimaplib.quoted(user), password)
        if answer.result != "OK":
            raise SourceTrouble(f"{self.host} lets {user} not in: check user name and password")
        await asyncio.wait_for(self.protocol.capability(), self.timeout)

    async def sign_in_by_certificate(self) -> None:
        """EXTERNAL: as the mailbox that our certificate names. Raises SourceTrouble when the server says no."""
        first = ("=",) if "SASL-IR" in self.protocol.capabilities else ()
        try:
            await self.ask("AUTHENTICATE", "EXTERNAL", *first)
        except SourceDeclined:
            raise SourceTrouble(f"{self.host} lets our certificate not in: see which mailbox it names") from None
        self.protocol.state = aioimaplib.AUTH
        await asyncio.wait_for(self.protocol.capability(), self.timeout)

    async def enter(self, wire_name: str) -> list[Answer]:
        """SELECT: what is done there counts."""
        heard = await self.ask("SELECT", aioimaplib.quoted(wire_name))
        self.protocol.state = aioimaplib.SELECTED
        return heard

    async def idle_until(self, wake: asyncio.Event, seconds: float) -> None:
        """IDLE (RFC 2177) until the server says something, somebody wakes us, or the time is over."""
        protocol = self.protocol
        protocol.stirred.clear()
        idling = asyncio.ensure_future(protocol.idle())
        waits = [asyncio.ensure_future(one.wait()) for one in (protocol.stirred, wake)]
        try:
            async with asyncio.timeout(self.timeout):  # not DONE before its "+": that would be a command in between
                accepted = asyncio.ensure_future(protocol.wait_for_idle_response())
                waits.append(accepted)
                await asyncio.wait([idling, accepted], return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait([idling, *waits[:2]], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not idling.done():
                protocol.idle_done()
            async with asyncio.timeout(self.timeout):
                await idling
        finally:
            for one in (idling, *waits):
                one.cancel()
            await asyncio.gather(idling, *waits, return_exceptions=True)

    async def ask(self, name: str, *words: str, prefix: str = "") -> list[Answer]:
        """Run a command; its untagged answers. Raises SourceDeclined when the server says no."""
        protocol = self.protocol
        protocol.heard = []
        kind = FetchCommand if name == "FETCH" else Command
        more = () if name == "FETCH" else (name,)
        command = kind(*more, protocol.new_tag(), *words, prefix=prefix, loop=protocol.loop, timeout=self.timeout)
        answer = await protocol.execute(command)
        if answer.result != "OK":
            raise SourceDeclined(f"the source refuses {name}")
        heard, protocol.heard = protocol.heard, []
        return heard

    async def look_into(self, wire_name: str) -> list[Answer]:
        """EXAMINE: nothing is changed over there, not even \\Recent."""
        heard = await self.ask("EXAMINE", aioimaplib.quoted(wire_name))
        self.protocol.state = aioimaplib.SELECTED
        return heard

    async def rights_in(self, wire_name: str) -> list[Answer]:
        """MYRIGHTS (RFC 4314)."""
        return await self.ask("MYRIGHTS", aioimaplib.quoted(wire_name))

    async def part(self) -> None:
        """Say goodbye and let go, whatever state this is in."""
        with suppress(AioImapException, OSError, TimeoutError):
            if self.protocol.state in (aioimaplib.NONAUTH, aioimaplib.AUTH, aioimaplib.SELECTED):
                await asyncio.wait_for(self.logout(), GOODBYE_S)
        self._client_task.cancel()
        with suppress(asyncio.CancelledError, OSError):
            await self._client_task
        if self.protocol.transport is not None:
            self.protocol.transport.abort()
