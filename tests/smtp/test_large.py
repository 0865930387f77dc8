"""What is large goes aside while it arrives: little of it is ever in memory, and nothing stays of what ends badly."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mss.model.clock import SystemChance
from mss.smtp.limits import Limits
from mss.store.spool import SpoolRoom
from tests.kit.pki import Pki
from tests.kit.smtp_wire import DOCTOR, LAB_SENDER, MESSAGE, SmtpClient, SmtpHouse, smtp_house

LIMITS = Limits(octets_spooled_from=20_000, octets_in_memory_max=2_500_000)
LINE = b"0123456789abcdef" * 4 + b"\r\n"
LARGE = MESSAGE + LINE * 40_000
"""2.6 MB: more than may be in memory."""
GROUP = f"MAIL FROM:<{LAB_SENDER}>\r\nRCPT TO:<{DOCTOR}>\r\n".encode()


@asynccontextmanager
async def door(pki: Pki, spools: SpoolRoom) -> AsyncIterator[SmtpHouse]:
    async with smtp_house(pki, LIMITS, spools=spools) as opened:
        yield opened


@pytest.fixture
def spools(tmp_path: Path) -> SpoolRoom:
    return SpoolRoom(tmp_path / "spool", SystemChance())


async def nothing_stays(house: SmtpHouse, spools: SpoolRoom) -> None:
    async with asyncio.timeout(10):
        while spools.used or house.relay.memory.used:
            await asyncio.sleep(0.01)


async def by_data(client: SmtpClient, message: bytes) -> str:
    stuffed = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in message.split(b"\r\n"))
    await client.go_to_data()
    await client.say(stuffed + b".\r\n")
    return (await client.hear()).text


async def by_chunks(client: SmtpClient, message: bytes, size: int) -> str:
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    sent = [b"BDAT %d\r\n" % len(piece) + piece for piece in pieces]
    await client.say(GROUP + b"".join(sent) + b"BDAT 0 LAST\r\n")
    heard = [await client.hear() for _ in range(len(pieces) + 3)]
    return heard[-1].text


async def test_a_large_message_arrives_octet_for_octet_in_little_memory(pki: Pki, spools: SpoolRoom) -> None:
    """By DATA with dots to undo, by large chunks and by small ones; six at once where the memory holds none whole."""
    large = MESSAGE + b"".join(b".%d\r\n" % n + LINE * 40 for n in range(1000))
    async with door(pki, spools) as house:
        clients = [await house.peer() for _ in range(6)]
        ways = [by_data(client, large) for client in clients[:2]]
        ways += [
            by_chunks(client, large, size)
            for client, size in zip(clients[2:], (9_000, 60_000, 10**6, 10**7), strict=True)
        ]
        assert all(text.startswith("250 2.0.0 Ok") for text in await asyncio.gather(*ways))
        assert [kept.raw for kept in house.reception.kept] == [large] * 6
        await nothing_stays(house, spools)
        for client in clients:
            await client.close()


@pytest.mark.parametrize("end", [b"x\ny\r\n", b"x\0\r\n", b"y" * 70_000 + b"\r\n"], ids=["bare-lf", "nul", "long-line"])
async def test_what_is_refused_in_its_last_line_leaves_nothing(pki: Pki, spools: SpoolRoom, end: bytes) -> None:
    """All of it was put aside by then. The next message passes."""
    async with door(pki, spools) as house:
        client = await house.peer()
        assert (await by_data(client, LARGE + end)).startswith("554 5.6.0")
        assert house.reception.kept == []
        await nothing_stays(house, spools)
        assert (await by_data(client, LARGE)).startswith("250 2.0.0 Ok")
        await client.close()


@pytest.mark.parametrize("way", ["data", "chunks", "rset"])
async def test_what_is_broken_off_leaves_nothing(pki: Pki, spools: SpoolRoom, way: str) -> None:
    """The client dies in the middle, between two chunks, or thinks better of it."""
    async with door(pki, spools) as house:
        client = await house.peer()
        if way == "data":
            await client.go_to_data()
            await client.say(LARGE)
        else:
            await client.say(GROUP + b"BDAT %d\r\n" % len(LARGE) + LARGE)
            for _ in range(3):
                await client.hear()
        async with asyncio.timeout(10):
            while spools.used < len(LARGE) // 2:
                await asyncio.sleep(0.01)
        if way == "rset":
            assert (await client.ask("RSET")).code == 250
            await nothing_stays(house, spools)
        client.writer.transport.abort()
        await nothing_stays(house, spools)
        assert house.reception.kept == []


async def test_no_room_to_put_it_aside_is_later_and_ends_nothing(pki: Pki, tmp_path: Path) -> None:
    """A spool that is full, or that cannot be made: 451, and the connection goes on."""
    (tmp_path / "file").write_text("where a directory should be")
    for full in (
        SpoolRoom(tmp_path / "spool", SystemChance(), 1_000_000),
        SpoolRoom(tmp_path / "file", SystemChance()),
    ):
        async with door(pki, full) as house:
            client = await house.peer()
            assert (await by_data(client, LARGE)).startswith("451 4.3.0")
            assert (await client.send()).code == 250
            await nothing_stays(house, full)
            await client.close()


async def test_a_random_message_cut_anywhere_is_the_same(pki: Pki, spools: SpoolRoom) -> None:
    """Sizes around every threshold."""
    async with door(pki, spools) as house:
        client = await house.peer()
        for size in (19_990, 20_000, 20_001, 40_000, 40_001, 65_536, 262_144, 262_145):
            body = os.urandom(size).hex().encode()[: size - len(MESSAGE) - 2] + b"\r\n"
            body = b"\r\n".join(body[at : at + 900] for at in range(0, len(body), 900))
            assert (await by_data(client, MESSAGE + body)).startswith("250")
            assert house.reception.kept[-1].raw == MESSAGE + body
        await client.close()
