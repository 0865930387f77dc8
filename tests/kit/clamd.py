"""A clamd of the tests' own, and a server that speaks its protocol badly.

The real one has a directory, a socket, a port and a signature of its own: the EICAR text, which every antivirus knows
and which harms nobody. Only faults that a real daemon cannot be asked for come from the other.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Self

from tests.kit import programs
from tests.kit.postgres import free_port

EICAR = (b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*").decode()
"""Cut in two, so that no antivirus of a developer's machine takes this file away."""
SIGNATURE = "Eicar-Test-Signature"
START_S = 20
STREAM_MAX = 30 * 1024 * 1024


class Clamd:
    """The daemon of Debian's clamav-daemon."""

    def __init__(self, directory: Path, stream_max: int = STREAM_MAX, alerts: str = "yes") -> None:
        self.directory = directory
        self.socket, self.port = directory / "clamd.sock", free_port()
        self._program = programs.require("clamd")
        self._process: subprocess.Popen[bytes] | None = None
        (directory / "db").mkdir(parents=True)
        (directory / "db" / "test.ndb").write_text(f"{SIGNATURE}:0:*:{EICAR.encode().hex()}\n")
        (directory / "clamd.conf").write_text(
            f"LocalSocket {self.socket}\nTCPSocket {self.port}\nTCPAddr 127.0.0.1\n"
            f"DatabaseDirectory {directory / 'db'}\nForeground yes\nStreamMaxLength {stream_max}\n"
            f"AlertExceedsMax {alerts}\nConcurrentDatabaseReload no\n"
        )

    def start(self) -> Self:
        with (self.directory / "log").open("wb") as log:
            command = [str(self._program), "-c", str(self.directory / "clamd.conf")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        for _ in range(START_S * 20):
            if self.socket.exists():
                return self
            try:
                self._process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            break
        raise AssertionError((self.directory / "log").read_text()[-2000:])

    def kill(self) -> None:
        """As power cuts and the kernel's memory killer do."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self.socket.unlink(missing_ok=True)


@contextmanager
def clamd(directory: Path, stream_max: int = STREAM_MAX, alerts: str = "yes") -> Iterator[Clamd]:
    """A running daemon, gone afterwards."""
    daemon = Clamd(directory, stream_max, alerts).start()
    try:
        yield daemon
    finally:
        daemon.kill()


@asynccontextmanager
async def bad_clamd(socket: Path, answer: bytes | None, *, reads: bool = True) -> AsyncIterator[list[int]]:
    """Takes bytes and answers `answer`, whatever they are; None is silence. Yields how many came on each connection."""
    seen: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(0)
        try:
            while reads and (chunk := await reader.read(65536)):
                seen[-1] += len(chunk)
                if chunk.endswith(bytes(4)):
                    break
            if answer is None:
                await asyncio.sleep(3600)
            writer.write(answer or b"")
            await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_unix_server(serve, str(socket))
    try:
        yield seen
    finally:
        server.close()
