"""How is what a stranger wrote shown without deceiving anybody? Names, subjects, file names, bodies. Pure.

Escaping is the templates' work; here goes what survives escaping: characters that turn the reading direction, are
invisible or break lines, and text without end.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath
from urllib.parse import quote

from mss.model import lookalikes

NAME_CHARS_MAX = 80
SUBJECT_CHARS_MAX = 200
FILENAME_CHARS_MAX = 120
QUOTE_LINES_MIN = 3
"""A shorter quotation is shown where it stands."""

# By Unicode category: format characters (those that turn the reading direction or have no width, TR 36 §2.5) and what
# is no character go; controls and separators become spaces.
_SHOWN_AS = {"Cf": "", "Cn": "", "Co": "", "Cs": "", "Cc": " ", "Zl": " ", "Zp": " "}
_BROKEN_WORDS = re.compile(r"\s+")
_ANSWERS = re.compile(r"\A(?:(?:re|ré|aw|tr|fw|fwd)\s?:\s*)+", re.IGNORECASE)
_EXTENSIONS = {
    "application/pdf": (".pdf",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/png": (".png",),
    "image/gif": (".gif",),
    "image/tiff": (".tif", ".tiff"),
    "text/plain": (".txt", ".csv", ".md"),
    "application/rtf": (".rtf",),
    "text/xml": (".xml",),
    "application/dicom": (".dcm",),
    "application/zip": (".zip",),
}


def one_line(text: str, chars_max: int = SUBJECT_CHARS_MAX) -> str:
    """A name or subject on one line, without characters that deceive, cut with an ellipsis."""
    shown = _BROKEN_WORDS.sub(" ", _visible(text, keep="")).strip()
    return shown if len(shown) <= chars_max else shown[: chars_max - 1].rstrip() + "…"


def name(written: str, chars_max: int = NAME_CHARS_MAX) -> str:
    """How somebody is called, as far as it can be believed: letters that imitate others become white squares."""
    return one_line(lookalikes.shown(written), chars_max)


def is_doubtful(written: str) -> bool:
    """Whether a name is not what it looks like, and a reader must be told."""
    return bool(lookalikes.tricks_of(written))


def topic(subject: str) -> str:
    """What a conversation is about: a subject without the `Re:` of its answers."""
    return one_line(_ANSWERS.sub("", one_line(subject, 1000), count=1))


def body(text: str) -> str:
    """The text of a message: lines and tabs kept, nothing invisible."""
    lines = _visible(text.replace("\r\n", "\n").replace("\r", "\n"), keep="\n\t").split("\n")
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(line.rstrip() for line in lines)).strip("\n")


def without_tricks(text: str) -> str:
    """Longer text (a rendered document) without format characters, its markup untouched."""
    return "".join(c for c in text if c.isascii() or unicodedata.category(c) != "Cf")


def _visible(text: str, keep: str) -> str:
    return "".join(c if c in keep else _SHOWN_AS.get(unicodedata.category(c), c) for c in text)


def split_quotation(text: str) -> tuple[str, str]:
    """(what was written, what was quoted under it). The quotation is the last block of `>` lines and its heading."""
    lines = text.split("\n")
    start = len(lines)
    while start and (lines[start - 1].startswith(">") or not lines[start - 1].strip()):
        start -= 1
    quoted = [line for line in lines[start:] if line.startswith(">")]
    if len(quoted) < QUOTE_LINES_MIN:
        return text, ""
    if start and lines[start - 1].rstrip().endswith(":"):  # "Le 22 nov. 2026, le laboratoire a écrit :"
        start -= 1
    return "\n".join(lines[:start]).rstrip(), "\n".join(lines[start:]).strip()


def file_name(name: str, media_type: str = "") -> str:
    """A file's name fit to be shown and saved: no path, no control, and an ending that tells its type."""
    last = PurePosixPath(one_line(name.replace("\\", "/"), 1000)).name.strip(". ") or "fichier"
    stem, dot, ending = last.rpartition(".")
    stem, ending = (stem, f".{ending.lower()}") if dot and 1 <= len(ending) <= 8 else (last, "")
    expected = _EXTENSIONS.get(media_type, ())
    if expected and ending not in expected:
        stem, ending = stem + ending, expected[0]
    return stem[: FILENAME_CHARS_MAX - len(ending)] + ending


def disposition(kind: str, name: str) -> str:
    """Content-Disposition (RFC 6266 §4.3, appendix D): a plain name for old browsers, the true one for others."""
    decomposed = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", decomposed).strip() or "fichier"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def initials(name: str) -> str:
    """One or two letters for the round mark beside a name."""
    words = [word for word in re.split(r"[\s\-'’.@]+", name) if word and word[0].isalpha()]
    titles = {"dr", "docteur", "pr", "professeur", "m", "mme", "le", "la", "les"}
    words = [word for word in words if word.lower() not in titles] or words
    return "".join(word[0].upper() for word in (words[:1] + words[-1:] if len(words) > 1 else words)) or "?"
