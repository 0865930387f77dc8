"""Which messages carry a copy of which documents? So that what becomes of a document binds every mail that brought it.

A message that repeats a document is no second document, but holds a second copy: both are written down here.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, select

from mss.model.document import DocumentStatus
from mss.store import recordschema
from mss.store.records import DocumentRow
from mss.store.sql import insert_ignoring, own, own_parameters, owned_by

C = recordschema.copy
D = recordschema.document

_JOINED = and_(C.c.lane == D.c.lane, C.c.owner == D.c.owner, C.c.document == D.c.document)


def note(connection: Connection, owner: int, message: int, document: int) -> None:
    """This message brings a copy of this document. A repeat changes nothing."""
    insert_ignoring(connection, C, [own(owner) | {"message": message, "document": document}])


def documents_in(connection: Connection, owner: int, message: int) -> list[DocumentRow]:
    """The documents of the record that a message brought, for the first time or again."""
    columns = [D.c[name] for name in DocumentRow.__slots__]
    query = select(*columns).select_from(D.join(C, _JOINED)).where(owned_by(C), C.c.message == message)
    found = connection.execute(query.order_by(D.c.document), own_parameters(owner))
    return [DocumentRow(**row._mapping) for row in found]


def messages_with(connection: Connection, owner: int, document: int) -> list[int]:
    """The messages that hold a copy of a document, oldest first."""
    query = select(C.c.message).where(owned_by(C), C.c.document == document).order_by(C.c.message)
    return list(connection.execute(query, own_parameters(owner)).scalars())


def emptied(connection: Connection, owner: int, among: Sequence[int]) -> set[int]:
    """Of these messages (a page of them), those with a copy of what was withdrawn: nobody opens what they bring."""
    query = select(C.c.message).select_from(D.join(C, _JOINED))
    query = query.where(owned_by(C), C.c.message.in_(among), D.c.status == DocumentStatus.WITHDRAWN)
    return set(connection.execute(query, own_parameters(owner)).scalars())
