"""What is written down when an attempt is over?

Each recipient ends as relayed or failed, or stays for later; all of it in one transaction, together with what the
sender is owed: one report for all that there is to tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from mss.formats.dsn import RecipientStatus
from mss.mail.queue import (
    Outgoing,
    OutgoingEnvelope,
    PreparedMail,
    QueuePutter,
    QueueTaker,
    delay_is_due,
    is_expired,
)
from mss.model.clock import Clock, from_ms
from mss.model.errors import NotFound, SealBroken
from mss.model.ids import MailAddress, OwnerId
from mss.model.verdict import Reason
from mss.smtp import journal, outcome
from mss.smtp.outcome import Sent, Setback
from mss.store.sql import Connection
from mss.store.tasks import Queued


class Outcomes(Protocol):
    """What the house notes of an attempt, in the transaction that ends or puts off the row."""

    def learned_room(self, connection: Connection, domain: str, octets: int) -> None:
        """How large a message the servers of a domain take."""
        ...

    def relayed(self, connection: Connection, mail: Outgoing, recipients: Sequence[MailAddress], host: str) -> None:
        """Another operator has taken it for these."""

    def failed(self, connection: Connection, mail: Outgoing, failures: Sequence[RecipientStatus]) -> None:
        """It will never reach these."""

    def put_off(self, connection: Connection, mail: Outgoing, why: str) -> None:
        """Not now; `why` is a reason and codes, no words of strangers."""

    def tell(self, connection: Connection, mail: Outgoing, statuses: Sequence[RecipientStatus]) -> None:
        """The sender is owed a report on these, as far as he wants to be told."""


class Settling:
    """Ends rows and puts them off."""

    def __init__(self, queue: QueueTaker, putter: QueuePutter, outcomes: Outcomes, clock: Clock) -> None:
        self._queue = queue
        self._putter = putter
        self._outcomes = outcomes
        self._clock = clock

    async def settle(self, mail: Outgoing, sent: Sent) -> None:
        """Write down what became of it, all in one transaction."""
        now, row = self._clock.now(), mail.row
        later = sent.later
        failures = [outcome.failed(recipient, setback, sent.host, now) for recipient, setback in sent.refused.items()]
        if is_expired(row, now):
            failures += [outcome.expired(recipient, setback, sent.host, now) for recipient, setback in later.items()]
            later = {}
        told = [*failures, *self._receipts(sent), *self._delays(row, later, sent.host)]
        why = next((setback.told for setback in later.values()), "")
        if later and not sent.accepted and not failures:
            journal.put_off(row.id, row.next_hop, why)
            also = partial(self._note_put_off, mail, why, told)
            await self._queue.defer(row, why, also, delay_told=delay_is_due(row, now))
            return
        again = await self._prepare_again(mail, tuple(later)) if later else None
        if sent.accepted:
            journal.relayed(row.id, sent.host, len(sent.accepted))
        for failure in failures:
            journal.failed(row.id, row.next_hop, f"{failure.reason} {failure.status}")

        def note(connection: Connection) -> None:
            if sent.room:
                self._outcomes.learned_room(connection, row.next_hop, sent.room)
            if sent.accepted:
                self._outcomes.relayed(connection, mail, sent.accepted, sent.host)
            if failures:
                self._outcomes.failed(connection, mail, failures)
            if again is not None:
                again.put(connection)
                self._outcomes.put_off(connection, mail, why)
            self._outcomes.tell(connection, mail, told)

        await self._queue.end(row, note)

    def _receipts(self, sent: Sent) -> list[RecipientStatus]:
        """A server that knows nothing of reports sends none: we say how far we got (RFC 3461 §5.2.2)."""
        if sent.takes_wishes:
            return []
        return [outcome.relayed(recipient, sent.host, self._clock.now()) for recipient in sent.accepted]

    def _delays(self, row: Queued, later: dict[MailAddress, Setback], host: str) -> list[RecipientStatus]:
        now, until = self._clock.now(), from_ms(row.expires_ms)
        if not delay_is_due(row, now):
            return []
        return [outcome.delayed(recipient, setback, host, now, until) for recipient, setback in later.items()]

    def _note_put_off(self, mail: Outgoing, why: str, told: Sequence[RecipientStatus], connection: Connection) -> None:
        self._outcomes.put_off(connection, mail, why)
        self._outcomes.tell(connection, mail, told)

    async def _prepare_again(self, mail: Outgoing, recipients: tuple[MailAddress, ...]) -> PreparedMail:
        """A row for those who are still to get it. It is as old as the first, so it ends when that would have."""
        row, old = mail.row, mail.envelope
        envelope = OutgoingEnvelope(old.sender, recipients, old.message_id, old.wish)
        delay_s = self._queue.pause_s(row.attempts)
        prepared = await self._putter.prepare(OwnerId(row.owner), row.next_hop, envelope, mail.raw, delay_s=delay_s)
        aged = replace(
            prepared.mail,
            created_ms=row.created_ms,
            expires_ms=row.expires_ms,
            attempts=row.attempts,
            delay_told=int(row.delay_told or delay_is_due(row, self._clock.now())),
        )
        return replace(prepared, mail=aged)

    async def put_off_untried(self, row: Queued, why: str) -> None:
        """A row that was not tried because its host does not answer; one that is late or too old is told of all the
        same."""
        now = self._clock.now()
        if is_expired(row, now) or delay_is_due(row, now):
            try:
                mail = await self._queue.load(row)
            except (NotFound, SealBroken) as problem:
                await self.park(row, problem)
                return
            await self.settle(mail, all_later(mail, Setback(Reason.PEER_UNREACHABLE, why), row.next_hop))
            return
        journal.put_off(row.id, row.next_hop, why)
        await self._queue.defer(row, why, lambda _connection: None)

    async def park(self, row: Queued, problem: Exception) -> None:
        """It cannot be opened: it waits for a human."""
        journal.parked(row.id, type(problem).__name__)
        await self._queue.park(row, type(problem).__name__)


def all_later(mail: Outgoing, setback: Setback, host: str) -> Sent:
    """None of its recipients has it yet."""
    return Sent(host, later=dict.fromkeys(mail.envelope.recipients, setback))


def all_refused(mail: Outgoing, setback: Setback) -> Sent:
    """None of its recipients will ever have it."""
    return Sent("", refused=dict.fromkeys(mail.envelope.recipients, setback))
