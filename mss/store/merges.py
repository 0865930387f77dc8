"""The looks and changes that joining two records needs: everything of one owner, and what leads to him.

Functions of a connection; the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, select, update

from mss.model.ids import LANES
from mss.store import recordschema, schema
from mss.store.ids import lane_of_hash
from mss.store.messages import StoredMessage, one_message
from mss.store.patients import ConversationRow, IdentityRow
from mss.store.records import EventRow
from mss.store.sql import insert_ignoring, own, own_parameters, owned_by

L = schema.lookup
M = schema.message
V = schema.conversation
C = recordschema.copy
N = recordschema.event
I = recordschema.identity  # noqa: E741 — the table's initial, as its neighbours


def lead(connection: Connection, hashes: Sequence[bytes], old: int, new: int) -> None:
    """What led to one owner leads to another; what leads elsewhere stays."""
    for hashed in hashes:
        where = (L.c.lane == lane_of_hash(hashed, LANES), L.c.hmac == hashed, L.c.owner == old)
        connection.execute(update(L).where(*where).values(owner=new))


def every_message(connection: Connection, owner: int) -> list[StoredMessage]:
    """Whatever its state, oldest first."""
    query = select(M.c.message).where(owned_by(M)).order_by(M.c.received_ms, M.c.message)
    numbers = list(connection.execute(query, own_parameters(owner)).scalars())
    found = [one_message(connection, owner, number) for number in numbers]
    return [one for one in found if one is not None]


def every_conversation(connection: Connection, owner: int) -> list[ConversationRow]:
    query = select(*(V.c[name] for name in ConversationRow.__slots__)).where(owned_by(V)).order_by(V.c.conversation)
    return [ConversationRow(**row._mapping) for row in connection.execute(query, own_parameters(owner))]


def every_copy(connection: Connection, owner: int) -> list[tuple[int, int]]:
    """(message, document)."""
    query = select(C.c.message, C.c.document).where(owned_by(C)).order_by(C.c.message, C.c.document)
    return [(row.message, row.document) for row in connection.execute(query, own_parameters(owner))]


def every_event(connection: Connection, owner: int) -> list[EventRow]:
    query = select(*(N.c[name] for name in EventRow.__slots__)).where(owned_by(N)).order_by(N.c.id)
    return [EventRow(**row._mapping) for row in connection.execute(query, own_parameters(owner))]


def add_event(connection: Connection, owner: int, row: EventRow) -> None:
    """A repeat changes nothing."""
    insert_ignoring(connection, N, [own(owner) | {name: getattr(row, name) for name in EventRow.__slots__}])


def add_conversation(connection: Connection, owner: int, row: ConversationRow) -> None:
    """Without its counts, which follow from what can be seen in it. A repeat changes nothing."""
    values = {"conversation": row.conversation, "contact_hmac": row.contact_hmac, "last_ms": row.last_ms}
    insert_ignoring(connection, V, [own(owner) | values | {"n_msg": 0, "n_unread": 0}])


def add_identity(connection: Connection, owner: int, row: IdentityRow) -> None:
    """A repeat changes nothing."""
    insert_ignoring(connection, I, [own(owner) | {name: getattr(row, name) for name in IdentityRow.__slots__}])


def forget_identities(connection: Connection, owner: int, numbers: Sequence[int]) -> None:
    """Identities that a merge lent: the record from which they came has its own rows of them."""
    connection.execute(delete(I).where(owned_by(I), I.c.identity.in_(numbers)), own_parameters(owner))
