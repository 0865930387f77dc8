"""What does a patient see of her mailbox? Conversations, messages, attachments: opened for her, never changed.

Names and texts come out as they were written; the door decides how to show them safely.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import datetime

from mss.formats import headers
from mss.formats.parts import Part, Structure, decode_body, decode_text
from mss.formats.summary import Summary
from mss.mail import letters
from mss.mail.conversations import CONTACT_KIND, Contact
from mss.model.clock import Clock, from_ms
from mss.model.document import DocumentStatus
from mss.model.errors import NotFound
from mss.model.ids import lane_of
from mss.store import audit, copies, messages, patients
from mss.store.database import Store
from mss.store.messages import Direction, MessageState, StoredMessage
from mss.store.patients import ConversationRow
from mss.store.sql import Connection
from mss.vault.opener import Opener, OwnerKeys

ATTACHMENT_BYTES_MAX = 35 * 1024 * 1024
TEXT_BYTES_MAX = 1024 * 1024
"""Of a body shown in a page; what is longer is offered as an attachment only."""
ARCHIVE_NAMES = ("ihe_xdm.zip",)
_ARCHIVE_MARK = re.compile(r"^((?:re ?: ?)*)XDM/1\.0/DDM\+?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ConversationView:
    """A line of the inbox."""

    number: int
    contact_name: str
    contact_address: str
    subject: str
    preview: str
    last_at: datetime
    n_msg: int
    n_unread: int
    has_attachments: bool
    may_answer: bool


@dataclass(frozen=True, slots=True)
class AttachmentView:
    """An attachment; `path` is the IMAP section, the size that of the file, to a line's length."""

    path: str
    filename: str
    mime_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message of a conversation. `documents`: numbers of the record's documents that came with it; `withdrawn`:
    those that were taken back since. What such a message brought is not offered any more, all of it: which file is a
    copy of which document cannot be told, and the other documents stand in the record."""

    number: int
    outgoing: bool
    at: datetime
    sender_name: str
    sender_address: str
    subject: str
    body_text: str | None
    body_html: str | None
    attachments: tuple[AttachmentView, ...]
    documents: tuple[int, ...]
    withdrawn: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ConversationDetail:
    """A conversation opened. `why_not`: `ended-by-professional`, `nobody-to-answer`, or empty."""

    view: ConversationView
    messages: tuple[MessageView, ...]
    may_answer: bool
    why_not: str
    ended_by: str


def attachments_of(structure: Structure) -> list[Part]:
    """Leaves that are offered as attachments: all but the text that is shown."""
    shown = {id(part) for part in (text_part(structure, "text/plain"), text_part(structure, "text/html"))}
    return [part for part in structure.leaves() if id(part) not in shown and part.body_end > part.body_start]


def text_part(structure: Structure, media_type: str) -> Part | None:
    """The first inline text of that type."""
    for part in structure.leaves():
        if part.content_type == media_type and part.disposition != "attachment" and not part.filename:
            return part
    return None


_Found = tuple[ConversationRow, StoredMessage | None, Contact | None, bool]


class PatientInbox:
    """A patient's conversations."""

    def __init__(self, store: Store, opener: Opener, clock: Clock) -> None:
        self._store = store
        self._opener = opener
        self._clock = clock

    async def conversations(self, keys: OwnerKeys, *, before_ms: int, limit: int) -> list[ConversationView]:
        """A page of the inbox, newest first."""
        owner = keys.owner

        def ask(connection: Connection) -> tuple[list[_Found], set[int]]:
            rows = patients.conversations(connection, owner, before_ms=before_ms, limit=limit)
            found = [
                (
                    row,
                    messages.last_of_conversation(connection, owner, row.conversation),
                    *_contact(connection, keys, row),
                )
                for row in rows
            ]
            return found, copies.emptied(connection, owner, [last.message for _, last, _, _ in found if last])

        found, emptied = await self._store.read(ask)
        return [
            _line(keys, row, last, contact, is_open=is_open, is_emptied=last.message in emptied)
            for row, last, contact, is_open in found
            if last
        ]

    async def conversation(self, keys: OwnerKeys, number: int) -> ConversationDetail:
        """A conversation with its messages, oldest first. Raises NotFound."""
        owner = keys.owner

        def ask(connection: Connection) -> tuple[ConversationRow, Contact | None, bool, list[StoredMessage]] | None:
            row = patients.conversation(connection, owner, number)
            if row is None or row.n_msg == 0:
                return None
            contact, is_open = _contact(connection, keys, row)
            return row, contact, is_open, messages.messages_of_conversation(connection, owner, number)

        found = await self._store.read(ask)
        if found is None or not found[3]:
            raise NotFound("conversation")
        row, contact, is_open, stored = found
        views = [await self._message(keys, one) for one in stored]
        why_not = "" if is_open else "ended-by-professional" if contact else "nobody-to-answer"
        is_emptied = bool(views[-1].withdrawn)
        line = _line(keys, row, stored[-1], contact, is_open=is_open, is_emptied=is_emptied)
        ended_by = contact.name if contact and not is_open else ""
        return ConversationDetail(line, tuple(views), is_open, why_not, ended_by)

    async def _message(self, keys: OwnerKeys, stored: StoredMessage) -> MessageView:
        raw = await self._opener.message_body(keys, stored)
        filed = await self._store.read(lambda c: copies.documents_in(c, keys.owner, stored.message))
        withdrawn = tuple(row.document for row in filed if row.status == DocumentStatus.WITHDRAWN)
        structure = await letters.scan(raw)
        plain, html = text_part(structure, "text/plain"), text_part(structure, "text/html")
        body_text = decode_text(raw, plain, TEXT_BYTES_MAX) if plain else None
        body_html = decode_text(raw, html, TEXT_BYTES_MAX) if html and not plain else None
        name, address = sender_of(structure)
        hidden = ARCHIVE_NAMES if filed else ()
        attachments = tuple(
            _attachment(part)
            for part in attachments_of(structure)
            if not withdrawn and (part.filename or "").lower() not in hidden
        )
        return MessageView(
            number=stored.message,
            outgoing=stored.direction == Direction.OUT,
            at=from_ms(stored.received_ms),
            sender_name=name,
            sender_address=address,
            subject=shown_subject(headers.decode_words(structure.header("Subject") or "")),
            body_text=body_text,
            body_html=body_html,
            attachments=attachments,
            documents=tuple(row.document for row in filed if row.status != DocumentStatus.WITHDRAWN),
            withdrawn=withdrawn,
        )

    async def attachment(self, keys: OwnerKeys, conversation: int, message: int, path: str) -> tuple[bytes, str, str]:
        """(bytes, media type, file name) of an attachment. Raises NotFound, also for what was withdrawn since."""

        def ask(connection: Connection) -> StoredMessage | None:
            is_emptied = message in copies.emptied(connection, keys.owner, [message])
            return None if is_emptied else messages.one_message(connection, keys.owner, message)

        stored = await self._store.read(ask)
        if stored is None or stored.conversation != conversation or stored.state != MessageState.VISIBLE:
            raise NotFound("message")
        raw = await self._opener.message_body(keys, stored)
        for part in attachments_of(await letters.scan(raw)):
            if part.path == path:
                view = _attachment(part)
                content = await asyncio.to_thread(decode_body, raw, part, ATTACHMENT_BYTES_MAX)
                return content, view.mime_type, view.filename
        raise NotFound("attachment")

    async def mark_read(self, keys: OwnerKeys, number: int) -> None:
        """The patient opened a conversation: written down for all that it shows, when something in it is new."""
        owner, now = keys.owner, self._clock.now()

        def act(connection: Connection) -> None:
            if not patients.mark_read(connection, owner, number):
                return
            acts = [
                audit.Act(now, f"login:{owner}", "mail.read", owner, number_in, message_id_hmac)
                for number_in, message_id_hmac in messages.received_of_conversation(connection, owner, number)
            ]
            audit.write(connection, acts)

        await self._store.write(lane_of(owner), act)

    async def unread(self, keys: OwnerKeys) -> int:
        """Messages not opened yet."""
        return await self._store.read(lambda c: patients.unread(c, keys.owner))


def shown_subject(subject: str) -> str:
    """A subject for people: without the mark by which software knows an archive (ANS ECO.3.1.3)."""
    return _ARCHIVE_MARK.sub(r"\1", subject, count=1).strip()


def sender_of(structure: Structure) -> tuple[str, str]:
    """(name, address) as From shows them; the address of the first, plain when it is readable."""
    shown = headers.parse_addresses(structure.header("From") or "")
    addresses, _ = letters.read_addresses(structure, "From")
    address = str(addresses[0]) if addresses else ""
    return (shown[0].name if shown and shown[0].name else address), address


def _contact(connection: Connection, keys: OwnerKeys, row: ConversationRow) -> tuple[Contact | None, bool]:
    known = patients.contact(connection, keys.owner, row.contact_hmac)
    if known is None:
        return None, False
    return Contact.from_bytes(keys.open_small(CONTACT_KIND, known.contact, known.contact_sealed)), known.is_open


def _line(
    keys: OwnerKeys,
    row: ConversationRow,
    last: StoredMessage,
    contact: Contact | None,
    *,
    is_open: bool,
    is_emptied: bool,
) -> ConversationView:
    summary = Summary.from_bytes(keys.open_summary(last))
    return ConversationView(
        number=row.conversation,
        contact_name=contact.name if contact else summary.from_name or summary.from_address,
        contact_address=contact.address if contact else summary.from_address,
        subject=shown_subject(summary.subject),
        preview=summary.preview,
        last_at=from_ms(row.last_ms),
        n_msg=row.n_msg,
        n_unread=row.n_unread,
        has_attachments=summary.has_attachments and not is_emptied,
        may_answer=is_open,
    )


def _attachment(part: Part) -> AttachmentView:
    name = part.filename or f"piece-{part.path}"
    octets = part.body_end - part.body_start
    size_bytes = (
        octets * 57 // 78 if part.encoding == "base64" else octets
    )  # lines of 76 letters and CRLF hold 57 octets
    return AttachmentView(part.path, name, part.content_type, size_bytes)
