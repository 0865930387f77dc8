"""Who has a place here? Mailboxes, the one look-up that leads to them, and who may open whose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from mss.model.ids import LANES, OwnerId
from mss.model.mailbox import AccountState, MailboxKind
from mss.store import schema
from mss.store.ids import lane_of_hash
from mss.store.sql import insert_ignoring, own, own_parameters, owned_by

L = schema.lookup
B = schema.mailbox
N = schema.membership


@dataclass(frozen=True, slots=True)
class MailboxRow:
    """A mailbox (or patient) as every process may see it: nothing in clear but kind, state and sizes."""

    owner: OwnerId
    kind: MailboxKind
    state: AccountState
    address_hmac: bytes
    address_sealed: bytes
    public_key: bytes
    private_key_wrapped: bytes
    quota_bytes: int
    used_bytes: int


_FIND = select(L.c.owner).where(L.c.lane == bindparam("at_lane"), L.c.hmac == bindparam("at_hmac"))
_BOX = select(
    B.c.owner,
    B.c.kind,
    B.c.state,
    B.c.address_hmac,
    B.c.address_sealed,
    B.c.public_key,
    B.c.private_key_wrapped,
    B.c.quota_bytes,
    B.c.used_bytes,
)
_ONE = _BOX.where(owned_by(B))


def lanes_of_installation(connection: Connection) -> int:
    """Into how many lanes the owners of this database fall; 0 when nobody has said."""
    house = schema.house
    value = connection.execute(select(house.c.value).where(house.c.name == "lanes")).scalar_one_or_none()
    return 0 if value is None else int(value)


def find(connection: Connection, hashed: bytes) -> OwnerId | None:
    """The owner to whom a keyed hash (of an address, a login, an INS) leads."""
    parameters = {"at_lane": lane_of_hash(hashed, LANES), "at_hmac": hashed}
    found = connection.execute(_FIND, parameters).scalar_one_or_none()
    return None if found is None else OwnerId(found)


def point(connection: Connection, hashed: bytes, owner: int) -> bool:
    """Let a keyed hash lead to an owner. False when it leads to somebody else already."""
    row = {"lane": lane_of_hash(hashed, LANES), "hmac": hashed, "owner": owner}
    insert_ignoring(connection, L, [row])
    return find(connection, hashed) == owner


def unpoint(connection: Connection, hashed: bytes) -> None:
    connection.execute(delete(L).where(L.c.lane == lane_of_hash(hashed, LANES), L.c.hmac == hashed))


def _mailbox(row: object) -> MailboxRow:
    owner, kind, state, *rest = row  # type: ignore[misc]
    return MailboxRow(OwnerId(owner), MailboxKind(kind), AccountState(state), *rest)  # type: ignore[has-type]


def mailbox(connection: Connection, owner: int) -> MailboxRow | None:
    row = connection.execute(_ONE, own_parameters(owner)).one_or_none()
    return None if row is None else _mailbox(row)


def mailbox_at(connection: Connection, address_hmac: bytes) -> MailboxRow | None:
    """The mailbox at an address."""
    owner = find(connection, address_hmac)
    return None if owner is None else mailbox(connection, owner)


def all_mailboxes(connection: Connection) -> Iterator[MailboxRow]:
    """Every mailbox, for the operator's listing."""
    for row in connection.execute(_BOX.order_by(B.c.created_ms)):
        yield _mailbox(row)


def insert_mailbox(connection: Connection, box: MailboxRow, created_ms: int) -> None:
    """Raises IntegrityError when the owner's number is taken."""
    row = own(box.owner) | {
        "kind": box.kind,
        "state": box.state,
        "address_hmac": box.address_hmac,
        "address_sealed": box.address_sealed,
        "public_key": box.public_key,
        "private_key_wrapped": box.private_key_wrapped,
        "quota_bytes": box.quota_bytes,
        "created_ms": created_ms,
    }
    connection.execute(insert(B), row)


def set_state(connection: Connection, owner: int, state: AccountState) -> None:
    connection.execute(update(B).where(owned_by(B)).values(state=state), own_parameters(owner))


_USE = update(B).where(owned_by(B)).values(used_bytes=B.c.used_bytes + bindparam("d_bytes"))


def add_used(connection: Connection, owner: int, size_bytes: int) -> None:
    connection.execute(_USE, own_parameters(owner) | {"d_bytes": size_bytes})


def add_member(connection: Connection, owner: int, account: int, rights: str) -> None:
    """Let an account open a mailbox that is not its own; kept on both sides, since lanes differ."""
    insert_ignoring(connection, schema.member, [own(owner) | {"account": account, "rights": rights}])
    insert_ignoring(connection, N, [own(account) | {"of_owner": owner, "rights": rights}])


def memberships(connection: Connection, account: int) -> list[tuple[OwnerId, str]]:
    """(owner, rights) of what an account may open besides its own."""
    query = select(N.c.of_owner, N.c.rights).where(owned_by(N)).order_by(N.c.of_owner)
    return [(OwnerId(row.of_owner), row.rights) for row in connection.execute(query, own_parameters(account))]


def members(connection: Connection, owner: int) -> list[tuple[OwnerId, str]]:
    """(account, rights) of those who may open a mailbox."""
    m = schema.member
    query = select(m.c.account, m.c.rights).where(owned_by(m))
    return [(OwnerId(row.account), row.rights) for row in connection.execute(query, own_parameters(owner))]
