"""Crowds at the relay: hundreds of clients that drip an octet now and then, thousands that just stand there.

Everybody is cut when their time is over, whatever they drip; one peer holds its share of connections and no more; and
an honest operator's mail goes through between them.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import cycle

import pytest

from mss.smtp.limits import Limits
from mss.smtp.wire import Wire
from tests.kit.pki import Pki, pki
from tests.kit.smtp_wire import MESSAGE, SmtpClient, SmtpHouse, smtp_house

__all__ = ["pki"]

pytestmark = [pytest.mark.campaign, pytest.mark.slow, pytest.mark.timeout(1200)]


@dataclass(frozen=True)
class Size:
    """`limits` are the door's own in the full size; the small one has less patience, to end soon."""

    slow: int
    idle: int
    drip_s: float
    limits: Limits


MANY = Limits(connections_per_party_max=1000)  # the slow ones of this campaign share one certificate
SIZES = {
    "small": Size(60, 300, 0.2, replace(MANY, handshake_s=2.0, command_s=3.0, data_s=3.0)),
    "full": Size(500, 3_000, 2.0, MANY),
}
FROM_ONE_ADDRESS = 40
SLACK_S = 30  # for a machine that does other things too
HONEST_FLOOR = 50
HONEST_MS_MAX = 500.0
"""Nobody's mail may take longer than the longer of this and twice what it takes without a crowd."""

TLS_RECORD = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 500

Way = Callable[[str], Awaitable[tuple[SmtpClient, bytes]]]
"""From an address: a client, and what it will drip."""


@dataclass
class Slow:
    """How the crowd wastes time, and when each was cut."""

    house: SmtpHouse
    drip_s: float
    cut_after_s: dict[str, list[float]] = field(default_factory=dict)

    async def stands(self, address: str) -> tuple[SmtpClient, bytes]:
        return await SmtpClient.connect(self.house.ports["relay"], address=address), b""

    async def drips_a_command(self, address: str) -> tuple[SmtpClient, bytes]:
        client, _ = await self.stands(address)
        return client, b"EHLO " + b"x" * 200

    async def drips_a_handshake(self, address: str) -> tuple[SmtpClient, bytes]:
        client, _ = await self.stands(address)
        await client.hear()
        await client.ask("EHLO x")
        await client.ask("STARTTLS")
        return client, TLS_RECORD

    async def drips_a_message(self, address: str) -> tuple[SmtpClient, bytes]:
        client = await self.house.peer(address=address)
        await client.go_to_data()
        return client, MESSAGE

    async def waste(self, how: Way, address: str) -> None:
        """Until cut."""
        client, octets = await how(address)
        begun = time.monotonic()
        dripping = asyncio.create_task(self._drip(client, octets))
        try:
            while await client.reader.read(65536):
                pass
        except ConnectionError:
            pass
        dripping.cancel()
        self.cut_after_s.setdefault(how.__name__, []).append(time.monotonic() - begun)
        client.writer.close()

    async def _drip(self, client: SmtpClient, octets: bytes) -> None:
        with suppress(ConnectionError):
            for octet in octets:
                await client.say(bytes([octet]))
                await asyncio.sleep(self.drip_s)


async def milliseconds(client: SmtpClient) -> float:
    begun = time.monotonic()
    assert (await client.send()).code == 250
    return (time.monotonic() - begun) * 1000


def p99(times: list[float]) -> float:
    return sorted(times)[int(0.99 * len(times))]


async def slow_crowd(pki: Pki, size: Size) -> tuple[Slow, int, list[float], list[float]]:
    """What became of the slow ones, how many are still there, and the honest peer's milliseconds before and during."""
    async with smtp_house(pki, size.limits) as house:
        honest = await house.peer()
        calm = [await milliseconds(honest) for _ in range(HONEST_FLOOR)]
        slow = Slow(house, size.drip_s)
        ways = cycle((slow.stands, slow.drips_a_command, slow.drips_a_handshake, slow.drips_a_message))
        crowd = [
            asyncio.create_task(slow.waste(next(ways), f"127.0.1.{1 + n // FROM_ONE_ADDRESS}"))
            for n in range(size.slow)
        ]
        during = []
        last_s = time.monotonic() + max(size.limits.command_s, size.limits.data_s) + SLACK_S
        while not all(task.done() for task in crowd) and time.monotonic() < last_s:
            during.append(await milliseconds(honest))
            await asyncio.sleep(0.02)
        stayed = sum(not task.done() for task in crowd)
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
        return slow, stayed, calm, during


async def test_a_slow_crowd_is_cut_and_others_do_not_notice(pki: Pki, campaign_size: str) -> None:
    """Each deadline is absolute; an honest peer's mail takes what it took before."""
    size = SIZES[campaign_size]
    slow, stayed, calm, during = await slow_crowd(pki, size)
    latest = {way: f"{max(times):.1f} s" for way, times in slow.cut_after_s.items()}
    print(
        f"\nslow crowd: {size.slow} clients, an octet each {size.drip_s} s, still there {stayed}, cut by {latest};"
        f" honest {len(during)}, p99 {p99(calm):.0f} ms before, {p99(during):.0f} ms during"
    )
    assert stayed == 0
    assert sum(map(len, slow.cut_after_s.values())) == size.slow
    assert len(slow.cut_after_s) == 4
    assert len(during) >= HONEST_FLOOR, "too few to prove anything"
    assert p99(during) < max(HONEST_MS_MAX, 2 * p99(calm))


async def test_the_same_campaign_notices_a_deadline_that_octets_move(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    """A campaign that cannot fail proves nothing: here each octet buys the whole time again."""
    received = Wire.data_received

    def obliging(wire: Wire, data: bytes) -> None:
        wire._allow(wire.limits.command_s)
        received(wire, data)

    monkeypatch.setattr(Wire, "data_received", obliging)
    monkeypatch.setattr("tests.campaigns.test_crowds.SLACK_S", 3)
    _, stayed, _, _ = await slow_crowd(pki, replace(SIZES["small"], slow=8))
    assert stayed


async def test_a_peer_that_only_stands_there_holds_its_share(pki: Pki, campaign_size: str) -> None:
    """Thousands from one address: fifty are greeted, the rest told and let go; the next operator is greeted at once."""
    size = SIZES[campaign_size]
    async with smtp_house(pki) as house:
        heard: Counter[int] = Counter()
        crowd = []
        for _ in range(size.idle // 100):
            clients = await asyncio.gather(*(SmtpClient.connect(house.ports["relay"]) for _ in range(100)))
            crowd.extend(clients)
            heard.update([(await client.hear()).code for client in clients])
        begun = time.monotonic()
        honest = await house.peer(address="127.0.0.2")
        assert (await honest.send()).code == 250
        greeted_s = time.monotonic() - begun
        print(f"\nidle crowd: {len(crowd)} connections, {dict(heard)}, the next one greeted in {greeted_s:.2f} s")
        assert heard == {220: 50, 421: size.idle - 50}
        assert house.relay.open_connections == 51
        assert greeted_s < 1
        for client in (*crowd, honest):
            client.writer.close()
