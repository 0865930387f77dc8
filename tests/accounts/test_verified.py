"""What is remembered of a login that was right: enough to know it again, nothing that opens anything, not for long."""

from __future__ import annotations

import gc

from mss.accounts.verified import KEPT_S, LOGINS_MAX, VerifiedLogins
from mss.model.clock import ManualClock, SeededChance

SECRET = b"abcd-efgh-ijkl-mnop-qrst-uvwx"


def test_only_the_same_words_are_known_again(clock: ManualClock, chance: SeededChance) -> None:
    """Cut elsewhere they are others, and another process has another key."""
    logins = VerifiedLogins[str](clock, chance)
    logins.keep(logins.digest((b"PLAIN", b"anne", SECRET)), "anne")
    assert logins.find(logins.digest((b"PLAIN", b"anne", SECRET))) == "anne"
    for words in (
        (b"PLAIN", b"anne", SECRET[:-1]),
        (b"PLAIN", b"ann", b"e" + SECRET),
        (b"LOGIN", b"anne", SECRET),
        (b"PLAINanne", SECRET),
    ):
        assert logins.find(logins.digest(words)) is None
    other = VerifiedLogins[str](clock, chance)
    assert other.digest((b"PLAIN", b"anne", SECRET)) != logins.digest((b"PLAIN", b"anne", SECRET))


def test_it_ends_five_minutes_after_the_whole_way_however_often_it_is_used(
    clock: ManualClock, chance: SeededChance
) -> None:
    """A client that signs in each minute goes the whole way again in time."""
    logins = VerifiedLogins[str](clock, chance)
    digest = logins.digest((b"anne", SECRET))
    logins.keep(digest, "anne")
    for _ in range(4):
        clock.forward(KEPT_S / 5)
        assert logins.find(digest) == "anne"
    clock.forward(KEPT_S / 5)
    assert logins.find(digest) is None
    assert len(logins) == 0


def test_it_is_bounded_and_keeps_no_secret(clock: ManualClock, chance: SeededChance) -> None:
    """The first goes first; neither its memory nor its text has the name or the secret."""
    logins = VerifiedLogins[int](clock, chance)
    digests = [logins.digest((b"%d" % number, SECRET)) for number in range(LOGINS_MAX + 10)]
    for number, digest in enumerate(digests):
        logins.keep(digest, number)
    assert len(logins) == LOGINS_MAX
    assert logins.find(digests[9]) is None
    assert logins.find(digests[10]) == 10
    held = [one for one in gc.get_referents(logins.__dict__, logins._kept) if isinstance(one, bytes)]
    assert not [one for one in (*held, *logins._kept, repr(logins).encode()) if SECRET in one or b"anne" in one]
