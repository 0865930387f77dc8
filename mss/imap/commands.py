"""What can a client ask? One frozen value for each IMAP command; they hold no bytes of the wire.

Names of folders are already text, flags are bits and keywords, sets are ranges. Nothing here decides anything:
whether a folder exists or a flag may be set is for the session.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mss.imap.searchkeys import SearchKey
from mss.imap.sets import SequenceSet
from mss.imap.sortkeys import Criterion


@dataclass(frozen=True, slots=True)
class Capability:
    """CAPABILITY (RFC 9051 §6.1.1)."""


@dataclass(frozen=True, slots=True)
class Noop:
    """NOOP (§6.1.2)."""


@dataclass(frozen=True, slots=True)
class Logout:
    """LOGOUT (§6.1.3)."""


@dataclass(frozen=True, slots=True)
class Id:
    """ID (RFC 2971). What the client says of itself is read, bounded and forgotten."""


@dataclass(frozen=True, slots=True)
class StartTls:
    """STARTTLS (RFC 9051 §6.2.1)."""


@dataclass(frozen=True, slots=True)
class Authenticate:
    """AUTHENTICATE; `initial` is the decoded initial response (SASL-IR), None when there is none."""

    mechanism: str
    initial: bytes | None


@dataclass(frozen=True, slots=True)
class Login:
    """LOGIN (§6.2.3)."""

    username: str
    password: bytes

    def __repr__(self) -> str:  # never in a log
        return "Login(…)"


@dataclass(frozen=True, slots=True)
class Enable:
    """ENABLE (§6.3.1); upper-case names."""

    extensions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resync:
    """Parameters of QRESYNC (RFC 7162 §3.2.5): what the client still knows of a folder."""

    uidvalidity: int
    modseq: int
    known_uids: SequenceSet | None = None


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT, or EXAMINE when `read_only` (§6.3.2)."""

    folder: str
    read_only: bool = False
    condstore: bool = False
    resync: Resync | None = None


@dataclass(frozen=True, slots=True)
class Create:
    """CREATE; `special_use` as in RFC 6154 §3, without the backslash."""

    folder: str
    special_use: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE (§6.3.5)."""

    folder: str


@dataclass(frozen=True, slots=True)
class Rename:
    """RENAME (§6.3.6)."""

    folder: str
    new_name: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """SUBSCRIBE, or UNSUBSCRIBE when not `subscribed` (§6.3.7)."""

    folder: str
    subscribed: bool


@dataclass(frozen=True, slots=True)
class List:
    """LIST, extended or not (§6.3.9). `select` and `returns` are upper-case option names; `status` the items
    of RETURN (STATUS (…)). `basic` is the form of RFC 3501 with one pattern and no options."""

    reference: str
    patterns: tuple[str, ...]
    select: frozenset[str] = frozenset()
    returns: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()
    basic: bool = True


@dataclass(frozen=True, slots=True)
class Lsub:
    """LSUB (RFC 3501 §6.3.9)."""

    reference: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Namespace:
    """NAMESPACE (§6.3.10)."""


@dataclass(frozen=True, slots=True)
class Status:
    """STATUS (§6.3.11); upper-case items."""

    folder: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flags:
    """Flags as a client names them: system flags as bits of `entry.flags`, keywords as written."""

    system: int = 0
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Quota:
    """GETQUOTA of a root, or GETQUOTAROOT of a folder when `of_folder` (RFC 9208 §4.1)."""

    name: str
    of_folder: bool = False


@dataclass(frozen=True, slots=True)
class SetQuota:
    """SETQUOTA (RFC 9208 §4.1.3): understood and never done."""

    root: str


@dataclass(frozen=True, slots=True)
class MyRights:
    """MYRIGHTS (RFC 4314 §3.5)."""

    folder: str


AclAct = StrEnum("AclAct", ["SET", "DELETE", "GET", "LIST"])


@dataclass(frozen=True, slots=True)
class Acl:
    """SETACL, DELETEACL, GETACL, LISTRIGHTS (RFC 4314 §3)."""

    act: AclAct
    folder: str
    identifier: str = ""
    rights: str = ""
    """As written: letters, for SETACL with + or - before them."""


@dataclass(frozen=True, slots=True)
class Append:
    """APPEND (§6.3.12)."""

    folder: str
    flags: Flags
    received_at: datetime | None
    message: bytes
    is_binary: bool = False
    """Sent as literal8: parts may be binary (RFC 3516 §4.4)."""

    def __repr__(self) -> str:  # never in a log
        return f"Append({len(self.message)} bytes)"


@dataclass(frozen=True, slots=True)
class Idle:
    """IDLE (§6.3.13); DONE is a line of its own, not a command."""


@dataclass(frozen=True, slots=True)
class Check:
    """CHECK (RFC 3501 §6.4.1)."""


@dataclass(frozen=True, slots=True)
class Close:
    """CLOSE, or UNSELECT when not `expunge` (RFC 9051 §6.4.1, §6.4.2)."""

    expunge: bool


@dataclass(frozen=True, slots=True)
class Expunge:
    """EXPUNGE, or UID EXPUNGE of `uids` (§6.4.3, §6.4.9)."""

    uids: SequenceSet | None = None


class Attribute(StrEnum):
    """FETCH items without an argument (§6.4.5)."""

    UID = "UID"
    FLAGS = "FLAGS"
    INTERNALDATE = "INTERNALDATE"
    SIZE = "RFC822.SIZE"
    ENVELOPE = "ENVELOPE"
    BODY = "BODY"
    STRUCTURE = "BODYSTRUCTURE"
    MODSEQ = "MODSEQ"
    EMAILID = "EMAILID"
    THREADID = "THREADID"
    SAVEDATE = "SAVEDATE"
    PREVIEW = "PREVIEW"


class Piece(StrEnum):
    """What of a message or part a section names (§6.4.5.1)."""

    ALL = ""
    HEADER = "HEADER"
    FIELDS = "HEADER.FIELDS"
    FIELDS_NOT = "HEADER.FIELDS.NOT"
    TEXT = "TEXT"
    MIME = "MIME"


@dataclass(frozen=True, slots=True)
class Section:
    """BODY[…]<…>, RFC822 and relatives. `label` is how the answer names it; `span` is (first octet, count)."""

    label: bytes
    path: tuple[int, ...] = ()
    piece: Piece = Piece.ALL
    fields: tuple[bytes, ...] = ()
    peek: bool = True
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Binary:
    """BINARY[…]<…> or BINARY.SIZE[…] (RFC 3516)."""

    path: tuple[int, ...]
    peek: bool = True
    size_only: bool = False
    span: tuple[int, int] | None = None


FetchItem = Attribute | Section | Binary


@dataclass(frozen=True, slots=True)
class Fetch:
    """FETCH, UID FETCH (§6.4.5), with the modifiers of RFC 7162."""

    messages: SequenceSet
    items: tuple[FetchItem, ...]
    uid: bool = False
    changed_since: int | None = None
    vanished: bool = False


class StoreMode(StrEnum):
    """FLAGS, +FLAGS or -FLAGS."""

    REPLACE = ""
    ADD = "+"
    REMOVE = "-"


@dataclass(frozen=True, slots=True)
class Store:
    """STORE, UID STORE (§6.4.6), with UNCHANGEDSINCE of RFC 7162."""

    messages: SequenceSet
    mode: StoreMode
    flags: Flags
    silent: bool = False
    uid: bool = False
    unchanged_since: int | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY, or MOVE when `move` (§6.4.7, §6.4.8)."""

    messages: SequenceSet
    folder: str
    uid: bool = False
    move: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """SEARCH, UID SEARCH (§6.4.4). `returns` is None for the answer of RFC 3501, else the RETURN options."""

    key: SearchKey
    uid: bool = False
    returns: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Sort:
    """SORT, UID SORT (RFC 5256 §3)."""

    criteria: tuple[Criterion, ...]
    key: SearchKey
    uid: bool = False


@dataclass(frozen=True, slots=True)
class Thread:
    """THREAD, UID THREAD by references (RFC 5256 §3)."""

    key: SearchKey
    uid: bool = False


Command = (
    Capability
    | Noop
    | Logout
    | Id
    | StartTls
    | Authenticate
    | Login
    | Enable
    | Select
    | Create
    | Delete
    | Rename
    | Subscribe
    | List
    | Lsub
    | Namespace
    | Status
    | Quota
    | SetQuota
    | MyRights
    | Acl
    | Append
    | Idle
    | Check
    | Close
    | Expunge
    | Fetch
    | Store
    | Copy
    | Search
    | Sort
    | Thread
)


@dataclass(frozen=True, slots=True)
class Tagged:
    """A command with the tag under which the client awaits its answer."""

    tag: str
    command: Command
