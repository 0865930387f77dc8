"""kill -9 of each process at random instants: what was acknowledged stands, once."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.campaigns.counting import Count, count
from tests.campaigns.killing import VICTIMS, Campaign
from tests.kit.demo import Demo

PLANTED = Path(__file__).parent / "planted"
pytestmark = [pytest.mark.campaign, pytest.mark.slow, pytest.mark.xdist_group("kill"), pytest.mark.timeout(3 * 3600)]


@dataclass(frozen=True)
class Size:
    kills: int
    floor: int


SIZES = {"small": Size(20, 4_000), "full": Size(200, 40_000)}
CONTROL_KILLS = 40
"""The planted bug must show within so many; it usually does with the first of the edge."""
CONTROL_ROUND = Size(8, 800)


@pytest.fixture
def own_demo() -> Iterator[Demo]:
    """A demo that nobody else uses."""
    running = Demo()
    try:
        yield running.start()
    finally:
        running.remove()


def test_what_was_acknowledged_stands_once_whoever_is_killed(own_demo: Demo, campaign_size: str) -> None:
    """No mail that we took is lost or doubled, in a mailbox or in the record."""
    size = SIZES[campaign_size]
    campaign = Campaign(own_demo, random.SystemRandom().getrandbits(32), size.kills, size.floor)
    counted = _run(campaign, "kill -9")
    assert sum(campaign.kills.values()) >= size.kills
    assert set(campaign.kills) == set(VICTIMS)
    assert len(campaign.acknowledged) >= size.floor, "too few to prove anything"
    assert not campaign.refused
    assert counted.documents > 0
    assert not counted.lost
    assert not counted.twice


def test_the_same_campaign_notices_an_edge_that_answers_before_it_writes() -> None:
    """A campaign that cannot fail proves nothing."""
    planted = Demo(environment={"PYTHONPATH": str(PLANTED)})
    try:
        planted.start()
        for _ in range(CONTROL_KILLS // CONTROL_ROUND.kills):
            seed = random.SystemRandom().getrandbits(32)
            campaign = Campaign(planted, seed, CONTROL_ROUND.kills, CONTROL_ROUND.floor)
            if _run(campaign, "kill -9, 250 before the commit").lost:
                return
    finally:
        planted.remove()
    pytest.fail("the planted bug went unnoticed")


def _run(campaign: Campaign, name: str) -> Count:
    began = time.monotonic()
    campaign.run()
    counted = count(campaign.demo, campaign.acknowledged)
    kills = ", ".join(f"{victim} {number}" for victim, number in sorted(campaign.kills.items()))
    print(
        f"\n{name}: seed {campaign.seed}, kills {sum(campaign.kills.values())} ({kills}),"
        f" attempts {campaign.attempts}, deferred {campaign.deferred}, acknowledged {len(campaign.acknowledged)}"
        f" ({counted.pairs} copies wanted, {counted.documents} of them documents),"
        f" lost {len(counted.lost)}, twice {len(counted.twice)}, {time.monotonic() - began:.0f} s"
    )
    return counted
