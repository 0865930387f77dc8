"""What may a folder be called, and how is its name spelled in modified UTF-7 (RFC 3501 §5.1.3)? Pure.

Inside the house a name is text with "/" between levels. Mail clients and other servers spell it in modified UTF-7.
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
