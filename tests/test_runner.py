"""Who does the duties, over the real store: once in effect, late rather than never, and visibly when never."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from mss import runner
from mss.model.clock import ManualClock, SeededChance, to_ms
from mss.model.errors import NotYet, StorageUnavailable
from mss.model.ids import OwnerId, lane_of
from mss.runner import ATTEMPTS_MAX, LEASE_S, Handler, Runner, retry_after_s
from mss.store import changes, schema, tasks
from mss.store.changes import ChangeBus
from mss.store.tasks import NewTask, RowState, Task
from tests.kit.people import Cellar, cellar

WAIT_S = 10.0


class House:
    """A store, its bus, and runners that come and go."""

    def __init__(self, below: Cellar) -> None:
        self.store, self.clock = below.store, below.clock
        self.bus = ChangeBus("test")
        self.done: list[int] = []
        self._numbers = itertools.count(1)

    async def owe(self, *, kind: str = "note", owner: int = 7, in_s: float = 0.0, hint: bool = True) -> int:
        """A duty; its number."""
        number = next(self._numbers)
        task = NewTask(number, kind, b"{}", to_ms(self.clock.now()) + int(in_s * 1000))
        await self.store.write(lane_of(owner), lambda c: tasks.add_task(c, owner, task))
        if hint:
            self.bus.publish(changes.TASK)
        return number

    async def note(self, task: Task) -> None:
        """The simplest handler."""
        self.done.append(task.id)

    @asynccontextmanager
    async def runner(self, worker: str = "w", **handlers: Handler) -> AsyncIterator[asyncio.Task[None]]:
        """A runner, cancelled in the end."""
        one = Runner(self.store, self.bus, self.clock, worker, {"note": self.note} | handlers)
        running = asyncio.create_task(one.run())
        try:
            yield running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def begun_by_the_dead(self, owner: int = 7) -> None:
        """Somebody leases what is due and is killed."""
        lane, now_ms = lane_of(owner), to_ms(self.clock.now())
        until_ms = now_ms + LEASE_S * 1000
        assert await self.store.write(lane, lambda c: tasks.claim_tasks(c, lane, "dead", now_ms, until_ms, 5))

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not is_so():
                await asyncio.sleep(0.005)

    async def rows(self) -> dict[int, tuple[str, int, str, int]]:
        """number → (state, attempts, last reason, due)."""
        t = schema.task
        found = await self.store.read(lambda c: list(c.execute(t.select())))
        return {r.id: (r.state, r.attempts, r.last_reason, r.due_ms) for r in found}

    async def until_empty(self) -> None:
        async with asyncio.timeout(WAIT_S):
            while await self.rows():
                await asyncio.sleep(0.01)

    def later(self, seconds: float) -> None:
        self.clock.forward(seconds)
        self.bus.publish(changes.TASK)


@pytest.fixture
async def house(database_url: str, tmp_path: Path, clock: ManualClock, chance: SeededChance) -> AsyncIterator[House]:
    async with cellar(database_url, tmp_path, clock, chance) as below:
        yield House(below)


async def test_what_is_owed_is_done_and_gone(house: House) -> None:
    """Of many owners, in whatever order, each once."""
    async with house.runner():
        numbers = [await house.owe(owner=owner) for owner in range(1, 41)]
        await house.until_empty()
    assert sorted(house.done) == numbers


async def test_nothing_is_done_before_its_moment(house: House) -> None:
    """A notice that waits within the hour waits."""
    async with house.runner():
        await house.owe(in_s=1800)
        soon = await house.owe()
        await house.until(lambda: house.done == [soon])
        house.later(1700)
        await asyncio.sleep(0.05)
        assert house.done == [soon]
        house.later(101)
        await house.until_empty()


async def test_a_handler_may_end_its_task_itself(house: House) -> None:
    """In its own last transaction; the runner then finds nothing to remove."""

    async def ends(task: Task) -> None:
        await house.store.write(lane_of(task.owner), lambda c: tasks.finish(c, schema.task, task.owner, [task.id]))
        house.done.append(task.id)

    async with house.runner(ends=ends):
        await house.owe(kind="ends")
        await house.until_empty()
        after = await house.owe()
        await house.until(lambda: after in house.done)


async def test_one_that_fails_is_tried_again_later_and_stops_nobody(house: House) -> None:
    """Its pause grows, its reason is kept; the others are done meanwhile."""
    fails = 3

    async def stumbles(task: Task) -> None:
        if task.attempts <= fails:
            raise KeyError("what a patient wrote")
        house.done.append(task.id)

    async with house.runner(stumbles=stumbles):
        bad = await house.owe(kind="stumbles")
        for attempt in range(1, fails + 1):
            await until_row(house, bad, attempts=attempt)
            state, attempts, reason, due_ms = (await house.rows())[bad]
            assert (state, attempts, reason) == (RowState.WAITING, attempt, "KeyError")
            assert due_ms - to_ms(house.clock.now()) == retry_after_s(attempt) * 1000
            good = await house.owe()
            await house.until(lambda good=good: good in house.done)  # type: ignore[misc]
            house.later(retry_after_s(attempt))
        await house.until_empty()
    assert house.done[-1] == bad


async def until_row(house: House, number: int, attempts: int) -> None:
    """Until a task has failed so often and nobody has it."""
    t = schema.task
    async with asyncio.timeout(WAIT_S):
        while True:
            row = await house.store.read(lambda c: c.execute(t.select().where(t.c.id == number)).one())
            if row.attempts >= attempts and row.lease_owner == "":
                return
            await asyncio.sleep(0.005)


async def test_one_that_keeps_failing_waits_for_a_human(house: House) -> None:
    """After its last attempt it is parked, counted, and never dropped; a kind that nobody knows too."""

    async def broken(task: Task) -> None:
        raise ValueError

    async with house.runner(broken=broken):
        numbers = [await house.owe(kind="broken"), await house.owe(kind="from the future")]
        for attempt in range(1, ATTEMPTS_MAX + 1):
            for number in numbers:
                await until_row(house, number, attempt)
            house.later(retry_after_s(attempt))
    parked = await house.store.read(tasks.failed_tasks)
    assert sorted(task.id for task in parked) == numbers
    house.later(10 * 86_400)
    async with house.runner():
        await asyncio.sleep(0.05)
    assert {row[:2] for row in (await house.rows()).values()} == {(RowState.FAILED, ATTEMPTS_MAX)}


async def test_one_that_cannot_be_done_yet_never_gives_up(house: House) -> None:
    """A daemon that is away for a day uses up nobody's patience: asked after each pause, done when it is back."""
    asked = 0

    async def waits(task: Task) -> None:
        nonlocal asked
        asked += 1
        if asked <= 2 * ATTEMPTS_MAX:
            raise NotYet(60, "daemon away")
        house.done.append(task.id)

    async with house.runner(waits=waits):
        number = await house.owe(kind="waits")
        for times in range(1, 2 * ATTEMPTS_MAX + 1):
            await house.until(lambda times=times: asked == times)  # type: ignore[misc]
            await until_row(house, number, attempts=0)
            house.later(60)
        await house.until_empty()
    assert house.done == [number]


async def test_one_that_kills_its_process_is_parked_in_the_end(house: House) -> None:
    """It never comes back to say that it failed: its claims are counted, and it is not begun for ever."""
    number, begun = await house.owe(hint=False), 0
    for _ in range(ATTEMPTS_MAX):
        await house.begun_by_the_dead()
        house.clock.forward(LEASE_S)

    async def counts(task: Task) -> None:
        nonlocal begun
        begun += 1

    async with house.runner(note=counts):
        await until_row(house, number, ATTEMPTS_MAX + 1)
    assert begun == 0
    assert [task.id for task in await house.store.read(tasks.failed_tasks)] == [number]


async def test_a_dead_runners_task_is_taken_over(house: House) -> None:
    """When its lease is over, not before."""
    number = await house.owe()
    await house.begun_by_the_dead()
    async with house.runner("alive"):
        house.later(LEASE_S - 1)
        await asyncio.sleep(0.05)
        assert house.done == []
        house.later(1)
        await house.until(lambda: house.done == [number])


async def test_one_that_hangs_is_ended_before_somebody_else_takes_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight that hang do not stop the house for good."""
    monkeypatch.setattr(runner, "HANDLER_S", 0.1)

    async def hangs(task: Task) -> None:
        await asyncio.Event().wait()

    async with house.runner(hangs=hangs):
        stuck = [await house.owe(kind="hangs", owner=n) for n in range(1, runner.AT_ONCE_MAX + 1)]
        good = await house.owe(owner=99)
        await house.until(lambda: good in house.done)
        for number in stuck:
            await until_row(house, number, 1)
    assert {row[2] for row in (await house.rows()).values()} == {"TimeoutError"}
    assert runner.HANDLER_S < LEASE_S


async def test_no_more_are_leased_than_are_begun(house: House) -> None:
    """What waits for room stays free for another runner, and after a crash."""
    begun: set[int] = set()
    go_on = asyncio.Event()

    async def slow(task: Task) -> None:
        begun.add(task.id)
        await go_on.wait()

    for owner in range(1, 4):
        for _ in range(runner.AT_ONCE_MAX):
            await house.owe(kind="slow", owner=owner, hint=False)
    async with house.runner(slow=slow):
        await house.until(lambda: len(begun) == runner.AT_ONCE_MAX)
        await asyncio.sleep(0.05)
        assert sum(attempts for _, attempts, _, _ in (await house.rows()).values()) == len(begun)
        go_on.set()
        await house.until_empty()


async def test_cancelling_finishes_what_runs_and_begins_nothing(house: House) -> None:
    """At the end of a process no duty is cut in two."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(task: Task) -> None:
        begun.set()
        await go_on.wait()
        house.done.append(task.id)

    async with house.runner(slow=slow) as running:
        number = await house.owe(kind="slow")
        await begun.wait()
        running.cancel()
        await asyncio.sleep(0)
        after = await house.owe()
        await asyncio.sleep(0.02)
        assert not running.done()
        go_on.set()
        await asyncio.gather(running, return_exceptions=True)
    assert house.done == [number]
    assert list(await house.rows()) == [after]


async def test_a_lost_hint_costs_a_poll(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody tells the runner; it looks by itself."""
    monkeypatch.setattr(runner, "POLL_S", 0.1)
    async with house.runner():
        await asyncio.sleep(0.05)
        number = await house.owe(hint=False)
        await house.until(lambda: house.done == [number])


async def test_waiting_costs_no_reads(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a long duty runs or a later one waits, nobody asks the store without pause."""
    go_on, reads = asyncio.Event(), 0
    read = house.store.read

    async def counted(question: object) -> object:
        nonlocal reads
        reads += 1
        return await read(question)  # type: ignore[arg-type]

    async def slow(task: Task) -> None:
        await go_on.wait()

    async with house.runner(slow=slow):
        await house.owe(kind="slow")
        await house.owe(in_s=3600)
        await asyncio.sleep(0.1)
        monkeypatch.setattr(house.store, "read", counted)
        await asyncio.sleep(0.5)
        monkeypatch.undo()
        go_on.set()
    assert reads <= 2


async def test_a_store_that_is_away_is_waited_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner outlives it and goes on."""
    monkeypatch.setattr(runner, "POLL_S", 0.05)
    away, read = True, house.store.read

    async def flaky(question: object) -> object:
        if away:
            raise StorageUnavailable("away")
        return await read(question)  # type: ignore[arg-type]

    monkeypatch.setattr(house.store, "read", flaky)
    async with house.runner() as running:
        number = await house.owe()
        await asyncio.sleep(0.2)
        assert not running.done()
        away = False
        await house.until(lambda: house.done == [number])


async def test_two_runners_do_each_duty_once(house: House) -> None:
    """They share the work by leases."""
    async with house.runner("one"), house.runner("two"):
        numbers = [await house.owe(owner=owner) for owner in range(1, 61)]
        await house.until_empty()
    assert sorted(house.done) == numbers


@pytest.mark.parametrize("seed", range(6))
async def test_a_clock_that_jumps_loses_and_hurries_nothing(house: House, seed: int) -> None:
    """An hour, a day, ten years ahead and back to 1970, at random moments: all is done in the end, nothing parked."""
    random, numbers = Random(seed), []
    jumps_s = (-86_400, -3600, -60, 30, 3600, 86_400, 10 * 365 * 86_400)

    async def stumbles(task: Task) -> None:
        if random.random() < 0.3:
            raise OSError
        house.done.append(task.id)

    async with house.runner(note=stumbles):
        for _ in range(30):
            numbers.append(await house.owe(owner=OwnerId(random.randrange(1, 50)), in_s=random.choice((0, 0, 5, 600))))
            if random.random() < 0.3:
                house.later(random.choice(jumps_s))
            await asyncio.sleep(0.002)
        async with asyncio.timeout(WAIT_S):
            while await house.rows():
                house.later(700)
                await asyncio.sleep(0.01)
    assert set(house.done) == set(numbers)
    assert not await house.store.read(tasks.failed_tasks)


def test_pauses_grow_to_a_quarter_of_an_hour() -> None:
    """Two seconds first: a store that was busy; then less and less often."""
    pauses = [retry_after_s(n) for n in range(1, 30)]
    assert pauses[:3] == [2, 4, 8]
    assert pauses[-1] == 900
    assert pauses == sorted(pauses)
