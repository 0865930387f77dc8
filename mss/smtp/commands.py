"""What does a client ask, exactly?

Pure. A command is a line that ends in CRLF and holds no other CR, LF or NUL; anything looser would let one side read
two commands where the other reads one. Addresses have one grammar (mss/model/ids.py): brackets required, no source
route, no quoting, no comment. A parameter that we do not know is refused, never ignored.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from mss.model.errors import BadValue, MssError
from mss.model.ids import MailAddress
from mss.model.message import NO_WISH, RecipientWish, Returned
from mss.model.verdict import Reason
from mss.smtp import replies, wishes
from mss.smtp.replies import Reply

HELLO_OCTETS_MAX = 255  # RFC 5321 §4.5.3.1.2
PARAMETERS_MAX = 16  # more than all SMTP extensions together define for one command
SKIPPED_OCTETS_MAX = 1024 * 1024
"""Of one endless command line; who sends more is not going to end it."""

# RFC 5321 §3.3 allows no space after the colon, but old software puts one, and it cannot be read in two ways.
_FROM = re.compile(r"FROM: ?(.*)\Z", re.IGNORECASE | re.ASCII)
_TO = re.compile(r"TO: ?(.*)\Z", re.IGNORECASE | re.ASCII)
_PATH = re.compile(r"<([^<> ]*)>(?: (.*))?\Z", re.ASCII)
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~]+))?\Z", re.ASCII)  # RFC 5321 §4.1.2
_HELLO = re.compile(r"[!-~]+\Z", re.ASCII)
_SIZE = re.compile(r"[0-9]{1,20}\Z", re.ASCII)  # RFC 1870 §4
_CHUNK = re.compile(r"([0-9]{1,20})( LAST)?", re.ASCII | re.IGNORECASE)  # RFC 3030 §2
_POSTMASTER = "postmaster"


class BadLine(MssError):
    """A line that is no command; `reply` says why. `is_fatal` when reading on makes no sense."""

    def __init__(self, reply: Reply, *, is_fatal: bool = False) -> None:
        super().__init__(str(reply))
        self.reply = reply
        self.is_fatal = is_fatal


class BadCommand(MssError):
    """A command that cannot be obeyed; `reply` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class CommandReader:
    """Cuts what arrives into command lines, the same however it was cut on the way."""

    def __init__(self, octets_max: int) -> None:
        self._octets_max = octets_max
        self._buffer = bytearray()
        self._seen = 0  # so many octets of the buffer hold no line end
        self._tainted = False  # the last line ended in a bare LF
        self._skipped = 0  # octets thrown away of a line that is too long

    def feed(self, octets: bytes) -> None:
        self._buffer += octets

    def clear(self) -> None:
        """Forget what arrived and was not read (RFC 3207 §4.2)."""
        self._buffer.clear()
        self._seen = self._skipped = 0
        self._tainted = False

    @property
    def waiting_octets(self) -> int:
        """Arrived and not yet read."""
        return len(self._buffer)

    def take_octets(self, count: int) -> bytes:
        """What stands behind the last line and is none: at most so many octets."""
        octets = bytes(self._buffer[:count])
        del self._buffer[:count]
        return octets

    def take(self) -> bytes | None:
        """The next line without its CRLF; None when none is complete. Raises BadLine."""
        buffer = self._buffer
        end = buffer.find(b"\n", self._seen)
        if end < 0:
            self._look_at_beginning()
            return None
        line = bytes(buffer[: end + 1])
        del buffer[: end + 1]
        self._seen = 0
        if self._skipped:
            self._skipped = 0
            self._tainted = not line.endswith(b"\r\n")
            return self.take()  # its beginning was told already
        was_tainted, self._tainted = self._tainted, not line.endswith(b"\r\n")
        if was_tainted or self._tainted or line.count(b"\r") != 1 or b"\0" in line:
            # What follows a bare LF is the rest of a bad line up to the next CRLF, not a command of its own.
            raise BadLine(replies.BAD_LINE)
        if end - 1 > self._octets_max:
            raise BadLine(replies.LINE_OVERLONG)
        return line[:-2]

    def _look_at_beginning(self) -> None:
        """A line that has no end yet: wait, unless it is too long already."""
        self._seen = size = len(self._buffer)
        if not self._skipped and size <= self._octets_max + 1:
            return
        is_new, self._skipped = not self._skipped, self._skipped + size
        is_cr = self._buffer.endswith(b"\r")
        self._buffer.clear()
        if is_cr:
            self._buffer += b"\r"
        self._seen = len(self._buffer)
        if self._skipped > SKIPPED_OCTETS_MAX:
            raise BadLine(replies.LINE_OVERLONG, is_fatal=True)
        if is_new:
            raise BadLine(replies.LINE_OVERLONG)


@dataclass(frozen=True, slots=True)
class MailCommand:
    """MAIL FROM: `sender` None is the null reverse path; `size_octets` what the client announced, 0 for nothing."""

    sender: MailAddress | None
    size_octets: int = 0
    returned: Returned | None = None
    envelope_id: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RcptCommand:
    """RCPT TO."""

    recipient: MailAddress
    wish: RecipientWish = NO_WISH
    options: tuple[str, ...] = ()


def split(line: bytes) -> tuple[str, str]:
    """Verb in capitals and argument. Raises BadCommand for what is not ASCII (we do not offer SMTPUTF8)."""
    try:
        verb, _, argument = line.decode("ascii").partition(" ")
    except UnicodeDecodeError:
        raise BadCommand(_not_ascii(line)) from None
    return verb.upper(), argument.rstrip(" ")  # RFC 5321 §4.1.1: trailing space is tolerated


def _not_ascii(line: bytes) -> Reply:
    """The same words as for any other malformed address, where it is one."""
    malformed = {b"MAIL": Reason.SENDER_MALFORMED, b"RCPT": Reason.RECIPIENT_MALFORMED}
    reason = malformed.get(line[:4].upper())
    return replies.REPLIES[reason] if reason else replies.SYNTAX


def read_hello(argument: str) -> str:
    """The name in EHLO or HELO: for traces only, so any one word will do."""
    if not _HELLO.match(argument) or len(argument) > HELLO_OCTETS_MAX:
        raise BadCommand(replies.SYNTAX)
    return argument


def read_mail(argument: str, *, accepts_auth: bool = False) -> MailCommand:
    """MAIL's argument (RFC 5321 §4.1.1.2). Raises BadCommand."""
    path, parameters = _read_path(_FROM, argument, Reason.SENDER_MALFORMED)
    size, returned, envelope_id = 0, None, ""
    for key, value in parameters.items():
        try:
            if key == "SIZE":
                size = _read_size(value)
            elif key == "BODY":
                _read_body(value)
            elif key == "RET":
                returned = wishes.read_returned(value)
            elif key == "ENVID":
                envelope_id = wishes.read_envelope_id(value)
            elif key != "AUTH" or not accepts_auth or not value:
                # RFC 4954 §5: whom a client trusts is nothing to us; the sender must belong to the login
                raise BadCommand(replies.UNKNOWN_PARAMETER)
        except BadValue:
            raise BadCommand(replies.SYNTAX) from None
    sender = _read_address(path, Reason.SENDER_MALFORMED) if path else None
    return MailCommand(sender, size, returned, envelope_id, _options(parameters))


def read_rcpt(argument: str, *, postmaster: MailAddress | None = None) -> RcptCommand:
    """RCPT's argument (RFC 5321 §4.1.1.3). `<postmaster>` alone is an address too (§4.5.1). Raises BadCommand."""
    path, parameters = _read_path(_TO, argument, Reason.RECIPIENT_MALFORMED)
    if not parameters.keys() <= {"NOTIFY", "ORCPT"}:
        raise BadCommand(replies.UNKNOWN_PARAMETER)
    try:
        wish = RecipientWish(
            wishes.read_notify(parameters["NOTIFY"]) if "NOTIFY" in parameters else NO_WISH.notify,
            wishes.read_original(parameters["ORCPT"]) if "ORCPT" in parameters else NO_WISH.original,
        )
    except BadValue:
        raise BadCommand(replies.SYNTAX) from None
    if postmaster is not None and path.lower() == _POSTMASTER:
        recipient = postmaster
    else:
        recipient = _read_address(path, Reason.RECIPIENT_MALFORMED)
    return RcptCommand(recipient, wish, _options(parameters))


def read_chunk(argument: str) -> tuple[int, bool]:
    """BDAT's argument (RFC 3030 §2): how many octets follow, and whether they are the last. Raises BadCommand."""
    chunk = _CHUNK.fullmatch(argument)
    if not chunk:
        raise BadCommand(replies.SYNTAX)
    return int(chunk[1]), chunk[2] is not None


def read_base64(text: str) -> bytes:
    """SASL's way of sending octets (RFC 4954 §4); `=` alone is nothing. Raises BadCommand."""
    if text == "=":
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadCommand(replies.AUTH_UNREADABLE) from None


def _read_path(keyword: re.Pattern[str], argument: str, malformed: Reason) -> tuple[str, dict[str, str]]:
    named = keyword.match(argument)
    if not named:
        raise BadCommand(replies.SYNTAX)
    path = _PATH.match(named[1])
    if not path:
        raise BadCommand(replies.REPLIES[malformed])
    return path[1], _read_parameters(path[2] or "")


def _read_parameters(text: str) -> dict[str, str]:
    words = text.split(" ") if text else []
    found: dict[str, str] = {}
    for word in words:
        parameter = _PARAMETER.match(word)
        if not parameter or parameter[1].upper() in found or len(words) > PARAMETERS_MAX:
            raise BadCommand(replies.SYNTAX)
        found[parameter[1].upper()] = parameter[2] or ""
    return found


def _options(parameters: dict[str, str]) -> tuple[str, ...]:
    """As aiosmtpd's hooks expect them."""
    return tuple(f"{key}={value}" for key, value in parameters.items())


def _read_size(value: str) -> int:
    if not _SIZE.match(value):
        raise BadValue("not a size")
    return int(value)


def _read_body(value: str) -> None:
    """We are 8-bit clean all the way (RFC 6152), and take no binary bodies (RFC 3030 §3 is not offered)."""
    if value.upper() not in ("7BIT", "8BITMIME"):
        raise BadValue("not a kind of body")


def _read_address(path: str, malformed: Reason) -> MailAddress:
    try:
        return MailAddress.parse(path)
    except BadValue:
        raise BadCommand(replies.REPLIES[malformed]) from None
