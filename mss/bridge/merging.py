"""How do two records of one person become one, and two again? A copy of each row, under the same numbers.

What leads to the record that ends leads to the other one from the first step on, so that nothing new comes to it; its
sign-in ends. Its rows stay untouched. Undoing hides the copies and lets everything lead back. Steps may be repeated.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace

from mss.accounts.service import IDENTITY_KIND
from mss.bridge.items import Items
from mss.bridge.moving import Mover
from mss.bridge.representing import Representing
from mss.bridge.scope import Scope
from mss.bridge.takeout import Takeout
from mss.crypto.keys import Lookup
from mss.mail.conversations import CONTACT_KIND
from mss.mail.delivery import TASK_FILE
from mss.model.clock import Chance, Clock, to_ms
from mss.model.document import DocumentStatus
from mss.model.errors import NotYet
from mss.model.ids import OwnerId, lane_of
from mss.model.mailbox import AccountState, SpecialUse
from mss.record import entries
from mss.record.service import ACTOR_KIND, Records
from mss.store import (
    accounts,
    audit,
    blobs,
    changes,
    copies,
    corrections,
    folders,
    merges,
    messages,
    owners,
    patients,
    records,
    schema,
    tasks,
)
from mss.store.blobs import BodyStore
from mss.store.changes import ChangeBus
from mss.store.corrections import Correction, CorrectionState
from mss.store.database import Store
from mss.store.ids import new_id
from mss.store.messages import MessageState, StoredBody, StoredMessage
from mss.store.patients import ContactRow
from mss.store.records import DocumentRow, HeldState
from mss.store.sql import Connection
from mss.store.tasks import NewTask, Task
from mss.vault.opener import Opener, OwnerKeys

ACTOR = "corrections"
JUDGED_PAUSE_S = 5.0
"""Mail that came a moment ago is judged first."""
WAITS = frozenset({MessageState.HELD.value, MessageState.KEPT_BACK.value})
"""Judged anew in the record that stays: what waits there waits for its staff."""


class Merging:
    """Joins and parts. Lives in works."""

    def __init__(
        self,
        store: Store,
        opener: Opener,
        kept: Records,
        bodies: BodyStore,
        mover: Mover,
        takeout: Takeout,
        lookup: Lookup,
        representing: Representing,
        bus: ChangeBus,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._store = store
        self._opener = opener
        self._records = kept
        self._bodies = bodies
        self._mover = mover
        self._takeout = takeout
        self._lookup = lookup
        self._representing = representing
        self._bus = bus
        self._clock = clock
        self._chance = chance

    async def merge(self, row: Correction, task: Task) -> None:
        """Raises NotYet while mail of the record that ends is being judged."""
        items = await self._end_account(row)
        source = await self._opener.open(OwnerId(row.owner), ACTOR, "merge")
        target = await self._opener.open(OwnerId(row.other), ACTOR, "merge")
        held = await self._store.read(lambda c: merges.every_message(c, source.owner))
        if any(one.state == MessageState.PENDING for one in held):
            raise NotYet(JUDGED_PAUSE_S, "mail is being judged")
        moved = [one for one in held if one.state not in (MessageState.UNFILED, MessageState.REFUSED)]
        for one in moved:
            await self._mover.copy(source, one.message, target, one.message, None)
        digests = await self._copy_documents(source, target)
        made, former = await self._store.write(
            lane_of(target.owner), lambda c: self._join(c, row, source, target, moved, digests)
        )

        def act(connection: Connection) -> None:
            tasks.finish(connection, schema.task, row.owner, [task.id])
            moves = tuple((one.message, one.message) for one in moved)
            done = replace(items, made=made, former=former, moves=moves).to_bytes()
            now_ms = to_ms(self._clock.now())
            if not corrections.settle(connection, row, CorrectionState.DONE, now_ms, items=done):
                return
            for one in moved:
                waiting = records.held_of_message(connection, row.owner, one.message) if one.state in WAITS else None
                if waiting is not None:
                    records.decide_held(connection, row.owner, waiting.id, HeldState.RELEASED, now_ms)
            self._note(connection, row, "record.merged", row.owner, f"{len(made)}")

        await self._store.write(lane_of(row.owner), act)
        self._bus.publish(changes.FOLDER, target.owner)
        self._bus.publish(changes.TASK)

    async def _end_account(self, row: Correction) -> Items:
        """From now on nothing comes to the record that ends, and nobody signs in to it."""

        def act(connection: Connection) -> Items:
            owners.lock(connection, row.owner)
            current = corrections.correction(connection, row.id)
            assert current is not None, "corrections are never deleted"
            items = Items.from_bytes(current.items)
            if items.state:
                return items
            box = owners.mailbox(connection, row.owner)
            assert box is not None, "a patient has a mailbox"
            merges.lead(connection, self._ways(connection, row.owner, box.address_hmac), row.owner, row.other)
            self._set_account(connection, row.owner, AccountState.SUSPENDED)
            items = replace(items, state=box.state)
            corrections.settle(connection, current, CorrectionState.DOING, 0, items=items.to_bytes())
            return items

        return await self._store.write(lane_of(row.owner), act)

    def _ways(self, connection: Connection, owner: int, address_hmac: bytes) -> list[bytes]:
        return [address_hmac, *(one.ins_hmac for one in patients.identities(connection, owner))]

    def _set_account(self, connection: Connection, owner: int, state: AccountState) -> None:
        owners.set_state(connection, owner, state)
        accounts.set_account_state(connection, owner, state)
        patients.set_patient_state(connection, owner, state)
        accounts.delete_sessions_of(connection, owner)

    async def _copy_documents(self, source: OwnerKeys, target: OwnerKeys) -> dict[int, bytes]:
        """Bodies under the other owner's keys, durable; a repeat finds them."""
        rows = await self._store.read(lambda c: records.documents(c, source.owner))
        found = {}
        for row in rows:
            if row.status == DocumentStatus.UNFILED:
                continue
            content = await self._records.content(source, row)
            digest = hashlib.sha256(content).digest()
            found[row.document] = self._lookup.content(target.owner, digest)
            if await self._store.read(lambda c, b=row.blob: messages.body_of(c, target.owner, b)) is not None:  # type: ignore[misc]
                continue
            sealed = target.seal_object(records.DOCUMENT_KIND, row.document, content)
            inline, place = (sealed, "") if len(sealed) <= blobs.INLINE_BYTES_MAX else (None, "")
            if inline is None:
                place = blobs.place_of(lane_of(target.owner), target.owner, row.blob)
                await self._bodies.put(place, sealed)
            body = StoredBody(row.blob, len(sealed), place, inline)
            await self._keep_body(target, body)
        return found

    async def _keep_body(self, target: OwnerKeys, body: StoredBody) -> None:
        size = len(body.inline or b"")
        lane = lane_of(target.owner)
        await self._store.write(lane, lambda c: messages.insert_blob(c, target.owner, body), size_bytes=size)

    def _join(
        self,
        connection: Connection,
        merge: Correction,
        source: OwnerKeys,
        target: OwnerKeys,
        moved: list[StoredMessage],
        digests: Mapping[int, bytes],
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """All rows, and everything visible, in one transaction. (documents made, identities lent)."""
        owners.lock(connection, target.owner)
        made = [
            row.document
            for row in records.documents(connection, source.owner)
            if row.document in digests and self._join_document(connection, source, target, row, digests[row.document])
        ]
        there = {row.document for row in records.documents(connection, target.owner)}
        for message, document in merges.every_copy(connection, source.owner):
            if document in there:
                copies.note(connection, target.owner, message, document)
        for event in merges.every_event(connection, source.owner):
            actor = target.seal_small(ACTOR_KIND, event.id, source.open_small(ACTOR_KIND, event.id, event.actor_sealed))
            merges.add_event(connection, target.owner, replace(event, actor_sealed=actor))
        self._join_mail(connection, source, target, moved)
        former = self._join_identities(connection, source, target)
        for number in made:
            self._takeout.relink(connection, target.owner, number, source.owner)
        self._representing.ask(connection, merge)
        act = audit.Act(self._clock.now(), ACTOR, "record.merged-here", target.owner, 0, b"", f"{len(made)}")
        audit.write(connection, [act])
        return tuple(made), former

    def _join_document(
        self, connection: Connection, source: OwnerKeys, target: OwnerKeys, row: DocumentRow, content_hmac: bytes
    ) -> bool:
        """False when that document, by its uniqueId, stands in the other record as its own."""
        plain = source.open_small(records.ENTRY_KIND, row.document, row.entry_sealed)
        entry = entries.from_bytes(plain)
        standing = self._records.known(connection, target.owner, entry.unique_id)
        if standing is not None:
            if standing.document == row.document:
                corrections.restore_status(connection, target.owner, row.document, row.status, row.replaced_by)
            return standing.document == row.document
        copy = replace(
            row,
            unique_id_hmac=self._lookup.document(target.owner, entry.unique_id),
            content_hmac=content_hmac,
            set_hmac=self._lookup.document(target.owner, f"set {entry.set_id or entry.unique_id}"),
            entry_sealed=target.seal_small(records.ENTRY_KIND, row.document, plain),
        )
        records.insert_document(connection, target.owner, copy)
        return True

    def _join_mail(
        self, connection: Connection, source: OwnerKeys, target: OwnerKeys, moved: list[StoredMessage]
    ) -> None:
        now_ms = to_ms(self._clock.now())
        for contact in patients.contacts(connection, source.owner):
            if patients.contact(connection, target.owner, contact.contact_hmac) is None:
                plain = source.open_small(CONTACT_KIND, contact.contact, contact.contact_sealed)
                sealed = target.seal_small(CONTACT_KIND, contact.contact, plain)
                self._join_contact(connection, target.owner, replace(contact, contact_sealed=sealed))
        uses = {one.folder: one.special_use for one in folders.list_folders(connection, source.owner)}
        unread: dict[int, set[int]] = {}
        for row in merges.every_conversation(connection, source.owner):
            merges.add_conversation(connection, target.owner, row)
            unread[row.conversation] = corrections.unread_in(connection, source.owner, row.conversation)
        for one in moved:
            current = messages.one_message(connection, target.owner, one.message)
            if current is None or current.state not in (MessageState.PENDING, MessageState.UNFILED):
                continue
            if one.state in WAITS:
                self._judge_again(connection, target.owner, one.message)
                continue
            messages.set_state(connection, target.owner, one.message, MessageState(one.state), one.conversation)
            for folder, _, entry in corrections.places_of(connection, source.owner, one.message):
                to = folders.folder_by_use(connection, target.owner, uses.get(folder, "") or SpecialUse.INBOX)
                if to is not None:
                    folders.append_entries(connection, target.owner, to.folder, [entry], now_ms)
        for number, new in unread.items():
            corrections.recount(connection, target.owner, number, new)

    def _join_contact(self, connection: Connection, owner: int, row: ContactRow) -> None:
        join = patients.open_contact if row.is_open else patients.close_contact
        join(connection, owner, row)

    def _judge_again(self, connection: Connection, owner: int, message: int) -> None:
        messages.set_state(connection, owner, message, MessageState.PENDING)
        payload, now_ms = json.dumps({"message": message}).encode(), to_ms(self._clock.now())
        tasks.add_task(connection, owner, NewTask(new_id(self._clock, self._chance), TASK_FILE, payload, now_ms))

    def _join_identities(self, connection: Connection, source: OwnerKeys, target: OwnerKeys) -> tuple[int, ...]:
        """Its INS are former ones of the record that stays: a human looks at what still names one."""
        now_ms = to_ms(self._clock.now())
        lent = []
        for row in patients.identities(connection, source.owner):
            plain = source.open_small(IDENTITY_KIND, row.identity, row.identity_sealed)
            sealed = target.seal_small(IDENTITY_KIND, row.identity, plain)
            until_ms = row.valid_until_ms or now_ms
            merges.add_identity(connection, target.owner, replace(row, identity_sealed=sealed, valid_until_ms=until_ms))
            lent.append(row.identity)
        return tuple(lent)

    async def part(self, before: Correction, row: Correction, task: Task) -> None:
        """Two records again: what the merge brought leaves the one, and leads back to the other."""
        items = Items.from_bytes(before.items)
        keys = await self._opener.open(OwnerId(before.other), ACTOR, "merge")

        def out(connection: Connection) -> None:
            owners.lock(connection, before.other)
            rows = [records.document(connection, before.other, number) for number in items.made]
            documents = tuple(one for one in rows if one is not None and one.status != DocumentStatus.UNFILED)
            there = [messages.one_message(connection, before.other, number) for number, _ in items.moves]
            seen = tuple(one.message for one in there if one is not None and one.state != MessageState.UNFILED)
            if documents or seen:
                actor = row.confirmed_by or row.proposed_by
                scope = Scope(documents, seen)
                self._takeout.take_out(connection, keys, scope, f"{row.id}", actor, tells=False, tells_sinks=False)
            self._representing.take_back(connection, before)
            merges.forget_identities(connection, before.other, items.former)

        await self._store.write(lane_of(before.other), out)

        def back(connection: Connection) -> None:
            owners.lock(connection, before.owner)
            tasks.finish(connection, schema.task, row.owner, [task.id])
            now_ms = to_ms(self._clock.now())
            if not corrections.settle(connection, row, CorrectionState.DONE, now_ms):
                return
            box = owners.mailbox(connection, before.owner)
            assert box is not None, "a patient has a mailbox"
            merges.lead(connection, self._ways(connection, before.owner, box.address_hmac), before.other, before.owner)
            self._set_account(connection, before.owner, AccountState(items.state))
            for number, _ in items.moves:
                stored = messages.one_message(connection, before.owner, number)
                if stored is not None and stored.state in WAITS:
                    self._judge_again(connection, before.owner, number)
            for document in items.made:
                self._takeout.relink(connection, before.owner, document, before.other)
            corrections.settle(connection, before, CorrectionState.UNDONE, now_ms)
            self._note(connection, row, "record.parted", row.owner, f"{before.id}")

        await self._store.write(lane_of(row.owner), back)
        self._bus.publish(changes.FOLDER, before.other)
        self._bus.publish(changes.TASK)

    def _note(self, connection: Connection, row: Correction, act: str, owner: int, result: str) -> None:
        actor = row.confirmed_by or row.proposed_by
        audit.write(connection, [audit.Act(self._clock.now(), actor, act, owner, row.id, b"", result)])
