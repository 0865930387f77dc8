"""The operator's test mailbox: who is answered, how often, and that nothing else changes by it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mss.mail.intake import Intake
from mss.mail.policy import judge_recipient
from mss.mail.recipients import Recipients
from mss.mail.submit import Submission
from mss.mail.testmailbox import ANSWERS_PER_HOUR_MAX, TASK_TESTED, WINDOW_S, TestMailbox, seen_of
from mss.model.ids import MailAddress
from mss.model.verdict import Accept, Reason, Refuse
from mss.notices.tested import TrialAnswers, words
from tests.kit.mailroom import HOUSE, LAB, MailRoom, mail
from tests.kit.pki import HOSPITAL_DOMAIN

TEST = MailAddress.parse(f"reponse.automatique-test@{HOSPITAL_DOMAIN}")


@pytest.fixture
def tested(room: MailRoom) -> MailRoom:
    """The house with a test mailbox."""
    house, lookup = replace(HOUSE, test_mailbox=TEST), room.cellar.public.lookup
    mailbox = TestMailbox(TEST, room.store, room.cellar.public, room.bus, room.clock, room.chance)
    recipients = Recipients(room.store, lookup, house)
    room.intake = Intake(house, room.gate, recipients, room.delivery, room.chance, test_mailbox=mailbox)
    more = (room.gate.is_trusted, room.clock, room.chance)
    room.submission = Submission(house, recipients, room.dispatch, lookup, *more, test_mailbox=mailbox)
    room.recipients = recipients
    return room


async def answers(room: MailRoom) -> int:
    return len(await room.tasks(TASK_TESTED))


async def test_a_peer_is_told_what_the_door_saw(tested: MailRoom) -> None:
    """Certificate, serial, TLS, domain, size, headers; in both languages, as an automatic answer that ends there."""
    tested.peer = replace(tested.peer, tls="TLSv1.3 TLS_AES_256_GCM_SHA384", helo="relais.labo.mssante.example")
    facts = await tested.recipients.facts(TEST, may_relay=False, is_trusted=False)
    assert judge_recipient(facts) == Accept()
    assert (await tested.receive(mail("X-MSS-NIL: DEV123456"), str(TEST))).verdict == Accept()
    (task,) = await tested.tasks(TASK_TESTED)
    private = tested.cellar.private
    told = words(seen_of(task, private.tasks))
    for said in (tested.peer.name, tested.peer.serial, "TLSv1.3", LAB.domain, "X-MSS-NIL", "octets", "relais.labo"):
        assert told.count(said) >= 2, said
    room = TrialAnswers(TEST, private, tested.cellar.public.lookup, tested.house_mail, tested.clock)
    for _ in range(2):
        await room.answer(task)
    (answer,) = await tested.queued()
    assert (answer.sender, answer.recipients) == (None, (LAB,))
    for line in (b"Auto-Submitted: auto-replied", b"In-Reply-To: <un@labo.mssante.example>", b"From: "):
        assert line in answer.raw
    assert await tested.trace("<un@labo.mssante.example>") == ["test.received"]


@pytest.mark.parametrize(
    "fields", ["Auto-Submitted: auto-replied", "Precedence: bulk", "List-Id: <x.example>"], ids=["auto", "bulk", "list"]
)
async def test_machines_are_taken_and_not_answered(tested: MailRoom, fields: str) -> None:
    """An answer to an answer is a loop."""
    assert (await tested.receive(mail(fields), str(TEST))).verdict == Accept()
    assert await answers(tested) == 0


async def test_the_null_sender_is_not_answered(tested: MailRoom) -> None:
    """A report about our own answer."""
    receipt = await tested.receive(mail("Auto-Submitted: auto-replied"), str(TEST), sender=None)
    assert receipt.verdict == Accept()
    assert await answers(tested) == 0


async def test_the_same_mail_again_is_answered_once_and_many_not_for_ever(tested: MailRoom) -> None:
    """A retry is one test; a loop ends, and begins again only after an hour."""
    for _ in range(3):
        await tested.receive(mail(), str(TEST))
    assert await answers(tested) == 1
    for number in range(ANSWERS_PER_HOUR_MAX + 5):
        assert (await tested.receive(mail(f"X-Number: {number}"), str(TEST))).verdict == Accept()
    assert await answers(tested) <= ANSWERS_PER_HOUR_MAX
    before = await answers(tested)
    tested.clock.forward(WINDOW_S + 1)
    await tested.receive(mail("X-Number: later"), str(TEST))
    assert await answers(tested) == before + 1


async def test_other_recipients_get_their_copy(tested: MailRoom) -> None:
    """And nobody else's mailbox changes; what would be refused still is."""
    house = await tested.professional("dr.house")
    await tested.receive(mail(), "dr.house", str(TEST))
    assert len(await tested.stored(house)) == 1
    assert await answers(tested) == 1
    forged = mail().replace(b"From: ", b"From: x@elsewhere.example\r\nX-Old: ", 1)
    assert (await tested.receive(forged, str(TEST))).verdict == Refuse(
        Reason.HEADER_FROM_NOT_OF_CERTIFICATE, "elsewhere.example"
    )


async def test_our_own_people_are_answered_too(tested: MailRoom) -> None:
    """Without a certificate: they signed in."""
    house = await tested.professional("dr.house")
    sender = MailAddress.parse(f"dr.house@{HOSPITAL_DOMAIN}")
    raw = mail().replace(f"From: {LAB}".encode(), f"From: {sender}".encode())
    receipt = await tested.submit(house, raw, str(TEST), sender=sender)
    assert receipt.verdict == Accept()
    (task,) = await tested.tasks(TASK_TESTED)
    seen = seen_of(task, tested.cellar.private.tasks)
    assert (seen.certificate, seen.sender) == ("", str(sender))


async def test_a_house_without_one_has_no_such_address(room: MailRoom) -> None:
    """Unknown like any other."""
    facts = await room.recipients.facts(TEST, may_relay=False, is_trusted=False)
    assert judge_recipient(facts) == Refuse(Reason.MAILBOX_UNKNOWN)


async def test_an_answer_to_our_own_test_mail_is_written_down_and_ends_there(tested: MailRoom) -> None:
    """Under the Message-ID of our mail, also when it does not say that a machine wrote it. Answers that name any other
    mail write nothing into its journey."""
    own, other = f"<probe.1@{HOSPITAL_DOMAIN}>", f"<lettre@{HOSPITAL_DOMAIN}>"
    await tested.receive(mail(f"In-Reply-To: {own}"), str(TEST))
    assert await answers(tested) == 0
    assert await tested.trace(own) == ["test.answer"]
    await tested.receive(mail(f"In-Reply-To: {other}"), str(TEST))
    assert await tested.trace(other) == []
