"""When does a message become visible to a patient, in which conversation, and whom may she answer?

`reveal` is the one way from pending to visible: number in the inbox, conversation, contact, counts, all in the
caller's transaction. The patient answers the Reply-To address where there is one, else From; a message with
subject `[FIN]` or header `X-MSS-MES: FIN` of either closes it, a later message opens it again. Later is what came in
later, however long the bridge or a human took over it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from mss.crypto.keys import Lookup
from mss.formats import headers
from mss.formats.parts import Structure
from mss.mail import letters
from mss.mail.letters import HeaderFacts
from mss.model.clock import Chance, Clock, to_ms
from mss.model.ids import MailAddress
from mss.model.mailbox import SpecialUse
from mss.store import folders, messages, owners, patients
from mss.store.ids import new_id
from mss.store.messages import MessageState, StoredMessage
from mss.store.patients import ContactRow
from mss.store.sql import Connection
from mss.vault.opener import OwnerKeys

CONTACT_KIND = b"contact"
REFERENCES_MAX = 20
"""Ancestors looked up to find a conversation: the newest ones."""
WRITERS_MAX = 20
"""Remembered of one contact: the newest of a team's programs and people."""
END_SUBJECT = "[FIN]"
END_HEADER = ("X-MSS-MES", "FIN")


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom a patient may answer, or who ended it."""

    address: str
    name: str
    writers: tuple[str, ...] = ()
    """From addresses that wanted answers to go to `address`: an end from one of them counts too."""

    def to_bytes(self) -> bytes:
        return json.dumps([self.address, self.name, *self.writers]).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Contact:
        address, name, *writers = json.loads(data)
        return cls(address, name, tuple(writers))

    def is_of(self, speakers: frozenset[str]) -> bool:
        """Whether one of these addresses (keys) speaks for this contact."""
        return any(MailAddress.parse(one).key in speakers for one in (self.address, *self.writers))


def ends_exchange(structure: Structure) -> bool:
    """Whether the professional says that the exchange is over (ENS §7: subject exactly, or the header exactly)."""
    subject = headers.decode_words(structure.header("Subject") or "").strip()
    return subject == END_SUBJECT or (structure.header(END_HEADER[0]) or "").strip() == END_HEADER[1]


def contact_of(structure: Structure) -> Contact | None:
    """Whom an answer goes to: the Reply-To address where there is one, else From."""
    return _contact_of(structure, letters.header_facts(structure))


def _contact_of(structure: Structure, seen: HeaderFacts) -> Contact | None:
    if not seen.from_addresses:
        return None
    writer = seen.from_addresses[0]
    shown = headers.parse_addresses(structure.header("From") or "")
    name = shown[0].name if shown and shown[0].name else str(writer)
    answer_to = seen.reply_to[0] if seen.reply_to else writer
    return Contact(str(answer_to), name, () if answer_to == writer else (str(writer),))


class Conversations:
    """Puts messages into a patient's view."""

    def __init__(self, lookup: Lookup, clock: Clock, chance: Chance) -> None:
        self._lookup = lookup
        self._clock = clock
        self._chance = chance

    def contact_hmac(self, address: str) -> bytes:
        return self._lookup.address(MailAddress.parse(address).key)

    def reveal(self, connection: Connection, keys: OwnerKeys, stored: StoredMessage, structure: Structure) -> bool:
        """Make a pending message visible, in the caller's transaction. False when it was already."""
        owner = keys.owner
        now_ms = to_ms(self._clock.now())
        owners.lock(connection, owner)
        current = messages.one_message(connection, owner, stored.message)
        if current is None or current.state == MessageState.VISIBLE:
            return False
        inbox = folders.folder_by_use(connection, owner, SpecialUse.INBOX)
        assert inbox is not None, "every mailbox is born with its folders"
        entry = folders.NewEntry(stored.message, 0, 0, stored.received_ms, stored.size_bytes)
        folders.append_entries(connection, owner, inbox.folder, [entry], now_ms)
        seen = letters.header_facts(structure)
        contact = _contact_of(structure, seen)
        ended = ends_exchange(structure)
        if contact is not None and ended:
            self._end(connection, keys, contact, stored.received_ms)
        elif contact is not None and not seen.is_report:  # nobody reads answers to a machine
            self._open(connection, keys, contact, stored.received_ms)
        else:
            contact = None
        answer_to = None if contact is None else self.contact_hmac(contact.address)
        conversation = self.find(connection, owner, structure)
        if conversation == 0:
            conversation = new_id(self._clock, self._chance)
            patients.insert_conversation(connection, owner, conversation, answer_to or b"", now_ms)
        else:
            answers_to = None if ended else answer_to  # then the conversation stays with whom it was
            patients.grow_conversation(connection, owner, conversation, now_ms, unread=1, contact_hmac=answers_to)
        messages.set_state(connection, owner, stored.message, MessageState.VISIBLE, conversation)
        return True

    def find(self, connection: Connection, owner: int, structure: Structure) -> int:
        """The conversation of the nearest ancestor that the owner holds; 0 when there is none."""
        ancestors = [
            *headers.parse_message_ids(structure.header("In-Reply-To") or ""),
            *reversed(headers.parse_message_ids(structure.header("References") or "")),
        ]
        for message_id in list(dict.fromkeys(ancestors))[:REFERENCES_MAX]:
            for known in messages.by_message_id(connection, owner, self._lookup.message_id(message_id)):
                if known.conversation and known.state == MessageState.VISIBLE:
                    return known.conversation
        return 0

    def _open(self, connection: Connection, keys: OwnerKeys, contact: Contact, at_ms: int) -> None:
        """A professional has written: he may be answered, unless the end came in after this."""
        hashed = self.contact_hmac(contact.address)
        known = patients.contact(connection, keys.owner, hashed)
        if known is not None:
            if known.closed_ms > at_ms:
                return
            earlier = _contact(keys, known).writers
            contact = replace(contact, writers=tuple(dict.fromkeys([*contact.writers, *earlier]))[:WRITERS_MAX])
            at_ms = max(at_ms, known.opened_ms)
        number = new_id(self._clock, self._chance) if known is None else known.contact
        sealed = keys.seal_small(CONTACT_KIND, number, contact.to_bytes())
        patients.put_contact(connection, keys.owner, ContactRow(number, hashed, True, sealed, at_ms, 0), known)

    def _end(self, connection: Connection, keys: OwnerKeys, contact: Contact, at_ms: int) -> None:
        """The exchange is over with whoever this message's From and Reply-To speak for; an unknown one is noted."""
        speakers = frozenset(MailAddress.parse(one).key for one in (contact.address, *contact.writers))
        rows = patients.contacts(connection, keys.owner)
        for row in rows:
            is_newer = at_ms >= (row.opened_ms if row.is_open else row.closed_ms)
            if is_newer and _contact(keys, row).is_of(speakers):
                patients.close_contact(connection, keys.owner, replace(row, closed_ms=at_ms))
        hashed = self.contact_hmac(contact.address)
        if all(row.contact_hmac != hashed for row in rows):
            number = new_id(self._clock, self._chance)
            sealed = keys.seal_small(CONTACT_KIND, number, contact.to_bytes())
            patients.close_contact(connection, keys.owner, ContactRow(number, hashed, False, sealed, at_ms, at_ms))


def _contact(keys: OwnerKeys, row: ContactRow) -> Contact:
    return Contact.from_bytes(keys.open_small(CONTACT_KIND, row.contact, row.contact_sealed))
