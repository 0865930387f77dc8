"""Under which of our certificates does mail leave, and over which connection?

An operator may hold several domains and a certificate for some of them. Mail of a domain leaves under its own
certificate only, since peers refuse it under another: connections are told apart by the certificate that we showed.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mss.smtp.link import Link

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

    def __init__(self) -> None:
        self._kept: dict[str, Link] = {}

    @property
    def are_open(self) -> bool:
        """Something is kept that the next mail may use."""
        return any(link.is_open for link in self._kept.values())

    def take(self, identity: Identity) -> Link | None:
        """The one on which we showed that certificate; whoever takes it keeps it again, or closes it."""
        return self._kept.pop(identity.name, None)

    async def keep(self, identity: Identity, link: Link) -> None:
        """For the next mail that leaves under it."""
        self._kept[identity.name] = link
        while len(self._kept) > LINKS_KEPT_MAX:
            await self._kept.pop(next(iter(self._kept))).close()

    async def close(self) -> None:
        """Say goodbye on each."""
        while self._kept:
            await self._kept.popitem()[1].close()
