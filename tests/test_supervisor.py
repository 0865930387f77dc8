"""Are the processes of an operator kept running, and do they all end together?"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from mss import cradle, supervisor
from mss.cradle import Cradle, CradleFailed
from mss.supervisor import Supervisor
from tests.kit.child import supervisor_of
from tests.kit.memory import children
from tests.kit.reading import CHECKOUT

WAIT_S = 20.0


class Place:
    """Where a supervisor and its children leave their notes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def notes(self, kind: str) -> list[list[str]]:
        try:
            return [line.split() for line in (self.folder / kind).read_text().splitlines()]
        except FileNotFoundError:
            return []

    def started(self, kind: str) -> list[int]:
        """Process numbers, in the order of their starts."""
        return [int(words[1]) for words in self.notes(kind) if words[0] == "started"]

    def pids(self) -> dict[str, int]:
        """What pids.json tells."""
        try:
            told: dict[str, int] = json.loads((self.folder / "run/pids.json").read_text())
        except FileNotFoundError:
            return {}
        return told

    def new(self, *kinds: str) -> Supervisor:
        return supervisor_of(self.folder, *kinds)

    @asynccontextmanager
    async def running(self, *kinds: str) -> AsyncIterator[Supervisor]:
        made = self.new(*kinds)
        await made.start()
        try:
            yield made
        finally:
            await made.stop()

    @contextmanager
    def apart(self, *kinds: str) -> Iterator[subprocess.Popen[bytes]]:
        """A supervisor in a process of its own."""
        command = [sys.executable, "-m", "tests.kit.child", "supervise", str(self.folder), *kinds]
        process = subprocess.Popen(command, cwd=CHECKOUT)
        try:
            wait(lambda: (self.folder / "run/ready").exists())
            yield process
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def wait(is_so: Callable[[], object], seconds: float = WAIT_S) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not is_so():
            await asyncio.sleep(0.02)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def name_of(pid: int) -> str:
    """The short name that lists of processes show."""
    return Path(f"/proc/{pid}/comm").read_text().strip()


def cradles() -> list[int]:
    """Ours; more than one for a moment while it forks, or while that of an earlier test ends."""
    ours = [pid for pid in children(os.getpid()) if lives(pid) and parent_of(pid) == os.getpid()]
    return [pid for pid in ours if name_of(pid) == "mss-cradle"]


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def test_pids_json_tells_who_runs(place: Place) -> None:
    """While they run; afterwards nothing is left that looks like it."""
    async with place.running("good", "deaf") as made:
        assert (place.folder / "run/ready").read_text() == str(os.getpid())
        assert place.pids() == {
            "supervisor": os.getpid(),
            "good": place.started("good")[0],
            "deaf": place.started("deaf")[0],
        }
        made.children["deaf"].signal(signal.SIGKILL)
        await until(lambda: "deaf" not in place.pids())
        await until(lambda: "deaf" in place.pids() and len(place.started("deaf")) == 2)
        assert place.pids()["deaf"] == place.started("deaf")[1]
        made.children["deaf"].signal(signal.SIGKILL)
    assert not (place.folder / "run/ready").exists()
    assert place.pids() == {}


async def test_a_child_that_keeps_dying_is_started_less_and_less_often(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pause doubles up to its limit; the others run on."""
    pauses: list[float] = []
    monkeypatch.setattr(supervisor, "RESTART_MAX_S", 0.8)
    monkeypatch.setattr(supervisor.log, "warning", lambda *_, **told: pauses.append(told["restart_in_s"]))
    async with place.running("dies", "good"):
        await until(lambda: len(pauses) >= 4)
        assert len(place.started("good")) == 1
    assert pauses[:4] == [0.2, 0.4, 0.8, 0.8]
    assert len(place.started("dies")) >= 4


async def test_a_child_that_lived_long_starts_again_at_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """One crash a day is no crash loop."""
    pauses: list[float] = []
    monkeypatch.setattr(supervisor, "STEADY_S", 0.0)
    monkeypatch.setattr(supervisor.log, "warning", lambda *_, **told: pauses.append(told["restart_in_s"]))
    async with place.running("dies"):
        await until(lambda: len(pauses) >= 3)
    assert pauses[:3] == [0.2, 0.2, 0.2]


async def test_who_ends_before_he_is_ready_is_named(place: Place) -> None:
    """With the code; nobody else is left running."""
    made = place.new("good", "refuses")
    with pytest.raises(RuntimeError, match="refuses ended with 4 before it was ready"):
        await made.start()
    await until(lambda: not any(map(lives, place.started("good"))))
    assert not (place.folder / "run/ready").exists()


async def test_who_never_becomes_ready_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while; nobody is left running."""
    monkeypatch.setattr(supervisor, "READY_S", 1.0)
    made = place.new("good", "mute")
    with pytest.raises(RuntimeError, match="mute: not ready within 1 s"):
        await made.start()
    assert not any(map(lives, place.started("good") + place.started("mute")))


def test_killing_the_supervisor_takes_the_children_along(place: Place) -> None:
    """Nothing runs on that nobody watches."""
    with place.apart("good") as process:
        (child,) = place.started("good")
        assert lives(child)
        process.kill()
        wait(lambda: not lives(child))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_and_the_code_is_good(place: Place, number: signal.Signals) -> None:
    """At once when the children listen."""
    with place.apart("good") as process:
        (child,) = place.started("good")
        began = time.monotonic()
        process.send_signal(number)
        assert process.wait(WAIT_S) == 0
        assert time.monotonic() - began < 5
        assert not lives(child)


@pytest.mark.slow
def test_a_child_that_does_not_listen_is_ended_within_ten_seconds(place: Place) -> None:
    """Asked first, ended after the limit."""
    with place.apart("deaf", "good") as process:
        (child,) = place.started("deaf")
        began = time.monotonic()
        process.terminate()
        assert process.wait(WAIT_S) == 0
        assert time.monotonic() - began < 10
        assert not lives(child)
        assert ["hears", "nothing"] in place.notes("deaf")


def test_a_signal_during_the_start_ends_the_start(place: Place) -> None:
    """Nobody waits a minute for a child that will never be ready."""
    command = [sys.executable, "-m", "tests.kit.child", "supervise", str(place.folder), "mute", "good"]
    with subprocess.Popen(command, cwd=CHECKOUT) as process:
        wait(lambda: place.started("mute") and place.started("good"))
        process.terminate()
        process.wait(WAIT_S)
        assert not any(map(lives, place.started("mute") + place.started("good")))


async def test_nobody_misses_a_cradle_that_died(place: Place) -> None:
    """Those that were born live on, and the next birth finds a new one."""
    async with place.running("good", "deaf") as made:
        await until(lambda: len(cradles()) == 1)
        (old,) = cradles()
        os.kill(old, signal.SIGKILL)
        made.children["deaf"].signal(signal.SIGKILL)
        await until(lambda: len(place.started("deaf")) == 2)
        await until(lambda: len(cradles()) == 1)
        assert cradles() != [old]
        assert [made.children["good"].pid] == place.started("good")
        assert all(parent_of(child.pid) == os.getpid() for child in made.children.values() if child.pid)


def test_the_cradle_holds_nothing_that_must_not_be_shared() -> None:
    """One thread, no connection, no file: only then is a fork of it a clean start."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "mss.assembly", "unused", str(theirs.fileno())]
    with ours, theirs, subprocess.Popen(command, cwd=CHECKOUT, pass_fds=[theirs.fileno()]) as process:
        wait(lambda: name_of(process.pid) == "mss-cradle")
        held = {int(entry.name) for entry in Path(f"/proc/{process.pid}/fd").iterdir()}
        assert held == {0, 1, 2, theirs.fileno()}
        assert len(list(Path(f"/proc/{process.pid}/task").iterdir())) == 1
        theirs.close()
        ours.close()
        assert process.wait(WAIT_S) == 0


async def test_who_is_not_known_to_the_supervisor_does_not_run(place: Place) -> None:
    """A process whose birth was never answered ends before its first act."""
    environment = os.environ | {cradle.PARENT: str(os.getpid())}
    made = Cradle([sys.executable, "-m", "tests.kit.child", "cradle", str(place.folder)], environment)
    cradle.adopt_orphans(True)
    born: list[int] = []

    def forgets(pid: int) -> None:
        born.append(pid)
        raise ConnectionError

    try:
        with pytest.raises(CradleFailed):
            await made.birth("good", [], forgets)
    finally:
        made.close()
        cradle.adopt_orphans(False)
    assert len(born) == cradle.BIRTHS_MAX
    await until(lambda: not any(map(lives, born)))
    assert place.started("good") == []


async def test_children_are_told_to_read_again(place: Place) -> None:
    """Certificates and lists, on SIGHUP."""
    async with place.running("good"):
        for count in itertools.count(1):
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0.1)
            if len([words for words in place.notes("good") if words == ["reloads"]]) >= 2:
                break
            assert count < 100


async def test_children_offer_only_the_groups_of_our_openssl_file(place: Place) -> None:
    """Unless the operator names a file of his own."""
    async with place.running("good"):
        (words,) = [line for line in place.notes("good") if line[0] == "started"]
        assert words[2:] == [os.environ.get("OPENSSL_CONF", str(supervisor.OPENSSL_CONF))]
        assert supervisor.OPENSSL_CONF.exists()


async def test_a_directory_that_others_may_write_is_refused(place: Place) -> None:
    """Below /tmp somebody may have been there first: a socket there would be his."""
    run = place.folder / "run"
    run.mkdir(mode=0o777)
    run.chmod(0o777)
    with pytest.raises(RuntimeError, match="run_dir"):
        await place.new("good").start()
    run.rmdir()
    run.symlink_to(place.folder)
    with pytest.raises(RuntimeError, match="run_dir"):
        await place.new("good").start()
    run.unlink()
    async with place.running("good"):
        assert stat.S_IMODE(run.stat().st_mode) == 0o700


def test_a_child_whose_parent_is_gone_already_ends(tmp_path: Path) -> None:
    """It asked too late to be told: the parent died in between."""
    told = os.environ | {cradle.PARENT: "1" if os.getpid() != 1 else "2"}
    code = "from mss.cradle import die_with_parent; die_with_parent(); import time; time.sleep(30)"
    ended = subprocess.run([sys.executable, "-c", code], env=told, cwd=CHECKOUT, timeout=20, check=False)
    assert ended.returncode == -signal.SIGTERM
