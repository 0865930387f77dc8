"""How is a document filed, listed and opened? Sealed under its owner's shelf key, every opening written down.

Filing happens in the bridge's transaction. Listing opens this record's entries only. Nothing is ever deleted:
a newer version supersedes, a withdrawal hides.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial

from mss.crypto.keys import Lookup
from mss.model.clock import Chance, Clock, from_ms, to_ms
from mss.model.document import DocumentEntry, DocumentStatus, Visibility
from mss.model.errors import NotFound
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.record import access, entries, loose, versions
from mss.record.access import AccessFacts, Role, Viewer
from mss.record.loose import LooseFile
from mss.record.versions import VERSIONS_MAX, as_seen, may_see
from mss.record.versions import DocumentView as DocumentView
from mss.store import audit, blobs, copies, messages, owners, records, sealing, tasks
from mss.store.blobs import BodyStore
from mss.store.database import Store
from mss.store.ids import new_id
from mss.store.messages import SealedKey, StoredBody
from mss.store.records import DocumentRow, EventRow
from mss.store.sql import Connection
from mss.vault.opener import Opener, OwnerKeys

ACTOR_KIND = b"actor"
SHELF_KEY = SealedKey(sealing.SHELF, 0, b"")


class EventKind(StrEnum):
    """What was done with a record."""

    FILED = "filed"
    REPLACED = "replaced"
    WITHDRAWN = "withdrawn"
    UNFILED = "unfiled"
    """Taken out by staff: it was somebody else's. The line names nothing."""
    RETURNED = "returned"
    """Put back after all."""
    OPENED = "opened"
    ANNOUNCED = "announced"
    """What was hidden until its author's announcement is the patient's now."""


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """Who did what, for the patient's page."""

    at: datetime
    actor_name: str
    actor_role: str
    act: EventKind
    document_title: str
    number: int


@dataclass(frozen=True, slots=True)
class Change:
    """By whom a document was replaced or withdrawn, and when."""

    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PreparedDocument:
    """A document sealed, its body durable; `file` writes it in the bridge's transaction."""

    row: DocumentRow
    body: StoredBody


class Records:
    """The records of this house."""

    def __init__(
        self, store: Store, opener: Opener, bodies: BodyStore, lookup: Lookup, clock: Clock, chance: Chance
    ) -> None:
        self._store = store
        self._opener = opener
        self._bodies = bodies
        self._lookup = lookup
        self._clock = clock
        self._chance = chance

    # Filing (the bridge's transaction)

    async def prepare(
        self,
        keys: OwnerKeys,
        entry: DocumentEntry,
        content: bytes,
        message: int,
        visibility: frozenset[str],
        sent_by: bytes = b"",
        fed: tuple[int, int] = (0, 0),
        content_hmac: bytes = b"",
    ) -> PreparedDocument:
        """Seal a document for a record; `sent_by`: `sender_hmac` of its mailbox; `fed`: the mail of an application
        mailbox that brought it; `content_hmac`: when it is known. Raises StorageUnavailable."""
        owner, number, blob = keys.owner, new_id(self._clock, self._chance), new_id(self._clock, self._chance)
        ciphertext = keys.seal_object(records.DOCUMENT_KIND, number, content)
        inline, place = (ciphertext, "") if len(ciphertext) <= blobs.INLINE_BYTES_MAX else (None, "")
        if inline is None:
            place = blobs.place_of(lane_of(owner), owner, blob)
            await self._bodies.put(place, ciphertext)
        row = DocumentRow(
            document=number,
            status=DocumentStatus.APPROVED,
            visibility=",".join(sorted(visibility)),
            unique_id_hmac=self._lookup.document(owner, entry.unique_id),
            content_hmac=content_hmac or self.content_hmac(owner, content),
            set_hmac=self._lookup.document(owner, f"set {entry.set_id or entry.unique_id}"),
            sent_by_hmac=sent_by,
            entry_sealed=keys.seal_small(records.ENTRY_KIND, number, entries.to_bytes(entry)),
            blob=blob,
            size_bytes=len(content),
            message=message,
            replaced_by=0,
            filed_ms=to_ms(self._clock.now()),
            box=fed[0],
            box_message=fed[1],
        )
        return PreparedDocument(row, StoredBody(blob, len(ciphertext), place, inline))

    def content_hmac(self, owner: int, content: bytes) -> bytes:
        """The keyed hash by which the same content is known again."""
        return self._lookup.content(owner, hashlib.sha256(content).digest())

    def sender_hmac(self, sender: MailAddress | None) -> bytes:
        """The keyed hash of a sending mailbox; empty for the null path."""
        return self._lookup.address(sender.key) if sender is not None else b""

    def with_ins(self, connection: Connection, value: str, oid: str) -> OwnerId | None:
        """The record that bears, or once bore, that INS of that authority."""
        return owners.find(connection, self._lookup.ins(value, oid))

    def message_id_hmac(self, message_id: str) -> bytes:
        """The keyed hash under which a Message-ID is traced."""
        return self._lookup.message_id(message_id)

    def known(self, connection: Connection, owner: int, unique_id: str) -> DocumentRow | None:
        """The document of that uniqueId in a record."""
        return records.document_by_unique_id(connection, owner, self._lookup.document(owner, unique_id))

    def of_set(self, connection: Connection, owner: int, set_id: str) -> list[DocumentRow]:
        """Every version of a document (CDA setId) in a record."""
        return records.documents_of_set(connection, owner, self._lookup.document(owner, f"set {set_id}"))

    def file(self, connection: Connection, keys: OwnerKeys, prepared: PreparedDocument, actor: Actor) -> None:
        """Put a document into its record. Raises IntegrityError when its uniqueId stands there."""
        messages.insert_blob(connection, keys.owner, prepared.body)
        records.insert_document(connection, keys.owner, prepared.row)
        if prepared.row.message:
            copies.note(connection, keys.owner, prepared.row.message, prepared.row.document)
        self.note(connection, keys, EventKind.FILED, prepared.row.document, actor)

    def replace(self, connection: Connection, keys: OwnerKeys, old: int, new: int, actor: Actor) -> None:
        """A newer version stands in the record: the older one stays, superseded, and who opened it is told."""
        records.set_document_status(connection, keys.owner, old, DocumentStatus.SUPERSEDED, new)
        self.note(connection, keys, EventKind.REPLACED, old, actor)
        self._owe(connection, keys.owner, old)

    def withdraw(self, connection: Connection, keys: OwnerKeys, number: int, actor: Actor) -> None:
        """Its author takes a document back: nobody but staff sees it any more, nor the copies in messages; who opened
        it is told, and nothing is deleted."""
        records.set_document_status(connection, keys.owner, number, DocumentStatus.WITHDRAWN)
        self.note(connection, keys, EventKind.WITHDRAWN, number, actor)
        self._owe(connection, keys.owner, number)

    def unfile(self, connection: Connection, keys: OwnerKeys, rows: Iterable[DocumentRow], actor: Actor) -> None:
        """Take documents out of a record that is not theirs: nobody sees them any more. One line without their titles
        tells the patient, if there was one that she could see; who opened one is told."""
        taken = list(rows)
        for row in taken:
            status = DocumentStatus.UNFILED
            records.set_document_status(connection, keys.owner, row.document, status, row.replaced_by)
            self._owe(connection, keys.owner, row.document)
        known = [row for row in taken if _was_shown(Role.PATIENT, row) and row.status != DocumentStatus.WITHDRAWN]
        for row in known[:1]:
            self.note(connection, keys, EventKind.UNFILED, row.document, actor)

    def _owe(self, connection: Connection, owner: int, number: int) -> None:
        tasks.add_task(connection, owner, versions.owed(number, self._clock, self._chance))

    def announce(self, connection: Connection, keys: OwnerKeys, row: DocumentRow, actor: Actor) -> None:
        """The patient knows: INVISIBLE_PATIENT ends, other flags stay."""
        flags = set(row.visibility.split(",")) - {Visibility.HIDDEN_FROM_PATIENT.value, ""}
        records.set_visibility(connection, keys.owner, row.document, ",".join(sorted(flags)))
        self.note(connection, keys, EventKind.ANNOUNCED, row.document, actor)
        for older in records.replaced_by(connection, keys.owner, row.document):
            self._owe(connection, keys.owner, older)  # which looked current until now

    def note(self, connection: Connection, keys: OwnerKeys, kind: EventKind, document: int, actor: Actor) -> None:
        """Write down who did what, in the act's transaction."""
        number = new_id(self._clock, self._chance)
        sealed = keys.seal_small(ACTOR_KIND, number, json.dumps([actor.name, actor.role]).encode())
        row = EventRow(number, kind, document, to_ms(self._clock.now()), sealed)
        records.insert_event(connection, keys.owner, row)

    async def keep(self, keys: OwnerKeys, file: LooseFile, viewer: Viewer) -> int:
        """Put a file of a message into the record, once; answers the document's number."""
        entry = loose.entry_of(file)
        prepared = await self.prepare(keys, entry, file.content, file.message, frozenset())

        def act(connection: Connection) -> int:
            known = self.known(connection, keys.owner, entry.unique_id)
            if known is not None:
                return known.document
            self.file(connection, keys, prepared, Actor(viewer.name, viewer.role))
            came_with = messages.message_id_hmac(connection, keys.owner, file.message)
            who, number = f"login:{viewer.account}", prepared.row.document
            audit.write(connection, [audit.Act(self._clock.now(), who, "record.keep", keys.owner, number, came_with)])
            return number

        return await self._store.write(lane_of(keys.owner), act, size_bytes=len(prepared.body.inline or b""))

    # Reading

    async def documents(self, keys: OwnerKeys, viewer: Viewer) -> list[DocumentView]:
        """Documents that the viewer may see, newest first."""
        rows = await self._store.read(lambda c: records.documents(c, keys.owner))
        views = {row.document: self.view(keys, row) for row in rows}
        return [as_seen(viewer, view, views) for view in views.values() if may_see(viewer, view)]

    async def open(self, keys: OwnerKeys, number: int, viewer: Viewer) -> tuple[DocumentView, bytes]:
        """A document with its bytes; the opening is written down first.

        Raises NotFound alike for what does not exist and what may not be seen.
        """
        view = await self.one(keys, number, viewer)
        actor = Actor(viewer.name, viewer.role)

        def write(connection: Connection) -> int:
            row = records.document(connection, keys.owner, number)
            assert row is not None, "documents are never deleted"
            came_with = came_under(connection, keys.owner, row)
            self.note(connection, keys, EventKind.OPENED, number, actor)
            self._trace(connection, keys.owner, number, viewer, came_with)
            return row.blob

        blob = await self._store.write(lane_of(keys.owner), write)
        return view, await self._opener.body(keys, blob, records.DOCUMENT_KIND, number, SHELF_KEY)

    def _trace(self, connection: Connection, owner: int, number: int, viewer: Viewer, came_with: bytes) -> None:
        act = audit.Act(self._clock.now(), f"login:{viewer.account}", "record.open", owner, number, came_with)
        audit.write(connection, [act])

    async def content(self, keys: OwnerKeys, row: DocumentRow) -> bytes:
        """The bytes, for software of the house that writes down itself what it does. Raises NotFound, SealBroken."""
        return await self._opener.body(keys, row.blob, records.DOCUMENT_KIND, row.document, SHELF_KEY)

    async def one(self, keys: OwnerKeys, number: int, viewer: Viewer) -> DocumentView:
        """A document's fiche without opening it. Raises NotFound."""
        rows = await self._store.read(lambda c: _with_newer(c, keys.owner, number))
        views = {row.document: self.view(keys, row) for row in rows}
        if number not in views or not may_see(viewer, views[number]):
            raise NotFound("document")
        return as_seen(viewer, views[number], views)

    async def evidence(self, keys: OwnerKeys, number: int) -> tuple[DocumentView, DocumentRow]:
        """A document whatever became of it, for rooms that write down themselves who looks. Raises NotFound."""
        row = await self._store.read(lambda c: records.document(c, keys.owner, number))
        if row is None:
            raise NotFound("document")
        return self.view(keys, row), row

    async def opened_in_message(self, keys: OwnerKeys, message: int, viewer: Viewer) -> None:
        """Somebody opens what a message brought: for each document that he may see this is an opening of it. To be
        written down before he gets it."""
        rows = await self._store.read(lambda c: copies.documents_in(c, keys.owner, message))
        numbers = [row.document for row in rows if may_see(viewer, self.view(keys, row))]
        actor = Actor(viewer.name, viewer.role)

        def write(connection: Connection) -> None:
            came_with = messages.message_id_hmac(connection, keys.owner, message)
            for number in numbers:
                self.note(connection, keys, EventKind.OPENED, number, actor)
                self._trace(connection, keys.owner, number, viewer, came_with)

        if numbers:
            await self._store.write(lane_of(keys.owner), write)

    async def changes(self, keys: OwnerKeys, numbers: Iterable[int], kind: EventKind) -> dict[int, Change]:
        """By whom these documents were replaced or withdrawn for the last time."""
        wanted = list(numbers)

        def ask(connection: Connection) -> list[EventRow]:
            each = (records.events_of_document(connection, keys.owner, one, kind) for one in wanted)
            return [events[-1] for events in each if events]

        rows = await self._store.read(ask) if wanted else []
        return {row.document: Change(self._actor(keys, row).name, from_ms(row.at_ms)) for row in rows}

    async def openers(self, keys: OwnerKeys, number: int) -> list[Actor]:
        """Everybody who opened a document, in the order of the first time."""
        rows = await self._store.read(lambda c: records.events_of_document(c, keys.owner, number, EventKind.OPENED))
        return list(dict.fromkeys(self._actor(keys, row) for row in rows))

    async def history(self, keys: OwnerKeys, viewer: Viewer, *, before_ms: int, limit: int) -> list[HistoryLine]:
        """What was done with the documents that the viewer may see, newest first.

        A page holds `limit` lines as long as there are so many, whatever hidden ones lie between, or else its
        length would tell of them; and some more rather than cut a moment in two, since the next page begins before it.
        """
        visible = {view.number: view for view in await self.documents(keys, viewer)}
        everything = await self._store.read(lambda c: records.documents(c, keys.owner))
        known = {row.document for row in everything if _was_shown(viewer.role, row)}
        asked = limit
        while True:
            rows = await self._store.read(partial(records.events, owner=keys.owner, before_ms=before_ms, limit=asked))
            shown = [row for row in rows if row.document in (known if row.kind == EventKind.UNFILED else visible)]
            last_ms = shown[limit - 1].at_ms if len(shown) >= limit else None
            if len(rows) < asked or (last_ms is not None and rows[-1].at_ms < last_ms):
                break
            asked *= 2
        return [
            self._line(keys, row, visible.get(row.document)) for row in shown if last_ms is None or row.at_ms >= last_ms
        ]

    async def removals(self, keys: OwnerKeys, viewer: Viewer) -> list[datetime]:
        """When a document that the viewer could see was taken out as somebody else's, newest first."""
        rows = await self._store.read(lambda c: records.events_of_kind(c, keys.owner, EventKind.UNFILED))
        everything = await self._store.read(lambda c: records.documents(c, keys.owner)) if rows else []
        known = {row.document for row in everything if _was_shown(viewer.role, row)}
        return [from_ms(row.at_ms) for row in rows if row.document in known]

    def _line(self, keys: OwnerKeys, row: EventRow, view: DocumentView | None) -> HistoryLine:
        """Of what was taken out the line names nothing, nor who did it."""
        at, kind = from_ms(row.at_ms), EventKind(row.kind)
        if view is None or kind is EventKind.UNFILED:
            return HistoryLine(at, "", "", kind, "", 0)
        actor = self._actor(keys, row)
        return HistoryLine(at, actor.name, actor.role, kind, view.entry.title, row.document)

    def _actor(self, keys: OwnerKeys, row: EventRow) -> Actor:
        name, role = json.loads(keys.open_small(ACTOR_KIND, row.id, row.actor_sealed))
        return Actor(name, role)

    def view(self, keys: OwnerKeys, row: DocumentRow) -> DocumentView:
        """A row opened."""
        return DocumentView(
            number=row.document,
            entry=entries.from_bytes(keys.open_small(records.ENTRY_KIND, row.document, row.entry_sealed)),
            status=DocumentStatus(row.status),
            visibility=frozenset(filter(None, row.visibility.split(","))),
            filed_at=from_ms(row.filed_ms),
            message=row.message,
            replaced_by=row.replaced_by,
        )


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it, as the history names him."""

    name: str
    role: str


def came_under(connection: Connection, owner: int, row: DocumentRow) -> bytes:
    """The keyed hash of the Message-ID of the mail that brought a document; empty when there was none."""
    box, message = (row.box, row.box_message) if row.box else (owner, row.message)
    return messages.message_id_hmac(connection, box, message) if message else b""


def _was_shown(role: Role, row: DocumentRow) -> bool:
    """Whether its flags let that role see it while it stood here."""
    return access.may_see(AccessFacts(role, frozenset(row.visibility.split(",")), DocumentStatus.APPROVED))


def _with_newer(connection: Connection, owner: int, number: int) -> list[DocumentRow]:
    """A document and the versions after it."""
    rows: list[DocumentRow] = []
    while number and len(rows) < VERSIONS_MAX:
        row = records.document(connection, owner, number)
        if row is None:
            break
        rows.append(row)
        number = row.replaced_by
    return rows
