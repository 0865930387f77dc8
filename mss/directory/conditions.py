"""Does one field say what a software asks of it: from its beginning, anywhere in it, or letter by letter?

Pure. People ask with a `Question` and mean well; software asks of single fields, as FHIR's string parameters do (R4
§3.1.1.4.8): the beginning unless a modifier says otherwise, without capitals and accents; `exact` with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mss.directory.words import fold, parts, words
from mss.model.directory import Listing


class Field(StrEnum):
    """What may be asked of."""

    PERSON_NUMBER = "person-number"
    """IDNPS, exact."""
    STRUCTURE_NUMBER = "structure-number"
    """IDNST, exact."""
    ADDRESS = "address"
    FAMILY = "family"
    GIVEN = "given"
    STRUCTURE = "structure"
    """The name of a structure."""
    NAME = "name"
    """Any part of a person's name, or the whole of it."""


class How(StrEnum):
    """How much of the field must be said."""

    STARTS = "starts"
    CONTAINS = "contains"
    EXACT = "exact"


@dataclass(frozen=True, slots=True)
class Condition:
    """One of several that must all hold. `texts`: any of them."""

    field: Field
    how: How
    texts: tuple[str, ...]


def all_hold(conditions: tuple[Condition, ...], listing: Listing) -> bool:
    return all(holds(one, values_of(one.field, listing)) for one in conditions)


def holds(condition: Condition, values: tuple[str, ...]) -> bool:
    """Whether one of the values says one of the texts."""
    return any(_says(condition.field, condition.how, text, values) for text in condition.texts)


def _says(field: Field, how: How, asked: str, values: tuple[str, ...]) -> bool:
    if how is How.EXACT:
        return asked in values
    if field is Field.ADDRESS:
        asked = asked.lower()
        return any(asked in one if how is How.CONTAINS else one.startswith(asked) for one in values)
    plain = fold(asked)
    if not plain:
        return False
    if how is How.CONTAINS:
        return any(plain in fold(one) for one in values)
    return any(_begins(plain, one) for one in values)


def _begins(plain: str, text: str) -> bool:
    """With a word of it, or with its words written as one: `le gall`, `legall`, `dupont` of Martin-Dupont."""
    whole = f" {fold(text)}"
    return f" {plain}" in whole or any(part.startswith(plain.replace(" ", "")) for part in parts(text))


def values_of(field: Field, listing: Listing) -> tuple[str, ...]:
    """What a listing says in a field."""
    match field:
        case Field.PERSON_NUMBER:
            return (listing.idnps,)
        case Field.STRUCTURE_NUMBER:
            return (listing.idnst,)
        case Field.ADDRESS:
            return (listing.address,)
        case Field.FAMILY:
            return (listing.family,)
        case Field.GIVEN:
            return (listing.given,)
        case Field.STRUCTURE:
            return (listing.structure,)
        case Field.NAME:
            both = (f"{listing.given} {listing.family}", f"{listing.family} {listing.given}")
            return (listing.family, listing.given, *both)


def letters(text: str) -> int:
    """How many letters and digits a text has, for who wants some before looking."""
    return sum(map(len, words(text)))
