"""Messages, their bodies and keys. Functions of a connection; the caller's transaction.

A message's row is written once; what changes is its state (pending until the bridge has judged) and its keys'
wrapping. Nothing is shared between owners: each mailbox that receives a mail has its own ciphertext.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, bindparam, delete, insert, select, update

from mss.store import schema
from mss.store.sql import Hot, own, own_parameters, owned_by, parts

M = schema.message
B = schema.blob
E = schema.entry
K = schema.sealed_key

SUMMARY_KIND = b"summary"
BODY_KIND = b"body"


class MessageState(StrEnum):
    """Where a message stands towards its owner. Only VISIBLE ones have entries in folders."""

    VISIBLE = "visible"
    PENDING = "pending"
    HELD = "held"
    KEPT_BACK = "kept-back"
    OBEYED = "obeyed"
    """It took documents back: what it carries is not for reading."""
    REFUSED = "refused"
    UNFILED = "unfiled"
    """It brought what is somebody else's: taken out by staff, kept sealed."""


class Direction:
    """Of a message in its owner's mailbox."""

    IN = 0
    OUT = 1


class NewMessage(NamedTuple):
    """A message about to be kept: sealed already, body inline or put at `place` before."""

    message: int
    size_bytes: int
    key_epoch: int
    summary_sealed: bytes
    message_id_hmac: bytes
    blob: int
    body_size_bytes: int
    body_inline: bytes | None
    body_place: str
    state: MessageState
    direction: int
    received_ms: int
    conversation: int = 0


@dataclass(frozen=True, slots=True)
class SealedKey:
    """The key that opens a message, as kept: epoch 0 is the shelf key itself (key empty)."""

    epoch: int
    scheme: int
    key: bytes


@dataclass(frozen=True, slots=True)
class StoredBody:
    """Where the ciphertext of a body is."""

    blob: int
    size_bytes: int
    place: str
    inline: bytes | None


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message's row with its key."""

    message: int
    size_bytes: int
    state: str
    direction: int
    conversation: int
    received_ms: int
    summary_sealed: bytes
    blob: int
    key: SealedKey


_INSERT = Hot(
    insert(M),
    (
        *("lane", "owner", "message", "size_bytes", "key_epoch", "summary_sealed", "message_id_hmac"),
        *("blob", "state", "direction", "conversation", "received_ms"),
    ),
)
_INSERT_BLOB = Hot(insert(B), ("lane", "owner", "blob", "size_bytes", "place", "inline"))


def insert_message(connection: Connection, owner: int, new: NewMessage) -> None:
    insert_messages(connection, [(owner, new)])


def insert_messages(connection: Connection, owned: Sequence[tuple[int, NewMessage]]) -> None:
    """Rows of (owner, message) pairs and of their bodies."""
    rows = [
        own(owner)
        | {
            "message": new.message,
            "size_bytes": new.size_bytes,
            "key_epoch": new.key_epoch,
            "summary_sealed": new.summary_sealed,
            "message_id_hmac": new.message_id_hmac,
            "blob": new.blob,
            "state": new.state.value,  # a plain str: the driver looks long at what only derives from one
            "direction": new.direction,
            "conversation": new.conversation,
            "received_ms": new.received_ms,
        }
        for owner, new in owned
    ]
    _INSERT.each(connection, rows)
    bodies = [
        _blob_row(owner, StoredBody(new.blob, new.body_size_bytes, new.body_place, new.body_inline))
        for owner, new in owned
    ]
    _INSERT_BLOB.each(connection, bodies)


def insert_blob(connection: Connection, owner: int, body: StoredBody) -> None:
    _INSERT_BLOB.each(connection, [_blob_row(owner, body)])


def _blob_row(owner: int, body: StoredBody) -> dict[str, Any]:
    return own(owner) | {"blob": body.blob, "size_bytes": body.size_bytes, "place": body.place, "inline": body.inline}


_KEYED = and_(K.c.lane == M.c.lane, K.c.owner == M.c.owner, K.c.epoch == M.c.key_epoch)
_COLUMNS = (
    M.c.message,
    M.c.size_bytes,
    M.c.state,
    M.c.direction,
    M.c.conversation,
    M.c.received_ms,
    M.c.summary_sealed,
    M.c.blob,
    M.c.key_epoch,
    K.c.scheme,
    K.c.key,
)
_WITH_KEY = select(*_COLUMNS).select_from(M.outerjoin(K, _KEYED))
_ONE = Hot(_WITH_KEY.where(owned_by(M), M.c.message == bindparam("which")))
_OF_CONVERSATION = _WITH_KEY.where(
    owned_by(M), M.c.conversation == bindparam("which"), M.c.state == MessageState.VISIBLE
).order_by(M.c.received_ms, M.c.message)


def _stored(row: Sequence[Any]) -> StoredMessage:
    plain: Any = row[:-3]
    epoch, scheme, key = row[-3:]
    fields = (*plain, SealedKey(epoch, scheme or 0, key or b""))
    return StoredMessage(*fields)


def one_message(connection: Connection, owner: int, message: int) -> StoredMessage | None:
    row = _ONE.of(connection, own_parameters(owner) | {"which": message})
    return _stored(row) if row else None


def messages_of_conversation(connection: Connection, owner: int, conversation: int) -> list[StoredMessage]:
    """Visible messages of a conversation, oldest first."""
    parameters = own_parameters(owner) | {"which": conversation}
    return [_stored(row) for row in connection.execute(_OF_CONVERSATION, parameters)]


_LAST = _WITH_KEY.where(owned_by(M), M.c.conversation == bindparam("which"), M.c.state == MessageState.VISIBLE)
_LAST = _LAST.order_by(M.c.received_ms.desc(), M.c.message.desc()).limit(1)


def last_of_conversation(connection: Connection, owner: int, conversation: int) -> StoredMessage | None:
    """The newest visible message of a conversation."""
    row = connection.execute(_LAST, own_parameters(owner) | {"which": conversation}).one_or_none()
    return _stored(row) if row else None


def received_of_conversation(connection: Connection, owner: int, conversation: int) -> list[tuple[int, bytes]]:
    """(message, keyed hash of its Message-ID) of what came in, oldest first."""
    query = (
        select(M.c.message, M.c.message_id_hmac)
        .where(owned_by(M), M.c.conversation == conversation, M.c.direction == Direction.IN)
        .order_by(M.c.message)
    )
    return [(row.message, row.message_id_hmac) for row in connection.execute(query, own_parameters(owner))]


_BY_MESSAGE_ID = Hot(_WITH_KEY.where(owned_by(M), M.c.message_id_hmac == bindparam("which")).order_by(M.c.message))


def by_message_id(connection: Connection, owner: int, message_id_hmac: bytes) -> list[StoredMessage]:
    """Messages of an owner with that Message-ID (usually one; a sender may repeat himself)."""
    return [_stored(row) for row in _BY_MESSAGE_ID.all(connection, own_parameters(owner) | {"which": message_id_hmac})]


def message_id_hmac(connection: Connection, owner: int, message: int) -> bytes:
    """The keyed hash under which a message is traced; empty when there is no such message."""
    query = select(M.c.message_id_hmac).where(owned_by(M), M.c.message == message)
    return connection.execute(query, own_parameters(owner)).scalar_one_or_none() or b""


_CHANGE = update(M).where(owned_by(M), M.c.message == bindparam("which"))
_SET_STATE = Hot(_CHANGE.values(state=bindparam("new_state")))
_SET_PLACE = Hot(_CHANGE.values(state=bindparam("new_state"), conversation=bindparam("new_conversation")))


def set_state(connection: Connection, owner: int, message: int, state: MessageState, conversation: int = 0) -> None:
    change = own_parameters(owner) | {"which": message, "new_state": state}
    if conversation:
        _SET_PLACE.once(connection, change | {"new_conversation": conversation})
    else:
        _SET_STATE.once(connection, change)


_BODY = Hot(select(B.c.blob, B.c.size_bytes, B.c.place, B.c.inline).where(owned_by(B), B.c.blob == bindparam("which")))


def body_of(connection: Connection, owner: int, blob: int) -> StoredBody | None:
    row = _BODY.of(connection, own_parameters(owner) | {"which": blob})
    return StoredBody(*row) if row else None


Listed = tuple[int, int, int, int, int, int, bytes, int, bytes]
"""uid, message, size, internaldate_ms, key_epoch, scheme, key, blob, summary_sealed."""

_LISTED = (
    select(
        E.c.uid,
        E.c.message,
        M.c.size_bytes,
        E.c.internaldate_ms,
        M.c.key_epoch,
        K.c.scheme,
        K.c.key,
        M.c.blob,
        M.c.summary_sealed,
    )
    .select_from(
        E.join(M, and_(M.c.lane == E.c.lane, M.c.owner == E.c.owner, M.c.message == E.c.message)).outerjoin(K, _KEYED)
    )
    .order_by(E.c.uid)
)
_LISTED_RANGE = _LISTED.where(
    owned_by(E), E.c.folder == bindparam("which"), E.c.uid >= bindparam("from_uid"), E.c.uid <= bindparam("to_uid")
)


def listed_range(connection: Connection, owner: int, folder: int, first: int, last: int) -> Iterator[Listed]:
    """Rows of a folder with uids from `first` to `last`, as list FETCH needs them."""
    parameters = own_parameters(owner) | {"which": folder, "from_uid": first, "to_uid": last}
    yield from connection.execute(_LISTED_RANGE, parameters)


def listed(connection: Connection, owner: int, folder: int, uids: Sequence[int]) -> Iterator[Listed]:
    """The same for scattered uids."""
    for part in parts(uids):
        query = _LISTED.where(owned_by(E), E.c.folder == folder, E.c.uid.in_(part))
        yield from connection.execute(query, own_parameters(owner))


_OF_SCHEME = Hot(
    select(K.c.epoch, K.c.key).where(owned_by(K), K.c.scheme == bindparam("which")).limit(bindparam("at_most"))
)


def keys_to_reseal(connection: Connection, owner: int, scheme: int, limit: int) -> list[tuple[int, bytes]]:
    """(epoch, sealed key) of intake keys still sealed to the public key."""
    parameters = own_parameters(owner) | {"which": scheme, "at_most": limit}
    return [(epoch, key) for epoch, key in _OF_SCHEME.all(connection, parameters)]


_RESEAL = (
    update(K)
    .where(owned_by(K), K.c.epoch == bindparam("at_epoch"))
    .values(scheme=bindparam("new_scheme"), key=bindparam("new_key"))
)


def reseal_keys(connection: Connection, owner: int, scheme: int, keys: Sequence[tuple[int, bytes]]) -> None:
    """Replace the wrapping of intake keys (the keys themselves stay, so nothing is encrypted again)."""
    start = own_parameters(owner) | {"new_scheme": scheme}
    connection.execute(_RESEAL, [start | {"at_epoch": epoch, "new_key": key} for epoch, key in keys])


_KEY = select(K.c.epoch, K.c.scheme, K.c.key).where(owned_by(K), K.c.epoch == bindparam("which"))


def sealed_key(connection: Connection, owner: int, epoch: int) -> SealedKey | None:
    row = connection.execute(_KEY, own_parameters(owner) | {"which": epoch}).one_or_none()
    return SealedKey(*row) if row else None


_DELETE_BLOB = Hot(delete(B).where(owned_by(B), B.c.blob == bindparam("which")))


def delete_blob(connection: Connection, owner: int, blob: int) -> None:
    """Forget a body; a file at its place is rubbish from then on, for housekeeping to sweep."""
    _DELETE_BLOB.once(connection, own_parameters(owner) | {"which": blob})


def delete_message(connection: Connection, owner: int, message: int) -> None:
    """Forget a message that stands in no folder, with its body."""
    known = one_message(connection, owner, message)
    if known is not None:
        delete_blob(connection, owner, known.blob)
        u = schema.unanswered
        connection.execute(delete(u).where(owned_by(u), u.c.message == message), own_parameters(owner))
        connection.execute(delete(M).where(owned_by(M), M.c.message == message), own_parameters(owner))


def delete_keys(connection: Connection, owner: int) -> None:
    """Forget every intake key of an owner: what lies under them can never be opened again."""
    connection.execute(delete(K).where(owned_by(K)), own_parameters(owner))
