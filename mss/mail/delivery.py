"""How is a message put into mailboxes, by a process that can read none of them?

For each mailbox: seal to its key of the hour, put a large body on disk, then one transaction with the message, its
number in the folder (professionals) or the bridge's duty (patients), the deduplication key and the audit row.
Whoever repeats the very same message finds it standing and changes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from mss.crypto import seal
from mss.crypto.keys import PublicKeys
from mss.mail.answers import task_context
from mss.mail.contents import aside
from mss.mail.holding import Held, Holder, PreparedHold
from mss.mail.labels import keyword_bits
from mss.mail.parcels import Letter, Parcel, Placing, Put
from mss.mail.recipients import NOBODY
from mss.mail.unanswered import waiting
from mss.model.clock import Chance, Clock, to_ms
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.mailbox import MailboxKind
from mss.model.message import Notify
from mss.store import blobs, changes, messages, received, tasks
from mss.store.blobs import BodyStore
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.ids import new_id
from mss.store.messages import MessageState
from mss.store.owners import MailboxRow
from mss.store.records import HeldWhat
from mss.store.sealing import Sealer
from mss.store.sql import Connection

TASK_FILE = "file"
"""Judge and file a patient's message: payload {"message": number}."""
TASK_FEED = "feed"
"""Judge a message of an application mailbox, and file what it brings: payload {"message": number}."""
TASK_RESEAL = "reseal"
"""Wrap an owner's intake keys under her shelf key: listing is then some twenty times cheaper."""
RESEAL_AFTER_MS = 3_600_000
"""When the hour of an intake key is over nothing more is sealed with it."""
TASK_UNREACHABLE = "unreachable"
"""Tell a sender that a patient cannot be reached: payload sealed to the house's `tasks` pair."""
TASK_ABSENCE = "absence"
"""Tell a sender that the holder of a mailbox is away: payload {"message": number}."""
TASK_DELIVERED = "delivered"
TASK_PASSED_ON = "passed-on"
"""Tell a sender who asked to be told of success: payloads as of `TASK_UNREACHABLE`."""
INCOMING = "in"
"""Under this a mailbox remembers what came in: the same bytes to two of its addresses are one message."""

Reachable = Callable[[MailAddress], Awaitable[MailboxRow | None]]
"""Who takes mail at an address; None when nobody does."""


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
        self._holder = Holder(public, clock, chance)
        self._thrown: set[asyncio.Task[None]] = set()

    async def incoming(
        self, letter: Letter, recipients: Sequence[MailAddress], reachable: Reachable, notice_within_s: int
    ) -> list[Parcel]:
        """Parcels for addresses of ours, one for each mailbox. Raises StorageUnavailable."""
        parcels: dict[OwnerId, Parcel] = {}
        for recipient in dict.fromkeys(recipients):
            box = await reachable(recipient)
            if box is None or box.kind is MailboxKind.PATIENT:
                parcel = await self._for_patient(letter, recipient, box, notice_within_s)
                parcel.passed_on_to.append(recipient)
            else:
                parcel = parcels.get(box.owner) or await self._for_professional(letter, recipient, box)
                if letter.doubt is None:
                    if owes := self._feed(box, parcel.new) or self._absence_reply(letter, box, parcel.new):
                        parcel.put = replace(parcel.put, owes=owes)
                    parcel.delivered_to.append(recipient)
                else:
                    parcel.held_for.append(recipient)
            parcels[parcel.owner] = parcel
        for parcel in parcels.values():
            self._owe_receipt_when_let_go(letter, parcel)
        return list(parcels.values())

    def _owe_receipt_when_let_go(self, letter: Letter, parcel: Parcel) -> None:
        """Who asked to be told of success is told once what is held now was let go (mail/quarantine.py: go_on)."""
        hold, told = parcel.put.duty, self._asked_about(letter, parcel.held_for)
        if isinstance(hold, PreparedHold) and told and letter.sender is not None:
            receipt = self._duty(TASK_DELIVERED, hold.row.id, letter, letter.sender, told, 0)
            parcel.put = replace(parcel.put, duty=replace(hold, receipt=receipt))

    async def _for_patient(
        self, letter: Letter, recipient: MailAddress, box: MailboxRow | None, notice_within_s: int
    ) -> Parcel:
        """A patient's mail waits for the bridge; of what nobody takes the sender is told, at a random moment.

        For nobody the same is sealed, synced and written as for a patient, under a key that nobody has, and each step
        is taken for both: neither the answer nor its time tells who exists.
        """
        number = new_id(self._clock, self._chance)
        hold = self._hold(letter, NOBODY if box is None else box.owner, recipient, number)
        notice = self._notice(letter, recipient, number, notice_within_s)  # made for everybody, kept for nobody
        owner, public_key = self._nobody(recipient)
        payload = json.dumps({"message": number}).encode().ljust(len(notice.payload))
        duty = tasks.NewTask(new_id(self._clock, self._chance), TASK_FILE, payload, to_ms(self._clock.now()))
        if box is None:
            hold, duty = None, notice
        else:
            owner, public_key = box.owner, box.public_key
        parcel = await self._parcel(letter, owner, public_key, INCOMING, Placing(counts=False), number, duty, hold)
        parcel.for_nobody = box is None
        return parcel

    async def _for_professional(self, letter: Letter, recipient: MailAddress, box: MailboxRow) -> Parcel:
        number = new_id(self._clock, self._chance)
        waits = waiting(self._public.lookup, box.kind, letter.sender, letter.summary)
        placing = Placing(keywords=keyword_bits(letter.sender, letter.summary), waits=waits)
        hold = self._hold(letter, box.owner, recipient, number, placing.keywords)
        return await self._parcel(letter, box.owner, box.public_key, INCOMING, placing, number, None, hold)

    def _hold(
        self, letter: Letter, owner: int, recipient: MailAddress, number: int, keywords: int = 0
    ) -> PreparedHold | None:
        """For a letter in doubt: made for everybody, like the notice, and put where somebody is."""
        if letter.doubt is None:
            return None
        hashed = self._public.lookup.message_id(letter.message_id)
        held = Held(owner, HeldWhat.MESSAGE, number, letter.doubt.reason, recipient.domain, hashed)
        sender, subject = str(letter.sender or ""), letter.summary.subject
        return self._holder.quarantine(held, letter.doubt, sender, letter.message_id, subject, keywords)

    async def copy(self, letter: Letter, box: MailboxRow, addressed_to: str, placing: Placing) -> Parcel:
        """A letter that stands in a folder as soon as it is put. Raises StorageUnavailable."""
        number = new_id(self._clock, self._chance)
        return await self._parcel(letter, box.owner, box.public_key, addressed_to, placing, number, None)

    def _feed(self, box: MailboxRow, new: messages.NewMessage) -> tasks.NewTask | None:
        """What comes to software may bring documents: works, which can read, decides."""
        if box.kind is not MailboxKind.APPLICATION:
            return None
        payload = json.dumps({"message": new.message}).encode()
        return tasks.NewTask(new_id(self._clock, self._chance), TASK_FEED, payload, new.received_ms)

    def _absence_reply(self, letter: Letter, box: MailboxRow, new: messages.NewMessage) -> tasks.NewTask | None:
        """Owed for what may be a person's mail to somebody who is away; works, which can read, decides."""
        if letter.sender is None or not box.absent_from_ms <= new.received_ms < box.absent_until_ms:
            return None
        payload = json.dumps({"message": new.message}).encode()
        return tasks.NewTask(new_id(self._clock, self._chance), TASK_ABSENCE, payload, new.received_ms)

    def _nobody(self, recipient: MailAddress) -> tuple[OwnerId, bytes]:
        """Whose rows the mail for an absent patient becomes, and a public key without a private half."""
        hashed = self._public.lookup.address(recipient.key)
        return OwnerId(int.from_bytes(hashed[:8]) >> 2), hashlib.sha256(hashed).digest()

    def _notice(self, letter: Letter, recipient: MailAddress, number: int, within_s: int) -> tasks.NewTask:
        """Of mail whose sender wants no reports it tells nobody, and only cleans up."""
        wish = letter.wish.of(recipient)
        sender = letter.sender if wish.wants(Notify.FAILURE) else None
        told = [[str(recipient), wish.original]]
        return self._duty(TASK_UNREACHABLE, number, letter, sender, told, within_s)

    def _duty(
        self,
        kind: str,
        number: int,
        letter: Letter,
        sender: MailAddress | None,
        told: list[list[str]],
        within_s: int,
    ) -> tasks.NewTask:
        """To tell a sender of some recipients, each with its ORCPT, within that time."""
        about = [letter.message_id, letter.summary.subject, letter.wish.envelope_id]
        payload = json.dumps([str(sender or ""), *about, told]).encode()
        sealed = seal.seal_to(self._public.tasks, payload, task_context(number), self._chance)
        due_ms = to_ms(self._clock.now()) + self._chance.below(max(1, within_s * 1000))
        return tasks.NewTask(number, kind, sealed, due_ms)

    async def owe_receipts(self, letter: Letter, parcels: Sequence[Parcel], within_s: int) -> None:
        """Owe the sender the receipts that he asked for (RFC 3461 §5.2.3), once all is durable and before it is said
        so. Raises StorageUnavailable (a repeat is safe).

        Of a patient's address always "passed on", at a random moment as for those who cannot be reached: neither the
        words nor their time tell who exists.
        """
        delivered = self._asked_about(letter, [one for parcel in parcels for one in parcel.delivered_to])
        passed_on = self._asked_about(letter, [one for parcel in parcels for one in parcel.passed_on_to])
        if letter.sender is None or not (delivered or passed_on):
            return
        duties = []
        for kind, told, within in ((TASK_DELIVERED, delivered, 0), (TASK_PASSED_ON, passed_on, within_s)):
            if told:
                number = new_id(self._clock, self._chance)
                duties.append(self._duty(kind, number, letter, letter.sender, told, within))
        about = "receipts " + " ".join(sorted(address for address, _ in delivered + passed_on))
        known_by = letter.fingerprint(self._public.lookup.fingerprint_key)
        digested = received.digest(letter.peer_name, str(letter.sender), about, known_by)
        owner, now_ms = parcels[0].owner, to_ms(self._clock.now())

        def owe(connection: Connection) -> None:
            if received.remember(connection, owner, digested, duties[0].id, now_ms) == duties[0].id:
                for duty in duties:
                    tasks.add_task(connection, owner, duty)

        await self._store.write(lane_of(owner), owe)
        self._bus.publish(changes.DUTY)

    def _asked_about(self, letter: Letter, recipients: Sequence[MailAddress]) -> list[list[str]]:
        """Those of whom the sender wants to hear, with their ORCPT."""
        wishes = [(str(one), letter.wish.of(one)) for one in recipients]
        return [[address, wish.original] for address, wish in wishes if wish.wants(Notify.SUCCESS)]

    async def _parcel(
        self,
        letter: Letter,
        owner: OwnerId,
        public_key: bytes,
        addressed_to: str,
        placing: Placing,
        number: int,
        duty: tasks.NewTask | None,
        hold: PreparedHold | None = None,
    ) -> Parcel:
        key = self._sealer.key_for(owner, public_key)
        blob = new_id(self._clock, self._chance)
        octets = len(letter.contents)
        body_octets, inline, place = seal.object_size(octets), None, ""
        if body_octets <= blobs.INLINE_BYTES_MAX:
            inline = key.encrypt(messages.BODY_KIND, number, letter.contents.whole())
        else:
            place = blobs.place_of(lane_of(owner), owner, blob)
            pieces = key.encrypt_pieces(messages.BODY_KIND, number, letter.contents.pieces())
            await self._bodies.put_pieces(place, pieces)
        new = messages.NewMessage(
            message=number,
            size_bytes=octets,
            key_epoch=key.epoch,
            summary_sealed=key.encrypt(messages.SUMMARY_KIND, number, letter.summary.to_bytes()),
            message_id_hmac=self._public.lookup.message_id(letter.message_id),
            blob=blob,
            body_size_bytes=body_octets,
            body_inline=inline,
            body_place=place,
            state=MessageState.HELD if hold else MessageState.VISIBLE if duty is None else MessageState.PENDING,
            direction=placing.direction,
            received_ms=to_ms(self._clock.now()),
            conversation=placing.conversation,
        )
        known_by = await aside(octets, letter.fingerprint, self._public.lookup.fingerprint_key)
        digested = received.digest(letter.peer_name, str(letter.sender or ""), addressed_to, known_by)
        reseals = None
        if duty is None and not key.kept:
            due_ms = new.received_ms + RESEAL_AFTER_MS
            reseals = tasks.NewTask(new_id(self._clock, self._chance), TASK_RESEAL, b"{}", due_ms)
        put = Put(self._clock, new, key, digested, placing, hold or duty, letter.peer_name, reseals=reseals)
        return Parcel(owner, new, key, put)

    def message_id_hmac(self, message_id: str) -> bytes:
        """The keyed hash under which a Message-ID is traced."""
        return self._public.lookup.message_id(message_id)

    async def commit(self, parcels: Sequence[Parcel]) -> list[int]:
        """Put every parcel; all are durable when this returns. Raises StorageUnavailable (a repeat is safe)."""
        writes = [self._store.write(lane_of(p.owner), p.put, size_bytes=p.new.body_size_bytes) for p in parcels]
        numbers = [await writes[0]] if len(writes) == 1 else await asyncio.gather(*writes)
        self.delivered(parcels)
        for parcel, number in zip(parcels, numbers, strict=True):
            if parcel.new.body_place and (parcel.for_nobody or number != parcel.new.message):
                self._throw_away(parcel.new.body_place)
        return list(numbers)

    def delivered(self, parcels: Sequence[Parcel]) -> None:
        """After the commit: remember that the keys are kept, tell whoever watches."""
        for parcel in parcels:
            parcel.key.kept = True
            self._bus.publish(changes.FOLDER, parcel.owner)
        if any(parcel.new.state is not MessageState.VISIBLE or parcel.put.owes for parcel in parcels):
            self._bus.publish(changes.DUTY)

    def _throw_away(self, place: str) -> None:
        """A body that no row needs. Nobody waits for it; one that stays after a crash is rubbish, nothing worse."""
        throwing = asyncio.create_task(self._bodies.delete(place))
        self._thrown.add(throwing)
        throwing.add_done_callback(self._thrown.discard)


def forget_nobodys(connection: Connection, task: tasks.Task) -> None:
    """What was kept for an absent patient goes when the sender has been told: the duty bears the message's number."""
    messages.delete_message(connection, task.owner, task.id)
    messages.delete_keys(connection, task.owner)
