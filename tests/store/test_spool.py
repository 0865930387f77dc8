"""What arrives is sealed while it does, read again in any piece, and gone without a trace."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mss.crypto.seal import FRAME_BYTES
from mss.mail.contents import OPENING_OCTETS, Contents, without_fields
from mss.model.clock import SeededChance
from mss.model.errors import StorageUnavailable
from mss.store.spool import PIECE_OCTETS, Spool, SpoolRoom

HEADER = b"Return-Path: <x@y.example>\r\nSubject: Bilan\r\n folded\r\n\r\n"


@pytest.fixture
def room(tmp_path: Path) -> SpoolRoom:
    return SpoolRoom(tmp_path / "spool", SeededChance(1), octets_max=4_000_000)


async def spooled(room: SpoolRoom, octets: bytes, *, step: int = 100_003) -> Spool:
    spool = room.open()
    for at in range(0, len(octets), step):
        await spool.write(octets[at : at + step])
    await spool.finish()
    return spool


@pytest.mark.parametrize("size", [1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, PIECE_OCTETS, 900_001])
async def test_what_came_is_read_again_whole_and_in_parts(room: SpoolRoom, size: int) -> None:
    """At and around every border."""
    octets = os.urandom(size)
    spool = await spooled(room, octets)
    assert b"".join(spool.pieces()) == octets
    for start, length in ((0, 1), (size - 1, 1), (size // 2, size), (size, 5), (FRAME_BYTES - 1, 2)):
        assert spool.read(start, length) == octets[start : start + length]
    spool.close()


async def test_a_spool_has_no_name_and_shows_nothing(room: SpoolRoom, tmp_path: Path) -> None:
    """Nothing to sweep after a crash; whoever reads the descriptor all the same reads ciphertext."""
    secret = b"Dominique PAT-TROIS"
    spool = await spooled(room, secret * 10_000)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert secret not in os.pread(spool._file.fileno(), 1_000_000, 0)
    spool.close()


async def test_more_than_all_may_hold_is_refused_and_room_comes_back(room: SpoolRoom) -> None:
    """A disk is not filled by mail that nobody has accepted."""
    first = await spooled(room, bytes(3_000_000))
    second = room.open()
    with pytest.raises(StorageUnavailable):
        await second.write(bytes(1_500_000))
    first.close()
    await second.write(bytes(1_500_000))
    second.close()
    assert room.used == 0


async def test_a_message_that_was_given_up_is_read_by_nobody(room: SpoolRoom) -> None:
    """Also by a thread that was in the middle of it: its descriptor may be somebody else's by now."""
    spool = await spooled(room, bytes(900_000))
    pieces = Contents(b"", spool).pieces()
    next(pieces)
    spool.close()
    with pytest.raises(StorageUnavailable):
        next(pieces)
    with pytest.raises(StorageUnavailable):
        await spool.write(b"more")


@pytest.mark.parametrize("body", [b"Bonjour\r\n", b"0123456789\r\n" * 60_000], ids=["small", "large"])
async def test_fields_are_taken_out_as_in_memory(room: SpoolRoom, body: bytes) -> None:
    """Once by intake and once more for the queue: the same octets, the same fingerprint."""
    raw = HEADER + body
    there = Contents(b"", await spooled(room, raw))
    key = bytes(32)
    assert there.fingerprint(key) == Contents(raw).fingerprint(key) != Contents(raw).fingerprint(bytes([1] * 32))
    for before, names in ((b"Received: x\r\n", ["Return-Path"]), (b"", ["Received", "Bcc"])):
        raw, there = without_fields(raw, *names, before=before), await there.without_fields(*names, before=before)
        assert there.whole() == raw
        assert await there.look(bytes.upper) == raw.upper()
        assert there.fingerprint(key) == AESGCM(key).encrypt(bytes(12), b"", raw), "GMAC"
        assert len(there) == len(raw)
        assert len(there.head) <= OPENING_OCTETS + 100


async def test_large_messages_are_looked_at_one_at_a_time(room: SpoolRoom) -> None:
    """However many come together, one of them is whole in memory."""
    now, most = 0, 0
    spools = [await spooled(room, bytes(900_000)) for _ in range(4)]

    def look(whole: bytes) -> int:
        nonlocal now, most
        now += 1
        most = max(most, now)
        for _ in range(200):
            hashlib.sha256(whole)  # lets other threads run
        now -= 1
        return len(whole)

    found = await asyncio.gather(*(Contents(b"", spool).look(look) for spool in spools))
    assert found == [900_000] * 4
    assert most == 1
