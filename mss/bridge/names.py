"""Does a subject or a file name tell another person's name than the addressee's?

Senders write the patient's name where people read it: `XDM/1.0/DDM+<label> <NAME> <first name> <birth date>` in the
subject, `<date>_<type>_<NAME>_<first name>_<number>.pdf` for a readable copy (ANS ECO.2.1.3, ECO.2.1.6). A label that
names nobody says nothing; one that names somebody must name her. Never finds out whom it names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from mss.bridge.claims import fold
from mss.bridge.vocabulary import ABBREVIATIONS, JOINING, WORDS

_SUBJECT = re.compile(r"XDM/1\.0/DDM\s*\+(.*)", re.IGNORECASE | re.DOTALL)
_PDF_NAME = re.compile(r"[0-9]{8}_(.+)\.pdf\Z", re.IGNORECASE | re.DOTALL)
_WORD = re.compile(r"[^\W\d_]+")
_BIRTH_DATE = re.compile(r"\b([0-3]?[0-9])/([01]?[0-9])/([0-9]{4})\s*\Z", re.ASCII)
LABEL_CHARS_MAX = 1000
"""Of a label that is looked at: a name that stands behind that is nobody's."""


@dataclass(frozen=True, slots=True)
class Called:
    """What a person may be called in a label: the birth name or the one in use, any of the first names."""

    family_names: tuple[str, ...]
    given_names: tuple[str, ...]
    birth_date: date | None = None

    def __repr__(self) -> str:  # never in a log
        return "Called(…)"


_NOBODY = Called((), ())


def label_of_subject(subject: str) -> str:
    """The part of a subject that should name the patient; empty for an ordinary subject."""
    found = _SUBJECT.search(subject[:LABEL_CHARS_MAX])
    return found.group(1) if found else ""


def label_of_file(name: str) -> str:
    """The same of a file; empty when it is not named as ANS asks."""
    found = _PDF_NAME.match(name[:LABEL_CHARS_MAX])
    return found.group(1).replace("_", " ") if found else ""


def names_another(label: str, people: Iterable[Called]) -> bool:
    """Whether the label names a person, and none of `people`."""
    return bool(label) and not any(_fits(label, called) for called in tuple(people) or (_NOBODY,))


def _fits(label: str, called: Called) -> bool:
    born = _birth_date(label)
    if born is not None and called.birth_date is not None and born != called.birth_date:
        return False
    words = _WORD.findall(label)
    folded = [fold(word) for word in words]
    ends = [end for name in called.family_names for end in _places(folded, fold(name).split())]
    if not ends:
        return born is None and not _names_somebody(words)
    given = any(_places(folded, fold(name).split()) for name in called.given_names)
    return given or any(end == len(folded) for end in ends)


def _birth_date(label: str) -> date | None:
    found = _BIRTH_DATE.search(label)
    try:
        return date(int(found[3]), int(found[2]), int(found[1])) if found else None
    except ValueError:
        return None


def _places(words: list[str], name: list[str]) -> list[int]:
    """Where the words of a name end, each time that they stand together."""
    size = len(name)
    return [at + size for at in range(len(words) - size + 1) if size and words[at : at + size] == name]


def _names_somebody(words: list[str]) -> bool:
    """A name in capitals with a first name behind it, as both rules ask for."""
    return any(_is_a_name(word, behind) for word, behind in pairwise(words))


def _is_a_name(word: str, behind: str) -> bool:
    """Whether a word in capitals may be the family name before a first name. A medical word is none while medicine
    goes on behind it: "BILAN SANGUIN" is nobody, "BILAN Hugo" may be somebody."""
    if len(word) == 1 or not word.isupper() or word in ABBREVIATIONS:
        return False
    return not (_is_medical(word) and (_is_medical(behind) or behind.islower()))


def _is_medical(word: str) -> bool:
    plain = fold(word).upper()
    return len(plain) == 1 or any(plain in known for known in (ABBREVIATIONS, JOINING, WORDS))
