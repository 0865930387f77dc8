"""kill -9 of whoever corrects, before and after each of its writes: in the end not begun, or whole; never half."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mss.model.clock import ManualClock, SeededChance
from mss.sandbox.pool import Sandbox
from tests.bridge.test_corrections import (
    LEA,
    OTHER,
    SECRET,
    STAFF,
    TWINS,
    WRONG,
    filed_wrongly,
    plain,
    shows_only_the_line,
)
from tests.kit.documents import ZOE, make_cda
from tests.kit.house import House, Patient, open_house
from tests.kit.refilechild import house_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
KILLS_MAX = 60
"""Writes of one act, twice; more would be another act."""
STEP = 1 if os.environ.get("MSS_EVERY_INSTANT") else 5
"""Before and after writes by turns; a life of the works writes some eighteen times."""


class Corrector:
    """Lives again and again."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kit.refilechild"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.kills = 0

    def live(self, folder: Path, what: str, *, document: int = 0, kill_at: int = 0, planted: bool = False) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"folder": str(folder), "what": what, "document": document, "kill_at": kill_at, "planted": planted}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        said = self._process.stdout.readline
        answer = next(line for line in iter(said, "") if line.strip() in ("killed", "done") or "ended" in line).strip()
        self.kills += answer == "killed"
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


@pytest.fixture
def corrector() -> Iterator[Corrector]:
    one = Corrector()
    yield one
    one.close()


@dataclass
class Before:
    """A folder with a house in which something is about to be corrected."""

    folder: Path
    zoe: Patient
    lea: Patient
    document: int


@asynccontextmanager
async def opened(folder: Path, sandbox: Sandbox) -> AsyncIterator[House]:
    house = house_in(folder, sandbox)
    try:
        yield house
    finally:
        await house.store.close()


async def prepare(folder: Path, clock: ManualClock, chance: SeededChance, sandbox: Sandbox, *, refiles: bool) -> Before:
    async with open_house(f"sqlite:///{folder}/mss.db", folder, clock, chance, sandbox) as house:
        zoe, lea = await house.enrol(ZOE), await house.enrol(LEA)
        document, _ = await filed_wrongly(house, zoe)
        if refiles:
            out = await house.corrections.unfile(document, STAFF, TWINS)
            asked = await house.corrections.refile(out, lea.owner, STAFF)
            await house.corrections.confirm(asked.id, OTHER)
    return Before(folder, zoe, lea, document)


async def state_of(house: House, before: Before) -> dict[str, Any]:
    """What the two patients see."""
    return {
        "zoe": [view.entry.title for view in await house.documents(before.zoe)],
        "zoe mail": (await house.in_folders(before.zoe.owner), len(await house.conversation_list(before.zoe))),
        "lea": [view.entry.title for view in await house.documents(before.lea)],
        "lea mail": (await house.in_folders(before.lea.owner), await house.unread(before.lea)),
    }


IN_ZOES = {"zoe": [SECRET], "zoe mail": (1, 1), "lea": [], "lea mail": (0, 0)}
OUT = {"zoe": [], "zoe mail": (0, 0), "lea": [], "lea mail": (0, 0)}
IN_LEAS = {"zoe": [], "zoe mail": (0, 0), "lea": [SECRET], "lea mail": (1, 1)}


def attempts(tmp_path: Path, before: Before, step: int = 1) -> Iterator[tuple[int, Path]]:
    """A fresh copy of the folder for each instant."""
    for kill_at in range(1, KILLS_MAX, step):
        folder = tmp_path / f"at-{kill_at}"
        shutil.copytree(before.folder, folder)
        yield kill_at, folder


async def test_taking_out_is_not_begun_or_whole(
    tmp_path: Path, clock: ManualClock, chance: SeededChance, sandbox: Sandbox, corrector: Corrector
) -> None:
    """At every instant: all of it is Zoé's still, or nothing is. The planted bug, messages later, is seen."""
    base = tmp_path / "base"
    base.mkdir()
    before = await prepare(base, clock, chance, sandbox, refiles=False)
    for planted in (False, True):
        halves = 0
        for kill_at, folder in attempts(tmp_path / str(planted), before):
            how = corrector.live(folder, "unfile", document=before.document, kill_at=kill_at, planted=planted)
            async with opened(folder, sandbox) as house:
                state = await state_of(house, before)
                halves += state not in (IN_ZOES, OUT)
                if not planted:
                    assert (state == OUT) == bool(await house.corrections.book.listed()), kill_at
            if how == "done":
                assert state == OUT
                break
            assert how == "killed"
        assert bool(halves) == planted
    print(f"kills {corrector.kills}")
    assert corrector.kills >= 6


async def test_refiling_ends_whole_after_any_kill(
    tmp_path: Path, clock: ManualClock, chance: SeededChance, sandbox: Sandbox, corrector: Corrector
) -> None:
    """Never hers twice, never both patients'; after a restart Léa has it once and each notice left once."""
    base = tmp_path / "base"
    base.mkdir()
    before = await prepare(base, clock, chance, sandbox, refiles=True)
    for kill_at, folder in attempts(tmp_path / "lives", before, STEP):
        how = corrector.live(folder, "works", kill_at=kill_at)
        async with opened(folder, sandbox) as house:
            assert await state_of(house, before) in (OUT, IN_LEAS), kill_at
            house.clock.forward(3600)
            await house.run_tasks()
            assert await state_of(house, before) == IN_LEAS, kill_at
            assert await shows_only_the_line(house, before.zoe)
            texts = [plain(mail) for mail in await house.sent()]
            assert sum("filed by mistake" in text for text in texts) == 1, kill_at
            assert sum("right patient" in text for text in texts) == 1, kill_at
        if how == "done":
            break
        assert how == "killed"
    print(f"kills {corrector.kills}")
    assert corrector.kills >= 30 // STEP


async def test_filing_what_was_held_is_not_begun_or_whole(
    tmp_path: Path, clock: ManualClock, chance: SeededChance, sandbox: Sandbox, corrector: Corrector
) -> None:
    """`mss bridge replay --really` and filing by hand: still held and unseen, or filed, shown and answered once."""
    base = tmp_path / "base"
    base.mkdir()
    async with open_house(f"sqlite:///{base}/mss.db", base, clock, chance, sandbox) as house:
        zoe = await house.enrol(ZOE)
        await house.send_documents(zoe, make_cda(WRONG, title=SECRET))
        (item,) = await house.triage.held_list()
    for kill_at in range(1, KILLS_MAX):
        folder = tmp_path / f"at-{kill_at}"
        shutil.copytree(base, folder)
        how = corrector.live(folder, "file", document=item.id, kill_at=kill_at)
        async with opened(folder, sandbox) as house:
            waits = await house.triage.held_list()
            assert await house.sees_nothing(zoe) == bool(waits), kill_at
            if waits:
                await house.triage.file(item.id, STAFF)
            house.clock.forward(3600)
            await house.run_tasks()
            assert [view.entry.title for view in await house.documents(zoe)] == [SECRET], kill_at
            assert (await house.in_folders(zoe.owner), await house.unread(zoe)) == (1, 1), kill_at
            assert sum(str(mail["Subject"]).startswith("[Intégré]") for mail in await house.sent()) == 1, kill_at
        if how == "done":
            break
        assert how == "killed"
    print(f"kills {corrector.kills}")
    assert corrector.kills >= 2
