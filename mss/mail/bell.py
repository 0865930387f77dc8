"""Who hears that somebody tries out which patients exist? The journal at once, a number, staff by a durable duty."""

from __future__ import annotations

import asyncio
import json

import structlog

from mss.crypto import seal
from mss.crypto.keys import PublicKeys
from mss.mail.answers import task_context
from mss.mail.recipients import NOBODY
from mss.mail.vigil import Alarm, Sign
from mss.model.clock import Chance, Clock, to_ms
from mss.model.errors import StorageUnavailable
from mss.model.ids import lane_of
from mss.store import audit, changes, tasks
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.ids import new_id
from mss.store.sql import Connection
from mss.store.tasks import NewTask, Task

TASK_ALARM = "alarm"
"""Tell staff of an alarm: payload sealed to the house's `tasks` pair, since it may name an address."""
ALARM_ACT = "alarm.patients"

log = structlog.get_logger("vigil")


class Bell:
    """Rings without keeping the door waiting."""

    def __init__(self, store: Store, public: PublicKeys, bus: ChangeBus, clock: Clock, chance: Chance) -> None:
        self._store = store
        self._public = public
        self._bus = bus
        self._clock = clock
        self._chance = chance
        self.ringing: set[asyncio.Task[None]] = set()

    def ring(self, alarm: Alarm) -> None:
        """Say it, and owe it to staff. The journal's line holds counts; who it is stands in the sealed duty."""
        log.error("patients.searched", sign=alarm.sign.value, asked=alarm.asked, unreachable=alarm.unreachable)
        task = asyncio.get_running_loop().create_task(self._owe(alarm))
        self.ringing.add(task)
        task.add_done_callback(self.ringing.discard)

    async def _owe(self, alarm: Alarm) -> None:
        number, now = new_id(self._clock, self._chance), self._clock.now()
        fields = json.dumps([alarm.sign, alarm.who, alarm.asked, alarm.unreachable]).encode()
        sealed = seal.seal_to(self._public.tasks, fields, task_context(number), self._chance)

        def act(connection: Connection) -> None:
            tasks.add_task(connection, NOBODY, NewTask(number, TASK_ALARM, sealed, to_ms(now)))
            audit.write(connection, [audit.Act(now, "vigil", ALARM_ACT, NOBODY, number, result=alarm.sign)])

        try:
            await self._store.write(lane_of(NOBODY), act)
        except StorageUnavailable as problem:
            log.error("patients.searched-not-told", error=type(problem).__name__)
            return
        self._bus.publish(changes.TASK)


def alarm_of(task: Task, pair: seal.KeyPair) -> Alarm:
    """Read a duty back. Raises SealBroken."""
    sign, who, asked, unreachable = json.loads(seal.open_sealed(pair, task.payload, task_context(task.id)))
    return Alarm(Sign(sign), who, asked, unreachable)
