"""Which names came with the right secret a moment ago? For software that signs in again every minute.

Nothing is kept that would open anything: a digest of the whole login under a key that this process makes for itself and
never writes down, and what followed from it. That the account may still come in, and with this, is asked of the store
at each use by whoever looks here, so nothing is remembered beyond a new password, a suspension or a closing. Only what
was right is kept: a wrong secret has another digest, and goes the whole way as before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Generic, TypeVar

from mss.crypto.seal import KEY_BYTES, Mac
from mss.model.clock import Chance, Clock

T = TypeVar("T")

KEPT_S = 300.0
"""From the login that went the whole way; using it does not lengthen it. As long as the vault keeps an opened key."""
LOGINS_MAX = 4096
"""A few MB; the one that came first goes first."""


class VerifiedLogins(Generic[T]):
    """Of one process and one door."""

    def __init__(self, clock: Clock, chance: Chance) -> None:
        self._clock = clock
        self._mac = Mac(chance.token(KEY_BYTES))
        self._kept: OrderedDict[bytes, tuple[float, T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"VerifiedLogins({len(self)})"

    def digest(self, words: Sequence[bytes]) -> bytes:
        """By which a login is known again: everything that the client said, each word with its length."""
        return self._mac.of(b"".join([b"%d:%b" % (len(word), word) for word in words]))

    def find(self, digest: bytes) -> T | None:
        """What followed from this login, when it was right not long ago."""
        known = self._kept.get(digest)
        if known is None:
            return None
        if self._clock.monotonic_s() - known[0] >= KEPT_S:
            del self._kept[digest]
            return None
        return known[1]

    def keep(self, digest: bytes, what: T) -> None:
        """This login has gone the whole way and was right."""
        self._kept[digest] = self._clock.monotonic_s(), what
        self._kept.move_to_end(digest)
        if len(self._kept) > LOGINS_MAX:
            self._kept.popitem(last=False)

    def forget(self, digest: bytes) -> None:
        """It opens nothing any more."""
        self._kept.pop(digest, None)
