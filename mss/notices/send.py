"""Who is told what became of a message, and how surely?

Each answer is a durable duty with a Message-ID that follows from its cause: however often it is done, one mail leaves.
Answers go through the house's own mail (mss/mail/submit.py) with an empty reverse path.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from mss.accounts.profiles import Profiles
from mss.crypto import seal
from mss.crypto.keys import Lookup, PrivateKeys
from mss.formats import dsn, mime
from mss.formats.dsn import Action, RecipientStatus
from mss.mail import answers
from mss.mail.answers import TASK_ANSWER, task_context
from mss.mail.delivery import TASK_UNREACHABLE, forget_nobodys
from mss.mail.letters import PARIS
from mss.mail.queue import OutgoingEnvelope
from mss.mail.submit import HouseMail
from mss.model.clock import Chance, Clock, from_ms, to_ms
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.verdict import Reason
from mss.notices import compose
from mss.notices.compose import House, Original, Undelivered
from mss.store import audit, messages, schema, tasks
from mss.store.database import Store
from mss.store.ids import new_id
from mss.store.sql import Connection
from mss.store.tasks import NewTask, Queued, Task
from mss.vault.opener import Opener

TASK_DSN = "dsn"
"""Tell a sender of ours that delivery failed: payload sealed to the house's `tasks` pair."""
ACTOR = "notices"
HEADER_BYTES_MAX = 100 * 1024
"""Of the message that comes back: the limit of one header block at the door (formats/mime.py)."""

log = structlog.get_logger("notices")


@dataclass(frozen=True, slots=True)
class FailureDuties:
    """Makes the courier's duties; holds a public key only."""

    tasks_key: bytes
    clock: Clock
    chance: Chance

    def failed_delivery(
        self,
        connection: Connection,
        row: Queued,
        envelope: OutgoingEnvelope,
        failures: tuple[RecipientStatus, ...],
        header_block: bytes,
    ) -> None:
        """Owe the sender a notice, in the transaction that ends a row of the queue; nothing for the null sender."""
        if envelope.sender is None or not failures:
            return
        number = new_id(self.clock, self.chance)
        fields = [
            str(envelope.sender),
            envelope.message_id,
            header_block[:HEADER_BYTES_MAX].decode("latin-1"),
            row.created_ms,
            [_status_to_list(status) for status in failures],
        ]
        payload = seal.seal_to(self.tasks_key, json.dumps(fields).encode(), task_context(number), self.chance)
        tasks.add_task(connection, row.owner, NewTask(number, TASK_DSN, payload, to_ms(self.clock.now())))


def _status_to_list(status: RecipientStatus) -> list[str]:
    last = status.last_attempt.isoformat() if status.last_attempt else ""
    return [
        status.final_recipient,
        status.action,
        status.status,
        status.diagnostic,
        status.remote_mta,
        last,
        status.reason or "",
    ]


def _status_from_list(fields: list[str]) -> RecipientStatus:
    recipient, action, status, diagnostic, remote_mta, last, reason = fields
    return RecipientStatus(
        recipient,
        Action(action),
        status,
        diagnostic=diagnostic,
        remote_mta=remote_mta,
        last_attempt=datetime.fromisoformat(last) if last else None,
        reason=Reason(reason) if reason else None,
    )


class Notices:
    """Writes and sends. Lives in works."""

    def __init__(
        self,
        house: House,
        store: Store,
        opener: Opener,
        private: PrivateKeys,
        lookup: Lookup,
        mail: HouseMail,
        clock: Clock,
    ) -> None:
        self._house = house
        self._store = store
        self._opener = opener
        self._private = private
        self._lookup = lookup
        self._mail = mail
        self._clock = clock
        self._profiles = Profiles(store)

    @property
    def handlers(self) -> Mapping[str, Callable[[Task], Awaitable[None]]]:
        """Kind of a task → who does it."""
        return {TASK_ANSWER: self.answer, TASK_UNREACHABLE: self.unreachable, TASK_DSN: self.undelivered}

    async def answer(self, task: Task) -> None:
        """Tell the sender of a message to a patient what became of it."""
        owed = answers.owed(task.id, task.payload, self._private.tasks)
        owner = OwnerId(task.owner)
        keys = await self._opener.open(owner, ACTOR, "answer")
        stored = await self._store.read(lambda c: messages.one_message(c, owner, owed.message))
        assert stored is not None, "a message that is answered stands"
        raw = await self._opener.message_body(keys, stored)
        structure = await asyncio.to_thread(mime.scan, raw)
        original = Original(raw, structure, (await self._profiles.profile(keys)).address)
        which = "first" if owed.is_first else owed.fate.value
        message_id = self._message_id(f"answer {owner}/{owed.message}/{which}")
        at = self._clock.now().astimezone(PARIS)
        written = await asyncio.to_thread(compose.answer, owed, original, self._house, message_id, at)
        if written is None or original.return_path is None:
            await self._store.write(lane_of(owner), lambda c: tasks.finish(c, schema.task, owner, [task.id]))
            log.info("notice.nobody-to-tell", message=owed.message, fate=owed.fate.value)
            return
        told = f"{owed.fate.value} {owed.reason.value}" if owed.reason else owed.fate.value
        await self._send(task, original.return_path, written, original.message_id, owed.message, told)

    async def unreachable(self, task: Task) -> None:
        """Tell the accountable sender that a patient cannot be reached: one wording, whatever the cause."""
        opened = seal.open_sealed(self._private.tasks, task.payload, task_context(task.id))
        sender, recipient, message_id, subject = json.loads(opened)
        await self._store.write(lane_of(task.owner), lambda c: forget_nobodys(c, task))
        if not sender:
            return  # a report to an absent patient ends here
        header = compose.header_of([("Message-ID", message_id), ("Subject", subject), ("To", recipient)])
        lost = Undelivered(MailAddress.parse(sender), message_id, header, (dsn.unreachable(recipient),))
        await self._tell_lost(task, lost, Reason.UNREACHABLE.value)

    async def undelivered(self, task: Task) -> None:
        """Tell a sender that another operator did not take his message."""
        opened = seal.open_sealed(self._private.tasks, task.payload, task_context(task.id))
        sender, message_id, header, created_ms, failures = json.loads(opened)
        recipients = tuple(_status_from_list(fields) for fields in failures)
        arrival = from_ms(created_ms).astimezone(PARIS)
        lost = Undelivered(MailAddress.parse(sender), message_id, header.encode("latin-1"), recipients, arrival)
        await self._tell_lost(task, lost, next((status.reason for status in recipients if status.reason), "failed"))

    async def _tell_lost(self, task: Task, lost: Undelivered, told: str) -> None:
        own_id = self._message_id(f"{task.kind} {task.owner}/{task.id}")
        written = compose.undelivered(lost, self._house, own_id, self._clock.now().astimezone(PARIS))
        await self._send(task, lost.to, written, lost.message_id, 0, told)

    async def _send(
        self, task: Task, to: MailAddress, written: bytes, original_id: str, number: int, told: str
    ) -> None:
        """Send; the duty ends and the audit row is written in the transaction that queues the mail."""
        act = audit.Act(
            self._clock.now(), ACTOR, "notice.sent", task.owner, number, self._lookup.message_id(original_id), told
        )

        def also(connection: Connection) -> None:
            if tasks.finish(connection, schema.task, task.owner, [task.id]):
                audit.write(connection, [act])

        await self._mail.send(OwnerId(task.owner), None, (to,), written, also=also)
        log.info("notice.sent", task=task.id, kind=task.kind, told=told)

    def _message_id(self, cause: str) -> str:
        """The same for the same cause, and telling nothing of it (RFC 5322 §3.6.4)."""
        return f"<{self._lookup.of('notice', cause).hex()}@{self._house.sender.domain}>"
