"""What happened, who saw it, who was told? The report of a correction, for whoever has to answer for it.

Read from the audit chains, ids and reasons only: no name, title, address or INS. Accounts are numbers, which the
operator's own registers resolve.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from mss.bridge.items import Items
from mss.model.clock import from_ms
from mss.model.mailbox import MailboxKind
from mss.store import audit, corrections, messages, owners, records
from mss.store.audit import AuditRow
from mss.store.corrections import Correction
from mss.store.sql import Connection

SEEN = {"record.open": "document", "mail.read": "message", "held.shown": "held", "record.looked": "evidence"}
"""Acts of somebody who saw, and what."""
TOLD = frozenset({"notice.sent", "record.told"})
QUIET = frozenset({"vault.open"})


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the timeline."""

    at: str
    act: str
    by: str
    object: str
    result: str


@dataclass(frozen=True, slots=True)
class Incident:
    """The report. Numbers are texts: they have 63 bits."""

    id: str
    kind: str
    state: str
    why: str
    proposed_by: str
    confirmed_by: str
    record: str
    other_record: str
    documents: tuple[dict[str, str], ...]
    messages: tuple[dict[str, str], ...]
    related: tuple[dict[str, str], ...]
    timeline: tuple[Step, ...]
    seen_by: tuple[dict[str, str], ...]
    told: tuple[Step, ...]

    def fields(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def gather(connection: Connection, row: Correction, why: str) -> Incident:
    """Read it all in one transaction. Why: in the words of whoever decided."""
    items = Items.from_bytes(row.items)
    before = corrections.correction(connection, row.earlier) if row.earlier else None
    after = corrections.following(connection, row.owner, row.id)
    family = [*([before] if before else []), row, *after]
    rows = _rows(connection, row, [Items.from_bytes(one.items) for one in family])
    steps = tuple(_step(connection, one) for one in rows)
    return Incident(
        id=str(row.id),
        kind=row.kind,
        state=row.state,
        why=why,
        proposed_by=row.proposed_by,
        confirmed_by=row.confirmed_by,
        record=str(row.owner),
        other_record=next((str(one.other) for one in family if one.other), ""),
        documents=tuple(_document(connection, row.owner, one.number, one.status) for one in items.documents),
        messages=tuple(
            {"id": str(one.number), "was": one.state, "brought": str(one.brought), "sent_on": str(one.sent_on)}
            for one in items.messages
        ),
        related=tuple(_related(one) for one in family if one.id != row.id),
        timeline=steps,
        seen_by=tuple(_seen(rows, steps)),
        told=tuple(step for step in steps if step.act in TOLD),
    )


def _related(row: Correction) -> dict[str, str]:
    at = from_ms(row.proposed_ms).isoformat()
    who = {"proposed_by": row.proposed_by, "confirmed_by": row.confirmed_by}
    return {"id": str(row.id), "kind": row.kind, "state": row.state, "at": at} | who


def _document(connection: Connection, owner: int, number: int, was: str) -> dict[str, str]:
    found = records.document(connection, owner, number)
    return {"id": str(number), "was": was, "is": "" if found is None else found.status}


def _rows(connection: Connection, row: Correction, family: Iterable[Items]) -> list[AuditRow]:
    """Everything under the Message-IDs of the mails that brought it, in order of time."""
    hashes = {row.message_id_hmac}
    for items in family:
        own = [(row.owner, one.number) for one in items.messages if one.brought]
        hashes |= {messages.message_id_hmac(connection, box, number) for box, number in (*own, *items.feeds)}
    found = [one for hashed in hashes - {b""} for one in audit.by_message_id(connection, hashed)]
    return sorted((one for one in found if one.act.act not in QUIET), key=lambda one: (one.act.at, one.lane, one.seq))


def _step(connection: Connection, row: AuditRow) -> Step:
    act = row.act
    return Step(act.at.isoformat(), act.act, _by(connection, act.actor), str(act.object), act.result)


def _by(connection: Connection, actor: str) -> str:
    """A login with the kind of its mailbox: `login:17 (patient)`."""
    if not actor.startswith("login:"):
        return actor
    box = owners.mailbox(connection, int(actor.removeprefix("login:")))
    kind = "" if box is None else "patient" if box.kind is MailboxKind.PATIENT else str(box.kind)
    return f"{actor} ({kind})" if kind else actor


def _seen(rows: list[AuditRow], steps: tuple[Step, ...]) -> Iterable[dict[str, str]]:
    """Who saw what, each once, with the first and the last time."""
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for row, step in zip(rows, steps, strict=True):
        what = SEEN.get(row.act.act)
        if what is None:
            continue
        known = found.setdefault((step.by, what, step.object), {"by": step.by, "what": what, "object": step.object})
        known.setdefault("first", step.at)
        known["last"] = step.at
    return found.values()
