"""Where does a large message lie while it arrives? Sealed, in a file without a name.

Under a key that only this process has, only as long as the message is under way: a crash leaves neither a file to
sweep nor a key to open it. Nobody owns it yet; who is to have it reads it again and seals it for himself. Also the
desk at which large messages are read whole: one at a time, so that many cost no more memory than one.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import IO

from mss.crypto import seal
from mss.model.clock import Chance
from mss.model.errors import StorageUnavailable

PIECE_OCTETS = 4 * seal.FRAME_BYTES
"""Read or sealed at once: some copies of a piece are what a large message costs in memory."""
OCTETS_MAX = 2 * 1024 * 1024 * 1024
"""Of all messages that are arriving: some sixty of the largest. Who comes with one more is to come again."""
AT_ONCE_MAX = 1
"""Large messages read whole at a time. Looking at one holds the interpreter anyway: two would only take more memory."""
_WHERE = b"spool"


class SpoolRoom:
    """Opens spools below a directory of this process's state."""

    def __init__(self, directory: Path, chance: Chance, octets_max: int = OCTETS_MAX) -> None:
        self._directory = directory
        self._chance = chance
        self._octets_max = octets_max
        self._room = Lock()
        self.used = 0
        """Octets in all open spools."""
        self.desk = asyncio.Semaphore(AT_ONCE_MAX)

    def open(self) -> Spool:
        """An empty spool. Raises StorageUnavailable."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = tempfile.TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115 — the spool closes it
        except OSError as problem:
            raise StorageUnavailable(problem.strerror or "no spool") from problem
        return Spool(self, file, self._chance.token(seal.KEY_BYTES))

    def resize(self, octets: int) -> bool:
        """So many more (or fewer) are spooled; False, and nothing changed, when there is no room."""
        with self._room:
            if octets > 0 and self.used + octets > self._octets_max:
                return False
            self.used += octets
            return True


class Spool:
    """One message that arrives: written once from front to end, then read as often as somebody needs it."""

    def __init__(self, room: SpoolRoom, file: IO[bytes], key: bytes) -> None:
        self.room = room
        self.size = 0
        self._file = file
        self._key = key
        self._sealer = seal.FrameSealer(key, _WHERE)
        self._busy = Lock()  # a descriptor that is closed while a thread uses it may be somebody else's file by then

    async def write(self, plain: bytes) -> None:
        """What came next. Raises StorageUnavailable."""
        await asyncio.to_thread(self._write, plain)

    async def finish(self) -> None:
        """That was all: it can be read now. Raises StorageUnavailable."""
        await asyncio.to_thread(self._finish)

    def read(self, start: int, length: int) -> bytes:
        """A part of it, shorter at its end. Raises StorageUnavailable, SealBroken."""
        stop = min(start + length, self.size)
        if stop <= start:
            return b""
        at, octets = seal.frame_range(start, stop - start)
        first = start // seal.FRAME_BYTES
        with self._busy:
            self._must_be_open()
            try:
                ciphertext = os.pread(self._file.fileno(), octets, at)
            except OSError as problem:
                raise StorageUnavailable(problem.strerror or "spool not read") from problem
        last = max(0, (self.size - 1) // seal.FRAME_BYTES)
        plain = seal.decrypt_frames(self._key, _WHERE, ciphertext, first, last)
        skipped = start - first * seal.FRAME_BYTES
        return plain[skipped : skipped + stop - start]

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        """From there to its end, in pieces of `PIECE_OCTETS`."""
        while start < self.size:
            stop = (start // PIECE_OCTETS + 1) * PIECE_OCTETS
            yield self.read(start, stop - start)
            start = stop

    def close(self) -> None:
        """It is gone: kept elsewhere by now, or never to be kept."""
        with self._busy:
            if not self._file.closed:
                self._file.close()
                self.room.resize(-self.size)

    def _write(self, plain: bytes) -> None:
        with self._busy:
            self._must_be_open()
            if not self.room.resize(len(plain)):
                raise StorageUnavailable("too many large messages at once")
            self.size += len(plain)
            for at in range(0, len(plain), PIECE_OCTETS):
                self._append(self._sealer.add(plain[at : at + PIECE_OCTETS]))

    def _finish(self) -> None:
        with self._busy:
            self._must_be_open()
            self._append(self._sealer.finish())

    def _append(self, ciphertext: bytes) -> None:
        try:
            view = memoryview(ciphertext)
            while view:
                view = view[self._file.write(view) :]
        except OSError as problem:
            raise StorageUnavailable(problem.strerror or "spool not written") from problem

    def _must_be_open(self) -> None:
        if self._file.closed:
            raise StorageUnavailable("the message was given up")
