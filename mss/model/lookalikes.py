"""Does this name show what it says? Letters of other scripts that look like ours, marks that turn or hide text. Pure.

After Unicode UTS #39 (mixed-script and whole-script confusables, invisible and bidirectional controls), for names of
people and structures as a reader of French sees them. A name in one script is honest: Greek, Arabic, Vietnamese,
Breton. A word that mixes scripts is not, nor one whose every letter only looks Latin. Judged word by word, so a name
may stand in two scripts side by side.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache


class Trick(StrEnum):
    """What is wrong with a name."""

    DIRECTION = "direction"
    """Marks that turn the reading direction (UAX #9)."""
    INVISIBLE = "invisible"
    """Characters that nobody sees, or that are none."""
    MIXED = "mixed-scripts"
    """One word in two alphabets."""
    LOOKALIKE = "look-alike"
    """Letters that only look like Latin ones."""
    STACKED = "stacked-marks"
    """More marks over one letter than any language has."""


_HONEST: frozenset[Trick] = frozenset()
UNKNOWN_LETTER = "\u25a1"
"""A white square stands where a letter only looks like one of ours."""
MARKS_MAX = 3
"""Over one letter: Vietnamese has two, vocalised Hebrew and Arabic three (UTS #39 §5.4 says four is doubtful)."""
NAME_CHARS_MAX = 1_000
REMEMBERED_MAX = 20_000
"""Names come again and again on pages and in imports: some 4 MB."""

_PLAIN = re.compile(r"[ -~\u00a0\u00a1-\u00ac\u00ae-\u017e\u2010-\u2015\u2018-\u201f\u2022\u2026]*\Z")
"""What French, Breton, Corsican and most European names are written with: judged in one step."""
_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {chr(n) for n in range(0xFE00, 0xFE10)}
"""Letters and marks by category that show nothing."""
_HIDDEN = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
_JOINERS = ("\u200c", "\u200d")
_INDIC = "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "SINHALA"
_JOINED = frozenset(("ARABIC", *_INDIC))
"""Scripts in which a joiner between two letters is spelling (Persian, Hindi …)."""
_TOGETHER = (frozenset(("CJK", "HIRAGANA", "KATAKANA")), frozenset(("CJK", "HANGUL")), frozenset(("CJK", "BOPOMOFO")))
_EUROPEAN = "LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "GEORGIAN"
_ASIAN = "THAANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "ORIYA"
_RECOMMENDED = frozenset((*_EUROPEAN, *_ASIAN, "HEBREW", "ARABIC", "ETHIOPIC"))
"""Alphabets of living languages (UAX #31 table 5); of any other it is doubted that a name is one."""
_LATIN_LIKE = {
    "CYRILLIC": frozenset("асԁеһіјӏорԛѕѵԝхуүкмтвнгАВСЕНІЈКМОРԚЅТѴԜХУҮӀԌЗ"),
    "GREEK": frozenset("αγινορυκχηωϲϳΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹ"),
    "ARMENIAN": frozenset("օսհոցգզքՕՍԼՏՏ"),
}
"""Letters that a reader of Latin takes for Latin ones (UTS #39 confusables, those that a name would use)."""
_LATIN_DISGUISED = frozenset("\u0251\u0261\u0269\u026a\u0280\u0274\u029f\u0299\u029c\u028f\u01c0")
"""Latin by name, made for phonetics, and looking like common letters. (A dotless i is honest: Yıldırım.)"""
_ORDINAL = frozenset("ªº")
_CIRCLED = re.compile("[\u24b6-\u24e9\U0001f130-\U0001f189]")
_TITLES = frozenset(("dr", "docteur", "pr", "professeur", "m", "mr", "mme", "mlle", "me"))
_WORDS = re.compile(r"[^\s\-‐‑–—'’.,()/&+@]+")


def tricks_of(name: str) -> frozenset[Trick]:
    """What is wrong with a name; empty for an honest one."""
    return _HONEST if _PLAIN.match(name) else _tricks_of(name)


@lru_cache(REMEMBERED_MAX)
def _tricks_of(name: str) -> frozenset[Trick]:
    text = unicodedata.normalize("NFC", name[:NAME_CHARS_MAX])
    found = {trick for at, c in enumerate(text) if (trick := _of_character(text, at, c)) is not None}
    if _is_stacked(text):
        found.add(Trick.STACKED)
    return frozenset(found | {trick for _, _, trick in _bad_words(text)})


def shown(name: str) -> str:
    """The name without what deceives: hidden characters gone, letters of a disguise as white squares."""
    if not tricks_of(name):
        return name
    text = unicodedata.normalize("NFC", name[:NAME_CHARS_MAX])
    letters = list(text)
    for start, end, _ in _bad_words(text):
        foreign = _foreign(text[start:end])
        for at in range(start, end):
            if text[at] in foreign:
                letters[at] = UNKNOWN_LETTER
    kept = (
        c if _of_character(text, at, text[at]) is None else " " if text[at].isspace() else ""
        for at, c in enumerate(letters)
    )
    return unicodedata.normalize("NFC", " ".join(_with_few_marks("".join(kept)).split()))


def _of_character(text: str, at: int, c: str) -> Trick | None:
    if c in _DIRECTION:
        return Trick.DIRECTION
    if c in _JOINERS and 0 < at < len(text) - 1:
        around = {_script(text[at - 1]), _script(text[at + 1])}
        return None if len(around) == 1 and around <= _JOINED else Trick.INVISIBLE
    return Trick.INVISIBLE if c in _BLANK or unicodedata.category(c) in _HIDDEN else None


def _is_stacked(text: str) -> bool:
    return _with_few_marks(text) != text


def _with_few_marks(text: str) -> str:
    kept, marks = [], 0
    for c in text:
        marks = marks + 1 if unicodedata.category(c) in ("Mn", "Me") else 0
        if marks <= MARKS_MAX:
            kept.append(c)
    return "".join(kept)


def _bad_words(text: str) -> list[tuple[int, int, Trick]]:
    """Words that deceive: from, to, how."""
    words = [(found.start(), found.end()) for found in _WORDS.finditer(text)]
    scripts = [_scripts(text[start:end]) for start, end in words]
    titles = [text[start:end].lower() in _TITLES for start, end in words]
    has_latin = any("LATIN" in one and not title for one, title in zip(scripts, titles, strict=True))
    proven = {
        script
        for (start, end), one in zip(words, scripts, strict=True)
        for script in one
        if len(one) == 1 and _shows(text[start:end], script)
    }
    bad = []
    for (start, end), found in zip(words, scripts, strict=True):
        trick = _of_word(text[start:end], found, proven, has_latin=has_latin)
        if trick is not None:
            bad.append((start, end, trick))
    return bad


def _of_word(word: str, scripts: set[str], proven: set[str], *, has_latin: bool) -> Trick | None:
    if any(map(_is_disguised, word)):
        return Trick.LOOKALIKE
    if len(scripts) > 1:
        return None if any(scripts <= together for together in _TOGETHER) else Trick.MIXED
    for script in scripts:
        if script not in _LATIN_LIKE or len(word) < 2 or _shows(word, script):
            continue
        if has_latin or script not in proven:  # nothing tells that this word is not Latin
            return Trick.LOOKALIKE
    return None


def _shows(word: str, script: str) -> bool:
    """Whether a letter of this word tells a reader of Latin that it is of another script."""
    like = _LATIN_LIKE.get(script, frozenset())
    return any(_base(c) not in like for c in word if c.isalpha())


def _is_disguised(c: str) -> bool:
    """A letter of mathematics, of a frame or of phonetics in the place of a common one; one of a dead alphabet."""
    if _CIRCLED.match(c) or c in _LATIN_DISGUISED:
        return True
    if c.isascii() or c in _ORDINAL or not (c.isalpha() or unicodedata.category(c) == "Nl"):
        return False
    plain = unicodedata.normalize("NFKC", c)
    if len(plain) == 1 and plain.isascii():
        return True
    script = _script(c)
    return script not in _RECOMMENDED and not any(script in one for one in _TOGETHER) and script not in _JOINED


def _foreign(word: str) -> frozenset[str]:
    """The letters of a bad word that are not to be believed: all but its plain Latin ones."""
    return frozenset(c for c in word if _script(c) not in ("", "LATIN") or _is_disguised(c))


def _scripts(word: str) -> set[str]:
    return {script for c in word if (script := _script(c))}


@lru_cache(4096)
def _script(c: str) -> str:
    """The script of a letter by its Unicode name; empty for what belongs to all (digits, marks, punctuation)."""
    category = unicodedata.category(c)
    if not category.startswith("L") or category == "Lm":
        return ""
    first, _, rest = unicodedata.name(c, "UNKNOWN").partition(" ")
    if first in ("FEMININE", "MASCULINE"):
        return "LATIN"
    if first == "MICRO":
        return "GREEK"
    if first in ("FULLWIDTH", "HALFWIDTH"):
        return rest.partition(" ")[0]
    return first


@lru_cache(4096)
def _base(c: str) -> str:
    """A letter without its accents."""
    return unicodedata.normalize("NFD", c)[0]
