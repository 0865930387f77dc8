"""How is a folder called on the wire, and does its name match a LIST pattern?

Inside the house a name is text with "/" between levels. On the wire it is modified UTF-7 (RFC 3501 §5.1.3), or
UTF-8 for a client that enabled IMAP4rev2. INBOX is INBOX in any case (RFC 9051 §5.1).
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error

DELIMITER = "/"
INBOX = "INBOX"
NAME_OCTETS_MAX = 500
"""Of one name, in UTF-8. Deeper trees than people keep, and far below what any client breaks on."""
LEVELS_MAX = 20
"""Levels of one name: more is a loop in somebody's script."""

NO_NAME = "\0"
"""Stands in no name."""

_SHIFTED = re.compile(rb"&([A-Za-z0-9+,]*)-")
_PLAIN_RUN = re.compile(r"[^\x20-\x7e]+|&")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class BadName(ValueError):
    """A name that no folder can have."""


def encode_utf7(name: str) -> bytes:
    """Modified UTF-7."""
    return _PLAIN_RUN.sub(_shift, name).encode("ascii")


def _shift(run: re.Match[str]) -> str:
    if run[0] == "&":
        return "&-"
    text = b64encode(run[0].encode("utf-16-be")).rstrip(b"=").replace(b"/", b",")
    return f"&{text.decode()}-"


def decode_utf7(wire: bytes) -> str:
    """Undo `encode_utf7`. Raises BadName for 8-bit bytes, a lone "&", broken base64, and for every spelling that
    `encode_utf7` would not give: one name must not have two."""
    try:
        plain = wire.decode("ascii")
    except UnicodeDecodeError:
        raise BadName("8-bit byte in a name") from None
    if "&" not in plain:
        return plain
    pieces: list[str] = []
    at = 0
    for match in _SHIFTED.finditer(wire):
        pieces += [_no_shift(wire[at : match.start()]), _unshift(match[1])]
        at = match.end()
    name = "".join([*pieces, _no_shift(wire[at:])])
    if encode_utf7(name) != wire:
        raise BadName("modified UTF-7 written otherwise than it must be")
    return name


def _no_shift(run: bytes) -> str:
    if b"&" in run:
        raise BadName("& without its -")
    return run.decode("ascii")


def _unshift(coded: bytes) -> str:
    if not coded:
        return "&"
    try:
        return b64decode(coded.replace(b",", b"/") + b"=" * (-len(coded) % 4), validate=True).decode("utf-16-be")
    except (Base64Error, UnicodeDecodeError):
        raise BadName("broken modified UTF-7") from None


def read_name(wire: bytes, *, utf8: bool = False) -> str:
    """A folder's name from the wire; INBOX in any case becomes INBOX. Raises BadName."""
    if utf8:
        try:
            name = wire.decode("utf-8")
        except UnicodeDecodeError:
            raise BadName("not UTF-8") from None
    else:
        name = decode_utf7(wire)
    head, slash, rest = name.partition(DELIMITER)
    return f"{INBOX}{slash}{rest}" if head.upper() == INBOX else name


def read_pattern(wire: bytes, *, utf8: bool = False) -> str:
    """A LIST pattern from the wire. One that no name is spelled like is not wrong: it matches nothing."""
    try:
        return read_name(wire, utf8=utf8)
    except BadName:
        return NO_NAME


def check_new_name(name: str) -> None:
    """Raises BadName unless a new folder may be called so."""
    levels = name.split(DELIMITER)
    if not all(levels):
        raise BadName("an empty level")
    if len(levels) > LEVELS_MAX:
        raise BadName("too many levels")
    if len(name.encode()) > NAME_OCTETS_MAX:
        raise BadName("name too long")
    if _CONTROL.search(name):
        raise BadName("control character")
    if "*" in name or "%" in name:
        raise BadName("wildcard in a name")


class Pattern:
    """A LIST pattern (RFC 9051 §6.3.9): `*` matches anything, `%` anything within a level.

    All possible matches advance together as bits of one number (the shift-and method), so that time is linear in
    the name whatever a client writes; a regular expression would backtrack.
    """

    def __init__(self, reference: str, pattern: str) -> None:
        whole = re.sub(r"[*%]*\*[*%]*", "*", reference + pattern)  # "**%" means "*"
        whole = re.sub(r"%+", "%", whole)
        head, slash, rest = whole.partition(DELIMITER)
        if head.upper() == INBOX:
            whole = f"{INBOX}{slash}{rest}"
        self._letters: dict[str, int] = {}
        self._stars = self._percents = 0
        for index, letter in enumerate(whole):
            if letter == "*":
                self._stars |= 1 << index
            elif letter == "%":
                self._percents |= 1 << index
            else:
                self._letters[letter] = self._letters.get(letter, 0) | 1 << index
        self._end = 1 << len(whole)

    def matches(self, name: str) -> bool:
        """Whether the whole name matches."""
        stars, wild = self._stars, self._stars | self._percents
        states = 1  # bit i: the first i elements of the pattern have matched so far
        states |= (states & wild) << 1
        for letter in name:
            stay = stars if letter == DELIMITER else wild
            states = (states & self._letters.get(letter, 0)) << 1 | states & stay
            states |= (states & wild) << 1
            if not states:
                return False
        return bool(states & self._end)
