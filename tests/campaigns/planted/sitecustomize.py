"""A planted bug, for the control of the kill campaign: the edge answers 250 and writes 50 ms later.

Python imports this file at every start when its folder stands in PYTHONPATH: in the cradle, from which all come. Only
the edge does it.
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

LATE_S = 0.05

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
