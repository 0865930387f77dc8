"""What do others notice of a burden: mails of 25 MB that arrive beside theirs, a disk whose syncs are slow?

Ratios within one run only: the same small mails before and during the large ones, the same twenty connections on this
disk and on one with 5 ms added to every sync (tests/bench/planted).
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

from tests.bench import proc
from tests.bench.intake import SENDER, plain
from tests.bench.peers import RECIPIENTS, Load, send
from tests.kit.demo import Demo
from tests.kit.smtpload import LoadClient, Target

PLANTED = Path(__file__).parent / "planted"
LARGE_OCTETS = 24_000_000
SMALL_OCTETS = 8_500
AT_ONCE = 8
SMALL_PER_S = 20
SMALL_MAILS = 300
SESSIONS = Load("8 kB, 20 sessions", SMALL_OCTETS, 800, 20, is_kept=True)


def p99_ms(demo: Demo) -> tuple[float, float]:
    """The 99th percentile of the answer to small mails at an even rate: alone, and while 25 MB mails arrive."""
    target = _target(demo)
    alone = asyncio.run(_small(target))
    with _large_ones(target):
        return alone, asyncio.run(_small(target))


async def _small(target: Target) -> float:
    """Every mail at its own moment, whether or not those before it are answered; times count from that moment."""
    waits: list[float] = []
    idle = [LoadClient(target) for _ in range(4)]

    async def one(data: bytes, planned: float) -> None:
        client = idle.pop() if idle else LoadClient(target)
        assert (await client.send(SENDER, RECIPIENTS[:1], data)).is_yes
        waits.append(time.monotonic() - planned)
        idle.append(client)

    for client in idle:  # connected before the clock runs
        assert (await client.send(SENDER, RECIPIENTS[:1], plain(SMALL_OCTETS))).is_yes
    began = time.monotonic()
    async with asyncio.TaskGroup() as sending:
        for number in range(SMALL_MAILS):
            planned = began + number / SMALL_PER_S
            await asyncio.sleep(planned - time.monotonic())
            sending.create_task(one(plain(SMALL_OCTETS), planned))
    for client in idle:
        client.close()
    return statistics.quantiles(waits, n=100)[98] * 1000


@contextmanager
def _large_ones(target: Target) -> Iterator[None]:
    """Large mails one after the other, from a process of their own: their sender must not be what others wait for."""
    there = multiprocessing.get_context("fork")
    arrives, enough = there.Event(), there.Event()
    process = there.Process(target=_send_large, args=(target, arrives, enough), daemon=True)
    process.start()
    try:
        assert arrives.wait(60), "no large mail was taken"
        yield
    finally:
        enough.set()
        process.join(60)


def _send_large(target: Target, arrives: Event, enough: Event) -> None:
    async def one_after_the_other() -> None:
        client = LoadClient(target)
        data = plain(LARGE_OCTETS)
        while not enough.is_set():
            fresh = data.replace(b"Subject: ", b"Subject: %d " % time.monotonic_ns(), 1)
            assert (await client.send(SENDER, RECIPIENTS[1:2], fresh)).is_yes
            arrives.set()
        client.close()

    asyncio.run(one_after_the_other())


def peak_mb(demo: Demo) -> float:
    """By how much the edge's memory rises at most while eight 25 MB mails arrive at once, two recipients each."""
    target, edge = _target(demo), demo.pids()["edge"]
    asyncio.run(_at_once(target, 8_500))  # whatever a first mail needs is there
    Path(f"/proc/{edge}/clear_refs").write_text("5")
    before = proc.peak_mb(edge)
    asyncio.run(_at_once(target, LARGE_OCTETS))
    return proc.peak_mb(edge) - before


async def _at_once(target: Target, octets: int) -> None:
    clients = [LoadClient(target) for _ in range(AT_ONCE)]
    mails = [plain(octets) for _ in clients]
    answers = await asyncio.gather(
        *(client.send(SENDER, RECIPIENTS[:2], data) for client, data in zip(clients, mails, strict=True))
    )
    assert all(answer.is_yes for answer in answers), answers
    for client in clients:
        client.close()


def rate_kept_on_a_slow_disk(demo: Demo) -> float:
    """Mails per second of twenty sessions on a disk with 5 ms more for each sync, as a part of those without."""
    slow = Demo(environment={"PYTHONPATH": str(PLANTED)})
    try:
        slow.start()
        parts = [_rate(_target(slow)) / _rate(_target(demo)) for _ in range(3)]
    finally:
        slow.remove()
    return statistics.median(parts)


def _rate(target: Target) -> float:
    began = time.monotonic()
    asyncio.run(send(target, SESSIONS))
    return SESSIONS.mails / (time.monotonic() - began)


def _target(demo: Demo) -> Target:
    at = demo.told["operator"]["smtp"]
    return Target(at["host"], at["port"], demo.tls(demo.told["peer"]))
