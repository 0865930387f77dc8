"""Who has a place here? Mailboxes, the one look-up that leads to them, and who may open whose."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum
from typing import NamedTuple, TypeVar

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from mss.model.ids import LANES, OwnerId
from mss.model.mailbox import AccountState, MailboxKind
from mss.store import schema
from mss.store.ids import lane_of_hash
from mss.store.sql import Hot, insert_ignoring, own, own_parameters, owned_by

L = schema.lookup
T = TypeVar("T")

B = schema.mailbox
N = schema.membership
WRITES = "writes"
"""Rights of a delegate: to write in a mailbox's name, not to open it."""


class Way(IntEnum):
    """What a look-up is good for."""

    OPEN = 0
    RECEIVES = 1
    """A previous address: its mail arrives, nobody writes or signs in under it."""
    RETIRED = 2
    """Leads nowhere, and is kept from everybody else."""


class MailboxRow(NamedTuple):
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
    absent_from_ms: int = 0
    absent_until_ms: int = 0
    """Between these moments senders are owed the holder's absence reply; both 0: he is there."""


_FIND = Hot(
    select(L.c.owner).where(
        L.c.lane == bindparam("at_lane"), L.c.hmac == bindparam("at_hmac"), L.c.way <= bindparam("at_way")
    )
)
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
    B.c.absent_from_ms,
    B.c.absent_until_ms,
)
_ONE = Hot(_BOX.where(owned_by(B)))


def lanes_of_installation(connection: Connection) -> int:
    """Into how many lanes the owners of this database fall; 0 when nobody has said."""
    house = schema.house
    value = connection.execute(select(house.c.value).where(house.c.name == "lanes")).scalar_one_or_none()
    return 0 if value is None else int(value)


def find(connection: Connection, hashed: bytes, *, way: Way = Way.RECEIVES) -> OwnerId | None:
    """The owner to whom a keyed hash (of an address, a login, an INS) leads; by default also a previous address."""
    parameters = {"at_lane": lane_of_hash(hashed, LANES), "at_hmac": hashed, "at_way": int(way)}
    found = _FIND.of(connection, parameters)
    return None if found is None else OwnerId(found[0])


def point(connection: Connection, hashed: bytes, owner: int, way: Way = Way.OPEN) -> bool:
    """Let a keyed hash lead to an owner. False when it leads, or ever led, to somebody else: mail that is late would
    reach a stranger."""
    row = {"lane": lane_of_hash(hashed, LANES), "hmac": hashed, "owner": owner, "way": way}
    insert_ignoring(connection, L, [row])
    if find(connection, hashed, way=Way.RETIRED) != owner:
        return False
    change = update(L).where(L.c.lane == row["lane"], L.c.hmac == hashed).values(way=way)
    connection.execute(change)
    return True


def _mailbox(row: object) -> MailboxRow:
    owner, kind, state, *rest = row  # type: ignore[misc]
    return MailboxRow(OwnerId(owner), _KINDS[kind], _STATES[state], *rest)  # type: ignore[has-type]


_KINDS = {kind.value: kind for kind in MailboxKind}
_STATES = {state.value: state for state in AccountState}
"""Every login and every mail reads some rows: a dictionary costs a fifth of calling the class."""
_NOBODYS = (0, MailboxKind.PATIENT.value, AccountState.ACTIVE.value, *(b"",) * (len(_BOX.selected_columns) - 3))


def mailbox(connection: Connection, owner: int) -> MailboxRow | None:
    """None costs what a mailbox costs: the time of an answer at the door tells nobody who exists."""
    row = _ONE.of(connection, own_parameters(owner))
    found = _mailbox(row or _NOBODYS)
    return None if row is None else found


def mailbox_at(connection: Connection, address_hmac: bytes) -> MailboxRow | None:
    """The mailbox at an address."""
    owner = find(connection, address_hmac)
    return None if owner is None else mailbox(connection, owner)


def all_mailboxes(connection: Connection) -> Iterator[MailboxRow]:
    """Every mailbox, for the operator's listing."""
    for row in connection.execute(_BOX.order_by(B.c.created_ms)):
        yield _mailbox(row)


def insert_mailbox(connection: Connection, box: MailboxRow, created_ms: int) -> None:
    """UIDVALIDITY is counted from this moment on (RFC 9051 §2.3.1.1), not from 1: who moves here from a server that
    gave small numbers, behind the same host name, takes nothing of its cache for ours. Raises IntegrityError when the
    owner's number is taken."""
    row = own(box.owner) | {
        "kind": box.kind,
        "state": box.state,
        "address_hmac": box.address_hmac,
        "address_sealed": box.address_sealed,
        "public_key": box.public_key,
        "private_key_wrapped": box.private_key_wrapped,
        "quota_bytes": box.quota_bytes,
        "created_ms": created_ms,
        "next_uidvalidity": max(1, created_ms // 1000),
    }
    connection.execute(insert(B), row)


def set_structure(connection: Connection, owner: int, structure: str) -> None:
    """The public number of the organisation behind a team's or software's mailbox."""
    connection.execute(update(B).where(owned_by(B)).values(structure=structure), own_parameters(owner))


_STRUCTURE = Hot(select(B.c.structure).where(owned_by(B)))


def structure_of(connection: Connection, owner: int) -> str:
    """That number; empty for a person, and for who has no mailbox."""
    found = _STRUCTURE.of(connection, own_parameters(owner))
    return "" if found is None else str(found[0] or "")


def structure_behind(connection: Connection, hashed: bytes) -> str:
    """The same of the mailbox to which a keyed hash leads."""
    owner = find(connection, hashed)
    return "" if owner is None else structure_of(connection, owner)


def set_state(connection: Connection, owner: int, state: AccountState) -> None:
    connection.execute(update(B).where(owned_by(B)).values(state=state), own_parameters(owner))


_LOCK = Hot(select(B.c.owner).where(owned_by(B)).with_for_update())


def lock(connection: Connection, owner: int) -> None:
    """Nobody else changes this mailbox until the caller's transaction ends. An act that changes a folder or a
    conversation begins with this, before it touches them or the audit: processes on PostgreSQL then wait for each
    other in one order, and never in a ring (docs/decisions/0002-cellar.md). On SQLite whoever writes has locked all."""
    if connection.dialect.name != "sqlite":
        _LOCK.of(connection, own_parameters(owner))


def locked(owner: int, work: Callable[[Connection], T]) -> Callable[[Connection], T]:
    """An act that begins so."""

    def act(connection: Connection) -> T:
        lock(connection, owner)
        return work(connection)

    return act


_MORE = update(B).where(owned_by(B)).values(used_bytes=B.c.used_bytes + bindparam("d_bytes"))
_USE = Hot(_MORE)
_TAKE = Hot(_MORE.returning(B.c.quota_bytes, B.c.used_bytes))


def set_quota(connection: Connection, owner: int, quota_bytes: int) -> None:
    connection.execute(update(B).where(owned_by(B)).values(quota_bytes=quota_bytes), own_parameters(owner))


def add_used(connection: Connection, owner: int, size_bytes: int) -> None:
    add_used_by(connection, {owner: size_bytes})


def add_used_by(connection: Connection, size_bytes_by_owner: Mapping[int, int]) -> None:
    """The same for several owners, in the order of their numbers: rows are always locked so."""
    sizes = sorted(size_bytes_by_owner.items())
    _USE.each(connection, [own_parameters(owner) | {"d_bytes": size_bytes} for owner, size_bytes in sizes])


def take_room(connection: Connection, owner: int, size_bytes: int) -> tuple[int, int] | None:
    """The same, for whoever may be refused: (octets allowed, 0 for no limit; octets now used). None without such a
    mailbox."""
    row = _TAKE.of(connection, own_parameters(owner) | {"d_bytes": size_bytes})
    return None if row is None else (row[0], row[1])


def add_member(connection: Connection, owner: int, account: int, rights: str) -> None:
    """Let an account open a mailbox that is not its own; kept on both sides, since lanes differ."""
    insert_ignoring(connection, schema.member, [own(owner) | {"account": account, "rights": rights}])
    insert_ignoring(connection, N, [own(account) | {"of_owner": owner, "rights": rights}])


def remove_member(connection: Connection, owner: int, account: int, rights: str) -> bool:
    """Take rights back; False when the account had not these."""
    m = schema.member
    gone = delete(m).where(owned_by(m), m.c.account == account, m.c.rights == rights)
    if connection.execute(gone, own_parameters(owner)).rowcount == 0:
        return False
    connection.execute(delete(N).where(owned_by(N), N.c.of_owner == owner), own_parameters(account))
    return True


_MEMBERSHIPS = Hot(select(N.c.of_owner, N.c.rights).where(owned_by(N)).order_by(N.c.of_owner))


def memberships(connection: Connection, account: int) -> list[tuple[OwnerId, str]]:
    """(owner, rights) of what an account may open besides its own."""
    return [(OwnerId(owner), rights) for owner, rights in _MEMBERSHIPS.all(connection, own_parameters(account))]


def members(connection: Connection, owner: int) -> list[tuple[OwnerId, str]]:
    """(account, rights) of those who may open a mailbox."""
    m = schema.member
    query = select(m.c.account, m.c.rights).where(owned_by(m))
    return [(OwnerId(row.account), row.rights) for row in connection.execute(query, own_parameters(owner))]
