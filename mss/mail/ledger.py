"""What was a sending mailbox told about each of its mails? Written with the answer, read for its own table.

Of mail to patients and to application mailboxes that feed records. A row is written in the transaction that ends the
duty of telling, with the answer, or that shows a mail of which nobody is told: a success that nobody asked about, words
without documents. So the table says nothing that the notices did not say, and a patient who cannot be reached appears
in it when, and only if, her sender was told. Message-IDs, fates, reasons as they were told, codes; no name, no address
of a patient, no subject, no title.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from mss.crypto import seal
from mss.crypto.keys import Lookup
from mss.crypto.seal import KeyPair
from mss.formats import mdn
from mss.mail.answers import FAILURES, Answer, Fate
from mss.mail.letters import PARIS
from mss.model.clock import Chance, Clock, from_ms, to_ms
from mss.model.errors import SealBroken
from mss.model.ids import MailAddress, lane_of
from mss.model.verdict import Reason
from mss.store import outcomes
from mss.store.ids import made_at
from mss.store.outcomes import OutcomeRow
from mss.store.sql import Connection

COLUMNS = ("at", "message_id", "copy", "received_at", "outcome", "code", "reason", "documents")
"""`copy`: the same word in every line about one recipient's copy of a mail. `documents`: how many of them the line is
about; nought of a mail that brought none, or that nobody can be given."""
COPY_HEX_DIGITS = 10
"""A word that two copies of one mail share once in a million million."""
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
SHOWN = Told(Fate.SHOWN.value)
"""Words without a document for the record: given to whom they are for."""


class Ledger:
    """Writes; public keys only."""

    def __init__(self, lookup: Lookup, tasks_key: bytes, clock: Clock, chance: Chance) -> None:
        self._lookup = lookup
        self._tasks_key = tasks_key
        self._clock = clock
        self._chance = chance

    def note(
        self, connection: Connection, owner: int, duty: int, sender: MailAddress, about: tuple[str, int], told: Told
    ) -> None:
        """In the transaction that ends `duty` of that owner. `about`: Message-ID, and the number of the message here,
        by which copies of one mail are told apart."""
        detail = json.dumps([sender.key, *about]).encode()
        lane = lane_of(owner)
        row = OutcomeRow(
            lane=lane,
            id=duty,
            sender_hmac=_hashed(self._lookup, sender),
            at_ms=to_ms(self._clock.now()),
            fate=told.fate,
            reason=told.reason,
            code=told.code,
            documents=told.documents,
            detail_sealed=seal.seal_to(self._tasks_key, detail, _context(lane, duty), self._chance),
        )
        outcomes.add(connection, row)


class LedgerReader:
    """Reads with the house's `tasks` pair."""

    def __init__(self, lookup: Lookup, pair: KeyPair) -> None:
        self._lookup = lookup
        self._pair = pair

    def hashed(self, sender: MailAddress) -> bytes:
        """Under which a sending mailbox's rows are found."""
        return _hashed(self._lookup, sender)

    def lines(self, connection: Connection, sender: MailAddress, first: date, last: date) -> list[dict[str, Any]]:
        """A sender's table of these days (in Paris, both included), for `COLUMNS`."""
        from_ms_, until_ms = to_ms(_midnight(first)), to_ms(_midnight(last + timedelta(days=1)))
        rows = outcomes.of_sender(connection, self.hashed(sender), from_ms_, until_ms, LINES_MAX)
        return [self._line(row, sender) for row in rows]

    def _line(self, row: OutcomeRow, sender: MailAddress) -> dict[str, Any]:
        opened = seal.open_sealed(self._pair, row.detail_sealed, _context(row.lane, row.id))
        written_for, message_id, number = json.loads(opened)
        if written_for != sender.key:
            raise SealBroken("an outcome of another sender")
        return {
            "at": _moment(from_ms(row.at_ms)),
            "message_id": message_id,
            "copy": self._lookup.of("outcome-copy", f"{number}").hex()[:COPY_HEX_DIGITS],
            "received_at": _moment(made_at(number)),
            "outcome": row.fate,
            "code": row.code or None,
            "reason": row.reason,
            "documents": row.documents,
        }


def last_of_each(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each copy what was said of it last: so that sums by outcome add up to the copies, each counted once."""
    return list({(line["message_id"], line["copy"]): line for line in lines}.values())


def _hashed(lookup: Lookup, sender: MailAddress) -> bytes:
    return lookup.of("outcome-sender", sender.key)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(PARIS):%Y-%m-%dT%H:%M:%S%z}"


def _context(lane: int, number: int) -> bytes:
    """What binds a sealed detail to its row."""
    return b"outcome %d %d" % (lane, number)


def _midnight(day: date) -> datetime:
    """The beginning of a day in Paris."""
    return datetime.combine(day, time(), PARIS)
