"""Hints between processes: everybody hears of every change, and a busy door does not wake its siblings at each mail."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from mss.store.changes import FOLDER, HINTS_MAX, ChangeBus

Pair = tuple[ChangeBus, ChangeBus]


@pytest_asyncio.fixture
async def pair() -> AsyncIterator[Pair]:
    """Two processes of one host, in a directory with a short name."""
    with tempfile.TemporaryDirectory(prefix="mss-c-") as directory:
        edge, desk = ChangeBus("edge", Path(directory)), ChangeBus("desk", Path(directory))
        await edge.start()
        await desk.start()
        yield edge, desk
        edge.close()
        desk.close()


async def heard(desk: ChangeBus, owners: range, publish: list[tuple[ChangeBus, int]]) -> set[int]:
    """Which of these owners' changes reach the desk when they are published like that."""
    found: set[int] = set()
    for owner in owners:
        desk.subscribe(owner, lambda owner, _folder: found.add(owner))
    for bus, owner in publish:
        bus.publish(FOLDER, owner)
        if owner % 7 == 0:
            await asyncio.sleep(0)
    async with asyncio.timeout(20):
        while len(found) < len(owners):
            await asyncio.sleep(0.005)
    return found


async def test_of_many_changes_at_once_each_is_heard(pair: Pair) -> None:
    """More than one datagram holds, some of them while the pause lasts."""
    edge, desk = pair
    owners = range(1, 3 * HINTS_MAX)
    assert await heard(desk, owners, [(edge, owner) for owner in owners]) == set(owners)


async def test_a_busy_door_tells_its_siblings_now_and_then(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred commits, one after the other, are told in a few datagrams; the last of them as surely as the first."""
    edge, desk = pair
    told = 0
    tell = ChangeBus._tell_siblings

    def counted(bus: ChangeBus) -> None:
        nonlocal told
        told += 1
        tell(bus)

    monkeypatch.setattr(ChangeBus, "_tell_siblings", counted)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for owner in range(100):
        edge.publish(FOLDER, owner)
        await asyncio.sleep(0)
    took_s = loop.time() - began
    assert told <= 2 + took_s / 0.005
    assert await heard(desk, range(100, 101), [(edge, 100)]) == {100}
