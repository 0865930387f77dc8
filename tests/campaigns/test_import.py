"""kill -9 of an import at random instants: in the end each message stands here once, as it was."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mss.cli import main
from mss.crypto.keys import load_private, load_public
from mss.model.clock import SeededChance, SystemClock
from mss.model.ids import MailAddress
from mss.store import owners
from mss.store.blobs import LocalBodies
from mss.store.changes import ChangeBus
from mss.store.database import Store
from tests.cli.conftest import SETTINGS, mss
from tests.kit.imap_house import DOCTOR, letter
from tests.kit.moving import NewHome, Original, Seen, expected, fill_maildir
from tests.kit.people import Cellar

PLANTED = Path(__file__).parent / "planted_import"
pytestmark = [pytest.mark.campaign, pytest.mark.slow, pytest.mark.timeout(3 * 3600)]
RUN_S_MAX = 120


@dataclass(frozen=True)
class Size:
    kills: int
    messages: int


SIZES = {"small": Size(2, 200), "full": Size(200, 4000)}
CONTROL_KILLS = 20
"""The planted bug must show within so many; it usually does with the first or second."""


class Campaign:
    """A Maildir, an operator, and somebody who kills the command that brings the one to the other."""

    def __init__(self, directory: Path, seed: int, messages: int, environment: dict[str, str]) -> None:
        self.seed, self.random = seed, random.Random(seed)
        self.directory = directory
        self.originals = tuple(self._original(number) for number in range(messages))
        self._environment = os.environ | environment
        fill_maildir(directory / "there", self.originals)
        self.config = directory / "mss.toml"
        self.config.write_text(SETTINGS.format(database=""))
        main.load("")
        for words in (("db", "upgrade"), ("mailbox", "create", DOCTOR, "--name", "Dubois")):
            assert mss(*words, "--config", str(self.config)).code == 0
        self.kills = self.attempts = self._returns = 0
        self._messages = messages

    def _original(self, number: int) -> Original:
        """Two folders, a copy now and then, a body in a file of its own now and then."""
        same_as = number - number % 7 if number % 11 == 0 else number
        body = ("x" * 70 + "\r\n") * 1000 if number % 50 == 0 else f"Message {same_as}\r\n"
        raw = letter(1, body=body)
        return Original("INBOX" if number % 3 else "Archives/2019", raw, at_ms=1_600_000_000_000 + number * 1000)

    def run(self, kills: int) -> None:
        """Kill so many runs in the middle of what they bring; then let one end."""
        while self.kills < kills:
            self._killed_run(kills - self.kills)
        assert self._started().wait(RUN_S_MAX) == 0

    def _killed_run(self, wanted: int) -> None:
        self.attempts += 1
        standing = self.stand()
        # A fair share, so that enough is left for those that follow: each run reads again all that is there, and mail
        # that must be added makes every later run longer.
        share = 2 * (len(self.originals) - standing) // (wanted + 1)
        target = standing + self.random.randrange(1, max(2, share))
        running = self._started()
        while running.poll() is None and self.stand() < target:
            time.sleep(0.001)
        time.sleep(self.random.random() * 0.2)
        running.kill()
        if running.wait(RUN_S_MAX) == 0:
            self._begin_again()
        else:
            self.kills += 1

    def _begin_again(self) -> None:
        """All is here and kills are wanted yet: more mail arrives over there."""
        self._returns += 1
        folder = f"Plus {self._returns}"
        more = tuple(
            replace(self._original(len(self.originals) + number), folder=folder) for number in range(self._messages)
        )
        fill_maildir(self.directory / "there", more)
        self.originals += more

    def _started(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "mss", "mailbox", "import", DOCTOR]
        command += ["--maildir", str(self.directory / "there"), "--config", str(self.config)]
        return subprocess.Popen(command, env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def stand(self) -> int:
        """How many messages are here."""
        with sqlite3.connect(f"file:{self.directory}/state/mss.db?mode=ro", uri=True) as reader:
            count: int = reader.execute("SELECT count(*) FROM entry").fetchone()[0]
        reader.close()
        return count

    def holds(self) -> dict[str, Counter[Seen]]:
        """What its holder finds."""
        return asyncio.run(self._holds())

    async def _holds(self) -> dict[str, Counter[Seen]]:
        clock, chance = SystemClock(), SeededChance(1)
        keys, state = self.directory / "keys", self.directory / "state"
        store = Store.open(f"sqlite:///{state}/mss.db")
        try:
            public, private = load_public(keys), load_private(keys, chance)
            below = Cellar(store, LocalBodies(state / "bodies"), public, private, clock, chance)  # type: ignore[arg-type]
            hashed = public.lookup.address(MailAddress.parse(DOCTOR).key)
            owner = await store.read(lambda c: owners.find(c, hashed))
            assert owner is not None
            return await NewHome(below, owner, ChangeBus("test")).holds()
        finally:
            await store.close()


def _compare(campaign: Campaign, name: str) -> tuple[int, int]:
    """(lost, too many)."""
    wanted, found = expected(campaign.originals), campaign.holds()
    folders = wanted.keys() | found.keys()
    lost = sum((wanted.get(one, Counter()) - found.get(one, Counter())).total() for one in folders)
    more = sum((found.get(one, Counter()) - wanted.get(one, Counter())).total() for one in folders)
    print(
        f"\n{name}: seed {campaign.seed}, kills {campaign.kills} of {campaign.attempts} runs,"
        f" messages {len(campaign.originals)}, lost {lost}, too many {more}"
    )
    return lost, more


def test_an_import_that_is_killed_again_and_again_brings_each_message_once(tmp_path: Path, campaign_size: str) -> None:
    """Nothing lost, nothing doubled, flags and dates as they were."""
    size = SIZES[campaign_size]
    campaign = Campaign(tmp_path, random.SystemRandom().getrandbits(32), size.messages, {})
    campaign.run(size.kills)
    assert campaign.kills >= size.kills
    assert _compare(campaign, "import, kill -9") == (0, 0)


def test_the_same_campaign_notices_an_import_that_notes_too_late(tmp_path: Path) -> None:
    """A campaign that cannot fail proves nothing."""
    seed = random.SystemRandom().getrandbits(32)
    campaign = Campaign(tmp_path, seed, SIZES["small"].messages, {"PYTHONPATH": str(PLANTED)})
    for _ in range(CONTROL_KILLS):
        campaign.run(campaign.kills + 1)
        if _compare(campaign, "import, noted too late") != (0, 0):
            return
        campaign._begin_again()
    pytest.fail("the planted bug went unnoticed")
