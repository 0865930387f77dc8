"""Who does this job, behind which wall?

`Sandbox` keeps a few workers and a spare one warm. A worker serves one owner (a mailbox or a patient) at a time: for
another owner there is a fresh worker, so that what one stranger's document did to a process can never read or
touch another's. A worker that failed, took too long or was interrupted is killed and loses that job alone.
Ask through `client`, which gives real values back.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from mss.model.errors import Malformed, MssError, SandboxFailed
from mss.model.verdict import Reason
from mss.sandbox import wire
from mss.sandbox.frames import BadFrame, Frame, pack
from mss.sandbox.limits import Limits
from mss.sandbox.process import Confinement, Gone, Nursery, Worker

T = TypeVar("T")

DETAIL_CHARS_MAX = 200  # of a refusal's detail, which goes to our log
BIRTHS_MAX = 2  # a nursery that died is replaced once for a call; after that something is wrong with this machine

DEAD_WORKERS_MET_MAX = 3  # every worker that rested may have died with its nursery; a fresh one comes after them

log = logging.getLogger(__name__)


class SandboxBusy(MssError):
    """Too many callers wait in line; nothing is wrong with the item, ask again later."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a job gave back, its shape checked, its content not: see `wire` for values."""

    result: Mapping[str, Any]
    blobs: tuple[bytes, ...]


class Sandbox:
    """Workers without keys or network. `start` before keys are loaded; one for each process that opens mail."""

    def __init__(
        self,
        *,
        workers: int = 1,
        spares: int = 1,
        limits: Limits | None = None,
        jobs_module: str = "mss.sandbox.jobs",
    ) -> None:
        """`workers` jobs run at a time; `spares` fresh workers wait beside them."""
        self.confinement: Confinement | None = None
        """What holds the workers; known after the first job."""
        self._limits = limits or Limits()
        self._jobs_module = jobs_module
        self._workers = workers
        self._spares = spares
        self._lock = threading.Lock()  # calls may come from several threads, each with its loop
        self._is_open = False
        self._nursery: Nursery | None = None
        self._serial = 0
        self._fresh: deque[Worker] = deque()
        self._idle: deque[Worker] = deque()  # the one that rested longest first
        self._busy = 0
        self._line: deque[_Ticket] = deque()

    def start(self) -> None:
        """Start the nursery and order the first workers; they load in the background."""
        with self._lock:
            self._is_open = True
            self._tidy()

    def close(self) -> None:
        """End everything; jobs in flight fail."""
        with self._lock:
            self._is_open = False
            if self._nursery is not None:
                self._drop(self._nursery)

    async def call(
        self,
        job: str,
        params: Mapping[str, Any] | None = None,
        blobs: Sequence[bytes] = (),
        *,
        owner: int | None = None,
    ) -> Answer:
        """Do one job. Raises Malformed when it refuses the bytes, SandboxFailed, SandboxBusy."""
        return await self._run(job, params or {}, blobs, owner, Answer)

    async def ask(self, expected: type[T], job: str, blobs: Sequence[bytes], *, owner: int | None = None) -> T:
        """Do one job whose answer is a value of type `expected`. Raises as `call`."""

        def read(result: Mapping[str, Any], answered: tuple[bytes, ...]) -> T:
            return wire.decode(expected, result.get("value"), answered)

        return await self._run(job, {}, blobs, owner, read)

    def call_sync(
        self,
        job: str,
        params: Mapping[str, Any] | None = None,
        blobs: Sequence[bytes] = (),
        *,
        owner: int | None = None,
    ) -> Answer:
        """As `call`, for commands and threads that have no loop."""
        return asyncio.run(self.call(job, params, blobs, owner=owner))

    async def _run(
        self,
        job: str,
        params: Mapping[str, Any],
        blobs: Sequence[bytes],
        owner: int | None,
        read: Callable[[Mapping[str, Any], tuple[bytes, ...]], T],
    ) -> T:
        try:
            pieces = pack({"job": job, "params": params}, blobs, self._limits, self._limits.request_bytes_max)
            question = tuple(pieces)
        except BadFrame:
            raise Malformed(Reason.TOO_LARGE, "more than the sandbox takes") from None
        await self._turn()
        try:
            for _ in range(DEAD_WORKERS_MET_MAX):
                try:
                    return await self._one_try(job, question, owner, read)
                except BrokenPipeError:  # it had died while it rested, so the job never began
                    continue
            raise SandboxFailed(f"{job}: no worker takes it")
        finally:
            self._leave()

    async def _one_try(
        self,
        job: str,
        question: Sequence[bytes],
        owner: int | None,
        read: Callable[[Mapping[str, Any], tuple[bytes, ...]], T],
    ) -> T:
        """Ask one worker. Raises BrokenPipeError when it was dead before it heard the question."""
        worker = await self._worker_for(owner)
        is_well = False
        try:
            async with asyncio.timeout(self._limits.wall_s):
                frame = await worker.ask(question)
            is_well = "failed" not in frame.said
            return _judge(frame, read)
        except wire.Nonsense as problem:
            is_well = False
            raise SandboxFailed(f"{job}: nonsense, {problem}") from None
        except BrokenPipeError:
            raise
        except (OSError, BadFrame) as problem:  # TimeoutError is an OSError
            raise SandboxFailed(f"{job}: {type(problem).__name__}") from None
        finally:
            self._give_back(worker, is_well=is_well)

    # -- the line of callers

    async def _turn(self) -> None:
        """Wait until one of `workers` places is free, first come first served."""
        with self._lock:
            if self._busy < self._workers:
                self._busy += 1
                return
            if len(self._line) >= self._limits.waiting_max:
                raise SandboxBusy("too many wait for the sandbox")
            ticket = _Ticket(asyncio.get_running_loop())
            self._line.append(ticket)
        try:
            await ticket.turn
        except asyncio.CancelledError:
            with self._lock:
                is_called = ticket.is_called
                ticket.is_called = True  # whoever leaves passes it over
            if is_called:  # our turn came in the same instant
                self._leave()
            raise

    def _leave(self) -> None:
        """Give the place to the next in line."""
        with self._lock:
            while self._line:
                ticket = self._line.popleft()
                if not ticket.is_called and ticket.call(asyncio.get_running_loop()):
                    return
            self._busy -= 1

    # -- workers

    async def _worker_for(self, owner: int | None) -> Worker:
        """A worker of this owner, or one that nobody has used yet and that has said hello."""
        for _ in range(BIRTHS_MAX):
            try:
                with self._lock:
                    worker = self._take(owner)
            except OSError as problem:  # no descriptor, no process left on this machine
                raise SandboxBusy(f"no worker can be made: {type(problem).__name__}") from None
            if worker.confinement is not None:
                return worker
            is_well = False
            try:
                async with asyncio.timeout(self._limits.start_s):
                    worker.greet(await worker.listen())
                is_well = True
                self._note_confinement(worker)
                return worker
            except (OSError, BadFrame) as problem:
                log.warning("no sandbox worker came: %s", type(problem).__name__)
                with self._lock:
                    self._drop(worker.nursery)
            finally:
                if not is_well:  # also when the caller was cancelled
                    worker.end()
        raise SandboxFailed("no worker came")

    def _take(self, owner: int | None) -> Worker:
        if not self._is_open:
            raise SandboxFailed("the sandbox is closed")
        for worker in reversed(self._idle):
            if worker.owner == owner:
                self._idle.remove(worker)
                return worker
        worker = self._fresh.popleft() if self._fresh else self._order_surely()
        worker.owner = owner
        return worker

    def _tidy(self) -> None:
        """After a job, when nobody waits for it: no more workers at rest than places, and the spares complete."""
        while len(self._idle) + self._busy > self._workers + 1:  # one of the busy has just finished
            self._idle.popleft().end()
        while len(self._fresh) < self._spares:
            self._fresh.append(self._order_surely())

    def _order_surely(self) -> Worker:
        """A new worker; from a new nursery when the old one died since, and its workers with it."""
        try:
            return self._order()
        except Gone:
            if self._nursery is not None:
                self._drop(self._nursery)
            return self._order()

    def _order(self) -> Worker:
        if self._nursery is None:
            self._nursery = Nursery(self._limits, self._jobs_module)
        self._serial += 1
        return Worker(self._serial, self._nursery, self._limits)

    def _give_back(self, worker: Worker, *, is_well: bool) -> None:
        worker.jobs += 1
        with self._lock:
            if is_well and worker.jobs < self._limits.jobs_per_worker and worker.nursery is self._nursery:
                self._idle.append(worker)
            else:
                worker.end()
            if self._is_open:
                try:
                    self._tidy()
                except OSError as problem:  # the job is done all the same; the next one asks again
                    log.warning("no spare sandbox worker: %s", type(problem).__name__)

    def _drop(self, nursery: Nursery) -> None:
        """End a nursery and all who came from it, unless somebody did already; the next order starts another."""
        if nursery is not self._nursery:
            return
        for worker in (*self._fresh, *self._idle):
            worker.end()
        self._fresh.clear()
        self._idle.clear()
        self._nursery = None
        nursery.close()

    def _note_confinement(self, worker: Worker) -> None:
        if self.confinement == worker.confinement or worker.confinement is None:
            return
        self.confinement = worker.confinement
        if not self.confinement.calls_filtered:
            log.warning("sandbox workers run without a filter of system calls: this kernel or container has none")
        if not (self.confinement.network_left and self.confinement.files_left):
            log.info("sandbox workers keep network and file name spaces; the filter of system calls holds them")


class _Ticket:
    """A place in the line, of a caller on one loop. A future of threads would wake that loop through its pipe also when
    the one who calls is on it, which costs as much as a question does."""

    __slots__ = ("_loop", "is_called", "turn")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.turn: asyncio.Future[None] = loop.create_future()
        self.is_called = False
        """Its turn has come, or it waits no more. Changed under the pool's lock."""

    def call(self, loop: asyncio.AbstractEventLoop) -> bool:
        """It is its turn; `loop`: of whoever calls. False when its own is gone."""
        self.is_called = True
        if self._loop is loop:
            self._come()
            return True
        try:
            self._loop.call_soon_threadsafe(self._come)
        except RuntimeError:
            return False
        return True

    def _come(self) -> None:
        if not self.turn.done():
            self.turn.set_result(None)


def _judge(frame: Frame, read: Callable[[Mapping[str, Any], tuple[bytes, ...]], T]) -> T:
    """An answer, a refusal or a failure: exactly one, in our words."""
    match frame.said:
        case {"done": dict(result), **rest} if not rest:
            return read(result, frame.blobs)
        case {"refused": str(reason), "detail": str(detail), **rest} if not rest:
            try:
                named = Reason(reason)
            except ValueError:
                raise wire.Nonsense("a reason that does not exist") from None
            raise Malformed(named, "".join(filter(str.isprintable, detail[:DETAIL_CHARS_MAX])))
        case {"failed": str(kind), **rest} if not rest:
            raise SandboxFailed(f"a job ended in {kind[:40]!r}")
    raise wire.Nonsense("neither answer nor refusal nor failure")
