"""How does a value become a row, and which row is it? Numbers and text of what is stored; nothing of the database.

A number says everything: its upper bits are what it is about (one person, one structure, one address), its lower ones
the content. So equal content has an equal number in every import, all that is said of one subject lies together in
the order of numbers, and a person is found by a range of the primary key.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from json.encoder import encode_basestring as _quoted
from typing import Any

from mss.model.directory import Job, Listing, Place, Professional, Structure
from mss.model.mailbox import MailboxKind

CONTENT_BITS = 20
"""One subject has a handful of rows: two of them collide once in a million, and only as an import refused."""
SUBJECT_BITS = 42
LISTINGS_REMEMBERED_MAX = 500
"""A page is found, then asked for once more with all that belongs to its addresses: some 1 MB."""
JOBS_REMEMBERED_MAX = 1_000
"""There are some hundreds."""


class Kind(IntEnum):
    """What a fact is about."""

    PROFESSIONAL = 1
    STRUCTURE = 2
    LISTING = 3
    NOTHING = 4
    """Of an address, in place of its listings: nobody is shown behind it, whatever other sources say. No text."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A value as it is stored."""

    number: int
    kind: Kind
    text: str

    @property
    def subject(self) -> int:
        return self.number >> CONTENT_BITS


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def subject_number(source: int, kind: Kind, subject: str) -> int:
    """Upper bits of every number about `subject` (IDNPS, IDNST, or address; a person's IDNPS where she has none)."""
    return _hash(f"{source}/{kind}/{subject}") >> (64 - SUBJECT_BITS)


def numbers_about(source: int, kind: Kind, subject: str) -> tuple[int, int]:
    """The range of numbers about a subject, the last one included."""
    first = subject_number(source, kind, subject) << CONTENT_BITS
    return first, first | (1 << CONTENT_BITS) - 1


def subject_of(listing: Listing) -> str:
    return listing.address or listing.idnps


def fact_of(source: int, value: Professional | Structure | Listing) -> Fact:
    """The row of a value."""
    if isinstance(value, Professional):
        kind, subject = Kind.PROFESSIONAL, value.idnps
        text = f"[{_list(value.idnps, value.family, value.given, value.civility)}]"
    elif isinstance(value, Structure):
        kind, subject = Kind.STRUCTURE, value.idnst
        text = f"[{_list(value.idnst, value.name)},{_place_text(value.place)},{_quoted(value.sector)}]"
    else:
        kind, subject, text = Kind.LISTING, subject_of(value), _listing_text(value)
    number = subject_number(source, kind, subject) << CONTENT_BITS | _hash(text) >> (64 - CONTENT_BITS)
    return Fact(number, kind, text)


def nothing_at(source: int, address: str) -> Fact:
    """The row that hides an address."""
    return Fact(subject_number(source, Kind.LISTING, address) << CONTENT_BITS, Kind.NOTHING, "")


def listing_fact(source: int, subject: str, value: Listing) -> Fact:
    """The row of a listing among those about another subject: of a person whose address is hidden."""
    made = fact_of(source, value)
    content = made.number & (1 << CONTENT_BITS) - 1
    return Fact(subject_number(source, Kind.LISTING, subject) << CONTENT_BITS | content, made.kind, made.text)


def professional_of(text: str) -> Professional:
    return Professional(*json.loads(text))


def structure_of(text: str) -> Structure:
    idnst, name, place, sector = json.loads(text)
    return Structure(idnst, name, _place_of(place), sector)


@lru_cache(LISTINGS_REMEMBERED_MAX)
def listing_of(text: str) -> Listing:
    """Reads what `fact_of` wrote. Identifiers are not judged again: they were when the listing was made, and a search
    decodes a thousand rows for a page."""
    fields, _ = _decode(text)
    fields[1] = _MAILBOX_KINDS[fields[1]]
    fields[6], fields[7] = _job_of(fields[6]), _job_of(fields[7])
    fields[11] = _place_of(fields[11])
    listing = object.__new__(Listing)
    for put, value in zip(_PUTS, fields, strict=True):
        put(listing, value)
    return listing


def structure_words_of(text: str) -> str:
    """Structure, service and description of a listing, for who leaves most listings out by these alone: a fifth of the
    work of reading the whole."""
    fields, _ = _decode(text)
    return f"{fields[9]} {fields[13]} {fields[12]}"


_decode = json.JSONDecoder().raw_decode
_PUTS = tuple(Listing.__dict__[field.name].__set__ for field in dataclasses.fields(Listing))
"""How each field of a frozen value is set at birth, without looking it up by name."""
_MAILBOX_KINDS: dict[str, MailboxKind | None] = {"": None, **{kind.value: kind for kind in MailboxKind}}


# What json.dumps(…, ensure_ascii=False, separators=(",", ":")) writes, letter by letter: an import writes millions.


def _listing_text(value: Listing) -> str:
    who = _list(value.address, value.kind or "", value.idnps, value.family, value.given, value.civility)
    jobs = f"{_job_text(value.profession)},{_job_text(value.specialty)}"
    where = f"{_list(value.idnst, value.structure, value.sector)},{_place_text(value.place)}"
    said = _list(value.description, value.service, value.responsible)
    return f"[{who},{jobs},{where},{said},{_WORDS[value.paperless]},{value.rank}]"


_WORDS = {True: "true", False: "false", None: "null"}


def _list(*texts: str) -> str:
    return ",".join(map(_quoted, texts))


def _place_text(place: Place) -> str:
    return f"[[{_list(*place.lines)}],{_list(place.postal_code, place.city, place.department)}]"


def _job_text(job: Job | None) -> str:
    return "[]" if job is None else f"[{_list(job.label, job.code)}]"


def _place_of(fields: list[Any]) -> Place:
    return Place(tuple(fields[0]), *fields[1:])


def _job_of(fields: list[str]) -> Job | None:
    return _job(*fields) if fields else None


@lru_cache(JOBS_REMEMBERED_MAX)
def _job(label: str, code: str) -> Job:
    return Job(label, code)
