"""Who does the duties? Takes due tasks under a lease and calls the handler registered for each kind.

A handler may be called again for the same task (a crash, a lost lease) and then changes nothing. It removes its
task itself in its last transaction, or returns, and the runner removes it. What fails is tried again, later and
later; what keeps failing waits for a human and is counted, never dropped. Moments are those of the wall clock, which
may jump: ahead, a duty is only done early; back, leases that cannot be true are taken for ended (mss/store/tasks.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import structlog

from mss.model.clock import Clock, to_ms
from mss.model.errors import NotYet, StorageUnavailable
from mss.model.ids import lane_of
from mss.store import schema, tasks
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.sql import Connection
from mss.store.tasks import RowState, Task

Handler = Callable[[Task], Awaitable[None]]

LEASE_S = 120
"""A runner that dies frees its tasks after this."""
HANDLER_S = 100
"""A handler that takes longer is ended and fails, well before somebody else takes its task."""
AT_ONCE_MAX = 8
"""Each may hold a message of 35 MiB; no more are leased than are begun."""
CLAIMED_MIN = 4
"""A claim is a transaction with a sync of its own: it waits for room for so many, but only a moment (`ROOM_S`)."""
ROOM_S = 0.05
"""Slow duties keep the others from beginning for this long at most."""
POLL_S = 5.0
"""Hints come by the bus; this finds what a lost hint would have told."""
ATTEMPTS_MAX = 16
RETRY_FIRST_S = 2.0
RETRY_MAX_S = 900.0
"""Sixteen attempts over almost two hours, then a human."""

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
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled; what is being done is finished first."""
        self._bus.on_duty(self._wake.set)
        try:
            while True:
                self._wake.clear()
                try:
                    if not await self._round():
                        await self._pause()
                except StorageUnavailable as problem:
                    log.warning("runner.store-away", error=type(problem).__name__)
                    await asyncio.sleep(POLL_S)
        finally:
            if self._running:
                await asyncio.wait(self._running, timeout=HANDLER_S)

    async def _pause(self) -> None:
        """Until a hint, the next due moment, or the poll."""
        due_ms = await self._store.read(lambda c: tasks.next_due_ms(c, schema.task))
        wait_s = POLL_S
        if due_ms is not None:
            wait_s = min(POLL_S, max(0.02, (due_ms - to_ms(self._clock.now())) / 1000))
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):  # wait_for of Python 3.11 may lose a cancellation
                await self._wake.wait()

    async def _round(self) -> int:
        """Claim what is due, lane by lane, as there is room, and start it. Returns how much there was."""
        now_ms = to_ms(self._clock.now())
        lanes = await self._store.read(lambda c: tasks.lanes_with_due(c, schema.task, now_ms))
        started = 0
        while lanes:
            room = await self._room()
            some, lanes = lanes[:room], lanes[room:]
            each = room // len(some)
            started += await self._start(some, each)
        return started

    async def _start(self, lanes: list[int], each: int) -> int:
        """Claim so many of each lane, in one transaction where the store can, and begin what was claimed."""
        claims = await asyncio.gather(*(self._claim(lane, each) for lane in lanes), return_exceptions=True)
        claimed = [task for claim in claims if not isinstance(claim, BaseException) for task in claim]
        for task in claimed:
            self._begin(task)
        for claim in claims:
            if isinstance(claim, BaseException):
                raise claim
        return len(claimed)

    def _begin(self, task: Task) -> None:
        doing = asyncio.create_task(self._do(task))
        self._running.add(doing)
        doing.add_done_callback(self._running.discard)

    async def _room(self) -> int:
        """How many more may be begun now; waits until it is one, and a moment for some more."""
        await self._until_running(AT_ONCE_MAX - 1)
        with suppress(TimeoutError):
            async with asyncio.timeout(ROOM_S):
                await self._until_running(AT_ONCE_MAX - CLAIMED_MIN)
        return AT_ONCE_MAX - len(self._running)

    async def _until_running(self, number: int) -> None:
        """Until no more than so many are being done."""
        while len(self._running) > number:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)

    async def _claim(self, lane: int, room: int) -> list[Task]:
        now_ms = to_ms(self._clock.now())
        until_ms = now_ms + LEASE_S * 1000
        return await self._store.write(lane, lambda c: tasks.claim_tasks(c, lane, self._worker, now_ms, until_ms, room))

    async def _do(self, task: Task) -> None:
        try:
            if task.attempts > ATTEMPTS_MAX:  # it never came back from a handler: each time it took the process along
                raise _GivenUp
            async with asyncio.timeout(HANDLER_S):
                await self._handlers[task.kind](task)
            await self._finish(task)
        except NotYet as later:
            log.info("task.not-yet", kind=task.kind, task=task.id, why=str(later))
            await self._put_back(task, str(later), after_s=later.after_s)
        except Exception as problem:  # noqa: BLE001 — one duty fails, the house goes on
            log.warning(
                "task.failed", kind=task.kind, task=task.id, attempts=task.attempts, error=type(problem).__name__
            )
            await self._put_back(task, type(problem).__name__)

    async def _finish(self, task: Task) -> None:
        """Unless its handler did: most do, and looking costs a twentieth of a transaction that changes nothing."""
        if await self._store.look_up(lambda c: tasks.stands(c, schema.task, task.owner, task.id)):
            await self._store.write(lane_of(task.owner), lambda c: tasks.finish(c, schema.task, task.owner, [task.id]))

    async def _put_back(self, task: Task, reason: str, *, after_s: float | None = None) -> None:
        """Again after the backoff; with `after_s` then, and it was no attempt."""
        pause_s = retry_after_s(task.attempts) if after_s is None else after_s
        when_ms = to_ms(self._clock.now()) + int(pause_s * 1000)
        gives_up = after_s is None and task.attempts >= ATTEMPTS_MAX
        attempts = None if after_s is None else 0

        def act(connection: Connection) -> None:
            if gives_up:
                tasks.set_row_state(connection, schema.task, task.owner, task.id, RowState.FAILED, reason)
            else:
                tasks.put_back(connection, schema.task, task.owner, task.id, when_ms, reason, attempts=attempts)

        try:
            await self._store.write(lane_of(task.owner), act)
        except Exception as problem:  # noqa: BLE001 — the lease ends by itself and the task is taken again
            log.warning("task.not-put-back", task=task.id, error=type(problem).__name__)
            return
        if gives_up:
            log.error("task.gave-up", kind=task.kind, task=task.id)
        self._wake.set()  # its new moment may come before the poll


class _GivenUp(Exception):
    """A task that was begun too often."""
