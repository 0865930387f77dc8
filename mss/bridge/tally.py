"""What does the bridge count of a message to a patient? Whose it is, of which type, with a qualified INS or not.

In the transaction of the verdict, since only here is it in clear. No row names the patient.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from mss.bridge.case import INS_HEADER, Case
from mss.mail.counting import day_of
from mss.mail.ledger import SHOWN, Ledger
from mss.model.clock import from_ms
from mss.model.ids import lane_of
from mss.model.mailbox import MailboxKind
from mss.store import indicators
from mss.store.indicators import Count
from mss.store.sql import Connection
from mss.store.tasks import Task

TO_PATIENT, FILED = "to-patient", "filed"
BOX = MailboxKind.PATIENT.value
_CODE = re.compile(r"[A-Za-z0-9._-]{1,48}", re.ASCII)


def judged(connection: Connection, case: Case) -> None:
    """One message to a patient."""
    indicators.add(connection, lane_of(case.keys.owner), {_count(case, TO_PATIENT): 1})


def filed(connection: Connection, case: Case, new: Sequence[int]) -> None:
    """The documents of a message that were new to the record, by their places in it."""
    codes = Counter(_code(case, place) for place in new)
    counts = {_count(case, FILED, code): n for code, n in codes.items()}
    indicators.add(connection, lane_of(case.keys.owner), counts)


def shown(connection: Connection, case: Case, task: Task, ledger: Ledger) -> None:
    """A mail that brought no document, for its sender's own table: nobody is told of it otherwise."""
    if case.sender is not None:
        ledger.note(connection, task.owner, task.id, case.sender, (case.message_id, case.stored.message), SHOWN)


def _code(case: Case, place: int) -> str:
    code = case.reading.documents[place].entry.type.code
    return code if _CODE.fullmatch(code) else "other"


def _count(case: Case, what: str, code: str = "") -> Count:
    """Under the day on which it came."""
    said = (case.structure.header(INS_HEADER) or "").strip().upper()
    ins = said if said in ("O", "N") and case.reading.documents else ""
    peer = "" if case.sender is None else case.sender.domain
    return Count(day_of(from_ms(case.stored.received_ms)), what, peer, BOX, case.sent_from, code, ins)
