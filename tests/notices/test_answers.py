"""What a sender hears of his documents, and who is never answered."""

from __future__ import annotations

from dataclasses import replace
from email.message import EmailMessage

import pytest

from mss.formats import mdn
from mss.formats.mdn import ErrorCode
from mss.mail.answers import Answer, Fate
from mss.model.ids import MailAddress
from mss.model.verdict import Reason
from mss.notices import compose
from mss.notices.advice import ADVICE
from tests.kit.documents import HUGO, OUR_OID, ZOE, make_cda
from tests.kit.house import LABORATORY, PATIENTS, House, words_of

OTHER = MailAddress.parse("autre@labo.mssante.example")


def part(mail: EmailMessage, media_type: str) -> EmailMessage:
    return next(one for one in mail.walk() if one.get_content_type() == media_type)


def machine_part(mail: EmailMessage) -> mdn.Mdn:
    return mdn.read_mdn(part(mail, "message/disposition-notification").get_payload(0).as_bytes())  # type: ignore[union-attr]


async def test_a_success_is_told_by_the_receipt_that_was_asked_for(house: House) -> None:
    """An MDN to the sender, with a line for each document, in French then English."""
    zoe = await house.enrol(ZOE)
    second = make_cda(ZOE, unique_id=f"{OUR_OID}.1^2", set_id=f"{OUR_OID}.2^2", title="Ionogramme")
    mail = house.health_mail(zoe.address, make_cda(ZOE), second)
    await house.deliver(mail, LABORATORY, zoe.address)
    await house.run_tasks()
    (told,) = await house.sent()
    assert (told["X-Envelope-From"], told["X-Envelope-To"]) == ("", str(LABORATORY))
    assert (told["Auto-Submitted"], told["To"]) == ("auto-replied", str(LABORATORY))
    assert f"ne-pas-repondre@{PATIENTS}" in told["From"]
    assert told["In-Reply-To"].encode() in mail
    said = machine_part(told)
    assert (said.disposition, said.error, said.final_recipient) == ("processed", "", str(zoe.address))
    assert said.original_message_id == told["In-Reply-To"]
    lines = [line.strip() for line in words_of(told).splitlines() if line.startswith("  - ")]
    assert lines == [
        f"- {title} : intégré au dossier du patient / filed in the patient's record"
        for title in ("Compte rendu d'examens biologiques", "Ionogramme")
    ]


async def test_a_success_that_nobody_asked_about_is_silent(house: House) -> None:
    """No receipt wanted, nothing went wrong: no mail."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE), receipt=False)
    assert len(await house.documents(zoe)) == 1
    assert not await house.sent()


async def test_a_hold_is_told_by_the_receipt_with_its_code(house: House) -> None:
    """`processed/Error: 904^…`, the original returned with its attachments."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(HUGO))
    (told,) = await house.sent()
    assert machine_part(told).error_code is ErrorCode.INS_MISMATCH
    assert "processed/Error: 904^" in told.as_string()
    returned = part(told, "message/rfc822").get_payload(0)
    assert [one.get_filename() for one in returned.iter_attachments()] == ["IHE_XDM.zip"]  # type: ignore[union-attr]


@pytest.mark.parametrize("asked_by", ["", f"{OTHER}", f"{LABORATORY}, {OTHER}"], ids=["nobody", "another", "two"])
async def test_a_hold_is_told_by_an_ordinary_mail_where_a_receipt_is_not_safe(house: House, asked_by: str) -> None:
    """RFC 8098 §2.1: never to another than the sender; but the sender always hears of a hold."""
    zoe = await house.enrol(ZOE)
    headers = {"Disposition-Notification-To": asked_by} if asked_by else {}
    await house.send_documents(zoe, make_cda(HUGO), receipt=False, headers=headers)
    (told,) = await house.sent()
    assert told.get_content_type() == "multipart/mixed"
    assert told["Subject"] == "[KO Intégration système !][904] XDM/1.0/DDM+Compte rendu"
    assert (told["X-Envelope-From"], told["X-Envelope-To"]) == ("", str(LABORATORY))
    assert told["Auto-Submitted"] == "auto-replied"


@pytest.mark.parametrize(
    ("headers", "sender", "is_told"),
    [
        ({}, None, False),
        ({"Auto-Submitted": "auto-replied"}, LABORATORY, False),
        ({"Auto-Submitted": "auto-notified"}, LABORATORY, False),
        ({"Auto-Submitted": "auto-generated"}, LABORATORY, True),
        ({"Auto-Submitted": "no"}, LABORATORY, True),
    ],
    ids=["null sender", "an automaton's answer", "an automaton's notice", "a laboratory's robot", "a person"],
)
async def test_who_hears_of_a_hold(
    house: House, headers: dict[str, str], sender: MailAddress | None, is_told: bool
) -> None:
    """No answer to answers, so nobody's automaton argues with ours; a robot that sends results is accountable."""
    zoe = await house.enrol(ZOE)
    await house.deliver(house.health_mail(zoe.address, make_cda(HUGO), headers=headers), sender, zoe.address)
    await house.run_tasks()
    assert len(await house.triage.held_list()) == 1
    assert bool(await house.sent()) == is_told
    assert not await house.due()


async def test_a_local_sender_is_answered_in_his_mailbox(house: House) -> None:
    """Nothing leaves for somebody whom we serve ourselves."""
    zoe = await house.enrol(ZOE)
    doctor = MailAddress.parse("ada@chu.mssante.example")
    owner = await house.professional(str(doctor))
    await house.send_documents(zoe, make_cda(ZOE), sender=doctor)
    assert not await house.sent()
    assert await house.in_folders(owner) == 1


async def test_an_answer_leaves_once_however_often_the_duty_is_done(house: House) -> None:
    """Its Message-ID follows from its cause."""
    zoe = await house.enrol(ZOE)
    await house.deliver(house.health_mail(zoe.address, make_cda(ZOE)), LABORATORY, zoe.address)
    await house.run_tasks("file")
    (task,) = await house.due()
    for _ in range(3):
        await house.notices.answer(task)
    (told,) = await house.sent()
    assert (await house.trace(told["In-Reply-To"])).count("notice.sent") == 1


async def test_the_trace_tells_the_journey(house: House) -> None:
    """Received, filed, answered: under the Message-ID of the laboratory's mail."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(ZOE))
    (told,) = await house.sent()
    assert await house.trace(told["In-Reply-To"]) == ["mail.received", "bridge.filed", "notice.sent"]


async def test_a_subject_of_many_languages_comes_back_readable(house: House) -> None:
    """And cannot break out of its header."""
    zoe = await house.enrol(ZOE)
    subject = "XDM/1.0/DDM+Électro Ünïcode 漢字 " + "long " * 60
    await house.send_documents(zoe, make_cda(HUGO), receipt=False, subject=subject)
    (told,) = await house.sent()
    assert told["Subject"].startswith("[KO Intégration système !][904] XDM/1.0/DDM+Électro Ünïcode 漢字 long")


def test_every_fate_has_its_words() -> None:
    """Nothing is told without saying what became of it."""
    assert set(compose._FATES) == set(Fate)


def test_a_secretary_reads_what_to_do_wherever_the_code_says_another_error() -> None:
    """906 tells her nothing. What compares with what is known here of the patient says no more than its code."""
    others = {reason for reason, code in mdn.CODES.items() if code is ErrorCode.OTHER}
    spoken = {Reason.REFUSED_BY_STAFF, Reason.KEPT_BACK_UNTIL_ANNOUNCED}  # with words of their own
    assert not others - spoken - ADVICE.keys()
    silent = {Reason.PATIENT_UNKNOWN, Reason.TRAITS_MISMATCH, Reason.INS_FORMER, Reason.IDENTITY_NOT_QUALIFIED}
    assert not silent & ADVICE.keys()
    held = Answer(1, Fate.HELD, Reason.ARCHIVE_BROKEN, (("Bilan", Fate.HELD),))
    assert any(line.startswith("Que faire : l'archive jointe ne s'ouvre pas") for line in compose.details(held))
    assert len(compose.details(replace(held, reason=Reason.TRAITS_MISMATCH))) == 1
