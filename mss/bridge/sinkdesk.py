"""What may staff do with a document that a hospital's software does not have? Look, try again, or give it up.

Each act is audited with its actor. Whoever gives up says why, and the document's sender reads it. Our own record keeps
the document either way.
"""

from __future__ import annotations

from mss.bridge.settling import Settling, note
from mss.mail.answers import Answer, Fate
from mss.model.clock import Clock, to_ms
from mss.model.errors import BadValue, MssError, NotFound
from mss.model.ids import lane_of
from mss.model.verdict import Reason
from mss.store import changes, handovers, records
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.handovers import OPEN, Handover, HandoverState
from mss.store.records import HeldWhat
from mss.store.sql import Connection

WHY_CHARS_MAX = 500


class NotNow(MssError):
    """It is in a state in which that cannot be done; the text says what can."""


class SinkDesk:
    """Staff's hand in what is owed."""

    def __init__(self, store: Store, settling: Settling, bus: ChangeBus, clock: Clock, actor: str) -> None:
        self._store = store
        self._settling = settling
        self._bus = bus
        self._clock = clock
        self._actor = actor

    async def waiting(self) -> list[Handover]:
        """Everything that has not arrived, oldest first: ids and reasons."""
        return await self._store.read(handovers.open_rows)

    async def show(self, number: int) -> Handover:
        """One row, whatever became of it; the look is written down. Raises NotFound."""
        row = await self._row(number)
        await self._store.write(
            lane_of(row.owner), lambda c: note(c, row, self._actor, "sink.shown", self._clock, row.state)
        )
        return row

    async def retry(self, number: int) -> None:
        """Try one now: a refused one too, and then what stands behind it. Raises NotFound, NotNow."""
        row = await self._row(number)

        def act(connection: Connection) -> None:
            now_ms = to_ms(self._clock.now())
            if row.state == HandoverState.REFUSED and handovers.let_go(connection, row, now_ms, "sink.retry"):
                records.let_go(connection, row.owner, HeldWhat.SINK, row.id, now_ms)
            elif not handovers.try_now(connection, row, now_ms):
                raise NotNow(f"{number} is {row.state}: only what waits or was refused can be tried")
            note(connection, row, self._actor, "sink.retry", self._clock, row.state)

        await self._store.write(lane_of(row.owner), act)
        self._bus.publish(changes.TASK)

    async def drop(self, number: int, why: str) -> None:
        """Give one up; its sender reads why. Raises NotFound, NotNow, BadValue."""
        if not why.strip() or len(why) > WHY_CHARS_MAX:
            raise BadValue(f"say why in at most {WHY_CHARS_MAX} characters: the sender reads it")
        row = await self._row(number)
        title = await self._settling.title(row)
        told = ((title, Fate.NOT_INTEGRATED),)
        answer = Answer(row.message, Fate.NOT_INTEGRATED, Reason.REFUSED_BY_STAFF, told, why=why.strip())

        def act(connection: Connection) -> None:
            now_ms = to_ms(self._clock.now())
            if row.state not in OPEN or handovers.is_leased(connection, row, now_ms):
                raise NotNow(f"{number} is {row.state}, or is being handed over at this moment")
            if not handovers.settle(connection, row, HandoverState.DROPPED, "sink.drop", now_ms):
                raise NotNow(f"{number} has just arrived")
            records.let_go(connection, row.owner, HeldWhat.SINK, row.id, now_ms)
            self._settling.owe(connection, row, answer)
            note(connection, row, self._actor, "sink.dropped", self._clock, row.state)

        await self._store.write(lane_of(row.owner), act)
        self._bus.publish(changes.TASK)

    async def _row(self, number: int) -> Handover:
        row = await self._store.read(lambda c: handovers.by_number(c, number))
        if row is None:
            raise NotFound(f"{number} is owed to no sink: see mss sink list")
        return row
