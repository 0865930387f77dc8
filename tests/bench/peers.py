"""What does one mail cost us, and what Postfix with Dovecot, in the same minutes?

The same octets from the same generator over mutual TLS to the same four addresses, in rounds that alternate, so that
whatever else the machine does falls on both. CPU of all processes of each, from /proc. A mail counts when it is in a
mailbox: with us that is the 250, with the others when Dovecot has written its file.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mss.demo.people import CHU, VILLE
from tests.bench.intake import SENDER, plain
from tests.bench.postfix import PostfixDovecot
from tests.bench.processes import cpu_of
from tests.kit.demo import Demo, until
from tests.kit.smtpload import LoadClient, Target

RECIPIENTS = (f"camille.lefort@{VILLE}", f"samir.benali@{CHU}", f"louise.garnier@{CHU}", f"cardiologie@{CHU}")
ROUNDS = 3
DELIVERED_S_MAX = 120.0


@dataclass(frozen=True)
class Load:
    """One kind of traffic, and how much of it in a round."""

    name: str
    octets: int
    mails: int
    connections: int
    is_kept: bool


LOADS = (
    Load("2 kB, a new connection each", 2_000, 300, 10, is_kept=False),
    Load("50 kB, kept connections", 50_000, 300, 10, is_kept=True),
    Load("1 MB, kept connections", 1_000_000, 40, 4, is_kept=True),
)


@dataclass(frozen=True)
class Compared:
    """CPU seconds per 1000 mails (medians), and the median of the rounds' ratios."""

    load: Load
    ours: float
    theirs: float
    ratio: float


def measure(demo: Demo, peer: PostfixDovecot, rounds: int = ROUNDS) -> list[Compared]:
    """Every load, ours and theirs in turn."""
    at = demo.told["operator"]["smtp"]
    context = demo.tls(demo.told["peer"])
    ours, theirs = Target(at["host"], at["port"], context), Target("127.0.0.1", peer.port, context)
    compared = []
    for load in LOADS:
        pairs = []
        for _ in range(rounds):
            pair = (
                _cost(ours, load, lambda: sum(cpu_of(demo).values()), None),
                _cost(theirs, load, peer.cpu_s, peer.delivered),
            )
            pairs.append(pair)
        a, b = (statistics.median(side) for side in zip(*pairs, strict=True))
        compared.append(Compared(load, a, b, statistics.median(our / their for our, their in pairs)))
    return compared


def _cost(target: Target, load: Load, cpu_s: Callable[[], float], delivered: Callable[[], int] | None) -> float:
    standing, before = delivered() if delivered else 0, cpu_s()
    asyncio.run(send(target, load))
    if delivered:
        until(lambda: delivered() >= standing + load.mails, DELIVERED_S_MAX)
    time.sleep(0.3)  # what is done after the last answer counts too
    return (cpu_s() - before) * 1000 / load.mails


async def send(target: Target, load: Load) -> None:
    """Send a load; every mail must be taken."""
    mails = zip([plain(load.octets) for _ in range(load.mails)], itertools.cycle(RECIPIENTS))

    async def one() -> None:
        client = LoadClient(target)
        for data, recipient in mails:
            answer = await client.send(SENDER, [recipient], data)
            assert answer.is_yes, answer
            if not load.is_kept:
                await client.quit()
        client.close()

    await asyncio.gather(*(one() for _ in range(load.connections)))


def beside(demo: Demo) -> PostfixDovecot:
    """Postfix and Dovecot with the certificate of operator A's relay, for A's domains."""
    keys = Path(demo.told["ca"]).parent
    return PostfixDovecot(
        sorted({address.rpartition("@")[2] for address in RECIPIENTS}),
        keys / "relay-A.pem",
        keys / "relay-A.key",
        Path(demo.told["ca"]),
    )
