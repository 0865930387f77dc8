"""A planted bug, for the control of the import campaign: what was brought is noted 200 ms after it stands.

Python imports this file at every start when its folder stands in PYTHONPATH; it only touches the import.
"""

import asyncio
import sys
from collections.abc import Sequence

LATE_S = 0.2

if "import" in sys.orig_argv:
    from mss.bridge.importput import Batch, Ready
    from mss.model.ids import lane_of
    from mss.store import imported
    from mss.store.imported import Copy
    from mss.store.sql import Connection

    honest, remember = Batch.commit, imported.remember
    later: list[tuple[int, bytes, Sequence[Copy], int]] = []

    def not_yet(connection: Connection, owner: int, source: bytes, copies: Sequence[Copy], at_ms: int) -> None:
        later.append((owner, source, copies, at_ms))

    async def two_transactions(self: Batch, waiting: Sequence[Ready]) -> tuple[list[Ready], list[Ready]]:
        answer = await honest(self, waiting)
        await asyncio.sleep(LATE_S)
        for owner, source, copies, at_ms in later:
            act = (owner, source, copies, at_ms)
            await self._keeper.store.write(lane_of(owner), lambda c, act=act: remember(c, *act))  # type: ignore[misc]
        later.clear()
        return answer

    imported.remember = not_yet
    Batch.commit = two_transactions  # type: ignore[method-assign]
