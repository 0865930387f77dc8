"""What does a mail client hear when something is not done? The one table of refusals of this door.

Outside text never describes our inside. Codes are those of RFC 9051 §7.1 and RFC 5530.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mss.imap.backend import FolderProblem


class Problem(StrEnum):
    """Why a command is not done."""

    DONE_EXPECTED = "done-expected"
    NOT_LOGGED_IN = "not-logged-in"
    LOGGED_IN = "logged-in"
    NOT_OFFERED = "not-offered"
    NOTHING_SELECTED = "nothing-selected"
    NOT_ENABLED = "not-enabled"
    TLS_REQUIRED = "tls-required"
    TLS_ALREADY = "tls-already"
    MECHANISM_UNKNOWN = "mechanism-unknown"
    CANCELLED = "cancelled"
    LOGIN_FAILED = "login-failed"
    NO_SUCH_FOLDER = "no-such-folder"
    NO_TARGET = "no-target"
    NO_SUCH_ROOT = "no-such-root"
    NAME_IMPOSSIBLE = "name-impossible"
    INBOX_STAYS = "inbox-stays"
    HAS_ROLE = "has-role"
    HAS_NO_MAIL = "has-no-mail"
    NO_PERMISSION = "no-permission"
    FILLS_ITSELF = "fills-itself"
    RIGHT_UNKNOWN = "right-unknown"
    RIGHTS_OF_WHOLE = "rights-of-whole"
    NO_SUCH_MEMBER = "no-such-member"
    READ_ONLY = "read-only"
    NO_SUCH_MESSAGE = "no-such-message"
    UNKNOWN_ENCODING = "unknown-encoding"
    TOO_BIG = "too-big"
    EMPTY_MESSAGE = "empty-message"
    SPECIAL_USE_UNKNOWN = "special-use-unknown"
    FOLDER_GONE = "folder-gone"
    UNAVAILABLE = "unavailable"
    BROKEN = "broken"
    EXISTS = "exists"
    OVER_QUOTA = "over-quota"
    TOO_MANY_FOLDERS = "too-many-folders"
    TOO_MANY_KEYWORDS = "too-many-keywords"
    SPECIAL_USE_TAKEN = "special-use-taken"
    MESSAGE_MALFORMED = "message-malformed"


@dataclass(frozen=True, slots=True)
class Reply:
    """A tagged answer: status, text, and the code in brackets."""

    status: str
    text: str
    code: str = ""


REPLIES: dict[Problem, Reply] = {
    Problem.DONE_EXPECTED: Reply("BAD", "DONE expected", "CLIENTBUG"),
    Problem.NOT_LOGGED_IN: Reply("BAD", "Log in first", "CLIENTBUG"),
    Problem.NOT_OFFERED: Reply("BAD", "This is not offered to your account", "CLIENTBUG"),
    Problem.LOGGED_IN: Reply("BAD", "Already logged in", "CLIENTBUG"),
    Problem.NOTHING_SELECTED: Reply("BAD", "Select a folder first", "CLIENTBUG"),
    Problem.NOT_ENABLED: Reply("BAD", "Use ENABLE first", "CLIENTBUG"),
    Problem.TLS_REQUIRED: Reply("NO", "Use STARTTLS first", "PRIVACYREQUIRED"),
    Problem.TLS_ALREADY: Reply("BAD", "TLS is active already", "CLIENTBUG"),
    Problem.MECHANISM_UNKNOWN: Reply("NO", "Unknown mechanism", "CANNOT"),
    Problem.CANCELLED: Reply("BAD", "Authentication cancelled"),
    Problem.LOGIN_FAILED: Reply("NO", "User name or password is wrong", "AUTHENTICATIONFAILED"),
    Problem.NO_SUCH_FOLDER: Reply("NO", "No such folder", "NONEXISTENT"),
    Problem.NO_SUCH_ROOT: Reply("NO", "No such quota root", "NONEXISTENT"),
    Problem.NO_TARGET: Reply("NO", "No such folder", "TRYCREATE"),
    Problem.NAME_IMPOSSIBLE: Reply("NO", "A folder cannot have this name", "CANNOT"),
    Problem.INBOX_STAYS: Reply("NO", "INBOX stays", "CANNOT"),
    Problem.HAS_ROLE: Reply("NO", "The mailbox needs this folder", "CANNOT"),
    Problem.HAS_NO_MAIL: Reply("NO", "This name only holds other folders", "NONEXISTENT"),
    Problem.NO_PERMISSION: Reply("NO", "No permission", "NOPERM"),
    Problem.FILLS_ITSELF: Reply(
        "NO", "This folder fills and empties by itself: act on the message where it is", "NOPERM"
    ),
    Problem.RIGHT_UNKNOWN: Reply("BAD", "No such right", "CLIENTBUG"),
    Problem.RIGHTS_OF_WHOLE: Reply("NO", "Rights are those of the whole mailbox: change them on its INBOX", "CANNOT"),
    Problem.NO_SUCH_MEMBER: Reply("NO", "A member is named by the address with which they sign in here", "CANNOT"),
    Problem.READ_ONLY: Reply("NO", "The folder is opened read-only", "READ-ONLY"),
    Problem.NO_SUCH_MESSAGE: Reply("BAD", "No message has this number", "CLIENTBUG"),
    Problem.UNKNOWN_ENCODING: Reply("NO", "The part is encoded in a way not known here", "UNKNOWN-CTE"),
    Problem.TOO_BIG: Reply("NO", "The message is too large", "TOOBIG"),
    Problem.EMPTY_MESSAGE: Reply("NO", "The message is empty", "CANNOT"),
    Problem.SPECIAL_USE_UNKNOWN: Reply("NO", "Unknown special use", "USEATTR"),
    Problem.FOLDER_GONE: Reply("NO", "The folder is no longer there", "NONEXISTENT"),
    Problem.UNAVAILABLE: Reply("NO", "The store cannot answer now, try again later", "UNAVAILABLE"),
    Problem.BROKEN: Reply("NO", "Something failed here", "SERVERBUG"),
    Problem.EXISTS: Reply("NO", "The folder exists already", "ALREADYEXISTS"),
    Problem.OVER_QUOTA: Reply("NO", "The mailbox is full", "OVERQUOTA"),
    Problem.TOO_MANY_FOLDERS: Reply("NO", "Too many folders", "LIMIT"),
    Problem.TOO_MANY_KEYWORDS: Reply("NO", "The folder has no room for another keyword", "LIMIT"),
    Problem.SPECIAL_USE_TAKEN: Reply("NO", "Another folder has this special use", "USEATTR"),
    Problem.MESSAGE_MALFORMED: Reply("NO", "The message breaks the form of Internet messages", "CANNOT"),
}


class Declined(Exception):
    """A command is not done, for a reason the client is told."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.value)
        self.problem = problem


def problem_of(refused: FolderProblem) -> Problem:
    """The store's reasons have the same names here."""
    return Problem(refused.value)
