"""Who works on the mail for one domain, and when is it left in peace?

A few workers with a connection each, started as mail comes and ended when none has come for a while. A domain whose
host has not answered yet gets one worker only; one that failed rests, a little longer each time, and its rows with
it, so that they are not leased in vain.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mss.smtp import journal
from mss.smtp.identities import Harbour, Links
from mss.store.tasks import Queued


@dataclass(frozen=True, slots=True)
class Pace:
    """How much at once."""

    connections_per_domain_max: int = 4
    """What another operator's door certainly bears; more would only wait for its disk."""
    connections_max: int = 100
    """In all: each may hold a message of 35 MiB."""
    rows_per_domain_max: int = 16
    """Leased and waiting for one domain: enough to keep its connections busy between two looks at the queue."""
    rows_max: int = 400
    idle_s: float = 30.0
    """A connection is kept so long without mail; half of what our own door allows."""
    rest_first_s: float = 2.0
    rest_max_s: float = 60.0
    """After a failed connection the domain rests, doubling: one attempt a minute hurts nobody."""


Carry = Callable[["Destination", Queued, Links], Awaitable[None]]


class Destination:
    """The mail for one domain that is leased now."""

    def __init__(
        self,
        name: str,
        pace: Pace,
        slots: asyncio.Semaphore,
        harbour: Harbour,
        carry: Carry,
        freed: Callable[[Destination], None],
    ) -> None:
        self.name = name
        self.workers: set[asyncio.Task[None]] = set()
        self._pace = pace
        self._slots = slots
        self._harbour = harbour
        self._carry = carry
        self._freed = freed
        self._waiting: deque[Queued] = deque()
        self._sending: list[Queued] = []
        self._giving_back: list[Queued] = []
        self._idle: set[asyncio.Event] = set()
        self._failures = 0
        self._rests_until_s = float("-inf")
        self._has_worked = False
        self._is_closing = False

    def add(self, row: Queued) -> None:
        """Mail to carry: for an idle worker, or a new one."""
        self._waiting.append(row)
        if self._idle:
            self._idle.pop().set()
        elif len(self.workers) < (self._pace.connections_per_domain_max if self._has_worked else 1):
            self._hire()

    @property
    def rows(self) -> int:
        """Leased now."""
        return len(self._waiting) + len(self._sending) + len(self._giving_back)

    def leased(self) -> Iterable[Queued]:
        return [*self._waiting, *self._sending, *self._giving_back]

    def drop(self, row: Queued) -> None:
        """Somebody else has it now."""
        if row in self._waiting:
            self._waiting.remove(row)

    @contextmanager
    def giving_back(self) -> Iterator[list[Queued]]:
        """Everything that waits, to be put off now. Until all of it is, it counts as leased: after a jump of the clock
        it could be leased again before its sender is written down as told, and he would be told twice."""
        rows = list(self._waiting)
        self._waiting.clear()
        self._giving_back += rows
        try:
            yield rows
        finally:
            for row in rows:
                self._giving_back.remove(row)

    def wants_more(self, now_s: float) -> bool:
        return len(self._waiting) < self._pace.rows_per_domain_max and now_s >= self._rests_until_s

    def is_forgettable(self, now_s: float) -> bool:
        """Nothing is known here that would be missed."""
        return not self.rows and not self.workers and now_s >= self._rests_until_s and not self._failures

    def rest(self, now_s: float) -> None:
        """Its host does not answer: leave it in peace for a while."""
        self._has_worked = False
        self._rests_until_s = now_s + min(self._pace.rest_first_s * 2.0**self._failures, self._pace.rest_max_s)
        self._failures = min(self._failures + 1, 30)

    def works(self) -> bool:
        """Its host answers: as many connections as there is work for. True when it did not before."""
        is_back = self._failures > 0
        self._failures = 0
        self._has_worked = True
        while self._waiting and not self._idle and len(self.workers) < self._pace.connections_per_domain_max:
            if len(self.workers) > len(self._waiting):
                break
            self._hire()
        return is_back

    def is_running_dry(self) -> bool:
        return len(self._waiting) <= self._pace.rows_per_domain_max // 2

    def send_idle_home(self) -> None:
        """Workers end when they have nothing to carry."""
        self._is_closing = True
        for called in self._idle:
            called.set()

    def cut(self) -> None:
        """End every worker at once."""
        for worker in self.workers:
            worker.cancel()

    def _hire(self) -> None:
        worker = asyncio.get_running_loop().create_task(self._work())
        self.workers.add(worker)
        worker.add_done_callback(self._gone)

    def _gone(self, worker: asyncio.Task[None]) -> None:
        self.workers.discard(worker)
        if self._waiting and not self.workers and not worker.cancelled():
            self._hire()
        self._freed(self)

    async def _work(self) -> None:
        """Carry row after row over one connection (for each certificate of ours that it needs)."""
        links = Links(self._harbour)
        async with self._slots:
            try:
                while (row := await self._next(links)) is not None:
                    self._sending.append(row)
                    try:
                        await self._carry(self, row, links)
                    finally:
                        self._sending.remove(row)
                        self._freed(self)
            except Exception as problem:  # noqa: BLE001 — the edge of a worker: its row's lease runs out, others go on
                journal.stumbled(self.name, problem)
            finally:
                await links.close()

    async def _next(self, links: Links) -> Queued | None:
        """The next row; None when there is none, nor likely to be soon."""
        deadline = asyncio.get_running_loop().time() + self._pace.idle_s
        while not self._waiting:
            if not links.are_open or self._slots.locked() or self._is_closing:
                return None
            called = asyncio.Event()
            self._idle.add(called)
            links.on_lent = called.set  # without a connection there is nothing to wait with
            try:
                async with asyncio.timeout_at(deadline):
                    await called.wait()
            except TimeoutError:
                return None
            finally:
                self._idle.discard(called)
        return self._waiting.popleft()
