"""How does a write become durable without each paying for its own sync?

Whoever wants to write waits together: the writer takes all that is waiting, runs it in one transaction, commits,
and only then answers everybody. There is no artificial wait; the previous sync is the gathering window. When one
act of a batch fails, the batch is rolled back and each act is tried alone, so that only the guilty one fails.

SQLite: one thread and one connection for each process; processes take turns under one file lock (SQLite's own
busy waiting starves writers and Debian's 3.40 has a fault when two connections checkpoint at once).
PostgreSQL: transactions of one lane each, several lanes at a time; all wait for its disk, which it shares between them
(a lost one would have its modseq used again: mss/store/powercut.py).
A failed sync is never repeated: the kernel may have dropped the pages. The writer refuses from then on.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError

from mss.model.errors import StorageUnavailable
from mss.store.sql import to_driver

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")

log = structlog.get_logger("store")

BATCH_MAX = 512
BATCH_BYTES_MAX = 8 * 1024 * 1024
"""A batch holds the writer this long at most: 512 small acts or 8 MB of bodies."""
TURNS_MAX = 5
"""How often an act begins again that PostgreSQL has sent back: each time somebody else has got on."""
SENT_BACK = ("40001", "40P01")
"""serialization_failure and deadlock_detected: the transaction is rolled back, and may be begun again (PostgreSQL,
appendix A). Nothing else is: after a lost connection nobody knows whether the commit stands."""
CHECKPOINT_PAGES = 2048
"""The write-ahead log is folded back when it has grown so far (8 MB), in the commit that makes it so and thus under our
lock. Its file is then written over from the front: giving blocks back and taking new ones cost a tenth of a mail."""
WAL_BYTES_MAX = 64 * 1024 * 1024
"""Folding back waits for no reader, so readers that overlap without end could make the log grow; from here on it does
wait, and the file is cut."""
WAL_LOOKED_AT = 64
"""Commits between two looks at how long the log has grown: a look costs as much as a statement. What the bodies of a
commit bring is counted, so that it is looked at when it may have grown by a full batch."""
_DISK_FULL = ("database or disk is full", "No space left")
BEGIN, COMMIT = "BEGIN IMMEDIATE", "COMMIT"
"""Said to SQLite by the writer itself; to SQLAlchemy its connection is in one transaction for ever."""


@dataclass(slots=True)
class Work:
    """One act waiting for the writer, and the future of whoever waits for it."""

    lane: int
    act: Callable[[Connection], Any]
    size_bytes: int
    lazy: bool
    future: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


Outcome = tuple[Work, Any, BaseException | None]


class Together(ABC):
    """An act that is done for many at once with as few statements as for one: a batch of mail costs the database
    a statement for each table, not for each mail."""

    def __call__(self, connection: Connection) -> Any:
        return self.do_all(connection, [self])[0]

    @classmethod
    @abstractmethod
    def do_all(cls, connection: Connection, acts: Sequence[Self]) -> list[Any]:
        """Do every one of `acts`; their results in the same order. As an act, it may be run again."""


def _run_batch(connection: Connection, batch: Sequence[Work]) -> list[Outcome]:
    """Whoever waits in one batch has been promised no order towards the others."""
    alike: dict[type[Together], list[tuple[Work, Together]]] = {}
    outcomes: list[Outcome] = []
    for work in batch:
        if isinstance(work.act, Together):
            alike.setdefault(type(work.act), []).append((work, work.act))
        else:
            outcomes.append((work, work.act(connection), None))
    for kind, members in alike.items():
        results = kind.do_all(connection, [act for _, act in members])
        outcomes += [(work, result, None) for (work, _), result in zip(members, results, strict=True)]
    return outcomes


def _settle(outcomes: list[Outcome]) -> None:
    for work, result, problem in outcomes:
        if work.future.done():
            continue  # whoever waited was cancelled
        if problem is None:
            work.future.set_result(result)
        else:
            work.future.set_exception(problem)


def as_ours(problem: BaseException) -> BaseException:
    """Database trouble becomes StorageUnavailable; an error of the act itself stays what it was."""
    if isinstance(problem, DatabaseError) and not isinstance(problem, OperationalError):
        return problem  # a constraint: the act's own business
    if isinstance(problem, DBAPIError | OSError):
        return StorageUnavailable(type(problem).__name__)
    return problem


def is_sent_back(problem: BaseException) -> bool:
    """PostgreSQL let somebody else go first."""
    return isinstance(problem, DBAPIError) and getattr(problem.orig, "sqlstate", None) in SENT_BACK


class SqliteWriter:
    """One thread that owns the write connection of this process."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self.failed = False
        self._engine = engine
        self._wal = Path(f"{path}-wal")
        self._lock_file = os.open(f"{path}-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._waiting: deque[Work] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._told_soon: asyncio.AbstractEventLoop | None = None
        self._lazy_now = False
        self._connection: Connection | None = None  # kept between batches
        self._commits = self._commit_bytes = 0  # since the log was looked at
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    async def submit(self, work: Work) -> Any:
        if self.failed or self._closing:
            raise StorageUnavailable("the writer has stopped")
        self._waiting.append(work)
        loop = work.future.get_loop()
        if self._told_soon is not loop:  # whoever else is about to write in this turn of the loop comes along
            self._told_soon = loop
            loop.call_soon(self._tell)
        return await work.future  # cancelled, it is passed over when the act is done: the act stands

    def _tell(self) -> None:
        self._told_soon = None
        with self._wake:
            self._wake.notify()

    async def close(self) -> None:
        with self._wake:
            self._closing = True
            self._wake.notify()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        self._engine.dispose()
        os.close(self._lock_file)

    def _run(self) -> None:
        while batch := self._next_batch():
            outcomes = self._commit(batch)
            loop = batch[0].future.get_loop()
            try:
                loop.call_soon_threadsafe(_settle, outcomes)
            except RuntimeError:
                break  # the loop is gone; nobody waits any more
        self._put_away()

    def _next_batch(self) -> list[Work]:
        """All that waits, of one class (durable or lazy), within the limits; empty when closing."""
        with self._wake:
            while not self._waiting and not self._closing:
                self._wake.wait()
            batch: list[Work] = []
            size = 0
            while self._waiting and len(batch) < BATCH_MAX and size < BATCH_BYTES_MAX:
                if batch and self._waiting[0].lazy != batch[0].lazy:
                    break
                work = self._waiting.popleft()
                size += work.size_bytes
                batch.append(work)
            return batch

    def _commit(self, batch: list[Work]) -> list[Outcome]:
        fcntl.flock(self._lock_file, fcntl.LOCK_EX)
        try:
            self._set_sync(lazy=batch[0].lazy)
            try:
                return self._transaction(batch)
            except Exception as problem:  # noqa: BLE001 — whoever waits must be answered, whatever broke
                if len(batch) == 1 or self.failed:
                    return [(work, None, self._judge_failure(problem)) for work in batch]
                return [outcome for work in batch for outcome in self._alone(work)]
            finally:
                self._checkpoint(sum(work.size_bytes for work in batch))
        finally:
            fcntl.flock(self._lock_file, fcntl.LOCK_UN)

    def _alone(self, work: Work) -> list[Outcome]:
        try:
            return self._transaction([work])
        except Exception as problem:  # noqa: BLE001 — as above
            return [(work, None, self._judge_failure(problem))]

    def _transaction(self, batch: list[Work]) -> list[Outcome]:
        if self.failed:
            raise StorageUnavailable("the writer has stopped")
        connection = self._at_hand()
        try:
            to_driver(connection, BEGIN)
            outcomes = _run_batch(connection, batch)
            to_driver(connection, COMMIT)
        except BaseException:
            self._put_away()  # which rolls back
            raise
        return outcomes

    def _at_hand(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _put_away(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    def _pragma(self, words: str) -> None:
        """Outside of any transaction."""
        to_driver(self._at_hand(), f"PRAGMA {words}")

    def _judge_failure(self, problem: BaseException) -> BaseException:
        if isinstance(problem, OperationalError) and "disk I/O error" in str(problem.orig):
            self.failed = True  # never repeat a failed sync
        return as_ours(problem)

    def _set_sync(self, *, lazy: bool) -> None:
        if lazy == self._lazy_now:
            return
        self._pragma(f"synchronous={'NORMAL' if lazy else 'FULL'}")
        self._lazy_now = lazy

    def _checkpoint(self, size_bytes: int) -> None:
        self._commits += 1
        self._commit_bytes += size_bytes
        if self._commits < WAL_LOOKED_AT and self._commit_bytes < BATCH_BYTES_MAX:
            return
        self._commits = self._commit_bytes = 0
        try:
            if self._wal.stat().st_size >= WAL_BYTES_MAX:
                self._pragma("wal_checkpoint(TRUNCATE)")
        except Exception:  # noqa: BLE001 — a checkpoint is housekeeping; readers may hold it back, the next one will do
            self._put_away()


class LaneWriter:
    """Transactions of one lane each on PostgreSQL; a lane is served by one of a few tasks at a time."""

    def __init__(self, engine: AsyncEngine, writers: int) -> None:
        self.failed = False
        self._engine = engine
        self._room = asyncio.Semaphore(writers)
        self._waiting: dict[int, deque[Work]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    async def submit(self, work: Work) -> Any:
        if self._closing:
            raise StorageUnavailable("the writer has stopped")
        waiting = self._waiting.get(work.lane)
        if waiting is None:
            self._waiting[work.lane] = deque([work])
            task = asyncio.get_running_loop().create_task(self._serve(work.lane))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            waiting.append(work)
        return await work.future  # cancelled, it is passed over when the act is done: the act stands

    async def close(self) -> None:
        self._closing = True
        await asyncio.gather(*self._tasks)

    async def _serve(self, lane: int) -> None:
        waiting = self._waiting[lane]
        while waiting:
            async with self._room:
                batch = self._take(waiting)
                _settle(await self._commit(batch))
        del self._waiting[lane]

    def _take(self, waiting: deque[Work]) -> list[Work]:
        batch = [waiting.popleft()]
        size = batch[0].size_bytes
        while waiting and len(batch) < BATCH_MAX and size < BATCH_BYTES_MAX:
            batch.append(waiting.popleft())
            size += batch[-1].size_bytes
        return batch

    async def _commit(self, batch: list[Work]) -> list[Outcome]:
        if len(batch) > 1:
            try:
                return await self._transaction(batch)
            except Exception:  # noqa: BLE001, S110 — each is tried alone below, and answered there
                pass
        return [outcome for work in batch for outcome in await self._alone(work)]

    async def _alone(self, work: Work) -> list[Outcome]:
        """Acts keep one order of locks (store/owners.py: lock), but two batches may have made a ring of it; whom
        PostgreSQL has then sent back, with nothing done, comes again."""
        turns = 0
        while True:
            turns += 1
            try:
                return await self._transaction([work])
            except Exception as problem:  # noqa: BLE001 — whoever waits must be answered, whatever broke
                if turns == TURNS_MAX or not is_sent_back(problem):
                    return [(work, None, as_ours(problem))]
                log.warning("store.sent-back", lane=work.lane, turns=turns)

    async def _transaction(self, batch: list[Work]) -> list[Outcome]:
        async with self._engine.begin() as connection:
            return cast(list[Outcome], await connection.run_sync(_run_batch, batch))
