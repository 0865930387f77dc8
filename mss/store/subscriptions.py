"""Which names stay subscribed although their folder is gone? (RFC 9051 §6.3.7: a name is never dropped by itself.)

A folder that exists carries its own mark (`folder.subscribed`); here are names without one, and what members of a team
want for themselves. Functions of a connection; the caller's transaction.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, delete, insert, select

from mss.store import schema
from mss.store.sql import own, own_parameters, owned_by

S = schema.subscription
P = schema.member_subscription

NAMES_MAX = 1000
"""Of one mailbox, as folders; beyond, a deleted folder's subscription goes with it."""

_ALL = select(S.c.folder, S.c.name_sealed).where(owned_by(S)).order_by(S.c.folder)
_ONE = delete(S).where(owned_by(S), S.c.name_hmac == bindparam("which")).returning(S.c.folder)


def of_member(connection: Connection, owner: int, account: int) -> dict[int, bool]:
    """What a member of a team has said of its folders."""
    query = select(P.c.folder, P.c.is_subscribed).where(owned_by(P), P.c.account == account)
    return {row.folder: row.is_subscribed for row in connection.execute(query, own_parameters(owner))}


def say(connection: Connection, owner: int, account: int, folder: int, *, subscribed: bool) -> None:
    """A member says it of one folder."""
    here = (owned_by(P), P.c.account == account, P.c.folder == folder)
    connection.execute(delete(P).where(*here), own_parameters(owner))
    connection.execute(insert(P), own(owner) | {"account": account, "folder": folder, "is_subscribed": subscribed})


def end(connection: Connection, owner: int, account: int) -> None:
    """This member has left."""
    connection.execute(delete(P).where(owned_by(P), P.c.account == account), own_parameters(owner))


def keep(connection: Connection, owner: int, folder: int, name_sealed: bytes, name_hmac: bytes) -> None:
    """The folder goes, its name stays subscribed."""
    if len(names(connection, owner)) < NAMES_MAX:
        row = {"folder": folder, "name_sealed": name_sealed, "name_hmac": name_hmac}
        connection.execute(insert(S), own(owner) | row)


def drop(connection: Connection, owner: int, name_hmac: bytes) -> bool:
    """The name is no longer here: unsubscribed, or a folder again. Answers whether it was."""
    gone = connection.execute(_ONE, own_parameters(owner) | {"which": name_hmac})
    return gone.scalar_one_or_none() is not None


def names(connection: Connection, owner: int) -> list[tuple[int, bytes]]:
    """(number of the folder that was, sealed name)."""
    return [(row.folder, row.name_sealed) for row in connection.execute(_ALL, own_parameters(owner))]
