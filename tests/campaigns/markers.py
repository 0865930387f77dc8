"""Does this text stand anywhere in these files, in any of the forms in which mail and software write text?

Clear, base64 at each of three alignments, quoted-printable, UTF-16 of both kinds, percent, hex, JSON escapes, other
Unicode forms. Letters are compared without case wherever the form keeps them recognisable.
"""

from __future__ import annotations

import base64
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

CHARS_MIN = 6
"""What is shorter turns up in random octets sooner or later."""
CASED = frozenset(("base64",))
"""Forms in which letters mean something else in the other case."""


@dataclass(frozen=True)
class Finding:
    """A secret in a file."""

    secret: str
    form: str
    file: str


def _octets(text: str) -> Iterator[bytes]:
    """In either Unicode form, in Latin-1, in either case (octets alone do not tell what É is in small)."""
    for case in dict.fromkeys((text, text.upper(), text.lower())):
        for form in ("NFC", "NFD"):
            yield unicodedata.normalize(form, case).encode()
        if all(ord(char) < 256 for char in case):
            yield case.encode("latin-1")


def _base64(text: str) -> Iterator[bytes]:
    for octets in _octets(text):
        for before in range(3):
            # characters that also depend on the octets before and after are left out
            encoded = base64.b64encode(b"\0" * before + octets)
            inner = encoded[-(-before * 8 // 6) :]
            rest = (before + len(octets)) % 3
            if rest:
                inner = inner[: -(4 - rest)]
            yield inner
            yield inner.replace(b"+", b"-").replace(b"/", b"_")


def _quoted(text: str) -> Iterator[bytes]:
    """Body and header forms, everything quoted or only what must be (RFC 2045 §6.7, RFC 2047 §4.2)."""
    for octets in _octets(text):
        yield b"".join(b"=%02X" % octet for octet in octets)
        for space, quoted in ((b" ", b"="), (b"=20", b"="), (b"=20", b"=_"), (b"_", b"=_"), (b"_", b"=_?")):
            yield b"".join(_quoted_octet(octet, space, quoted) for octet in octets)


def _quoted_octet(octet: int, space: bytes, quoted: bytes) -> bytes:
    if octet == 0x20:
        return space
    return b"%c" % octet if 33 <= octet <= 126 and octet not in quoted else b"=%02X" % octet


def _utf16(text: str) -> Iterator[bytes]:
    for case in dict.fromkeys((text, text.upper(), text.lower())):
        yield case.encode("utf-16-le")
        yield case.encode("utf-16-be")


def _percent(text: str) -> Iterator[bytes]:
    for octets in _octets(text):
        yield b"".join(b"%%%02X" % octet for octet in octets)
        for left, space in ((b"-_.~", b"%20"), (b"-_.~/", b"%20"), (b"-_.~", b"+"), (b"-_.~'()!*", b"%20")):
            yield b"".join(_percent_octet(octet, left, space) for octet in octets)


def _percent_octet(octet: int, left: bytes, space: bytes) -> bytes:
    if octet == 0x20:
        return space
    return b"%c" % octet if octet < 128 and (chr(octet).isalnum() or octet in left) else b"%%%02X" % octet


def _hex(text: str) -> Iterator[bytes]:
    for octets in _octets(text):
        yield octets.hex().encode()


def _json(text: str) -> Iterator[bytes]:
    for case in dict.fromkeys((text, text.upper(), text.lower())):
        yield json.dumps(case)[1:-1].encode()


FORMS: dict[str, Callable[[str], Iterable[bytes]]] = {
    "clear": _octets,
    "base64": _base64,
    "quoted-printable": _quoted,
    "utf-16": _utf16,
    "percent": _percent,
    "hex": _hex,
    "json": _json,
}


def needles(secret: str) -> dict[str, list[bytes]]:
    """Every spelling of a secret, by form; lower-cased where case is not compared."""
    assert len(secret) >= CHARS_MIN, secret
    found = {}
    for form, spell in FORMS.items():
        octets = [one if form in CASED else one.lower() for one in spell(secret)]
        found[form] = [one for one in dict.fromkeys(octets) if len(one) >= CHARS_MIN]
    return found


def search(files: Iterable[Path], secrets: Iterable[str]) -> list[Finding]:
    """Look for every form of every secret in every file, as it stands and with folded lines joined."""
    wanted = [(secret, form, needle) for secret in secrets for form, all_ in needles(secret).items() for needle in all_]
    findings: dict[Finding, None] = {}
    for path in files:
        data = path.read_bytes()
        cased, caseless = _views(data), _views(data.lower())
        for secret, form, needle in wanted:
            if any(needle in view for view in (cased if form in CASED else caseless)):
                findings[Finding(secret, form, path.name)] = None
    return list(findings)


def _views(data: bytes) -> tuple[bytes, ...]:
    """As it is, without soft line breaks, without line breaks and what folds headers."""
    joined = data.replace(b"=\r\n", b"").replace(b"=\n", b"")
    return data, joined, data.translate(None, b"\r\n")


def files_below(*directories: Path) -> list[Path]:
    return [path for directory in directories for path in sorted(directory.rglob("*")) if path.is_file()]
