"""Is somebody trying out which patients exist? Counts, of each sender and each peer, and a bell; nothing is refused.

An address that nobody has costs a sender nothing but a notice within the hour, so a list of guesses would be answered
one by one. Two signs ring: too large a share of unreachable patients, and numbers in sequence (INS that differ in the
order number only, of which some are nobody's). What was asked is kept for an hour, as hashes under a key of this
process; the same work is done for those who are there and those who are not.
"""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from mss.mail.parcels import Letter, Parcel
from mss.mail.recipients import House
from mss.model.clock import Chance, Clock
from mss.model.ids import MailAddress, Matricule

WINDOW_S = 3600.0
SEQUENCE_MAX = 10
"""INS of one sex, month and place of birth asked for in an hour; a maternity may write to more, all of them there."""
ADDRESSES_MAX = 5000
"""Remembered of one sender or peer: the newest."""
WATCHED_MAX = 2000
"""Senders and peers watched at once: those who wrote last."""
BEFORE_ORDER = 10
"""Characters of an INS before its order number: sex, year, month, place."""
BEFORE_KEY = 13


@dataclass(frozen=True, slots=True)
class Budget:
    """Of one sender or peer in an hour: over both, the bell rings."""

    share_max: float = 0.10
    unreachable_max: int = 30


class Sign(StrEnum):
    """Why the bell rings."""

    SHARE = "unreachable-share"
    SEQUENCE = "numbers-in-sequence"


@dataclass(frozen=True, slots=True)
class Alarm:
    """Whose mail rang the bell: counts, and never an INS. `who` is an address or the name of a certificate."""

    sign: Sign
    who: str
    asked: int
    unreachable: int


@dataclass(frozen=True, slots=True)
class _Asked:
    at_s: float
    series: bytes
    is_missing: bool


@dataclass(slots=True)
class _Watched:
    """What one sender or peer asked for within the hour, each address once."""

    asked: OrderedDict[bytes, _Asked] = field(default_factory=OrderedDict)
    missing: int = 0
    of_series: Counter[bytes] = field(default_factory=Counter)
    missing_of_series: Counter[bytes] = field(default_factory=Counter)
    rang_at_s: dict[Sign, float] = field(default_factory=dict)

    def note(self, number: bytes, asked: _Asked) -> None:
        if number in self.asked:
            self._forget(number)
        self.asked[number] = asked
        self._count(asked, 1)
        while self.asked:
            oldest = next(iter(self.asked))
            if len(self.asked) <= ADDRESSES_MAX and self.asked[oldest].at_s > asked.at_s - WINDOW_S:
                break
            self._forget(oldest)

    def _forget(self, number: bytes) -> None:
        self._count(self.asked.pop(number), -1)

    def _count(self, asked: _Asked, by: int) -> None:
        self.missing += by * asked.is_missing
        self.of_series[asked.series] += by
        self.missing_of_series[asked.series] += by * asked.is_missing
        if self.of_series[asked.series] <= 0:
            del self.of_series[asked.series], self.missing_of_series[asked.series]

    def signs(self, series: bytes, budget: Budget) -> list[Sign]:
        found = []
        if self.missing > max(budget.unreachable_max, budget.share_max * len(self.asked)):
            found.append(Sign.SHARE)
        if self.of_series[series] > SEQUENCE_MAX and self.missing_of_series[series]:
            found.append(Sign.SEQUENCE)
        return found


class Vigil:
    """Of one process. `ring` must return at once."""

    def __init__(
        self, house: House, budget: Budget, ring: Callable[[Alarm], None], clock: Clock, chance: Chance
    ) -> None:
        self._house = house
        self._budget = budget
        self._ring = ring
        self._clock = clock
        self._key = chance.token(16)
        self._watched: OrderedDict[str, _Watched] = OrderedDict()

    def look(self, letter: Letter, parcels: Sequence[Parcel]) -> None:
        """A letter has been put for these; those of the house itself answer others and are not counted."""
        if letter.sender is None or letter.peer_name == "house":
            return
        names = [str(letter.sender).lower()]
        if not letter.peer_name.startswith("login:"):  # a login is its address
            names.append(letter.peer_name)
        for parcel in parcels:
            for recipient in parcel.passed_on_to:
                self._note(names, recipient, is_missing=parcel.for_nobody)

    def _note(self, names: Sequence[str], recipient: MailAddress, *, is_missing: bool) -> None:
        matricule = self._house.matricule_of(recipient)
        if matricule is None:
            return
        now_s = self._clock.monotonic_s()
        series = self._hash(matricule, BEFORE_ORDER)
        for name in names:
            watched = self._of(name)
            watched.note(self._hash(matricule, BEFORE_KEY), _Asked(now_s, series, is_missing))
            for sign in watched.signs(series, self._budget):
                if now_s - watched.rang_at_s.get(sign, -WINDOW_S) >= WINDOW_S:
                    watched.rang_at_s[sign] = now_s
                    self._ring(self._alarm(sign, name, watched, series))

    def _alarm(self, sign: Sign, name: str, watched: _Watched, series: bytes) -> Alarm:
        if sign is Sign.SHARE:
            return Alarm(sign, name, len(watched.asked), watched.missing)
        return Alarm(sign, name, watched.of_series[series], watched.missing_of_series[series])

    def _of(self, name: str) -> _Watched:
        watched = self._watched.setdefault(name, _Watched())
        self._watched.move_to_end(name)
        if len(self._watched) > WATCHED_MAX:
            self._watched.popitem(last=False)
        return watched

    def _hash(self, matricule: Matricule, characters: int) -> bytes:
        return hashlib.blake2b(matricule.value[:characters].encode(), key=self._key, digest_size=8).digest()
