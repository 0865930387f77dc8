"""What does a new file change, and may it? What is read now beside what the file says, one subject at a time.

Pure. An import is looked at as a whole before anything of it is read by anybody: a bad file must not silence a
hospital, and an address must not come to mean somebody else overnight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from mss.directory.facts import Kind, listing_of
from mss.directory.words import fold
from mss.store.directory import FactRow

LOST_SHARE_MAX = 0.01
"""An import that takes away more of anything stops and asks (issue: a bad file must not silence a hospital)."""


class Refusal(StrEnum):
    """Why a line that could be read is not believed."""

    KIND_CHANGED = "kind-changed"
    """Another kind of mailbox under the same address: kind never changes."""
    GIVEN_TO_ANOTHER = "address-given-to-another"
    """A person's address now names somebody else: neither is shown until a person has decided."""


class Staged(NamedTuple):
    """What a file says, and in which line; a tuple, since there are millions."""

    number: int
    line: int
    kind: Kind
    text: str


class Outcome(NamedTuple):
    """What becomes of one subject."""

    kind: Kind
    added: tuple[Staged, ...] = ()
    gone: tuple[FactRow, ...] = ()
    kept: int = 0
    refused: tuple[tuple[int, Refusal], ...] = ()
    contested: tuple[tuple[str, str, str], ...] = ()
    """(address, who had it, who is to have it): waits for a human from now on."""
    contradicted: int = 0
    """Further lines that describe the same person or structure differently: the first counts."""

    @property
    def is_lost(self) -> bool:
        """The subject was found before and is not any more."""
        return bool(self.gone) and not self.kept and not self.added


def compare(
    old: Sequence[FactRow], new: Sequence[Staged], waiting: Mapping[str, str] = MappingProxyType({})
) -> Outcome:
    """One subject: facts that are read, and what the file says. All of one kind. `waiting`: contested addresses, and
    who had each of them."""
    kind = Kind(old[0].kind) if old else new[0].kind
    if not old and len(new) == 1 and not (waiting and kind is Kind.LISTING):
        return Outcome(kind, added=tuple(new))
    said = {one.number: one for one in sorted(new, reverse=True)}  # the same content twice: its first line stays
    contradicted = 0
    contested: tuple[tuple[str, str, str], ...] = ()
    refused: tuple[tuple[int, Refusal], ...] = ()
    if kind is Kind.LISTING:
        said, refused, keeps_old = _believed(old, said, waiting)
        if keeps_old:
            return Outcome(kind, kept=len(old), refused=refused)
        contested = _contested(old, new, refused)
    elif len(said) > 1:
        first = min(said.values(), key=lambda one: one.line)
        contradicted = len(said) - 1
        said = {first.number: first}
    standing = {row.number for row in old}
    return Outcome(
        kind,
        added=tuple(said[number] for number in sorted(said) if number not in standing),
        gone=tuple(row for row in old if row.number not in said),
        kept=len(standing & said.keys()),
        refused=refused,
        contested=contested,
        contradicted=contradicted,
    )


Believed = tuple[dict[int, Staged], tuple[tuple[int, Refusal], ...], bool]


def _contested(
    old: Sequence[FactRow], new: Sequence[Staged], refused: tuple[tuple[int, Refusal], ...]
) -> tuple[tuple[str, str, str], ...]:
    """An address that somebody had and somebody else is to have."""
    wrong = {line for line, reason in refused if reason is Refusal.GIVEN_TO_ANOTHER}
    holder = next((one for row in old if (one := listing_of(row.text)).idnps), None)
    claims = [listing_of(one.text) for one in new if one.line in wrong] if holder is not None else []
    return tuple((holder.address, holder.idnps, claims[0].idnps) for _ in claims[:1] if holder is not None)


def _believed(old: Sequence[FactRow], said: dict[int, Staged], waiting: Mapping[str, str]) -> Believed:
    """The lines that keep the rules of an address; and whether what stands stays because none of them does."""
    if not said or (len(said) == 1 and not old and not waiting):
        return said, (), False
    listings = {number: listing_of(one.text) for number, one in said.items()}
    first = min(said.values(), key=lambda one: one.line)
    before = [listing_of(row.text) for row in old]
    kind = before[0].kind if before else listings[first.number].kind
    wrong = {number for number, one in listings.items() if one.kind is not kind}
    refused = [(said[number].line, Refusal.KIND_CHANGED) for number in wrong]
    good = {number: one for number, one in said.items() if number not in wrong}
    if not good:
        return good, tuple(refused), bool(old)
    holders = {one.idnps: fold(one.family) for one in before if one.idnps}
    if not before and (holder := waiting.get(listings[first.number].address.lower())):
        holders = {holder: "\0"}  # by her number alone
    if holders:
        others = {number for number in good if not _is_holder(listings[number].idnps, listings[number].family, holders)}
    else:
        chosen = listings[first.number] if first.number in good else listings[min(good)]
        others = {number for number in good if listings[number].idnps != chosen.idnps}
    refused += [(good[number].line, Refusal.GIVEN_TO_ANOTHER) for number in others]
    return {number: one for number, one in good.items() if number not in others}, tuple(sorted(refused)), False


def _is_holder(idnps: str, family: str, holders: dict[str, str]) -> bool:
    """The same number, or the same name under another (people pass from ADELI to RPPS)."""
    return idnps in holders or fold(family) in holders.values()


@dataclass(slots=True)
class Tally:
    """An import in numbers, by kind of fact."""

    standing: dict[Kind, int] = field(default_factory=dict)
    added: dict[Kind, int] = field(default_factory=dict)
    gone: dict[Kind, int] = field(default_factory=dict)
    lost: dict[Kind, int] = field(default_factory=dict)
    ours_standing: int = 0
    ours_lost: int = 0
    accounts_standing: int = 0
    accounts_lost: int = 0
    """People of this house who would lose their access."""
    contradicted: int = 0

    def count(self, outcome: Outcome, *, had_old: bool, is_ours: bool) -> None:
        kind = outcome.kind
        if had_old:
            self.standing[kind] = self.standing.get(kind, 0) + 1
        if outcome.added:
            self.added[kind] = self.added.get(kind, 0) + len(outcome.added)
        if outcome.gone:
            self.gone[kind] = self.gone.get(kind, 0) + len(outcome.gone)
            self.lost[kind] = self.lost.get(kind, 0) + outcome.is_lost
        self.ours_standing += is_ours
        self.ours_lost += is_ours and outcome.is_lost
        self.contradicted += outcome.contradicted

    @property
    def changes_nothing(self) -> bool:
        return not any(self.added.values()) and not any(self.gone.values())


NAMES = {Kind.PROFESSIONAL: "professionals", Kind.STRUCTURE: "structures", Kind.LISTING: "addresses"}


def brake(tally: Tally) -> str:
    """Why this import must be asked about; empty: it may go on."""
    for kind, name in NAMES.items():
        lost, standing = tally.lost.get(kind, 0), tally.standing.get(kind, 0)
        if lost > standing * LOST_SHARE_MAX:
            return f"{lost} of {standing} {name} would disappear"
    if tally.accounts_lost > 1 and tally.accounts_lost > tally.accounts_standing * LOST_SHARE_MAX:
        return f"{tally.accounts_lost} of {tally.accounts_standing} people would lose their mailboxes here"
    if tally.ours_lost > tally.ours_standing * LOST_SHARE_MAX:
        return f"{tally.ours_lost} of {tally.ours_standing} addresses of this operator would disappear"
    return ""
