"""Receipts of delivery, for who asked: true of a mailbox, and the same of every patient's address."""

from __future__ import annotations

from email.message import EmailMessage

import pytest

from mss.formats.dsn import Action, Dsn, read_dsn
from mss.mail.queue import Outgoing, OutgoingEnvelope
from mss.model.clock import to_ms
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.message import DsnWish, Notify, RecipientWish, Returned
from mss.store.tasks import Queued
from tests.kit.documents import ZOE, an_ins, make_cda
from tests.kit.house import LABORATORY, PATIENTS, House, words_of
from tests.notices.test_answers import part
from tests.notices.test_undelivered import COLLEAGUE, REFUSED, without_what_may_differ

DOCTOR = MailAddress.parse("ada@chu.mssante.example")
NOBODY = MailAddress.parse(f"{an_ins('1580199999018').value}@{PATIENTS}")


def asked(*notify: Notify, to: MailAddress, original: str = "rfc822;Dr.Ada+2Bx@chu.mssante.example") -> DsnWish:
    return DsnWish(None, "QQ+2B1", {to.key: RecipientWish(frozenset(notify), original)})


def read(mail: EmailMessage) -> Dsn:
    return read_dsn(part(mail, "message/delivery-status").as_bytes().partition(b"\n\n")[2])


async def test_a_receipt_says_delivered(house: House) -> None:
    """At once, to who asked, naming his message and the address that he wrote; once, however often he sent it."""
    await house.professional(str(DOCTOR))
    raw = house.health_mail(DOCTOR)
    for _ in range(2):
        await house.deliver(raw, LABORATORY, DOCTOR, wish=asked(Notify.SUCCESS, to=DOCTOR))
        await house.run_tasks()
    (told,) = await house.sent()
    assert (told["X-Envelope-From"], told["X-Envelope-To"]) == ("", str(LABORATORY))
    report = read(told)
    (status,) = report.recipients
    assert (status.action, status.status, status.final_recipient) == (Action.DELIVERED, "2.0.0", str(DOCTOR))
    assert status.original_recipient == "Dr.Ada+x@chu.mssante.example"
    assert report.envelope_id == "QQ+1"
    assert "a bien été distribué" in words_of(told)


@pytest.mark.parametrize("notify", [(), (Notify.FAILURE,), (Notify.NEVER,)])
async def test_who_did_not_ask_gets_no_receipt(house: House, notify: tuple[Notify, ...]) -> None:
    """And nobody does whose sender is empty."""
    await house.professional(str(DOCTOR))
    await house.deliver(house.health_mail(DOCTOR), LABORATORY, DOCTOR, wish=asked(*notify, to=DOCTOR))
    await house.deliver(house.health_mail(DOCTOR), None, DOCTOR, wish=asked(Notify.SUCCESS, to=DOCTOR))
    house.clock.forward(3600)
    await house.run_tasks()
    assert await house.sent() == []


async def test_of_a_patients_address_success_is_told_as_passed_on(house: House) -> None:
    """To the byte the same for who exists and who does not, at a random moment; whether she can be reached is another
    matter."""
    zoe = await house.enrol(ZOE)
    for address in (zoe.address, NOBODY):
        mail = house.health_mail(address, make_cda(ZOE), receipt=False)
        await house.deliver(mail, LABORATORY, address, wish=asked(Notify.SUCCESS, to=address))
    assert not [task for task in await house.due() if task.kind == "passed-on"]
    house.clock.forward(61)
    await house.run_tasks()
    receipts = [mail for mail in await house.sent() if read(mail).recipients[0].action is Action.RELAYED]
    assert len(receipts) == len(await house.sent()) == 2
    assert len({without_what_may_differ(mail.as_string()) for mail in receipts}) == 1


async def test_who_wants_no_reports_is_not_told_of_an_absent_patient(house: House) -> None:
    """NEVER is NEVER; and what was kept for nobody goes all the same."""
    mail = house.health_mail(NOBODY, make_cda(ZOE))
    await house.deliver(mail, LABORATORY, NOBODY, wish=asked(Notify.NEVER, to=NOBODY))
    house.clock.forward(3600)
    assert await house.run_tasks() == 1
    assert await house.sent() == []


async def test_a_message_comes_back_whole_for_who_wants_it(house: House) -> None:
    """RET=FULL: byte for byte; else its header."""
    owner = await house.professional(str(DOCTOR))
    raw = house.health_mail(COLLEAGUE, make_cda(ZOE), sender=DOCTOR)
    for returned in (Returned.FULL, Returned.HEADERS):
        await fail(house, owner, raw, DsnWish(returned))
        await house.run_tasks()
    full, headers = await house.sent()
    assert b"IHE_XDM.ZIP" in part(full, "message/rfc822").as_bytes().upper()
    assert part(headers, "text/rfc822-headers")["Content-Type"]
    assert len(full.as_bytes()) > len(raw) > len(headers.as_bytes())


async def fail(house: House, owner: OwnerId, raw: bytes, wish: DsnWish) -> None:
    """As the courier does; the sender is somebody of another operator, so that his notice can be looked at."""
    now_ms = to_ms(house.clock.now())
    row = Queued(owner, 5, COLLEAGUE.domain, "waiting", b"", b"", 1, b"", now_ms, now_ms, now_ms, 3, "", 0)
    mail = Outgoing(row, OutgoingEnvelope(LABORATORY, (COLLEAGUE,), "<a@b.example>", wish), raw)
    await house.store.write(lane_of(owner), lambda c: house.reports.report(c, mail, [REFUSED]))
    house.clock.forward(1)
