"""Under which of our certificates does mail leave, and over which connection?

An operator may hold several domains and a certificate for some of them. Mail of a domain leaves under its own
certificate only, since peers refuse it under another: connections are told apart by the certificate that we showed.
A connection that nobody needs just now may carry mail for another domain at the same host; whether the certificate that
answered there is right for it is the courier's to ask.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from mss.smtp.link import Link
from mss.smtp.routes import Host

LINKS_KEPT_MAX = 2
"""By one worker: mail of two certificates of ours in turn costs no handshake each, and a peer has few connections."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One of our certificates towards operators."""

    name: str
    """Tells it from our others, also when its files have been renewed."""
    tls: Callable[[], ssl.SSLContext]
    """The current `crypto.tls.relay_client_context` that shows it."""


@dataclass(frozen=True, slots=True)
class Identities:
    """All of them."""

    usual: Identity
    of_domain: Mapping[str, Identity] = field(default_factory=dict)
    """Domains of ours that have another than the usual one."""

    def of(self, sender_domain: str) -> Identity:
        """Under which mail of that domain of ours leaves."""
        return self.of_domain.get(sender_domain, self.usual)


class Links:
    """The connections that one worker keeps to one destination: one for each certificate of ours, the newest few."""

    def __init__(self, harbour: Harbour) -> None:
        self.on_lent: Callable[[], None] = _nobody_asks
        """Called when another worker has got one: who waits for mail need not wait any longer."""
        self._kept: dict[str, Link] = {}
        self._harbour = harbour
        harbour.everybodys[self] = None

    @property
    def are_open(self) -> bool:
        """Something is kept that the next mail may use."""
        return any(link.is_open for link in self._kept.values())

    def take(self, identity: Identity) -> Link | None:
        """The one on which we showed that certificate; whoever takes it keeps it again, or closes it."""
        return self._kept.pop(identity.name, None)

    def to(self, host: Host, identity: Identity) -> Link | None:
        """The one on which we showed that certificate to that host, if it is open. It stays here."""
        link = self._kept.get(identity.name)
        return link if link is not None and link.is_open and link.host == host else None

    def lend(self, link: Link) -> bool:
        """Give a connection away for good; False when it is in use again, or closed."""
        for name, kept in self._kept.items():
            if kept is link and link.is_open:
                del self._kept[name]
                self.on_lent()
                return True
        return False

    async def keep(self, identity: Identity, link: Link) -> None:
        """For the next mail that leaves under it."""
        self._kept[identity.name] = link
        while len(self._kept) > LINKS_KEPT_MAX:
            await self._kept.pop(next(iter(self._kept))).close()

    async def close(self) -> None:
        """Say goodbye on each; nothing is kept here any more."""
        self._harbour.everybodys.pop(self, None)
        while self._kept:
            await self._kept.popitem()[1].close()


class Harbour:
    """Where the connections of all workers lie while they carry nothing."""

    def __init__(self) -> None:
        self.everybodys: dict[Links, None] = {}
        """Of workers that are at work, the oldest first."""

    def at(self, host: Host, identity: Identity) -> Iterator[tuple[Links, Link]]:
        """Who keeps a connection to that host on which we showed that certificate, and which."""
        for links in list(self.everybodys):
            if (link := links.to(host, identity)) is not None:
                yield links, link


def _nobody_asks() -> None:
    """Its worker carries mail now."""
