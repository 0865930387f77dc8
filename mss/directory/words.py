"""Do two spellings mean the same word? Names folded to plain letters, and to what they sound like in French.

Pure. The fold serves every search; the sound finds Lefebvre for Lefèvre, Thibaud for Tibo, Dupond for Dupont. It is
meant to find more, never to decide that two people are one.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ß": "ss", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th"})
_WORD = re.compile(r"[a-z0-9]+")
QUERY_CHARS_MAX = 200
"""More is no name. Whoever sends more is answered as if it ended here."""


REMEMBERED_MAX = 20_000
"""Cities, labels and common names come again and again in an import: some 4 MB."""


@lru_cache(REMEMBERED_MAX)
def fold(text: str) -> str:
    """Small plain letters: accents off, ligatures open, everything else but letters and digits a space."""
    if text.isascii():
        return " ".join(_WORD.findall(text[: 4 * QUERY_CHARS_MAX].lower()))
    apart = unicodedata.normalize("NFKD", text[: 4 * QUERY_CHARS_MAX].lower().translate(_LIGATURES))
    plain = "".join(letter for letter in apart if not unicodedata.combining(letter))
    return " ".join(_WORD.findall(plain.translate(_LIGATURES)))


def words(text: str) -> list[str]:
    """The words of a text, folded."""
    return fold(text).split()


# Order matters: longer spellings first, each turned into one letter that no later rule touches (capitals). Beside each
# what a word must hold for it, since looking for that costs a tenth of trying the pattern.
_SOUNDS: tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...] = tuple(
    (tuple(held.split()), re.compile(pattern), sound)
    for held, pattern, sound in (
        ("bv", r"bv", "v"),  # Lefebvre
        ("ph", r"ph", "f"),
        ("gu", r"gu(?=[ei])", "G"),
        ("g", r"(?:ge(?=[aou])|g(?=[eiy]))", "j"),
        ("c", r"s?c(?=[eiy])", "s"),
        ("ch", r"ch(?=[rl])", "k"),
        ("ch sh", r"(?:sch|sh|ch)", "C"),
        ("th", r"th", "t"),
        ("gn", r"gn", "N"),
        ("h", r"h", ""),
        ("w", r"w", "v"),
        ("au ho", r"(?:eaux|eau|aux|aud(?=$)|ault(?=$)|aut(?=$)|au|ho)", "o"),
        ("eu oe", r"(?:oeu|eu|oe)", "E"),
        ("ou", r"ou", "U"),
        ("oy oi", r"(?:oy|oi)", "W"),
        ("in im yn ym", r"(?:ain|ein|aim|eim|yn|ym|in|im)(?![aeiouymnEUW])", "I"),
        ("un um", r"(?:un|um)(?![aeiouymn])", "I"),
        ("an am en em", r"(?:an|am|en|em)(?![aeiouymnEUW])", "A"),
        ("on om", r"(?:on|om)(?![aeiouymnEUW])", "O"),
        ("er ez et", r"(?:er|ez|et)$", "e"),
        ("ai ay ey ei", r"(?:ai(?:s|t|x)$|ay|ai|ey|ei)", "e"),
        ("ill y", r"(?:ille|ill|y)", "i"),
        ("c q", r"(?:cq|ck|qu|q|c)", "k"),
        ("x", r"x$", ""),
        ("x", r"x", "ks"),
        ("z", r"z", "s"),
        ("t d s p x", r"(?<=[a-zA-Z])[tdspx]+(?=e?s?$)", ""),  # Dupont, Dupond: nobody hears them
        ("e", r"es?$", ""),
        ("t d s p", r"(?<=[a-zA-Z])[tdsp]$", ""),
    )
)
_DOUBLED = re.compile(r"(.)\1+")


@lru_cache(REMEMBERED_MAX)
def sound(word: str) -> str:
    """What a folded word sounds like in French; equal for words that may be taken for one another. Never empty."""
    heard = word
    for held, pattern, letter in _SOUNDS:
        for one in held:
            if one in heard:
                heard = pattern.sub(letter, heard)
                break
    return _DOUBLED.sub(r"\1", heard) or word


def parts(name: str) -> list[str]:
    """How a family name of several words may be asked for: each part, and all of them written as one."""
    found = words(name)
    return list(dict.fromkeys([*found, "".join(found)])) if found else []
