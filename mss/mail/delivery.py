"""How is a message put into mailboxes, by a process that can read none of them?

For each mailbox: seal to its key of the hour, put a large body on disk, then one transaction with the message, its
number in the folder (professionals) or the bridge's duty (patients), the deduplication key and the audit row.
Whoever repeats the very same message finds it standing and changes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass, field

from mss.crypto import seal
from mss.crypto.keys import PublicKeys
from mss.formats.summary import Summary
from mss.model.clock import Chance, Clock, to_ms
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.mailbox import MailboxKind, SpecialUse
from mss.store import audit, blobs, changes, folders, messages, owners, received, tasks
from mss.store.blobs import BodyStore
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.ids import new_id
from mss.store.messages import Direction, MessageState
from mss.store.owners import MailboxRow
from mss.store.sealing import IntakeKey, Sealer
from mss.store.sql import Connection

TASK_FILE = "file"
"""Judge and file a patient's message: payload {"message": number}."""
TASK_RESEAL = "reseal"
"""Wrap an owner's intake keys under her shelf key: listing is then some twenty times cheaper."""
RESEAL_AFTER_MS = 3_600_000
"""When the hour of an intake key is over nothing more is sealed with it."""
TASK_UNREACHABLE = "unreachable"
"""Tell a sender that a patient cannot be reached: payload sealed to the house's `tasks` pair."""
UNREACHABLE_WITHIN_S = 3000
"""The notice leaves at a random moment within the hour, so that its delay says nothing."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message ready to be kept: bytes with our trace fields, and what was rendered from them once."""

    raw: bytes
    summary: Summary
    sender: MailAddress | None
    peer_name: str
    digest_source: InitVar[bytes]
    """What a retry would repeat: the bytes before our trace fields."""
    fingerprint: bytes = field(init=False)
    """Of those, once for all recipients."""

    def __post_init__(self, digest_source: bytes) -> None:
        object.__setattr__(self, "fingerprint", hashlib.sha256(digest_source).digest())

    @property
    def message_id(self) -> str:
        return self.summary.message_id


@dataclass(frozen=True, slots=True)
class Placing:
    """Where in a mailbox: folder, flags, direction; `duty` makes the bridge judge it before anyone sees it."""

    folder: SpecialUse = SpecialUse.INBOX
    flags: int = 0
    direction: int = Direction.IN
    conversation: int = 0
    duty: bool = False


@dataclass(slots=True)
class Parcel:
    """A letter sealed for one mailbox, its body durable; `put` is its transaction and answers its number."""

    owner: OwnerId
    new: messages.NewMessage
    key: IntakeKey
    put: Callable[[Connection], int]


class Delivery:
    """Seals and puts. Public keys only; lives in every process that takes or makes mail."""

    def __init__(
        self,
        store: Store,
        bodies: BodyStore,
        public: PublicKeys,
        sealer: Sealer,
        bus: ChangeBus,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._store = store
        self._bodies = bodies
        self._public = public
        self._sealer = sealer
        self._bus = bus
        self._clock = clock
        self._chance = chance

    async def prepare(self, letter: Letter, box: MailboxRow, recipient: str, placing: Placing) -> Parcel:
        """Seal a letter for a mailbox. Raises StorageUnavailable."""
        owner, now_ms = box.owner, to_ms(self._clock.now())
        key = self._sealer.key_for(owner, box.public_key)
        number, blob = new_id(self._clock, self._chance), new_id(self._clock, self._chance)
        body = key.encrypt(messages.BODY_KIND, number, letter.raw)
        inline, place = (body, "") if len(body) <= blobs.INLINE_BYTES_MAX else (None, "")
        if inline is None:
            place = blobs.place_of(lane_of(owner), owner, blob)
            await self._bodies.put(place, body)
        new = messages.NewMessage(
            message=number,
            size_bytes=len(letter.raw),
            key_epoch=key.epoch,
            summary_sealed=key.encrypt(messages.SUMMARY_KIND, number, letter.summary.to_bytes()),
            message_id_hmac=self._public.lookup.message_id(letter.message_id),
            blob=blob,
            body_size_bytes=len(body),
            body_inline=inline,
            body_place=place,
            state=MessageState.PENDING if placing.duty else MessageState.VISIBLE,
            direction=placing.direction,
            received_ms=now_ms,
            conversation=placing.conversation,
        )
        digested = received.digest(letter.peer_name, str(letter.sender or ""), recipient, letter.fingerprint)

        def put(connection: Connection) -> int:
            return self._put(connection, new, key, digested, placing, letter.peer_name)

        return Parcel(owner, new, key, put)

    def _put(
        self,
        connection: Connection,
        new: messages.NewMessage,
        key: IntakeKey,
        digested: bytes,
        placing: Placing,
        actor: str,
    ) -> int:
        owner, now = key.owner, self._clock.now()
        # First, and also for what stands already: whoever marks this key as kept must be right about it.
        key.keep(connection)
        standing = received.remember(connection, owner, digested, new.message, new.received_ms)
        if standing != new.message:
            again = audit.Act(now, actor, "mail.again", owner, standing, new.message_id_hmac)
            audit.write(connection, [again])
            return standing
        messages.insert_message(connection, owner, new)
        owners.add_used(connection, owner, new.size_bytes)
        if placing.duty:
            payload = json.dumps({"message": new.message}).encode()
            duty = tasks.NewTask(new_id(self._clock, self._chance), TASK_FILE, payload, new.received_ms)
            tasks.add_task(connection, owner, duty)
        else:
            if not key.kept:
                self._owe_reseal(connection, owner, new.received_ms)
            folder = folders.folder_by_use(connection, owner, placing.folder)
            assert folder is not None, "every mailbox is born with its folders"
            entry = folders.NewEntry(new.message, placing.flags, 0, new.received_ms, new.size_bytes)
            folders.append_entries(connection, owner, folder.folder, [entry], new.received_ms)
        act = "mail.sent" if placing.direction == Direction.OUT else "mail.received"
        audit.write(connection, [audit.Act(now, actor, act, owner, new.message, new.message_id_hmac)])
        return new.message

    def _owe_reseal(self, connection: Connection, owner: int, now_ms: int) -> None:
        """Once for each intake key; a patient's keys are resealed by the bridge as it files."""
        number = new_id(self._clock, self._chance)
        tasks.add_task(connection, owner, tasks.NewTask(number, TASK_RESEAL, b"{}", now_ms + RESEAL_AFTER_MS))

    def message_id_hmac(self, message_id: str) -> bytes:
        """The keyed hash under which a Message-ID is traced."""
        return self._public.lookup.message_id(message_id)

    def placing_for(self, box: MailboxRow) -> Placing:
        """Incoming mail: a patient's waits for the bridge, everybody else's is readable at once."""
        return Placing(duty=box.kind is MailboxKind.PATIENT)

    async def commit(self, parcels: Sequence[Parcel]) -> list[int]:
        """Put every parcel; all are durable when this returns. Raises StorageUnavailable (a repeat is safe)."""
        numbers = await asyncio.gather(
            *(self._store.write(lane_of(p.owner), p.put, size_bytes=p.new.body_size_bytes) for p in parcels)
        )
        self.delivered(parcels)
        return list(numbers)

    def delivered(self, parcels: Sequence[Parcel]) -> None:
        """After the commit: remember that the keys are kept, tell whoever watches."""
        for parcel in parcels:
            parcel.key.kept = True
            self._bus.publish(changes.FOLDER, parcel.owner)
        if any(parcel.new.state is MessageState.PENDING for parcel in parcels):
            self._bus.publish(changes.TASK)

    async def tell_unreachable(self, letter: Letter, recipient: MailAddress, delay_max_s: int) -> None:
        """Nobody is there (or nobody who may be written to): owe the sender a notice, at a random moment.

        Costs what a delivery costs: the letter is sealed too, for nobody.
        """
        recipient_hmac = self._public.lookup.address(recipient.key)
        owner = OwnerId(int.from_bytes(recipient_hmac[:8]) >> 2)
        number, now = new_id(self._clock, self._chance), self._clock.now()
        nobody = self._chance.token(seal.KEY_BYTES)
        seal.encrypt_object(nobody, seal.place(owner, messages.BODY_KIND, number), letter.raw)
        seal.encrypt_object(nobody, seal.place(owner, messages.SUMMARY_KIND, number), letter.summary.to_bytes())
        fields = [str(letter.sender or ""), str(recipient), letter.message_id, letter.summary.subject]
        payload = seal.seal_to(self._public.tasks, json.dumps(fields).encode(), b"task %d" % number, self._chance)
        due_ms = to_ms(now) + self._chance.below(max(1, delay_max_s * 1000))
        duty = tasks.NewTask(number, TASK_UNREACHABLE, payload, due_ms)
        message_id_hmac = self._public.lookup.message_id(letter.message_id)
        digested = received.digest(letter.peer_name, str(letter.sender or ""), recipient.key, letter.fingerprint)

        def act(connection: Connection) -> None:
            standing = received.remember(connection, owner, digested, number, to_ms(now))
            name = "mail.received" if standing == number else "mail.again"
            if standing == number and letter.sender is not None:
                tasks.add_task(connection, owner, duty)
            audit.write(connection, [audit.Act(now, letter.peer_name, name, owner, standing, message_id_hmac)])

        await self._store.write(lane_of(owner), act)
        self._bus.publish(changes.TASK)
