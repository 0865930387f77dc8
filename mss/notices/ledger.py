"""What was a sending mailbox told about each of its mails? Written with the answer, read for its own table.

A row is written in the transaction that ends the duty of telling: with the answer, or where one was owed that nobody
asked for (a success without MDN). So the table says nothing that the notices did not say, and a patient who cannot be
reached appears in it when, and only if, her sender was told. Message-IDs, fates, reasons as they were told, codes; no
name, no address of a patient, no subject, no title.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from mss.crypto import seal
from mss.crypto.keys import Lookup
from mss.crypto.seal import KeyPair
from mss.formats import mdn
from mss.mail.answers import Answer
from mss.mail.letters import PARIS
from mss.model.clock import Chance, Clock, from_ms, to_ms
from mss.model.errors import SealBroken
from mss.model.ids import MailAddress, lane_of
from mss.model.verdict import Reason
from mss.notices.compose import FAILURES
from mss.store import outcomes
from mss.store.outcomes import OutcomeRow
from mss.store.sql import Connection
from mss.store.tasks import Task

COLUMNS = ("at", "message_id", "outcome", "code", "reason", "documents")
LINES_MAX = 50_000
"""Of one table: more than any laboratory sends in a day; what is left out is said."""


@dataclass(frozen=True, slots=True)
class Told:
    """One line. `code`: of ANS, 0 where nothing failed."""

    fate: str
    reason: str = ""
    code: int = 0
    documents: int = 0


def told_of(owed: Answer) -> Told:
    """An answer as a line says it."""
    reason = owed.reason.value if owed.reason else ""
    code = 0
    if owed.fate in FAILURES:
        code = owed.code or int(mdn.CODES.get(owed.reason or Reason.UNREADABLE, mdn.ErrorCode.OTHER))
    return Told(owed.fate.value, reason, code, len(owed.documents))


UNREACHABLE = Told(Reason.UNREACHABLE.value, Reason.UNREACHABLE.value)


class Ledger:
    """Writes with public keys; reads with the house's `tasks` pair."""

    def __init__(self, lookup: Lookup, pair: KeyPair, clock: Clock, chance: Chance) -> None:
        self._lookup = lookup
        self._pair = pair
        self._clock = clock
        self._chance = chance

    def note(self, connection: Connection, task: Task, sender: MailAddress, message_id: str, told: Told) -> None:
        """In the transaction that ends the duty `task`."""
        detail = json.dumps([sender.key, message_id]).encode()
        lane = lane_of(task.owner)
        row = OutcomeRow(
            lane=lane,
            id=task.id,
            sender_hmac=self.hashed(sender),
            at_ms=to_ms(self._clock.now()),
            fate=told.fate,
            reason=told.reason,
            code=told.code,
            documents=told.documents,
            detail_sealed=seal.seal_to(self._pair.public, detail, _context(lane, task.id), self._chance),
        )
        outcomes.add(connection, row)

    def hashed(self, sender: MailAddress) -> bytes:
        """Under which a sending mailbox's rows are found."""
        return self._lookup.of("outcome-sender", sender.key)

    def lines(self, connection: Connection, sender: MailAddress, first: date, last: date) -> list[dict[str, Any]]:
        """A sender's table of these days (in Paris, both included), for `COLUMNS`."""
        from_ms_, until_ms = to_ms(_midnight(first)), to_ms(_midnight(last + timedelta(days=1)))
        rows = outcomes.of_sender(connection, self.hashed(sender), from_ms_, until_ms, LINES_MAX)
        return [self._line(row, sender) for row in rows]

    def _line(self, row: OutcomeRow, sender: MailAddress) -> dict[str, Any]:
        opened = seal.open_sealed(self._pair, row.detail_sealed, _context(row.lane, row.id))
        written_for, message_id = json.loads(opened)
        if written_for != sender.key:
            raise SealBroken("an outcome of another sender")
        return {
            "at": f"{from_ms(row.at_ms).astimezone(PARIS):%Y-%m-%dT%H:%M:%S%z}",
            "message_id": message_id,
            "outcome": row.fate,
            "code": row.code or None,
            "reason": row.reason,
            "documents": row.documents,
        }


def _context(lane: int, number: int) -> bytes:
    """What binds a sealed detail to its row."""
    return b"outcome %d %d" % (lane, number)


def _midnight(day: date) -> datetime:
    """The beginning of a day in Paris."""
    return datetime.combine(day, time(), PARIS)
