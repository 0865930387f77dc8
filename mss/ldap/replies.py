"""What does a client hear when something is not done? The one table of result codes of this door (RFC 4511 §4.1.9).

Outside text never describes our inside, and never tells who has an account.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SUCCESS = 0


class Problem(StrEnum):
    """Why a request is not done, or not to its end."""

    TLS_REQUIRED = "tls-required"
    TLS_ALREADY = "tls-already"
    TLS_NOT_NOW = "tls-not-now"
    BIND_REQUIRED = "bind-required"
    VERSION = "version"
    METHOD = "method"
    WITHOUT_PASSWORD = "without-password"  # noqa: S105 — a reason, not a secret
    BIND_FAILED = "bind-failed"
    READ_ONLY = "read-only"
    UNKNOWN_OPERATION = "unknown-operation"
    CONTROL = "control"
    NO_SUCH_ENTRY = "no-such-entry"
    TOO_WIDE = "too-wide"
    MORE_THAN_SIZE = "more-than-size"
    MORE_THAN_TIME = "more-than-time"
    TOO_OFTEN = "too-often"
    UNAVAILABLE = "unavailable"
    BROKEN = "broken"
    MALFORMED = "malformed"
    ENDED = "ended"
    CLOSING = "closing"
    IDLE = "idle"


@dataclass(frozen=True, slots=True)
class Reply:
    """A result code and its words."""

    code: int
    text: str


REPLIES: dict[Problem, Reply] = {
    Problem.TLS_REQUIRED: Reply(13, "Use StartTLS first"),
    Problem.TLS_ALREADY: Reply(1, "TLS is active already"),
    Problem.TLS_NOT_NOW: Reply(1, "Nothing may be sent together with StartTLS"),
    Problem.BIND_REQUIRED: Reply(8, "Bind with your address and an application password first"),
    Problem.VERSION: Reply(2, "LDAP version 3 only"),
    Problem.METHOD: Reply(7, "Simple bind only"),
    Problem.WITHOUT_PASSWORD: Reply(53, "A bind with a name needs a password"),
    Problem.BIND_FAILED: Reply(49, "Name or password is wrong"),
    Problem.READ_ONLY: Reply(53, "This directory is read, not written, by LDAP"),
    Problem.UNKNOWN_OPERATION: Reply(2, "Operation not known here"),
    Problem.CONTROL: Reply(12, "Control not known here"),
    Problem.NO_SUCH_ENTRY: Reply(32, "No such entry"),
    Problem.TOO_WIDE: Reply(11, "Say at least three letters of a name, or a place, a structure, a profession"),
    Problem.MORE_THAN_SIZE: Reply(4, "There are more: say more of whom you look for"),
    Problem.MORE_THAN_TIME: Reply(3, "Looked for as long as may be"),
    Problem.TOO_OFTEN: Reply(51, "Too many searches, wait a little"),
    Problem.UNAVAILABLE: Reply(52, "The directory cannot answer now, try again later"),
    Problem.BROKEN: Reply(80, "Something failed here"),
    Problem.MALFORMED: Reply(2, "Not a message of LDAP"),
    Problem.ENDED: Reply(8, "Your access has ended"),
    Problem.CLOSING: Reply(52, "The server is closing"),
    Problem.IDLE: Reply(52, "Nothing heard for too long"),
}
