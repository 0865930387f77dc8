"""Where does a message that we send go? To mailboxes of ours at once, to other operators by the queue.

One row in the queue for each domain. Everything is durable when `send` returns; whoever repeats the very same
message changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from mss.crypto.keys import Lookup
from mss.mail.contents import aside
from mss.mail.delivery import Delivery
from mss.mail.holding import Doubt, Held, Holder
from mss.mail.parcels import Letter, Parcel
from mss.mail.queue import OutgoingEnvelope, PreparedMail, QueuePutter
from mss.mail.recipients import House, Recipients
from mss.mail.sentcopies import SentCopy
from mss.mail.unanswered import Answer
from mss.mail.vigil import Vigil
from mss.model.clock import Clock, to_ms
from mss.model.ids import MailAddress, OwnerId, lane_of, matricule_of
from mss.store import audit, changes, owners, received, schema, tasks
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.records import HeldWhat
from mss.store.sql import Connection
from mss.store.tasks import RowState

Also = Callable[[Connection], None]


def nothing_more(_connection: Connection) -> None:
    """The default companion of a transaction."""


class Dispatch:
    """Sends letters of the house, of logins and of patients."""

    def __init__(
        self,
        house: House,
        store: Store,
        recipients: Recipients,
        delivery: Delivery,
        putter: QueuePutter,
        lookup: Lookup,
        bus: ChangeBus,
        clock: Clock,
        holder: Holder,
        vigil: Vigil | None = None,
    ) -> None:
        self._house = house
        self._store = store
        self._recipients = recipients
        self._delivery = delivery
        self._putter = putter
        self._lookup = lookup
        self._bus = bus
        self._clock = clock
        self._holder = holder
        self._vigil = vigil

    async def send(
        self,
        origin: OwnerId,
        letter: Letter,
        recipients: Sequence[MailAddress],
        *,
        also: Also = nothing_more,
        own_copy: Parcel | SentCopy | None = None,
        answer: Answer | None = None,
    ) -> None:
        """Send a letter on behalf of `origin`. `also`, `own_copy` (a Sent copy) and `answer` (to patients who wait in
        origin's mailbox) are in origin's transaction together with its queue rows. Raises StorageUnavailable; a repeat
        is safe."""
        ours: list[MailAddress] = []
        remote: dict[tuple[str, str], list[MailAddress]] = {}
        for recipient in dict.fromkeys(recipients):
            is_ours = recipient.domain in self._house.domains
            alone = recipient.key if matricule_of(recipient) else ""  # no patient's server reads of another patient
            (ours if is_ours else remote.setdefault((recipient.domain, alone), [])).append(recipient)
        within_s = self._house.unreachable_delay_max_s
        parcels = await self._delivery.incoming(letter, ours, self._recipients.reachable, within_s)
        queued = [await self._prepare_remote(origin, letter, domain, to) for (domain, _), to in remote.items()]
        # Mailboxes first: should the rest fail, the sender repeats and what stands already stays single.
        await self._delivery.commit(parcels)
        await self._delivery.owe_receipts(letter, parcels, within_s)
        now_ms = to_ms(self._clock.now())
        own_answer = answer if answer is not None and answer.owner == origin else None

        def originate(connection: Connection) -> None:
            self._originate(connection, origin, letter, queued, own_copy, also)
            if own_answer is not None:
                own_answer.put(connection, now_ms)

        await self._store.write(lane_of(origin), originate)
        if answer is not None and own_answer is None:  # by a delegate: another's mailbox, and so another lane
            await self._store.write(lane_of(answer.owner), lambda c: answer.put(c, now_ms))
        if answer is not None:
            self._bus.publish(changes.FOLDER, answer.owner)
        if self._vigil is not None:
            self._vigil.look(letter, parcels)
        if own_copy is not None:
            self._delivery.delivered([own_copy.parcel if isinstance(own_copy, SentCopy) else own_copy])
        self._bus.publish(changes.TASK)

    async def _prepare_remote(
        self, origin: OwnerId, letter: Letter, domain: str, recipients: list[MailAddress]
    ) -> PreparedMail:
        envelope = OutgoingEnvelope(letter.sender, tuple(recipients), letter.message_id, letter.wish)
        # RFC 5321 §4.4: Return-Path is the last hop's to write
        raw = await letter.contents.without_fields("Return-Path")
        await aside(len(raw), letter.fingerprint, self._lookup.fingerprint_key)  # not while the writer waits
        return await self._putter.prepare(origin, domain, envelope, raw)

    def _originate(
        self,
        connection: Connection,
        origin: OwnerId,
        letter: Letter,
        queued: list[PreparedMail],
        own_copy: Parcel | SentCopy | None,
        also: Also,
    ) -> None:
        now = self._clock.now()
        if own_copy is not None:
            owners.lock(connection, own_copy.owner)
        message_id_hmac = self._lookup.message_id(letter.message_id)
        for mail in queued:
            sender = str(letter.sender or "")
            known_by = letter.fingerprint(self._lookup.fingerprint_key)
            digested = received.digest(letter.peer_name, sender, f"queue {mail.addressed_to}", known_by)
            if received.remember(connection, origin, digested, mail.mail.id, to_ms(now)) != mail.mail.id:
                continue  # queued by an earlier attempt
            mail.put(connection)
            act = audit.Act(
                now, letter.peer_name, "mail.queued", origin, mail.mail.id, message_id_hmac, mail.mail.next_hop
            )
            audit.write(connection, [act])
            if letter.doubt is not None:
                self._hold(connection, letter, letter.doubt, mail, act)
        if own_copy is not None:
            own_copy.put(connection)
        also(connection)

    def _hold(
        self, connection: Connection, letter: Letter, doubt: Doubt, mail: PreparedMail, queued: audit.Act
    ) -> None:
        """What the antivirus objects to stays in the queue until it is decided."""
        row = mail.mail
        domain = letter.sender.domain if letter.sender else ""
        ours = domain if domain in self._house.domains else self._house.postmaster.domain
        held = Held(mail.owner, HeldWhat.OUTGOING, row.id, doubt.reason, ours, row.message_id_hmac)
        sender, subject = str(letter.sender or ""), letter.summary.subject
        self._holder.quarantine(held, doubt, sender, letter.message_id, subject).put(connection)
        tasks.set_row_state(connection, schema.queue, mail.owner, row.id, RowState.HELD, doubt.reason)
        audit.write(connection, [replace(queued, act="mail.held", result=doubt.reason)])
