"""How do eight peers send thousands of mails in a minute? Our own small asynchronous SMTP client.

It keeps its connection, pipelines MAIL, RCPT and DATA (RFC 2920), and knows exactly three endings of an attempt:
taken (250), refused in words, or unanswered, in which case nobody knows and the very same octets are sent again.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

REPLY_S_MAX = 30.0
STARTTLS_READY = 220


class Unanswered(Exception):
    """The connection ended before the answer: taken or not, we cannot know."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply."""

    code: int
    text: str

    @property
    def is_yes(self) -> bool:
        return 200 <= self.code < 300


@dataclass(frozen=True, slots=True)
class Target:
    """Whose door, and who we are there."""

    host: str
    port: int
    context: ssl.SSLContext
    greets_as: str = "relais.tiers.mssante.example"


def stuffed(raw: bytes) -> bytes:
    """RFC 5321 §4.5.2, with the final dot."""
    assert raw.endswith(b"\r\n")
    body = raw.replace(b"\r\n.", b"\r\n..")
    return (b"." if raw.startswith(b".") else b"") + body + b".\r\n"


class LoadClient:
    """One kept connection that is opened when needed."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, sender: str, recipients: Sequence[str], data: bytes) -> Answer:
        """One attempt with one message (`stuffed`). Raises Unanswered."""
        try:
            async with asyncio.timeout(REPLY_S_MAX):
                if self._writer is None:
                    await self._connect()
                return await self._attempt(sender, recipients, data)
        except (OSError, EOFError, ssl.SSLError, TimeoutError, ValueError) as problem:
            self.close()
            raise Unanswered(str(problem)) from problem

    async def _connect(self) -> None:
        at = self._target
        self._reader, self._writer = await asyncio.open_connection(at.host, at.port)
        await self._expect(220)
        await self._command(f"EHLO {at.greets_as}", 250)
        await self._command("STARTTLS", STARTTLS_READY)
        await self._writer.start_tls(at.context, server_hostname=at.host)
        await self._command(f"EHLO {at.greets_as}", 250)

    async def _attempt(self, sender: str, recipients: Sequence[str], data: bytes) -> Answer:
        assert self._writer is not None
        commands = [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{one}>" for one in recipients), "DATA"]
        self._writer.write("".join(f"{command}\r\n" for command in commands).encode())
        answers = [await self._hear() for _ in commands]
        refused = next((answer for answer in answers[:-1] if not answer.is_yes), None)
        if refused is not None or answers[-1].code != 354:
            self.close()  # part of it may have been taken: this conversation is over
            return refused or answers[-1]
        self._writer.write(data)
        return await self._hear()

    async def _command(self, command: str, code: int) -> None:
        assert self._writer is not None
        self._writer.write(f"{command}\r\n".encode())
        await self._expect(code)

    async def _expect(self, code: int) -> None:
        answer = await self._hear()
        if answer.code != code:
            raise EOFError(f"{answer.code} {answer.text}")

    async def _hear(self) -> Answer:
        assert self._reader is not None
        while True:
            line = await self._reader.readline()
            if not line.endswith(b"\r\n"):
                raise EOFError("connection ended")
            if line[3:4] != b"-":
                return Answer(int(line[:3]), line[4:-2].decode("ascii", "replace"))

    async def quit(self) -> None:
        """Say goodbye, as a relay does after each mail. Raises EOFError, OSError."""
        await self._command("QUIT", 221)
        self.close()

    def close(self) -> None:
        """Hang up without a word."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None
