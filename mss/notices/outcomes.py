"""What does the house note when a courier comes back? Audit rows for the trace, and what a sender is owed.

Each note is in the transaction that ends or puts off the row of the queue. What another server said goes into the
sender's notice only, sealed; the audit keeps reasons and codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mss.formats.dsn import Action, RecipientStatus
from mss.mail.queue import Outgoing
from mss.model.clock import Clock, to_ms
from mss.model.ids import MailAddress
from mss.notices.send import ReportDuties
from mss.store import audit, peerrooms
from mss.store.sql import Connection

ACTOR = "courier"


@dataclass(frozen=True, slots=True)
class CourierNotes:
    """Keeps the promise of `Outcomes` (mss/smtp/settling.py)."""

    duties: ReportDuties
    clock: Clock

    def learned_room(self, connection: Connection, domain: str, octets: int) -> None:
        """So that a larger message is refused to its sender in words, before it is taken (mss/mail/submit.py)."""
        peerrooms.learn(connection, domain, octets, to_ms(self.clock.now()))

    def relayed(self, connection: Connection, mail: Outgoing, recipients: Sequence[MailAddress], host: str) -> None:
        """Another operator has taken it for these."""
        self._note(connection, mail, "mail.relayed", host)

    def failed(self, connection: Connection, mail: Outgoing, failures: Sequence[RecipientStatus]) -> None:
        """It will never reach these."""
        self._note(connection, mail, "mail.failed", ", ".join(sorted({one.status for one in failures})))

    def put_off(self, connection: Connection, mail: Outgoing, why: str) -> None:
        """Not now. The first time is worth a line of the trace; a peer that is down for days is not worth hundreds."""
        if mail.row.attempts == 1:
            self._note(connection, mail, "mail.deferred", why)

    def tell(self, connection: Connection, mail: Outgoing, statuses: Sequence[RecipientStatus]) -> None:
        """The sender is owed a report on these, as far as he wants to be told."""
        if any(status.action is Action.DELAYED for status in statuses):
            self._note(connection, mail, "mail.late", "")
        self.duties.report(connection, mail, statuses)

    def _note(self, connection: Connection, mail: Outgoing, act: str, result: str) -> None:
        row = mail.row
        done = audit.Act(self.clock.now(), ACTOR, act, row.owner, row.id, row.message_id_hmac, result)
        audit.write(connection, [done])
