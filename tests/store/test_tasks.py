"""Duties and the queue: leased once, freed when a worker dies, never lost."""

from __future__ import annotations

import asyncio
import subprocess

from mss.model.ids import OwnerId, lane_of
from mss.store import schema, tasks, workers
from mss.store.tasks import NewTask, RowState
from tests.kit.people import Cellar


async def add(house: Cellar, owner: OwnerId, number: int, due_ms: int = 0) -> None:
    task = NewTask(number, "file", b"{}", due_ms)
    await house.store.write(lane_of(owner), lambda c: tasks.add_task(c, owner, task))


async def claim(house: Cellar, owner: OwnerId, worker: str, now_ms: int, limit: int = 10) -> list[int]:
    lane = lane_of(owner)
    got = await house.store.write(lane, lambda c: tasks.claim_tasks(c, lane, worker, now_ms, now_ms + 100, limit))
    return [task.id for task in got]


async def test_each_task_has_one_worker_at_a_time(house: Cellar, owner: OwnerId) -> None:
    """Five workers grab at once: every task once."""
    for number in range(20):
        await add(house, owner, number + 1)
    got = await asyncio.gather(*(claim(house, owner, f"w{n}", 10, 6) for n in range(5)))
    assert sorted(n for part in got for n in part) == list(range(1, 21))


async def test_a_dead_workers_task_is_taken_again(house: Cellar, owner: OwnerId) -> None:
    """The lease ends; until then nobody else has it."""
    await add(house, owner, 1)
    assert await claim(house, owner, "first", 10) == [1]
    assert await claim(house, owner, "second", 60) == []
    assert await claim(house, owner, "second", 111) == [1]


async def test_a_killed_works_gives_its_duties_back_at_the_next_start(house: Cellar, owner: OwnerId) -> None:
    """A patient does not wait two minutes for her result because a process was killed; living workers keep theirs."""
    with subprocess.Popen(["sleep", "60"]) as other:
        place = workers.worker_name().rpartition("/")[0]
        for number, worker in enumerate((f"{place}/{other.pid}", workers.worker_name(), "works-elsewhere-1/1"), 1):
            await add(house, owner, number)
            assert await claim(house, owner, worker, 10) == [number]
        assert await workers.free_leases_of_the_dead(house.store) == 1
        assert await claim(house, owner, "new", 20) == [2]
        other.kill()
    assert await workers.free_leases_of_the_dead(house.store) == 1
    assert await claim(house, owner, "new", 20) == [1]


async def test_leased_duties_are_looked_for_again_when_the_lease_ends(house: Cellar, owner: OwnerId) -> None:
    """What is being done makes nobody ask without pause."""
    await add(house, owner, 1)
    assert await claim(house, owner, "w", 10) == [1]
    assert await house.store.read(lambda c: tasks.next_due_ms(c, schema.task)) == 110


async def test_what_is_not_due_waits(house: Cellar, owner: OwnerId) -> None:
    """Neither claimed nor listed as due before its moment; known as the next."""
    await add(house, owner, 1, due_ms=500)
    assert await claim(house, owner, "w", 499) == []
    assert await house.store.read(lambda c: tasks.lanes_with_due(c, schema.task, 499)) == []
    assert await house.store.read(lambda c: tasks.next_due_ms(c, schema.task)) == 500
    assert await house.store.read(lambda c: tasks.lanes_with_due(c, schema.task, 500)) == [lane_of(owner)]


async def test_a_task_that_gave_up_stands_for_a_human(house: Cellar, owner: OwnerId) -> None:
    """It is not claimed any more, and it is listed with its kind."""
    await add(house, owner, 1)
    lane = lane_of(owner)
    await house.store.write(lane, lambda c: tasks.set_row_state(c, schema.task, owner, 1, RowState.FAILED, "why"))
    assert await claim(house, owner, "w", 10_000) == []
    assert [task.id for task in await house.store.read(tasks.failed_tasks)] == [1]


async def test_a_task_put_back_waits_for_its_new_moment(house: Cellar, owner: OwnerId) -> None:
    """Attempts are counted over all workers."""
    await add(house, owner, 1)
    lane = lane_of(owner)
    assert await claim(house, owner, "w", 10) == [1]
    await house.store.write(lane, lambda c: tasks.put_back(c, schema.task, owner, 1, 900, "later"))
    assert await claim(house, owner, "w", 899) == []
    got = await house.store.write(lane, lambda c: tasks.claim_tasks(c, lane, "w", 900, 1000, 5))
    assert [task.attempts for task in got] == [2]
