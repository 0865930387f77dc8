"""Who does the duties? Takes due tasks under a lease and calls the handler registered for each kind.

A handler may be called again for the same task (a crash, a lost lease) and then changes nothing. It removes its
task itself in its last transaction, or returns, and the runner removes it. What fails is tried again, later and
later; what keeps failing waits for a human and is counted, never dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from mss.model.clock import Clock, to_ms
from mss.model.ids import lane_of
from mss.store import changes, schema, tasks
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.sql import Connection
from mss.store.tasks import RowState, Task

Handler = Callable[[Task], Awaitable[None]]

LEASE_S = 120
"""A runner that dies frees its tasks after this; no handler takes longer without failing."""
AT_ONCE_MAX = 8
CLAIM_MAX = 32
POLL_S = 5.0
"""Hints come by the bus; this finds what a lost hint would have told."""
ATTEMPTS_MAX = 12
RETRY_FIRST_S = 2.0
RETRY_MAX_S = 900.0
"""Twelve attempts over about two hours, then a human."""

log = structlog.get_logger("runner")


def retry_after_s(attempts: int) -> float:
    """Pause after a failed attempt: 2 s doubling to 15 minutes."""
    return min(RETRY_FIRST_S * 2.0 ** max(0, attempts - 1), RETRY_MAX_S)


class Runner:
    """One for each works process."""

    def __init__(
        self, store: Store, bus: ChangeBus, clock: Clock, worker: str, handlers: Mapping[str, Handler]
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._worker = worker
        self._handlers = handlers
        self._wake = asyncio.Event()
        self._room = asyncio.Semaphore(AT_ONCE_MAX)
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled; what is being done is finished first."""
        self._bus.on_task(self._wake.set)
        try:
            while True:
                self._wake.clear()
                if not await self._round():
                    await self._pause()
        finally:
            if self._running:
                await asyncio.wait(self._running, timeout=LEASE_S)

    async def _pause(self) -> None:
        """Until a hint, the next due moment, or the poll."""
        due_ms = await self._store.read(lambda c: tasks.next_due_ms(c, schema.task))
        wait_s = POLL_S
        if due_ms is not None:
            wait_s = min(POLL_S, max(0.02, (due_ms - to_ms(self._clock.now())) / 1000))
        try:
            await asyncio.wait_for(self._wake.wait(), wait_s)
        except TimeoutError:
            return

    async def _round(self) -> int:
        """Claim what is due, lane by lane, and start it. Returns how much there was."""
        now_ms = to_ms(self._clock.now())
        lanes = await self._store.read(lambda c: tasks.lanes_with_due(c, schema.task, now_ms))
        started = 0
        for lane in lanes:
            for task in await self._claim(lane, now_ms):
                await self._room.acquire()
                doing = asyncio.create_task(self._do(task))
                self._running.add(doing)
                doing.add_done_callback(self._running.discard)
                started += 1
        return started

    async def _claim(self, lane: int, now_ms: int) -> list[Task]:
        until_ms = now_ms + LEASE_S * 1000
        return await self._store.write(
            lane, lambda c: tasks.claim_tasks(c, lane, self._worker, now_ms, until_ms, CLAIM_MAX)
        )

    async def _do(self, task: Task) -> None:
        try:
            await self._handlers[task.kind](task)
            await self._store.write(lane_of(task.owner), lambda c: tasks.finish(c, schema.task, task.owner, [task.id]))
        except Exception as problem:  # noqa: BLE001 — one duty fails, the house goes on
            log.warning(
                "task.failed", kind=task.kind, task=task.id, attempts=task.attempts, error=type(problem).__name__
            )
            await self._put_back(task, type(problem).__name__)
        finally:
            self._room.release()

    async def _put_back(self, task: Task, reason: str) -> None:
        when_ms = to_ms(self._clock.now()) + int(retry_after_s(task.attempts) * 1000)
        gives_up = task.attempts >= ATTEMPTS_MAX

        def act(connection: Connection) -> None:
            if gives_up:
                tasks.set_row_state(connection, schema.task, task.owner, task.id, RowState.FAILED, reason)
            else:
                tasks.put_back(connection, schema.task, task.owner, task.id, when_ms, reason)

        try:
            await self._store.write(lane_of(task.owner), act)
        except Exception as problem:  # noqa: BLE001 — the lease ends by itself and the task is taken again
            log.warning("task.not-put-back", task=task.id, error=type(problem).__name__)
        if gives_up:
            log.error("task.gave-up", kind=task.kind, task=task.id)
        self._bus.publish(changes.TASK)
