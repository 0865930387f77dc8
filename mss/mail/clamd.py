"""What does clamd say of these bytes? One connection, one INSTREAM, one line back.

A client of the daemon's own protocol (clamd(8), INSTREAM): chunks with their length before them, a zero length, then
`stream: OK` or `stream: NAME FOUND`. Every other answer, and every silence, is an answer of nobody: raised, and the
caller holds the message. The bytes leave in clear, so only over a Unix socket or the loopback.
"""

from __future__ import annotations

import asyncio
import re
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mss.mail.contents import Contents, Octets
from mss.model.errors import MssError

CONNECT_S = 3.0
"""On this machine a daemon that lives answers at once."""
CHUNK_OCTETS = 256 * 1024
"""Large enough that a message of 25 MB takes a hundred steps, small enough that other work goes on between them."""
ANSWER_OCTETS_MAX = 1024
NAME_CHARS_MAX = 100
_FOUND = re.compile(rb"stream: ([!-~][ -~]{0,900}) FOUND\Z")
_UNSAFE = re.compile(r"[^A-Za-z0-9._/-]")


class ClamdAway(MssError):
    """Nobody said whether the bytes are clean. The text says why, in a few words of ours."""


@dataclass(frozen=True, slots=True)
class Unix:
    """A socket in the file system."""

    path: Path


@dataclass(frozen=True, slots=True)
class Loopback:
    """A port of this machine."""

    host: str
    port: int


Where = Unix | Loopback


async def scan(where: Where, octets: Octets, within_s: float) -> str:
    """The name of what was found, empty when the bytes are clean. Raises ClamdAway."""
    try:
        async with asyncio.timeout(within_s):
            return await _scan(where, Contents.of(octets))
    except TimeoutError as problem:
        raise ClamdAway("too slow") from problem
    except OSError as problem:
        raise ClamdAway(f"not there ({type(problem).__name__})") from problem


async def _scan(where: Where, octets: Contents) -> str:
    async with asyncio.timeout(CONNECT_S):
        if isinstance(where, Unix):
            reader, writer = await asyncio.open_unix_connection(str(where.path), limit=ANSWER_OCTETS_MAX)
        else:
            reader, writer = await asyncio.open_connection(where.host, where.port, limit=ANSWER_OCTETS_MAX)
    answering = asyncio.create_task(_answer(reader))  # it may answer and close before it has read all
    try:
        with suppress(ConnectionError):
            await _send(writer, octets, answering)
        return _understand(await answering)
    finally:
        answering.cancel()
        writer.transport.abort()  # nothing more is wanted, and closing in good order may wait for a dead peer


async def _send(writer: asyncio.StreamWriter, octets: Contents, answering: asyncio.Task[bytes]) -> None:
    writer.write(b"zINSTREAM\0")
    pieces = octets.pieces()
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        for start in range(0, len(piece), CHUNK_OCTETS):
            chunk = piece[start : start + CHUNK_OCTETS]
            writer.write(struct.pack(">I", len(chunk)))
            writer.write(chunk)
            await writer.drain()
            if answering.done():
                return
    writer.write(struct.pack(">I", 0))
    await writer.drain()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """Up to the NUL that ends it: half an answer is none."""
    try:
        return (await reader.readuntil(b"\0"))[:-1]
    except asyncio.IncompleteReadError as problem:
        raise ClamdAway("hung up without an answer") from problem
    except asyncio.LimitOverrunError as problem:
        raise ClamdAway("its answer was not understood") from problem


def _understand(answer: bytes) -> str:
    if answer == b"stream: OK":
        return ""
    if found := _FOUND.fullmatch(answer):
        return _UNSAFE.sub("?", found[1].decode("ascii"))[:NAME_CHARS_MAX]
    if b"size limit exceeded" in answer:
        raise ClamdAway("larger than its StreamMaxLength")
    raise ClamdAway("its answer was not understood")
