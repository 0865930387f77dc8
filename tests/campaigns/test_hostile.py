"""Hundreds of archives, documents and mails made to harm: each answered or held, cheaply, nobody's record is wrong.

One process reads them as ours do and counts CPU, memory and what it touched; a whole house is sent a share of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass

import pytest

from mss.formats import mime
from mss.model.errors import Malformed
from tests.kit.attacks import ARCHIVE, CDA, IMAGE, MAIL, attacks
from tests.kit.documents import HUGO, OUR_OID, ZOE, make_cda
from tests.kit.house import LABORATORY, House
from tests.kit.rooms import house, sandbox
from tests.kit.samples import CHECKOUT

__all__ = ["house", "sandbox"]
pytestmark = [pytest.mark.campaign, pytest.mark.timeout(1800)]

SEED = 20260105
DOCUMENTS_FLOOR, MAILS_FLOOR, IMAGES_FLOOR = 150, 200, 60
CPU_S_MAX = 5.0
MEMORY_MIB_MAX = 300
SHARE = {"small": 16, "full": 1}
"""Of the attacks that a whole house is sent: every so many-th."""


@dataclass(frozen=True)
class Campaign:
    """What the reader told."""

    outcomes: Counter[tuple[str, str]]
    foreign: list[str]
    slowest_s: float
    memory_mib: int
    seen: list[str]

    @property
    def is_clean(self) -> bool:
        is_cheap = self.slowest_s < CPU_S_MAX and self.memory_mib < MEMORY_MIB_MAX
        return is_cheap and not self.foreign and not self.seen


def run(*more: str) -> Campaign:
    command = [sys.executable, "-m", "tests.kit.hostile_reader", str(SEED), *(more or ("1",))]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    *lines, last = map(json.loads, done.stdout.splitlines())
    foreign = [name for _, name, told, _ in lines if told.startswith("!")]
    outcomes = Counter((kind, told) for kind, _, told, _ in lines)
    return Campaign(outcomes, foreign, max(line[3] for line in lines), last["memory_mib"], last["seen"])


def test_every_attack_is_answered_cheaply_and_touches_nothing() -> None:
    """Under 5 s of CPU each, under 300 MiB together, no file written, no connection, no error but our own."""
    campaign = run()
    number = Counter(kind for kind, _ in campaign.outcomes.elements())
    print(f"seed {SEED}: {dict(number)}, slowest {campaign.slowest_s} s, {campaign.memory_mib} MiB")
    print("  " + ", ".join(f"{kind} {told} {n}" for (kind, told), n in sorted(campaign.outcomes.items())))
    assert campaign.is_clean, campaign
    assert number[ARCHIVE] + number[CDA] >= DOCUMENTS_FLOOR
    assert number[MAIL] >= MAILS_FLOOR
    assert number[IMAGE] >= IMAGES_FLOOR
    assert all(campaign.outcomes[kind, "read"] for kind in number), "some attacks must come through to the judge"


def test_a_reader_that_unpacks_first_is_noticed() -> None:
    """Control: the planted bug writes the archive's files into a folder, and lets foreign errors out."""
    planted = run("5", "planted")
    assert not planted.is_clean
    assert "open" in planted.seen
    assert planted.foreign


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_no_attack_is_filed_and_honest_mail_passes_between_them(house: House, campaign_size: str) -> None:
    """Sent to Zoé, about Hugo: refused at the door, held, or a mail without documents; her record has her own alone."""
    zoe, hugo = await house.enrol(ZOE), await house.enrol(HUGO)
    sent: Counter[str] = Counter()
    honest = 0
    for number, attack in enumerate(attacks(SEED)[:: SHARE[campaign_size]]):
        data = attack.build()
        if attack.kind == MAIL:
            try:
                mime.scan(data)
            except Malformed:
                sent["refused"] += 1
                continue
            unlike = b"X-Attack: %d\r\n" % number  # two knobs may meet in one mail, which is then kept once
            await house.deliver(unlike + data, LABORATORY, zoe.address)
            await house.run_tasks()
        elif attack.kind == ARCHIVE:
            await house.send_documents(zoe, archive=data)
        else:
            name = "image.dcm" if attack.kind == IMAGE else "cr.xml"
            await house.send_documents(zoe, pdfs=((name, data),))
        sent["sent"] += 1
        if number % 10 == 0:
            honest += 1
            own = make_cda(ZOE, unique_id=f"{OUR_OID}.8^{honest}", set_id=f"{OUR_OID}.9^{honest}")
            await house.send_documents(zoe, own)
    filed = [view.entry.unique_id for view in await house.documents(zoe)]
    held, shown = len(await house.triage.held_list()), await house.unread(zoe) - honest
    print(f"seed {SEED}: {dict(sent)}, {held} held, {shown} shown without documents, {honest} honest filed")
    assert sorted(filed) == sorted(f"{OUR_OID}.8^{number}" for number in range(1, honest + 1))
    assert not await house.documents(hugo)
    assert held + shown == sent["sent"]
    assert honest
