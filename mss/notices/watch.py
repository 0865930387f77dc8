"""Who hears that something held still waits? Its sender and our staff, again and again until somebody has decided.

Each telling is a durable duty written with the hold (mss/mail/holding.py): within the hour where nobody was told yet,
at 24 hours, at 72. It looks first whether the thing still waits, and its mail bears a Message-ID that follows from its
cause, so that neither a crash nor a second runner tells anything twice. Staff get one list for a quarter of an hour of
holds, never a mail for each: a daemon that is away for an hour holds thousands.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

import structlog

from mss.accounts.service import ADDRESS_KIND, profile_from_bytes
from mss.crypto.keys import Lookup, PrivateKeys
from mss.formats import mime
from mss.formats.dsn import Action, RecipientStatus
from mss.mail import holding, letters
from mss.mail.answers import Answer, Fate, as_told
from mss.mail.holding import NEXT, TASK_STILL_HELD, Holder, Watch
from mss.mail.ledger import Ledger, Told, told_of
from mss.mail.letters import PARIS
from mss.mail.queue import QueueTaker
from mss.mail.recipients import NOBODY, Recipients
from mss.mail.submit import HouseMail
from mss.model.clock import Clock, from_ms, to_ms
from mss.model.errors import MssError, NotFound, SealBroken
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.mailbox import MailboxKind
from mss.model.verdict import Reason
from mss.notices import compose, holdwords
from mss.notices.compose import DeliveryReport, House, Original
from mss.store import audit, handovers, messages, owners, records, schema, tasks
from mss.store.database import Store
from mss.store.records import HeldRow, HeldState, HeldWhat
from mss.store.sql import Connection
from mss.store.tasks import NewTask, Queued, RowState, Task
from mss.vault.opener import Opener

TASK_STAFF = "staff"
"""Send our staff the list of what waits: payload {"domain", "window"}."""
WINDOW_MS = 15 * 60_000
LISTED_MAX = 200
"""Lines of one list; staff who have more to do read `mss held list`."""
ACTOR = "notices"

log = structlog.get_logger("notices")


@dataclass(frozen=True, slots=True)
class Staff:
    """Who reads alarms."""

    default: MailAddress
    by_domain: Mapping[str, MailAddress]

    def of(self, domain: str) -> MailAddress:
        return self.by_domain.get(domain, self.default)


@dataclass(frozen=True, slots=True)
class _Letter:
    """What the sender reads, and to whom it goes."""

    to: MailAddress
    written: bytes
    about: tuple[str, int] = ("", 0)
    """Message-ID, and number here."""
    told: Told | None = None
    """The line of the sender's own table; None of mail that is in no table."""


class _Decided(MssError):
    """Somebody decided while the letter was written."""


class HeldWatch:
    """Tells. Lives in works."""

    def __init__(
        self,
        house: House,
        staff: Staff,
        store: Store,
        opener: Opener,
        private: PrivateKeys,
        lookup: Lookup,
        mail: HouseMail,
        recipients: Recipients,
        taker: QueueTaker,
        holder: Holder,
        clock: Clock,
        ledger: Ledger,
    ) -> None:
        self._house = house
        self._staff = staff
        self._store = store
        self._opener = opener
        self._private = private
        self._lookup = lookup
        self._mail = mail
        self._recipients = recipients
        self._taker = taker
        self._holder = holder
        self._clock = clock
        self._ledger = ledger

    @property
    def handlers(self) -> Mapping[str, Callable[[Task], Awaitable[None]]]:
        """Kind of a task → who does it."""
        return {TASK_STILL_HELD: self.still_held, TASK_STAFF: self.list_for_staff}

    async def still_held(self, task: Task) -> None:
        """Tell that one thing waits, unless it does not any more; then owe the next telling."""
        watch = holding.watched(task.id, task.payload, self._private.tasks)
        row = await self._store.read(lambda c: _still(c, task.owner, watch))
        if row is None:
            return  # decided, or found to be something else, of which another duty tells
        if watch.reason is not Reason.REFUSED_BY_STAFF:
            log.error("held.waits", held=row.id, what=row.what, reason=row.reason, hours=watch.hours)
            await self._owe_staff(row.domain)
        letter = await self._letter(row, watch)

        def also(connection: Connection) -> None:
            self._told(connection, task, row, watch, letter)

        try:
            if letter is None:
                await self._store.write(lane_of(row.owner), also)
            else:
                await self._mail.send(OwnerId(row.owner), None, (letter.to,), letter.written, also=also)
        except _Decided:
            log.info("held.decided-meanwhile", held=row.id)

    def _told(self, connection: Connection, task: Task, row: HeldRow, watch: Watch, letter: _Letter | None) -> None:
        """In the transaction that queues the letter. Raises _Decided: then nothing is queued."""
        if not tasks.finish(connection, schema.task, task.owner, [task.id]):
            return
        now = self._clock.now()
        if watch.reason is Reason.REFUSED_BY_STAFF:
            if row.what == HeldWhat.OUTGOING:
                mail = _refused_mail(connection, row)
                if mail is None:
                    raise _Decided
                tasks.finish(connection, schema.queue, row.owner, [row.message])
                messages.delete_blob(connection, row.owner, mail.blob)
        else:
            told = "sender, staff" if letter is not None else "staff"
            if not records.mark_told(connection, row.owner, row.id, told, to_ms(now)):
                raise _Decided
            following = NEXT.get(watch.hours)
            if following is not None:
                later = Watch(row.id, watch.reason, following, watch.documents)
                tasks.add_task(connection, row.owner, self._holder.watch(later, row.held_ms))
        if letter is not None:
            if letter.told is not None:
                self._ledger.note(connection, task.owner, task.id, letter.to, letter.about, letter.told)
            result = f"{watch.reason.value} {watch.hours} h" if watch.hours else watch.reason.value
            act = audit.Act(now, ACTOR, "notice.sent", row.owner, row.message, row.message_id_hmac, result)
            audit.write(connection, [act])

    # Senders

    async def _letter(self, row: HeldRow, watch: Watch) -> _Letter | None:
        """What the sender reads; None when there is nobody to tell, or when what names him cannot be opened."""
        own_id = self._message_id(f"held {row.owner}/{row.id}/{watch.reason.value}/{watch.hours}")
        try:
            if row.what == HeldWhat.OUTGOING:
                return await self._of_the_queue(row, watch, own_id)
            if row.what == HeldWhat.SINK:
                return await self._of_a_sink(row, watch, own_id)
            return await self._of_a_mailbox(row, watch, own_id)
        except (SealBroken, NotFound) as problem:  # what is wrong with it may be the very reason why it waits
            log.error("held.sender-unknown", held=row.id, error=type(problem).__name__)
            return None

    async def _of_the_queue(self, row: HeldRow, watch: Watch, own_id: str) -> _Letter | None:
        queued = await self._store.read(lambda c: tasks.queued(c, row.owner, row.message))
        if queued is None:
            return None
        mail = await self._taker.load(queued)
        return self._status(row, watch, own_id, mail.envelope.sender, mail.envelope.recipients, mail.raw)

    async def _of_a_sink(self, row: HeldRow, watch: Watch, own_id: str) -> _Letter | None:
        """About the mail that brought the document: `row.message` is the number of the handing over."""
        owed = await self._store.read(lambda c: handovers.of(c, row.owner, row.message))
        found = None if owed is None else await self._original(OwnerId(owed.box), owed.message)
        if owed is None or found is None:
            return None
        why = holdwords.still_not_integrated(watch.hours)
        told = Answer(
            owed.message, Fate.NOT_INTEGRATED, watch.reason, watch.documents, is_first=False, why=why, code=row.code
        )
        return self._answer(told, found[0], own_id)

    async def _of_a_mailbox(self, row: HeldRow, watch: Watch, own_id: str) -> _Letter | None:
        found = await self._original(OwnerId(row.owner), row.message)
        if found is None:
            return None
        original, box = found
        if box.kind is not MailboxKind.PATIENT and row.what != HeldWhat.FEED:
            recipient = MailAddress.parse(original.recipient)
            letter = self._status(row, watch, own_id, original.return_path, (recipient,), original.raw)
            if letter is None or box.kind is not MailboxKind.APPLICATION:
                return letter
            is_refusal = watch.reason is Reason.REFUSED_BY_STAFF
            fate = Fate.REFUSED if is_refusal else Fate.HELD
            told_ = told_of(Answer(row.message, fate, watch.reason, code=row.code))
            return replace(letter, about=(original.message_id, row.message), told=told_)
        still = holdwords.still(watch.hours)
        reason = as_told(watch.reason) if row.what == HeldWhat.FEED else watch.reason
        told = Answer(row.message, Fate.HELD, reason, watch.documents, is_first=False, why=still)
        return self._answer(told, original, own_id)

    async def _original(self, owner: OwnerId, number: int) -> tuple[Original, owners.MailboxRow] | None:
        """A message of a mailbox, opened."""
        keys = await self._opener.open(owner, ACTOR, "held")

        def ask(connection: Connection) -> tuple[messages.StoredMessage | None, owners.MailboxRow | None]:
            return messages.one_message(connection, owner, number), owners.mailbox(connection, owner)

        stored, box = await self._store.read(ask)
        if stored is None or box is None:
            return None
        raw = await self._opener.message_body(keys, stored)
        address = profile_from_bytes(keys.open_small(ADDRESS_KIND, 0, box.address_sealed)).address
        return Original(raw, mime.scan(raw), address), box

    def _answer(self, answer: Answer, original: Original, own_id: str) -> _Letter | None:
        at = self._clock.now().astimezone(PARIS)
        written = compose.answer(answer, original, self._house, own_id, at, returns_failed=False)
        if written is None or original.return_path is None:
            return None
        named = original.message_id, answer.message
        return _Letter(original.return_path, written, named, told_of(answer))

    def _status(
        self,
        row: HeldRow,
        watch: Watch,
        own_id: str,
        sender: MailAddress | None,
        recipients: tuple[MailAddress, ...],
        raw: bytes,
    ) -> _Letter | None:
        """A delivery status: delayed while it waits, failed when staff refused it."""
        if sender is None:
            return None
        is_refusal = watch.reason is Reason.REFUSED_BY_STAFF
        action, status = (Action.FAILED, "5.7.1") if is_refusal else (Action.DELAYED, "4.7.0")
        told = tuple(RecipientStatus(str(one), action, status, reason=watch.reason) for one in recipients)
        header = raw[: raw.find(b"\r\n\r\n") + 2]
        message_id = holdwords.message_id_of(header)
        arrival = from_ms(row.held_ms).astimezone(PARIS)
        about = DeliveryReport(sender, message_id, header, told, arrival)
        at = self._clock.now().astimezone(PARIS)
        if is_refusal:
            return _Letter(sender, compose.delivery_report(about, self._house, own_id, at))
        return _Letter(sender, holdwords.held(about, self._house, own_id, at, watch.hours))

    # Staff

    async def _owe_staff(self, domain: str) -> None:
        """One list for each quarter of an hour and domain: its number follows from both."""
        window = to_ms(self._clock.now()) // WINDOW_MS
        number = int.from_bytes(self._lookup.of("staff", f"{domain}/{window}")[:8]) >> 2
        payload = json.dumps({"domain": domain, "window": window}).encode()
        duty = NewTask(number, TASK_STAFF, payload, (window + 1) * WINDOW_MS)
        await self._store.write(lane_of(NOBODY), lambda c: tasks.add_task_once(c, NOBODY, duty))

    async def list_for_staff(self, task: Task) -> None:
        """Send the list of what still waits for one domain; nothing when nothing waits any more."""
        asked = json.loads(task.payload)
        domain, to = asked["domain"], self._staff.of(asked["domain"])
        states = (HeldState.WAITING,)
        rows = await self._store.read(lambda c: records.list_held(c, states, domain=domain, limit=LISTED_MAX + 1))
        if not rows:
            return
        if await self._recipients.reachable(to) is None:
            log.error("alarm.nobody-reads", domain=domain, held=len(rows))
        own_id = self._message_id(f"staff {domain}/{asked['window']}")
        written = holdwords.for_staff(rows[:LISTED_MAX], len(rows), to, self._house, own_id, self._clock.now())

        def also(connection: Connection) -> None:
            if tasks.finish(connection, schema.task, task.owner, [task.id]):
                act = audit.Act(self._clock.now(), ACTOR, "staff.told", task.owner, result=str(len(rows)))
                audit.write(connection, [act])

        await self._mail.send(OwnerId(task.owner), None, (to,), written, also=also)
        log.error("alarm.staff-told", domain=domain, held=len(rows))

    def _message_id(self, cause: str) -> str:
        """The same for the same cause, and telling nothing of it."""
        return letters.notice_id(self._lookup, cause, self._house.sender.domain)


def _still(connection: Connection, owner: int, watch: Watch) -> HeldRow | None:
    """What the duty is about, while it is as it was when the duty was written."""
    row = records.held_of(connection, owner, watch.held)
    if watch.reason is not Reason.REFUSED_BY_STAFF:
        is_so = row is not None and row.state == HeldState.WAITING and row.reason == watch.reason
        return row if is_so else None
    if row is None or row.state != HeldState.REFUSED:
        return None
    return None if row.what == HeldWhat.OUTGOING and _refused_mail(connection, row) is None else row


def _refused_mail(connection: Connection, row: HeldRow) -> Queued | None:
    """Mail of the queue that staff refused; None when it is gone, or somebody let it go after all."""
    mail = tasks.queued(connection, row.owner, row.message)
    return None if mail is None or mail.state == RowState.WAITING else mail
