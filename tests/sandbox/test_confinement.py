"""What a conquered worker cannot do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mss.sandbox.pool import Sandbox
from tests.sandbox import hostile as hostile_jobs

Start = Callable[..., Sandbox]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def targets(tmp_path: Path) -> dict[str, object]:
    """What each attempt aims at; all of it open to the process that runs the tests."""
    key = tmp_path / "mailbox.key"
    key.write_text("secret")
    key.chmod(0o644)
    tmp_path.chmod(0o755)
    return {
        "write a file": str(tmp_path / "loot"),
        "read a file": str(key),
        "look at a file": str(key),
        "delete a file": str(key),
        "list a folder": "/",
        "kill another process": os.getpid(),
        "look into another process": os.getpid(),
    }


@pytest.mark.parametrize("what", hostile_jobs.ATTEMPTS)
async def test_a_worker_cannot(what: str, hostile: Start, targets: dict[str, object], tmp_path: Path) -> None:
    """Each way out is closed, and the worker is told so instead of dying."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "s"))
        local.listen()
        targets |= {"connect to a port": server.getsockname()[1]}
        targets |= {"connect to a socket of this host": str(tmp_path / "s")}
        where = targets.get(what)
        sandbox = hostile()
        answer = await sandbox.call("attempt", {"what": what, "where": where})
    assert answer.result["ended"] in ("PermissionError", "ValueError", "OSError")
    assert not (tmp_path / "loot").exists()
    assert (tmp_path / "mailbox.key").exists()


async def test_the_attempts_would_succeed_outside(targets: dict[str, object]) -> None:
    """The control: without the sandbox a key is read and a port reached."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for what, where in (("connect to a port", port), ("read a file", targets["read a file"])):
            result, _ = hostile_jobs.attempt({"what": what, "where": where}, ())
            assert result["ended"] == "done"


async def test_the_filter_of_system_calls_is_in_force(hostile: Start) -> None:
    """On this machine nothing is left out, and the house knows it."""
    sandbox = hostile()
    await sandbox.call("echo")
    assert sandbox.confinement is not None
    assert sandbox.confinement.calls_filtered


async def test_a_worker_inherits_nothing(hostile: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret of the environment, no descriptor of the house, not even its user when that is root."""
    monkeypatch.setenv("MSS_KEY_FILE", "/run/secret")
    result = (await hostile().call("surroundings")).result
    assert set(result["environment"]) <= {"LANG", "TZ", "LC_CTYPE"}
    assert result["descriptors"] == [0, 1, 2, 3]
    assert result["uid"] != 0


async def test_a_worker_of_root_is_nobody_also_for_the_kernel(hostile: Start) -> None:
    """Not only inside its name space: a file of root stays closed to it whatever fails."""
    if os.geteuid() != 0:
        pytest.skip("the tests do not run as root")
    pid = (await hostile().call("echo")).result["pid"]
    status = Path(f"/proc/{pid}/status").read_text()
    assert "\nUid:\t65534\t65534\t65534\t65534\n" in status
    assert "\nNoNewPrivs:\t1\n" in status
    assert "\nSeccomp:\t2\n" in status


_OUTSIDE_THE_FILTER = """
import os, socket, sys
from mss.sandbox.confine import leave_the_world
world = leave_the_world()
try:
    socket.socket().connect(("127.0.0.1", int(sys.argv[1])))
    reached = True
except OSError:
    reached = False
print(world.network_left, world.files_left, reached, os.listdir("/") if world.files_left else [])
"""


def test_the_second_wall_holds_without_the_filter() -> None:
    """Where a kernel has no filter but grants name spaces, there is still no network and no file."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        told = subprocess.run(
            [sys.executable, "-c", _OUTSIDE_THE_FILTER, port], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split(maxsplit=3)
    if told[0] != "True":
        pytest.skip("this container grants no name spaces")
    assert told == ["True", "True", "False", "[]\n"]


_HOUSE = """
import asyncio, sys
from mss.sandbox.pool import Sandbox
sandbox = Sandbox(jobs_module="tests.sandbox.hostile")
sandbox.start()
async def main():
    first = await sandbox.call("echo", owner=1)
    print(sandbox._nursery.pid, first.result["pid"], flush=True)
    await sandbox.call("spin", owner=1)
asyncio.run(main())
"""


def test_workers_die_with_the_house() -> None:
    """A house that is killed leaves nothing behind, not even a worker in an endless loop."""
    with subprocess.Popen([sys.executable, "-c", _HOUSE], cwd=ROOT, stdout=subprocess.PIPE, text=True) as house:
        assert house.stdout is not None
        pids = [int(pid) for pid in house.stdout.readline().split()]
        time.sleep(0.2)  # the second job is in its loop
        assert all(_is_running(pid) for pid in pids)
        house.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 3  # sooner than the limit of CPU time would end the loop
    while any(_is_running(pid) for pid in pids):
        assert time.monotonic() < deadline, "a process outlived the house"
        time.sleep(0.02)


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")
