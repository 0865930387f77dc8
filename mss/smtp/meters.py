"""How much has somebody sent lately, and is it enough for now?

Counted for a certificate or an account, and for the network that it comes from. Each count is a bucket that leaks: a
minute's worth may come at once, and then as much as leaks out. What is over the brim is told later, never refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mss.model.clock import Clock

NETWORK_SHARE = 4
"""So many times as much from one network: a hospital's people, or several operators, share an address."""
PARTIES_MAX = 10_000
"""Before those are forgotten who have sent nothing lately. Only known certificates and accounts are counted."""
MINUTE_S = 60.0
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Caps:
    """Of one certificate or account. The defaults are a peer's: far more than any operator sends, less than a loop."""

    messages_per_minute: int = 30_000
    recipients_per_minute: int = 60_000
    octets_per_minute: int = 4 * 1000**3
    octets_per_hour: int = 60 * 1000**3


class Bucket:
    """Holds `size`, and leaks that much in `seconds`."""

    __slots__ = ("_at_s", "_level", "_per_s", "_size")

    def __init__(self, size: float, seconds: float) -> None:
        self._size = size
        self._per_s = size / seconds
        self._level = 0.0
        self._at_s = 0.0

    def level(self, now_s: float) -> float:
        self._level = max(0.0, self._level - (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        return self._level

    def has_room(self, now_s: float) -> bool:
        """For something: the last drop may be a large one, or a message larger than the bucket could never come."""
        return self.level(now_s) < self._size

    def pour(self, amount: float, now_s: float) -> None:
        level = self._level - (now_s - self._at_s) * self._per_s
        self._level = amount + (level if level > 0.0 else 0.0)
        self._at_s = now_s


class _Counts:
    """Of one party."""

    __slots__ = ("messages", "octets", "recipients")

    def __init__(self, caps: Caps, share: int) -> None:
        self.messages = Bucket(share * caps.messages_per_minute, MINUTE_S)
        self.recipients = Bucket(share * caps.recipients_per_minute, MINUTE_S)
        self.octets = (
            Bucket(share * caps.octets_per_minute, MINUTE_S),
            Bucket(share * caps.octets_per_hour, HOUR_S),
        )

    def is_empty(self, now_s: float) -> bool:
        return not any(bucket.level(now_s) for bucket in (self.messages, self.recipients, *self.octets))


@dataclass(frozen=True, slots=True)
class Party:
    """Who is counted: a name (certificate, account) and a network."""

    name: str
    network: str


class Meter:
    """Everybody's counts at a door."""

    def __init__(self, caps: Caps, clock: Clock) -> None:
        self._caps = caps
        self._clock = clock
        self._counts: dict[tuple[str, str], _Counts] = {}

    def takes_message(self, party: Party) -> bool:
        """One more MAIL; False, and nothing counted, when that is too much for now, or what came before was."""
        now_s, both = self._clock.monotonic_s(), self._of(party)
        if not all(bucket.has_room(now_s) for counts in both for bucket in (counts.messages, *counts.octets)):
            return False
        _pour((counts.messages for counts in both), 1, now_s)
        return True

    def takes_recipient(self, party: Party) -> bool:
        """One more RCPT; False, and nothing counted, when that is too much for now."""
        now_s, both = self._clock.monotonic_s(), self._of(party)
        if not all(counts.recipients.has_room(now_s) for counts in both):
            return False
        _pour((counts.recipients for counts in both), 1, now_s)
        return True

    def count_octets(self, party: Party, octets: int) -> None:
        """Octets of a message have come, whatever becomes of it."""
        _pour((bucket for counts in self._of(party) for bucket in counts.octets), octets, self._clock.monotonic_s())

    @property
    def parties(self) -> int:
        """Names and networks that are remembered."""
        return len(self._counts)

    def _of(self, party: Party) -> tuple[_Counts, _Counts]:
        return self._counts_of("name", party.name, 1), self._counts_of("network", party.network, NETWORK_SHARE)

    def _counts_of(self, kind: str, key: str, share: int) -> _Counts:
        counts = self._counts.get((kind, key))
        if counts is None:
            if len(self._counts) >= PARTIES_MAX:
                self._forget()
            counts = self._counts[kind, key] = _Counts(self._caps, share)
        return counts

    def _forget(self) -> None:
        now_s = self._clock.monotonic_s()
        self._counts = {key: counts for key, counts in self._counts.items() if not counts.is_empty(now_s)}


def _pour(buckets: Iterable[Bucket], amount: float, now_s: float) -> None:
    for bucket in buckets:
        bucket.pour(amount, now_s)
