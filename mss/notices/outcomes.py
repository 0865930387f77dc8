"""What does the house note when a courier comes back? Audit rows for the trace, and what a sender is owed.

Each note is in the transaction that ends or puts off the row of the queue. What another server said goes into the
sender's notice only, sealed; the audit keeps reasons and codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mss.directory.extras import is_listed
from mss.formats.dsn import Action, RecipientStatus
from mss.mail.queue import Outgoing
from mss.model.clock import Clock, to_ms
from mss.model.ids import MailAddress, matricule_of
from mss.model.verdict import Reason
from mss.notices.send import ReportDuties
from mss.store import addressnotes, audit, peerrooms
from mss.store.sql import Connection

ACTOR = "courier"
NOBODY_THERE = frozenset(("5.1.1", "5.1.6", "5.1.10", "5.2.1"))
"""Another server says that nobody reads there (RFC 3463); anything else says something of the message, or of us."""


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
        for address in _listed(connection, recipients):
            addressnotes.accepted(connection, address, to_ms(self.clock.now()))

    def failed(self, connection: Connection, mail: Outgoing, failures: Sequence[RecipientStatus]) -> None:
        """It will never reach these."""
        self._note(connection, mail, "mail.failed", ", ".join(sorted({one.status for one in failures})))
        dead = [one for one in failures if one.status in NOBODY_THERE or one.reason == Reason.EXPIRED]
        gone = [MailAddress.parse(one.final_recipient) for one in dead]
        for address in _listed(connection, gone):
            addressnotes.bounced(connection, address, to_ms(self.clock.now()))

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


def _listed(connection: Connection, recipients: Sequence[MailAddress]) -> list[str]:
    """Those that a directory lists: of nobody else is written down whether he answers. A patient never is."""
    plain = [one.key for one in recipients if matricule_of(one) is None]
    return [key for key in dict.fromkeys(plain) if is_listed(connection, key)]
