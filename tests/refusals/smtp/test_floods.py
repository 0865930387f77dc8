"""Danger: more connections, commands, recipients or octets than a house can hold.

Each has its limit and its reply; who stays below does not notice that somebody else went over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from mss.smtp.limits import Limits
from mss.smtp.meters import Caps
from tests.kit.pki import Pki
from tests.kit.smtp_wire import DOCTOR, LAB_SENDER, MESSAGE, SmtpClient, SmtpHouse, smtp_house

NARROW = Limits(
    connections_per_address_max=5,
    message_octets_max=200_000,
    octets_in_memory_max=300_000,
    errors_max=5,
    recipients_max=100,
)


@pytest.fixture
async def narrow(pki: Pki) -> AsyncIterator[SmtpHouse]:
    async with smtp_house(pki, NARROW) as opened:
        yield opened


async def test_the_sixth_connection_is_told_later(narrow: SmtpHouse) -> None:
    """In words, and a place that becomes free is free."""
    clients = [await narrow.visitor() for _ in range(5)]
    sixth = await SmtpClient.connect(narrow.ports["relay"])
    assert (await sixth.hears_to_the_end()).startswith("421 4.7.0 ")
    await clients[0].ask("QUIT")
    assert await clients[0].is_closed()
    await clients[0].close()
    again = await narrow.visitor()
    assert (await again.ask("NOOP")).code == 250
    for client in [*clients[1:], again]:
        await client.close()


async def test_a_stranger_gets_in_beside_a_thousand_connections(pki: Pki) -> None:
    """One address holds its share and no more; the next one is greeted at once."""
    async with smtp_house(pki) as house:
        crowd = [await SmtpClient.connect(house.ports["relay"]) for _ in range(300)]
        heard = [(await client.hear()).code for client in crowd]
        assert heard.count(220) == 50
        assert heard.count(421) == 250
        reader, writer = await asyncio.open_connection("127.0.0.1", house.ports["relay"], local_addr=("127.0.0.2", 0))
        async with asyncio.timeout(1):
            assert (await reader.readline()).startswith(b"220 ")
        writer.close()
        for client in crowd:
            client.writer.close()


async def test_one_certificate_has_its_share_of_connections_wherever_it_comes_from(pki: Pki) -> None:
    """The third connection that sends is told later and closed; another operator at the same address gets in."""
    async with smtp_house(pki, Limits(connections_per_party_max=2)) as house:
        known = [await house.peer(), await house.peer(address="127.0.0.2")]
        for client in known:
            assert (await client.send()).code == 250
            assert (await client.send()).code == 250
        third = await house.peer(address="127.0.0.3")
        await third.say(f"MAIL FROM:<{LAB_SENDER}>\r\n".encode())
        assert (await third.hears_to_the_end()) == "421 4.7.0 Too many connections, try again later\r\n"
        other = await house.peer(house.pki.hospital)
        assert (await other.send(sender=DOCTOR)).code == 250
        await known[0].ask("QUIT")
        assert await known[0].is_closed()
        fourth = await house.peer(address="127.0.0.4")
        assert (await fourth.send()).code == 250
        for client in (*known, third, other, fourth):
            await client.close()


async def test_who_sends_too_much_is_told_later_and_nobody_else(pki: Pki) -> None:
    """Messages, recipients, octets: 450 4.7.0, the session stays, and after a while mail passes again."""
    caps = Caps(messages_per_minute=3, recipients_per_minute=10, octets_per_minute=100_000)
    async with smtp_house(pki, caps=caps) as house:
        client, other = await house.peer(), await house.peer(house.pki.hospital)

        async def told() -> list[str]:
            heard = [str(await client.ask(f"MAIL FROM:<{LAB_SENDER}>"))]
            return [*heard, str(await client.ask(f"RCPT TO:<{DOCTOR}>")), str(await client.ask("RSET"))]

        for _ in range(3):
            assert (await client.send()).code == 250
        assert (await told())[0] == "450 4.7.0 Too much at once, try again later"
        assert (await other.send(sender=DOCTOR)).code == 250
        house.clock.forward(60)
        await client.ask(f"MAIL FROM:<{LAB_SENDER}>")
        burst = [await client.ask(f"RCPT TO:<medecin.{n}@chu.mssante.example>") for n in range(12)]
        assert [heard.code for heard in burst] == [250] * 10 + [450] * 2
        await client.ask("RSET")
        house.clock.forward(60)
        assert (await client.send(MESSAGE + (b"x" * 76 + b"\r\n") * 1500)).code == 250
        assert (await told())[0].startswith("450 4.7.0 ")
        house.clock.forward(60)
        assert (await client.send()).code == 250
        assert (await other.send(sender=DOCTOR)).code == 250
        for one in (client, other):
            await one.close()


async def test_a_demo_is_not_in_its_own_way(pki: Pki) -> None:
    """The defaults let one peer open eight connections and send thousands of messages in a minute."""
    async with smtp_house(pki) as house:
        clients = [await house.peer() for _ in range(8)]

        async def many(client: SmtpClient) -> None:
            group = f"MAIL FROM:<{LAB_SENDER}>\r\nRCPT TO:<{DOCTOR}>\r\n".encode()
            message = group + b"BDAT %d LAST\r\n" % len(MESSAGE) + MESSAGE
            for _ in range(20):
                await client.say(message * 20)
                assert {(await client.hear()).code for _ in range(60)} == {250}

        await asyncio.gather(*map(many, clients))
        assert len(house.reception.kept) == 8 * 400
        for client in clients:
            await client.close()


async def test_errors_have_an_end(narrow: SmtpHouse) -> None:
    """Software that does not speak SMTP is not talked to for ever."""
    client = await narrow.visitor()
    await client.say(b"GET / HTTP/1.1\r\nHost: smtp\r\nAccept: */*\r\nUser-Agent: x\r\nCookie: y\r\nOrigin: z\r\n\r\n")
    said = await client.hears_to_the_end()
    assert said.count("500 5.5.1") == 5
    assert said.endswith("421 4.7.0 Too many errors, closing\r\n")


async def test_a_thousand_recipients_in_a_burst_are_told_to_come_again(house: SmtpHouse) -> None:
    """The first hundred get their mail; for each of the others the sender reads 452 4.5.3."""
    client = await house.peer()
    burst = "".join(f"RCPT TO:<medecin.{n}@chu.mssante.example>\r\n" for n in range(999))
    await client.say(f"MAIL FROM:<{LAB_SENDER}>\r\n{burst}DATA\r\n".encode())
    assert (await client.hear()).code == 250
    replies = [(await client.hear()).text[:9] for _ in range(999)]
    assert replies == ["250 2.1.5"] * 100 + ["452 4.5.3"] * 899
    assert (await client.hear()).code == 354
    await client.say(MESSAGE + b".\r\n")
    assert (await client.hear()).code == 250
    assert len(house.reception.kept[0].envelope.recipients) == 100
    await client.close()


async def test_a_message_over_the_limit_is_read_to_its_end_and_refused(narrow: SmtpHouse) -> None:
    """The session goes on; a small one passes."""
    client = await narrow.peer()
    await client.go_to_data()
    await client.say(MESSAGE + (b"x" * 76 + b"\r\n") * 3000 + b".\r\n")
    assert (await client.hear()).text.startswith("552 5.3.4 ")
    assert narrow.relay.memory.used == 0
    assert (await client.send()).code == 250
    await client.close()


async def test_a_message_without_end_is_cut(narrow: SmtpHouse) -> None:
    """Twice the limit is proof enough."""
    client = await narrow.peer()
    await client.go_to_data()

    async def talk_on() -> None:
        for _ in range(5000):
            await client.say((b"x" * 76 + b"\r\n") * 200)
            await asyncio.sleep(0)

    with pytest.raises(ConnectionError):
        await talk_on()
    assert narrow.reception.kept == []


async def test_memory_is_shared_out_and_given_back(narrow: SmtpHouse) -> None:
    """Two large messages at once are one too many here; the second is told later, and passes later."""
    large = MESSAGE + (b"x" * 76 + b"\r\n") * 2300
    first, second = await narrow.peer(), await narrow.peer()
    await first.go_to_data()
    await first.say(large)
    async with asyncio.timeout(5):
        while narrow.relay.memory.used < 150_000:
            await asyncio.sleep(0.01)
    assert (await second.send(large)).text.startswith("450 4.7.0 ")
    await first.say(b".\r\n")
    assert (await first.hear()).code == 250
    assert (await second.send(large)).code == 250
    assert narrow.relay.memory.used == 0
    await first.close()
    await second.close()


async def test_memory_is_given_back_when_a_client_dies(narrow: SmtpHouse) -> None:
    """Otherwise a hundred crashes would close the door."""
    client = await narrow.peer()
    await client.go_to_data(recipient=DOCTOR)
    await client.say(MESSAGE + (b"x" * 76 + b"\r\n") * 2000)
    async with asyncio.timeout(5):
        while narrow.relay.memory.used < 100_000:
            await asyncio.sleep(0.01)
        client.writer.transport.abort()
        while narrow.relay.memory.used or narrow.relay.open_connections:
            await asyncio.sleep(0.01)
