"""What becomes of a message that the antivirus could not look at, once it can? Released by itself, or held for good.

The duty was written when the message was held. It is asked again and again, however long the daemon is away; what
turns out clean goes on exactly as if it had just come: a patient's message to the bridge, a professional's into the
inbox, mail to others into the queue.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import structlog

from mss.crypto.seal import KeyPair
from mss.mail.delivery import TASK_ABSENCE, TASK_FEED, TASK_FILE
from mss.mail.holding import FIRST, SENTENCES, TASK_SCAN, Doubt, Explanation, Holder, Watch, held_context
from mss.mail.queue import QueueTaker
from mss.mail.screening import Screening
from mss.model.clock import Chance, Clock, to_ms
from mss.model.errors import NotFound, NotYet
from mss.model.ids import OwnerId, lane_of
from mss.model.mailbox import MailboxKind, SpecialUse
from mss.model.verdict import Reason
from mss.store import audit, changes, folders, messages, owners, records, schema, tasks, unanswered
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.ids import new_id
from mss.store.messages import MessageState
from mss.store.records import HeldRow, HeldState, HeldWhat
from mss.store.sql import Connection
from mss.store.tasks import NewTask, RowState, Task
from mss.vault.opener import Opener, open_house

ACTOR = "antivirus"
RESCAN_S = 60.0
"""How often a waiting message asks again. A daemon that loads its signatures takes half a minute."""

log = structlog.get_logger("antivirus")


class Quarantine:
    """Scans what waits. Lives in works."""

    def __init__(
        self,
        store: Store,
        opener: Opener,
        taker: QueueTaker,
        screening: Screening,
        holder: Holder,
        held: KeyPair,
        bus: ChangeBus,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._store = store
        self._opener = opener
        self._taker = taker
        self._screening = screening
        self._holder = holder
        self._held = held
        self._bus = bus
        self._clock = clock
        self._chance = chance

    @property
    def handlers(self) -> Mapping[str, Callable[[Task], Awaitable[None]]]:
        """Kind of a task → who does it."""
        return {TASK_SCAN: self.scan}

    async def scan(self, task: Task) -> None:
        """Look again. Raises NotYet while nobody can say; NotFound, SealBroken when there is nothing to look at."""
        number = int(json.loads(task.payload)["held"])
        row = await self._store.read(lambda c: records.held_of(c, task.owner, number))
        if row is None or row.state != HeldState.WAITING or row.reason != Reason.NOT_SCANNED:
            return  # decided meanwhile
        if self._screening.is_resting:
            raise NotYet(RESCAN_S, "antivirus away")
        doubt = await self._screening.doubt(await self._octets(row))
        if doubt is None:
            await self._store.write(lane_of(row.owner), lambda c: self._release(c, row, task))
        elif doubt.reason is Reason.VIRUS_FOUND:
            await self._store.write(lane_of(row.owner), lambda c: self._found(c, row, task, doubt))
        else:
            raise NotYet(RESCAN_S, f"antivirus: {doubt.detail}")
        self._bus.publish(changes.FOLDER, row.owner)
        self._bus.publish(changes.TASK)

    async def _octets(self, row: HeldRow) -> bytes:
        if row.what == HeldWhat.OUTGOING:
            queued = await self._store.read(lambda c: tasks.queued(c, row.owner, row.message))
            if queued is None:
                raise NotFound("mail of the queue")
            return (await self._taker.load(queued)).raw
        keys = await self._opener.open(OwnerId(row.owner), ACTOR, "scan")
        stored = await self._store.read(lambda c: messages.one_message(c, row.owner, row.message))
        if stored is None:
            raise NotFound("message")
        return await self._opener.message_body(keys, stored)

    def _release(self, connection: Connection, row: HeldRow, task: Task) -> None:
        now = self._clock.now()
        tasks.finish(connection, schema.task, row.owner, [task.id])
        if not records.decide_held(connection, row.owner, row.id, HeldState.RELEASED, to_ms(now)):
            return
        go_on(connection, row, self._explained(row), self._clock, self._chance)
        act = audit.Act(now, ACTOR, "held.released", row.owner, row.message, row.message_id_hmac, "scanned clean")
        audit.write(connection, [act])

    def _found(self, connection: Connection, row: HeldRow, task: Task, doubt: Doubt) -> None:
        """It waits for a human now; sender and staff are told afresh."""
        now = self._clock.now()
        tasks.finish(connection, schema.task, row.owner, [task.id])
        told = replace(self._explained(row), explanation=SENTENCES[doubt.reason], detail=doubt.detail)
        if not records.find_out(connection, row.owner, row.id, doubt.reason, self._holder.explained(row.id, told)):
            return
        tasks.add_task(connection, row.owner, self._holder.watch(Watch(row.id, doubt.reason, FIRST), to_ms(now)))
        act = audit.Act(now, ACTOR, "mail.held", row.owner, row.message, row.message_id_hmac, doubt.reason.value)
        audit.write(connection, [act])

    def _explained(self, row: HeldRow) -> Explanation:
        return Explanation.from_bytes(open_house(self._held, row.detail_sealed, held_context(row.id)))


def go_on(connection: Connection, row: HeldRow, known: Explanation, clock: Clock, chance: Chance) -> None:
    """Let something that was held before its way began take it, in the transaction of the decision."""
    owner, number, now_ms = row.owner, row.message, to_ms(clock.now())
    if row.what == HeldWhat.OUTGOING:
        tasks.set_row_state(connection, schema.queue, owner, number, RowState.WAITING, "released")
        tasks.put_back(connection, schema.queue, owner, number, now_ms, "released")
        return
    owners.lock(connection, owner)
    box, stored = owners.mailbox(connection, owner), messages.one_message(connection, owner, number)
    if box is None or stored is None or stored.state != MessageState.HELD:
        raise NotFound("message that waits")
    if box.kind is MailboxKind.PATIENT:
        messages.set_state(connection, owner, number, MessageState.PENDING)
        payload = json.dumps({"message": number}).encode()
        tasks.add_task(connection, owner, NewTask(new_id(clock, chance), TASK_FILE, payload, now_ms))
        return
    messages.set_state(connection, owner, number, MessageState.VISIBLE)
    inbox = folders.folder_by_use(connection, owner, SpecialUse.INBOX)
    assert inbox is not None, "every mailbox is born with its folders"
    entry = folders.NewEntry(number, 0, known.keywords, stored.received_ms, stored.size_bytes)
    folders.append_entries(connection, owner, inbox.folder, [entry], now_ms)
    unanswered.settle(connection, owner, [number], now_ms)
    tasks.set_row_state(connection, schema.task, owner, row.id, RowState.WAITING, "released")  # the receipt, if any
    payload = json.dumps({"message": number}).encode()  # as if it had just come
    if box.kind is MailboxKind.APPLICATION:
        tasks.add_task(connection, owner, NewTask(new_id(clock, chance), TASK_FEED, payload, now_ms))
    elif box.absent_from_ms <= now_ms < box.absent_until_ms:
        tasks.add_task(connection, owner, NewTask(new_id(clock, chance), TASK_ABSENCE, payload, now_ms))
