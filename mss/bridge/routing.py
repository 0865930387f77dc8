"""Which software of a hospital wants this document? By the mailbox that received it, its type and its service.

A judge of values. A sink takes a document when one of its takes says yes; a take says yes when every list that it has
names the document. Never a default: without sinks nothing leaves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mss.formats.mdm import NO_UNIT, Unit


@dataclass(frozen=True, slots=True)
class Take:
    """What a sink wants; an empty list asks nothing. `mailboxes`: addresses or whole domains, in lower case; `types`:
    codes of documents; `services`: codes of the practice setting. `unit`: the part of the hospital that it is for."""

    mailboxes: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    unit: Unit = NO_UNIT


@dataclass(frozen=True, slots=True)
class Route:
    """A sink and its takes, in the order of the settings."""

    sink: str
    takes: tuple[Take, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """A document as routes see it. `mailbox`: an application mailbox's address, or `@` and the patients' domain."""

    mailbox: str
    type_code: str
    service_code: str


def sinks_for(routes: Iterable[Route], offer: Offer) -> tuple[str, ...]:
    """Names of the sinks that take it, in the order of the settings."""
    return tuple(route.sink for route in routes if take_for(route, offer) is not None)


def take_for(route: Route, offer: Offer) -> Take | None:
    """The first take that wants it."""
    return next((take for take in route.takes if _wants(take, offer)), None)


def _wants(take: Take, offer: Offer) -> bool:
    mailbox = offer.mailbox.lower()
    is_theirs = not take.mailboxes or bool({mailbox, mailbox.partition("@")[2]} & take.mailboxes)
    is_type = not take.types or offer.type_code in take.types
    return is_theirs and is_type and (not take.services or offer.service_code in take.services)
