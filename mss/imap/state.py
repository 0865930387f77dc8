"""What does a session know between two commands? Its account, its folder, its client; and how it speaks to it.

Commands (mss/imap/login.py, foldercommands.py, messagecommands.py, fetching.py, searching.py) work on this and on
nothing else. The wire is an idea here: bytes are written, lines are awaited; sockets are for mss/imap/server.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from mss.imap import responses
from mss.imap.backend import Account, Authenticate, Box, Folder, MailStore, Members, Review, flag_mask, seen_from
from mss.imap.commands import Attribute
from mss.imap.hub import Hub, OpenFolder
from mss.imap.names import DELIMITER
from mss.imap.pace import Pace
from mss.imap.reader import Event, Limits, Refused
from mss.imap.replies import Declined, Problem
from mss.imap.rows import Page, render
from mss.imap.sets import ranges_of
from mss.imap.snapshot import Marks, Snapshot
from mss.imap.view import NOTHING, News, View
from mss.model.clock import Clock
from mss.model.errors import NotFound, StorageUnavailable

SHARED_PREFIX = "Boîtes partagées"
"""Under which name people find team mailboxes; it is French like the names of folders they are born with."""


class Disconnected(Exception):
    """The client is gone, or has been sent away."""


class Wire(Protocol):
    """The line to one client."""

    peer: str
    """Its address."""
    is_secure: bool
    """TLS is active."""
    certificate: bytes | None
    """The client's certificate in DER, when it presented one."""

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None:
        """Wait until the client has read enough that more may be written. Raises Disconnected."""
        ...

    def take_command(self) -> Event | None:
        """The next command when it has come whole."""
        ...

    def take_line(self) -> bytes | Refused | None:
        """The next line when it has come."""
        ...

    async def wait(self, timeout_s: float) -> bool:
        """Until something comes or `poke` is called; False when nothing did. Raises Disconnected."""
        ...

    def poke(self) -> None: ...

    def set_limits(self, limits: Limits) -> None: ...

    def use_utf8(self) -> None:
        """Names are read as UTF-8 from now on."""
        ...

    async def start_tls(self) -> None:
        """Raises Disconnected when the handshake fails."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator may choose."""

    name: str
    """How the server greets: its host name."""
    message_bytes_max: int = 35 * 1024 * 1024
    """As the relay takes (contract: 35 MiB on the wire)."""
    line_bytes_max: int = 64 * 1024
    """A UID set of a whole folder fits; literals are counted apart."""
    literal_bytes_max: int = 64 * 1024
    """Literals of one command together, messages aside."""
    stranger_line_bytes_max: int = 36 * 1024
    """A line before login: ID may have thirty fields of 1,024 octets (RFC 2971 §3.3)."""
    stranger_bytes_max: int = 4 * 1024
    """Literals before login: a name and a password."""
    stranger_s: float = 60.0
    """Time to log in."""
    takes_tokens: bool = False
    """Somebody judges bearer tokens: OAUTHBEARER and XOAUTH2 are announced."""
    commands_per_s: float = 1000.0
    commands_burst: int = 20_000
    """A first synchronisation that asks for each message alone goes unhindered; a script in a loop is slowed."""
    idle_s: float = 30 * 60.0
    """RFC 9051 §5.4: at least 30 minutes; IDLE is asked again before that."""
    poll_s: float = 30.0
    """A hint of change may be lost: how often IDLE reads all the same. And how often the certificate of a session that
    only waits is looked at: nobody tells us when one is taken back."""
    still_here_s: float = 120.0
    """How often a client in IDLE hears that we are there: a firewall that forgets silent lines after a few minutes
    would leave it waiting for half an hour while a result lies in the mailbox."""
    review_s: float = 10.0
    """How old what we know of an account may be; a member of a team is looked at before each command."""


@dataclass(slots=True)
class Selected:
    """The folder that is open in this session."""

    folder: Folder
    opened: OpenFolder
    view: View
    read_only: bool


@dataclass(slots=True)
class Session:
    """One client."""

    wire: Wire
    store: MailStore
    hub: Hub
    authenticate: Authenticate
    clock: Clock
    settings: Settings
    review: Review | None = None
    members: Members | None = None
    account: Account | None = None
    selected: Selected | None = None
    condstore: bool = False
    qresync: bool = False
    rev2: bool = False
    """IMAP4rev2 was enabled: names in UTF-8, ESEARCH, no \\Recent (RFC 9051 App. E)."""
    leaving: bool = False
    failed_logins: int = 0
    mistakes: int = 0
    heard_s: float = 0.0
    """When the last command ended."""
    reviewed_s: float = 0.0
    is_in_doubt: bool = False
    """Its account's access has changed: look again before anything else."""
    pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        self.pace = Pace(self.settings.commands_per_s, self.settings.commands_burst)

    # --- who and where

    def boxes(self) -> list[tuple[str, Box]]:
        """The mailboxes of the account, each with what stands before the names of its folders."""
        assert self.account is not None
        shared = [(f"{SHARED_PREFIX}{DELIMITER}{box.address}{DELIMITER}", box) for box in self.account.shared]
        return ([("", self.account.own)] if self.account.own else []) + shared

    def find_box(self, name: str) -> tuple[Box, str]:
        """The mailbox that a client's folder name belongs to, and the name in there. Raises Declined."""
        is_shared = name == SHARED_PREFIX or name.startswith(SHARED_PREFIX + DELIMITER)
        for prefix, box in self.boxes():
            if bool(prefix) == is_shared and name.startswith(prefix) and len(name) > len(prefix):
                return box, name[len(prefix) :]
        raise Declined(Problem.NO_SUCH_FOLDER)

    async def find_folder(self, name: str, otherwise: Problem = Problem.NO_SUCH_FOLDER) -> Folder:
        """Raises Declined."""
        try:
            box, inner = self.find_box(name)
            self.need(box, "l")
            return await self.store.folder(box, inner)
        except (NotFound, Declined):
            raise Declined(otherwise) from None

    def need(self, box: Box, right: str) -> None:
        """Raises Declined when the account lacks a right (RFC 4314 §2.1)."""
        if right not in box.rights:
            raise Declined(Problem.FILLS_ITSELF if box.fills_itself else Problem.NO_PERMISSION)

    async def check_rights(self) -> None:
        """Ask again what this account may open: who is removed from a team, or suspended, reads nothing more. Ends the
        session when the account may not sign in any more, or may not read the selected folder. Raises
        StorageUnavailable while nobody can tell."""
        now_s = self.clock.monotonic_s()
        if self.account is None or self.review is None:
            return
        is_fresh = now_s - self.reviewed_s < self.settings.review_s
        if not self.account.shared and is_fresh and not self.is_in_doubt:
            return
        self.is_in_doubt = False
        try:
            account = await self.review(self.account)
        except StorageUnavailable:
            self.is_in_doubt = True
            raise
        self.reviewed_s = now_s
        if account is None:
            self._end("This account is closed for now")
        elif account is not self.account:
            self.account = account
            self._keep_selected(account)

    def _keep_selected(self, account: Account) -> None:
        if self.selected is None:
            return
        owner = self.selected.folder.box.owner
        box = next((box for box in (account.own, *account.shared) if box is not None and box.owner == owner), None)
        if box is None or "r" not in box.rights:
            self._end("You may no longer open the selected folder")
        else:
            folder = self.selected.folder
            self.selected.folder = replace(folder, box=seen_from(box, folder.special_use))

    def open_folder(self) -> Selected:
        """The selected folder. Raises Declined."""
        if self.selected is None:
            raise Declined(Problem.NOTHING_SELECTED)
        return self.selected

    def writable_folder(self) -> Selected:
        """The selected folder, unless it was opened by EXAMINE. Raises Declined."""
        selected = self.open_folder()
        if selected.read_only:
            raise Declined(Problem.READ_ONLY)
        return selected

    def let_go(self) -> None:
        """Look away from the selected folder."""
        if self.selected is not None:
            self.hub.release(self.selected.opened, self.wire.poke)
            self.selected = None

    def use_condstore(self) -> None:
        """The client speaks of mod-sequences from now on; it is told the highest one (RFC 7162 §3.1)."""
        if not self.condstore and self.selected is not None:
            self.wire.write(responses.highest_modseq(self.selected.view.snapshot.modseq))
        self.condstore = True

    # --- telling what is new

    def tell(self, snapshot: Snapshot, *, may_expunge: bool, known: Mapping[int, Marks | None] | None = None) -> None:
        """Bring the client's picture up to a snapshot."""
        selected = self.open_folder()
        view = selected.view
        if snapshot.uidnext > view.snapshot.uidnext and not self.rev2:  # EXAMINE takes none for good (RFC 3501 §6.3.2)
            low, end = selected.opened.claim_recent(snapshot, keeps=not selected.read_only)
            view.claim_recent(max(low, view.snapshot.uidnext), end)
        news = view.catch_up(snapshot, may_expunge=may_expunge, known=known)
        if news is not NOTHING:
            self.wire.write(self._news_text(selected, news))

    def _news_text(self, selected: Selected, news: News) -> bytes:
        parts = []
        if news.vanished and self.qresync:  # RFC 7162 §3.2.10
            parts.append(responses.vanished(ranges_of(news.vanished)))
        else:
            parts.append(responses.expunged(news.expunged))
        if news.exists is not None:
            parts.append(responses.exists(news.exists))
        if news.recent is not None and not self.rev2:
            parts.append(responses.recent(news.recent))
        if news.keywords_changed:
            keywords = selected.view.snapshot.keywords
            permanent = responses.permanent_flags(keywords, permanent_mask(selected.folder.box, selected.read_only))
            parts += [responses.flags(keywords), permanent]
        if news.flags:
            parts.append(self.flag_rows(news.flags))
        return b"".join(parts)

    def flag_rows(self, positions: Sequence[int], *, uid: bool = False) -> bytes:
        """FETCH rows that tell flags (RFC 7162 §3.2.4: with UID and MODSEQ for a client that knows CONDSTORE)."""
        view = self.open_folder().view
        attributes = [Attribute.UID] if uid or self.condstore else []
        attributes.append(Attribute.FLAGS)
        if self.condstore:
            attributes.append(Attribute.MODSEQ)
        page = Page(view, positions, view.indices(list(positions)))
        return render(page, attributes)

    async def tell_news(self, *, may_expunge: bool, ask: bool = False) -> None:
        """Tell what has changed in the selected folder; `ask` reads the store even without a hint of change."""
        selected = self.selected
        if selected is None:
            return
        try:
            read = selected.opened.refresh if ask else selected.opened.current
            snapshot = await read(selected.folder)
        except NotFound:
            self._folder_is_gone()
            return
        self.tell(snapshot, may_expunge=may_expunge)

    def _folder_is_gone(self) -> None:
        """Somebody deleted the selected folder: there is no way to say so but to end (RFC 2180 §3.3)."""
        self._end("The selected folder was deleted")

    def _end(self, text: str) -> None:
        self.wire.write(responses.bye(text))
        self.leaving = True
        self.let_go()


def permanent_mask(box: Box, read_only: bool) -> int:
    """System flags that may be changed in a folder that is open."""
    return 0 if read_only else flag_mask(box)
