"""What leaves with a document that lies in the wrong record? Every copy of it, and every word about it.

The documents that came with the same mail, each message that brought a copy, each that answers one of them, each to
which the same file is attached, and our own letters about it. Half of somebody else's result is somebody else's.
Looks only; what was found is asked again in the transaction that takes it out.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from mss.crypto.keys import Lookup
from mss.formats import headers, mime
from mss.formats.parts import Structure, decode_body
from mss.mail import letters
from mss.mail.mailboxes import ATTACHMENT_BYTES_MAX
from mss.model.document import DocumentStatus
from mss.record.service import Records
from mss.store import copies, corrections, messages, records
from mss.store.database import Store
from mss.store.messages import Direction, MessageState
from mss.store.records import DocumentRow
from mss.store.sql import Connection
from mss.vault.opener import Opener, OwnerKeys

COPY_BYTES_MIN = 2048
"""A file that is smaller may be a logo or a signature, which stands in many mails of one sender; a document of the
record is looked for whatever its size."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is to be taken out of one record. `bringers`: messages of her mailbox that brought documents; `others`:
    messages that answer them or repeat a file; `sent_on`: those of them that she sent."""

    documents: tuple[DocumentRow, ...]
    bringers: tuple[int, ...]
    others: tuple[int, ...] = ()
    sent_on: tuple[int, ...] = ()
    feeds: tuple[tuple[int, int], ...] = ()
    """(owner, message) in application mailboxes; that mail stays where it is, it belongs to no patient."""
    mailbox_messages: int = 0
    """How many messages the mailbox held as we looked: one more, and we look again."""

    @property
    def messages(self) -> tuple[int, ...]:
        return (*self.bringers, *self.others)


def closure(connection: Connection, owner: int, document: int) -> Scope:
    """What the tables alone tell: documents and messages that brought each other."""
    found: dict[int, DocumentRow] = {}
    brought: set[int] = set()
    feeds: set[tuple[int, int]] = set()
    wanted = [document]
    while wanted:
        row = records.document(connection, owner, wanted.pop())
        if row is None or row.document in found or row.status == DocumentStatus.UNFILED:
            continue
        found[row.document] = row
        if row.box and (row.box, row.box_message) not in feeds:
            feeds.add((row.box, row.box_message))
            wanted += [one.document for one in corrections.fed_with(connection, owner, row.box, row.box_message)]
        for message in copies.messages_with(connection, owner, row.document):
            stored = messages.one_message(connection, owner, message)
            if message not in brought and stored is not None and stored.state != MessageState.UNFILED:
                brought.add(message)
                rows = copies.documents_in(connection, owner, message)
                wanted += [one.document for one in rows if one.message == message]
    documents = tuple(sorted(found.values(), key=lambda one: one.document))
    count = corrections.count_messages(connection, owner)
    return Scope(documents, tuple(sorted(brought)), feeds=tuple(sorted(feeds)), mailbox_messages=count)


@dataclass(slots=True)
class _Traces:
    """By what a message is known to speak of what is taken out."""

    message_ids: set[str] = field(default_factory=set)
    digests: set[bytes] = field(default_factory=set)

    def add(self, raw: bytes, structure: Structure) -> None:
        """A message that brought a document, with all its files."""
        self.message_ids.update(headers.parse_message_ids(structure.header("Message-ID") or ""))
        self.digests.update(digest for digest, size in _files(raw, structure) if size >= COPY_BYTES_MIN)

    def are_in(self, raw: bytes, structure: Structure) -> bool:
        named = [
            one
            for name in ("In-Reply-To", "References")
            for one in headers.parse_message_ids(structure.header(name) or "")
        ]
        if self.message_ids.intersection(named):
            return True
        return bool(self.digests.intersection(digest for digest, _ in _files(raw, structure)))


def _files(raw: bytes, structure: Structure) -> Iterable[tuple[bytes, int]]:
    """(digest, size) of every leaf that is a file rather than the text of a mail."""
    for part in structure.leaves():
        if part.filename or part.disposition == "attachment" or not part.content_type.startswith("text/"):
            content = decode_body(raw, part, ATTACHMENT_BYTES_MAX)
            yield hashlib.sha256(content).digest(), len(content)


class Scopes:
    """Looks through a mailbox."""

    def __init__(self, store: Store, opener: Opener, kept: Records, lookup: Lookup, patient_domain: str) -> None:
        self._store = store
        self._opener = opener
        self._records = kept
        self._lookup = lookup
        self._patient_domain = patient_domain

    async def of(self, keys: OwnerKeys, document: int) -> Scope:
        """Everything that leaves with a document. Empty when it stands in that record no more."""
        owner = keys.owner
        base = await self._store.read(lambda c: closure(c, owner, document))
        if not base.documents:
            return base
        traces = _Traces()
        for row in base.documents:
            traces.digests.add(hashlib.sha256(await self._records.content(keys, row)).digest())
            traces.message_ids |= {self._own_letter(owner, row, status) for status in DocumentStatus}
        for number in base.bringers:
            traces.add(*await self._opened(keys, number))
        since_ms = min([row.filed_ms for row in base.documents] + await self._received(owner, base.bringers))
        others, sent_on = [], []
        for number, direction in await self._store.read(lambda c: corrections.visible_since(c, owner, since_ms)):
            if number in base.bringers:
                continue
            raw, structure = await self._opened(keys, number)
            own_id = set(headers.parse_message_ids(structure.header("Message-ID") or ""))
            is_ours = bool(own_id & traces.message_ids)
            if is_ours or await asyncio.to_thread(traces.are_in, raw, structure):
                traces.message_ids |= own_id  # not its files: what she attached besides is hers
                others.append(number)
                if direction == Direction.OUT:
                    sent_on.append(number)
        return Scope(base.documents, base.bringers, tuple(others), tuple(sent_on), base.feeds, base.mailbox_messages)

    async def _opened(self, keys: OwnerKeys, number: int) -> tuple[bytes, Structure]:
        stored = await self._store.read(lambda c: messages.one_message(c, keys.owner, number))
        assert stored is not None, "messages of patients are never deleted"
        raw = await self._opener.message_body(keys, stored)
        return raw, await asyncio.to_thread(mime.scan, raw)

    async def _received(self, owner: int, numbers: tuple[int, ...]) -> list[int]:
        def ask(connection: Connection) -> list[int]:
            found = [messages.one_message(connection, owner, number) for number in numbers]
            return [one.received_ms for one in found if one is not None]

        return await self._store.read(ask)

    def _own_letter(self, owner: int, row: DocumentRow, status: DocumentStatus) -> str:
        """The Message-ID of our letter that the document was changed (notices/changed.py), which names its title."""
        cause = f"changed {owner}/{row.document}/{status}/{row.replaced_by}"
        return letters.notice_id(self._lookup, cause, self._patient_domain)
