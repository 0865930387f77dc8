"""Mail that did not arrive: told to its sender, in words that do not tell who exists."""

from __future__ import annotations

import re

import pytest

from mss.formats.dsn import Action, RecipientStatus, read_dsn
from mss.mail.queue import Outgoing, OutgoingEnvelope
from mss.model.clock import to_ms
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.mailbox import AccountState
from mss.model.verdict import Reason
from mss.store import owners
from mss.store.tasks import Queued
from tests.kit.documents import HUGO, ZOE, an_ins, make_cda
from tests.kit.house import LABORATORY, PATIENTS, House, words_of
from tests.notices.test_answers import part

COLLEAGUE = MailAddress.parse("ines@labo.mssante.example")
REFUSED = RecipientStatus(
    str(COLLEAGUE), Action.FAILED, "5.1.1", diagnostic="550 5.1.1 No such user", reason=Reason.PEER_REFUSED
)


async def test_a_patient_who_cannot_be_reached_is_told_in_one_wording(house: House) -> None:
    """Unknown, suspended, closed: after the addresses are taken out, the notices are the same to the byte."""
    closed, suspended = await house.enrol(ZOE), await house.enrol(HUGO)
    await set_state(house, closed.owner, AccountState.CLOSED)
    await set_state(house, suspended.owner, AccountState.SUSPENDED)
    nobody = MailAddress.parse(f"{an_ins('1580199999018').value}@{PATIENTS}")
    for address in (closed.address, suspended.address, nobody):
        await house.deliver(house.health_mail(address, make_cda(ZOE)), LABORATORY, address)
        house.clock.forward(120)
    await house.run_tasks()
    texts = []
    for told in await house.sent():
        assert told["X-Envelope-To"] == str(LABORATORY)
        assert told["X-Envelope-From"] == ""
        assert told["Auto-Submitted"] == "auto-replied"
        report = read_dsn(part(told, "message/delivery-status").as_bytes().partition(b"\n\n")[2])
        assert report.recipients[0].action is Action.FAILED
        assert "mail.received" in await house.trace(told["In-Reply-To"])
        assert "notice.sent" in await house.trace(told["In-Reply-To"])
        texts.append(without_what_may_differ(told.as_string()))
    assert len(texts) == 3
    assert len(set(texts)) == 1
    assert "ne peut pas être joint" in words_of((await house.sent())[0])


async def set_state(house: House, owner: OwnerId, state: AccountState) -> None:
    await house.store.write(lane_of(owner), lambda c: owners.set_state(c, owner, state))


def without_what_may_differ(mail: str) -> str:
    """Ids, dates and the address that the sender wrote himself."""
    ids = re.sub(r"<[^<>@]+@[^<>]+>|\b[0-9AB]{15}\b|=_[0-9a-f]{32}", "…", mail)
    return re.sub(r"(?m)^(Date|References): .*\n", "", ids)


async def test_nobody_hears_about_mail_that_nobody_sent(house: House) -> None:
    """A report to an unknown patient ends there."""
    nobody = MailAddress.parse(f"{an_ins('1580199999018').value}@{PATIENTS}")
    await house.deliver(house.health_mail(nobody), None, nobody)
    house.clock.forward(120)
    await house.run_tasks()
    assert not await house.sent()


async def owe(house: House, owner: OwnerId, sender: MailAddress | None, message_id: str = "<a@b.example>") -> None:
    """As the courier does when it gives up."""
    now_ms = to_ms(house.clock.now())
    row = Queued(owner, 5, COLLEAGUE.domain, "waiting", b"", b"", 1, b"", now_ms, now_ms, now_ms, 3, "", 0)
    envelope = OutgoingEnvelope(sender, (COLLEAGUE,), message_id)
    header = f"Message-ID: {message_id}\r\nSubject: =?utf-8?q?=C3=A9t=C3=A9?=\r\n\r\n".encode()
    mail = Outgoing(row, envelope, header)
    await house.store.write(lane_of(owner), lambda c: house.reports.report(c, mail, [REFUSED]))


async def test_a_professional_reads_why_his_mail_was_refused(house: House) -> None:
    """In his mailbox, with the other server's words."""
    doctor = MailAddress.parse("ada@chu.mssante.example")
    owner = await house.professional(str(doctor))
    await owe(house, owner, doctor)
    await house.run_tasks()
    assert await house.in_folders(owner) == 1
    assert "notice.sent" in await house.trace("<a@b.example>")


async def test_a_failed_notice_is_never_answered(house: House) -> None:
    """The null sender: the end of the line."""
    owner = await house.professional("ada@chu.mssante.example")
    await owe(house, owner, None)
    assert not await house.due()


async def test_a_patient_finds_the_failure_in_her_conversation(house: House) -> None:
    """Her answer could not be delivered: she reads so where she wrote it."""
    zoe = await house.enrol(ZOE)
    await house.deliver(house.health_mail(zoe.address), LABORATORY, zoe.address)
    await house.run_tasks()
    keys = await house.cellar.keys(zoe.owner)
    (conversation,) = await house.conversation_list(zoe)
    await house.replies.reply(keys, ("Zoé", zoe.address), conversation.number, "Merci", ())
    (sent,) = await house.sent()
    house.clock.forward(60)
    await owe(house, zoe.owner, zoe.address, sent["Message-ID"])
    await house.run_tasks()
    (after,) = await house.conversation_list(zoe)
    assert (after.number, after.n_msg) == (conversation.number, 3)
    detail = await house.inbox.conversation(keys, after.number)
    assert "No such user" in (detail.messages[-1].body_text or "")
    assert detail.may_answer
    assert not await house.documents(zoe)


@pytest.mark.parametrize("times", [1, 3])
async def test_a_failure_is_told_once(house: House, times: int) -> None:
    """However often the duty is done."""
    owner = await house.professional("ada@chu.mssante.example")
    await owe(house, owner, COLLEAGUE)
    (task,) = await house.due()
    for _ in range(times):
        await house.notices.report(task)
    assert len(await house.sent()) == 1
