"""Another operator's server that misbehaves on request: no TLS, a wrong certificate, odd replies, silence, death.

Real sockets, real TLS; says `250` (or `354`) where it is told nothing else.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from mss.crypto import tls
from mss.crypto.authority import Issued
from tests.kit.pki import Pki

DIE = "die"
"""Instead of a reply: cut the connection."""
SILENCE = "silence"
"""Instead of a reply: none, for ever."""


@dataclass
class StrangePeer:
    """What it will do, and what it heard."""

    context: ssl.SSLContext | None
    """None: no STARTTLS is offered."""
    replies: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By verb (`MAIL`, `RCPT`, …, `.` for the end of data): replies to give, once each and in this order."""
    keywords: tuple[str, ...] = ("SIZE 36700160", "8BITMIME", "PIPELINING")
    drip_s: float = 0.0
    """Before each reply."""
    port: int = 0
    connections: int = 0
    heard: list[str] = field(default_factory=list)
    callers: list[tuple[str, bytes | None]] = field(default_factory=list)
    """Each MAIL, and the certificate that was shown on its connection."""
    messages: list[bytes] = field(default_factory=list)
    """Each as on the wire, from behind 354 to the dot."""

    def count(self, verb: str) -> int:
        return Counter(line.split(" ")[0] for line in self.heard)[verb]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._talk(reader, writer)
        except (OSError, EOFError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._say(writer, "GREETING", "220 strange.example ESMTP")
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            self.heard.append(line)
            verb = line.split(" ")[0].upper()
            if verb == "MAIL":
                encrypted = writer.get_extra_info("ssl_object")
                self.callers.append((line, encrypted and encrypted.getpeercert(binary_form=True)))
            if verb == "EHLO":
                is_encrypted = writer.get_extra_info("ssl_object") is not None
                await self._say(writer, verb, self.introduction(is_encrypted=is_encrypted))
            elif verb == "STARTTLS" and self.context is not None:
                await self._say(writer, verb, "220 go")
                await writer.start_tls(self.context)
            elif verb == "DATA":
                if (await self._say(writer, verb, "354 go")).startswith("354"):
                    self.messages.append(await self._message(reader))
                    await self._say(writer, ".", "250 2.0.0 Ok: taken")
            elif verb == "QUIT":
                await self._say(writer, verb, "221 bye")
                return
            else:
                await self._say(writer, verb, "250 ok")

    def introduction(self, *, is_encrypted: bool) -> str:
        """What it answers to EHLO."""
        offered = list(self.keywords)
        if self.context is not None and not is_encrypted:
            offered.append("STARTTLS")
        lines = ["strange.example", *offered]
        return "\r\n".join(f"250{'-' if line is not lines[-1] else ' '}{line}" for line in lines)

    async def _message(self, reader: asyncio.StreamReader) -> bytes:
        octets = b""
        while not octets.endswith(b"\r\n.\r\n") and octets != b".\r\n":
            more = await reader.read(65536)
            if not more:
                raise EOFError
            octets += more
        return octets

    async def _say(self, writer: asyncio.StreamWriter, verb: str, usual: str) -> str:
        await asyncio.sleep(self.drip_s)
        reply = self.replies[verb].pop(0) if self.replies[verb] else usual
        if reply == SILENCE:
            await asyncio.sleep(3600)
        if reply == DIE:
            writer.transport.abort()
            raise EOFError
        writer.write(reply.encode() + b"\r\n")
        await writer.drain()
        return reply


def answers_as(pki: Pki, issued: Issued) -> ssl.SSLContext:
    """A server that shows this certificate."""
    return tls.relay_server_context(issued.certificate_pem, issued.key_pem, pki.authority.bundle_pem)


@asynccontextmanager
async def strange_peer(context: ssl.SSLContext | None) -> AsyncIterator[StrangePeer]:
    """Listening on loopback."""
    peer = StrangePeer(context)
    talks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            await peer.serve(reader, writer)
        except asyncio.CancelledError:
            pass  # the test is over
        talks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        for task in list(talks):
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
