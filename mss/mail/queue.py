"""Mail waiting to leave: put there in the transaction of its cause, taken under a lease, ended with a result.

One row for each next hop. Envelope and body key are sealed to the house's `outbound` pair, so a process that only
puts mail in cannot take it out. Every row ends as sent or failed (and its sender told), or waits for a human; none
ends silently.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from mss.crypto import seal
from mss.crypto.keys import PublicKeys
from mss.crypto.seal import KeyPair
from mss.mail.contents import Contents, Octets
from mss.mail.holding import Holder
from mss.model.clock import Chance, Clock, from_ms, to_ms
from mss.model.errors import NotFound
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.message import NOTHING_WISHED, DsnWish, Notify, RecipientWish, Returned
from mss.store import blobs, messages, schema, tasks
from mss.store.blobs import BodyStore
from mss.store.database import Store
from mss.store.ids import new_id
from mss.store.sql import Connection
from mss.store.tasks import NewQueued, Queued, RowState

LIFETIME = timedelta(days=4)
"""How long a peer may be away before the sender is told that delivery failed (RFC 5321 §4.5.4.1: 4–5 days)."""
LEASE_S = 300
"""A courier that dies frees its mail after this; it renews while it sends."""
ATTEMPTS_BEFORE_EXPIRY = 32
"""Eight until the pause is an hour, then a day of them: a clock that jumps ahead by years fails no mail."""
DELAY_TOLD_AFTER = timedelta(hours=4)
"""A sender is told once that his mail is late: early enough to telephone, late enough for a peer to restart."""
ATTEMPTS_BEFORE_DELAY_TOLD = 8
"""An hour of attempts: a clock that jumps ahead makes nobody worry."""
RETRY_FIRST_S = 15.0
RETRY_MAX_S = 3600.0
"""First retry soon (a peer restarting), then doubling to an hour."""
MAIL_KIND = b"outgoing"
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class OutgoingEnvelope:
    """What the courier says to the next hop. `sender` None is the null reverse path."""

    sender: MailAddress | None
    recipients: tuple[MailAddress, ...]
    message_id: str
    wish: DsnWish = NOTHING_WISHED
    """What the sender asked of delivery reports, passed on as it came (RFC 3461 §5.2.1)."""

    def to_bytes(self) -> bytes:
        sender = "" if self.sender is None else str(self.sender)
        to = [[str(one), *_wish_to_list(self.wish.of(one))] for one in self.recipients]
        return json.dumps([sender, to, self.message_id, self.wish.returned, self.wish.envelope_id]).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> OutgoingEnvelope:
        sender, to, message_id, returned, envelope_id = json.loads(data)
        recipients = tuple(MailAddress.parse(text) for text, _, _ in to)
        wishes = {
            recipient.key: RecipientWish(frozenset(map(Notify, notify)), original)
            for recipient, (_, notify, original) in zip(recipients, to, strict=True)
            if notify or original
        }
        wish = DsnWish(Returned(returned) if returned else None, envelope_id, wishes)
        return cls(MailAddress.parse(sender) if sender else None, recipients, message_id, wish)


def _wish_to_list(wish: RecipientWish) -> tuple[list[Notify], str]:
    return sorted(wish.notify), wish.original


@dataclass(frozen=True, slots=True)
class PreparedMail:
    """Mail sealed and its body durable; `put` writes the row in somebody's transaction."""

    owner: OwnerId
    mail: NewQueued
    body: messages.StoredBody
    addressed_to: str
    """Its recipients in one order: the same bytes to others of the same domain are other mail."""

    def put(self, connection: Connection) -> None:
        messages.insert_blob(connection, self.owner, self.body)
        tasks.add_queued(connection, self.owner, self.mail)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Mail under a courier's lease, opened."""

    row: Queued
    envelope: OutgoingEnvelope
    raw: bytes

    @property
    def created_at(self) -> datetime:
        return from_ms(self.row.created_ms)


def context(owner: int, row_id: int) -> bytes:
    """What binds a sealed envelope or body key to its row."""
    return b"outgoing %d/%d" % (owner, row_id)


def retry_after_s(attempts: int, first_s: float = RETRY_FIRST_S) -> float:
    """Pause before the next attempt: 15 s doubling to an hour."""
    return min(first_s * 2.0 ** max(0, attempts - 1), RETRY_MAX_S)


def is_expired(row: Queued, now: datetime) -> bool:
    """Too old, and tried long enough to say so, whatever the clock did meanwhile."""
    return row.expires_ms <= to_ms(now) and row.attempts >= ATTEMPTS_BEFORE_EXPIRY


def delay_is_due(row: Queued, now: datetime) -> bool:
    """Late by the clock and by attempts, and not told of yet."""
    is_late = row.created_ms + DELAY_TOLD_AFTER // MILLISECOND <= to_ms(now)
    return is_late and row.attempts >= ATTEMPTS_BEFORE_DELAY_TOLD and not row.delay_told


class QueuePutter:
    """Puts mail in; holds public keys only."""

    def __init__(self, bodies: BodyStore, public: PublicKeys, clock: Clock, chance: Chance) -> None:
        self._bodies = bodies
        self._public = public
        self._clock = clock
        self._chance = chance

    async def prepare(
        self, owner: OwnerId, next_hop: str, envelope: OutgoingEnvelope, raw: Octets, *, delay_s: float = 0.0
    ) -> PreparedMail:
        """Seal mail for one next hop and put a large body on disk. Raises StorageUnavailable."""
        now_ms = to_ms(self._clock.now())
        row_id, blob = new_id(self._clock, self._chance), new_id(self._clock, self._chance)
        key = self._chance.token(seal.KEY_BYTES)
        contents, body_place = Contents.of(raw), seal.place(owner, MAIL_KIND, row_id)
        body_octets, inline, place = seal.object_size(len(contents)), None, ""
        if body_octets <= blobs.INLINE_BYTES_MAX:
            inline = seal.encrypt_object(key, body_place, contents.whole())
        else:
            place = blobs.place_of(lane_of(owner), owner, blob)
            await self._bodies.put_pieces(place, seal.encrypt_pieces(key, body_place, contents.pieces()))
        public, where = self._public.outbound, context(owner, row_id)
        mail = NewQueued(
            id=row_id,
            next_hop=next_hop,
            envelope_sealed=seal.seal_to(public, envelope.to_bytes(), where, self._chance),
            body_key_sealed=seal.seal_to(public, key, where, self._chance),
            blob=blob,
            message_id_hmac=self._public.lookup.message_id(envelope.message_id),
            created_ms=now_ms,
            next_try_ms=now_ms + int(delay_s * 1000),
            expires_ms=now_ms + int(LIFETIME.total_seconds() * 1000),
        )
        addressed_to = " ".join(sorted(recipient.key for recipient in envelope.recipients))
        return PreparedMail(owner, mail, messages.StoredBody(blob, body_octets, place, inline), addressed_to)


class QueueTaker:
    """Takes mail out for the courier; needs the private outbound key."""

    def __init__(
        self,
        store: Store,
        bodies: BodyStore,
        outbound: KeyPair,
        clock: Clock,
        worker: str,
        *,
        retry_first_s: float = RETRY_FIRST_S,
        holder: Holder | None = None,
        staff_domain: str = "",
    ) -> None:
        """`holder`, `staff_domain`: so that what is parked is watched; without, it only waits."""
        self._holder = holder
        self._staff_domain = staff_domain
        self._store = store
        self._bodies = bodies
        self._outbound = outbound
        self._clock = clock
        self._worker = worker
        self._retry_first_s = retry_first_s

    def pause_s(self, attempts: int) -> float:
        """How long mail waits that was tried so often."""
        return retry_after_s(attempts, self._retry_first_s)

    async def claim(self, limit: int, *, without: Collection[str] = ()) -> list[Queued]:
        """Lease up to `limit` rows that are due, from whichever lanes have some, but none for the hops in `without`:
        a host that is away or busy must not fill the courier's hands."""
        now_ms = to_ms(self._clock.now())
        claimed: list[Queued] = []
        for lane in await self._store.read(lambda c: tasks.lanes_with_due(c, schema.queue, now_ms, without)):
            room = limit - len(claimed)
            if room <= 0:
                break
            claimed += await self._claim_lane(lane, now_ms, room, without)
        return claimed

    async def _claim_lane(self, lane: int, now_ms: int, room: int, without: Collection[str]) -> list[Queued]:
        until_ms = now_ms + LEASE_S * 1000
        return await self._store.write(
            lane, lambda c: tasks.claim_queued(c, lane, self._worker, now_ms, until_ms, room, without)
        )

    async def next_due(self) -> datetime | None:
        """When to look again; None when nothing waits."""
        moment = await self._store.read(lambda c: tasks.next_due_ms(c, schema.queue))
        return None if moment is None else from_ms(moment)

    async def load(self, row: Queued) -> Outgoing:
        """Open leased mail. Raises NotFound, SealBroken (then the row is parked for a human)."""
        where = context(row.owner, row.id)
        envelope = OutgoingEnvelope.from_bytes(seal.open_sealed(self._outbound, row.envelope_sealed, where))
        key = seal.open_sealed(self._outbound, row.body_key_sealed, where)
        stored = await self._store.look_up(lambda c: messages.body_of(c, row.owner, row.blob))
        if stored is None:
            raise NotFound("body of queued mail")
        ciphertext = stored.inline if stored.inline is not None else await self._bodies.get(stored.place)
        return Outgoing(row, envelope, seal.decrypt_object(key, seal.place(row.owner, MAIL_KIND, row.id), ciphertext))

    async def renew(self, row: Queued) -> bool:
        """Keep the lease while sending; False when it was lost."""
        until_ms = to_ms(self._clock.now()) + LEASE_S * 1000
        return await self._store.write(
            lane_of(row.owner), lambda c: tasks.renew_lease(c, row.owner, row.id, self._worker, until_ms)
        )

    async def end(self, row: Queued, also: Callable[[Connection], None]) -> None:
        """Done with this row, one way or the other; `also` (audit, a notice's task) is in the same transaction."""

        def act(connection: Connection) -> None:
            tasks.finish(connection, schema.queue, row.owner, [row.id])
            messages.delete_blob(connection, row.owner, row.blob)
            also(connection)

        await self._store.write(lane_of(row.owner), act)

    async def defer(
        self, row: Queued, reason: str, also: Callable[[Connection], None], *, delay_told: bool = False
    ) -> None:
        """Not now: try again after the backoff. `delay_told`: its sender is owed the notice that it is late."""
        when_ms = to_ms(self._clock.now()) + int(self.pause_s(row.attempts) * 1000)

        def act(connection: Connection) -> None:
            tasks.put_back(connection, schema.queue, row.owner, row.id, when_ms, reason)
            if delay_told:
                tasks.mark_delay_told(connection, row.owner, row.id)
            also(connection)

        await self._store.write(lane_of(row.owner), act)

    async def bring_forward(self, next_hop: str, reason: str) -> int:
        """Its host is back: what waited because of that need not wait for its own hour. How much it was."""
        now_ms, forward = to_ms(self._clock.now()), 0
        for lane in await self._store.read(lambda c: tasks.lanes_kept_from(c, next_hop, reason)):

            def act(connection: Connection, lane: int = lane) -> int:
                return tasks.bring_forward(connection, lane, next_hop, reason, now_ms)

            forward += await self._store.write(lane, act)
        return forward

    async def park(self, row: Queued, reason: str) -> None:
        """Something of ours is wrong with this row: keep it for a human, who is told."""
        hold = self._holder.parked(row, reason, self._staff_domain) if self._holder else None

        def act(connection: Connection) -> None:
            tasks.set_row_state(connection, schema.queue, row.owner, row.id, RowState.FAILED, reason)
            if hold is not None:
                hold.put(connection)

        await self._store.write(lane_of(row.owner), act)
