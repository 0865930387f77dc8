"""How much may anybody ask of a mail door at once, and how long may it take?

Every number has its reason; a server takes a `Limits` of its own. Connections are counted by address, by certificate
or account, and in all; octets of messages in memory over all connections of a door. (How much may come in a minute:
`meters.py`.)
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from mss.model.ids import network_of
from mss.smtp.blocks import LINE_OCTETS_MAX


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one door. The defaults are those of the contract and of a server with a few GiB."""

    message_octets_max: int = 35 * 1024 * 1024
    """25 MB of attachments after base64, as MSSanté asks; announced as SIZE (RFC 1870)."""
    line_octets_max: int = LINE_OCTETS_MAX
    command_octets_max: int = 4096
    """Eight times RFC 5321 §4.5.3.1.4: room for parameters."""
    auth_octets_max: int = 12288
    """RFC 4954 §4: what SASL may need in one line."""
    recipients_max: int = 100
    """RFC 5321 §4.5.3.1.8: the least that everybody must take, and enough."""

    chunks_max: int = 40_000
    """Of one message: the largest in pieces of less than a KiB. Nobody's software cuts it so small."""

    errors_max: int = 20
    """Commands that we do not understand, or out of order: software that errs so often is not talking SMTP."""
    bad_lines_max: int = 3
    """Lines not ended by CRLF: nobody's software does that three times by mistake."""
    refusals_max: int = 1000
    """Refused senders, recipients and messages since the last accepted message. Who sends a thousand recipients at once
    is to read for each of the nine hundred that they are to come again."""
    idle_commands_max: int = 100
    """NOOP, RSET, EHLO and their like since the last accepted message."""
    failed_logins_max: int = 3
    """RFC 4954 §4 leaves the number to us; the account's own slowing-down counts across connections."""

    handshake_s: float = 10.0
    command_s: float = 60.0
    """To send one whole command, however the octets drip. Our courier keeps idle connections half as long."""
    data_s: float = 60.0
    data_octets_per_s: int = 10_000
    """DATA may take `data_s` and a second for each so many octets: 80 kbit/s, the slowest line of a practice."""
    closing_s: float = 5.0
    """To read our last words before the connection is cut."""

    connections_max: int = 1000
    """A dozen kB each once encrypted, and a descriptor."""
    connections_per_address_max: int = 50
    """A large operator delivers from a few addresses with some ten connections each."""
    connections_per_party_max: int = 50
    """With one certificate or account, from wherever."""
    octets_in_memory_max: int = 256 * 1024 * 1024
    """Messages that are arriving now, over all connections: thousands of usual ones; of large ones what is on its way
    to the spool (seven of the largest, where there is none)."""
    octets_spooled_from: int = 1024 * 1024
    """Of a message that is arriving, what exceeds this goes to the spool; twice as much, and the client waits."""


class ConnectionCounter:
    """Who is connected how often."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_network: Counter[str] = Counter()
        self._by_party: Counter[str] = Counter()
        self.total = 0

    def enter(self, address: str) -> bool:
        """Count one more from there; False, and nothing counted, when that would be too many."""
        network = network_of(address)
        if self.total >= self._limits.connections_max:
            return False
        if self._by_network[network] >= self._limits.connections_per_address_max:
            return False
        self.total += 1
        self._by_network[network] += 1
        return True

    def leave(self, address: str) -> None:
        network = network_of(address)
        self.total -= 1
        self._by_network[network] -= 1
        if self._by_network[network] <= 0:
            del self._by_network[network]

    def enter_party(self, name: str) -> bool:
        """A connection counted before turns out to be theirs; False, and nothing counted, when it is one too many."""
        if self._by_party[name] >= self._limits.connections_per_party_max:
            return False
        self._by_party[name] += 1
        return True

    def leave_party(self, name: str) -> None:
        self._by_party[name] -= 1
        if self._by_party[name] <= 0:
            del self._by_party[name]


class OctetBudget:
    """Octets held in memory for messages that are arriving."""

    def __init__(self, octets_max: int) -> None:
        self._octets_max = octets_max
        self.used = 0

    def resize(self, held: int, wanted: int) -> bool:
        """Let a holder of `held` octets have `wanted` instead; False, and nothing changed, when there is no room."""
        grown = self.used + wanted - held
        if wanted > held and grown > self._octets_max:
            return False
        self.used = grown
        return True
