"""Which messages does a client look for? The tree of SEARCH keys (RFC 9051 §6.4.4), as frozen values.

Texts are already decoded, dates are day numbers: nothing of the wire is left to interpret.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mss.imap.sets import SequenceSet


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class HasFlag:
    """A system flag is set, or not."""

    bit: int
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class HasKeyword:
    """A keyword is set, or not."""

    name: str
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class IsRecent:
    """\\Recent (RFC 3501 only)."""


@dataclass(frozen=True, slots=True)
class InSet:
    """A sequence set, of numbers or of UIDs."""

    messages: SequenceSet
    uid: bool = False


@dataclass(frozen=True, slots=True)
class HeaderHas:
    """A header field (lower-case name) contains a text; an empty text asks only whether the field is there."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class TextHas:
    """The body, or header and body when `header_too`, contains a text."""

    text: str
    header_too: bool = False


@dataclass(frozen=True, slots=True)
class Larger:
    """Size above a number of octets."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class Smaller:
    """Size below a number of octets."""

    size_bytes: int


class DateOf(StrEnum):
    """Which date: of arrival, of the Date header, of being put into the folder (RFC 8514)."""

    INTERNAL = ""
    SENT = "SENT"
    SAVED = "SAVED"


@dataclass(frozen=True, slots=True)
class DayIs:
    """A date, time and zone disregarded, lies from day number `first` up to before `end` (days since 1970)."""

    of: DateOf
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Within:
    """Arrived less than so many seconds ago (RFC 5032 YOUNGER); OLDER when not `younger`."""

    seconds: int
    younger: bool


@dataclass(frozen=True, slots=True)
class ModSeqFrom:
    """Mod-sequence at or above a value (RFC 7162 §3.1.5)."""

    modseq: int


@dataclass(frozen=True, slots=True)
class EmailIdIs:
    """The message itself or a copy of it (RFC 8474 §7)."""

    object_id: str


@dataclass(frozen=True, slots=True)
class And:
    """All of them."""

    keys: tuple[SearchKey, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One or the other."""

    one: SearchKey
    other: SearchKey


@dataclass(frozen=True, slots=True)
class Not:
    """The contrary."""

    key: SearchKey


SearchKey = (
    All
    | HasFlag
    | HasKeyword
    | IsRecent
    | InSet
    | HeaderHas
    | TextHas
    | Larger
    | Smaller
    | DayIs
    | Within
    | ModSeqFrom
    | EmailIdIs
    | And
    | Or
    | Not
)
