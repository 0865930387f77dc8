"""Does a message of a patient wait for an answer, and is this one? Facts for mss/store/unanswered.py. Pure.

Reports and automatic mail wait for nobody, and answer nobody. What hangs together is told by the ids in Message-ID,
In-Reply-To and References, as keyed hashes: the process that takes mail in reads none of what it keeps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mss.accounts.service import READ_BY_PEOPLE
from mss.crypto.keys import Lookup
from mss.formats.headers import parse_message_ids
from mss.formats.mime import scan
from mss.formats.parts import Structure
from mss.formats.summary import Summary
from mss.mail import letters
from mss.mail.conversations import REFERENCES_MAX, ends_exchange
from mss.model.errors import Malformed
from mss.model.ids import MailAddress, OwnerId, matricule_of
from mss.model.mailbox import MailboxKind
from mss.store import unanswered
from mss.store.sql import Connection
from mss.store.unanswered import Waiting


def waiting(lookup: Lookup, kind: MailboxKind, sender: MailAddress | None, summary: Summary) -> Waiting | None:
    """Why somebody's message waits in a mailbox of that kind; None when it does not."""
    if kind not in READ_BY_PEOPLE or sender is None or matricule_of(sender) is None:
        return None
    try:
        structure = scan(summary.headers + b"\r\n")
    except Malformed:  # read with its body it was none; without it we know its name and no more
        return Waiting(lookup.address(sender.key), _links(lookup, [summary.message_id]))
    if letters.header_facts(structure).is_report:
        return None
    return Waiting(lookup.address(sender.key), _links(lookup, [summary.message_id, *_ancestors(structure)]))


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody of a mailbox sends to patients."""

    owner: OwnerId
    patients: tuple[bytes, ...]
    links: frozenset[bytes]
    ends: bool
    """It says that the exchange is over."""

    def put(self, connection: Connection, now_ms: int) -> None:
        """In the transaction that queues it; again changes nothing."""
        for patient in self.patients:
            unanswered.answered(connection, self.owner, patient, self.links, now_ms, all_of_it=self.ends)


def answer(lookup: Lookup, owner: OwnerId, structure: Structure, recipients: Iterable[MailAddress]) -> Answer | None:
    """What this message answers; None when it is to no patient, or a machine's."""
    patients = tuple(lookup.address(one.key) for one in recipients if matricule_of(one) is not None)
    if not patients or letters.header_facts(structure).is_report:
        return None
    links = _links(lookup, _ancestors(structure))
    ends = ends_exchange(structure)
    return Answer(owner, patients, links, ends) if links or ends else None


def _ancestors(structure: Structure) -> list[str]:
    direct = parse_message_ids(structure.header("In-Reply-To") or "")
    older = parse_message_ids(structure.header("References") or "")
    return [*direct[:REFERENCES_MAX], *older[:1], *older[-REFERENCES_MAX:]]  # where it began, and the nearest


def _links(lookup: Lookup, ids: Iterable[str]) -> frozenset[bytes]:
    return frozenset(lookup.message_id(one) for one in ids if one)
