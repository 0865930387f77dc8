"""Somebody tries out which patients exist: staff hear of it, once an hour, and nothing is refused."""

from __future__ import annotations

from email.parser import BytesParser
from email.policy import default

import pytest

from mss.formats.dn import DistinguishedName
from mss.mail.bell import TASK_ALARM, Bell
from mss.mail.vigil import ADDRESSES_MAX, WATCHED_MAX, Alarm, Sign, Vigil
from mss.model.ids import MailAddress, ins_key
from mss.model.verdict import Accept
from mss.notices.alarms import PatientAlarms
from mss.notices.compose import House
from tests.kit.mailroom import LAB, PATIENTS, POSTMASTER, MailRoom, address, mail


def somebody(number: int, order: int = 1) -> str:
    """An address of nobody; other numbers differ in more than the order."""
    stem = f"27903{number // 1000 % 90 + 10:02d}{number % 1000:03d}{order:03d}"
    return f"{stem}{ins_key(stem):02d}@{PATIENTS}"


async def write_to(room: MailRoom, *to: str, sender: MailAddress = LAB) -> None:
    for one in to:
        fresh = f"Message-ID: <{room.chance.token(8).hex()}@labo.mssante.example>"
        assert (await room.receive(mail(fresh), one, sender=sender)).verdict == Accept()


async def test_a_share_of_nobodys_rings_for_sender_and_peer(room: MailRoom) -> None:
    """Thirty are forgiven, the thirty-first rings; counts only, once an hour; every mail was taken."""
    await write_to(room, *(somebody(n) for n in range(30)))
    await write_to(room, *(somebody(n) for n in range(30)))  # the same again are no others
    assert not room.rung
    await write_to(room, *(somebody(n) for n in range(30, 45)))
    assert [(a.sign, a.asked, a.unreachable) for a in room.rung] == [(Sign.SHARE, 31, 31)] * 2
    assert {alarm.who for alarm in room.rung} == {str(LAB), room.peer.name}
    room.clock.forward(3601)
    await write_to(room, *(somebody(n) for n in range(100, 131)))
    assert len(room.rung) == 4


async def test_an_honest_sender_never_rings(room: MailRoom) -> None:
    """Many patients, a tenth of them gone: that is life."""
    here = [await room.patient() for _ in range(9)]
    looked: list[Alarm] = []
    vigil = Vigil(room.intake._house, room.vigil._budget, looked.append, room.clock, room.chance)
    for n in range(400):
        vigil._note(["x"], MailAddress.parse(somebody(n)), is_missing=n % 10 == 9)
    await write_to(room, *(one.address for one in here))
    assert not looked
    assert not room.rung


async def test_numbers_in_sequence_ring_before_any_share(room: MailRoom) -> None:
    """One birthplace, month and sex, one order number after the other: ten are chance, eleven are a search."""
    await write_to(room, *(somebody(7, order) for order in range(1, 11)))
    assert not room.rung
    await write_to(room, somebody(7, 11))
    assert {(a.sign, a.asked) for a in room.rung} == {(Sign.SEQUENCE, 11)}


async def test_a_maternity_whose_babies_are_all_there_rings_nothing(room: MailRoom) -> None:
    """Only when somebody of the series is nobody."""
    vigil, recipient = room.vigil, [MailAddress.parse(somebody(7, order)) for order in range(1, 40)]
    for one in recipient:
        vigil._note(["maternite@chu.mssante.example"], one, is_missing=False)
    assert not room.rung
    vigil._note(["maternite@chu.mssante.example"], MailAddress.parse(somebody(7, 50)), is_missing=True)
    assert [alarm.sign for alarm in room.rung] == [Sign.SEQUENCE]


async def test_a_login_is_watched_too(room: MailRoom) -> None:
    """Submission has no other rule than the relay."""
    doctor = await room.professional("dr.house")
    for n in range(31):
        raw = mail("Date: Mon, 05 Jan 2026 10:00:00 +0100", f"Message-ID: <{n}@x.example>", sender=address("dr.house"))
        receipt = await room.submit(doctor, raw, MailAddress.parse(somebody(n)), sender=address("dr.house"))
        assert receipt.verdict == Accept()
    assert [alarm.who for alarm in room.rung] == [str(address("dr.house"))]


async def test_memory_is_bounded_whatever_a_peer_sends(room: MailRoom) -> None:
    """The newest addresses, the latest senders."""
    vigil = room.vigil
    for n in range(ADDRESSES_MAX + 50):
        vigil._note(["one"], MailAddress.parse(somebody(n)), is_missing=True)
    for n in range(WATCHED_MAX + 50):
        vigil._note([f"{n}@labo.mssante.example"], MailAddress.parse(somebody(n)), is_missing=True)
    assert len(vigil._watched) == WATCHED_MAX
    assert all(len(one.asked) <= ADDRESSES_MAX for one in vigil._watched.values())


@pytest.mark.parametrize("processes", [1, 2])
async def test_staff_read_one_mail_without_any_ins(room: MailRoom, processes: int) -> None:
    """The bell is durable; who, how many, what to do; a second process that noticed the same adds nothing."""
    reader = await room.professional(str(POSTMASTER))
    public, private = room.cellar.public, room.cellar.private
    who = str(DistinguishedName.parse("CN=relais.labo.mssante.example"))
    for _ in range(processes):
        bell = Bell(room.store, public, room.bus, room.clock, room.chance)
        bell.ring(Alarm(Sign.SHARE, who, 40, 31))
        for ringing in list(bell.ringing):
            await ringing
    writes_as = House("relais.chu.mssante.example", MailAddress.parse(f"ne-pas-repondre@{PATIENTS}"))
    alarms = PatientAlarms(writes_as, POSTMASTER, private, public.lookup, room.house_mail, room.clock)
    duties = await room.tasks(TASK_ALARM)
    assert len(duties) == processes
    for duty in duties:
        assert b"labo" not in duty.payload
        await alarms.handlers[TASK_ALARM](duty)
    (raw,) = await room.bodies(reader)
    told = BytesParser(policy=default).parsebytes(raw)
    text = next(part for part in told.walk() if part.get_content_type() == "text/plain").get_content()
    for said in (who, "31 adresses de patients injoignables sur 40", "31 patients' addresses out of 40", "refusé"):
        assert said in text
    assert told["Auto-Submitted"] == "auto-replied"
