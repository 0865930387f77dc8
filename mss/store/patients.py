"""Patients, their identities, whom they may answer, and their conversations: rows, sealed where they speak.

A patient has an internal number (the owner). INS values hang from it, since a number can change (NIA becomes
NIR, corrections); each is found by a keyed hash and lies sealed with its traits.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, insert, select, update

from mss.model.ids import OwnerId
from mss.model.mailbox import AccountState
from mss.store import recordschema, schema
from mss.store.sql import Hot, own, own_parameters, owned_by

P = recordschema.patient
I = recordschema.identity  # noqa: E741 — the table's initial, as its neighbours
C = schema.contact
V = schema.conversation


@dataclass(frozen=True, slots=True)
class PatientRow:
    owner: OwnerId
    state: AccountState
    profile_sealed: bytes


@dataclass(frozen=True, slots=True)
class IdentityRow:
    """An INS with its traits, sealed under the shelf key. `valid_until_ms` 0: still valid."""

    identity: int
    ins_hmac: bytes
    status: str
    source: str
    valid_from_ms: int
    valid_until_ms: int
    identity_sealed: bytes


def insert_patient(connection: Connection, row: PatientRow) -> None:
    values = {"state": row.state, "profile_sealed": row.profile_sealed}
    connection.execute(insert(P), own(row.owner) | values)


def patient(connection: Connection, owner: int) -> PatientRow | None:
    query = select(P.c.owner, P.c.state, P.c.profile_sealed).where(owned_by(P))
    row = connection.execute(query, own_parameters(owner)).one_or_none()
    return None if row is None else PatientRow(OwnerId(row.owner), AccountState(row.state), row.profile_sealed)


def set_patient_state(connection: Connection, owner: int, state: AccountState) -> None:
    connection.execute(update(P).where(owned_by(P)).values(state=state), own_parameters(owner))


def set_profile(connection: Connection, owner: int, profile_sealed: bytes) -> None:
    connection.execute(update(P).where(owned_by(P)).values(profile_sealed=profile_sealed), own_parameters(owner))


def insert_identity(connection: Connection, owner: int, row: IdentityRow) -> None:
    values = {name: getattr(row, name) for name in IdentityRow.__slots__}
    connection.execute(insert(I), own(owner) | values)


_IDENTITIES = Hot(select(*(I.c[name] for name in IdentityRow.__slots__)).where(owned_by(I)).order_by(I.c.identity))


def identities(connection: Connection, owner: int) -> list[IdentityRow]:
    """Every identity a patient ever had, oldest first."""
    return [IdentityRow(*row) for row in _IDENTITIES.all(connection, own_parameters(owner))]


@dataclass(frozen=True, slots=True)
class ContactRow:
    """Whom a patient may answer, or no longer."""

    contact: int
    contact_hmac: bytes
    is_open: bool
    contact_sealed: bytes
    opened_ms: int
    closed_ms: int


_CONTACT = Hot(
    select(*(C.c[name] for name in ContactRow.__slots__)).where(owned_by(C), C.c.contact_hmac == bindparam("which"))
)
_INSERT_CONTACT = Hot(insert(C), ("lane", "owner", *ContactRow.__slots__))
_OPEN_CONTACT = Hot(
    update(C)
    .where(owned_by(C), C.c.contact == bindparam("which"))
    .values(is_open=True, contact_sealed=bindparam("new_sealed"), opened_ms=bindparam("new_opened_ms"), closed_ms=0)
)


def contact(connection: Connection, owner: int, contact_hmac: bytes) -> ContactRow | None:
    row = _CONTACT.of(connection, own_parameters(owner) | {"which": contact_hmac})
    if row is None:
        return None
    number, hashed, is_open, *rest = row
    return ContactRow(number, hashed, bool(is_open), *rest)


def contacts(connection: Connection, owner: int) -> list[ContactRow]:
    query = select(*(C.c[name] for name in ContactRow.__slots__)).where(owned_by(C)).order_by(C.c.contact)
    return [ContactRow(**row._mapping) for row in connection.execute(query, own_parameters(owner))]


def open_contact(connection: Connection, owner: int, row: ContactRow) -> None:
    """Add a contact, or open a known one again with the newer name."""
    put_contact(connection, owner, row, contact(connection, owner, row.contact_hmac))


def put_contact(connection: Connection, owner: int, row: ContactRow, known: ContactRow | None) -> None:
    """The same for whoever has just looked what is `known`."""
    if known is None:
        _INSERT_CONTACT.each(connection, [own(owner) | {name: getattr(row, name) for name in ContactRow.__slots__}])
        return
    change = {"which": known.contact, "new_sealed": row.contact_sealed, "new_opened_ms": row.opened_ms}
    _OPEN_CONTACT.once(connection, own_parameters(owner) | change)


def close_contact(connection: Connection, owner: int, row: ContactRow) -> None:
    """End the exchange with a contact, known or not: an unknown one is written down as closed."""
    known = contact(connection, owner, row.contact_hmac)
    values: dict[str, object] = {name: getattr(row, name) for name in ContactRow.__slots__}
    if known is None:
        connection.execute(insert(C), own(owner) | values | {"is_open": False})
        return
    change = update(C).where(owned_by(C), C.c.contact == known.contact)
    values = {"is_open": False, "closed_ms": row.closed_ms, "contact_sealed": row.contact_sealed}
    connection.execute(change.values(**values), own_parameters(owner))


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """Messages that answer one another, with one contact."""

    conversation: int
    contact_hmac: bytes
    last_ms: int
    n_msg: int
    n_unread: int


_INSERT_CONVERSATION = Hot(insert(V), ("lane", "owner", "conversation", "contact_hmac", "last_ms", "n_msg", "n_unread"))


def insert_conversation(connection: Connection, owner: int, conversation: int, contact_hmac: bytes, at_ms: int) -> None:
    """A new one, with its first message, unread."""
    values = {"conversation": conversation, "contact_hmac": contact_hmac, "last_ms": at_ms}
    _INSERT_CONVERSATION.each(connection, [own(owner) | values | {"n_msg": 1, "n_unread": 1}])


def conversation(connection: Connection, owner: int, number: int) -> ConversationRow | None:
    query = select(*(V.c[name] for name in ConversationRow.__slots__)).where(owned_by(V), V.c.conversation == number)
    row = connection.execute(query, own_parameters(owner)).one_or_none()
    return None if row is None else ConversationRow(**row._mapping)


def conversations(connection: Connection, owner: int, *, before_ms: int, limit: int) -> list[ConversationRow]:
    """Conversations with something to see, newest first, for a page of the inbox."""
    query = (
        select(*(V.c[name] for name in ConversationRow.__slots__))
        .where(owned_by(V), V.c.n_msg > 0, V.c.last_ms < before_ms)
        .order_by(V.c.last_ms.desc(), V.c.conversation.desc())
        .limit(limit)
    )
    return [ConversationRow(**row._mapping) for row in connection.execute(query, own_parameters(owner))]


_GROW = {"last_ms": bindparam("at_ms"), "n_msg": V.c.n_msg + 1, "n_unread": V.c.n_unread + bindparam("more_unread")}
_GROWS = update(V).where(owned_by(V), V.c.conversation == bindparam("which"))
_GROW_CONVERSATION = Hot(_GROWS.values(**_GROW))
_GROW_WITH_CONTACT = Hot(_GROWS.values(**_GROW, contact_hmac=bindparam("new_contact")))


def grow_conversation(
    connection: Connection, owner: int, number: int, at_ms: int, *, unread: int, contact_hmac: bytes | None = None
) -> None:
    """One more message in a conversation; `contact_hmac`: whom an answer goes to from now on."""
    change = own_parameters(owner) | {"which": number, "at_ms": at_ms, "more_unread": unread}
    if contact_hmac is None:
        _GROW_CONVERSATION.once(connection, change)
    else:
        _GROW_WITH_CONTACT.once(connection, change | {"new_contact": contact_hmac})


def unread(connection: Connection, owner: int) -> int:
    """Messages of a patient that she has not opened; counted, not cached."""
    query = select(func.coalesce(func.sum(V.c.n_unread), 0)).where(owned_by(V))
    return int(connection.execute(query, own_parameters(owner)).scalar_one())


def mark_read(connection: Connection, owner: int, number: int) -> int:
    """Every message of a conversation was read. Returns how many were not before."""
    known = conversation(connection, owner, number)
    if known is None or not known.n_unread:
        return 0
    change = update(V).where(owned_by(V), V.c.conversation == number).values(n_unread=0)
    connection.execute(change, own_parameters(owner))
    return known.n_unread
