"""Where do large bodies lie? Ciphertext only, written and synced before the row that names it.

Local files are written by our own few lines, since a body that is not on disk at the 250 is a lost message:
temporary name, write, fdatasync, link, fsync of the directory. Objects go to S3 through obstore. What a crash left
half-written is swept; a whole body without a row (a crash between the two, or a mail that has left) is found by a look
at all rows (mss/store/housekeeping.py). A row without a body cannot be.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from mss.model.errors import BadValue, NotFound, StorageUnavailable

INLINE_BYTES_MAX = 96 * 1024
"""Up to here a body lies in its row: one sync instead of three. A 50 kB mail fits with its base64."""


PART_BYTES = 5 * 1024 * 1024
"""The smallest part that S3 takes, but for the last."""
PARTS_AT_ONCE = 2
UNFINISHED_S = 24 * 3600.0
"""No body takes so long to be written."""
OBJECT_TRIES_S = 20.0
"""An object store that stumbles is asked again so long; then whoever waits is told to come back, before he gives up."""
OBJECT_CONNECT_S = 5.0
OBJECT_ANSWER_S = 60.0
"""One request, 25 MB and its answer included."""
OBJECT_SCHEMES = ("s3", "s3a", "gs", "az", "adl", "azure", "abfs", "abfss")
"""Stores that keep what they acknowledge. obstore's own memory and files (which it does not sync) would lose mail."""


class BodyStore(Protocol):
    """Keeps ciphertexts by name. `put` returns when the bytes survive a power cut."""

    async def put(self, place: str, ciphertext: bytes) -> None: ...

    async def put_pieces(self, place: str, pieces: Iterable[bytes]) -> None:
        """The same, of a ciphertext that is made piece by piece, in a thread."""
        ...

    async def get(self, place: str, start: int = 0, length: int | None = None) -> bytes:
        """A body or a range of it, shorter where it ends. Raises NotFound, StorageUnavailable."""
        ...

    async def delete(self, place: str) -> None:
        """Also of what is gone already. Raises StorageUnavailable."""
        ...

    async def listed(self, lane: int, before_s: float) -> list[Whose]:
        """Whole bodies of a lane, written before that moment (seconds since 1970) and not since."""
        ...


class Whose(NamedTuple):
    """Which row a body belongs to, as its name says."""

    owner: int
    blob: int


_PLACE = re.compile(r"(\d{4})/\d{3}/([0-9a-f]+)-([0-9a-f]+)", re.ASCII)


def whose(place: str) -> Whose | None:
    """The reverse of `place_of`; None for anything else that lies there."""
    found = _PLACE.fullmatch(place)
    if found is None:
        return None
    owner, blob = int(found[2], 16), int(found[3], 16)
    return Whose(owner, blob) if place == place_of(int(found[1]), owner, blob) else None


def place_of(lane: int, owner: int, blob: int) -> str:
    """Name of a body: lane, then a fan-out by blob number, then owner and blob."""
    return f"{lane:04d}/{blob % 251:03d}/{owner:x}-{blob:x}"


class LocalBodies:
    """Files below one directory of the state."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def put(self, place: str, ciphertext: bytes) -> None:
        """Raises StorageUnavailable when the disk cannot keep it."""
        await self.put_pieces(place, (ciphertext,))

    async def put_pieces(self, place: str, pieces: Iterable[bytes]) -> None:
        """Raises StorageUnavailable when the disk cannot keep it."""
        try:
            await asyncio.to_thread(self._put, self._directory / place, pieces)
        except OSError as problem:
            raise StorageUnavailable(problem.strerror or "body not written") from problem

    def _put(self, path: Path, pieces: Iterable[bytes]) -> None:
        self._make_directories(path.parent)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                for piece in pieces:
                    view = memoryview(piece)
                    while view:
                        view = view[file.write(view) :]
                os.fdatasync(file.fileno())
            try:
                os.link(temporary, path)
            except FileExistsError:
                temporary.replace(path)  # a repeated attempt of the same act
        finally:
            temporary.unlink(missing_ok=True)
        _sync_directory(path.parent)

    async def sweep_unfinished(self, now_s: float) -> int:
        """Remove what a crash left half-written: files under a temporary name, which no row ever names, of more than a
        day. Should one be written at this moment all the same, that act fails and its sender comes again."""
        return await asyncio.to_thread(self._sweep_unfinished, now_s)

    def _sweep_unfinished(self, now_s: float) -> int:
        swept = 0
        for path in self._directory.glob("[0-9]*/[0-9]*/.*"):
            try:
                if path.stat().st_mtime < now_s - UNFINISHED_S:
                    path.unlink()
                    swept += 1
            except FileNotFoundError:
                continue  # finished meanwhile
        return swept

    async def listed(self, lane: int, before_s: float) -> list[Whose]:
        return await asyncio.to_thread(self._listed, lane, before_s)

    def _listed(self, lane: int, before_s: float) -> list[Whose]:
        found = []
        for path in (self._directory / f"{lane:04d}").glob("[0-9]*/*"):
            named = whose(path.relative_to(self._directory).as_posix())
            try:
                if named is not None and path.stat().st_mtime < before_s:
                    found.append(named)
            except FileNotFoundError:
                continue  # deleted meanwhile
        return found

    def _make_directories(self, directory: Path) -> None:
        """Create what is missing and sync each parent, so that the whole path survives a power cut."""
        missing = []
        while not directory.exists():
            missing.append(directory)
            directory = directory.parent
        for path in reversed(missing):
            path.mkdir(mode=0o700, exist_ok=True)
            _sync_directory(path.parent)

    async def get(self, place: str, start: int = 0, length: int | None = None) -> bytes:
        try:
            return await asyncio.to_thread(self._get, self._directory / place, start, length)
        except OSError as problem:
            raise StorageUnavailable(problem.strerror or "body not read") from problem

    def _get(self, path: Path, start: int, length: int | None) -> bytes:
        try:
            with path.open("rb") as file:
                file.seek(start)
                return file.read(-1 if length is None else length)
        except FileNotFoundError:
            raise NotFound("body") from None

    async def delete(self, place: str) -> None:
        try:
            await asyncio.to_thread((self._directory / place).unlink, missing_ok=True)
        except OSError as problem:
            raise StorageUnavailable(problem.strerror or "body not deleted") from problem


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class ObjectBodies:
    """Objects in S3 or its kin, through an obstore store (`obstore.store.S3Store(...)`)."""

    def __init__(self, store: Any) -> None:
        self._store = store

    @classmethod
    def at(cls, url: str, tries_s: float = OBJECT_TRIES_S) -> ObjectBodies:
        """The object store behind a URL (`s3://bucket/prefix`); credentials come from the environment.

        Raises BadValue for what is no store of objects that lasts.
        """
        scheme = url.partition("://")[0]
        if scheme not in OBJECT_SCHEMES:
            raise BadValue(
                f"bodies_url: {scheme}: name an object store, as s3://bucket/prefix; leave it empty for files"
            )
        from obstore.exceptions import BaseError  # only sites with an object store pay for the import
        from obstore.store import from_url

        tries, connect, answer = (timedelta(seconds=s) for s in (tries_s, OBJECT_CONNECT_S, OBJECT_ANSWER_S))
        try:
            store = from_url(
                url,
                client_options={"connect_timeout": connect, "timeout": answer, "allow_http": _may_speak_clear()},
                retry_config={"retry_timeout": tries},
            )
        except (BaseError, ValueError) as problem:
            raise BadValue(
                "bodies_url: this object store cannot be spoken to: look at its URL and credentials"
            ) from problem
        return cls(store)

    async def put(self, place: str, ciphertext: bytes) -> None:
        import obstore

        with _told("object not written"):
            await obstore.put_async(self._store, place, ciphertext)

    async def put_pieces(self, place: str, pieces: Iterable[bytes]) -> None:
        """A large one in parts: no more of it is in memory than two parts. What a crash leaves of parts is no object,
        and the bucket's own rule ends it (docs/operating.md)."""
        import obstore

        def send() -> None:
            obstore.put(self._store, place, iter(pieces), chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE)

        with _told("object not written"):
            await asyncio.to_thread(send)

    async def listed(self, lane: int, before_s: float) -> list[Whose]:
        with _told("objects not listed"):
            return await asyncio.to_thread(self._listed, lane, before_s)

    def _listed(self, lane: int, before_s: float) -> list[Whose]:
        import obstore

        found = []
        for some in obstore.list(self._store, prefix=f"{lane:04d}"):
            for one in some:
                named = whose(one["path"])
                if named is not None and one["last_modified"].timestamp() < before_s:
                    found.append(named)
        return found

    async def get(self, place: str, start: int = 0, length: int | None = None) -> bytes:
        import obstore

        with _told("object not read"):
            if start == 0 and length is None:
                answer = await obstore.get_async(self._store, place)
                return bytes(await answer.bytes_async())
            if length is None:
                length = (await obstore.head_async(self._store, place))["size"] - start
            return bytes(await obstore.get_range_async(self._store, place, start=start, length=length))

    async def delete(self, place: str) -> None:
        import obstore

        try:
            with _told("object not deleted"):
                await obstore.delete_async(self._store, place)
        except NotFound:
            return


def _may_speak_clear() -> bool:
    """obstore's own variable, overlooked as soon as it is given options. What goes over the wire is ciphertext."""
    return os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true"


@contextmanager
def _told(what: str) -> Iterator[None]:
    """An object store's own errors in our words: NotFound, or StorageUnavailable."""
    from obstore.exceptions import BaseError, NotFoundError

    try:
        yield
    except (FileNotFoundError, NotFoundError):
        raise NotFound("body") from None
    except (OSError, BaseError) as problem:
        raise StorageUnavailable(what) from problem
