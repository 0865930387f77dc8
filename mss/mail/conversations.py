"""When does a message become visible to a patient, in which conversation, and whom may she answer?

`reveal` is the one way from pending to visible: number in the inbox, conversation, contact, counts, all in the
caller's transaction. The patient answers the Reply-To address where there is one, else From; a message with
subject `[FIN]` or header `X-MSS-MES: FIN` closes both, a later message of a professional opens again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from mss.crypto.keys import Lookup
from mss.formats import headers
from mss.formats.parts import Structure
from mss.mail import letters
from mss.model.clock import Chance, Clock, to_ms
from mss.model.ids import MailAddress
from mss.model.mailbox import SpecialUse
from mss.store import folders, messages, patients
from mss.store.ids import new_id
from mss.store.messages import MessageState, StoredMessage
from mss.store.patients import ContactRow
from mss.store.sql import Connection
from mss.vault.opener import OwnerKeys

CONTACT_KIND = b"contact"
REFERENCES_MAX = 20
"""Ancestors looked up to find a conversation: the newest ones."""
END_SUBJECT = "[FIN]"
END_HEADER = ("X-MSS-MES", "FIN")


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom a patient may answer, or who ended it."""

    address: str
    name: str

    def to_bytes(self) -> bytes:
        return json.dumps([self.address, self.name]).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Contact:
        return cls(*json.loads(data))


def ends_exchange(structure: Structure) -> bool:
    """Whether the professional says that the exchange is over (ENS §7: subject exactly, or the header exactly)."""
    subject = headers.decode_words(structure.header("Subject") or "").strip()
    return subject == END_SUBJECT or (structure.header(END_HEADER[0]) or "").strip() == END_HEADER[1]


def contacts_of(structure: Structure) -> list[Contact]:
    """The address that an answer goes to, then the others that a FIN closes too. Empty for machines' reports."""
    seen = letters.header_facts(structure)
    if seen.is_report or not seen.from_addresses:
        return []
    shown = headers.parse_addresses(structure.header("From") or "")
    name = shown[0].name if shown and shown[0].name else str(seen.from_addresses[0])
    order = dict.fromkeys([*seen.reply_to[:1], seen.from_addresses[0]])
    return [Contact(str(address), name) for address in order]


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
        current = messages.one_message(connection, owner, stored.message)
        if current is None or current.state == MessageState.VISIBLE:
            return False
        inbox = folders.folder_by_use(connection, owner, SpecialUse.INBOX)
        assert inbox is not None, "every mailbox is born with its folders"
        entry = folders.NewEntry(stored.message, 0, 0, stored.received_ms, stored.size_bytes)
        folders.append_entries(connection, owner, inbox.folder, [entry], now_ms)
        contacts = contacts_of(structure)
        self._note_contacts(connection, keys, contacts, now_ms, ended=ends_exchange(structure))
        answer_to = self.contact_hmac(contacts[0].address) if contacts else None
        conversation = self.find(connection, owner, structure)
        if conversation == 0:
            conversation = new_id(self._clock, self._chance)
            patients.insert_conversation(connection, owner, conversation, answer_to or b"", now_ms)
        patients.grow_conversation(connection, owner, conversation, now_ms, unread=1, contact_hmac=answer_to)
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

    def _note_contacts(
        self, connection: Connection, keys: OwnerKeys, contacts: list[Contact], now_ms: int, *, ended: bool
    ) -> None:
        for contact in contacts if ended else contacts[:1]:
            hashed = self.contact_hmac(contact.address)
            known = patients.contact(connection, keys.owner, hashed)
            number = new_id(self._clock, self._chance) if known is None else known.contact
            sealed = keys.seal_small(CONTACT_KIND, number, contact.to_bytes())
            row = ContactRow(number, hashed, not ended, sealed, now_ms, now_ms if ended else 0)
            if ended:
                patients.close_contact(connection, keys.owner, row)
            else:
                patients.open_contact(connection, keys.owner, row)
