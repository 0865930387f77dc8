"""Danger: five hundred clients that say one octet every two seconds, and nobody else gets in.

Each wait has an absolute deadline that no octet moves: for the handshake, for a command, for a message (which may
take longer the more of it has come). Others do not notice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.kit.smtp_wire import MESSAGE, SmtpClient, SmtpHouse

DRIP_S = 0.05
TOO_LONG_S = 3.0  # of deadlines that are 0.4 s here; a shared machine is slow

Step = Callable[[SmtpClient], Coroutine[Any, Any, None]]


async def drip(client: SmtpClient, octets: bytes) -> None:
    """One octet at a time, until the other side has had enough."""
    try:
        for octet in octets:
            await client.say(bytes([octet]))
            await asyncio.sleep(DRIP_S)
    except ConnectionError:
        pass


async def say_nothing(client: SmtpClient) -> None:
    """Just be there."""


async def drip_a_command(client: SmtpClient) -> None:
    await drip(client, b"EHLO " + b"x" * 200)


async def drip_a_handshake(client: SmtpClient) -> None:
    await client.ask("EHLO x")
    await client.ask("STARTTLS")
    await drip(client, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 200)


async def say_nothing_in_the_handshake(client: SmtpClient) -> None:
    await client.ask("EHLO x")
    await client.ask("STARTTLS")


async def _nobody_is_left(house: SmtpHouse) -> None:
    """Both ends have hung up; ours hears of the other's."""
    async with asyncio.timeout(TOO_LONG_S):
        while house.relay.open_connections:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("slowly", [say_nothing, drip_a_command, drip_a_handshake, say_nothing_in_the_handshake])
async def test_a_slow_stranger_is_cut(hasty_house: SmtpHouse, slowly: Step) -> None:
    """However regularly the octets come."""
    client = await hasty_house.visitor()
    begun = time.monotonic()
    dripping = asyncio.create_task(slowly(client))
    await client.hears_to_the_end()
    assert time.monotonic() - begun < TOO_LONG_S
    dripping.cancel()
    await client.close()
    await _nobody_is_left(hasty_house)


async def test_a_slow_message_is_cut(hasty_house: SmtpHouse) -> None:
    """DATA has its deadline too, and nothing of the message is kept."""
    client = await hasty_house.peer()
    await client.go_to_data()
    begun = time.monotonic()
    dripping = asyncio.create_task(drip(client, MESSAGE))
    assert (await client.hears_to_the_end()).startswith("421 4.4.2 ")
    assert time.monotonic() - begun < TOO_LONG_S
    dripping.cancel()
    assert hasty_house.reception.kept == []
    assert hasty_house.relay.memory.used == 0


async def test_a_large_message_may_take_longer(hasty_house: SmtpHouse) -> None:
    """A second more for each 10 kB: an honest slow line is not a slow client."""
    client = await hasty_house.peer()
    await client.go_to_data()
    await client.say(MESSAGE[:-2])
    for _ in range(10):
        await client.say(b"x" * 998 + b"\r\n")
        await asyncio.sleep(0.1)
    await client.say(b".\r\n")
    assert (await client.hear()).code == 250
    assert len(hasty_house.reception.kept) == 1
    await client.close()


async def test_doing_nothing_busily_ends_too(house: SmtpHouse) -> None:
    """NOOP restarts no patience for ever."""
    client = await house.peer()
    await client.say(b"NOOP\r\n" * 200)
    said = await client.hears_to_the_end()
    assert said.count("250 2.0.0") < 100
    assert said.endswith("421 4.7.0 Nothing to do, closing\r\n")


async def test_who_reads_no_replies_is_cut(hasty_house: SmtpHouse) -> None:
    """Our own send buffer is a queue like any other."""
    client = await hasty_house.visitor()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]

    async def talk_on() -> None:
        while True:
            await client.say(b"EHLO x\r\nRSET\r\n" * 500)
            await asyncio.sleep(0)

    with pytest.raises((ConnectionError, TimeoutError)):
        await asyncio.wait_for(talk_on(), 20)
    async with asyncio.timeout(TOO_LONG_S):
        while hasty_house.relay.open_connections:
            await asyncio.sleep(0.05)


async def test_who_reads_no_replies_is_asked_nothing_more(house: SmtpHouse) -> None:
    """Commands wait while our send buffer is full."""
    client = await house.peer()
    (wire,) = house.relay._open
    wire.pause_writing()  # as the transport does when the buffer is over its mark
    await client.say(b"NOOP\r\n")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.reader.readexactly(1), 0.2)
    wire.resume_writing()
    assert (await client.hear()).code == 250
    await client.close()


async def test_others_do_not_notice(hasty_house: SmtpHouse) -> None:
    """Forty slow ones at once, and an honest peer's mail goes through between them."""
    slow = [await hasty_house.visitor() for _ in range(40)]
    dripping = [asyncio.create_task(drip(client, b"EHLO " + b"x" * 100)) for client in slow]
    honest = await hasty_house.peer()
    begun = time.monotonic()
    for _ in range(10):
        assert (await honest.send()).code == 250
    assert time.monotonic() - begun < 1.5
    await honest.close()
    for task, client in zip(dripping, slow, strict=True):
        task.cancel()
        await client.hears_to_the_end()
        await client.close()
    await _nobody_is_left(hasty_house)
