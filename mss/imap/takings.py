"""Who has taken a message of a team, and who has answered it? Keywords that only the server writes, with names. Pure.

In a team's mailbox \\Flagged means "taken": whoever stars a message, on whatever mail client, takes it, and the server
adds `$MSSTaken` and `$MSSTakenBy-` with the member's name; a client that knows keywords may set `$MSSTaken` instead.
The first has it: another's star changes nothing until it is given back by taking the star (or the keyword) away. With
\\Answered comes `$MSSAnsweredBy-`. Nobody signs with another's name. Why: docs/decisions/0008-team-mailboxes.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mss.imap.commands import Flags
from mss.model.ids import MailAddress
from mss.model.mailbox import Flag
from mss.store.states import FlagChange

TAKEN = "$MSSTaken"
TAKEN_BY = "$MSSTakenBy-"
ANSWERED_BY = "$MSSAnsweredBy-"
_NO_ATOM = re.compile(r"[^A-Za-z0-9.@_-]")
NAME_CHARS_MAX = 40
"""A keyword of 64 octets holds it with what stands before."""


def mark_of(member: MailAddress, team: MailAddress) -> str:
    """How keywords name a member: what stands before the @, or the whole address where that is of another domain."""
    text = member.local if member.domain == team.domain else str(member)
    return _NO_ATOM.sub("_", text)[:NAME_CHARS_MAX]


def needed(mark: str, flags: Flags) -> list[str]:
    """Keywords that setting these flags may add, beside those named."""
    names = {name.casefold() for name in flags.keywords}
    taking = flags.system & Flag.FLAGGED or names & {TAKEN.casefold(), (TAKEN_BY + mark).casefold()}
    wanted = [TAKEN, TAKEN_BY + mark] if taking else []
    return [*wanted, ANSWERED_BY + mark] if flags.system & Flag.ANSWERED else wanted


@dataclass(frozen=True, slots=True)
class Signs:
    """The bits of these keywords in one folder, as one member may use them; 0 for what the folder does not know."""

    taken: int
    mine: int
    holders: int
    answered_mine: int
    answerers: int

    @classmethod
    def of(cls, mark: str, bits: Mapping[str, int]) -> Signs:
        """From all keywords of a folder, casefolded."""

        def those(start: str) -> int:
            return sum(1 << bit for name, bit in bits.items() if name.startswith(start.casefold()))

        def one(name: str) -> int:
            bit = bits.get(name.casefold())
            return 0 if bit is None else 1 << bit

        return cls(one(TAKEN), one(TAKEN_BY + mark), those(TAKEN_BY), one(ANSWERED_BY + mark), those(ANSWERED_BY))


@dataclass(frozen=True, slots=True)
class TeamChange:
    """What a member's STORE, APPEND or COPY makes of the marks of a message."""

    change: FlagChange
    signs: Signs

    def apply(self, flags: int, kw: int) -> tuple[int, int]:
        new_flags, new_kw = self.change.apply(flags, kw)
        if self.change.replace:  # a client that names all flags knows nothing of names: the star and \Answered speak
            new_kw |= kw & (self._taking | self.signs.answerers)
        new_kw &= ~((self.signs.holders | self.signs.answerers) & ~kw)  # names are added below, not by the client
        return self._answered(flags, *self._taken((flags, kw), (new_flags, new_kw)))

    @property
    def _taking(self) -> int:
        return self.signs.taken | self.signs.holders

    def _taken(self, before: tuple[int, int], after: tuple[int, int]) -> tuple[int, int]:
        flags, kw = after
        if before[1] & self._taking:
            is_kept = flags & Flag.FLAGGED and before[1] & self._taking == kw & self._taking & before[1]
            if is_kept:
                return flags, kw & ~(self._taking & ~before[1])
            return flags & ~Flag.FLAGGED, kw & ~self._taking
        asks = self.change.add_kw & (self.signs.taken | self.signs.mine)
        if asks or flags & ~before[0] & Flag.FLAGGED:
            return flags | Flag.FLAGGED, kw | self.signs.taken | self.signs.mine
        return flags, kw

    def _answered(self, before: int, flags: int, kw: int) -> tuple[int, int]:
        if not flags & Flag.ANSWERED:
            return flags, kw & ~self.signs.answerers
        says_so = self.change.add & Flag.ANSWERED and not (self.change.replace and before & Flag.ANSWERED)
        return flags, kw | self.signs.answered_mine if says_so else kw
