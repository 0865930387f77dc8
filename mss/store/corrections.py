"""What was corrected in records, and what is proposed: rows, and the looks that a correction needs.

Functions of a connection; the caller's transaction. Ids and states lie in clear, why somebody did it is sealed to the
house's `held` key.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, func, insert, select, update

from mss.model.document import DocumentStatus
from mss.model.mailbox import AccountState
from mss.store import patients, recordschema, schema
from mss.store.folders import NewEntry
from mss.store.messages import Direction, MessageState
from mss.store.records import DocumentRow
from mss.store.sql import own, own_parameters, owned_by

R = recordschema.correction
D = recordschema.document
M = schema.message
E = schema.entry
V = schema.conversation


MERGES_IN_A_ROW_MAX = 10
"""A record merged into one that was merged, and so on: more is an accident, not a life."""


class CorrectionKind(StrEnum):
    """UNFILE takes out, REFILE puts what was taken out into another record, RETURN where it was; MERGE makes one
    record of two; FILE is a filing by hand that a second person has to confirm; REPRESENT is a right over a record that
    was merged, which somebody has to give anew."""

    UNFILE = "unfile"
    REFILE = "refile"
    RETURN = "return"
    MERGE = "merge"
    FILE = "file"
    REPRESENT = "represent"


class CorrectionState(StrEnum):
    """PROPOSED waits for a second person until it expires; DOING is a duty of the works."""

    PROPOSED = "proposed"
    EXPIRED = "expired"
    DECLINED = "declined"
    DOING = "doing"
    DONE = "done"
    FAILED = "failed"
    OUT = "out"
    ELSEWHERE = "elsewhere"
    RETURNED = "returned"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Correction:
    """A row. `items`: JSON of ids and states."""

    owner: int
    id: int
    kind: str
    state: str
    earlier: int
    other: int
    about: int
    proposed_by: str
    confirmed_by: str
    proposed_ms: int
    expires_ms: int
    settled_ms: int
    domain: str
    message_id_hmac: bytes
    items: bytes
    detail_sealed: bytes


_COLUMNS = tuple(R.c[name] for name in Correction.__slots__)


def insert_correction(connection: Connection, row: Correction) -> None:
    connection.execute(insert(R), own(row.owner) | {name: getattr(row, name) for name in Correction.__slots__})


def correction(connection: Connection, number: int) -> Correction | None:
    """By number alone (a fan-out; staff only)."""
    row = connection.execute(select(*_COLUMNS).where(R.c.id == number)).one_or_none()
    return None if row is None else Correction(**row._mapping)


def list_corrections(connection: Connection, limit: int) -> list[Correction]:
    """The newest first."""
    query = select(*_COLUMNS).order_by(R.c.proposed_ms.desc(), R.c.id.desc()).limit(limit)
    return [Correction(**row._mapping) for row in connection.execute(query)]


def open_about(connection: Connection, owner: int, kind: CorrectionKind, *, earlier: int = 0, about: int = 0) -> bool:
    """Whether such a proposal waits, or is being done, already."""
    states = (CorrectionState.PROPOSED, CorrectionState.DOING)
    query = select(R.c.id).where(owned_by(R), R.c.kind == kind, R.c.state.in_(states))
    query = query.where(R.c.earlier == earlier, R.c.about == about)
    return connection.execute(query.limit(1), own_parameters(owner)).one_or_none() is not None


def following(connection: Connection, owner: int, earlier: int) -> list[Correction]:
    """What was proposed or done after a correction, oldest first."""
    query = select(*_COLUMNS).where(owned_by(R), R.c.earlier == earlier).order_by(R.c.proposed_ms, R.c.id)
    return [Correction(**row._mapping) for row in connection.execute(query, own_parameters(owner))]


def merged_into(connection: Connection, owner: int) -> int:
    """The record that stays, of a record that was, or is just being, merged into another; else this one itself."""
    states = (CorrectionState.DOING, CorrectionState.DONE)
    query = select(R.c.other).where(owned_by(R), R.c.kind == CorrectionKind.MERGE, R.c.state.in_(states))
    for _ in range(MERGES_IN_A_ROW_MAX):
        other = connection.execute(query.limit(1), own_parameters(owner)).scalar_one_or_none()
        if other is None:
            break
        owner = int(other)
    return owner


def settle(
    connection: Connection,
    row: Correction,
    state: CorrectionState,
    settled_ms: int,
    *,
    confirmed_by: str = "",
    items: bytes | None = None,
) -> bool:
    """From the state that the row was read in to another. False when somebody else was first."""
    values: dict[str, object] = {"state": state, "settled_ms": settled_ms}
    if confirmed_by:
        values["confirmed_by"] = confirmed_by
    if items is not None:
        values["items"] = items
    change = update(R).where(owned_by(R), R.c.id == row.id, R.c.state == row.state)
    return connection.execute(change.values(**values), own_parameters(row.owner)).rowcount == 1


# What a correction looks at


def owner_of_document(connection: Connection, number: int) -> int | None:
    """Whose record holds it (a fan-out; staff only). Records of one person that were merged, or parted again, share its
    number: then it is where it stands and is read."""
    query = select(D.c.owner, D.c.status).where(D.c.document == number)
    rows = list(connection.execute(query))
    standing = [row.owner for row in rows if row.status != DocumentStatus.UNFILED]
    found = standing if standing else [row.owner for row in rows]
    if len(found) > 1:
        found = [one for one in found if _is_read(connection, one)]
    return found[0] if len(found) == 1 else None


def _is_read(connection: Connection, owner: int) -> bool:
    """A record that was merged into another is suspended."""
    row = patients.patient(connection, owner)
    return row is not None and row.state in (AccountState.ACTIVE, AccountState.PROVISIONED)


def fed_with(connection: Connection, owner: int, box: int, message: int) -> list[DocumentRow]:
    """The documents of a record that a mail of an application mailbox brought."""
    columns = [D.c[name] for name in DocumentRow.__slots__]
    query = select(*columns).where(owned_by(D), D.c.box == box, D.c.box_message == message)
    return [DocumentRow(**row._mapping) for row in connection.execute(query, own_parameters(owner))]


def restore_status(connection: Connection, owner: int, document: int, status: str, replaced_by: int) -> None:
    change = update(D).where(owned_by(D), D.c.document == document).values(status=status, replaced_by=replaced_by)
    connection.execute(change, own_parameters(owner))


def count_messages(connection: Connection, owner: int) -> int:
    """Every message of a mailbox, whatever its state: two equal counts are one and the same mailbox, as none goes."""
    query = select(func.count()).select_from(M).where(owned_by(M))
    return int(connection.execute(query, own_parameters(owner)).scalar_one())


def visible_since(connection: Connection, owner: int, since_ms: int) -> list[tuple[int, int]]:
    """(message, direction) of what can be seen in a mailbox and came, or was sent, since; oldest first."""
    query = select(M.c.message, M.c.direction).where(
        owned_by(M), M.c.state == MessageState.VISIBLE, M.c.received_ms >= since_ms
    )
    rows = connection.execute(query.order_by(M.c.received_ms, M.c.message), own_parameters(owner))
    return [(row.message, row.direction) for row in rows]


def places_of(connection: Connection, owner: int, message: int) -> list[tuple[int, int, NewEntry]]:
    """(folder, uid, entry as it could be appended again) of a message, in every folder where it stands."""
    query = (
        select(E.c.folder, E.c.uid, E.c.flags, E.c.kw, E.c.internaldate_ms, M.c.size_bytes)
        .join(M, (M.c.lane == E.c.lane) & (M.c.owner == E.c.owner) & (M.c.message == E.c.message))
        .where(owned_by(E), E.c.message == message)
        .order_by(E.c.folder, E.c.uid)
    )
    rows = connection.execute(query, own_parameters(owner))
    return [(r.folder, r.uid, NewEntry(message, r.flags, r.kw, r.internaldate_ms, r.size_bytes)) for r in rows]


def unread_in(connection: Connection, owner: int, conversation: int) -> set[int]:
    """The messages of a conversation that its count calls unread: the newest that came in."""
    count = connection.execute(
        select(V.c.n_unread).where(owned_by(V), V.c.conversation == conversation), own_parameters(owner)
    ).scalar_one_or_none()
    query = select(M.c.message).where(
        owned_by(M), M.c.conversation == conversation, M.c.state == MessageState.VISIBLE, M.c.direction == Direction.IN
    )
    query = query.order_by(M.c.received_ms.desc(), M.c.message.desc()).limit(count or 0)
    return set(connection.execute(query, own_parameters(owner)).scalars())


def recount(connection: Connection, owner: int, conversation: int, unread: Collection[int]) -> None:
    """Make a conversation's counts and date those of what can be seen in it. `unread`: which of it is new."""
    query = select(func.count(), func.max(M.c.received_ms)).where(
        owned_by(M), M.c.conversation == conversation, M.c.state == MessageState.VISIBLE
    )
    n_msg, last_ms = connection.execute(query, own_parameters(owner)).one()
    values = {"n_msg": n_msg, "last_ms": last_ms or 0, "n_unread": min(len(unread), n_msg)}
    change = update(V).where(owned_by(V), V.c.conversation == conversation)
    connection.execute(change.values(**values), own_parameters(owner))
