"""A hospital's record that speaks HL7 v2 over MLLP with TLS, as a process or in this one.

Written from the standard, apart from our own writer: it reads segments and fields itself, answers with an
acknowledgement, knows a message again by MSH-10, and keeps what it accepted in a file, in the order in which it came.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Message:
    """Segments, each a list of fields."""

    segments: tuple[tuple[str, ...], ...]

    @staticmethod
    def field(segment: tuple[str, ...], at: int) -> str:
        """By place in the line; what is not there is empty. Empty components at an end mean nothing."""
        told = segment[at] if at < len(segment) else ""
        return "~".join(one.rstrip("^") for one in told.split("~"))

    def of(self, name: str, number: int, which: int = 0) -> str:
        """A field of the n-th segment of that name, by its number in the standard."""
        found = [one for one in self.segments if one[0] == name]
        return self.field(found[which], number - (name == "MSH")) if which < len(found) else ""


def read_message(octets: bytes) -> Message:
    """UTF-8, segments that end with CR."""
    lines = octets.decode().rstrip("\r").split("\r")
    return Message(tuple(tuple(line.split("|")) for line in lines))


STEPS = 64 * 1024 * 1024


@dataclass(frozen=True)
class Kept:
    """What the record has accepted: its number, event, document and patient."""

    control_id: str
    event: str
    document: str
    patient: str
    message: Message


class Hl7Peer:
    """Answers as it is told to: `says` is asked for each message, whether known or new.

    What it answers `AA` to is kept once, whatever is sent again.
    """

    def __init__(self, tls: ssl.SSLContext, file: Path | None = None) -> None:
        self._tls = tls
        self._file = file
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.kept: list[Kept] = []
        self._known: set[str] = set()
        self.seen: list[str] = []
        """Numbers as they came, also again."""
        self.octets: dict[str, set[bytes]] = {}
        self.says: Callable[[Message], list[str]] = lambda message: ["AA"]
        """Codes to answer, one after the other (`AE 902`: with that error); `hang`, `cut`, `cut-after` answer none."""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls, limit=STEPS)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Away: nobody listens, and what was open is cut."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                octets = (await reader.readuntil(b"\x1c\r"))[1:-2]
                for word in self._answers(octets):
                    if word == "hang":
                        await asyncio.Event().wait()
                    if word == "cut":
                        return
                    writer.write(b"\x0b" + self._ack(read_message(octets), word) + b"\x1c\r")
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._writers.discard(writer)
            writer.close()

    def _answers(self, octets: bytes) -> list[str]:
        message = read_message(octets)
        number = message.of("MSH", 10)
        self.seen.append(number)
        self.octets.setdefault(number, set()).add(octets)
        answers = self.says(message)
        if ("AA" in answers or "cut-after" in answers) and number not in self._known:
            self._known.add(number)
            self._keep(message)
        return ["cut" if word == "cut-after" else word for word in answers]

    def _keep(self, message: Message) -> None:
        event, patient = message.of("MSH", 9).split("^")[1], message.of("PID", 3).split("^")[0]
        kept = Kept(message.of("MSH", 10), event, message.of("TXA", 12), patient, message)
        self.kept.append(kept)
        if self._file is not None:
            with self._file.open("a") as file:
                file.write(f"{kept.control_id} {kept.event} {kept.document} {kept.patient}\n")

    @staticmethod
    def _ack(message: Message, word: str) -> bytes:
        """`other` accepts, but a message that was never sent."""
        code, _, error = word.partition(" ")
        number = message.of("MSH", 10)
        code, number = ("AA", "0") if word == "other" else (code, number)
        event = message.of("MSH", 9).split("^")[1]
        lines = [
            rf"MSH|^~\&|DPI|CHU|PFI|CHU|20210606||ACK^{event}^ACK|1|P|2.6|||||FRA|UNICODE UTF-8",
            f"MSA|{code}|{number}",
        ]
        if error:
            lines.append(f"ERR||PID^1^3|207^Application error|E|{error}^MARCHAND-ESSAI Zoé inconnue^x")
        return ("\r".join(lines) + "\r").encode()
