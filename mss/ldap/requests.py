"""What may a client ask for, and by which marks does it look for people? The values between codec and session."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from mss.model.errors import MssError


class Broken(MssError):
    """Octets that are no message of LDAP, or one larger than anybody needs. What follows cannot be read."""


class Scope(IntEnum):
    """How far below its base a search looks (RFC 4511 §4.5.1.2)."""

    BASE = 0
    ONE = 1
    SUBTREE = 2


@dataclass(frozen=True, slots=True)
class All:
    """(&…): every part holds."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """(|…): one part holds."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """(!…)."""

    part: Filter


@dataclass(frozen=True, slots=True)
class Equal:
    """(name=value), or (name~=value): what sounds like it. Names are small letters, without options."""

    name: str
    value: str
    sounds_alike: bool = False


@dataclass(frozen=True, slots=True)
class Like:
    """(name=first*middle*last): pieces in this order, the first at the beginning, the last at the end."""

    name: str
    first: str
    middle: tuple[str, ...]
    last: str

    @property
    def pieces(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.first, *self.middle, self.last)))


@dataclass(frozen=True, slots=True)
class Present:
    """(name=*)."""

    name: str


@dataclass(frozen=True, slots=True)
class Unknowable:
    """An ordering or an extensible match, which this directory has not: neither true nor false (RFC 4511 §4.5.1.7)."""


Filter = All | Any | Not | Equal | Like | Present | Unknowable


@dataclass(frozen=True, slots=True)
class Bind:
    """Who somebody says they are. `password` None: another method than a name and a password."""

    version: int
    name: str
    password: bytes | None


@dataclass(frozen=True, slots=True)
class Search:
    """`attributes` are small letters; empty: all that are for users."""

    base: str
    scope: Scope
    size_max: int
    time_s_max: int
    types_only: bool
    filter: Filter
    attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unbind:
    """Goodbye."""


@dataclass(frozen=True, slots=True)
class Abandon:
    """No answer to message `number` is wanted any more."""

    number: int


@dataclass(frozen=True, slots=True)
class Extended:
    """An operation by its object identifier: StartTLS, "Who am I?"."""

    name: str


@dataclass(frozen=True, slots=True)
class Change:
    """To add, change, rename, delete or compare: refused, whatever it was, under `answer`, the tag of its reply."""

    answer: int


Request = Bind | Search | Unbind | Abandon | Extended | Change


@dataclass(frozen=True, slots=True)
class Message:
    """A request under its number. `must_understand`: it carries a critical control, and we know none."""

    number: int
    request: Request
    must_understand: bool = False
