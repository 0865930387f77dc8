"""In which language does this page speak, and how does it write a date or a size?

French sentences are the keys (gettext's way); a catalogue holds the English ones. Read once at the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from babel.messages.pofile import read_po

LANGUAGES = ("fr", "en")
LANGUAGE_NAMES = {"fr": "Français", "en": "English"}
DEFAULT = "fr"
LOCALES = Path(__file__).with_name("locales")
PARIS = ZoneInfo("Europe/Paris")

_MOMENT = {"fr": "d MMM y 'à' HH:mm", "en": "d MMM y 'at' HH:mm"}
_SPOKEN = {"fr": "d MMMM y 'à' HH:mm", "en": "d MMMM y 'at' HH:mm"}
_FORMATS = {"fr": "fr_FR", "en": "en_GB"}
_UNITS = {"fr": ("octets", "ko", "Mo"), "en": ("bytes", "kB", "MB")}

Catalogue = Mapping[str, tuple[str, ...]]


def N_(sentence: str) -> str:
    """Marks a sentence for translation where it is only named, not yet said (gettext's own name for that)."""
    return sentence


class Words:
    """One language."""

    def __init__(self, language: str, catalogue: Catalogue) -> None:
        self.language = language
        self._catalogue = catalogue

    def gettext(self, sentence: str) -> str:
        return self._catalogue.get(sentence, (sentence,))[0]

    def ngettext(self, one: str, many: str, number: int) -> str:
        """French counts 0 and 1 as one; English 1 only."""
        is_many = number > 1 if self.language == "fr" else number != 1
        return self._catalogue.get(one, (one, many))[int(is_many)]

    def moment(self, at: datetime) -> str:
        """22 nov. 2026 à 09:30."""
        return self._at(at, _MOMENT[self.language])

    def moment_in_words(self, at: datetime) -> str:
        """22 novembre 2026 à 09:30."""
        return self._at(at, _SPOKEN[self.language])

    def soon(self, at: datetime, now: datetime) -> str:
        """As short as it can be understood: 09:30 today, 22 nov. this year, 22 nov. 2025 before."""
        local, today = at.astimezone(PARIS), now.astimezone(PARIS)
        if local.date() == today.date():
            return self._at(at, "HH:mm")
        return self._at(at, "d MMM" if local.year == today.year else "d MMM y")

    def day(self, at: datetime | date) -> str:
        """22 nov. 2026."""
        if isinstance(at, datetime):
            return self._at(at, "d MMM y")
        return format_date(at, "d MMM y", locale=_FORMATS[self.language])

    def size(self, size_bytes: int) -> str:
        """12 octets, 340 ko, 1,2 Mo."""
        small, middle, large = _UNITS[self.language]
        if size_bytes < 1000:
            return f"{size_bytes}\u00a0{small}"
        if size_bytes < 1_000_000:
            return f"{round(size_bytes / 1000)}\u00a0{middle}"
        number = f"{size_bytes / 1_000_000:.1f}"
        return f"{number.replace('.', ',') if self.language == 'fr' else number}\u00a0{large}"

    def _at(self, at: datetime, pattern: str) -> str:
        return format_datetime(at, pattern, tzinfo=PARIS, locale=_FORMATS[self.language])


@cache
def words_of(language: str) -> Words:
    """The words of a language that we speak."""
    return Words(language, {} if language == DEFAULT else read_catalogue(language))


def read_catalogue(language: str) -> Catalogue:
    """French sentence → translations (singular, and plural where there is one)."""
    path = LOCALES / language / "LC_MESSAGES" / "mss.po"
    with path.open("rb") as file:
        catalogue = read_po(file, locale=language)
    found: dict[str, tuple[str, ...]] = {}
    for message in catalogue:
        ids = (message.id,) if isinstance(message.id, str) else tuple(message.id)
        said = (message.string,) if isinstance(message.string, str) else tuple(message.string or ())
        if ids[0] and all(said) and not message.fuzzy:
            found[ids[0]] = said
    return found


def preferred(accept_language: str) -> str:
    """The first language of the browser's list that we speak (RFC 9110 §12.5.4), else French."""
    wishes: list[tuple[float, int, str]] = []
    for place, item in enumerate(accept_language[:200].split(",")):
        tag, _, quality = item.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        wishes.append((-weight, place, tag.split("-")[0].lower()))
    return next((tag for weight, _, tag in sorted(wishes) if tag in LANGUAGES and weight < 0), DEFAULT)
