"""Is a message in chunks (BDAT, RFC 3030) what it would have been as DATA, and never more?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from mss.smtp.limits import Limits
from tests.kit.pki import Pki
from tests.kit.smtp_wire import DOCTOR, LAB_SENDER, MESSAGE, SmtpClient, SmtpHouse, smtp_house

GROUP = f"MAIL FROM:<{LAB_SENDER}>\r\nRCPT TO:<{DOCTOR}>\r\n".encode()
NARROW = Limits(message_octets_max=200_000, octets_in_memory_max=300_000, chunks_max=20, idle_commands_max=10)
LINE = b"x" * 76 + b"\r\n"


@pytest.fixture
async def narrow(pki: Pki) -> AsyncIterator[SmtpHouse]:
    async with smtp_house(pki, NARROW) as opened:
        yield opened


def chunked(message: bytes, octets: int) -> bytes:
    """A message as BDAT commands, all in one."""
    pieces = [message[at : at + octets] for at in range(0, len(message), octets)]
    last = [b""] * (len(pieces) - 1) + [b" LAST"]
    return b"".join(b"BDAT %d%s\r\n%s" % (len(piece), end, piece) for piece, end in zip(pieces, last, strict=True))


async def heard(client: SmtpClient, count: int) -> list[str]:
    return [(await client.hear()).text for _ in range(count)]


@pytest.mark.parametrize("octets", [1, 7, 100, 1000])
async def test_a_message_in_chunks_is_kept_whole(house: SmtpHouse, octets: int) -> None:
    """In one breath with its envelope and what comes next; lines and even CRLF may be cut."""
    client = await house.peer()
    message = MESSAGE + b".\r\n..\r\n\r\n.\r\nFin\r\n"  # nothing in it is an end, and no dot is lost
    pieces = -(-len(message) // octets)
    await client.say(GROUP + chunked(message, octets) + b"NOOP\r\n")
    told = await heard(client, 2 + pieces + 1)
    assert all(text.startswith("250 2.") for text in told)
    assert told[-2] == "250 2.0.0 Ok: 1"
    assert [kept.raw for kept in house.reception.kept] == [message]
    assert house.relay.memory.used == 0
    await client.close()


async def test_a_large_message_goes_both_ways(house: SmtpHouse) -> None:
    """Larger than any buffer between, with other commands right behind."""
    message = MESSAGE + LINE * 30_000
    client = await house.peer()
    await client.say(GROUP + chunked(message, 999_983) + GROUP + b"BDAT %d LAST\r\n" % len(message) + message)
    assert (await heard(client, 5))[-1] == "250 2.0.0 Ok: 1"
    assert (await heard(client, 3))[-1] == "250 2.0.0 Ok: 2"
    await client.send(message)
    assert {kept.raw for kept in house.reception.kept} == {message}
    await client.close()


async def test_a_last_line_without_end_is_ended(house: SmtpHouse) -> None:
    """As DATA would have forced on it: what goes on from here is lines."""
    client = await house.peer()
    await client.say(GROUP + chunked(MESSAGE[:-2], 1000))
    await heard(client, 3)
    assert [kept.raw for kept in house.reception.kept] == [MESSAGE]
    await client.close()


async def test_rset_forgets_what_came(house: SmtpHouse) -> None:
    """And gives back its memory; the next message begins with nothing."""
    client = await house.peer()
    await client.say(GROUP + b"BDAT %d\r\n" % len(LINE) + LINE)
    await heard(client, 3)
    assert house.relay.memory.used == len(LINE)
    assert (await client.ask("RSET")).code == 250
    assert house.relay.memory.used == 0
    await client.say(GROUP + chunked(MESSAGE, 1000))
    await heard(client, 3)
    assert [kept.raw for kept in house.reception.kept] == [MESSAGE]
    await client.close()


async def test_octets_of_a_refused_message_are_no_commands(house: SmtpHouse) -> None:
    """A pipelined chunk whose sender or recipient was refused is thrown away, whatever it says."""
    client = await house.peer()
    hidden = GROUP + b"BDAT 3 LAST\r\nx\r\n"
    refused = f"MAIL FROM:<bio@elsewhere.example>\r\nRCPT TO:<{DOCTOR}>\r\n".encode()
    unknown = f"MAIL FROM:<{LAB_SENDER}>\r\nRCPT TO:<mailbox-unknown@chu.mssante.example>\r\n".encode()
    for group, codes in ((refused, ["550", "503", "503"]), (unknown, ["250", "550", "554"])):
        await client.say(group + b"BDAT %d LAST\r\n" % len(hidden) + hidden + b"RSET\r\n")
        assert [text[:3] for text in await heard(client, 4)] == [*codes, "250"]
    assert house.reception.kept == []
    assert (await client.send()).code == 250
    await client.close()


async def test_chunks_share_one_limit(narrow: SmtpHouse) -> None:
    """The size of a message is that of all its chunks; the next message passes."""
    client = await narrow.peer()
    await client.say(GROUP + chunked(MESSAGE + LINE * 3500, 50_000))
    told = await heard(client, 2 + 6)
    assert [text[:9] for text in told[-2:]] == ["552 5.3.4"] * 2
    assert narrow.relay.memory.used == 0
    await client.say(GROUP + chunked(MESSAGE, 1000))
    assert (await heard(client, 3))[-1].startswith("250 2.0.0 Ok")
    await client.close()


async def test_an_absurd_chunk_is_not_waited_for(narrow: SmtpHouse) -> None:
    """Twice the limit is proof enough, before an octet of it has come."""
    client = await narrow.peer()
    await client.say(GROUP + b"BDAT 99999999999999999999 LAST\r\n")
    assert (await client.hears_to_the_end()).splitlines()[-1].startswith("552 5.3.4")


async def test_crumbs_have_an_end(narrow: SmtpHouse) -> None:
    """Nobody makes us count to a million, nor do nothing for ever."""
    for crumb, end in ((b"BDAT 1\r\nx", "421 4.7.0 Too many chunks"), (b"BDAT 0\r\n", "421 4.7.0 Nothing to do")):
        client = await narrow.peer()
        await client.say(GROUP + crumb * 50)
        assert (await client.hears_to_the_end()).splitlines()[-1].startswith(end)
    assert narrow.relay.memory.used == 0


async def test_memory_is_given_back_when_a_client_dies_between_chunks(narrow: SmtpHouse) -> None:
    """Otherwise a hundred crashes would close the door."""
    client = await narrow.peer()
    await client.say(GROUP + b"BDAT %d\r\n" % (len(LINE) * 2000) + LINE * 2000)
    await heard(client, 3)
    assert narrow.relay.memory.used > 100_000
    client.writer.transport.abort()
    async with asyncio.timeout(5):
        while narrow.relay.memory.used or narrow.relay.open_connections:
            await asyncio.sleep(0.01)


async def test_small_chunks_buy_no_time(pki: Pki) -> None:
    """The patience is that of one message, however many commands bring it."""
    async with smtp_house(pki, Limits(command_s=5, data_s=0.5, data_octets_per_s=1_000_000)) as house:
        client = await house.peer()
        await client.say(GROUP)
        await heard(client, 2)
        async with asyncio.timeout(10):
            while (told := await client.ask("BDAT 2\r\n")).code == 250:
                await asyncio.sleep(0.05)
        assert told.text == "421 4.4.2 Timeout, closing"
        assert house.reception.kept == []
