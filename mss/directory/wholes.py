"""Which listings make one person, one role, one structure, and under which id is it known?

Pure. FHIR speaks of wholes where the directory lists ways to reach somebody. A mailbox is carried as the national guide
says (ANS "BAL MSSanté"): by the role where the structure is known, by the person otherwise and for a practice's
mailbox (CAB), by the structure where nobody is named.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mss.directory.conditions import Field
from mss.directory.facts import CONTENT_BITS, SUBJECT_BITS
from mss.directory.keys import Question, Walk, fits
from mss.directory.walking import Mark
from mss.model.directory import Found, Listing, Structure
from mss.model.mailbox import MailboxKind

ID_CHARS_MAX = 64  # FHIR R4 §2.24.0.1: id
_PLAIN = re.compile(r"[A-Za-z0-9.]")
_ESCAPED = re.compile(r"-([0-9A-F]{2})")
_BY_NUMBER = re.compile(r"bal-([0-9a-f]{1,11})\Z")
_ROLE = re.compile(r"(?P<person>[A-Za-z0-9.-]+)--(?P<role>[0-9a-f]{12})\Z")


class Unit(StrEnum):
    """What is asked for, by FHIR's names."""

    PRACTITIONER = "Practitioner"
    ROLE = "PractitionerRole"
    ORGANIZATION = "Organization"


@dataclass(frozen=True, slots=True)
class Entry:
    """A person, a role or a structure, whole."""

    unit: Unit
    id: str
    listings: tuple[Found, ...]
    """Of a person all of hers; of a role, those of that role; of a structure, its mailboxes that name nobody."""
    changed: datetime
    """As of when the newest of it was first said."""
    structure: Structure | None = None
    is_cut: bool = False
    """There are more mailboxes than are shown."""


@dataclass(frozen=True, slots=True)
class EntryPage:
    """A part of an answer."""

    entries: tuple[Entry, ...]
    more: Mark | None
    as_of: datetime | None
    generations: dict[int, int]
    """Of each source, to be given again for the next page."""
    too_wide: bool = False


def carrier(listing: Listing) -> Unit:
    """Which resource a mailbox stands in."""
    if not listing.family:
        return Unit.ORGANIZATION
    if listing.kind is MailboxKind.OFFICE or not has_role(listing):
        return Unit.PRACTITIONER
    return Unit.ROLE


def has_role(listing: Listing) -> bool:
    """Whether a person is listed at a structure."""
    return bool(listing.family and (listing.idnst or listing.structure))


def asks_for_mailbox(question: Question) -> bool:
    return bool(question.kinds) or any(one.field is Field.ADDRESS for one in question.conditions)


def matches(unit: Unit, question: Question, jobs: tuple[str, ...], listing: Listing) -> bool:
    """Whether this listing makes its person, role or structure one that was asked for."""
    if unit is Unit.ORGANIZATION and listing.family:
        return False
    if unit is Unit.PRACTITIONER and not listing.family:
        return False
    if unit is Unit.ROLE and not has_role(listing):
        return False
    if asks_for_mailbox(question) and (not listing.address or carrier(listing) is not unit):
        return False
    return fits(question, jobs, listing)


def place_on(ways: list[Walk], keys: set[str], number: int) -> tuple[int, str, int] | None:
    """Where a listing with these keys is met first: walk, key, number."""
    for at, way in enumerate(ways):
        if met := [key for key in keys if key.startswith(way.start)]:
            return at, min(met), number
    return None


# Ids: national numbers as they are, with signs that FHIR does not allow escaped; the rest by the number of its address.


def person_id(found: Found) -> str:
    if found.listing.idnps:
        escaped = number_as_id(found.listing.idnps)
        if len(escaped) <= ID_CHARS_MAX - len("--") - 12:
            return escaped
    return _id_by_number(found)


def number_as_id(idnps: str) -> str:
    """A national number with the signs escaped that an id may not have."""
    if idnps.isascii() and idnps.isalnum():
        return idnps  # an RPPS, as nearly all of them
    return "".join(one if _PLAIN.match(one) else f"-{ord(one):02X}" for one in idnps)


def role_id(found: Found) -> str:
    return f"{person_id(found)}--{role_mark(found.listing)}"


def role_mark(listing: Listing) -> str:
    """What tells the roles of one person apart: where, as what."""
    said = (listing.idnst or listing.structure, *_job(listing, "profession"), *_job(listing, "specialty"))
    return hashlib.blake2b("|".join(said).encode(), digest_size=6).hexdigest()


def _job(listing: Listing, name: str) -> tuple[str, str]:
    job = getattr(listing, name)
    return ("", "") if job is None else (job.code, job.label)


def organization_id(found: Found) -> str:
    return found.listing.idnst or _id_by_number(found)


def _id_by_number(found: Found) -> str:
    return f"bal-{found.number >> CONTENT_BITS:x}"


def person_of_role(text: str) -> tuple[str, str] | None:
    """A role's id as its person's id and what tells it from her other roles."""
    found = _ROLE.match(text)
    return None if found is None else (found["person"], found["role"])


def number_of_person(text: str) -> str:
    """The IDNPS behind a person's id."""
    return _ESCAPED.sub(lambda one: chr(int(one[1], 16)), text)


def start_of_person(name: str) -> str:
    """Of the keys of everything that is listed under the person with this id."""
    return f"h/{number_of_person(name).lower()}/"


def start_of_teams(idnst: str) -> str:
    """Of the keys of mailboxes of a structure that name nobody."""
    return f"t/{idnst.lower()}/0/"


def numbers_behind(text: str) -> tuple[int, int] | None:
    """The range of listings behind an id made of an address's number; None for every other id."""
    found = _BY_NUMBER.match(text)
    if found is None or (subject := int(found[1], 16)) >> SUBJECT_BITS:
        return None
    return subject << CONTENT_BITS, (subject + 1 << CONTENT_BITS) - 1
