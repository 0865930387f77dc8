"""Do we find the host that takes mail for a domain, and does no answer of DNS make mail bounce?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import dns.asyncresolver
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from mss.model.clock import SeededChance
from mss.smtp.routes import Host, NoRoute, Signposts

ZONE = {
    "labo.mssante.example.": ["20 second.example.", "10 first.example.", "10 equal.example."],
    "none.mssante.example.": ["0 ."],
    "many.mssante.example.": [f"{n} mx{n}.example." for n in range(30)],
}
EXISTS = {"bare.mssante.example."}
BROKEN = {"broken.mssante.example."}


class NameServer(asyncio.DatagramProtocol):
    """Answers from the zone above."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        query = dns.message.from_wire(data)
        name = str(query.question[0].name)
        answer = dns.message.make_response(query)
        if name in ZONE:
            answer.answer.append(dns.rrset.from_text_list(query.question[0].name, 60, "IN", "MX", ZONE[name]))
        elif name in BROKEN:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif name not in EXISTS:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(answer.to_wire(), address)


@pytest.fixture
async def resolver() -> AsyncIterator[dns.asyncresolver.Resolver]:
    """A resolver that asks the name server of this test."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    asking = dns.asyncresolver.Resolver(configure=False)
    asking.nameservers = ["127.0.0.1"]
    asking.port = transport.get_extra_info("sockname")[1]
    asking.lifetime = asking.timeout = 2
    yield asking
    transport.close()


async def test_a_static_route_comes_first(chance: SeededChance, resolver: dns.asyncresolver.Resolver) -> None:
    """Settings of the operator are stronger than DNS; `*` is for every other domain."""
    routes: dict[str, tuple[str, int] | None] = {"labo.mssante.example": ("127.0.0.1", 2525)}
    assert await Signposts(routes, chance, resolver).hosts("labo.mssante.example") == [Host("127.0.0.1", 2525)]
    routes["*"] = ("relay.example", 25)
    assert await Signposts(routes, chance, resolver).hosts("chu.mssante.example") == [Host("relay.example", 25)]
    routes["*"] = None
    with pytest.raises(NoRoute):
        await Signposts(routes, chance, resolver).hosts("chu.mssante.example")


async def test_hosts_come_in_order_of_preference(resolver: dns.asyncresolver.Resolver) -> None:
    """The best first, equals in either order, a long list cut."""
    orders = set()
    for seed in range(20):
        hosts = await Signposts({}, SeededChance(seed), resolver).hosts("labo.mssante.example")
        orders.add(tuple(host.name for host in hosts))
    assert orders == {
        ("first.example", "equal.example", "second.example"),
        ("equal.example", "first.example", "second.example"),
    }
    many = await Signposts({}, SeededChance(1), resolver).hosts("many.mssante.example")
    assert [host.name for host in many] == [f"mx{n}.example" for n in range(5)]


async def test_a_domain_without_mx_is_its_own_host(chance: SeededChance, resolver: dns.asyncresolver.Resolver) -> None:
    """RFC 5321 §5.1."""
    assert await Signposts({}, chance, resolver).hosts("bare.mssante.example") == [Host("bare.mssante.example", 25)]


@pytest.mark.parametrize("domain", ["none.mssante.example", "gone.mssante.example", "broken.mssante.example"])
async def test_dns_never_says_no_for_good(
    chance: SeededChance, resolver: dns.asyncresolver.Resolver, domain: str
) -> None:
    """Nobody signs these answers: mail waits until the trust list or time decides."""
    with pytest.raises(NoRoute):
        await Signposts({}, chance, resolver).hosts(domain)
