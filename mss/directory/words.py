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


# Order matters: longer spellings first, each turned into one letter that no later rule touches (capitals).
_SOUNDS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), sound)
    for pattern, sound in (
        (r"bv", "v"),  # Lefebvre
        (r"ph", "f"),
        (r"gu(?=[ei])", "G"),
        (r"(?:ge(?=[aou])|g(?=[eiy]))", "j"),
        (r"s?c(?=[eiy])", "s"),
        (r"ch(?=[rl])", "k"),
        (r"(?:sch|sh|ch)", "C"),
        (r"th", "t"),
        (r"gn", "N"),
        (r"h", ""),
        (r"w", "v"),
        (r"(?:eaux|eau|aux|aud(?=$)|ault(?=$)|aut(?=$)|au|ho)", "o"),
        (r"(?:oeu|eu|oe)", "E"),
        (r"ou", "U"),
        (r"(?:oy|oi)", "W"),
        (r"(?:ain|ein|aim|eim|yn|ym|in|im)(?![aeiouymnEUW])", "I"),
        (r"(?:un|um)(?![aeiouymn])", "I"),
        (r"(?:an|am|en|em)(?![aeiouymnEUW])", "A"),
        (r"(?:on|om)(?![aeiouymnEUW])", "O"),
        (r"(?:er|ez|et)$", "e"),
        (r"(?:ai(?:s|t|x)$|ay|ai|ey|ei)", "e"),
        (r"(?:ille|ill|y)", "i"),
        (r"(?:cq|ck|qu|q|c)", "k"),
        (r"x$", ""),
        (r"x", "ks"),
        (r"z", "s"),
        (r"(?<=[a-zA-Z])[tdspx]+(?=e?s?$)", ""),  # Dupont, Dupond: nobody hears them
        (r"es?$", ""),
        (r"(?<=[a-zA-Z])[tdsp]$", ""),
        (r"(.)\1+", r"\1"),
    )
)


@lru_cache(REMEMBERED_MAX)
def sound(word: str) -> str:
    """What a folded word sounds like in French; equal for words that may be taken for one another. Never empty."""
    heard = word
    for pattern, letter in _SOUNDS:
        heard = pattern.sub(letter, heard)
    return heard or word


def parts(name: str) -> list[str]:
    """How a family name of several words may be asked for: each part, and all of them written as one."""
    found = words(name)
    return list(dict.fromkeys([*found, "".join(found)])) if found else []
