"""Planted bugs, for the controls of the kill campaigns: the edge answers 250 and writes 50 ms later; the works write
down an answer as sent, and a sink's document as taken, 50 ms before they are.

Python imports this file at every start when its folder stands in PYTHONPATH: in the cradle, from which all come.
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from hurry import hurry  # type: ignore[import-not-found]

LATE_S = 0.05

hurry()

if "mss.assembly" in sys.orig_argv:
    from mss.mail.delivery import Delivery
    from mss.mail.parcels import Parcel

    honest = Delivery.commit
    later: set[asyncio.Task[None]] = set()

    async def polite_before_durable(self: Delivery, parcels: Sequence[Parcel]) -> list[int]:
        async def write() -> None:
            await asyncio.sleep(LATE_S)
            await honest(self, parcels)

        if Path("/proc/self/comm").read_text() != "mss-edge\n":
            return await honest(self, parcels)
        task = asyncio.ensure_future(write())
        later.add(task)
        task.add_done_callback(later.discard)
        return [parcel.new.message for parcel in parcels]

    Delivery.commit = polite_before_durable  # type: ignore[method-assign]

    from mss.bridge.sink import Outcome, Taken
    from mss.bridge.sinks import SinkWorker
    from mss.model.ids import lane_of
    from mss.notices.send import Notices
    from mss.store import schema, tasks
    from mss.store.handovers import Handover
    from mss.store.tasks import Task

    handed_over, answer = SinkWorker._handed_over, Notices.answer

    async def taken_before_it_left(self: SinkWorker, row: Handover) -> Outcome:
        await self._settling.taken(row, Taken())
        await asyncio.sleep(LATE_S)
        return await handed_over(self, row)

    async def done_before_it_left(self: Notices, task: Task) -> None:
        await self._store.write(lane_of(task.owner), lambda c: tasks.finish(c, schema.task, task.owner, [task.id]))
        await asyncio.sleep(LATE_S)
        await answer(self, task)

    SinkWorker._handed_over = taken_before_it_left  # type: ignore[method-assign]
    Notices.answer = done_before_it_left  # type: ignore[method-assign]
