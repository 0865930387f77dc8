"""What the house makes of its workers, well or ill."""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mss.model.errors import Malformed, SandboxFailed
from mss.model.verdict import Reason
from mss.sandbox.frames import MAGIC, PRELUDE
from mss.sandbox.pool import Sandbox, SandboxBusy

Start = Callable[..., Sandbox]

ROOT = Path(__file__).resolve().parents[2]


async def _works(sandbox: Sandbox) -> bool:
    return (await sandbox.call("echo", {"a": 1}, [b"x"])).blobs == (b"x",)


async def test_a_job_answers_with_what_it_made(hostile: Start) -> None:
    """Parameters and bytes arrive, and come back, whole, small or large."""
    sandbox = hostile()
    large = os.urandom(5_000_000)
    answer = await sandbox.call("echo", {"name": "é", "n": 3}, [b"", large, b"\x00\xff"], owner=7)
    assert answer.result["params"] == {"name": "é", "n": 3}
    assert answer.blobs == (b"", large, b"\x00\xff")


def test_a_command_without_a_loop_may_ask_too(hostile: Start) -> None:
    """The synchronous call gives the same answer."""
    assert hostile().call_sync("echo", {}, [b"x"]).blobs == (b"x",)


async def test_a_refusal_keeps_its_reason(hostile: Start) -> None:
    """Malformed crosses the wall as itself, and its worker goes on."""
    sandbox = hostile()
    before = (await sandbox.call("echo")).result["pid"]
    with pytest.raises(Malformed) as refused:
        await sandbox.call("refuse", {"detail": "no id\x1b[2J\n" + "x" * 500})
    assert refused.value.reason is Reason.CDA_BROKEN
    assert refused.value.detail.startswith("no id[2Jx"), "nothing that steers a terminal reaches the log"
    assert len(refused.value.detail) <= 200
    assert (await sandbox.call("echo")).result["pid"] == before


async def test_an_error_is_told_by_its_kind_only(hostile: Start) -> None:
    """What a library says may quote the document: only the type of its error leaves the worker."""
    with pytest.raises(SandboxFailed) as failed:
        await hostile().call("stumble")
    assert "ValueError" in str(failed.value)
    assert "PAT-TROIS" not in str(failed.value)


@pytest.mark.parametrize(
    ("job", "params", "limits"),
    [
        ("spin", {}, {"cpu_s": 1, "wall_s": 60}),
        ("sleep", {"seconds": 60}, {"wall_s": 0.4}),
        ("hoard", {}, {"memory_bytes": 200_000_000}),
        ("leave", {"code": 0}, {}),
        ("leave", {"code": 9}, {}),
        ("crash", {}, {}),
        ("no such job", {}, {}),
    ],
)
async def test_a_job_that_goes_wrong_loses_itself_alone(
    job: str, params: dict[str, object], limits: dict[str, float], hostile: Start
) -> None:
    """Endless, asleep, greedy, gone or crashed: this job fails in time, the next one works."""
    sandbox = hostile(**limits)
    await _works(sandbox)
    begun = time.monotonic()
    with pytest.raises(SandboxFailed):
        await sandbox.call(job, params)
    assert time.monotonic() - begun < 20
    assert await _works(sandbox)


DEEP = b'{"said":' + b"[" * 100_000 + b"]" * 100_000 + b',"sizes":[]}'


@pytest.mark.parametrize(
    "written",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        PRELUDE.pack(MAGIC, 2**31, 0),
        PRELUDE.pack(MAGIC, 10, 2**32 - 1),
        PRELUDE.pack(MAGIC, 0, 0),
        PRELUDE.pack(MAGIC, 4, 0) + b"null",
        PRELUDE.pack(MAGIC, 4, 0) + b"\xff\xfe\xfd\xfc",
        PRELUDE.pack(MAGIC, len(DEEP), 0) + DEEP,
        *(
            struct.pack("!4sII", MAGIC, len(text), 3) + text + b"abc"
            for text in (
                b'{"said":{"done":{}},"sizes":[2]}',
                b'{"said":{"done":{}},"sizes":[4,-1]}',
                b'{"said":{"done":{}},"sizes":[true,2]}',
                b'{"said":{"done":{}},"sizes":[3.0]}',
                b'{"said":{"done":{}}}',
                b'{"said":[],"sizes":[3]}',
            )
        ),
    ],
)
async def test_garbage_is_no_answer(written: bytes, hostile: Start) -> None:
    """Whatever a conquered worker writes, the house says "failed" at once and goes on."""
    sandbox = hostile(wall_s=30)
    await _works(sandbox)
    begun = time.monotonic()
    with pytest.raises(SandboxFailed):
        await sandbox.call("garble", {}, [written])
    assert time.monotonic() - begun < 10
    assert await _works(sandbox)


async def test_half_an_answer_is_no_answer(hostile: Start) -> None:
    """A worker that ends in the middle of a frame failed."""
    sandbox = hostile()
    with pytest.raises(SandboxFailed):
        await sandbox.call("garble", {"then": "leave"}, [PRELUDE.pack(MAGIC, 40, 10) + b'{"said"'])
    assert await _works(sandbox)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"done": 1},
        {"done": {}, "refused": "cda-broken"},
        {"refused": "because", "detail": ""},
        {"refused": "cda-broken"},
        {"refused": 5, "detail": ""},
        {"failed": {}},
        {"hello": {"pid": 1}},
    ],
)
async def test_a_forged_answer_is_no_answer(said: dict[str, object], hostile: Start) -> None:
    """Only the three shapes of an answer, with reasons that exist, are believed."""
    sandbox = hostile(wall_s=5)
    with pytest.raises(SandboxFailed):
        await sandbox.call("forge", {"said": said})
    assert await _works(sandbox)


async def test_two_owners_never_share_a_worker(hostile: Start) -> None:
    """What the document of one left in memory is not there for the next; for the same owner it is (the control)."""
    sandbox = hostile()
    await sandbox.call("remember", {}, [b"of one"], owner=1)
    assert (await sandbox.call("remember", {}, [], owner=1)).blobs == (b"of one",)
    assert (await sandbox.call("remember", {}, [b"of two"], owner=2)).blobs == ()
    assert (await sandbox.call("remember", {}, [], owner=None)).blobs == ()
    assert (await sandbox.call("remember", {}, [], owner=1)).blobs == ()


async def test_a_thousand_jobs_leave_nothing_behind(hostile: Start) -> None:
    """Workers are renewed every 200 jobs; descriptors and processes do not grow."""
    sandbox = hostile()
    await _works(sandbox)
    before = len(os.listdir("/proc/self/fd"))
    pids = set()
    for number in range(1000):
        answer = await sandbox.call("echo", {"n": number}, [b"%d" % number])
        assert answer.blobs == (b"%d" % number,)
        pids.add(answer.result["pid"])
    assert 5 <= len(pids) <= 7
    assert len(os.listdir("/proc/self/fd")) <= before + 2


async def test_many_at_once_each_get_their_own_answer(hostile: Start) -> None:
    """Sixty callers with twelve owners on three workers: nobody reads another's answer."""
    sandbox = hostile(workers=3)
    contents = [os.urandom(random.randrange(1, 300_000)) for _ in range(60)]
    answers = await asyncio.gather(
        *(sandbox.call("echo", {}, [content], owner=number % 12) for number, content in enumerate(contents))
    )
    assert [answer.blobs[0] for answer in answers] == contents


async def test_as_many_jobs_run_at_a_time_as_there_are_workers(hostile: Start) -> None:
    """Two places: four sleeps of half a second take two rounds."""
    sandbox = hostile(workers=2, spares=2)
    await asyncio.gather(_works(sandbox), _works(sandbox))
    begun = time.monotonic()
    await asyncio.gather(*(sandbox.call("sleep", {"seconds": 0.5}) for _ in range(4)))
    assert 1 <= time.monotonic() - begun < 1.9


async def test_the_line_has_an_end(hostile: Start) -> None:
    """One runs, two wait, the fourth is told to come back; nothing is wrong with its item."""
    sandbox = hostile(waiting_max=2)
    calls = [asyncio.create_task(sandbox.call("sleep", {"seconds": 0.3})) for _ in range(3)]
    await asyncio.sleep(0.05)
    with pytest.raises(SandboxBusy):
        await sandbox.call("echo")
    await asyncio.gather(*calls)
    assert await _works(sandbox)


async def test_whoever_is_cancelled_frees_the_place(hostile: Start) -> None:
    """Cancelled at work: the worker is killed. Cancelled in line: the next one moves up."""
    sandbox = hostile()
    await _works(sandbox)
    at_work = asyncio.create_task(sandbox.call("sleep", {"seconds": 60}))
    in_line = asyncio.create_task(sandbox.call("echo"))
    behind = asyncio.create_task(sandbox.call("echo", {"a": 2}))
    await asyncio.sleep(0.1)
    in_line.cancel()
    await asyncio.sleep(0.01)
    at_work.cancel()
    assert (await asyncio.wait_for(behind, 5)).result["params"] == {"a": 2}
    for task in (at_work, in_line):
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_cancelling_at_any_moment_loses_no_place(hostile: Start) -> None:
    """After eighty calls cut off at random instants both places still serve."""
    sandbox = hostile(workers=2)
    chance = random.Random(1)

    async def cut() -> None:
        call = asyncio.create_task(sandbox.call("echo", {}, [b"x" * 100_000], owner=chance.randrange(3)))
        await asyncio.sleep(chance.random() * 0.02)
        call.cancel()

    await asyncio.gather(*(cut() for _ in range(80)))
    async with asyncio.timeout(10):
        begun = time.monotonic()
        await asyncio.gather(*(sandbox.call("sleep", {"seconds": 1}) for _ in range(2)))
        assert time.monotonic() - begun < 1.9
        assert await _works(sandbox)


async def test_a_dead_nursery_is_replaced(hostile: Start) -> None:
    """Also between two calls, with a spare that died unseen."""
    sandbox = hostile()
    await _works(sandbox)
    assert sandbox._nursery is not None
    os.kill(sandbox._nursery.pid, signal.SIGKILL)
    await asyncio.sleep(0.1)
    try:
        await sandbox.call("echo")
    except SandboxFailed:  # the resting worker died with its nursery; that one job may fail
        pass
    assert await _works(sandbox)
    assert await _works(sandbox)


async def test_a_sandbox_that_cannot_start_says_so(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Jobs that cannot be imported: every call fails, none hangs, and stderr tells why."""
    sandbox = Sandbox(jobs_module="tests.sandbox.absent")
    sandbox.start()
    try:
        with pytest.raises(SandboxFailed):
            await sandbox.call("echo")
    finally:
        sandbox.close()
    assert "tests.sandbox.absent" in capfd.readouterr().err


async def test_a_machine_without_descriptors_is_busy_not_broken(hostile: Start) -> None:
    """A job that is done stays done; the next one is told to come back, and is served when there is room again."""
    sandbox = hostile()
    await _works(sandbox)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (4, hard))  # none can be opened any more
    try:
        assert (await sandbox.call("echo", {}, [b"x"], owner=1)).blobs == (b"x",), "the spare"
        with pytest.raises(SandboxBusy):
            await sandbox.call("echo", owner=2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (await sandbox.call("echo", {}, [b"x"], owner=2)).blobs == (b"x",)


async def test_a_closed_sandbox_serves_nobody(hostile: Start) -> None:
    """Not before the start, not after the end: workers are only made while no key can leak into them."""
    sandbox = hostile()
    await _works(sandbox)
    sandbox.close()
    with pytest.raises(SandboxFailed):
        await sandbox.call("echo")
    with pytest.raises(SandboxFailed):
        await Sandbox().call("echo")


async def test_too_much_is_refused_before_it_is_sent(hostile: Start) -> None:
    """A question beyond the limit is the sender's fault, an answer beyond it the worker's."""
    sandbox = hostile(request_bytes_max=1000, answer_bytes_max=500)
    with pytest.raises(Malformed) as refused:
        await sandbox.call("echo", {}, [b"x" * 1001])
    assert refused.value.reason is Reason.TOO_LARGE
    with pytest.raises(SandboxFailed):
        await sandbox.call("echo", {}, [b"x" * 501])
    assert len((await sandbox.call("echo", {}, [b"x" * 500])).blobs[0]) == 500


async def test_a_machine_without_the_filter_is_told_in_the_log(
    hostile: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The house goes on, with limits and name spaces, and says what is missing."""
    from mss.sandbox import process

    without = "import mss.sandbox.seccomp as s; s.MACHINES.clear(); "
    monkeypatch.setattr(process, "_START", process._START.replace("from mss", without + "from mss", 1))
    assert await _works(sandbox := hostile())
    assert sandbox.confinement is not None
    assert not sandbox.confinement.calls_filtered
    assert "without a filter" in caplog.text


def test_the_house_loads_no_library_of_the_workers() -> None:
    """Neither memory nor start-up time of the house pays for lxml, pypdf or nh3."""
    code = "import sys, json, mss.sandbox.client; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True).stdout)
    assert not {"lxml", "lxml.etree", "pypdf", "nh3"} & set(loaded)
