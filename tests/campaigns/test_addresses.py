"""A million strings as recipients: what was judged is what is delivered to, and a second grammar agrees about each.

The strings are addresses broken in every way that mail servers have fallen for. They go over a real connection to the
door; the house behind writes down about whom it was asked and for whom it was handed the message.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from mss.mail.reception import Peer
from mss.model.ids import MailAddress
from mss.model.message import Envelope
from mss.model.verdict import Accept, Verdict
from mss.smtp.commands import RcptCommand
from mss.smtp.limits import Limits
from mss.smtp.meters import Caps
from mss.smtp.transaction import Transaction
from tests.kit.addresses import generated, second_opinion
from tests.kit.pki import HOSPITAL_DOMAIN, Pki, pki
from tests.kit.reception import FakeReception
from tests.kit.smtp_wire import LAB_SENDER, MESSAGE, smtp_house

__all__ = ["pki"]

pytestmark = [pytest.mark.campaign, pytest.mark.slow, pytest.mark.timeout(3 * 3600)]

STRINGS = {"small": 20_000, "full": 1_000_000}
GROUP = 100  # recipients of one message
FLOOR = 0.1
"""A tenth must pass and a tenth must be refused: a generator of pure rubbish proves nothing."""
NO_ADDRESS = {501, 555, 500}
"""What a trap may be called: an address that is none, one with a parameter that is none, a line with NUL."""
ENDLESS = Limits(errors_max=1 << 30, refusals_max=1 << 30, idle_commands_max=1 << 30, bad_lines_max=1 << 30)


class Notary(FakeReception):
    """Writes down about whom it was asked, and to whom it was told to deliver."""

    judged: list[MailAddress]
    handed: list[MailAddress]

    async def recipient(self, peer: Peer, sender: MailAddress | None, recipient: MailAddress) -> Verdict:
        self.judged.append(recipient)
        return Accept() if recipient.domain == HOSPITAL_DOMAIN else await super().recipient(peer, sender, recipient)

    async def _note(self, envelope: Envelope) -> None:
        self.handed.extend(envelope.recipients)


@dataclass
class Score:
    """What came of the strings."""

    seed: int
    passed: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)


async def campaign(pki: Pki, seed: int, strings: int) -> Score:
    """Offer so many strings in groups, each group a message; stops at the first group in which something is wrong."""
    chance, score = random.Random(seed), Score(seed)
    async with smtp_house(pki, ENDLESS, caps=Caps(1 << 40, 1 << 40, 1 << 40, 1 << 40)) as house:
        notary = house.relay.handler._reception = Notary()  # type: ignore[attr-defined]
        notary.before_keeping = notary._note
        client = await house.peer()
        for _ in range(strings // GROUP):
            notary.judged, notary.handed = [], []
            notary.kept.clear()
            offered = [generated(chance) for _ in range(GROUP)]
            commands = b"".join(b"RCPT TO:<%s>\r\n" % one.encode() for one in offered)
            await client.say(f"MAIL FROM:<{LAB_SENDER}>\r\n".encode() + commands)
            assert (await client.hear()).code == 250
            codes = [(await client.hear()).code for _ in offered]
            if 250 in codes:
                assert (await client.ask("DATA")).code == 354
                await client.say(MESSAGE + b".\r\n")
                assert (await client.hear()).code == 250
            else:
                assert (await client.ask("RSET")).code == 250
            _compare(score, offered, codes, notary)
            if score.wrong:
                break
        await client.close()
    print(f"\naddresses: seed {seed}, passed {score.passed}, refused {score.refused}, wrong {len(score.wrong)}")
    return score


def _compare(score: Score, offered: list[str], codes: list[int], notary: Notary) -> None:
    """Reply, judgement and delivery of a group against the second grammar."""
    wanted: list[tuple[str, str]] = []
    keys: set[str] = set()
    expected_handed: list[str] = []
    for text, code in zip(offered, codes, strict=True):
        opinion = second_opinion(text)
        expected = NO_ADDRESS if opinion is None else {250} if opinion[1] == HOSPITAL_DOMAIN else {550}
        if code not in expected:
            score.wrong.append(f"{text!r}: {code} instead of {expected}")
        if opinion is not None:
            wanted.append(opinion)
        if opinion is not None and expected == {250}:
            plain = "@".join(opinion)
            if plain.lower() not in keys:
                expected_handed.append(plain)
            keys.add(plain.lower())
    score.passed += codes.count(250)
    score.refused += len(codes) - codes.count(250)
    if [(one.local, one.domain) for one in notary.judged] != wanted:
        score.wrong.append("another address was judged than was said")
    if [str(one) for one in notary.handed] != expected_handed:
        score.wrong.append("another address was delivered to than was judged")


async def test_every_address_is_read_in_one_way(pki: Pki, campaign_size: str) -> None:
    """Said, judged, delivered to: octet for octet the same, or refused; and never two opinions about which."""
    strings = STRINGS[campaign_size]
    began = time.monotonic()
    score = await campaign(pki, random.SystemRandom().getrandbits(32), strings)
    print(f"  {strings} strings in {time.monotonic() - began:.0f} s")
    assert not score.wrong, score
    assert score.passed >= FLOOR * strings, "too few to prove anything"
    assert score.refused >= FLOOR * strings, "too few to prove anything"


def _obliging(text: str) -> MailAddress:
    """What mail libraries do: comments and routes are dropped, quotes undone."""
    text = text.replace("(x)", "").replace('"', "")
    local, _, domain = text.rpartition(":")[2].rpartition("@")
    return MailAddress(local, domain)


def _without_tag(transaction: Transaction, command: RcptCommand) -> None:
    """Delivery that knows better than the judge."""
    recipient = MailAddress(command.recipient.local.partition("+")[0] or "x", command.recipient.domain)
    _ADD(transaction, RcptCommand(recipient, command.wish))


_ADD = Transaction.add
PLANTED: list[tuple[type, str, object]] = [(MailAddress, "parse", _obliging), (Transaction, "add", _without_tag)]


@pytest.mark.parametrize(("where", "name", "bug"), PLANTED, ids=["obliging parser", "delivery knows better"])
async def test_the_same_campaign_notices(
    pki: Pki, monkeypatch: pytest.MonkeyPatch, where: type, name: str, bug: Callable[..., object]
) -> None:
    """A campaign that cannot fail proves nothing."""
    monkeypatch.setattr(where, name, bug)
    assert (await campaign(pki, random.SystemRandom().getrandbits(32), STRINGS["small"])).wrong
