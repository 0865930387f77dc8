"""What does the door need from whoever keeps the mail? The promise that an IMAP session builds on.

`mss/imap/mailstore.py` keeps it with the real store, `tests/kit/memory_mailstore.py` with dictionaries; the same
tests run on both. Names of folders are those inside their mailbox; what a client sees before them (the shared
namespace) is the session's business. Every write is durable when it returns, and has been announced to `watch`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mss.imap.commands import Flags, StoreMode
from mss.imap.snapshot import Changes, Snapshot
from mss.model.errors import MssError
from mss.model.ids import OwnerId
from mss.model.mailbox import FLAG_NAMES, Flag, SpecialUse
from mss.model.rights import OWNER_RIGHTS

if TYPE_CHECKING:
    from mss.imap.told import Told


@dataclass(frozen=True, slots=True)
class Box:
    """A mailbox that an account may open, and with which rights (letters of RFC 4314 §2.1)."""

    owner: OwnerId
    account: OwnerId
    address: str
    rights: str = OWNER_RIGHTS
    mark: str = ""
    """Of a team's mailbox: how keywords name this member. \\Seen is each member's own there (docs/decisions)."""
    fills_itself: bool = False
    """As seen from a folder that only the server writes: of the rights those to read are left."""

    @property
    def reader(self) -> int:
        """Whose own \\Seen is told; 0: the mailbox has one."""
        return self.account if self.mark else 0


def seen_from(box: Box, use: SpecialUse | None) -> Box:
    """A mailbox as one of its folders shows it: "Sans réponse" is to be read, and \\Seen goes to the message itself."""
    if use is not SpecialUse.UNANSWERED or box.fills_itself:
        return box
    return replace(box, rights="".join(right for right in box.rights if right in "lrs"), fills_itself=True)


def allowed_flags(box: Box, flags: Flags) -> Flags:
    """As much of some flags as the account may set (RFC 4314 §4): \\Seen needs s, \\Deleted t, all others w."""
    mine = flag_mask(box)
    return Flags(flags.system & mine, flags.keywords if "w" in box.rights else ())


def flag_mask(box: Box) -> int:
    """System flags that the account may set in a mailbox."""
    others = sum(FLAG_NAMES) & ~(Flag.SEEN | Flag.DELETED)
    bits = (("s", Flag.SEEN), ("t", Flag.DELETED), ("w", others))
    return sum(bit for right, bit in bits if right in box.rights)


@dataclass(frozen=True, slots=True)
class Member:
    """Who may open a team's mailbox: the address under which they sign in, their rights (RFC 4314 §2.1)."""

    address: str
    rights: str


@dataclass(frozen=True, slots=True)
class Account:
    """Who has signed in: their own mailbox, and team mailboxes of which they are a member."""

    owner: OwnerId
    own: Box | None
    shared: tuple[Box, ...] = ()
    hidden: frozenset[str] = frozenset()
    """Capabilities that its clients are not told of (mss/imap/mask.py)."""
    proof: bytes = field(default=b"", repr=False)
    """What it signed in with, as a hash; empty for what a token says."""
    certificate: bytes = field(default=b"", repr=False)
    """The certificate with which it signed in, in DER; empty for anything else."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with its counters, as of some moment."""

    box: Box
    id: int
    name: str
    uidvalidity: int
    uidnext: int
    modseq: int
    messages: int
    unseen: int
    size_bytes: int
    special_use: SpecialUse | None = None
    subscribed: bool = True
    recent_uid: int = 1
    """From here on no client has been told of a message (RFC 3501 §2.3.2)."""
    lost_modseqs: tuple[int, int] = (0, 0)
    """Between these, both left out, lie mod-sequences that were told before a power cut and have no meaning now."""

    def since(self, modseq: int) -> int:
        """Up to where a client that names this modseq knows the folder; 0 when it cannot be said."""
        low, high = self.lost_modseqs
        return 0 if low < modseq < high else modseq


class Row(NamedTuple):
    """What is known of a message without opening it."""

    uid: int
    size_bytes: int
    internaldate_ms: int
    savedate_ms: int
    message: int = 0
    """Its number in the mailbox, the same for its copies."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message that a client brings."""

    raw: bytes
    flags: Flags
    received_at: datetime | None


class FolderProblem(StrEnum):
    """Why an act on a folder is not done."""

    EXISTS = "exists"
    OVER_QUOTA = "over-quota"
    TOO_MANY_FOLDERS = "too-many-folders"
    TOO_MANY_KEYWORDS = "too-many-keywords"
    SPECIAL_USE_TAKEN = "special-use-taken"
    MESSAGE_MALFORMED = "message-malformed"


class FolderRefused(MssError):
    """The act was possible in form but is not done; nothing has changed."""

    def __init__(self, problem: FolderProblem) -> None:
        super().__init__(problem.value)
        self.problem = problem


class MailStore(Protocol):
    """Every method raises NotFound for a folder that is gone, StorageUnavailable when the store cannot answer."""

    # --- folders

    async def folders(self, box: Box) -> Sequence[Folder]:
        """All folders of a mailbox."""
        ...

    async def unread(self, folder: Folder) -> int:
        """How many messages of the folder, as it was told, its reader has not read."""
        ...

    async def quota(self, box: Box) -> tuple[int, int]:
        """Octets used, octets allowed (0: no limit)."""
        ...

    async def folder(self, box: Box, name: str) -> Folder:
        """One folder with fresh counters."""
        ...

    async def create(self, box: Box, name: str, special_use: SpecialUse | None = None) -> Folder:
        """Raises FolderRefused: EXISTS, TOO_MANY_FOLDERS, SPECIAL_USE_TAKEN."""
        ...

    async def delete(self, folder: Folder) -> None:
        """The folder with its messages; not those below it."""
        ...

    async def rename(self, folder: Folder, name: str) -> None:
        """The folder and all below it, at once. INBOX keeps its name: its messages move to a new folder
        (RFC 9051 §6.3.6). Raises FolderRefused: EXISTS."""
        ...

    async def subscribe(self, folder: Folder, *, subscribed: bool) -> None: ...

    async def lost_subscriptions(self, box: Box) -> Sequence[str]:
        """Names that are still subscribed though their folder is gone."""
        ...

    async def unsubscribe_lost(self, box: Box, name: str) -> bool:
        """Forget such a name; whether there was one."""
        ...

    # --- the state of a folder

    async def snapshot(self, folder: Folder) -> Snapshot:
        """The whole state, consistent in itself."""
        ...

    async def changes(self, folder: Folder, since: int) -> Changes | None:
        """What happened after modseq `since`; None when that is too long ago to be known."""
        ...

    async def count_from(self, folder: Folder, uid: int) -> int:
        """How many messages have this uid or a higher one."""
        ...

    async def claim_recent(self, folder: Folder, uid: int) -> None:
        """Clients have been told of the messages before `uid`; may be lost at a power cut."""
        ...

    def watch(self, owner: OwnerId, listener: Callable[[int], None]) -> Callable[[], None]:
        """Call `listener` with a folder's id (0: any) when something changed in this mailbox. A hint that may come
        late or not at all. Answers what ends it."""
        ...

    # --- messages; those that are gone are left out of the answer

    async def rows(self, folder: Folder, uids: Sequence[int]) -> list[Row]:
        """By rising uid."""
        ...

    async def summaries(self, folder: Folder, uids: Sequence[int]) -> Told:
        """By rising uid, with their summaries (mss/formats/summary.py)."""
        ...

    async def bodies(self, folder: Folder, uids: Sequence[int]) -> dict[int, bytes]:
        """Whole messages; the caller bounds how much it asks for at once."""
        ...

    async def body_range(self, folder: Folder, uid: int, start: int, end: int) -> bytes:
        """Octets of a message, cut where it ends."""
        ...

    async def search_text(self, folder: Folder, uids: Sequence[int], text: str, *, header_too: bool) -> set[int]:
        """Uids of messages whose decoded text (and header) contains `text`, whatever the case."""
        ...

    # --- acts

    async def append(self, folder: Folder, message: NewMessage) -> int:
        """The uid it got. Raises FolderRefused: OVER_QUOTA, MESSAGE_MALFORMED, TOO_MANY_KEYWORDS."""
        ...

    async def change_flags(
        self, folder: Folder, uids: Sequence[int], mode: StoreMode, flags: Flags, unchanged_since: int | None = None
    ) -> list[int]:
        """Answers the uids that UNCHANGEDSINCE kept back. Raises FolderRefused: TOO_MANY_KEYWORDS."""
        ...

    async def copy(self, folder: Folder, uids: Sequence[int], target: Folder) -> list[tuple[int, int]]:
        """(uid, uid of the copy), all or none. Raises FolderRefused: OVER_QUOTA."""
        ...

    async def move(self, folder: Folder, uids: Sequence[int], target: Folder) -> list[tuple[int, int]]:
        """As `copy`, and the sources are gone; only messages that this call removed are in the answer."""
        ...

    async def expunge(self, folder: Folder, uids: Sequence[int]) -> list[int]:
        """Remove those that are marked deleted; the uids that this call removed."""
        ...


Authenticate = Callable[[str, str, bytes, str], Awaitable[Account | None]]
"""(mechanism, user name, secret, address of the peer) → who that is, or None.

PLAIN and LOGIN bring a password, EXTERNAL the client certificate in DER, OAUTHBEARER and XOAUTH2 a token (with these
three the user name may be empty)."""

Review = Callable[[Account], Awaitable[Account | None]]
"""What somebody who has signed in may open now: the very same account when nothing has changed, None: nothing."""


class Members(Protocol):
    """Who may open the mailbox of a team, for those who may say so (right "a")."""

    async def members(self, box: Box) -> Sequence[Member]: ...

    async def change(self, box: Box, address: str, change: Callable[[str], str]) -> bool:
        """Turn a member's rights (none: "") into others, none again ending it. False when nobody here signs in under
        that address or the team is full."""
        ...


TOKEN_MECHANISMS = ("OAUTHBEARER", "XOAUTH2")
