"""How is a folder called on the wire, and does its name match a LIST pattern?

Inside the house a name is text with "/" between levels (mss/formats/foldernames.py). On the wire it is modified UTF-7,
or UTF-8 for a client that enabled IMAP4rev2. INBOX is INBOX in any case (RFC 9051 §5.1).
"""

from __future__ import annotations

import re

from mss.formats.foldernames import DELIMITER as DELIMITER
from mss.formats.foldernames import INBOX as INBOX
from mss.formats.foldernames import BadName as BadName
from mss.formats.foldernames import check_new_name as check_new_name
from mss.formats.foldernames import decode_utf7 as decode_utf7
from mss.formats.foldernames import encode_utf7 as encode_utf7

NO_NAME = "\0"
"""Stands in no name."""


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
