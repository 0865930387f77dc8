"""What did killing the bridge leave? Each mail against the record, the answers, the hospital's record and its server.

Counted outside: rows by the operator's keyed hashes, answers as the third operator got them, documents as the two
peers of the hospital keep them. A complaint is a sentence with ids.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from mss.store.handovers import OPEN
from tests.campaigns.reports import Report, Wish
from tests.campaigns.surroundings import RECORD, SERVER, Surroundings
from tests.kit.demo import Demo
from tests.kit.onlooker import Onlooker

SETTLE_S_MAX = 120.0
EVENTS = {Wish.FILE: "T02", Wish.REPLACE: "T10", Wish.WITHDRAW: "T04"}
STATUSES = {Wish.REPLACE: "superseded", Wish.WITHDRAW: "entered-in-error"}
"""Of the document that such a mail ends."""
_DUTIES = "SELECT count(*) FROM task WHERE kind IN ('file', 'answer') AND state = 'waiting'"
_GIVEN_UP = "SELECT count(*) FROM task WHERE state = 'failed'"
_QUEUE = "SELECT count(*) FROM queue WHERE state = 'waiting'"
_OWED = f"SELECT count(*) FROM handover WHERE state IN ({', '.join(repr(state.value) for state in OPEN)})"
_MADE = (
    "SELECT d.unique_id_hmac FROM handover h JOIN document d ON d.lane = h.lane AND d.owner = h.owner"
    " AND d.document = h.document WHERE h.owner = ? AND h.sink = ? AND h.act IN ('file', 'replace') ORDER BY h.seq"
)
_LINE = "SELECT id FROM handover WHERE owner = ? AND sink = ? AND act != 'announce' ORDER BY seq"


@dataclass(frozen=True)
class BridgeCount:
    """`again`: answers that came more than once, always under one Message-ID (SMTP cannot do better)."""

    documents: int
    answers: int
    again: int
    complaints: tuple[str, ...]


def count(demo: Demo, around: Surroundings, sent: Iterable[Report]) -> BridgeCount:
    """Wait until nothing is owed any more, then compare."""
    onlooker, reports = Onlooker(demo), list(sent)
    complaints = _settled(onlooker)
    answers = around.answers()
    owners = {report.patient: onlooker.owner(report.patient) for report in reports}
    complaints += _record(onlooker, owners, reports)
    complaints += _answers(answers, reports)
    complaints += _at_the_record(onlooker, around, owners, reports)
    complaints += _at_the_server(around, reports)
    complaints += _in_line_at_the_server(onlooker, around, owners, reports)
    filed = sum(report.wish in (Wish.FILE, Wish.REPLACE) for report in reports)
    again = sum(len(ids) - len(set(ids)) for ids in answers.values())
    return BridgeCount(filed, sum(map(len, answers.values())), again, tuple(complaints))


def _settled(onlooker: Onlooker) -> list[str]:
    """Until every duty is done, every answer has left and every sink has what it is owed."""
    deadline = time.monotonic() + SETTLE_S_MAX
    while True:
        left = {question: onlooker.rows(question)[0][0] for question in (_DUTIES, _QUEUE, _OWED)}
        if not any(left.values()):
            break
        if time.monotonic() > deadline:
            return [f"left: {number} of {question}" for question, number in left.items() if number]
        time.sleep(0.1)
    ((given_up,),) = onlooker.rows(_GIVEN_UP)
    return [f"{given_up} duties given up"] if given_up else []


def _record(onlooker: Onlooker, owners: dict[str, int], reports: list[Report]) -> list[str]:
    """Each document once, in no record but its patient's; what is wrong in none, and held once."""
    found = {patient: onlooker.documents(owner) for patient, owner in owners.items()}
    held = Counter(bytes(row[0]) for row in onlooker.rows("SELECT message_id_hmac FROM held WHERE state = 'waiting'"))
    complaints = []
    for report in reports:
        for patient, owner in owners.items():
            number = found[patient][onlooker.lookup.document(owner, report.document)]
            wanted = int(patient == report.patient and report.wish is not Wish.WRONG)
            if number != wanted:
                complaints.append(f"record: {report.document} {number} times, {wanted} wanted")
        waiting = held[onlooker.lookup.message_id(report.mail.message_id)]
        if waiting != (report.wish is Wish.WRONG):
            complaints.append(f"held: {report.mail.message_id} {waiting} times")
    return complaints


def _answers(answers: dict[str, list[str]], reports: list[Report]) -> list[str]:
    """One Message-ID for each mail, never none."""
    complaints = []
    for report in reports:
        ids = set(answers.get(report.mail.message_id, ()))
        if len(ids) != 1:
            complaints.append(f"answer: {report.mail.message_id} has {len(ids)}")
    return complaints


def _at_the_record(
    onlooker: Onlooker, around: Surroundings, owners: dict[str, int], reports: list[Report]
) -> list[str]:
    """MLLP: each act on each document once, a patient's in the order of filing, versions one after the other."""
    kept = around.record.kept
    acts = Counter((one.event, one.document) for one in kept)
    complaints = []
    for report in reports:
        if report.wish is Wish.WRONG:
            continue
        number = acts[EVENTS[report.wish], _as_hl7(report.document)]
        if number != 1:
            complaints.append(f"{RECORD}: {report.wish} {report.document} {number} times")
    by_patient = defaultdict(list)
    for one in kept:
        by_patient[one.patient].append(one.control_id)
    for patient, owner in owners.items():
        line = [str(row[0]) for row in onlooker.rows(_LINE, [owner, RECORD])]
        if by_patient[patient.partition("@")[0]] != line:
            complaints.append(f"{RECORD}: another order than that of filing, owner {owner}")
    return complaints


def _at_the_server(around: Surroundings, reports: list[Report]) -> list[str]:
    """FHIR: each document once, with the status that its last mail gave it."""
    statuses: dict[str, list[str]] = defaultdict(list)
    for one in around.server.documents:
        statuses[one["masterIdentifier"]["value"]].append(one["status"])
    ended = {report.before or report.document: STATUSES[report.wish] for report in reports if report.wish in STATUSES}
    complaints = []
    for report in reports:
        if report.wish not in (Wish.FILE, Wish.REPLACE):
            continue
        found, wanted = statuses[report.document.partition("^")[2]], [ended.get(report.document, "current")]
        if found != wanted:
            complaints.append(f"{SERVER}: {report.document} is {found}, not {wanted}")
    return complaints


def _in_line_at_the_server(
    onlooker: Onlooker, around: Surroundings, owners: dict[str, int], reports: list[Report]
) -> list[str]:
    """FHIR: a patient's documents in the order of filing."""
    made = [one["masterIdentifier"]["value"] for one in around.server.documents]
    complaints = []
    for patient, owner in owners.items():
        documents = {report.document.partition("^")[2]: report.document for report in reports}
        hers = {report.document for report in reports if report.patient == patient}
        hashed = {onlooker.lookup.document(owner, document): document for document in hers}
        line = [hashed.get(bytes(row[0])) for row in onlooker.rows(_MADE, [owner, SERVER])]
        if [one for one in line if one] != [one for number in made if (one := documents.get(number)) in hers]:
            complaints.append(f"{SERVER}: another order than that of filing, owner {owner}")
    return complaints


def _as_hl7(unique_id: str) -> str:
    root, _, extension = unique_id.partition("^")
    return f"{extension}^^{root}^ISO"
