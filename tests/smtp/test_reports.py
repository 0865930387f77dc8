"""What a sender asks of delivery reports (RFC 3461), and what he hears while his mail is on its way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mss.formats.dsn import Action
from mss.mail.queue import ATTEMPTS_BEFORE_DELAY_TOLD, DELAY_TOLD_AFTER
from mss.model.clock import ManualClock, SeededChance
from mss.model.ids import MailAddress
from mss.model.message import DsnWish, Notify, RecipientWish, Returned
from mss.model.verdict import Reason
from tests.kit.outgoing import SENDER, Outbox, outbox
from tests.kit.people import cellar
from tests.kit.pki import LAB_DOMAIN, Pki
from tests.kit.smtp_wire import MESSAGE
from tests.kit.strange_peer import StrangePeer, answers_as, strange_peer

BIO = f"bio@{LAB_DOMAIN}"
SECRETARY = f"secretariat@{LAB_DOMAIN}"
THIRD = f"resultats@{LAB_DOMAIN}"
HOURS_S = DELAY_TOLD_AFTER.total_seconds()


@pytest.fixture
async def out(tmp_path: Path, clock: ManualClock, chance: SeededChance, pki: Pki) -> AsyncIterator[Outbox]:
    async with cellar(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance) as below, outbox(below, pki) as opened:
        yield opened


@pytest.fixture
async def peer(pki: Pki, out: Outbox) -> AsyncIterator[StrangePeer]:
    async with strange_peer(answers_as(pki, pki.lab)) as opened:
        out.trust_host(LAB_DOMAIN, opened.port, pki.lab)
        yield opened


def wish(*notify: Notify, to: str = BIO, original: str = "", full: bool = False) -> DsnWish:
    asked = RecipientWish(frozenset(notify), original)
    return DsnWish(Returned.FULL if full else Returned.HEADERS, "QQ+2B1", {MailAddress.parse(to).key: asked})


async def test_wishes_are_passed_on_as_they_came(out: Outbox, peer: StrangePeer) -> None:
    """To a server that knows them, octet for octet; then reports are its affair."""
    peer.keywords += ("DSN",)
    asked = wish(Notify.SUCCESS, Notify.FAILURE, original="rfc822;Bio+2Bx@labo.example")
    await out.put(MESSAGE, BIO, SECRETARY, wish=asked)
    await out.until_empty()
    mail = f"MAIL FROM:<{SENDER}> SIZE={len(MESSAGE)} RET=HDRS ENVID=QQ+2B1"
    first = f"RCPT TO:<{BIO}> NOTIFY=FAILURE,SUCCESS ORCPT=rfc822;Bio+2Bx@labo.example"
    at = peer.heard.index(mail)
    assert peer.heard[at : at + 3] == [mail, first, f"RCPT TO:<{SECRETARY}>"]
    assert out.notes.told == []


async def test_a_server_that_sends_no_reports_makes_us_say_how_far_we_got(out: Outbox, peer: StrangePeer) -> None:
    """One report: passed on, refused, each once; nothing about who asked for nothing; no parameter that it would
    refuse."""
    peer.replies["RCPT"] = ["250 ok", "550 5.1.1 unknown"]
    await out.put(MESSAGE, BIO, SECRETARY, THIRD, wish=wish(Notify.SUCCESS, original="rfc822;B@x.example"))
    await out.until_empty()
    (told,) = out.notes.told
    assert {(one.final_recipient, one.action) for one in told} == {
        (BIO, Action.RELAYED),
        (SECRETARY, Action.FAILED),
    }
    assert [one.original_recipient for one in told if one.action is Action.RELAYED] == ["B@x.example"]
    assert not [line for line in peer.heard if "NOTIFY" in line or "RET=" in line or "ENVID" in line]


async def test_who_wants_to_hear_nothing_hears_nothing(out: Outbox, peer: StrangePeer) -> None:
    """NEVER, and SUCCESS alone; the failure is noted in the house all the same."""
    for notify in (Notify.NEVER, Notify.SUCCESS):
        peer.replies["RCPT"] = ["550 5.1.1 unknown"]
        await out.put(MESSAGE, BIO, wish=wish(notify))
        await out.until_empty()
    assert len(out.notes.failures) == 2
    assert out.notes.told == []


@pytest.mark.parametrize("notify", [(), (Notify.DELAY,), (Notify.FAILURE,), (Notify.NEVER,)])
async def test_a_late_mail_is_told_of_once(out: Outbox, peer: StrangePeer, notify: tuple[Notify, ...]) -> None:
    """After four hours, unless the sender wants otherwise, and never again."""
    peer.replies["RCPT"] = ["450 4.2.1 not now"] * 5
    await out.put(MESSAGE, BIO, wish=wish(*notify), attempts=ATTEMPTS_BEFORE_DELAY_TOLD)
    await out.until_put_off()
    out.later(HOURS_S - 60)
    await out.until_put_off()
    assert out.notes.told == []
    for _ in range(2):
        out.later(3600)
        await out.until_put_off()
    is_told = notify in ((), (Notify.DELAY,))
    assert len(out.notes.told) == is_told
    for (status,) in out.notes.told:
        assert status.action is Action.DELAYED
        assert status.status == "4.2.1"
        assert status.will_retry_until is not None
    assert out.notes.failures == []


async def test_a_clock_that_jumps_ahead_calls_nothing_late(out: Outbox, peer: StrangePeer) -> None:
    """What was tried twice only is not late, whatever the calendar says."""
    peer.replies["RCPT"] = ["450 4.2.1 not now"] * 2
    await out.put(MESSAGE, BIO)
    await out.until_put_off()
    out.later(10 * 365 * 86_400)
    await out.until_put_off(2)
    assert out.notes.told == []


async def test_mail_that_only_waited_behind_others_is_late_as_well(out: Outbox) -> None:
    """Five mails for a host that is away: one attempt for all, and five senders who know."""
    out.trust.listed[LAB_DOMAIN] = set()
    out.routes[LAB_DOMAIN] = ("127.0.0.1", 1)
    for _ in range(5):
        await out.put(MESSAGE, BIO, attempts=ATTEMPTS_BEFORE_DELAY_TOLD)
    rounds_left = 6
    async with asyncio.timeout(30):
        while rounds_left:
            rounds_left -= len(out.notes.told) >= 5  # and a few more, in which nobody is told again
            await asyncio.sleep(0.1)
            out.later(3600)
    assert [one.action for told in out.notes.told for one in told] == [Action.DELAYED] * 5


async def test_text_that_a_server_does_not_take_is_not_rewritten(out: Outbox, peer: StrangePeer) -> None:
    """Who signed it signed these octets: the sender is told what to do instead, and plain text goes."""
    peer.keywords = ("SIZE 36700160",)
    await out.put(MESSAGE + "Santé\r\n".encode(), BIO)
    await out.put(MESSAGE, BIO)
    await out.until_empty()
    assert len(peer.messages) == 1
    assert [(one.status, one.reason) for one in out.notes.failures] == [("5.6.3", Reason.NEEDS_8BIT)]
