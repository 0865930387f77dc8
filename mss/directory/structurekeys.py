"""Under which keys does a structure stand, whoever works there, and which of them does a question ask for?

Pure, beside mss/directory/keys.py: there people and mailboxes are found, here hospitals and practices themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

from mss.directory.conditions import Condition, Field, How, holds, letters
from mss.directory.facts import Kind, listing_of, structure_of
from mss.directory.keys import (
    DULL,
    KEY_CHARS_MAX,
    NAME_LETTERS_MIN,
    STRUCTURE_WORDS_MAX,
    Question,
    Walk,
    fits_place,
    fits_words,
    keys_of,
    place_of,
    walk_by_words,
)
from mss.directory.words import fold, words
from mss.model.directory import Listing, Place, Structure


def keys_of_fact(kind: Kind, text: str) -> set[str]:
    """Every key under which a stored fact is found; none for a person, who is found by what is listed under her."""
    if kind is Kind.LISTING:
        return keys_of_listing(listing_of(text))
    return keys_of_structure(structure_of(text)) if kind is Kind.STRUCTURE else set()


def keys_of_listing(listing: Listing) -> set[str]:
    """Its own, and those of a structure without a number, which is known by its mailboxes only."""
    found = keys_of(listing)
    if not listing.family and not listing.idnst:
        found |= {key[:KEY_CHARS_MAX] for key in keys_of_name(listing.structure, listing.place)}
    return found


def keys_of_structure(structure: Structure) -> set[str]:
    """Every key of a structure with a number."""
    found = (f"v/{structure.idnst.lower()}/", *keys_of_name(structure.name, structure.place))
    return {key[:KEY_CHARS_MAX] for key in found}


def keys_of_name(name: str, place: Place) -> Iterator[str]:
    """Those of its name and place; also of a team whose structure has no number."""
    whole, city, department = fold(name), fold(place.city), place.department.lower()
    plain = [word for word in words(name) if word not in DULL]
    for word in list(dict.fromkeys(plain))[:STRUCTURE_WORDS_MAX]:
        yield f"z/{word}/{whole}"
        if city:
            yield f"y/{city}/{word}/{whole}"
    if city:
        yield f"x/{city}/{whole}"
    if department:
        yield f"w/{department}/{whole}"


def structure_walks(question: Question) -> list[Walk]:
    """Where to look for structures. Empty: no way without reading everything."""
    numbers = [text for one in _asked(question, Field.STRUCTURE_NUMBER) for text in one.texts]
    if numbers:
        return [Walk(f"v/{number.lower()}/") for number in dict.fromkeys(numbers)]
    city, department = place_of(question.place)
    named = [one for one in _asked(question, Field.STRUCTURE) if one.how is not How.CONTAINS]
    for texts in ((question.structure,), *(one.texts for one in named)):
        found = [walk_by_words(f"y/{city}" if city else "z", text) for text in texts]
        ways = [way for way in found if way is not None]
        if len(ways) == len(found):
            return ways if len(ways) == 1 else list(dict.fromkeys(Walk(way.start) for way in ways))
    if city or department:
        return [Walk(f"x/{city}/" if city else f"w/{department}/")]
    within = [text for one in _asked(question, Field.STRUCTURE) for text in one.texts]
    return [Walk("z/")] if within and all(letters(text) >= NAME_LETTERS_MIN for text in within) else []


def _asked(question: Question, field: Field) -> list[Condition]:
    return [one for one in question.conditions if one.field is field]


def fits_structure(question: Question, name: str, place: Place) -> bool:
    """Whether a structure is one that was asked for; what is asked of its mailboxes is not looked at here."""
    if question.place and not fits_place(question.place, place):
        return False
    if not all(holds(one, (name,)) for one in _asked(question, Field.STRUCTURE)):
        return False
    return not question.structure or fits_words(question.structure, name)
