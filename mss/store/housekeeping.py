"""What lies here that nobody needs any more, and when does it go?

Two kinds: a body whose row is gone or never came (a mail that has left, a crash between body and row), and a message
that stands in no folder (deleted for good by its reader). Each is found twice, at least a grace apart: first it is
marked, and only what is still nobody's when its grace is over is deleted; what somebody has taken up meanwhile is
unmarked. Rows go first, their bodies after another grace, so that a copy of the database finds all its bodies in a copy
of the bodies that was made later. A crash anywhere leaves a mark or a body too many, and nothing too few.

Never touched: what the bridge has not judged, what is held, kept back, refused or obeyed, what a conversation shows,
what waits for an answer, what a record, a handing over or a decision names, and every message of a mailbox for which a
duty is owed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import asdict, astuple, dataclass
from enum import IntEnum

import structlog
from sqlalchemy import Connection, delete, exists, select, union

from mss.model.clock import Clock, to_ms
from mss.model.ids import LANES, OwnerId
from mss.store import audit, messages, owners, recordschema, schema
from mss.store.blobs import BodyStore, Whose, place_of
from mss.store.database import Store
from mss.store.messages import MessageState
from mss.store.sql import insert_ignoring, own, own_parameters, owned_by, parts

GRACE_MS = 14 * 24 * 3_600_000
"""Longer than mail waits in the queue (four days), than any lease or answer, and than a backup takes."""
AT_ONCE_MAX = 200
"""Messages of a lane in one round: it holds the writer no longer than a batch of mail."""
ACTOR = "housekeeping"

M, E, T, O = schema.message, schema.entry, schema.task, schema.orphan  # noqa: E741 — tables have one letter here

log = structlog.get_logger("housekeeping")


class What(IntEnum):
    """Kinds of orphans, as the store has them."""

    BODY = 1
    MESSAGE = 2


@dataclass(frozen=True, slots=True)
class Swept:
    """What a round did."""

    marked: int = 0
    unmarked: int = 0
    bodies: int = 0
    """Deleted."""
    messages: int = 0
    """Deleted, with the rows of their bodies."""

    def plus(self, other: Swept) -> Swept:
        """Both together."""
        return Swept(*map(sum, zip(astuple(self), astuple(other), strict=True)))


Found = set[tuple[int, int]]
"""Owner and number."""


class Housekeeping:
    """Lives in works. `idle_tasks`: kinds of duties that concern no message."""

    def __init__(self, store: Store, bodies: BodyStore, clock: Clock, idle_tasks: Collection[str] = ()) -> None:
        self._store = store
        self._bodies = bodies
        self._clock = clock
        self._idle_tasks = tuple(idle_tasks)

    async def round(self) -> Swept:
        """Look through everything once. Raises StorageUnavailable; what was done until then is done."""
        swept = Swept()
        inhabited = await self._store.read(_inhabited)
        for lane in range(LANES):
            before_ms = to_ms(self._clock.now()) - GRACE_MS
            there = await self._bodies.listed(lane, before_ms / 1000)
            if there or lane in inhabited:
                swept = swept.plus(await self._lane(lane, there, before_ms))
            await asyncio.sleep(0)  # others have work too
        if swept != Swept():
            log.info("housekeeping.done", **asdict(swept))
        return swept

    async def _lane(self, lane: int, there: Sequence[Whose], before_ms: int) -> Swept:
        def look(connection: Connection) -> tuple[list[Whose], Found, bool]:
            homeless = _homeless(connection, lane, before_ms, self._idle_tasks)
            return _without_row(connection, there), homeless, bool(_marks(connection, lane))

        bodies, homeless, has_marks = await self._store.read(look)
        if not (bodies or homeless or has_marks):
            return Swept()

        def act(connection: Connection) -> tuple[Swept, Found]:
            for owner in sorted({owner for owner, _ in homeless}):
                owners.lock(connection, owner)
            # Asked again: what was seen before may have been taken up since.
            messages_now = _homeless(connection, lane, before_ms, self._idle_tasks) & homeless
            bodies_now = {(one.owner, one.blob) for one in _without_row(connection, bodies)}
            done, _ = self._settle(connection, lane, What.MESSAGE, messages_now, before_ms)
            more, gone = self._settle(connection, lane, What.BODY, bodies_now, before_ms)
            return done.plus(more), gone

        swept, gone = await self._store.write(lane, act)
        for owner, blob in gone:
            await self._bodies.delete(place_of(lane, owner, blob))
        return swept

    def _settle(
        self, connection: Connection, lane: int, what: What, found: Found, before_ms: int
    ) -> tuple[Swept, Found]:
        """Mark what is new, unmark what is somebody's again, delete what has been marked for long; which that was."""
        marks = {(whose_, n): at for (whose_, kind, n), at in _marks(connection, lane).items() if kind == what}
        ripe = {one for one in found if marks.get(one, before_ms + 1) <= before_ms}
        if what is What.MESSAGE:
            ripe = _delete_messages(connection, ripe, self._clock)
        else:
            _note(connection, "body.swept", sorted(ripe), self._clock)
        fresh, taken_up = found - set(marks), set(marks) - found
        rows = [own(owner) | {"what": what, "number": number} for owner, number in sorted(fresh)]
        if rows:
            now_ms = to_ms(self._clock.now())
            insert_ignoring(connection, O, [row | {"marked_ms": now_ms} for row in rows])
        _unmark(connection, what, taken_up | ripe)
        counts = {"messages" if what is What.MESSAGE else "bodies": len(ripe)}
        return Swept(len(fresh), len(taken_up), **counts), ripe


def _inhabited(connection: Connection) -> set[int]:
    """Lanes in which anything can be found."""
    rows = connection.execute(union(select(schema.mailbox.c.lane), select(O.c.lane)))
    return {row.lane for row in rows}


def marked(connection: Connection) -> dict[str, float]:
    """How many wait for the end of their grace, by kind."""
    found = {what.name.lower(): 0.0 for what in What}
    for row in connection.execute(select(O.c.what)):
        found[What(row.what).name.lower()] += 1
    return found


def _without_row(connection: Connection, there: Sequence[Whose]) -> list[Whose]:
    """Bodies that no row names."""
    by_owner: dict[int, list[int]] = {}
    for one in there:
        by_owner.setdefault(one.owner, []).append(one.blob)
    blob, lost = schema.blob, []
    for owner, numbers in by_owner.items():
        known: set[int] = set()
        for part in parts(numbers):
            query = select(blob.c.blob).where(owned_by(blob), blob.c.blob.in_(part))
            known |= set(connection.execute(query, own_parameters(owner)).scalars())
        lost += [Whose(owner, number) for number in numbers if number not in known]
    return lost


def _homeless(connection: Connection, lane: int, before_ms: int, idle_tasks: Sequence[str]) -> Found:
    """Messages that could be seen once and stand in no folder now, and that nothing near them names."""
    held, copy = recordschema.held, recordschema.copy
    of_it = [
        exists().where(table.c.lane == M.c.lane, table.c.owner == M.c.owner, table.c.message == M.c.message)
        for table in (E, held, copy, recordschema.document, schema.unanswered)
    ]
    owed = exists().where(T.c.lane == M.c.lane, T.c.owner == M.c.owner, T.c.kind.not_in(idle_tasks))
    query = select(M.c.owner, M.c.message).where(
        M.c.lane == lane,
        M.c.state == MessageState.VISIBLE,
        M.c.conversation == 0,
        M.c.received_ms <= before_ms,
        *(~one for one in of_it),
        ~owed,
    )
    return {(row.owner, row.message) for row in connection.execute(query.order_by(M.c.message).limit(AT_ONCE_MAX))}


def _delete_messages(connection: Connection, ripe: Found, clock: Clock) -> Found:
    """Those of them that no record of anybody names either."""
    numbers, named = sorted(number for _, number in ripe), set[int]()
    for table in (recordschema.document, recordschema.handover):  # of a patient, whose mail came to software's mailbox
        for part in parts(numbers):
            named |= set(connection.execute(select(table.c.message).where(table.c.message.in_(part))).scalars())
    going = {(owner, number) for owner, number in ripe if number not in named}
    hashed = {one: messages.message_id_hmac(connection, *one) for one in going}
    for owner, number in sorted(going):
        messages.delete_message(connection, owner, number)
    _note(connection, "mail.swept", sorted(going), clock, hashed)
    return going


def _note(
    connection: Connection,
    act: str,
    gone: Sequence[tuple[int, int]],
    clock: Clock,
    hashed: dict[tuple[int, int], bytes] | None = None,
) -> None:
    now, known = clock.now(), hashed or {}
    acts = [
        audit.Act(now, ACTOR, act, OwnerId(owner), number, known.get((owner, number), b"")) for owner, number in gone
    ]
    if acts:
        audit.write(connection, acts)


def _marks(connection: Connection, lane: int) -> dict[tuple[int, int, int], int]:
    """(owner, kind, number) and since when."""
    rows = connection.execute(select(O.c.owner, O.c.what, O.c.number, O.c.marked_ms).where(O.c.lane == lane))
    return {(row.owner, row.what, row.number): row.marked_ms for row in rows}


def _unmark(connection: Connection, what: What, done: Found) -> None:
    for owner, number in sorted(done):
        gone = delete(O).where(owned_by(O), O.c.what == what, O.c.number == number)
        connection.execute(gone, own_parameters(owner))
