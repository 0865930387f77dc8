"""Of which messages of a folder has no mail client been told yet? (\\Recent, RFC 3501 §2.3.2; IMAP4rev2 has none.)

Functions of a connection; the caller's transaction.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, func, select, update

from mss.store import schema
from mss.store.sql import own_parameters, owned_by

E = schema.entry
F = schema.folder

_COUNT_FROM = select(func.count()).where(
    owned_by(E), E.c.folder == bindparam("which"), E.c.uid >= bindparam("from_uid")
)


def count_from(connection: Connection, owner: int, folder: int, uid: int) -> int:
    """How many messages have this uid or a higher one."""
    parameters = own_parameters(owner) | {"which": folder, "from_uid": uid}
    return int(connection.execute(_COUNT_FROM, parameters).scalar_one())


def claim(connection: Connection, owner: int, folder: int, uid: int) -> None:
    """Clients have been told of the messages before `uid`."""
    change = update(F).where(owned_by(F), F.c.folder == folder, F.c.recent_uid < uid).values(recent_uid=uid)
    connection.execute(change, own_parameters(owner))
