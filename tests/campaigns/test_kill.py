"""kill -9 of each process at random instants: what was acknowledged stands once, and the world is told once.

Two campaigns share a demo, and two planted ones another. The first kills everybody and counts mail; the second kills
the bridge with its sandboxes and counts documents, answers, and what the hospital's own software was given.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.campaigns import bridgecount, bridgekilling
from tests.campaigns.bridgecount import BridgeCount
from tests.campaigns.bridgekilling import BridgeCampaign
from tests.campaigns.counting import Count, count
from tests.campaigns.killing import VICTIMS, Campaign
from tests.campaigns.surroundings import Surroundings
from tests.kit.demo import Demo

HERE = Path(__file__).parent
HURRIED = str(HERE / "hurried")
PLANTED = f"{HERE / 'planted'}{os.pathsep}{HURRIED}"
pytestmark = [pytest.mark.campaign, pytest.mark.slow, pytest.mark.xdist_group("kill"), pytest.mark.timeout(3 * 3600)]


@dataclass(frozen=True)
class Size:
    kills: int
    floor: int


SIZES = {"small": Size(20, 4_000), "full": Size(200, 40_000)}
CONTROL_KILLS = 40
"""The planted bug must show within so many; it usually does with the first of the edge."""
CONTROL_ROUND = Size(8, 800)


BRIDGE_SIZES = {"small": Size(4, 24), "full": Size(100, 2_000)}
"""With `--kills` more: make prove asks for 500."""
MAILS_EACH_KILL = 20
BRIDGE_CONTROL_ROUND = Size(4, 24)
BRIDGE_CONTROL_ROUNDS = 6


@dataclass(frozen=True)
class World:
    """A demo that only these tests use, and who lives around it."""

    demo: Demo
    around: Surroundings


@contextmanager
def _world(path: str) -> Iterator[World]:
    """Every variable of the demo's Python path is a folder that Python looks into for `sitecustomize`."""
    around = Surroundings()
    running = Demo(environment={"PYTHONPATH": path} | around.environment)
    try:
        running.start()
        around.listen(running)
        yield World(running, around)
    finally:
        running.remove()
        around.close()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with _world(HURRIED) as opened:
        yield opened


@pytest.fixture(scope="module")
def planted() -> Iterator[World]:
    """Its edge answers before it writes; its works end duties before they do them."""
    with _world(PLANTED) as opened:
        yield opened


def test_what_was_acknowledged_stands_once_whoever_is_killed(world: World, campaign_size: str) -> None:
    """No mail that we took is lost or doubled, in a mailbox or in the record."""
    size = SIZES[campaign_size]
    campaign = Campaign(world.demo, random.SystemRandom().getrandbits(32), size.kills, size.floor)
    counted = _run(campaign, "kill -9")
    assert sum(campaign.kills.values()) >= size.kills
    assert set(campaign.kills) == set(VICTIMS)
    assert len(campaign.acknowledged) >= size.floor, "too few to prove anything"
    assert not campaign.refused
    assert counted.documents > 0
    assert not counted.lost
    assert not counted.twice


def test_the_same_campaign_notices_an_edge_that_answers_before_it_writes(planted: World) -> None:
    """A campaign that cannot fail proves nothing."""
    for _ in range(CONTROL_KILLS // CONTROL_ROUND.kills):
        seed = random.SystemRandom().getrandbits(32)
        campaign = Campaign(planted.demo, seed, CONTROL_ROUND.kills, CONTROL_ROUND.floor)
        if _run(campaign, "kill -9, 250 before the commit").lost:
            return
    pytest.fail("the planted bug went unnoticed")


def test_documents_answers_and_sinks_survive_the_death_of_the_bridge(
    world: World, campaign_size: str, request: pytest.FixtureRequest
) -> None:
    """Each document filed once, each sender answered under one Message-ID, each sink given each act once, in order."""
    size, kills = BRIDGE_SIZES[campaign_size], int(request.config.getoption("--kills"))
    if kills:
        size = Size(kills, max(size.floor, kills * MAILS_EACH_KILL))
    campaign = BridgeCampaign(world.demo, world.around, random.SystemRandom().getrandbits(32), size.kills, size.floor)
    counted = _run_bridge(campaign, "kill -9 of the bridge")
    assert not counted.complaints, "\n".join(counted.complaints[:20])
    assert sum(campaign.kills.values()) == size.kills
    assert set(campaign.kills) == set(bridgekilling.VICTIMS)
    assert counted.answers >= size.floor, "too few to prove anything"
    assert counted.documents > size.floor / 3


def test_the_same_campaign_notices_a_bridge_that_ends_its_duties_first(planted: World) -> None:
    """An answer and a sink's document that are struck off before they leave are missed within a few kills."""
    missed: set[str] = set()
    for _ in range(BRIDGE_CONTROL_ROUNDS):
        seed = random.SystemRandom().getrandbits(32)
        size = BRIDGE_CONTROL_ROUND
        campaign = BridgeCampaign(planted.demo, planted.around, seed, size.kills, size.floor)
        counted = _run_bridge(campaign, "kill -9 of the bridge, duties ended first")
        missed |= {one.partition(":")[0] for one in counted.complaints}
        if "answer" in missed and missed & {"fhir", "dpi"}:
            return
    pytest.fail(f"planted bugs went unnoticed; only {missed} were")


def _run_bridge(campaign: BridgeCampaign, name: str) -> BridgeCount:
    began = time.monotonic()
    campaign.run()
    counted = bridgecount.count(campaign.demo, campaign.around, campaign.sent)
    kills = ", ".join(f"{victim} {number}" for victim, number in sorted(campaign.kills.items()))
    print(
        f"\n{name}: seed {campaign.seed}, kills {sum(campaign.kills.values())} ({kills};"
        f" {campaign.processes} processes), attempts {campaign.attempts}, acknowledged {len(campaign.sent)},"
        f" documents {counted.documents},"
        f" answers {counted.answers} ({counted.again} again), complaints {len(counted.complaints)},"
        f" {time.monotonic() - began:.0f} s"
    )
    return counted


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
