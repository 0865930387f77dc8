"""Where does one command end and the next begin? Bytes in, commands out, however they are cut up.

A command is a line, or lines joined by literals: `{n}` waits for our go-ahead, `{n+}` does not (RFC 7888). The
reader holds no more than its limits, whatever a client announces; what goes beyond is refused in words and, when
the client sends it all the same, swallowed without being kept. It never looks at what a command means, except that
APPEND may bring a whole message.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from mss.imap.commands import Tagged
from mss.imap.grammar import parse, tag_of
from mss.imap.tokens import LITERAL, Bad

LITERALS_MAX = 64
"""Literals of one command; a search with each text as a literal has ten."""
SWALLOW_BYTES_MAX = 128 * 1024 * 1024
"""A literal that was refused but is sent all the same is read and thrown away up to here; beyond, we hang up."""
SWALLOW_LINE_BYTES_MAX = 1024 * 1024
"""The same for a line without an end."""

LARGE_BYTES = 1024 * 1024
"""Smaller literals need no leave."""

LITERAL_OCTETS_MAX = 24
"""`{n+}` with twenty digits, and a CR."""
_LITERAL_AT_END = re.compile(rb"\{([0-9]{1,20})(\+?)\}\Z")
_BRINGS_MESSAGE = re.compile(rb"[^ ]{1,64} APPEND ", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one command may bring: in its lines, in its literals, and in the message of an APPEND."""

    line_bytes: int
    literal_bytes: int
    message_bytes: int = 0


@dataclass(frozen=True, slots=True)
class GoAhead:
    """Tell the client to send its literal: `+ `."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A command that is none, with the answer it gets; after a `fatal` one nothing can be understood any more."""

    tag: str
    status: str
    text: str
    code: str = ""
    fatal: bool = False


Event = Tagged | GoAhead | Refused


@dataclass(slots=True)
class _Pending:
    """The command being gathered."""

    text: bytes = b""
    literals: tuple[bytes, ...] = ()
    literal_bytes: int = 0
    refusal: Refused | None = None


class CommandReader:
    """Feed it what comes; ask it for the next event until it answers None, then feed it more."""

    def __init__(self, limits: Limits, room: Callable[[int], bool] | None = None) -> None:
        """`room` is asked before a large literal is taken: is there memory for it in the whole process?"""
        self.limits = limits
        self.utf8 = False
        self._room = room
        self._given_bytes = 0
        self._buffer = bytearray()
        self._searched = 0  # no line end before this place of the buffer
        self._pending = _Pending()
        self._literal = bytearray()
        self._missing = 0  # octets of the literal yet to come
        self._to_swallow = 0
        self._line_swallowed = 0
        self._broken = False

    @property
    def waiting_bytes(self) -> int:
        """Octets fed and not yet used."""
        return len(self._buffer)

    @property
    def held_bytes(self) -> int:
        """Octets of literals that are on their way in, or being worked upon."""
        return self._pending.literal_bytes + self._given_bytes

    def feed(self, data: bytes) -> None:
        if not self._broken:
            self._buffer += data

    def discard(self) -> int:
        """Forget what was fed and not used (RFC 9051 §6.2.1: nothing sent before TLS counts); how much it was."""
        dropped = len(self._buffer)
        self._buffer.clear()
        self._searched = 0
        return dropped

    def next_line(self) -> bytes | Refused | None:
        """The next line as it is, without its end: DONE, or a SASL response."""
        line = self._line()
        if line is not None and len(line) > self.limits.line_bytes:
            return Refused("*", "BAD", "Line too long")
        return line

    def next_command(self) -> Event | None:
        """The next command, refusal or go-ahead; None when more has to come first."""
        self._given_bytes = 0
        while True:
            if (self._to_swallow or self._missing) and not self._past_literal():
                return None
            line = self._line()
            if line is None:
                return self._overlong()
            event = self._add(line)
            if event is not None:
                return event

    # --- pieces

    def _line(self) -> bytes | None:
        """One line without its end, when it is whole. A bare LF ends a line too: some clients are typed by hand."""
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[: end - 1 if end and self._buffer[end - 1] == 13 else end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line

    def _overlong(self) -> Refused | None:
        """Drop what a line without an end has piled up; refuse for good when it never ends."""
        if len(self._buffer) + len(self._pending.text) <= self.limits.line_bytes + 2:
            return None
        self._refuse("BAD", "Line too long")
        self._line_swallowed += len(self._buffer) - LITERAL_OCTETS_MAX
        if self._line_swallowed > SWALLOW_LINE_BYTES_MAX:
            return self._fatal()
        del self._buffer[:-LITERAL_OCTETS_MAX]  # its end may announce a literal
        self._searched = 0
        return None

    def _past_literal(self) -> bool:
        """Keep or drop what has come of a literal; whether that was all of it."""
        size = min(self._to_swallow or self._missing, len(self._buffer))
        if self._to_swallow:
            self._to_swallow -= size
        else:
            self._literal += memoryview(self._buffer)[:size]
            self._missing -= size
            if not self._missing:
                self._keep_literal()
        del self._buffer[:size]
        self._searched = 0
        return not self._to_swallow and not self._missing

    def _keep_literal(self) -> None:
        self._pending.literals += (bytes(self._literal),)
        self._literal = bytearray()

    def _add(self, line: bytes) -> Event | None:
        """One more line of the command; an event when the command ends or something is to be said."""
        pending = self._pending
        self._line_swallowed = 0
        announced = _LITERAL_AT_END.search(line) if line.endswith(b"}") else None
        text = line[: announced.start()] if announced else line
        if len(pending.text) + len(text) > self.limits.line_bytes:
            self._refuse("BAD", "Line too long", line=text)
        elif LITERAL in text:
            self._refuse("BAD", "NUL in a command", line=text)
        if pending.refusal is None:
            pending.text += text
        if announced is None:
            return self._finish()
        return self._expect_literal(int(announced[1]), waits=not announced[2])

    def _expect_literal(self, size: int, *, waits: bool) -> Event | None:
        pending = self._pending
        if pending.refusal is None:
            pending.literal_bytes += size
            if tag_of(pending.text) == "*":
                self._refuse("BAD", "Not a command")
            elif len(pending.literals) >= LITERALS_MAX:
                self._refuse("BAD", "Too many literals")
            elif pending.literal_bytes > self._literal_bytes_max():
                self._refuse("NO", "Literal too large", "TOOBIG")
            elif size > LARGE_BYTES and self._room is not None and not self._room(size):
                self._refuse("NO", "Too much is coming in, try again later", "LIMIT")
        if pending.refusal is not None:
            if waits:
                return self._finish()  # the client reads our refusal and does not send the literal (RFC 9051 §4.3)
            if size > SWALLOW_BYTES_MAX:
                return self._fatal()
            self._to_swallow = size
            return None
        pending.text += LITERAL
        self._missing = size
        if not size:
            self._keep_literal()
        return GoAhead() if waits else None

    def _literal_bytes_max(self) -> int:
        if _BRINGS_MESSAGE.match(self._pending.text):
            return self.limits.message_bytes + self.limits.literal_bytes
        return self.limits.literal_bytes

    def _refuse(self, status: str, text: str, code: str = "", *, line: bytes = b"") -> None:
        if self._pending.refusal is None:
            tag = tag_of(self._pending.text or line or bytes(self._buffer[:80]))
            self._pending.refusal = Refused(tag, status, text, code)

    def _finish(self) -> Event:
        pending, self._pending = self._pending, _Pending()
        self._given_bytes = pending.literal_bytes
        if pending.refusal is not None:
            return pending.refusal
        text = pending.text
        try:
            return parse(text, pending.literals, utf8=self.utf8)
        except Bad as bad:
            return Refused(tag_of(text), bad.status, bad.text, bad.code)

    def _fatal(self) -> Refused:
        refusal = self._pending.refusal
        assert refusal is not None
        self._broken = True
        self._buffer.clear()
        return Refused(refusal.tag, refusal.status, refusal.text, refusal.code, fatal=True)
