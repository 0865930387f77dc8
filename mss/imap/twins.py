"""Is the mail that a client brings to where sent mail is the one that the server filed already?

Then it keeps the number under which it stands, and takes the flags, keywords and date that the client gives it. What
is not quite the same is another message: nothing is lost. Asked in the transaction that would keep it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection

from mss.crypto.keys import Lookup
from mss.imap.backend import Folder
from mss.imap.commands import Flags
from mss.imap.incoming import SealedMessage
from mss.mail.sentmark import SentMark
from mss.store import folders, received, states
from mss.store.states import Change


@dataclass(slots=True)
class Twin:
    """A message that a client brings to a folder of sent mail. May be asked twice, as acts may be run twice."""

    lookup: Lookup
    sealed: SealedMessage
    is_dated: bool
    """The client says when it was sent."""
    standing: int = field(default=0, init=False)
    """The message that the server filed."""

    @property
    def is_absorbed(self) -> bool:
        return self.standing != 0

    @property
    def flags(self) -> Flags:
        return self.sealed.flags

    @property
    def _mark(self) -> SentMark:
        assert self.sealed.mark is not None, "only what has one is asked about"
        return self.sealed.mark

    def find(self, connection: Connection, owner: int, folder: Folder, now_ms: int) -> int:
        """The uid of what the server filed, as long as it stands in this folder; else 0."""
        number = received.standing(connection, owner, self._mark.filed(self.lookup, owner), now_ms)
        uid = folders.uid_of(connection, owner, folder.id, number) if number else 0
        self.standing = number if uid else 0
        return uid

    def absorb(self, connection: Connection, owner: int, folder: Folder, uid: int, marks: Change) -> None:
        """Let it be as the client says."""
        states.change_flags(connection, owner, folder.id, [uid], marks, None, folder.box.reader)
        if self.is_dated:
            folders.set_date(connection, owner, folder.id, uid, self.sealed.internaldate_ms)

    def remember(self, connection: Connection, owner: int, now_ms: int) -> None:
        """It stands now: should the server be about to file it, it need not."""
        name = self._mark.brought(self.lookup, owner)
        received.remember(connection, owner, name, self.sealed.row.message, now_ms)
