"""How fast does mail come in? From eight peers over mutual TLS on kept connections, until it can be read by IMAP."""

from __future__ import annotations

import asyncio
import os
import re
import time
from dataclasses import dataclass

from mss.demo.people import TIERS, VILLE
from tests.bench.processes import cpu_of
from tests.kit.demo import DOMINIQUE, Demo, as_message
from tests.kit.laboratory import health_mail, report
from tests.kit.onlooker import Onlooker
from tests.kit.smtpload import LoadClient, Target, stuffed

SENDER = f"bio@{TIERS}"
DOCTOR = f"camille.lefort@{VILLE}"
CONNECTIONS = 8
FILED_MAILS = 20


@dataclass(frozen=True)
class Intake:
    """Figures of one size."""

    mails: int
    per_s: float
    median_ms: float
    slowest_ms: float
    cpu_s_per_1000: dict[str, float]


def measure(demo: Demo, octets: int, mails: int) -> Intake:
    """Send so many mails of that size to one mailbox; done when all of them are there for a mail client."""
    standing = in_inbox(demo)
    before, began = cpu_of(demo), time.monotonic()
    waits = asyncio.run(_send(_target(demo), octets, mails))
    while in_inbox(demo) < standing + mails:
        time.sleep(0.02)
    took = time.monotonic() - began
    after = cpu_of(demo)
    waits.sort()
    cpu = {name: (after[name] - before[name]) * 1000 / mails for name in before}
    return Intake(mails, mails / took, waits[len(waits) // 2] * 1000, waits[-1] * 1000, cpu)


def _target(demo: Demo) -> Target:
    at = demo.told["operator"]["smtp"]
    return Target(at["host"], at["port"], demo.tls(demo.told["peer"]))


async def _send(target: Target, octets: int, mails: int) -> list[float]:
    waits: list[float] = []
    queue = iter([plain(octets) for _ in range(mails)])

    async def one() -> None:
        client = LoadClient(target)
        for data in queue:
            began = time.monotonic()
            answer = await client.send(SENDER, [DOCTOR], data)
            assert answer.is_yes, answer
            waits.append(time.monotonic() - began)
        client.close()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return waits


def plain(octets: int) -> bytes:
    """A text of that size that no other mail has."""
    head = (
        f"From: Laboratoire de garde <{SENDER}>\r\nTo: {DOCTOR}\r\nSubject: Dosage {os.urandom(4).hex()}\r\n"
        f"Date: Mon, 5 Jan 2026 10:00:00 +0100\r\nMessage-ID: <{os.urandom(12).hex()}@{TIERS}>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
    )
    line = f"{os.urandom(30).hex()}\r\n"
    return stuffed((head + line * max(1, (octets - len(head)) // len(line))).encode())


def in_inbox(demo: Demo) -> int:
    client = demo.imap(DOCTOR)
    try:
        _, (answer,) = client.status("INBOX", "(MESSAGES)")
    finally:
        client.logout()
    found = re.search(rb"MESSAGES (\d+)", answer)
    assert found is not None
    return int(found[1])


def filing_s(demo: Demo) -> list[float]:
    """Seconds from the 250 until a document is filed and its message visible, one mail after the other."""
    hers, onlooker = demo.patient(DOMINIQUE)["address"], Onlooker(demo)
    target, waits = _target(demo), []
    for number in range(FILED_MAILS):
        mail = health_mail(hers, report(DOMINIQUE, f"Bilan {number}"))
        mail.replace_header("From", SENDER)
        for name in ("Reply-To", "Disposition-Notification-To"):
            del mail[name]
        data = stuffed(mail.as_bytes(policy=mail.policy.clone(linesep="\r\n")))
        assert as_message(data)
        asyncio.run(_deliver(target, hers, data))
        began = time.monotonic()
        onlooker.wait_until_judged(pause_s=0.005)
        waits.append(time.monotonic() - began)
    return sorted(waits)


async def _deliver(target: Target, recipient: str, data: bytes) -> None:
    client = LoadClient(target)
    answer = await client.send(SENDER, [recipient], data)
    assert answer.is_yes, answer
    client.close()
