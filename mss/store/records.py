"""Documents of records, what was done with them, and what waits for a human: rows, sealed where they speak."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, and_, bindparam, insert, select, update

from mss.store import recordschema
from mss.store.sql import Hot, own, own_parameters, owned_by

D = recordschema.document
N = recordschema.event
H = recordschema.held

ENTRY_KIND = b"entry"
DOCUMENT_KIND = b"document"


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document of a record. `visibility` holds the confidentiality codes, comma separated; the entry (XDS
    metadata) and the body are sealed under the owner's shelf key. `sent_by_hmac` is of the mailbox that sent it."""

    document: int
    status: str
    visibility: str
    unique_id_hmac: bytes
    content_hmac: bytes
    set_hmac: bytes
    sent_by_hmac: bytes
    entry_sealed: bytes
    blob: int
    size_bytes: int
    message: int
    replaced_by: int
    filed_ms: int
    box: int = 0
    box_message: int = 0


_COLUMNS = tuple(D.c[name] for name in DocumentRow.__slots__)
_INSERT = Hot(insert(D), ("lane", "owner", *DocumentRow.__slots__))
_ONE = Hot(select(*_COLUMNS).where(owned_by(D), D.c.document == bindparam("which")))
_BY_UNIQUE_ID = Hot(select(*_COLUMNS).where(owned_by(D), D.c.unique_id_hmac == bindparam("which")))
_OF_SET = Hot(
    select(*_COLUMNS).where(owned_by(D), D.c.set_hmac == bindparam("which")).order_by(D.c.filed_ms, D.c.document)
)


def insert_document(connection: Connection, owner: int, row: DocumentRow) -> None:
    """Raises IntegrityError when the record holds a document of that uniqueId already."""
    _INSERT.each(connection, [own(owner) | {name: getattr(row, name) for name in DocumentRow.__slots__}])


def document(connection: Connection, owner: int, number: int) -> DocumentRow | None:
    row = _ONE.of(connection, own_parameters(owner) | {"which": number})
    return None if row is None else DocumentRow(*row)


def document_by_unique_id(connection: Connection, owner: int, unique_id_hmac: bytes) -> DocumentRow | None:
    row = _BY_UNIQUE_ID.of(connection, own_parameters(owner) | {"which": unique_id_hmac})
    return None if row is None else DocumentRow(*row)


def documents(connection: Connection, owner: int) -> list[DocumentRow]:
    """Every document of a record, newest first; who may see which is the record's judge's matter."""
    query = select(*_COLUMNS).where(owned_by(D)).order_by(D.c.filed_ms.desc(), D.c.document.desc())
    return [DocumentRow(**row._mapping) for row in connection.execute(query, own_parameters(owner))]


def documents_of_set(connection: Connection, owner: int, set_hmac: bytes) -> list[DocumentRow]:
    """Every version of a document, oldest filing first."""
    return [DocumentRow(*row) for row in _OF_SET.all(connection, own_parameters(owner) | {"which": set_hmac})]


def set_document_status(connection: Connection, owner: int, number: int, status: str, replaced_by: int = 0) -> None:
    change = update(D).where(owned_by(D), D.c.document == number).values(status=status, replaced_by=replaced_by)
    connection.execute(change, own_parameters(owner))


def set_visibility(connection: Connection, owner: int, number: int, visibility: str) -> None:
    change = update(D).where(owned_by(D), D.c.document == number).values(visibility=visibility)
    connection.execute(change, own_parameters(owner))


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something that was done with a record, as the patient reads it. Actor: sealed JSON under the shelf key."""

    id: int
    kind: str
    document: int
    at_ms: int
    actor_sealed: bytes


_INSERT_EVENT = Hot(insert(N), ("lane", "owner", *EventRow.__slots__))


def insert_event(connection: Connection, owner: int, row: EventRow) -> None:
    _INSERT_EVENT.each(connection, [own(owner) | {name: getattr(row, name) for name in EventRow.__slots__}])


def events(connection: Connection, owner: int, *, before_ms: int, limit: int) -> list[EventRow]:
    """Events newest first."""
    query = (
        select(*(N.c[name] for name in EventRow.__slots__))
        .where(owned_by(N), N.c.at_ms < before_ms)
        .order_by(N.c.at_ms.desc(), N.c.id.desc())
        .limit(limit)
    )
    return [EventRow(**row._mapping) for row in connection.execute(query, own_parameters(owner))]


def events_of_document(connection: Connection, owner: int, document: int, kind: str) -> list[EventRow]:
    """What of that kind was done with one document, oldest first."""
    columns = [N.c[name] for name in EventRow.__slots__]
    query = select(*columns).where(owned_by(N), N.c.document == document, N.c.kind == kind).order_by(N.c.at_ms, N.c.id)
    return [EventRow(**row._mapping) for row in connection.execute(query, own_parameters(owner))]


def events_of_kind(connection: Connection, owner: int, kind: str) -> list[EventRow]:
    """What of that kind was done with a record, newest first."""
    columns = [N.c[name] for name in EventRow.__slots__]
    query = select(*columns).where(owned_by(N), N.c.kind == kind).order_by(N.c.at_ms.desc(), N.c.id.desc())
    return [EventRow(**row._mapping) for row in connection.execute(query, own_parameters(owner))]


def replaced_by(connection: Connection, owner: int, number: int) -> list[int]:
    """The documents of which this one is the newer version."""
    query = select(D.c.document).where(owned_by(D), D.c.replaced_by == number).order_by(D.c.document)
    return list(connection.execute(query, own_parameters(owner)).scalars())


class HeldState(StrEnum):
    """Of what waits for a human; it never expires by itself. KEPT_BACK is no triage case: it waits for the
    announcement of a document that is not yet for the patient's eyes."""

    WAITING = "waiting"
    KEPT_BACK = "kept-back"
    FILED = "filed"
    REFUSED = "refused"
    RELEASED = "released"
    """It went on its way: scanned after all, or let go by staff."""


class HeldWhat(StrEnum):
    """What kind of thing waits: a message of a mailbox, or mail in the queue (`message` is then its number there)."""

    MESSAGE = "message"
    OUTGOING = "outgoing"
    SINK = "sink"
    """A document that a hospital's software refused or cannot be given (`message`: its number in `handover`)."""
    FEED = "feed"
    """The documents in a message of an application mailbox. The mailbox's software can read it."""


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A message that waits for a human: why, since when. Detail: JSON sealed to the house's `held` pair."""

    owner: int
    id: int
    state: str
    message: int
    reason: str
    code: int
    message_id_hmac: bytes
    held_ms: int
    decided_ms: int
    detail_sealed: bytes
    what: str = HeldWhat.MESSAGE
    domain: str = ""
    """The one of ours whose staff hear of it."""
    told: str = ""
    """Who has been told that it waits (`sender, staff`), last at `told_ms`."""
    told_ms: int = 0


_HELD = tuple(H.c[name] for name in HeldRow.__slots__)


def insert_held(connection: Connection, row: HeldRow) -> None:
    connection.execute(insert(H), own(row.owner) | {name: getattr(row, name) for name in HeldRow.__slots__})


def held(connection: Connection, number: int) -> HeldRow | None:
    """By number alone (a fan-out; staff only)."""
    row = connection.execute(select(*_HELD).where(H.c.id == number)).one_or_none()
    return None if row is None else HeldRow(**row._mapping)


def held_of(connection: Connection, owner: int, number: int) -> HeldRow | None:
    row = connection.execute(select(*_HELD).where(owned_by(H), H.c.id == number), own_parameters(owner)).one_or_none()
    return None if row is None else HeldRow(**row._mapping)


_HELD_LAST = Hot(
    select(*_HELD)
    .where(owned_by(H), H.c.message == bindparam("which"))
    .order_by(H.c.held_ms.desc(), H.c.id.desc())
    .limit(1)
)


def held_of_message(connection: Connection, owner: int, message: int) -> HeldRow | None:
    """The last time that a message was held: the antivirus may come before the bridge."""
    row = _HELD_LAST.of(connection, own_parameters(owner) | {"which": message})
    return None if row is None else HeldRow(*row)


def list_held(
    connection: Connection, states: tuple[str, ...], *, domain: str = "", limit: int | None = None
) -> list[HeldRow]:
    """What waits, oldest first: `mss held list`. `domain`: for the staff of one of ours only."""
    query = select(*_HELD).where(H.c.state.in_(states)).order_by(H.c.held_ms, H.c.id).limit(limit)
    query = query.where(H.c.domain == domain) if domain else query
    return [HeldRow(**row._mapping) for row in connection.execute(query)]


def decide_held(connection: Connection, owner: int, number: int, state: HeldState, decided_ms: int) -> bool:
    """A human (or a rule) decided. False when somebody else decided first."""
    open_states = (HeldState.WAITING, HeldState.KEPT_BACK)
    change = update(H).where(owned_by(H), H.c.id == number, H.c.state.in_(open_states))
    values = {"state": state, "decided_ms": decided_ms}
    return connection.execute(change.values(**values), own_parameters(owner)).rowcount == 1


def _waiting(connection: Connection, owner: int, condition: ColumnElement[bool], values: dict[str, object]) -> int:
    change = update(H).where(owned_by(H), H.c.state == HeldState.WAITING, condition).values(**values)
    return connection.execute(change, own_parameters(owner)).rowcount


def mark_told(connection: Connection, owner: int, number: int, told: str, told_ms: int) -> bool:
    """Note who has been told that it waits. False when it does not wait any more."""
    return _waiting(connection, owner, H.c.id == number, {"told": told, "told_ms": told_ms}) == 1


_TOLD_OF_MESSAGE = Hot(
    update(H)
    .where(owned_by(H), H.c.state == HeldState.WAITING, H.c.message == bindparam("which"))
    .values(told=bindparam("new_told"), told_ms=bindparam("new_told_ms"))
)


def mark_message_told(connection: Connection, owner: int, message: int, told: str, told_ms: int) -> None:
    """The same for whatever holds that message."""
    change = {"which": message, "new_told": told, "new_told_ms": told_ms}
    _TOLD_OF_MESSAGE.once(connection, own_parameters(owner) | change)


def find_out(connection: Connection, owner: int, number: int, reason: str, detail_sealed: bytes) -> bool:
    """It waits for another reason than was thought. False when it does not wait any more."""
    return _waiting(connection, owner, H.c.id == number, {"reason": reason, "detail_sealed": detail_sealed}) == 1


def let_go(connection: Connection, owner: int, what: HeldWhat, number: int, decided_ms: int) -> int:
    """End what holds a message or mail of the queue, if anything does: it goes on its way."""
    which = and_(H.c.what == what, H.c.message == number)
    return _waiting(connection, owner, which, {"state": HeldState.RELEASED, "decided_ms": decided_ms})


def is_held(connection: Connection, owner: int, what: HeldWhat, number: int) -> bool:
    """Whether such a thing waits for a human."""
    query = select(H.c.id).where(owned_by(H), H.c.what == what, H.c.message == number)
    waits = query.where(H.c.state == HeldState.WAITING)
    return connection.execute(waits.limit(1), own_parameters(owner)).one_or_none() is not None


def told_about(connection: Connection, owner: int, what: HeldWhat, number: int) -> str:
    """Who was ever told that such a thing waits."""
    query = select(H.c.told).where(owned_by(H), H.c.what == what, H.c.message == number)
    return ", ".join(row.told for row in connection.execute(query, own_parameters(owner)))
