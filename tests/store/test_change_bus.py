"""A command tells the processes of its host what it changed, though nobody tells it anything."""

from __future__ import annotations

import asyncio
from pathlib import Path

from mss.store import changes
from mss.store.changes import ChangeBus


async def test_a_command_that_hears_nothing_is_heard(tmp_path: Path) -> None:
    """Without it an open mail client would see mail that moves in only with its next poll."""
    directory = tmp_path / "run"
    desk, command = ChangeBus("desk", directory), ChangeBus("command", directory)
    await desk.start()
    heard: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()
    desk.subscribe(7, lambda owner, folder: heard.set_result((owner, folder)))
    command.publish(changes.FOLDER, 7, 3)
    assert await asyncio.wait_for(heard, 10) == (7, 3)
    command.close()
    desk.close()


async def test_a_duty_of_the_runner_wakes_nobody_else(tmp_path: Path) -> None:
    """Each document that is filed leaves one; courier, sinks and sources would ask the store for nothing."""
    works, desk = ChangeBus("works", tmp_path / "run"), ChangeBus("desk", tmp_path / "run")
    await works.start()
    runner, courier = asyncio.Event(), asyncio.Event()
    works.on_duty(runner.set)
    works.on_task(courier.set)
    desk.publish(changes.DUTY)
    await asyncio.wait_for(runner.wait(), 10)
    assert not courier.is_set()
    runner.clear()
    desk.publish(changes.TASK)
    await asyncio.wait_for(asyncio.gather(runner.wait(), courier.wait()), 10)
    desk.close()
    works.close()
