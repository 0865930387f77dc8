"""Where do trust lists and revocation lists come from, and where is the last good one kept?

A source is asked often and answers only when it has something new. An address is asked once an hour, with the mark
(ETag) of what we have; a failure is tried again sooner. What came from outside is only octets: whether they may be
believed is for the feeds. The last good list is kept in a file of our own, so that a restart while its source is
away, or shows an older list, finds it. Blocking: call from a thread.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from mss.model.clock import Clock

ASK_EVERY_S = 3600.0
"""Lists are renewed daily; an hour is how long a hospital that was struck off can still write."""
ASK_AGAIN_S = 300.0
"""After a failure: soon, and no burden to a source that is in trouble."""
ANSWER_S_MAX = 30.0
"""For each step of the conversation."""
TRANSFER_S_MAX = 300.0
"""For the whole of it, also with a server that drips a header or a page: the next looks wait in the same thread."""
PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Fetched:
    """Octets and the mark by which their source knows them (inode and time of a file, ETag of a page)."""

    octets: bytes
    mark: str


class Source(Protocol):
    """Where lists come from: a file here; an address with ETag fits as well."""

    def fetch(self, known_mark: str | None, bytes_max: int) -> Fetched | None:
        """New octets, at most one more than `bytes_max`, or None when what `known_mark` names is still current.

        Raises OSError.
        """


class FileSource:
    """A file that somebody else replaces."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def fetch(self, known_mark: str | None, bytes_max: int) -> Fetched | None:
        with self._path.open("rb") as file:
            status = os.fstat(file.fileno())  # of the file that is read, should another replace it meanwhile
            mark = f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}"
            return None if mark == known_mark else Fetched(file.read(bytes_max + 1), mark)


class AddressSource:
    """An https or http address, asked with the mark of what is known (RFC 9110 §13.1.2). Redirects are not followed: a
    source that moves is a decision for a human."""

    def __init__(
        self, url: str, context: ssl.SSLContext | None, clock: Clock, *, transfer_s_max: float = TRANSFER_S_MAX
    ) -> None:
        """`context`: whose certificates count, for https. The national list's server has one of the health PKI."""
        self._url = urlsplit(url)
        self._context = context
        self._clock = clock
        self._transfer_s_max = transfer_s_max
        self._next_s = float("-inf")

    def hurry(self) -> None:
        """Ask at the next call, whenever the last was."""
        self._next_s = float("-inf")

    def fetch(self, known_mark: str | None, bytes_max: int) -> Fetched | None:
        now_s = self._clock.monotonic_s()
        if now_s < self._next_s:
            return None
        self._next_s = now_s + ASK_AGAIN_S
        try:
            fetched = self._ask(known_mark, bytes_max)
        except http.client.HTTPException as problem:
            raise OSError(0, f"not HTTP: {type(problem).__name__}") from problem
        self._next_s = now_s + ASK_EVERY_S
        return fetched

    def _ask(self, known_mark: str | None, bytes_max: int) -> Fetched | None:
        connection = self._connect()
        hanging_up = threading.Timer(self._transfer_s_max, _hang_up, [connection])
        hanging_up.daemon = True
        hanging_up.start()
        try:
            marked = {"If-None-Match": known_mark} if known_mark is not None else {}
            path = self._url.path or "/"
            connection.request("GET", f"{path}?{self._url.query}" if self._url.query else path, headers=marked)
            answer = connection.getresponse()
            if answer.status == http.client.NOT_MODIFIED:
                return None
            if answer.status != http.client.OK:
                raise OSError(0, f"answered {answer.status}")
            octets = self._read(answer, bytes_max)
            return Fetched(octets, answer.headers["ETag"] or hashlib.sha256(octets).hexdigest())
        finally:
            hanging_up.cancel()
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=ANSWER_S_MAX, context=self._context)
        return http.client.HTTPConnection(host, port, timeout=ANSWER_S_MAX)

    def _read(self, answer: http.client.HTTPResponse, bytes_max: int) -> bytes:
        """At most one octet more than allowed, and never the half of a page: with the mark of the whole one, the rest
        would never be asked for. Raises OSError."""
        if answer.length is None and not answer.chunked:
            raise OSError(0, "does not say where the page ends")
        read = bytearray()
        while len(read) <= bytes_max and (piece := answer.read(min(PIECE_BYTES, bytes_max + 1 - len(read)))):
            read += piece
        if answer.length and len(read) <= bytes_max:
            raise OSError(0, "the page ends in the middle")
        return bytes(read)


def _hang_up(connection: http.client.HTTPConnection) -> None:
    with suppress(OSError):
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)


class Kept:
    """The file in which the last good list stays, and the one before it, for whoever asks what changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before = path.with_name(f"{path.name}.before")

    def read(self) -> bytes | None:
        """What is kept; None when there is nothing that can be read."""
        try:
            return self.path.read_bytes()
        except OSError:
            return None

    def write(self, octets: bytes) -> None:
        """Replace it whole, unless it holds just that. What root writes belongs to whom the directory belongs, so that
        the server can read and replace it. Raises OSError, also for anybody else's files."""
        if self.read() == octets:
            return
        owner = _owner_near(self.path.parent)
        if os.geteuid() not in (0, owner.st_uid):
            raise PermissionError(errno.EACCES, f"belongs to another user ({owner.st_uid})")
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}")  # several processes keep the same list
        try:
            with temporary.open("wb") as file:
                if os.geteuid() != owner.st_uid:
                    os.chown(self.path.parent, owner.st_uid, owner.st_gid)
                    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                file.write(octets)
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileNotFoundError):
                self.before.unlink(missing_ok=True)
                self.before.hardlink_to(self.path)
            temporary.replace(self.path)
            _sync_directory(self.path.parent)
        finally:
            temporary.unlink(missing_ok=True)


class KeptByOthers(Kept):
    """The same for whoever only looks: a command leaves no file behind that its server has not written."""

    def write(self, octets: bytes) -> None:
        """Nothing."""


def _owner_near(directory: Path) -> os.stat_result:
    """Of the directory, or of the nearest above it that exists."""
    while not directory.exists():
        directory = directory.parent
    return directory.stat()


def _sync_directory(directory: Path) -> None:
    """Without it a power cut may bring the old file back, and with it an older list."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
