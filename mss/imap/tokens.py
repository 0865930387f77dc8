"""What is the next word of a command? A cursor over one line, by regular expressions.

The line comes from the reader with a NUL in place of each literal, so that a literal is a token like any other and
can never be confused with text. Every method moves past what it returns, or raises `Bad`; nothing backtracks.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import NoReturn

from mss.imap.commands import Flags
from mss.imap.names import BadName, read_name, read_pattern
from mss.imap.sets import SAVED, SequenceSet
from mss.model.mailbox import Flag

NESTING_MAX = 32
"""Parentheses inside parentheses: people's searches have three levels."""
KEYWORD_OCTETS_MAX = 64
KEYWORDS_MAX = 62
"""Keywords of one command; a folder holds no more anyway (mss/store/folders.py)."""

LITERAL = b"\x00"
# RFC 9051 §9: atom-specials are "(" ")" "{" SP CTL list-wildcards quoted-specials resp-specials.
_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_ASTRING = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
_PATTERN = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
# 8-bit text in quotes is accepted: UTF-8 (RFC 9051 §4.3), and what older clients send in SEARCH and LOGIN.
_QUOTED = re.compile(rb'"([^"\\\x00\r\n]*(?:\\["\\][^"\\\x00\r\n]*)*)"')
_UNQUOTE = re.compile(rb'\\(["\\])')
_NUMBER = re.compile(rb"[0-9]{1,20}(?![0-9])")
_SET = re.compile(rb"(?:[0-9]{1,10}|\*)(?::(?:[0-9]{1,10}|\*))?(?:,(?:[0-9]{1,10}|\*)(?::(?:[0-9]{1,10}|\*))?)*")
_FLAG = re.compile(rb'\\?[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_DATE = re.compile(rb'("?)([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})\1')
_DATE_TIME = re.compile(
    rb'"([ 0-9][0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
)
_MONTHS = {
    name: number
    for number, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), 1
    )
}
SYSTEM_FLAGS = {
    b"\\SEEN": Flag.SEEN,
    b"\\ANSWERED": Flag.ANSWERED,
    b"\\FLAGGED": Flag.FLAGGED,
    b"\\DELETED": Flag.DELETED,
    b"\\DRAFT": Flag.DRAFT,
}
MODSEQ_MAX = (1 << 63) - 1  # RFC 7162 §7


class Bad(Exception):
    """The command is not one. `status` is BAD, or NO with a code when the grammar itself asks for that."""

    def __init__(self, text: str, status: str = "BAD", code: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.status = status
        self.code = code


class Cursor:
    """A place in a line. `literals` are taken in order, one for each NUL."""

    __slots__ = ("_depth", "_literals", "_taken", "at", "line", "utf8")

    def __init__(self, line: bytes, literals: tuple[bytes, ...] = (), at: int = 0, *, utf8: bool = False) -> None:
        self.line = line
        self.at = at
        self.utf8 = utf8
        self._literals = literals
        self._taken = 0
        self._depth = 0

    # --- punctuation

    def fail(self, text: str) -> NoReturn:
        raise Bad(text)

    def at_end(self) -> bool:
        return self.at >= len(self.line)

    def end(self) -> None:
        if self.at < len(self.line):
            self.fail("Unexpected text at the end")

    def sees(self, text: bytes) -> bool:
        return self.line.startswith(text, self.at)

    def skip(self, text: bytes) -> bool:
        """Move past `text` when it is next."""
        if self.line.startswith(text, self.at):
            self.at += len(text)
            return True
        return False

    def skip_word(self, word: bytes) -> bool:
        """Move past a word, given in upper case, and the space after it when they are next."""
        end = self.at + len(word) + 1
        if self.line[self.at : end].upper() != word + b" ":
            return False
        self.at = end
        self.spaces()
        return True

    def space(self) -> None:
        """One, or as many as a client sends: those that were tried with other servers send two, or pad parentheses."""
        if not self.skip(b" "):
            self.fail("Space expected" if self.at < len(self.line) else "Something is missing at the end")
        self.spaces()

    def spaces(self) -> None:
        """Those that are too many."""
        while self.skip(b" "):
            pass

    def open(self) -> None:
        if not self.skip(b"("):
            self.fail("( expected")
        self.enter()
        self.spaces()

    def enter(self) -> None:
        """One level deeper; parentheses and other nesting count alike."""
        self._depth += 1
        if self._depth > NESTING_MAX:
            self.fail("Nested too deep")

    def leave(self) -> None:
        self._depth -= 1

    def close(self) -> bool:
        """True past the closing parenthesis; False when another item follows its space."""
        before = self.at
        self.spaces()
        if self.skip(b")"):
            self.leave()
            return True
        if self.at == before:
            self.space()  # says what is missing
        return False

    # --- words

    def _take(self, shape: re.Pattern[bytes], what: str) -> bytes:
        match = shape.match(self.line, self.at)
        if match is None:
            self.fail(f"{what} expected")
        self.at = match.end()
        return match[0]

    def word(self) -> bytes:
        """An atom in upper case: the name of a command, item or option."""
        return self._take(_ATOM, "Word").upper()

    def atom(self) -> str:
        """An atom as written."""
        return self._take(_ATOM, "Word").decode("ascii")

    def number(self, largest: int = 0xFFFF_FFFF) -> int:
        value = int(self._take(_NUMBER, "Number"))
        if value > largest:
            self.fail("Number too large")
        return value

    def modseq(self) -> int:
        return self.number(MODSEQ_MAX)

    def sequence_set(self) -> SequenceSet:
        if self.skip(b"$"):
            return SAVED
        text = self._take(_SET, "Message set")
        try:
            return SequenceSet.parse(text)
        except ValueError:
            self.fail("Message set with an impossible number")

    def string(self) -> bytes | None:
        """A quoted string or literal; None when neither is next."""
        if self.sees(b'"'):
            match = _QUOTED.match(self.line, self.at)
            if match is None:
                self.fail("Broken quoted string")
            self.at = match.end()
            return _UNQUOTE.sub(rb"\1", match[1]) if b"\\" in match[1] else match[1]
        if self.sees(LITERAL):
            return self.literal()
        return None

    def literal(self) -> bytes:
        if not self.skip(LITERAL):
            self.fail("Literal expected")
        self._taken += 1
        return self._literals[self._taken - 1]

    def astring(self) -> bytes:
        text = self.string()
        return self._take(_ASTRING, "Text") if text is None else text

    def nstring(self) -> bytes | None:
        """A string, or None for NIL."""
        text = self.string()
        if text is None and self.word() != b"NIL":
            self.fail("String or NIL expected")
        return text

    # --- words with a meaning

    def text(self, what: str = "Text") -> str:
        """An astring that must be UTF-8."""
        try:
            return self.astring().decode("utf-8")
        except UnicodeDecodeError:
            self.fail(f"{what} is not UTF-8")

    def folder(self) -> str:
        """A folder's name."""
        return self._name(self.astring())

    def pattern(self) -> str:
        """A LIST pattern."""
        text = self.string()
        return read_pattern(self._take(_PATTERN, "Pattern") if text is None else text, utf8=self.utf8)

    def _name(self, wire: bytes) -> str:
        try:
            return read_name(wire, utf8=self.utf8)
        except BadName as problem:
            raise Bad(f"Folder name: {problem}", "NO", "CANNOT") from None

    def flag_list(self) -> Flags:
        """`(\\Seen $Forwarded)`."""
        self.open()
        return self.bare_flags(b")")

    def bare_flags(self, end: bytes) -> Flags:
        """Flags up to `end`: a parenthesis that was opened, or the end of the line."""
        system = 0
        keywords: dict[bytes, str] = {}
        if end == b")" and self.skip(b")"):
            self.leave()
            return Flags()
        while True:
            name = self._take(_FLAG, "Flag")
            if name.startswith(b"\\"):
                if (bit := SYSTEM_FLAGS.get(name.upper())) is None:
                    self.fail("Not a flag that a client can set")
                system |= bit
            else:
                if len(name) > KEYWORD_OCTETS_MAX:
                    self.fail("Keyword too long")
                keywords.setdefault(name.lower(), name.decode("ascii"))
            if self.close() if end else self.at_end():
                break
            if not end:
                self.space()
        if len(keywords) > KEYWORDS_MAX:
            self.fail("Too many keywords")
        return Flags(system, tuple(keywords.values()))

    def day(self) -> int:
        """A date as days since 1970: `1-Feb-1994`, quoted or not."""
        match = _DATE.match(self.line, self.at)
        if match is None:
            self.fail("Date expected")
        self.at = match.end()
        moment = self._moment(match[4], match[3], match[2])
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)).days

    def date_time(self) -> datetime:
        """`"17-Jul-1996 02:44:25 -0700"`."""
        match = _DATE_TIME.match(self.line, self.at)
        if match is None:
            self.fail("Date and time expected")
        self.at = match.end()
        day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = match.groups()
        east = timedelta(hours=int(zone_hours), minutes=int(zone_minutes))
        if east >= timedelta(hours=24):
            self.fail("No such zone")
        moment = self._moment(year, month, day, hour, minute, second)
        return moment.replace(tzinfo=timezone(-east if sign == b"-" else east))

    def _moment(self, year: bytes, month: bytes, day: bytes, *clock: bytes) -> datetime:
        number = _MONTHS.get(month.lower())
        try:
            if number is None or not b"1900" <= year <= b"9998":  # a zone must not push it out of the calendar
                raise ValueError
            hour, minute, second = (int(part) for part in clock) if clock else (0, 0, 0)
            return datetime(int(year), number, int(day), hour, minute, min(second, 59), tzinfo=UTC)
        except ValueError:
            self.fail("No such date")
