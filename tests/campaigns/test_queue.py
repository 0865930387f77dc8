"""Partitions, restarts and a lying clock: every mail of the queue is delivered, returned in time, or held."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from random import Random

import pytest

from mss.mail.queue import LIFETIME
from mss.model.clock import ManualClock, SeededChance, to_ms
from mss.smtp import settling
from mss.smtp.settling import Settling
from mss.store.tasks import Queued
from tests.campaigns.queueworld import DAY_S, World
from tests.kit.people import cellar

pytestmark = [pytest.mark.campaign, pytest.mark.slow, pytest.mark.timeout(6 * 3600)]

WORLDS = {"small": 2, "full": 500}
MAILS = 40
EARLY_S = {True: DAY_S / 2, False: LIFETIME.total_seconds()}
"""With an honest clock nothing is returned before its four days; whatever the clock says, not within half a day."""
CONTROL_WORLDS = 25
"""A planted bug must show within so many."""


async def _lived(directory: Path, seed: int, *, jumps: bool) -> tuple[World, list[str]]:
    directory.mkdir()
    async with cellar(f"sqlite:///{directory}/mss.db", directory, ManualClock(), SeededChance(seed)) as below:
        world = World(below, Random(seed), jumps)
        await world.live(MAILS)
        world.kept_back = len(await world.held())
        return world, await world.complaints(EARLY_S[jumps])


@pytest.mark.parametrize("jumps", [False, True], ids=["honest-clock", "lying-clock"])
async def test_every_mail_is_delivered_or_returned_in_time(tmp_path: Path, campaign_size: str, jumps: bool) -> None:
    """By id: accepted = delivered + returned + held; nothing early, nothing twice but for couriers that died."""
    seed = random.SystemRandom().getrandbits(32)
    accepted = delivered = returned = held = late = attempts = 0
    for number in range(WORLDS[campaign_size]):
        world, complaints = await _lived(tmp_path / str(number), seed + number, jumps=jumps)
        assert complaints == [], f"seed {seed + number}"
        accepted += len(world.accepted)
        delivered += len(world.received)
        returned += len(world.ended_s)
        held += world.kept_back
        late += len(world.late)
        attempts += world.attempts
    print(
        f"\nseed {seed}: {WORLDS[campaign_size]} worlds, {attempts} attempts, {accepted} accepted,"
        f" {delivered} delivered, {returned} returned, {held} held, {late} told to be late"
    )
    assert accepted >= MAILS * WORLDS[campaign_size]
    assert delivered > accepted / 2
    assert returned > 0


async def _forgets_the_rest(*_: object) -> None:
    """Those who are to get it later are forgotten when the others have it."""


def _believes_the_clock(row: Queued, now: datetime) -> bool:
    """Old by the calendar, however seldom it was tried."""
    return row.expires_ms <= to_ms(now)


@pytest.mark.parametrize(
    ("where", "name", "bug", "complaint"),
    [
        (settling, "is_expired", _believes_the_clock, "returned after"),
        (Settling, "_prepare_again", _forgets_the_rest, "unexplained"),
    ],
    ids=["believes-the-clock", "forgets-the-rest"],
)
async def test_the_same_campaign_notices_a_planted_bug(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: object,
    name: str,
    bug: Callable[..., object],
    complaint: str,
) -> None:
    """A campaign that cannot fail proves nothing."""
    monkeypatch.setattr(where, name, bug)
    seed = random.SystemRandom().getrandbits(32)
    for number in range(CONTROL_WORLDS):
        _, complaints = await _lived(tmp_path / str(number), seed + number, jumps=True)
        if any(complaint in one for one in complaints):
            return
    raise AssertionError(f"nobody noticed, seed {seed}")
