"""Which messages of a mailbox are old, and what was its holder told? Functions of a connection; the caller's
transaction.

Old is counted from the moment when a message came into the folder where it lies. Never found, however old: what waits
for a human, what the bridge has not judged, a patient's message that nobody has answered and nobody has put away, and
every entry of "Sans réponse", which follows the others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, or_, select, update

from mss.model.ids import OwnerId
from mss.model.mailbox import AccountState, MailboxKind, RetentionRule, SpecialUse
from mss.store import recordschema, schema
from mss.store import retentionschema as tables
from mss.store.messages import MessageState
from mss.store.records import HeldState
from mss.store.sql import insert_ignoring, own, own_parameters, owned_by
from mss.store.unanswered import DONE_WITH

R, B, E, F, M, U = (
    tables.retention,
    schema.mailbox,
    schema.entry,
    schema.folder,
    schema.message,
    schema.unanswered,
)
NONE = -1
"""No message came so early."""


@dataclass(frozen=True, slots=True)
class RoundRow:
    """A mailbox's row; moments in ms, 0 for never."""

    is_held: bool = False
    due_ms: int = 0
    told_ms: int = 0
    reminded_ms: int = 0
    mailbox_until_ms: int = NONE
    trash_until_ms: int = NONE
    junk_until_ms: int = NONE


class Old(NamedTuple):
    """A message that is to go from a folder."""

    folder: int
    uid: int
    message: int
    message_id_hmac: bytes
    special_use: str


_COLUMNS = (R.c.is_held, R.c.due_ms, R.c.told_ms, R.c.reminded_ms, R.c.mailbox_until_ms, R.c.trash_until_ms)
_ONE = select(*_COLUMNS, R.c.junk_until_ms).where(owned_by(R))


def row_of(connection: Connection, owner: int) -> RoundRow:
    """What is written of a mailbox; an empty row when nothing is."""
    found = connection.execute(_ONE, own_parameters(owner)).one_or_none()
    return RoundRow() if found is None else RoundRow(bool(found[0]), *found[1:])


def put(connection: Connection, owner: int, row: RoundRow) -> None:
    """Write it."""
    values = {
        "is_held": row.is_held,
        "due_ms": row.due_ms,
        "told_ms": row.told_ms,
        "reminded_ms": row.reminded_ms,
        "mailbox_until_ms": row.mailbox_until_ms,
        "trash_until_ms": row.trash_until_ms,
        "junk_until_ms": row.junk_until_ms,
    }
    insert_ignoring(connection, R, [own(owner) | values])
    connection.execute(update(R).where(owned_by(R)).values(**values), own_parameters(owner))


def mailboxes(connection: Connection, kinds: Collection[MailboxKind]) -> list[tuple[OwnerId, MailboxKind]]:
    """Those of some kinds that can be told, and those with a round that runs, whatever their kind."""
    running = exists().where(R.c.lane == B.c.lane, R.c.owner == B.c.owner, R.c.due_ms > 0)
    query = select(B.c.owner, B.c.kind).where(
        B.c.state == AccountState.ACTIVE, or_(B.c.kind.in_([kind.value for kind in kinds]), running)
    )
    return [(OwnerId(owner), MailboxKind(kind)) for owner, kind in connection.execute(query.order_by(B.c.owner))]


def ending(connection: Connection, until_ms: int, most: int) -> tuple[int, list[OwnerId]]:
    """How many mailboxes have a round whose day comes by then, and so many of them, the first day first."""
    joined = R.join(B, and_(B.c.lane == R.c.lane, B.c.owner == R.c.owner))
    is_ending = and_(R.c.due_ms > 0, R.c.due_ms <= until_ms, B.c.state == AccountState.ACTIVE)
    total = connection.execute(select(func.count()).select_from(joined).where(is_ending)).scalar_one()
    first = select(R.c.owner).select_from(joined).where(is_ending).order_by(R.c.due_ms, R.c.owner).limit(most)
    return total, [OwnerId(owner) for owner in connection.execute(first).scalars()]


def count(connection: Connection, owner: int, until_ms: Mapping[RetentionRule, int]) -> dict[str, int]:
    """How many messages are meant, by special use of their folder."""
    query = _meant(select(F.c.special_use, func.count()), until_ms).group_by(F.c.special_use)
    return {row[0]: row[1] for row in connection.execute(query, own_parameters(owner))}


def oldest(connection: Connection, owner: int, until_ms: Mapping[RetentionRule, int], most: int) -> list[Old]:
    """So many of them, folder by folder."""
    columns = select(E.c.folder, E.c.uid, E.c.message, M.c.message_id_hmac, F.c.special_use)
    query = _meant(columns, until_ms).order_by(E.c.folder, E.c.uid).limit(most)
    return [Old(*row) for row in connection.execute(query, own_parameters(owner))]


def _meant(columns: Select[Any], until_ms: Mapping[RetentionRule, int]) -> Select[Any]:
    """Entries that came into their folder until the moment for the mailbox, or for this folder."""

    def is_old(rule: RetentionRule) -> ColumnElement[bool]:
        return E.c.savedate_ms <= until_ms.get(rule, NONE)

    in_trash, in_junk = F.c.special_use == SpecialUse.TRASH, F.c.special_use == SpecialUse.JUNK
    waits = exists().where(U.c.lane == E.c.lane, U.c.owner == E.c.owner, U.c.message == E.c.message)
    held = recordschema.held
    is_held = exists().where(
        held.c.lane == E.c.lane,
        held.c.owner == E.c.owner,
        held.c.message == E.c.message,
        held.c.state.in_([HeldState.WAITING, HeldState.KEPT_BACK]),
    )
    joined = E.join(F, and_(F.c.lane == E.c.lane, F.c.owner == E.c.owner, F.c.folder == E.c.folder)).join(
        M, and_(M.c.lane == E.c.lane, M.c.owner == E.c.owner, M.c.message == E.c.message)
    )
    return columns.select_from(joined).where(
        owned_by(E),
        or_(
            is_old(RetentionRule.MAILBOX),
            and_(in_trash, is_old(RetentionRule.TRASH)),
            and_(in_junk, is_old(RetentionRule.JUNK)),
        ),
        F.c.special_use != SpecialUse.UNANSWERED,
        M.c.state == MessageState.VISIBLE,
        or_(~waits, F.c.special_use.in_([use.value for use in DONE_WITH])),
        ~is_held,
    )
