"""What a sender of ours is told before anything leaves: two patients in one message, a message too large for whoever
should get it; and which X-MSS headers leave."""

from __future__ import annotations

from email import message_from_bytes

import pytest

from mss.mail import healthmail, policy
from mss.mail.dispatch import Dispatch
from mss.mail.policy import PATIENT_ATTACHMENTS_OCTETS_MAX, SizeFacts
from mss.mail.submit import HouseMail
from mss.model.clock import to_ms
from mss.model.ids import MailAddress, OwnerId
from mss.model.verdict import Accept, Reason, Refuse, Verdict
from mss.smtp.replies import reply_to
from mss.store import peerrooms
from tests.kit.mailroom import HOUSE, LAB, MailRoom, address, mail

DOCTOR = address("dr.house")
TOGETHER = Refuse(Reason.PATIENTS_NAMED_TOGETHER)
ELSEWHERE = "patient.ailleurs.example"
"""Another operator's patients."""


def letter(*more: str, body: str = "Bonjour.\r\n") -> bytes:
    raw = mail(*more, "Date: Mon, 05 Jan 2026 10:00:00 +0100", sender=DOCTOR, body=body)
    return raw.replace(b"To: destinataire@ailleurs.example\r\n", b"")


async def test_no_patient_finds_another_ones_number_in_her_copy(room: MailRoom) -> None:
    """To and Cc are read by everybody: refused with what to do; one named and herself, or all in Bcc, pass."""
    doctor, claire, paul = await room.professional("dr.house"), await room.patient(), await room.patient("Paul DURAND")
    a, b = MailAddress.parse(claire.address), MailAddress.parse(paul.address)
    cases: tuple[tuple[tuple[str, ...], tuple[MailAddress, ...], Verdict], ...] = (
        ((f"To: {a}, {b}",), (a, b), TOGETHER),
        ((f"To: {a}", f"Cc: {b}"), (a, b), TOGETHER),
        ((f"To: {a}",), (a, b), TOGETHER),
        ((f"To: {a}, {b}",), (a,), TOGETHER),  # the rest of a list that was cut in two
        ((f'To: "{b}" <{a}>',), (a,), TOGETHER),
        ((f"To: {a} ({b})",), (a,), TOGETHER),
        ((f"To: =?utf-8?q?{str(b).replace('@', '=40')}?= <{a}>",), (a,), TOGETHER),
        ((f"Resent-To: {b}", f"To: {a}"), (a,), TOGETHER),
        ((f"To: {a}",), (a,), Accept()),
        ((f"To: {str(a).upper()}, {LAB}",), (a, LAB), Accept()),
        ((f"To: {LAB}",), (a, b, LAB), Accept()),
        ((f"To: {a}, {b}",), (LAB,), Accept()),  # colleagues may speak of two
        ((), (a, b), Accept()),
    )
    for n, (fields, to, verdict) in enumerate(cases):
        raw = letter(*fields, f"Message-ID: <{n}@chu.mssante.example>")
        assert (await room.submit(doctor, raw, *to, sender=DOCTOR)).verdict == verdict, (fields, to)
    for owner, other in ((claire.owner, b), (paul.owner, a)):
        bodies = await room.bodies(owner)
        assert bodies
        assert not any(other.local.encode() in body for body in bodies)
    told = reply_to(TOGETHER)
    assert (told.code, told.enhanced) == (554, "5.7.1")
    assert "Bcc" in told.text


async def test_patients_of_another_operator_get_separate_copies(room: MailRoom) -> None:
    """No server learns from one transaction that two people are patients of one doctor; others share one."""
    room.submission._is_trusted = lambda domain: True
    doctor = await room.professional("dr.house")
    first, second = (MailAddress.parse(f"{ins}@{ELSEWHERE}") for ins in ("279035121518989", "279035121518890"))
    others = [address(f"x{n}@labo.mssante.example") for n in range(2)]
    for _ in range(2):  # a client that missed our answer
        await room.submit(doctor, letter(f"To: {others[0]}"), first, second, *others, sender=DOCTOR)
    queued = {(row.next_hop, row.recipients) for row in await room.queued()}
    assert queued == {(LAB.domain, tuple(others)), (ELSEWHERE, (first,)), (ELSEWHERE, (second,))}
    assert len(await room.queued()) == 3


async def test_what_an_operator_does_not_take_is_refused_in_words(room: MailRoom) -> None:
    """As its servers said lately: which domain, how much. What is small, or unknown, or long ago, passes."""
    doctor = await room.professional("dr.house")
    large = letter(body=("x" * 70 + "\r\n") * 30_000)
    now_ms = to_ms(room.clock.now())
    assert (await room.submit(doctor, large, LAB, sender=DOCTOR)).verdict == Accept()
    await room.store.write(0, lambda c: peerrooms.learn(c, LAB.domain, 2_000_000, now_ms))
    verdict = (await room.submit(doctor, letter("X-Again: 1") + large, LAB, sender=DOCTOR)).verdict
    assert verdict == Refuse(Reason.TOO_LARGE_FOR_RECIPIENT, f"{LAB.domain} 2000000")
    told = reply_to(verdict)
    assert str(told).startswith("552 5.3.4 Message too large for labo.mssante.example, which takes 2.0 MB")
    assert (await room.submit(doctor, letter(), LAB, sender=DOCTOR)).verdict == Accept()
    await room.store.write(0, lambda c: peerrooms.learn(c, LAB.domain, 9_000_000, now_ms + 1))
    assert (await room.submit(doctor, letter("X-Again: 2") + large, LAB, sender=DOCTOR)).verdict == Accept()
    await room.store.write(0, lambda c: peerrooms.learn(c, LAB.domain, 2_000_000, now_ms + 2))
    room.clock.forward(15 * 24 * 3600)
    assert (await room.submit(doctor, letter("X-Again: 3") + large, LAB, sender=DOCTOR)).verdict == Accept()


def test_a_patients_mailbox_takes_25_megabytes_of_attachments() -> None:
    """Of ours; other recipients' operators said what they take."""
    most = PATIENT_ATTACHMENTS_OCTETS_MAX
    assert policy.judge_size(SizeFacts(most * 2, {}, most, "patient.example")) == Accept()
    too_much = policy.judge_size(SizeFacts(most * 2, {}, most + 1, "patient.example"))
    assert too_much == Refuse(Reason.TOO_LARGE_FOR_RECIPIENT, f"patient.example {most}")
    assert policy.judge_size(SizeFacts(most * 2, {}, most + 1)) == Accept()
    assert policy.judge_size(SizeFacts(10, {"a.example": 0, "b.example": 10}, 0)) == Accept()


@pytest.mark.parametrize("detail", ["", "labo.example", "labo.example viel", "a\r\nb 7"])
def test_a_strange_detail_is_not_told(detail: str) -> None:
    """Only a domain and a number."""
    told = reply_to(Refuse(Reason.TOO_LARGE_FOR_RECIPIENT, detail))
    assert told.text == "Message too large for a recipient's operator"


async def test_x_mss_headers_of_others_pass_and_none_is_invented(room: MailRoom) -> None:
    """Byte for byte, whatever they say; a message without them stays without."""
    doctor = await room.professional("dr.house")
    theirs = ("X-MSS-NIL: DEV000001", "X-MSS-INS: O", "X-MSS-CODECDA: 34112-3", "X-MSS-Autre: é")
    await room.submit(doctor, letter(*theirs), LAB, sender=DOCTOR)
    await room.submit(doctor, letter("Message-ID: <2@x.example>"), LAB, sender=DOCTOR)
    with_them, without = (row.raw for row in await room.queued())
    for field in theirs:
        assert f"\r\n{field}\r\n".encode() in with_them
    assert b"x-mss" not in without.lower()


async def test_what_the_house_writes_names_our_software(room: MailRoom) -> None:
    """Once it has a reference; and so does what `mss send` composes."""
    from dataclasses import replace

    assert isinstance(room.dispatch, Dispatch)
    named = replace(HOUSE, software="MSS000042")
    notice = mail("Auto-Submitted: auto-replied", sender="ne-pas-repondre@patient.mssante.example")
    for house, expected in ((named, ["MSS000042"]), (HOUSE, None)):
        own = notice.replace(b"<un@", b"<" + str(bool(expected)).encode() + b"@")
        await HouseMail(house, room.dispatch).send(OwnerId(7), None, (LAB,), own)
        assert message_from_bytes((await room.queued())[-1].raw).get_all("X-MSS-NIL") == expected
    assert healthmail.Sending.__dataclass_fields__["reference"].default == ""
