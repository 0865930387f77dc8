"""Time and chance, as arguments.

Nobody calls `datetime.now`, `time.time` or `secrets` directly: campaigns replay a day in a second and a
failure from its seed.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Protocol


class Clock(Protocol):
    """The wall clock (UTC, aware) and a clock that never goes back (seconds)."""

    def now(self) -> datetime: ...

    def monotonic_s(self) -> float: ...


class Chance(Protocol):
    """The source of randomness: keys, ids, delays."""

    def token(self, size_bytes: int) -> bytes: ...

    def below(self, bound: int) -> int: ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return time.monotonic()


class SystemChance:
    """The kernel's randomness."""

    def token(self, size_bytes: int) -> bytes:
        return secrets.token_bytes(size_bytes)

    def below(self, bound: int) -> int:
        return secrets.randbelow(bound)


@dataclass
class ManualClock:
    """A clock that a test moves by hand."""

    at: datetime = field(default_factory=lambda: datetime(2026, 1, 5, 9, 0, tzinfo=UTC))
    monotonic: float = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic_s(self) -> float:
        return self.monotonic

    def forward(self, seconds: float) -> None:
        """Let `seconds` pass on both clocks."""
        self.at += timedelta(seconds=seconds)
        self.monotonic += seconds


class SeededChance:
    """Repeatable randomness for tests and simulations. Never for keys that protect anyone."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 — repeatable on purpose

    def token(self, size_bytes: int) -> bytes:
        return self._random.randbytes(size_bytes)

    def below(self, bound: int) -> int:
        return self._random.randrange(bound)


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970 UTC: the form in which the store keeps every moment."""
    return int(moment.timestamp() * 1000)


def from_ms(ms: int) -> datetime:
    """The moment that `to_ms` wrote."""
    return datetime.fromtimestamp(ms / 1000, UTC)
