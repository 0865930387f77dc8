"""Where does the sender find what she sent? In her own folder of sent mail, once, whoever files it first.

The copy is put in the transaction that queues the mail: it is there when the mail leaves, and only then. A mail client
that brings the same mail afterwards is told the number under which it stands already (mss/imap/mailacts.py); one that
brought it before is found here. Both ask the same memory under the lock of the mailbox, so that one wins. Software
keeps what it sends by itself: nobody would ever empty that folder.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mss.crypto.keys import Lookup
from mss.formats.parts import Structure
from mss.mail import sentmark
from mss.mail.contents import Contents
from mss.mail.delivery import Delivery
from mss.mail.letters import study
from mss.mail.parcels import Letter, Parcel, Placing
from mss.mail.reception import Peer
from mss.mail.sentmark import SentMark
from mss.model.clock import Clock, to_ms
from mss.model.ids import MailAddress, OwnerId
from mss.model.mailbox import SENT_COPY, Flag, MailboxKind, SpecialUse
from mss.store import accounts, folders, owners, received
from mss.store.database import Store
from mss.store.messages import Direction
from mss.store.owners import MailboxRow
from mss.store.sealing import keep_keys
from mss.store.sql import Connection

PLACING = Placing(SpecialUse.SENT, Flag.SEEN, Direction.OUT)


@dataclass(frozen=True, slots=True)
class SentCopy:
    """A copy ready to be put: sealed, its body durable."""

    parcel: Parcel
    mark: SentMark
    lookup: Lookup
    now_ms: int

    @property
    def owner(self) -> OwnerId:
        return self.parcel.owner

    def put(self, connection: Connection) -> None:
        """In the transaction that queues the mail; again changes nothing."""
        owner, lookup = self.owner, self.lookup
        owners.lock(connection, owner)  # a client that brings it at this moment waits here
        same = (self.mark, self.mark.bare)
        brought = [received.standing(connection, owner, one.brought(lookup, owner), self.now_ms) for one in same]
        standing = next((number for number in brought if number and _stands(connection, owner, number)), 0)
        if not standing:
            standing = self.parcel.put(connection)
            if standing != self.parcel.new.message:
                return  # the mail was sent before; what was said then of secret copies holds
        else:
            keep_keys(connection, [self.parcel.key])  # whoever sends a mail believes it kept
        for one in same:
            received.remember(connection, owner, one.filed(lookup, owner), standing, self.now_ms)


def _stands(connection: Connection, owner: int, message: int) -> bool:
    sent = folders.folder_by_use(connection, owner, SpecialUse.SENT)
    return sent is not None and bool(folders.uid_of(connection, owner, sent.folder, message))


class SentCopies:
    """Makes copies. Public keys only."""

    def __init__(self, store: Store, delivery: Delivery, lookup: Lookup, clock: Clock) -> None:
        self._store = store
        self._delivery = delivery
        self._lookup = lookup
        self._clock = clock

    async def of(
        self,
        peer: Peer,
        owner: OwnerId,
        raw: Contents,
        structure: Structure,
        mark: SentMark | None,
        recipients: tuple[MailAddress, ...],
    ) -> SentCopy | None:
        """The copy for a mailbox under whose address a login writes. `raw`: with Date and Message-ID, and with who was
        copied in secret. None where none is wanted. Raises Malformed, StorageUnavailable."""
        box = await self._store.read(lambda c: self._wanted(c, peer, owner))
        if box is None:
            return None
        hidden = sentmark.hidden_recipients(structure, recipients)
        if hidden:
            raw = await raw.without_fields("Bcc", before=sentmark.bcc_field(structure, hidden))
        if mark is None:  # the Message-ID is ours
            _, mark = await raw.look(sentmark.look)
            assert mark is not None, "it was added"
        mark = SentMark(mark.content, mark.secret | {one.key for one in hidden})
        _, summary = await raw.look(study)
        letter = Letter(raw, summary, None, peer.name, mark.content)
        parcel = await self._delivery.copy(letter, box, "sent", PLACING)
        parcel.put = replace(parcel.put, digested=mark.bare.filed(self._lookup, owner))
        return SentCopy(parcel, mark, self._lookup, to_ms(self._clock.now()))

    def _wanted(self, connection: Connection, peer: Peer, owner: OwnerId) -> MailboxRow | None:
        box = owners.mailbox(connection, owner)
        if box is None or box.kind is MailboxKind.APPLICATION:
            return None
        is_off = peer.account is not None and SENT_COPY in accounts.masked(connection, peer.account)
        return None if is_off else box
