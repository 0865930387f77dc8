"""How does a patient answer? Only somebody who wrote to her and has not ended the exchange.

Whether the contact is still open is asked again inside the transaction that puts the answer into the queue: an end
that arrives in the same second wins. (To a mailbox of this very server the answer is delivered just before.)
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage

from mss.formats import headers
from mss.formats.parts import Structure
from mss.formats.summary import summarise
from mss.mail import letters
from mss.mail.conversations import CONTACT_KIND, Contact
from mss.mail.delivery import Delivery
from mss.mail.dispatch import Dispatch
from mss.mail.parcels import Letter, Placing
from mss.mail.reception import Receipt
from mss.mail.recipients import House
from mss.mail.screening import NoScreening, Screening
from mss.model.clock import Chance, Clock, to_ms
from mss.model.errors import Malformed, MssError, NotFound, StorageUnavailable
from mss.model.ids import MailAddress
from mss.model.mailbox import Flag, SpecialUse
from mss.model.verdict import Accept, Later, Reason, Refuse
from mss.store import audit, messages, owners, patients
from mss.store.database import Store
from mss.store.messages import Direction, MessageState, StoredMessage
from mss.store.owners import MailboxRow
from mss.store.sql import Connection
from mss.vault.opener import Opener, OwnerKeys

BODY_CHARS_MAX = 20_000
ATTACHMENTS_MAX = 10
ATTACHMENTS_BYTES_MAX = 20 * 1024 * 1024
"""Base64 of 20 MB stays below what Mon espace santé and most operators take (25 MB)."""
_TYPE = re.compile(r"(?:application|audio|font|image|text|video)/[A-Za-z0-9.+-]{1,100}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that the patient joins."""

    filename: str
    mime_type: str
    data: bytes


class _NoLongerOpen(MssError):
    """The contact closed between the page and the press of the button."""


class PatientReplies:
    """Sends a patient's answers."""

    def __init__(
        self,
        house: House,
        store: Store,
        opener: Opener,
        delivery: Delivery,
        dispatch: Dispatch,
        clock: Clock,
        chance: Chance,
        screening: Screening | None = None,
    ) -> None:
        self._screening = screening or NoScreening()
        self._house = house
        self._store = store
        self._opener = opener
        self._delivery = delivery
        self._dispatch = dispatch
        self._clock = clock
        self._chance = chance

    async def reply(
        self,
        keys: OwnerKeys,
        sender: tuple[str, MailAddress],
        conversation: int,
        body: str,
        attachments: Sequence[Attachment],
    ) -> Receipt:
        """Answer in a conversation, in the name of `sender` (display name, address). Raises NotFound."""
        if len(body) > BODY_CHARS_MAX or sum(len(a.data) for a in attachments) > ATTACHMENTS_BYTES_MAX:
            return Receipt(Refuse(Reason.TOO_LARGE))
        if len(attachments) > ATTACHMENTS_MAX:
            return Receipt(Refuse(Reason.TOO_MANY_PARTS))
        box, contact_hmac, contact, last = await self._answered(keys, conversation)
        if contact is None or last is None:
            return Receipt(Refuse(Reason.CONVERSATION_NOT_OPEN))
        original = await letters.scan(await self._opener.message_body(keys, last))
        raw = await asyncio.to_thread(self._compose, sender, contact, original, body, attachments)
        try:
            return await self._send(keys, box, sender[1], conversation, contact_hmac, contact, raw, original)
        except _NoLongerOpen:
            return Receipt(Refuse(Reason.CONVERSATION_NOT_OPEN))
        except StorageUnavailable:
            return Receipt(Later(Reason.STORAGE_UNAVAILABLE))
        except Malformed as malformed:
            return Receipt(Refuse(malformed.reason))

    async def _answered(
        self, keys: OwnerKeys, conversation: int
    ) -> tuple[MailboxRow, bytes, Contact | None, StoredMessage | None]:
        owner = keys.owner

        def ask(connection: Connection) -> tuple[MailboxRow, bytes, Contact | None, StoredMessage | None] | None:
            row, box = patients.conversation(connection, owner, conversation), owners.mailbox(connection, owner)
            if row is None or box is None:
                return None
            known = patients.contact(connection, owner, row.contact_hmac)
            if known is None or not known.is_open:
                return box, row.contact_hmac, None, None
            contact = Contact.from_bytes(keys.open_small(CONTACT_KIND, known.contact, known.contact_sealed))
            stored = messages.messages_of_conversation(connection, owner, conversation)
            incoming = [one for one in stored if one.direction == Direction.IN] or stored
            return box, row.contact_hmac, contact, incoming[-1] if incoming else None

        found = await self._store.read(ask)
        if found is None:
            raise NotFound("conversation")
        return found

    def _compose(
        self,
        sender: tuple[str, MailAddress],
        contact: Contact,
        original: Structure,
        body: str,
        attachments: Sequence[Attachment],
    ) -> bytes:
        """The answer's bytes, 7-bit whatever is in it: the other server may know nothing else."""
        name, address = sender
        subject = headers.decode_words(original.header("Subject") or "").strip()
        opening = letters.Opening(
            sender_name=name,
            sender=address,
            recipient=MailAddress.parse(contact.address),
            subject=subject if subject.lower().startswith("re:") else f"Re: {subject}",
            at=self._clock.now(),
            message_id=letters.new_message_id(self._chance, address.domain),
        )
        message = EmailMessage(policy=letters.SEVEN_BIT)
        message.set_content(body.replace("\r\n", "\n"), cte="quoted-printable")
        for attachment in attachments:
            maintype, _, subtype = _safe_type(attachment.mime_type).partition("/")
            filename = " ".join(attachment.filename.split())
            message.add_attachment(attachment.data, maintype=maintype, subtype=subtype, filename=filename)
        heading = opening.to_bytes() + letters.threading(original) + self._house.nil_field
        return heading + message.as_bytes()

    async def _send(
        self,
        keys: OwnerKeys,
        box: MailboxRow,
        sender: MailAddress,
        conversation: int,
        contact_hmac: bytes,
        contact: Contact,
        raw: bytes,
        original: Structure,
    ) -> Receipt:
        owner, now = keys.owner, self._clock.now()
        kept, leaves = [
            Letter(octets, summarise(octets, await letters.scan(octets)), sender, f"login:{owner}", raw, doubt=doubt)
            for octets, doubt in ((raw, None), (letters.return_path(sender) + raw, await self._screening.doubt(raw)))
        ]
        placing = Placing(SpecialUse.SENT, Flag.SEEN, Direction.OUT, conversation)
        copy = await self._delivery.copy(kept, box, "sent", placing)
        answered = headers.parse_message_ids(original.header("Message-ID") or "")[:1]

        def also(connection: Connection) -> None:
            known = patients.contact(connection, owner, contact_hmac)
            if known is None or not known.is_open:
                raise _NoLongerOpen
            patients.grow_conversation(connection, owner, conversation, to_ms(now), unread=0)
            for message_id in answered:  # so that the trace of the original tells of its answer
                hashed = self._delivery.message_id_hmac(message_id)
                act = audit.Act(now, f"login:{owner}", "mail.answered", owner, copy.new.message, hashed)
                audit.write(connection, [act])

        await self._dispatch.send(owner, leaves, [MailAddress.parse(contact.address)], also=also, own_copy=copy)
        assert copy.new.state is MessageState.VISIBLE
        return Receipt(Accept(), copy.new.message)


def _safe_type(said: str) -> str:
    """A media type that may stand before a file: not of the kinds that hold parts, nor one that is none."""
    return said if _TYPE.fullmatch(said) else "application/octet-stream"
