"""Who is told what became of a message, and how surely?

Each answer is a durable duty with a Message-ID that follows from its cause: however often it is done, one mail leaves.
Answers go through the house's own mail (mss/mail/submit.py) with an empty reverse path.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from mss.accounts.profiles import Profiles
from mss.crypto import seal
from mss.crypto.keys import Lookup, PrivateKeys
from mss.formats import dsn, mime
from mss.formats.dsn import Action, RecipientStatus
from mss.mail import answers, letters
from mss.mail.answers import TASK_ANSWER, task_context
from mss.mail.contents import aside
from mss.mail.delivery import TASK_DELIVERED, TASK_PASSED_ON, TASK_UNREACHABLE, forget_nobodys
from mss.mail.ledger import UNREACHABLE, Ledger, Told, told_of
from mss.mail.letters import PARIS
from mss.mail.queue import Outgoing
from mss.mail.submit import HouseMail
from mss.model.clock import Chance, Clock, from_ms, to_ms
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.message import DsnWish, Notify, RecipientWish, Returned
from mss.model.verdict import Reason
from mss.notices import compose
from mss.notices.compose import DeliveryReport, House, Original
from mss.store import audit, messages, records, schema, tasks
from mss.store.database import Store
from mss.store.ids import new_id
from mss.store.sql import Connection
from mss.store.tasks import NewTask, Task
from mss.vault.opener import Opener

TASK_DSN = "dsn"
"""Tell a sender of ours what became of his mail: payload sealed to the house's `tasks` pair."""
ACTOR = "notices"
HEADER_BYTES_MAX = 100 * 1024
"""Of the message that comes back: the limit of one header block at the door (formats/mime.py)."""

FULL_BYTES_MAX = 1024 * 1024
"""Of a message that comes back whole (RET=FULL). Of a larger one the header does: the duty is a row of the store, and
what was too large for one may be too large for the way back."""

Noted = Callable[[Connection], None]
"""What else is written when a duty of telling ends."""

log = structlog.get_logger("notices")


def nothing_noted(connection: Connection) -> None:
    """Of what no table tells."""


@dataclass(frozen=True, slots=True)
class ReportDuties:
    """Makes the courier's duties; holds a public key only."""

    tasks_key: bytes
    clock: Clock
    chance: Chance

    def report(self, connection: Connection, mail: Outgoing, statuses: Sequence[RecipientStatus]) -> bool:
        """Owe the sender one report on all of these of which he wants to be told, in the transaction that ends or puts
        off a row of the queue. Answers whether he will be: never the null sender."""
        row, envelope = mail.row, mail.envelope
        told = dsn.wanted(envelope.wish, statuses)
        if envelope.sender is None or not told:
            return False
        number = new_id(self.clock, self.chance)
        has_failed = any(status.action is Action.FAILED for status in told)
        is_whole = has_failed and envelope.wish.returned is Returned.FULL and len(mail.raw) <= FULL_BYTES_MAX
        fields = [
            str(envelope.sender),
            envelope.message_id,
            (mail.raw if is_whole else _header_block(mail.raw)).decode("latin-1"),
            is_whole,
            row.created_ms,
            envelope.wish.envelope_id,
            [_status_to_list(status) for status in told],
        ]
        payload = seal.seal_to(self.tasks_key, json.dumps(fields).encode(), task_context(number), self.chance)
        tasks.add_task(connection, row.owner, NewTask(number, TASK_DSN, payload, to_ms(self.clock.now())))
        return True


def _header_block(raw: bytes) -> bytes:
    end = raw.find(b"\r\n\r\n")
    return (raw if end < 0 else raw[: end + 2])[:HEADER_BYTES_MAX]


def _status_to_list(status: RecipientStatus) -> list[str]:
    return [
        status.final_recipient,
        status.action,
        status.status,
        status.original_recipient,
        status.original_type,
        status.diagnostic,
        status.remote_mta,
        status.last_attempt.isoformat() if status.last_attempt else "",
        status.will_retry_until.isoformat() if status.will_retry_until else "",
        status.reason or "",
        status.note,
    ]


def _status_from_list(fields: list[str]) -> RecipientStatus:
    recipient, action, status, original, original_type, diagnostic, remote_mta, last, until, reason, note = fields
    return RecipientStatus(
        recipient,
        Action(action),
        status,
        original_recipient=original,
        original_type=original_type,
        diagnostic=diagnostic,
        remote_mta=remote_mta,
        last_attempt=_moment(last),
        will_retry_until=_moment(until),
        reason=Reason(reason) if reason else None,
        note=note,
    )


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(PARIS) if text else None


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
        copies: Mapping[str, MailAddress] | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        """`copies`: who of a structure reads what its application mailbox (key) answers when nothing is filed.
        `ledger`: where it is kept what each sender was told."""
        self._ledger = ledger
        self._copies = dict(copies or {})
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
        return {
            TASK_ANSWER: self.answer,
            TASK_UNREACHABLE: self.unreachable,
            TASK_DELIVERED: self.receipt,
            TASK_PASSED_ON: self.receipt,
            TASK_DSN: self.report,
        }

    async def answer(self, task: Task) -> None:
        """Tell the sender of a message to a patient what became of it."""
        owed = answers.owed(task.id, task.payload, self._private.tasks)
        owner = OwnerId(task.owner)
        keys = await self._opener.open(owner, ACTOR, "answer")
        stored = await self._store.look_up(lambda c: messages.one_message(c, owner, owed.message))
        assert stored is not None, "a message that is answered stands"
        raw = await self._opener.message_body(keys, stored)
        structure = await aside(len(raw), mime.scan, raw)
        original = Original(raw, structure, await self._profiles.mailbox_address(keys))
        which = "first" if owed.is_first else f"{owed.fate.value} {owed.cause}".strip()
        message_id = self._message_id(f"answer {owner}/{owed.message}/{which}")
        at = self._clock.now().astimezone(PARIS)
        hold = await self._store.look_up(lambda c: records.held_of_message(c, owner, owed.message))
        is_safe = hold is None or hold.reason not in (Reason.VIRUS_FOUND, Reason.NOT_SCANNED)
        written = await aside(
            len(raw), compose.answer, owed, original, self._house, message_id, at, returns_failed=is_safe
        )
        named = original.message_id, owed.message
        noted = functools.partial(self._note, task, original.return_path, named, told_of(owed))
        if written is None or original.return_path is None:
            await self._store.write(lane_of(owner), lambda c: self._finish(c, task, noted))
            log.info("notice.nobody-to-tell", message=owed.message, fate=owed.fate.value)
            return
        told = f"{owed.fate.value} {owed.reason.value}" if owed.reason else owed.fate.value
        copy = self._copies.get(original.recipient.lower()) if owed.fate in answers.FAILURES else None
        also_to = () if copy is None else (copy,)
        to, about = original.return_path, original.message_id
        await self._send(task, to, written, about, owed.message, told, also_to, noted=noted)

    def _note(
        self, task: Task, sender: MailAddress | None, about: tuple[str, int], told: Told, connection: Connection
    ) -> None:
        if self._ledger is not None and sender is not None:
            self._ledger.note(connection, task.owner, task.id, sender, about, told)

    @staticmethod
    def _finish(connection: Connection, task: Task, noted: Noted) -> None:
        """Nobody asked to be told."""
        if tasks.finish(connection, schema.task, task.owner, [task.id]):
            noted(connection)

    async def unreachable(self, task: Task) -> None:
        """Tell the accountable sender that a patient cannot be reached: one wording, whatever the cause."""
        about, addresses = self._opened(task)
        await self._store.write(lane_of(task.owner), lambda c: forget_nobodys(c, task))
        if about is None:
            return  # a report to an absent patient ends here, and mail whose sender wants to hear of nothing
        statuses = [dsn.unreachable(address) for address, _ in addresses]
        named = about.message_id, task.id  # the duty bears the message's number
        noted = functools.partial(self._note, task, about.to, named, UNREACHABLE)
        await self._report(task, about, _named(statuses, addresses), Reason.UNREACHABLE.value, noted)

    async def receipt(self, task: Task) -> None:
        """Tell a sender who asked: delivered here, or, of every patient's address alike, passed on."""
        about, addresses = self._opened(task)
        assert about is not None, "nobody asks for a receipt without a sender"
        action = Action.DELIVERED if task.kind == TASK_DELIVERED else Action.RELAYED
        statuses = [RecipientStatus(address, action, "2.0.0") for address, _ in addresses]
        await self._report(task, about, _named(statuses, addresses), action.value)

    def _opened(self, task: Task) -> tuple[DeliveryReport | None, list[tuple[str, str]]]:
        """What the mail rooms left (mss/mail/delivery.py): about which mail, and its recipients with their ORCPT."""
        opened = seal.open_sealed(self._private.tasks, task.payload, task_context(task.id))
        sender, message_id, subject, envelope_id, addresses = json.loads(opened)
        if not sender:
            return None, []
        to = ", ".join(address for address, _ in addresses)
        header = compose.header_of([("Message-ID", message_id), ("Subject", subject), ("To", to)])
        about = DeliveryReport(MailAddress.parse(sender), message_id, header, (), envelope_id=envelope_id)
        return about, [(address, original) for address, original in addresses]

    async def report(self, task: Task) -> None:
        """Tell a sender what became of his message on its way to another operator."""
        opened = seal.open_sealed(self._private.tasks, task.payload, task_context(task.id))
        sender, message_id, content, is_whole, created_ms, envelope_id, statuses = json.loads(opened)
        about = DeliveryReport(
            MailAddress.parse(sender),
            message_id,
            content.encode("latin-1"),
            tuple(_status_from_list(fields) for fields in statuses),
            from_ms(created_ms).astimezone(PARIS),
            envelope_id,
            is_whole,
        )
        told = next((status.reason or status.action for status in about.recipients), "")
        await self._report(task, about, about.recipients, str(told))

    async def _report(
        self,
        task: Task,
        about: DeliveryReport,
        statuses: tuple[RecipientStatus, ...],
        told: str,
        noted: Noted = nothing_noted,
    ) -> None:
        own_id = self._message_id(f"{task.kind} {task.owner}/{task.id}")
        at = self._clock.now().astimezone(PARIS)
        written = compose.delivery_report(replace(about, recipients=statuses), self._house, own_id, at)
        await self._send(task, about.to, written, about.message_id, 0, told, noted=noted)

    async def _send(
        self,
        task: Task,
        to: MailAddress,
        written: bytes,
        original_id: str,
        number: int,
        told: str,
        also_to: tuple[MailAddress, ...] = (),
        *,
        noted: Noted = nothing_noted,
    ) -> None:
        """Send; the duty ends and the audit row is written in the transaction that queues the mail."""
        act = audit.Act(
            self._clock.now(), ACTOR, "notice.sent", task.owner, number, self._lookup.message_id(original_id), told
        )

        def also(connection: Connection) -> None:
            if tasks.finish(connection, schema.task, task.owner, [task.id]):
                audit.write(connection, [act])
                noted(connection)
                if number:
                    records.mark_message_told(connection, task.owner, number, "sender", to_ms(self._clock.now()))

        await self._mail.send(OwnerId(task.owner), None, (to, *also_to), written, also=also)
        log.info("notice.sent", task=task.id, kind=task.kind, told=told)

    def _message_id(self, cause: str) -> str:
        """The same for the same cause, and telling nothing of it (RFC 5322 §3.6.4)."""
        return letters.notice_id(self._lookup, cause, self._house.sender.domain)


def _named(statuses: Sequence[RecipientStatus], addresses: Sequence[tuple[str, str]]) -> tuple[RecipientStatus, ...]:
    """With the recipients as the sender first wrote them."""
    wishes = {address.lower(): RecipientWish(frozenset(Notify) - {Notify.NEVER}, told) for address, told in addresses}
    return dsn.wanted(DsnWish(recipients=wishes), statuses)
