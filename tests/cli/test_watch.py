"""`mss send --watch`: what appears in a folder is sent, each item once, also when the sender dies at any step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mss.cli.watch import HotFolder, Plan
from mss.mail.healthmail import Sending
from mss.model.clock import ManualClock, SeededChance
from mss.model.ids import MailAddress
from mss.smtp.sending import NotTaken
from tests.kit.documents import HUGO, ZOE, make_cda, make_pdf
from tests.kit.house import LABORATORY, PATIENTS


class Server:
    """Keeps what it was given, by its octets, as a server that knows a repeat."""

    def __init__(self) -> None:
        self.kept: dict[bytes, MailAddress] = {}
        self.says: list[NotTaken | None] = []

    async def take(self, to: MailAddress, mail: bytes) -> str:
        problem = self.says.pop(0) if self.says else None
        if problem is not None:
            raise problem
        self.kept[mail] = to
        return "250 taken"


@pytest.fixture
def server() -> Server:
    return Server()


def folder(directory: Path, server: Server, clock: ManualClock, chance: SeededChance) -> HotFolder:
    """As after a start."""
    like = Sending(LABORATORY, "Laboratoire", LABORATORY, (), (), clock.now())
    return HotFolder(directory, Plan(like, None, PATIENTS), server.take, clock, chance)


def put(directory: Path, name: str, content: bytes, clock: ManualClock) -> Path:
    path = directory / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    long_ago = clock.now().timestamp() - 60
    for one in (path, path.parent) if path.parent != directory else (path,):
        os.utime(one, (long_ago, long_ago))
    return path


def names(directory: Path) -> set[str]:
    return {one.name for one in directory.iterdir()}


async def test_what_appears_is_sent_and_lies_in_done(
    tmp_path: Path, server: Server, clock: ManualClock, chance: SeededChance
) -> None:
    """A file, and a folder with a readable copy; to the patient whom they name; a second look sends nothing."""
    hot = folder(tmp_path, server, clock, chance)
    put(tmp_path, "a.xml", make_cda(ZOE), clock)
    put(tmp_path, "b/cr.xml", make_cda(HUGO), clock)
    put(tmp_path, "b/cr.pdf", make_pdf(), clock)
    put(tmp_path, ".half.xml", b"<Clin", clock)
    for _ in range(2):
        await hot.round()
    assert {str(to) for to in server.kept.values()} == {f"{who.ins.value}@{PATIENTS}" for who in (ZOE, HUGO)}
    assert names(tmp_path / "done") == {"a.xml", "a.xml.txt", "b", "b.txt"}
    assert "250 taken" in (tmp_path / "done/a.xml.txt").read_text()
    assert names(tmp_path / "work") == set()
    assert (tmp_path / ".half.xml").exists()


async def test_what_cannot_be_sent_lies_in_refused_with_the_reason(
    tmp_path: Path, server: Server, clock: ManualClock, chance: SeededChance
) -> None:
    """No CDA, two patients, and what the server says no to for good."""
    hot = folder(tmp_path, server, clock, chance)
    put(tmp_path, "a.xml", b"<html/>", clock)
    put(tmp_path, "b/1.xml", make_cda(ZOE), clock)
    put(tmp_path, "b/2.xml", make_cda(HUGO), clock)
    put(tmp_path, "c.xml", make_cda(ZOE), clock)
    server.says = [NotTaken("550 5.1.1 unknown", is_final=True)]
    await hot.round()
    assert not server.kept
    refused = tmp_path / "refused"
    assert names(refused) == {"a.xml", "a.xml.txt", "b", "b.txt", "c.xml", "c.xml.txt"}
    assert "different patients" in (refused / "b.txt").read_text()
    assert "550 5.1.1" in (refused / "c.xml.txt").read_text()


async def test_a_server_that_is_away_is_tried_again_with_the_same_octets(
    tmp_path: Path, server: Server, clock: ManualClock, chance: SeededChance
) -> None:
    """The mail is composed once: a server that took it before its answer was lost knows it again."""
    put(tmp_path, "a.xml", make_cda(ZOE), clock)
    server.says = [NotTaken("away", is_final=False)]
    (told,) = await folder(tmp_path, server, clock, chance).round()
    assert "waits" in told
    waiting = (tmp_path / "work/a.xml.eml").read_bytes()
    await folder(tmp_path, server, clock, SeededChance(99)).round()
    assert list(server.kept) == [waiting]
    assert names(tmp_path / "work") == set()


LIVES_MAX = 200


def test_kill_9_at_any_step_sends_each_item_once(tmp_path: Path, clock: ManualClock) -> None:
    """Before and after each thing done to the disk or said to the server; a file, a folder, and one that is refused.
    The next life ends what the killed one began; the server has two mails, whatever it heard twice."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.kit.watchchild"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    kills = 0
    for kill_at in range(1, LIVES_MAX):
        hot, kept = tmp_path / str(kill_at), tmp_path / f"server-{kill_at}"
        hot.mkdir()
        kept.mkdir()
        put(hot, "a.xml", make_cda(ZOE), clock)
        put(hot, "b/cr.xml", make_cda(HUGO), clock)
        put(hot, "c.xml", b"<html/>", clock)
        said = []
        for at in (kill_at, 0):
            asked = {"folder": str(hot), "server": str(kept), "kill_at": at}
            child.stdin.write(json.dumps(asked) + "\n")
            child.stdin.flush()
            said.append(child.stdout.readline().strip())
        assert said[1] == "done", kill_at
        assert len(names(kept)) == 2, kill_at
        assert names(hot) == {"work", "done", "refused"}, kill_at
        assert names(hot / "work") == set(), kill_at
        assert names(hot / "done") == {"a.xml", "a.xml.txt", "b", "b.txt"}, kill_at
        assert names(hot / "refused") == {"c.xml", "c.xml.txt"}, kill_at
        if said[0] == "done":
            break
        assert said[0] == "killed"
        kills += 1
    child.stdin.close()
    child.wait(30)
    print(f"kills {kills}")
    assert kills >= 30
