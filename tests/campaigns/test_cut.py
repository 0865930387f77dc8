"""The network is cut after the final dot, before our 250 is seen: who sends again puts nothing down twice."""

from __future__ import annotations

import random
import smtplib
import socket
import struct
import time
from dataclasses import dataclass, replace

import pytest

from tests.campaigns.counting import Count, count
from tests.campaigns.mails import SENDER, Mail, compose
from tests.kit.demo import PATIENCE_S, Demo

pytestmark = [pytest.mark.campaign, pytest.mark.slow, pytest.mark.xdist_group("demo"), pytest.mark.timeout(3600)]

CUTS = {"small": 30, "full": 1_000}
CUTS_OF_ONE_MAX = 4
"""A mail whose 250 was not seen so often is read at last."""
DELAY_MS_MAX = 25
"""The cut falls somewhere between the dot and the commit, or behind it."""
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close by RST, as a cable does not, but at once


@dataclass
class Sender:
    """The third operator's server behind a line that breaks."""

    demo: Demo
    chance: random.Random
    cuts: int = 0

    def carry(self, mail: Mail) -> None:
        """Send, be cut off, send the very same octets again, until a 250 is read."""
        for _ in range(self.chance.randrange(1, CUTS_OF_ONE_MAX + 1)):
            self._cut_off(mail)
        client = self._until_the_dot(mail)
        code, words = client.getreply()
        assert code == 250, words
        client.close()

    def _until_the_dot(self, mail: Mail) -> smtplib.SMTP:
        at = self.demo.told["operator"]["smtp"]
        client = smtplib.SMTP(at["host"], at["port"], timeout=PATIENCE_S)
        client.starttls(context=self.demo.tls(self.demo.told["peer"]))
        client.ehlo()
        assert client.mail(SENDER)[0] == 250
        assert all(client.rcpt(one)[0] == 250 for one in mail.recipients)
        assert client.docmd("DATA")[0] == 354
        client.send(mail.data)
        return client

    def _cut_off(self, mail: Mail) -> None:
        client = self._until_the_dot(mail)
        time.sleep(self.chance.random() * DELAY_MS_MAX / 1000)
        assert client.sock is not None
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()
        self.cuts += 1


@pytest.fixture
def sender(demo: Demo) -> Sender:
    seed = random.SystemRandom().getrandbits(32)
    print(f"\nseed {seed}")
    return Sender(demo, random.Random(seed))


def test_who_sends_again_puts_nothing_down_twice(sender: Sender, campaign_size: str) -> None:
    """One copy in each mailbox, each document filed once, however often the 250 was not seen."""
    mails = []
    while sender.cuts < CUTS[campaign_size]:
        mails.append(compose(sender.chance, f"cut.{sender.chance.getrandbits(60):x}"))
        sender.carry(mails[-1])
    counted = _told(sender, mails)
    assert counted.pairs >= len(mails)
    assert not counted.lost
    assert not counted.twice


def test_the_same_campaign_notices_a_second_copy(sender: Sender) -> None:
    """A sender that changes an octet when it repeats sends two mails: who counts must see both."""
    first = compose(sender.chance, f"cut.{sender.chance.getrandbits(60):x}")
    sender.carry(first)
    sender.carry(replace(first, data=first.data.replace(b"Dosage", b"dosage", 1)))
    assert _told(sender, [first]).twice


def _told(sender: Sender, mails: list[Mail]) -> Count:
    counted = count(sender.demo, mails)
    print(
        f"cut off {sender.cuts} times, {len(mails)} mails acknowledged, {counted.pairs} copies and {counted.documents}"
        f" documents looked for: {len(counted.lost)} lost, {len(counted.twice)} twice"
    )
    return counted
