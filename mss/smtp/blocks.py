"""Which octets of DATA or BDAT are the message, and are they fit to be passed on?

Pure. Incoming octets are looked at in large blocks, never line by line. Of DATA the end is a line of one dot between
CRLFs and nothing else; BDAT counts. A bare CR, a bare LF or a NUL anywhere refuses the whole message, since what we
passed on would be an ending to a more forgiving server (SMTP smuggling). A refused message is read to its true end
and not kept. Outgoing octets are cut into blocks of whole lines with their dots doubled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO

from mss.formats.lines import fault_of
from mss.model.verdict import Reason

LINE_OCTETS_MAX = 64 * 1024
"""Longest line taken in, without CRLF: far beyond RFC 5321 §4.5.3.1.6, since honest senders err here."""
LINE_SENT_OCTETS_MAX = 998  # RFC 5322 §2.1.1: nothing longer ever leaves
BLOCK_OCTETS = 64 * 1024
"""At most so much is looked at, or sent, at a time."""

DOTS_ASKED_MAX = 64
"""So many dots are looked at one by one: a header has some twenty, base64 none. Prose is searched for its line ends."""

_CRLF = b"\r\n"
_END = b"\r\n.\r\n"
_DOT_LINE = b".\r\n"
_DOT_BEGINS_LINE = re.compile(rb"\n\.")


class MessageReader:
    """One message that is arriving. Feed it what comes; when `feed` says True, `rest` is what stands behind its end."""

    def __init__(self, octets_max: int, line_octets_max: int = LINE_OCTETS_MAX) -> None:
        self._octets_max = octets_max
        self._line_octets_max = line_octets_max
        self._step = min(BLOCK_OCTETS, line_octets_max)  # so only the first line of a block can be too long
        self._lines = BytesIO()  # grows as it comes and hands over without a copy: joining 35 MiB would stop everybody
        self._begun = bytearray()  # the line that has no CRLF yet; always from its first octet
        self.received = 0
        """Octets on the wire so far."""
        self.kept = 0
        """Octets of the message so far, dots undone."""
        self.held = 0
        """Of those, octets in memory here."""
        self.problem: Reason | None = None
        """Why this message will be refused; the first thing that was wrong."""
        self.is_whole = False
        """The end of what was awaited has come."""
        self.rest = b""

    def feed(self, octets: bytes) -> bool:
        """Take what arrived; True when the end was in it."""
        raise NotImplementedError

    def spoil(self, reason: Reason) -> None:
        """Keep nothing of this message, but read on to its end."""
        if self.problem is None:
            self.problem = reason
        self._lines = BytesIO()
        self.kept = self.held = 0

    def message(self) -> bytes:
        """The message, dots undone, from where it was last handed over."""
        whole, self._lines = self._lines.getvalue(), BytesIO()
        self.held = 0
        return whole

    def _keep_lines(self, seen: int, has_dots: bool) -> None:
        """Take the whole lines out of what has begun; its first `seen` octets hold no line end."""
        begun = self._begun
        cut = begun.rfind(_CRLF, max(0, seen - 1)) + len(_CRLF)
        if cut != 1:  # rfind answered other than -1
            self._take(_beginning(begun, cut), has_dots)
            del begun[:cut]
        if len(begun) > self._line_octets_max + 1:  # the CR of its end may be there already
            self.spoil(Reason.LINE_TOO_LONG)

    def _take(self, lines: bytes, has_dots: bool) -> None:
        """Whole lines, the first of which may have begun in an earlier block."""
        if self.problem is not None or not lines:
            return
        if (fault := fault_of(lines)) is not None:
            self.spoil(fault)
        elif lines.index(_CRLF) > self._line_octets_max:
            self.spoil(Reason.LINE_TOO_LONG)
        else:
            if has_dots:  # RFC 5321 §4.5.2: a dot that begins a line was added by the sender
                lines = lines.removeprefix(b".").replace(b"\n.", b"\n")
            self._lines.write(lines)
            self.kept += len(lines)
            self.held += len(lines)
            if self.kept > self._octets_max:
                self.spoil(Reason.TOO_LARGE)


class BlockReader(MessageReader):
    """One DATA transfer (RFC 5321 §4.1.1.4)."""

    def feed(self, octets: bytes) -> bool:
        self.received += len(octets)
        for start in range(0, len(octets), self._step):
            if self._feed_block(octets[start : start + self._step]):
                self.rest += octets[start + self._step :]
                self.is_whole = True
                break
        return self.is_whole

    def _feed_block(self, octets: bytes) -> bool:
        begun = self._begun
        seen = len(begun)
        begun += octets
        # Most blocks hold no line that begins with a dot, the last one only the end: what stands before the first
        # needs no second look.
        dot = 0 if begun.startswith(b".") else _first_dot(begun, max(1, seen))
        if dot >= 0:
            end = dot if begun.startswith(_DOT_LINE, dot) and (dot == 0 or begun.startswith(_CRLF, dot - 2)) else -1
            if end < 0 and (found := begun.find(_END, max(0, dot - 2, seen - len(_END) + 1))) >= 0:
                end = found + len(_CRLF)
            if end >= 0:
                self.rest = bytes(begun[end + len(_DOT_LINE) :])
                self._take(_beginning(begun, end), has_dots=dot < end)
                begun.clear()
                return True
        self._keep_lines(seen, has_dots=dot >= 0)
        if self.problem is not None and len(begun) > len(_END):
            begun[:-1] = b"-"  # of a line that is not kept only matters that it began, and whether it ends in CR
        return False


def _beginning(octets: bytearray, end: int) -> bytes:
    """Copied once; a slice of a bytearray is a copy too."""
    with memoryview(octets) as view:
        return bytes(view[:end])


def _first_dot(octets: bytearray, start: int) -> int:
    """The first dot from `start` (at least 1) on that begins a line, -1 for none. Looks for dots, which are rare, as
    long as that is quicker than to look at all lines."""
    at = octets.find(b".", start)
    for _ in range(DOTS_ASKED_MAX):
        if at < 0 or octets[at - 1] == 0x0A:
            return at
        at = octets.find(b".", at + 1)
    found = _DOT_BEGINS_LINE.search(octets, at - 1) if at > 0 else None
    return -1 if found is None else found.start() + 1


class ChunkReader(MessageReader):
    """The BDAT transfers of one message (RFC 3030 §2): what counts is the count, not a dot.

    Not BINARYMIME: a chunk is lines like any other mail, although it may begin and end within one.
    """

    def __init__(self, octets_max: int, line_octets_max: int = LINE_OCTETS_MAX) -> None:
        super().__init__(octets_max, line_octets_max)
        self.chunks = 0
        self._awaited = 0
        self.is_whole = True

    def expect(self, octets: int) -> None:
        """A chunk of so many octets comes now."""
        self.chunks += 1
        self._awaited = octets
        self.is_whole = octets == 0

    def feed(self, octets: bytes) -> bool:
        self.rest = octets[self._awaited :]
        chunk = octets[: self._awaited]
        self._awaited -= len(chunk)
        self.received += len(chunk)
        for start in range(0, len(chunk), self._step):
            if self.problem is None:
                seen = len(self._begun)
                self._begun += chunk[start : start + self._step]
                self._keep_lines(seen, has_dots=False)
        if self.problem is not None:
            self._begun.clear()
        self.is_whole = self._awaited == 0
        return self.is_whole

    def finish(self) -> None:
        """That was the last chunk. A last line that has no CRLF gets the one that DATA would have forced on it."""
        if self._begun:
            self._take(bytes(self._begun) + _CRLF, has_dots=False)
            self._begun.clear()


def fault_of_outgoing(message: bytes) -> Reason | None:
    """Why this message must not leave: our own door, or a stricter one, would refuse it."""
    if (fault := fault_of(message)) is not None:
        return fault
    if message and not message.endswith(_CRLF):
        return Reason.BARE_CR_OR_LF
    at, size = 0, len(message)
    while at < size:  # jumps from line end to line end, as far as a line may reach
        line_end = message.rfind(b"\n", at, at + LINE_SENT_OCTETS_MAX + len(_CRLF))
        if line_end < 0:
            return Reason.LINE_TOO_LONG
        at = line_end + 1
    return None


def outgoing_blocks(message: bytes) -> Iterator[bytes]:
    """What to write after 354: blocks of whole lines with dots doubled, then the line of one dot.

    The message has passed `fault_of_outgoing`.
    """
    at, size = 0, len(message)
    while at < size:
        cut = message.rfind(b"\n", at, at + BLOCK_OCTETS) + 1
        lines = message[at:cut]
        at = cut
        if b"." in lines:
            lines = lines.replace(b"\n.", b"\n..")
            if lines.startswith(b"."):
                lines = b"." + lines
        yield lines
    yield _DOT_LINE
