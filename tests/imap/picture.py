"""A mail client that believes what the server says, and objects to what it may not say."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field

from tests.kit.imap_house import PASSWORD, ImapHouse

_NUMBERED = re.compile(rb"\* (\d+) (EXISTS|EXPUNGE|RECENT|FETCH)(?: \((.*)\))?\r\n\Z", re.DOTALL)
_UID = re.compile(rb"\bUID (\d+)")
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
_SILENT = re.compile(r"STORE (\d+)(?::(\d+))? ([+-])FLAGS\.SILENT \(([^)]*)\)")
_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")
REPLY_S = 20.0


@dataclass
class Seen:
    """What the client knows of one message."""

    uid: int = 0
    flags: frozenset[bytes] | None = None
    """None until they are told: FETCH of a body alone tells a uid without them."""


@dataclass
class PictureClient:
    """One connection with one folder open."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    messages: list[Seen] = field(default_factory=list)
    found: list[int] = field(default_factory=list)
    _tag: int = 0

    @classmethod
    async def connect(cls, house: ImapHouse, user: str) -> PictureClient:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", house.tls_port, ssl=house.client_tls(), server_hostname="localhost"
        )
        client = cls(reader, writer)
        assert (await reader.readline()).startswith(b"* OK")
        await client.command(f"LOGIN {user} {PASSWORD}")
        return client

    async def select(self, folder: str = "INBOX") -> None:
        self.messages = []
        await self.command(f"SELECT {folder}")

    async def command(self, text: str, *, may_fail: bool = False) -> bytes:
        """Send a command, take in what is said, answer the tagged line."""
        self._tag += 1
        tag = f"t{self._tag}".encode()
        if silent := _SILENT.match(text):
            self._change_silently(*silent.groups())
        self.writer.write(tag + b" " + text.encode() + b"\r\n")
        speaks_in_numbers = text.split()[0] in ("FETCH", "STORE", "SEARCH")
        while True:
            line = await self._line()
            if line.startswith(tag + b" "):
                assert may_fail or line.startswith(tag + b" OK"), (text, line)
                return line
            self._take_in(line, may_expunge=not speaks_in_numbers)

    def _change_silently(self, low: str, high: str | None, sign: str, flags: str) -> None:
        """What a silent STORE changes, its client knows by itself (RFC 9051 §6.4.6); what is told later wins."""
        named = frozenset(flags.lower().encode().split())
        for message in self.messages[int(low) - 1 : int(high or low)]:
            if message.flags is not None:
                message.flags = message.flags | named if sign == "+" else message.flags - named

    async def append(self, folder: str, message: bytes) -> None:
        self._tag += 1
        tag = f"t{self._tag}".encode()
        self.writer.write(b"%b APPEND %b {%d+}\r\n%b\r\n" % (tag, folder.encode(), len(message), message))
        while not (line := await self._line()).startswith(tag):
            self._take_in(line, may_expunge=True)
        assert line.startswith(tag + b" OK"), line

    async def _line(self) -> bytes:
        """A line with its literals."""
        whole = b""
        while True:
            line = await asyncio.wait_for(self.reader.readline(), REPLY_S)
            assert line.endswith(b"\r\n"), "the server hung up"
            whole += line
            announced = _LITERAL.search(line)
            if announced is None:
                return whole
            whole += await asyncio.wait_for(self.reader.readexactly(int(announced[1])), REPLY_S)

    def _take_in(self, line: bytes, *, may_expunge: bool) -> None:
        if line.startswith(b"* VANISHED"):
            self._vanish(line, may_expunge=may_expunge)
        elif line.startswith(b"* SEARCH"):
            self.found = [int(number) for number in line.split()[2:]]
        told = _NUMBERED.match(line)
        if told is None:
            return
        number, word, inside = int(told[1]), told[2], told[3] or b""
        if word == b"EXISTS":
            assert number >= len(self.messages), "EXISTS took messages away"
            self.messages += [Seen() for _ in range(number - len(self.messages))]
        elif word == b"EXPUNGE":
            assert may_expunge, "EXPUNGE while numbers were spoken of (RFC 9051 §7.5.1)"
            assert 1 <= number <= len(self.messages), "EXPUNGE of what is not there"
            del self.messages[number - 1]
        elif word == b"FETCH":
            assert 1 <= number <= len(self.messages), "FETCH of what is not there"
            self._learn(self.messages[number - 1], inside)

    def _vanish(self, line: bytes, *, may_expunge: bool) -> None:
        raise AssertionError("VANISHED without QRESYNC")

    def _learn(self, message: Seen, inside: bytes) -> None:
        if uid := _UID.search(inside):
            assert message.uid in (0, int(uid[1])), "a number changed its uid"
            message.uid = int(uid[1])
        if flags := _FLAGS.search(inside):
            message.flags = frozenset(flags[1].lower().split()) - {b"\\recent"}

    async def close(self) -> None:
        self.writer.close()


async def agree(clients: list[PictureClient]) -> list[tuple[int, frozenset[bytes] | None]]:
    """Let everybody hear the news and compare what each believes with what each is told anew."""
    pictures = []
    for client in clients:
        await client.command("NOOP")
    for client in clients:
        believed = [(seen.uid, seen.flags) for seen in client.messages]
        await client.command("FETCH 1:* (UID FLAGS)")
        told = [(seen.uid, seen.flags) for seen in client.messages]
        for (uid, flags), (true_uid, true_flags) in zip(believed, told, strict=True):
            # what a client has not asked for yet (a new message) it does not know
            assert uid in (0, true_uid)
            assert flags is None or flags == true_flags, "the client believed in other flags"
        pictures.append(told)
    assert all(picture == pictures[0] for picture in pictures)
    assert [uid for uid, _ in pictures[0]] == sorted({uid for uid, _ in pictures[0]})
    return pictures[0]
