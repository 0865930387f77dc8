"""The octets of a message, however large: in memory while it is small, else a spool that is read piece by piece.

Who needs a large one whole gets it at the spool's desk, where one is read at a time. Nothing is decided here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Concatenate, ParamSpec, TypeVar

from mss.crypto import seal
from mss.store.spool import PIECE_OCTETS, Spool

P = ParamSpec("P")
T = TypeVar("T")

LARGE_OCTETS = 1024 * 1024
"""What is done to a larger message is done in a thread: 25 MB take some tenths of a second, and the loop has others to
serve."""
OPENING_OCTETS = 256 * 1024
"""Holds every header that the pre-scan takes (`formats.mime.Limits.header_octets`) and our trace fields."""
_HEADER_END = b"\r\n\r\n"
_FIELD_END = re.compile(rb"\r\n(?![ \t])")


async def aside(octets: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Pure work on a message of so many octets: at once, or in a thread when it is large."""
    return await asyncio.to_thread(work, *args, **kwargs) if octets > LARGE_OCTETS else work(*args, **kwargs)


@dataclass(frozen=True, slots=True)
class Contents:
    """A message with CRLF line ends: `head`, then what stands in the spool from `start` on."""

    head: bytes
    spool: Spool | None = None
    start: int = 0
    lines_are_whole: bool = False
    """The door has asked `formats.lines.fault_of` about all of it, as it came."""

    @classmethod
    def of(cls, octets: Octets) -> Contents:
        return octets if isinstance(octets, Contents) else cls(octets)

    def __len__(self) -> int:
        return len(self.head) + (0 if self.spool is None else self.spool.size - self.start)

    def pieces(self) -> Iterator[bytes]:
        """From front to end, `PIECE_OCTETS` at a time. May wait for the disk. Raises StorageUnavailable."""
        for at in range(0, len(self.head), PIECE_OCTETS):
            yield self.head[at : at + PIECE_OCTETS]
        if self.spool is not None:
            yield from self.spool.pieces(self.start)

    async def look(self, work: Callable[Concatenate[bytes, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Pure work on the whole message: at once, or in a thread when it is large. What the work answers must not
        hold the octets. Raises StorageUnavailable, and what the work raises."""
        if self.spool is None:
            return await aside(len(self.head), work, self.head, *args, **kwargs)
        async with self.spool.room.desk:
            return await asyncio.to_thread(self._work, lambda whole: work(whole, *args, **kwargs))

    def _work(self, work: Callable[[bytes], T]) -> T:
        return work(self.whole())

    def whole(self) -> bytes:
        """All of it in memory."""
        if self.spool is None:
            return self.head
        whole = BytesIO()
        for piece in self.pieces():
            whole.write(piece)
        return whole.getvalue()

    async def without_fields(self, *names: str, before: bytes = b"") -> Contents:
        """The message without header fields of those names, others `before` it. Raises StorageUnavailable."""
        head, start = self.head, self.start
        if self.spool is not None and _HEADER_END not in head:
            head += await asyncio.to_thread(self.spool.read, start, OPENING_OCTETS)
            start = min(start + OPENING_OCTETS, self.spool.size)
        changed = await aside(len(head), without_fields, head, *names, before=before)
        return Contents(changed, self.spool, start, self.lines_are_whole)

    def fingerprint(self, key: bytes) -> bytes:
        """Of all of it (`crypto.seal.fingerprint`). Raises StorageUnavailable."""
        if self.spool is None:
            return seal.fingerprint(key, self.head)
        return seal.fingerprint_of(key, self.pieces())


Octets = bytes | Contents
"""Of a message, by whoever hands one over."""


def without_fields(raw: bytes, *names: str, before: bytes = b"") -> bytes:
    """The message without header fields of those names (Bcc, Return-Path at submission), others `before` it."""
    end = raw.find(b"\r\n\r\n")
    header, rest = (raw, memoryview(b"")) if end < 0 else (raw[: end + 2], memoryview(raw)[end + 2 :])
    unwanted = tuple(name.lower().encode() for name in names)
    lowered = header.lower()
    if not any(name in lowered for name in unwanted):  # as nearly always
        if len(raw) <= LARGE_OCTETS:
            return before + raw
        header, rest = b"", memoryview(raw)
    kept = BytesIO()
    kept.write(before)
    start = 0
    while start < len(header):
        found = _FIELD_END.search(header, start)
        stop = len(header) if found is None else found.end()
        field = header[start:stop]
        if field.partition(b":")[0].strip().lower() not in unwanted:
            kept.write(field)
        start = stop
    for at in range(0, len(rest), LARGE_OCTETS):  # in pieces: others wait for the interpreter while one is copied
        kept.write(rest[at : at + LARGE_OCTETS])
    return kept.getvalue()
