"""Under which keys is a listing found, and which keys does a question ask for?

Pure. An index key is a letter for the question, then folded words with slashes between them, ending in the person's
name: so that every search is a walk along a few neighbouring keys, already in the order in which people read names,
and costs the same among ten thousand as among a million.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mss.directory.conditions import Condition, Field, How, all_hold, letters
from mss.directory.words import QUERY_CHARS_MAX, REMEMBERED_MAX, fold, parts, sound, words
from mss.model.directory import Job, Listing, Place

KEY_CHARS_MAX = 120
"""Longer keys are cut: what differs behind is told apart by looking at the listing itself."""
STRUCTURE_WORDS_MAX = 6
WORDS_TRIED_MAX = 4
"""Of a structure's name, to find the rarest: of `centre hospitalier de Rennes` that is Rennes."""
NAME_LETTERS_MIN = 3
"""Of a name that is asked for by its beginning. Fewer letters are a list of everybody."""
IDENTIFIERS_MAX = 50
"""Of one question: what a software asks at once of its address book."""
QUESTIONS_REMEMBERED_MAX = 64
"""Each is asked of a thousand listings in a row, and forgotten soon: it may be a name."""
JOBS_MAX = 12
"""Professions and specialties that one word of a question may mean."""
DULL = frozenset(("de", "du", "des", "la", "le", "les", "et", "d", "l", "en", "au", "aux", "a", "sur", "sous"))


def keys_of(listing: Listing) -> set[str]:
    """Every key under which `listing` stands."""
    return {key[:KEY_CHARS_MAX] for key in _keys(listing)}


def _keys(listing: Listing) -> Iterator[str]:
    city, department = fold(listing.place.city), listing.place.department.lower()
    jobs = jobs_of(listing)
    given = fold(listing.given)
    names = _names(listing.family)
    for name, heard in names:
        yield f"n/{name}/{given}"
        yield f"s/{heard}/{given}"
        if city:
            yield f"c/{city}/{name}/{given}"
            yield f"k/{city}/{heard}/{given}"
        if department:
            yield f"d/{department}/{name}/{given}"
            yield f"e/{department}/{heard}/{given}"
        for job in jobs:
            yield f"j/{job}/{name}/{given}"
            yield f"l/{job}/{heard}/{given}"
    whole = names[-1][0] if names else ""
    for first in given.split():
        yield f"g/{first}/{whole}"
    whole = whole or fold(listing.structure)
    for job in jobs:
        if city:
            yield f"p/{city}/{job}/{whole}"
        if department:
            yield f"q/{department}/{job}/{whole}"
    yield from _structure_keys(listing, city, whole)
    if listing.address:
        yield f"a/{listing.address.lower()}"
    if listing.idnps:
        yield f"h/{listing.idnps.lower()}/"
    if listing.idnst:
        yield f"t/{listing.idnst.lower()}/{'1' if listing.family else '0'}/{whole}"


@lru_cache(REMEMBERED_MAX)
def _names(family: str) -> tuple[tuple[str, str], ...]:
    """How a family name may be asked for, and what each of that sounds like."""
    return tuple((name, sound(name)) for name in parts(family))


def _structure_keys(listing: Listing, city: str, whole: str) -> Iterator[str]:
    """A team is found by its service and description too; a person only by her structure."""
    mark, plain = ("1" if listing.family else "0"), _plain_words(listing.structure)
    if not listing.family:
        plain = (*plain, *_plain_words(listing.service), *_plain_words(listing.description))
    for word in list(dict.fromkeys(plain))[:STRUCTURE_WORDS_MAX]:
        yield f"o/{word}/{mark}/{whole}"
        if city:
            yield f"u/{city}/{word}/{mark}/{whole}"
        if not listing.family:  # teams alone: whoever asks for one by its name walks along nobody who works there
            yield f"m/{word}/{whole}"
            if city:
                yield f"r/{city}/{word}/{whole}"


@lru_cache(REMEMBERED_MAX)
def _plain_words(text: str) -> tuple[str, ...]:
    return tuple(word for word in words(text) if word not in DULL)


def job_key(job: Job) -> str:
    """A profession or specialty as a part of a key: its words."""
    return fold(job.label)


def codes_of(listing: Listing) -> list[str]:
    return [job.code for job in (listing.specialty, listing.profession) if job is not None and job.code]


def jobs_of(listing: Listing) -> list[str]:
    return list(dict.fromkeys(job_key(job) for job in (listing.specialty, listing.profession) if job is not None))


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody looks for. Every part that is given must hold. Text as people type it."""

    name: str = ""
    """Family and given name in either order, the last word perhaps unfinished."""
    job: str = ""
    """Profession or specialty, or its beginning."""
    place: str = ""
    """City, postal code or number of a department."""
    structure: str = ""
    """Words of a structure's, service's or team's name."""
    identifier: str = ""
    """RPPS, IDNPS, FINESS, SIRET, IDNST; several with commas between them: any of them."""
    address: str = ""
    """An address or its beginning."""
    has_address: bool = True
    """Only those who can be written to."""
    kinds: frozenset[str] = frozenset()
    """PER, ORG, APP, CAB; empty: all."""
    sounds_alike: bool = True
    of_teams: bool = False
    """Nobody with a family name: the words of a structure are those of a team or a software."""
    job_code: str = ""
    """National code of a profession or specialty, where sources say codes."""
    conditions: tuple[Condition, ...] = ()
    """What software asks of single fields, letter by letter."""

    @property
    def is_empty(self) -> bool:
        said = (self.name, self.job, self.place, self.structure, self.identifier, self.address, self.job_code)
        return not any(said) and not self.conditions


@dataclass(frozen=True, slots=True)
class Walk:
    """Neighbouring keys: those that begin with `start`, which is cut like them."""

    start: str
    instead: tuple[str, ...] = ()
    """Beginnings behind which everything stands as well that may be an answer: the walk with the fewest keys is gone
    (mss/directory/walking.py). None begins another."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", self.start[:KEY_CHARS_MAX])
        object.__setattr__(self, "instead", tuple(start[:KEY_CHARS_MAX] for start in self.instead))


def walk_by_words(head: str, text: str) -> Walk | None:
    """Along any of the words of a text, the longest unless another is rarer; None when all are too short."""
    plain = [word for word in dict.fromkeys(words(text[:QUERY_CHARS_MAX])) if word not in DULL]
    whole = [one for one in plain if not any(other != one and other.startswith(one) for other in plain)]
    usable = sorted((one for one in whole if len(one) >= NAME_LETTERS_MIN), key=len, reverse=True)
    starts = [f"{head}/{word}" for word in usable[:WORDS_TRIED_MAX]]
    return Walk(starts[0], tuple(starts[1:])) if starts else None


def walks(question: Question, jobs: tuple[str, ...]) -> list[Walk]:
    """Where to look, in this order. `jobs`: what `question.job` may mean, as parts of keys. Empty: no way to look it
    up without reading everything (say more)."""
    if question.identifier:
        asked_for = question.identifier.split(",")[:IDENTIFIERS_MAX]
        return list(dict.fromkeys(walk for one in asked_for for walk in _by_identifier(one)))
    if question.address:
        typed = question.address.strip().lower()[:KEY_CHARS_MAX]
        return [Walk(f"a/{typed}")] if len(typed) >= NAME_LETTERS_MIN else []
    asked = words(question.name[:QUERY_CHARS_MAX])
    city, department = place_of(question.place)
    if asked:
        return _by_name(question, asked, city, department, jobs)
    if question.structure:
        return _by_structure(question.structure, city, of_teams=question.of_teams)
    if found := _by_condition(question, city, department):
        return found
    where = f"p/{city}" if city else f"q/{department}" if department else ""
    if question.job or question.job_code:
        return [Walk(f"{where or 'j'}/{job}/") for job in jobs[:JOBS_MAX]]
    if where:
        return [Walk(f"c/{city}/" if city else f"d/{department}/")]
    return _reading_through(question)


def _by_condition(question: Question, city: str, department: str) -> list[Walk]:
    """Along what a field begins with, the field that fewest share first."""
    where = f"c/{city}" if city else f"d/{department}" if department else "n"
    for field in Field:  # in the order in which they tell people apart
        for one in question.conditions:
            if one.field is field and one.how is not How.CONTAINS:
                if field is Field.STRUCTURE and len(one.texts) == 1 and letters(one.texts[0]) >= NAME_LETTERS_MIN:
                    return _by_structure(one.texts[0], city)
                starts = [start for text in one.texts if (start := _start_of(field, one.how, text, where, city))]
                if len(starts) == len(one.texts):
                    return [Walk(start) for start in dict.fromkeys(starts)]
    return []


def _start_of(field: Field, how: How, text: str, where: str, city: str) -> str:
    """The beginning of the keys of a text in a field; empty: there is none, or it is a list of everybody."""
    plain = fold(text)
    if field is Field.PERSON_NUMBER:
        return f"h/{text.lower()}/"
    if field is Field.STRUCTURE_NUMBER:
        return f"t/{text.lower()}/"
    if field is Field.FAMILY and how is How.EXACT and plain:
        return f"{where}/{plain.replace(' ', '')}/"  # Ly, Wu
    if letters(text) < NAME_LETTERS_MIN:
        return ""
    if field is Field.ADDRESS:
        return f"a/{text.lower()}"
    if field is Field.FAMILY:
        return f"{where}/{plain.replace(' ', '')}"
    if field is Field.GIVEN:
        return f"g/{plain.split()[0]}"
    if field is Field.STRUCTURE:
        return next((walk.start for walk in _by_structure(text, city)), "")
    return ""


def _reading_through(question: Question) -> list[Walk]:
    """Letters in the middle of a field: every key of it is looked at, a bounded number for each page."""
    for one in question.conditions:
        if one.how is How.CONTAINS and all(letters(text) >= NAME_LETTERS_MIN for text in one.texts):
            return [Walk({Field.ADDRESS: "a/", Field.STRUCTURE: "o/", Field.GIVEN: "g/"}.get(one.field, "n/"))]
    return []


def _by_identifier(typed: str) -> list[Walk]:
    plain = "".join(typed.split()).lower()
    if len(plain) < 9 or len(plain) > KEY_CHARS_MAX:
        return []
    people = [f"h/{plain}/"] + [f"h/8{plain}/"] * (len(plain) == 11) + [f"h/0{plain}/"] * (len(plain) == 9)
    places = [f"t/{plain}/"] + [f"t/1{plain}/"] * (len(plain) == 9) + [f"t/3{plain}/"] * (len(plain) == 14)
    return [Walk(start) for start in (*people, *places)]


def _by_name(question: Question, asked: list[str], city: str, department: str, jobs: tuple[str, ...]) -> list[Walk]:
    """The whole as a family name, the first or last word of it with the rest as given name, the given name first (alone
    only where nothing narrows it); then what sounds like it."""
    if sum(map(len, asked)) < NAME_LETTERS_MIN:
        return []
    where, sounds = ["n"], ["s"]
    if city:
        where, sounds = [f"c/{city}"], [f"k/{city}"]
    elif department:
        where, sounds = [f"d/{department}"], [f"e/{department}"]
    elif jobs:
        where, sounds = [f"j/{job}" for job in jobs[:JOBS_MAX]], [f"l/{job}" for job in jobs[:JOBS_MAX]]
    starts: list[str] = []
    for at in where:
        starts.append(f"{at}/{''.join(asked)}")
        if len(asked) > 1:
            starts.append(f"{at}/{asked[0]}/{' '.join(asked[1:])}")
            starts.append(f"{at}/{asked[-1]}/{' '.join(asked[:-1])}")
            starts += [f"{at}/{''.join(asked[:cut])}/{' '.join(asked[cut:])}" for cut in range(2, len(asked))]
    if len(asked) > 1:
        starts.append(f"g/{asked[0]}/{''.join(asked[1:])}")
    elif where == ["n"]:
        starts.append(f"g/{asked[0]}")
    if question.sounds_alike and len(max(asked, key=len)) >= NAME_LETTERS_MIN:
        for at in sounds:
            starts.append(f"{at}/{sound(''.join(asked))}/")
            if len(asked) > 1:
                starts.append(f"{at}/{sound(asked[0])}/{asked[1]}")
                starts.append(f"{at}/{sound(asked[-1])}/{asked[0]}")
    return [Walk(start) for start in dict.fromkeys(starts)]


def _by_structure(text: str, city: str, *, of_teams: bool = False) -> list[Walk]:
    everywhere, there = ("m", "r") if of_teams else ("o", "u")
    found = walk_by_words(f"{there}/{city}" if city else everywhere, text)
    return [] if found is None else [found]


def place_of(typed: str) -> tuple[str, str]:
    """(city folded, department): one of them; both empty when nothing is asked."""
    plain = fold(typed)
    number = plain.replace(" ", "")
    if number[:1].isdigit():
        if len(number) >= 5:
            return "", number[:3] if number.startswith("97") else number[:2]
        return "", number
    return plain, ""


STEM_LETTERS_MIN = 4
ENDING_LETTERS = 3
"""cardiologue, cardiologie, cardiologiste: who looks for one means them all."""


def jobs_meant(typed: str, vocabulary: tuple[str, ...]) -> tuple[str, ...]:
    """Which professions and specialties of the vocabulary (folded) a person may mean by what she types."""
    stems = [word[: max(STEM_LETTERS_MIN, len(word) - ENDING_LETTERS)] for word in words(typed[:QUERY_CHARS_MAX])]
    asked = [stem for stem in stems if stem not in DULL]
    if not asked:
        return ()
    meant = [job for job in vocabulary if all(any(word.startswith(stem) for word in job.split()) for stem in asked)]
    whole = fold(typed)
    return tuple(sorted(meant, key=lambda job: (job != whole, not job.startswith(whole), job))[:JOBS_MAX])


def fits(question: Question, jobs: tuple[str, ...], listing: Listing) -> bool:
    """Whether a listing met on a walk is one that was asked for: the parts that its key did not say."""
    if question.has_address and not listing.address:
        return False
    if question.of_teams and listing.family:
        return False
    if question.kinds and listing.kind not in question.kinds:
        return False
    if question.place and not fits_place(question.place, listing.place):
        return False
    if (question.job or question.job_code) and not set(jobs) & set(jobs_of(listing)):
        return False
    if question.job_code and question.job_code not in codes_of(listing):
        return False
    if not all_hold(question.conditions, listing):
        return False
    if not question.structure:
        return True
    return fits_words(question.structure, f"{listing.structure} {listing.service} {listing.description}")


def fits_place(typed: str, place: Place) -> bool:
    """Whether a place is in the city, postal code or department that was typed."""
    city, department = place_of(typed)
    if city:
        return fold(place.city) == city
    postal = "".join(typed.split())
    if len(postal) >= 5:
        return place.postal_code == postal
    return place.department.lower() == department


def fits_words(typed: str, text: str) -> bool:
    """Whether each word that was typed begins one of the text."""
    here = f" {fold(text)}"
    return all(beginning in here for beginning in _beginnings(typed))


@lru_cache(QUESTIONS_REMEMBERED_MAX)
def _beginnings(typed: str) -> tuple[str, ...]:
    return tuple(f" {word}" for word in words(typed) if word not in DULL)
