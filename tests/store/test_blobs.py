"""Bodies: whole, by range, in files and in an object store, and on disk before anyone says so."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from mss.model.errors import BadValue, NotFound, StorageUnavailable
from mss.store.blobs import BodyStore, LocalBodies, ObjectBodies, Whose, place_of
from tests.kit import objectstore, programs
from tests.kit.objectstore import Mood


@pytest.fixture(params=["files", "memory", "s3"])
async def bodies(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[BodyStore]:
    """The same behaviour from all; the last over HTTP, in the words of S3."""
    if request.param == "files":
        yield LocalBodies(tmp_path / "bodies")
    elif request.param == "memory":
        yield ObjectBodies(MemoryStore())
    else:
        async with objectstore.bucket() as bucket:
            yield objectstore.client(bucket, monkeypatch)


async def test_a_body_comes_back_whole_and_in_parts(bodies: BodyStore) -> None:
    """Any range, also beyond the end."""
    data = os.urandom(300_000)
    place = place_of(3, 1 << 61, 12345)
    await bodies.put(place, data)
    assert await bodies.get(place) == data
    assert await bodies.get(place, 65_552, 70_000) == data[65_552:135_552]
    assert await bodies.get(place, 299_990, None) == data[299_990:]


async def test_putting_again_is_harmless(bodies: BodyStore) -> None:
    """A repeated attempt of one act writes the same place."""
    await bodies.put("0001/002/a", b"first")
    await bodies.put("0001/002/a", b"first")
    assert await bodies.get("0001/002/a") == b"first"


async def test_what_is_deleted_is_gone(bodies: BodyStore) -> None:
    """And deleting it twice is no error."""
    await bodies.put("0001/002/a", b"x")
    await bodies.delete("0001/002/a")
    await bodies.delete("0001/002/a")
    with pytest.raises(NotFound):
        await bodies.get("0001/002/a")


async def test_a_large_body_comes_in_parts_and_is_listed(bodies: BodyStore) -> None:
    """Whole afterwards; what is looked for by lane is found by the row that it belongs to."""
    piece, place = os.urandom(1024 * 1024), place_of(3, 1 << 61, 12345)
    await bodies.put_pieces(place, (piece for _ in range(12)))
    assert await bodies.get(place) == piece * 12
    assert await bodies.listed(3, time.time() + 60) == [Whose(1 << 61, 12345)]
    assert await bodies.listed(4, time.time() + 60) == []


async def test_a_bucket_that_is_away_is_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Busy, cut in mid answer, forbidden: our own error at every act, never "not found", and nothing is half there."""
    place = place_of(3, 1 << 61, 12345)
    async with objectstore.bucket() as bucket:
        bodies = objectstore.client(bucket, monkeypatch)
        await bodies.put(place, b"x" * 1000)
        acts: list[Callable[[], Awaitable[object]]] = [
            lambda: bodies.get(place),
            lambda: bodies.get(place, 10, 20),
            lambda: bodies.put(place, b"y" * 1000),
            lambda: bodies.put_pieces(place, (b"y" * 1024 * 1024 for _ in range(12))),
            lambda: bodies.delete(place),
            lambda: bodies.listed(3, 1.0),
        ]
        for mood in (Mood.BUSY, Mood.CUTS, Mood.FORBIDS):
            bucket.mood = mood
            for act in acts:
                with pytest.raises(StorageUnavailable):
                    await act()
        bucket.mood = Mood.WELL
        assert await bodies.get(place) == b"x" * 1000


@pytest.mark.parametrize("url", ["memory://", "file:///srv/bodies", "http://store.example/bodies", "bucket"])
def test_only_a_store_that_lasts_is_taken(url: str) -> None:
    """In memory a body would be lost at the next start, and in obstore's files at a power cut."""
    with pytest.raises(BadValue, match="s3://bucket/prefix"):
        ObjectBodies.at(url)


async def test_only_what_a_crash_left_half_written_is_swept(tmp_path: Path) -> None:
    """Temporary files of more than a day; never a whole body, however old, nor what is being written now."""
    bodies, place = LocalBodies(tmp_path / "bodies"), place_of(3, 1 << 61, 12345)
    await bodies.put(place, b"whole")
    whole = tmp_path / "bodies" / place
    left, new = whole.with_name(f".{whole.name}.77"), whole.with_name(".1-2.78")
    for path in (left, new):
        path.write_bytes(b"half")
    for path in (left, whole):
        os.utime(path, (0, 0))
    assert await bodies.sweep_unfinished(new.stat().st_mtime + 60) == 1
    assert sorted(path.name for path in whole.parent.iterdir()) == sorted((whole.name, new.name))
    assert await bodies.get(place) == b"whole"


async def test_a_full_disk_is_no_acknowledgement(tmp_path: Path) -> None:
    """What cannot be written raises, and leaves no half body under the name."""
    blocked = tmp_path / "bodies"
    blocked.write_text("a file where a directory should be")
    with pytest.raises(StorageUnavailable):
        await LocalBodies(blocked).put("0001/002/a", b"x")


_ONE_LARGE_MAIL = """
import asyncio, sys
from pathlib import Path
from mss.crypto.keys import create_key_files, load_private, load_public
from mss.model.clock import SystemChance, SystemClock
from mss.model.ids import MailAddress, lane_of
from mss.model.mailbox import MailboxKind
from mss.accounts.service import Accounts, Profile
from mss.store import blobs, messages
from mss.store.blobs import LocalBodies, place_of
from mss.store.create import create_or_upgrade
from mss.store.database import Store

async def main(base):
    url, clock, chance = f"sqlite:///{base}/mss.db", SystemClock(), SystemChance()
    await create_or_upgrade(url)
    create_key_files(base / "keys", chance)
    store = Store.open(url)
    accounts = Accounts(store, load_public(base / "keys").lookup, load_private(base / "keys", chance), clock, chance)
    address = MailAddress.parse("a@ville.mssante.example")
    owner = await accounts.create_mailbox(MailboxKind.PERSONAL, address, Profile("A", str(address)))
    place = place_of(lane_of(owner), owner, 77)
    sys.stdout.write("BEGIN\\n"); sys.stdout.flush()
    await LocalBodies(base / "bodies").put(place, b"x" * 200_000)
    body = messages.StoredBody(77, 200_000, place, None)
    await store.write(lane_of(owner), lambda c: messages.insert_blob(c, owner, body))
    sys.stdout.write("250\\n"); sys.stdout.flush()
    await store.close()

asyncio.run(main(Path(sys.argv[1])))
"""


def test_body_directory_and_row_are_synced_before_the_250(tmp_path: Path) -> None:
    """Seen from outside by strace: fdatasync of the body, fsync of its directory, sync of the log, then the reply."""
    programs.require("strace")
    log = tmp_path / "trace"
    command = ["strace", "-f", "-y", "-e", "trace=fsync,fdatasync,write", "-o", str(log), sys.executable, "-c"]
    subprocess.run([*command, _ONE_LARGE_MAIL, str(tmp_path)], check=True, stdout=subprocess.DEVNULL, timeout=60)
    lines = log.read_text().splitlines()
    begin = next(n for n, line in enumerate(lines) if '"BEGIN' in line)
    end = next(n for n, line in enumerate(lines) if '"250' in line)
    between = lines[begin:end]

    def at(*words: str) -> int:
        """The last line with these words: the parents' directories are synced when they are made, before the body."""
        return max(n for n, line in enumerate(between) if all(word in line for word in words))

    body, directory, row = at("fdatasync(", "/bodies/"), at(" fsync(", "/bodies/"), at("sync(", "mss.db-wal")
    assert body < directory < row
