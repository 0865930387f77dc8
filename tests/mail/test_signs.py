"""Who still writes: the day is kept of listed addresses, in and out, and lifts or raises the doubt that they answer."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from mss.directory.extras import Extra, Extras
from mss.directory.liveness import SILENT, Doubt
from mss.mail.counting import CountedReception, Tally
from mss.mail.reception import Peer
from mss.model.ids import MailAddress
from mss.model.verdict import Accept
from mss.store import addressnotes, standingschema
from tests.directory.test_search import FILE, fill
from tests.kit.mailroom import LAB, MailRoom, address, mail

DOCTOR = address("dr.house")


async def room_with_directory(room: MailRoom, folder: Path) -> Tally:
    """Both of them are listed; the patient, of course, is not."""
    line = FILE[1]
    listed = [line.replace("a1@ville.mssante.example", str(one)) for one in (LAB, DOCTOR)]
    await fill(room.store, folder, [FILE[0], *listed])
    return Tally(room.store, room.clock)


async def known(room: MailRoom, one: MailAddress) -> Extra:
    return (await Extras(room.store, room.clock).of([one.key])).get(one.key, Extra())


async def test_the_day_of_mail_is_kept_in_both_directions_and_nothing_else(room: MailRoom, tmp_path: Path) -> None:
    """What came from another operator and what our own sent; the day, not the hour; one row however much it was."""
    tally = await room_with_directory(room, tmp_path)
    doctor = await room.professional("dr.house")
    relay, door = CountedReception(room.intake, tally), CountedReception(room.submission, tally)
    for number in range(3):
        raw = mail(f"Message-ID: <{number}@labo.mssante.example>")
        assert (await relay.message(room.peer, room.envelope(LAB, DOCTOR), raw)).verdict == Accept()
    login = Peer(f"login:{doctor}", account=doctor)
    own = mail("Message-ID: <own@chu.mssante.example>", sender=DOCTOR)
    assert (await door.message(login, room.envelope(DOCTOR, LAB), own)).verdict == Accept()
    assert (await known(room, LAB)).wrote_on is None, "nothing is written while mail is taken"
    await tally.write()
    day = room.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    for one in (LAB, DOCTOR):
        assert (await known(room, one)).wrote_on == day
    room.clock.forward(timedelta(days=1).total_seconds())
    await tally.write()
    assert (await known(room, LAB)).wrote_on == day


async def test_of_patients_strangers_and_refused_mail_nothing_is_kept(room: MailRoom, tmp_path: Path) -> None:
    """A patient who answers, an address that no directory lists, a report without sender, mail that was refused."""
    tally = await room_with_directory(room, tmp_path)
    await room.professional("dr.house")
    patient = await room.patient()
    for sender in (MailAddress.parse(patient.address), MailAddress.parse("nobody@labo.mssante.example"), None):
        tally.signs.note(sender)
    relay = CountedReception(room.intake, tally)
    refused = await relay.message(room.peer, room.envelope(LAB, DOCTOR), b"no header at all")
    assert refused.verdict != Accept()
    await tally.write()
    assert await room.store.read(lambda c: c.execute(select(standingschema.address_note)).all()) == []


async def test_writing_again_lifts_a_bounce_and_a_year_of_silence_raises_doubt(room: MailRoom, tmp_path: Path) -> None:
    """From the day after the bounce on; silence counts from the last day."""
    tally = await room_with_directory(room, tmp_path)
    bounced_ms = int(room.clock.now().timestamp() * 1000)
    await room.store.write(0, lambda c: addressnotes.bounced(c, LAB.key, bounced_ms))
    tally.signs.note(LAB)
    await tally.write()
    assert (await known(room, LAB)).doubt is Doubt.CAME_BACK
    room.clock.forward(timedelta(days=1).total_seconds())
    tally.signs.note(LAB)
    await tally.write()
    assert (await known(room, LAB)).doubt is None
    room.clock.forward((SILENT + timedelta(days=2)).total_seconds())
    assert (await known(room, LAB)).doubt is Doubt.SILENT
