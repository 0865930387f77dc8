"""How long must this key wait after its failures? Two memories, bounded, of this process only.

`Slowdown` makes who fails often wait longer and longer. `Budget` gives each key a burst and then one try at a time.
Both count an attempt before it is made and give it back when it was right, so that a thousand guesses at once are
a thousand guesses. What must outlive a restart lies in the account's row (mss/accounts/login.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from mss.model.clock import Clock

KEYS_MAX = 50_000
"""Keys remembered, some 10 MB; the one not seen for longest is forgotten."""


@dataclass(slots=True)
class _Memory:
    failures: int
    until_s: float


class Slowdown:
    """Failures in a row of each key: the first are free, then the wait doubles up to a maximum."""

    def __init__(self, clock: Clock, *, free: int, first_s: float, max_s: float) -> None:
        self._clock = clock
        self._free = free
        self._first_s = first_s
        self._max_s = max_s
        self._of: OrderedDict[Hashable, _Memory] = OrderedDict()

    def pause_s(self, failures: int) -> float:
        """How long to wait after so many failures in a row."""
        beyond = failures - self._free
        return 0.0 if beyond < 1 else min(self._first_s * 2.0 ** min(beyond - 1, 30), self._max_s)

    def wait_s(self, key: Hashable) -> float:
        """Seconds until this key may try again; 0 when it may now."""
        memory = self._of.get(key)
        return 0.0 if memory is None else max(0.0, memory.until_s - self._clock.monotonic_s())

    def count(self, key: Hashable) -> int:
        """One attempt, taken for a failure until `forgive`. Returns attempts in a row."""
        memory = self._of.setdefault(key, _Memory(0, 0.0))
        memory.failures += 1
        memory.until_s = self._clock.monotonic_s() + self.pause_s(memory.failures)
        self._of.move_to_end(key)
        if len(self._of) > KEYS_MAX:
            self._of.popitem(last=False)
        return memory.failures

    def recall(self, key: Hashable, failures: int, wait_s: float) -> None:
        """What the store remembers of a key that this process has not met."""
        if key not in self._of and failures:
            self._of[key] = _Memory(failures, self._clock.monotonic_s() + wait_s)

    def uncount(self, key: Hashable) -> None:
        """The attempt was not looked at after all."""
        if memory := self._of.get(key):
            memory.failures -= 1
            memory.until_s = 0.0

    def forgive(self, key: Hashable) -> None:
        """It was right."""
        self._of.pop(key, None)


class Budget:
    """A burst of tries for each key, then one each `interval_s` (GCRA: one moment for each key says it all)."""

    def __init__(self, clock: Clock, *, burst: int, interval_s: float) -> None:
        self._clock = clock
        self._interval_s = interval_s
        self._ahead_max_s = (burst - 1) * interval_s
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def take(self, key: Hashable) -> float:
        """Use one try: 0 when it was there, else the seconds until one is, and nothing is used."""
        now = self._clock.monotonic_s()
        full_at = max(now, self._full_at.get(key, 0.0))
        if (wait := full_at - now - self._ahead_max_s) > 0:
            return wait
        self._full_at[key] = full_at + self._interval_s
        self._full_at.move_to_end(key)
        if len(self._full_at) > KEYS_MAX:
            self._full_at.popitem(last=False)
        return 0.0

    def give_back(self, key: Hashable) -> None:
        """The try was right and costs nothing."""
        if key in self._full_at:
            self._full_at[key] -= self._interval_s
