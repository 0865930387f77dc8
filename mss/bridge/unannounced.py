"""What was kept back for an announcement that never came: the day on which the patient sees it all the same.

Only where the operator has set one (`bridge.shown_after_days`); its sender was told it. The duty is written when the
message is kept back (bridge/announcing.py); whoever announces or refuses before then has decided.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

import structlog

from mss.bridge.announcing import TASK_UNANNOUNCED
from mss.bridge.applications import Applications
from mss.bridge.cases import Cases
from mss.bridge.filing import ACTOR, Filing
from mss.model.ids import OwnerId, lane_of
from mss.store import changes, records
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.records import HeldState, HeldWhat
from mss.store.tasks import Task

log = structlog.get_logger("bridge")


class Unannounced:
    """Lives in works."""

    def __init__(self, store: Store, cases: Cases, filing: Filing, applications: Applications, bus: ChangeBus) -> None:
        self._store = store
        self._cases = cases
        self._filing = filing
        self._applications = applications
        self._bus = bus

    @property
    def handlers(self) -> Mapping[str, Callable[[Task], Awaitable[None]]]:
        """Kind of a task → who does it."""
        return {TASK_UNANNOUNCED: self.show}

    async def show(self, task: Task) -> None:
        """Show one, as if it had been announced, unless somebody has decided. Raises SandboxIll, SandboxBusy."""
        owner, number = OwnerId(task.owner), int(json.loads(task.payload)["message"])
        row = await self._store.read(lambda c: records.held_of_message(c, owner, number))
        if row is None or row.state != HeldState.KEPT_BACK:
            return
        if row.what == HeldWhat.FEED:
            case = await self._cases.of_application(owner, number, ACTOR)
            shown = 0 if case is None else await self._applications.release(case, ACTOR)
        else:
            case = await self._cases.open(owner, number, ACTOR)
            assert case is not None, "what is kept back stands"
            kept = case
            shown = await self._store.write(lane_of(owner), lambda c: self._filing.announce(c, kept, ACTOR))
            self._bus.publish(changes.FOLDER, owner)
        log.warning("bridge.shown-unannounced", message=number, documents=shown)
        self._bus.publish(changes.TASK)
