"""Conversations with the server as transcripts: `C:` we send, `S:` the reply begins so.

Besides, in `tests/dialogues/*.imap`:
`# …` a remark; `@put 3` puts letters 1 to 3 into the doctor's INBOX; `@put flagged.eml` a file of tests/data/imap.
`@stranger` (first): the transcript begins before the greeting, in clear; else the doctor has logged in over TLS.
`C2:`, `S2:` a second client, logged in as the doctor too; `C3:` a colleague.
`S~` a regular expression for the whole line; `S*` any lines up to one that begins so; `S-` nothing comes (0.2 s).
`C: … {$}` or `{$+}` announces a literal whose lines follow as `L:`; the next `C:` goes on after it.
`{user}`, `{password}`, `{team}` stand for the house's people, `{validity}` for the first UIDVALIDITY of a mailbox and
`{validity+3}` for a later one. `C! tls` starts TLS.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass
from pathlib import Path

from mss.model.clock import ManualClock
from tests.kit.imap_house import COLLEAGUE, DOCTOR, PASSWORD, TEAM, ImapHouse, letter

REPLY_S = 10.0
SILENCE_S = 0.2
_STEP = re.compile(r"(?P<who>[CSL])(?P<number>\d?)(?P<kind>[:~*!-]) ?(?P<text>.*)\Z")
_VALIDITY = re.compile(r"\{validity(\+\d+)?\}")
FIRST_VALIDITY = int(ManualClock().now().timestamp())
WORDS = {"{user}": DOCTOR, "{colleague}": COLLEAGUE, "{password}": PASSWORD, "{team}": TEAM}


@dataclass
class _Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def line(self) -> str:
        raw = await asyncio.wait_for(self.reader.readline(), REPLY_S)
        assert raw, "the server hung up"
        return raw.decode("utf-8", "surrogateescape").rstrip("\r\n")

    def send(self, text: str) -> None:
        self.writer.write(text.encode("utf-8", "surrogateescape"))


class Dialogue:
    """Plays one transcript against a house."""

    def __init__(self, house: ImapHouse, path: Path) -> None:
        self._house = house
        self._path = path
        self._clients: dict[str, _Client] = {}
        self._put = 0

    async def play(self) -> None:
        lines = self._path.read_text(encoding="utf-8").split("\n")
        number = 0
        try:
            while number < len(lines):
                line = lines[number]
                number += 1
                if not line or line.startswith("#"):
                    continue
                if line.startswith("@"):
                    await self._order(line[1:])
                    continue
                try:
                    number = await self._step(line, lines, number)
                except (AssertionError, TimeoutError) as problem:
                    raise AssertionError(f"{self._path.name}:{number}: {line!r}: {problem!r}") from None
        finally:
            for client in self._clients.values():
                client.writer.transport.abort()

    async def _order(self, order: str) -> None:
        word, _, rest = order.partition(" ")
        if word == "stranger":
            reader, writer = await asyncio.open_connection("127.0.0.1", self._house.starttls_port)
            self._clients[""] = _Client(reader, writer)
        elif word == "put" and rest.isdigit():
            letters = [letter(self._put + n) for n in range(1, int(rest) + 1)]
            self._put += len(letters)
            await self._house.put(*letters)
        elif word == "put":
            raw = (self._path.parent.parent / "data" / "imap" / rest).read_bytes()
            await self._house.put(raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
        else:
            raise AssertionError(f"unknown order {order}")

    async def _step(self, line: str, lines: list[str], number: int) -> int:
        step = _STEP.match(line)
        assert step, "not a step"
        client = await self._client(step["number"])
        text = step["text"]
        for word, meaning in WORDS.items():
            text = text.replace(word, meaning)
        text = _VALIDITY.sub(lambda found: str(FIRST_VALIDITY + int(found[1] or 0)), text)
        if step["who"] == "C" and step["kind"] == "!":
            await self._start_tls(client)
        elif step["who"] == "C":
            return await self._say(client, text, lines, number)
        else:
            await self._hear(client, step["kind"], text)
        return number

    async def _say(self, client: _Client, text: str, lines: list[str], number: int) -> int:
        literal = re.search(r"\{\$(\+?)\}\Z", text)
        if literal is None:
            client.send(f"{text}\r\n")
            return number
        content = ""
        while lines[number].startswith("L:"):
            content += lines[number][2:].removeprefix(" ") + "\r\n"
            number += 1
        client.send(f"{text[: literal.start()]}{{{len(content.encode())}{literal[1]}}}\r\n")
        if not literal[1]:
            reply = await client.line()
            assert reply.startswith("+ "), reply
        client.send(content)
        return number

    async def _hear(self, client: _Client, kind: str, text: str) -> None:
        if kind == "-":
            try:
                raw = await asyncio.wait_for(client.reader.readline(), SILENCE_S)
            except TimeoutError:
                return
            raise AssertionError(f"unexpected {raw!r}")
        if text == "EOF":
            raw = await asyncio.wait_for(client.reader.read(), REPLY_S)
            assert raw == b"", raw
            return
        reply = await client.line()
        if kind == "*":
            while not reply.startswith(text):
                reply = await client.line()
        elif kind == "~":
            assert re.fullmatch(text, reply), f"heard {reply!r}"
        else:
            assert reply.startswith(text), f"heard {reply!r}"

    async def _client(self, number: str) -> _Client:
        if number not in self._clients:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self._house.tls_port, ssl=self._house.client_tls(), server_hostname="localhost"
            )
            client = self._clients[number] = _Client(reader, writer)
            await client.line()
            client.send(f"login LOGIN {COLLEAGUE if number == '3' else DOCTOR} {PASSWORD}\r\n")
            assert (await client.line()).startswith("login OK")
        return self._clients[number]

    async def _start_tls(self, client: _Client) -> None:
        context: ssl.SSLContext = self._house.client_tls()
        await client.writer.start_tls(context, server_hostname="localhost")
