"""Which host takes mail for a domain?

Static routes first, else DNS (RFC 5321 §5.1). DNS is asked where to go and never whom to trust: the host's certificate
must be the one that the trust list names for the domain. So no answer of DNS, nor its silence, makes mail bounce;
it only makes it wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver
from dns.rdtypes.ANY.MX import MX

from mss.model.clock import Chance
from mss.model.errors import MssError

SMTP_PORT = 25
HOSTS_MAX = 5
"""Tried for one message at one time; the rest of a long list can be tried next time."""
LOOKUP_S = 10.0
SRV_LOOKUP_S = 2.0
"""A doctor does not keep people waiting."""
EVERY_OTHER = "*"
"""The key of `routes` for each domain that has none of its own."""


class NoRoute(MssError):
    """No host is known to take mail for this domain, now."""


@dataclass(frozen=True, slots=True)
class Host:
    """Where to connect."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"{self.name}:{self.port}"


Routes = Mapping[str, tuple[str, int] | None]
"""Domain to host and port; None is "there is no way there", which keeps a demo or a laboratory off the DNS."""


class Signposts:
    """Finds hosts."""

    def __init__(self, routes: Routes, chance: Chance, resolver: dns.asyncresolver.Resolver | None = None) -> None:
        """Without a `resolver` the machine's own is used, once it is needed."""
        self._routes = routes
        self._chance = chance
        self._resolver = resolver

    async def hosts(self, domain: str) -> list[Host]:
        """Hosts to try, in this order. Raises NoRoute."""
        if domain in self._routes or EVERY_OTHER in self._routes:
            route = self._routes.get(domain, self._routes.get(EVERY_OTHER))
            if route is None:
                raise NoRoute("no-route")
            return [Host(*route)]
        return await self._by_mx(domain)

    async def _by_mx(self, domain: str) -> list[Host]:
        resolver = self._resolver or dns.asyncresolver.Resolver()
        self._resolver = resolver
        name = dns.name.from_text(domain)
        try:
            answer = await resolver.resolve(name, dns.rdatatype.MX, lifetime=LOOKUP_S)
        except dns.resolver.NoAnswer:
            return [Host(domain, SMTP_PORT)]  # the domain itself, RFC 5321 §5.1
        except dns.exception.DNSException as problem:
            raise NoRoute(f"dns-{type(problem).__name__.lower()}") from problem
        listed = [record for record in answer if isinstance(record, MX)]
        # Equal preferences share the load (RFC 5321 §5.1).
        listed.sort(key=lambda record: (record.preference, self._chance.below(1 << 30)))
        hosts = [Host(str(record.exchange).rstrip("."), SMTP_PORT) for record in listed[:HOSTS_MAX]]
        if any(not host.name for host in hosts):
            raise NoRoute("null-mx")  # RFC 7505: this domain takes no mail
        return hosts


async def srv_of(name: str) -> set[str] | None:
    """What the DNS says of a service (RFC 2782), `priority weight port target.` each; None when no resolver answers."""
    try:
        resolver = dns.asyncresolver.Resolver()
        answer = await resolver.resolve(dns.name.from_text(name), dns.rdatatype.SRV, lifetime=SRV_LOOKUP_S)
    except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
        return set()
    except (dns.exception.DNSException, OSError):
        return None
    return {record.to_text() for record in answer}
