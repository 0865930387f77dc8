"""How is what lies in the wrong record taken out of it, and put back? In one transaction of that record's lane.

Either nothing has changed, or all of it is invisible and every duty that follows is written: the sender's answer, the
letters to who saw it, the withdrawal from the hospital's software. Nothing is deleted.
"""

from __future__ import annotations

import json

from mss.bridge.items import DocumentItem, Items, MessageItem, Place
from mss.bridge.outbox import Outbox, Source
from mss.bridge.scope import Scope
from mss.crypto.keys import PublicKeys
from mss.mail import answers
from mss.mail.answers import Answer, Fate
from mss.mail.delivery import TASK_FILE
from mss.model.clock import Chance, Clock, to_ms
from mss.model.document import DocumentStatus
from mss.model.mailbox import SpecialUse
from mss.record.service import Actor, EventKind, Records, came_under
from mss.store import audit, corrections, folders, handovers, messages, records, tasks
from mss.store.handovers import HandoverAct
from mss.store.ids import new_id
from mss.store.messages import MessageState
from mss.store.records import DocumentRow, HeldState, HeldWhat
from mss.store.sql import Connection
from mss.store.tasks import NewTask
from mss.vault.opener import OwnerKeys

STAFF = Actor("", "staff")
"""The patient's history names nobody of the staff; the audit does."""


class Takeout:
    """Writes. Lives wherever corrections are decided or done."""

    def __init__(self, kept: Records, outbox: Outbox, public: PublicKeys, clock: Clock, chance: Chance) -> None:
        self._records = kept
        self._outbox = outbox
        self._public = public
        self._clock = clock
        self._chance = chance

    def take_out(
        self,
        connection: Connection,
        keys: OwnerKeys,
        scope: Scope,
        cause: str,
        actor: str,
        *,
        tells: bool = True,
        tells_sinks: bool = True,
    ) -> Items:
        """All of a scope, in the caller's transaction; what it was. `tells`: the senders, each by a notice;
        `tells_sinks`: software that has it is to withdraw it."""
        owner = keys.owner
        titles = {row.document: self._records.view(keys, row).entry.title for row in scope.documents}
        older = [one for row in scope.documents for one in self._give_back_older(connection, owner, row, scope)]
        taken = [DocumentItem(row.document, row.status, row.replaced_by) for row in scope.documents]
        self._records.unfile(connection, keys, scope.documents, STAFF)
        for row in scope.documents:
            if tells_sinks:
                self._tell_sinks(connection, owner, row, HandoverAct.WITHDRAW)
            self._note(connection, owner, row, "record.unfiled", actor, cause)
        for one in older:
            row_ = records.document(connection, owner, one.number)
            if row_ is not None:
                self._tell_sinks(connection, owner, row_, HandoverAct.RELINK)
        found = tuple(self._take_message(connection, owner, number, scope) for number in scope.messages)
        for number in scope.bringers if tells else ():
            told = tuple(
                (titles[row.document], Fate.UNFILED)
                for row in scope.documents
                if row.message == number or len(scope.bringers) == 1
            )
            self.owe(connection, owner, Answer(number, Fate.UNFILED, None, told, is_first=False, cause=cause))
        return Items((*taken, *older), found, scope.feeds)

    def _give_back_older(
        self, connection: Connection, owner: int, row: DocumentRow, scope: Scope
    ) -> list[DocumentItem]:
        """A version of hers that the foreign document had replaced is current again."""
        leaving = {one.document for one in scope.documents}
        found = []
        for number in records.replaced_by(connection, owner, row.document):
            older = records.document(connection, owner, number)
            if older is None or number in leaving or older.status != DocumentStatus.SUPERSEDED:
                continue
            newer = row.replaced_by if row.replaced_by not in leaving else 0
            status = DocumentStatus.SUPERSEDED if newer else DocumentStatus.APPROVED
            records.set_document_status(connection, owner, number, status, newer)
            found.append(DocumentItem(number, older.status, older.replaced_by, is_older=True))
        return found

    def _take_message(self, connection: Connection, owner: int, number: int, scope: Scope) -> MessageItem:
        stored = messages.one_message(connection, owner, number)
        assert stored is not None, "messages of patients are never deleted"
        unread = corrections.unread_in(connection, owner, stored.conversation)
        places = []
        for folder, uid, entry in corrections.places_of(connection, owner, number):
            places.append(Place(folder, entry.flags, entry.kw, entry.internaldate_ms, entry.size_bytes))
            folders.expunge(connection, owner, folder, [uid], to_ms(self._clock.now()), only_deleted=False)
        if stored.state == MessageState.KEPT_BACK:
            held = records.held_of_message(connection, owner, number)
            if held is not None:
                now_ms = to_ms(self._clock.now())
                records.decide_held(connection, owner, held.id, HeldState.REFUSED, now_ms)
        messages.set_state(connection, owner, number, MessageState.UNFILED)
        if stored.conversation:
            corrections.recount(connection, owner, stored.conversation, unread - {number})
        return MessageItem(
            number,
            stored.state,
            stored.conversation,
            brought=number in scope.bringers,
            sent_on=number in scope.sent_on,
            places=tuple(places),
        )

    def put_back(self, connection: Connection, keys: OwnerKeys, items: Items, actor: str, cause: str) -> None:
        """Each item where it was, in the caller's transaction. A message comes back unread: she should look."""
        owner = keys.owner
        for item in items.documents:
            corrections.restore_status(connection, owner, item.number, item.status, item.replaced_by)
            row = records.document(connection, owner, item.number)
            if row is None:
                continue
            if item.is_older:
                self._tell_sinks(connection, owner, row, HandoverAct.WITHDRAW)
                continue
            self._records.note(connection, keys, EventKind.RETURNED, item.number, STAFF)
            self._tell_sinks(connection, owner, row, HandoverAct.RELINK)
            self._note(connection, owner, row, "record.returned", actor, cause)
        for one in items.messages:
            self.return_message(connection, owner, one)
            if one.brought and one.state == MessageState.VISIBLE:  # what waits is judged anew, and answered then
                answer = Answer(one.number, Fate.FILED, None, is_first=False, cause=cause)
                self.owe(connection, owner, answer)

    def return_message(self, connection: Connection, owner: int, item: MessageItem) -> None:
        """Where it was; what waited is judged anew."""
        now_ms = to_ms(self._clock.now())
        if item.state in (MessageState.HELD, MessageState.KEPT_BACK, MessageState.PENDING):
            messages.set_state(connection, owner, item.number, MessageState.PENDING)
            payload = json.dumps({"message": item.number}).encode()
            duty = NewTask(new_id(self._clock, self._chance), TASK_FILE, payload, now_ms)
            tasks.add_task(connection, owner, duty)
            return
        if item.state != MessageState.VISIBLE:
            messages.set_state(connection, owner, item.number, MessageState(item.state))
            return
        unread = corrections.unread_in(connection, owner, item.conversation)
        there = {folder.folder for folder in folders.list_folders(connection, owner)}
        inbox = folders.folder_by_use(connection, owner, SpecialUse.INBOX)
        assert inbox is not None, "every mailbox is born with its folders"
        for place in item.places:
            target = place.folder if place.folder in there else inbox.folder
            folders.append_entries(connection, owner, target, [place.entry(item.number)], now_ms)
        messages.set_state(connection, owner, item.number, MessageState.VISIBLE)
        if item.conversation:
            corrections.recount(connection, owner, item.conversation, unread | {item.number})

    def relink(self, connection: Connection, owner: int, document: int, before: int) -> None:
        """Software that was ever owed a document of record `before` is told that it is this record's; what still waits
        there leaves no more."""
        row = records.document(connection, owner, document)
        if row is None or row.status not in (DocumentStatus.APPROVED, DocumentStatus.SUPERSEDED):
            return
        now_ms = to_ms(self._clock.now())
        for refused in handovers.overtaken(connection, before, document, now_ms):
            records.let_go(connection, before, HeldWhat.SINK, refused, now_ms)
        box, message = (row.box, row.box_message) if row.box else (owner, row.message)
        if message:
            source = Source(box, message, messages.message_id_hmac(connection, box, message), "")
            self._outbox.relink(connection, owner, source, document, before)

    def _tell_sinks(self, connection: Connection, owner: int, row: DocumentRow, act: HandoverAct) -> None:
        box, message = (row.box, row.box_message) if row.box else (owner, row.message)
        if message:
            hashed = messages.message_id_hmac(connection, box, message)
            self._outbox.changed(connection, owner, Source(box, message, hashed, ""), act, row.document)

    def _note(self, connection: Connection, owner: int, row: DocumentRow, act: str, actor: str, cause: str) -> None:
        hashed = came_under(connection, owner, row)
        audit.write(connection, [audit.Act(self._clock.now(), actor, act, owner, row.document, hashed, cause)])

    def owe(self, connection: Connection, owner: int, answer: Answer) -> None:
        """The duty to tell a sender."""
        tasks.add_task(connection, owner, answers.owe(answer, self._public.tasks, self._clock, self._chance))
