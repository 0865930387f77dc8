"""Danger: a second mail hidden in a first, behind an ending that only some servers take for one.

The hidden mail would come from us, under our certificate, in anybody's name. So no ending but CRLF.CRLF ends, and a
message with a bare CR, a bare LF or a NUL is refused, since the next server may be the one that falls for it.
What counts is what was stored, never what was replied.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mss.model.clock import ManualClock, SeededChance
from mss.smtp.blocks import outgoing_blocks
from mss.store.messages import Direction
from tests.kit.mailroom import MailRoom, lab_gate, mail, open_mailroom
from tests.kit.pki import Pki
from tests.kit.smtp_wire import DOCTOR, LAB_SENDER, MESSAGE, PASSWORD, Behind, SmtpClient, SmtpHouse, smtp_house
from tests.smtp.dialogue import plain

FALSE_ENDINGS = {
    "LF dot LF": b"\n.\n",
    "LF dot CRLF": b"\n.\r\n",
    "CRLF dot LF": b"\r\n.\n",
    "CR dot CR": b"\r.\r",
    "CR dot CRLF": b"\r.\r\n",
    "CRLF dot CR": b"\r\n.\r",
    "LF dot CR": b"\n.\r",
    "CR dot LF": b"\r.\n",
    "CR dot CR LF apart": b"\r.\r\r\n",
    "CRLF dot CR CRLF": b"\r\n.\r\r\n",
    "CR CRLF dot CRLF": b"\r\r\n.\r\n",
    "CR CRLF dot CR CRLF": b"\r\r\n.\r\r\n",
    "LF CR dot CRLF": b"\n\r.\r\n",
    "CRLF NUL dot CRLF": b"\r\n\0.\r\n",
    "CRLF dot NUL CRLF": b"\r\n.\0\r\n",
    "CRLF dot CR NUL LF": b"\r\n.\r\0\n",
    "LF dot NUL LF": b"\n.\0\n",
    "CRLF dot LF CR": b"\r\n.\n\r",
    "NUL CRLF dot CRLF": b"\0\r\n.\r\n",
}
HIDDEN = (
    f"MAIL FROM:<{LAB_SENDER}>\r\nRCPT TO:<{DOCTOR}>\r\nDATA\r\n"
    f"From: {LAB_SENDER}\r\nSubject: cache\r\n\r\nFaux.\r\n.\r\n"
).encode()


async def _at_data(house: SmtpHouse, door: str) -> SmtpClient:
    client = await _at_recipient(house, door)
    assert (await client.ask("DATA")).code == 354
    return client


async def _at_recipient(house: SmtpHouse, door: str) -> SmtpClient:
    """Sender and recipient are accepted."""
    if door == "relay":
        client = await house.peer()
        await client.go_to_recipient()
        return client
    client = await SmtpClient.connect(house.ports["submissions"], house.shows(None))
    await client.hear()
    await client.ask("EHLO poste")
    assert (await client.ask("AUTH PLAIN " + plain(DOCTOR, PASSWORD))).code == 235
    await client.go_to_recipient(DOCTOR, LAB_SENDER)
    return client


@pytest.mark.parametrize("door", ["relay", "submissions"])
@pytest.mark.parametrize("ending", FALSE_ENDINGS.values(), ids=FALSE_ENDINGS)
async def test_a_false_ending_hides_nothing(house: SmtpHouse, door: str, ending: bytes) -> None:
    """Neither the visible nor the hidden mail is kept, and the sender reads why."""
    client = await _at_data(house, door)
    await client.say(MESSAGE + ending + HIDDEN + b"QUIT\r\n")
    said = await client.hears_to_the_end()
    assert house.reception.kept == []
    assert said.startswith("554 5.6.0 ")
    assert "250" not in said
    assert "354" not in said


@pytest.mark.parametrize("ending", FALSE_ENDINGS.values(), ids=FALSE_ENDINGS)
async def test_octet_by_octet_it_hides_nothing_either(house: SmtpHouse, ending: bytes) -> None:
    """However it is cut on the way."""
    client = await _at_data(house, "relay")
    await client.say(MESSAGE[:-2])
    for octet in ending:
        await client.say(bytes([octet]))
    await client.say(HIDDEN[:40])
    await client.say(HIDDEN[40:] + b"QUIT\r\n")
    said = await client.hears_to_the_end()
    assert said.startswith("554 5.6.0 ")
    assert [kept for kept in house.reception.kept if b"Bonjour" in kept.raw] == []
    if b"\r\n.\r\n" not in ending:  # behind a true ending stands an honest second mail, if it comes later
        assert house.reception.kept == []


@pytest.fixture
async def room(tmp_path: Path, clock: ManualClock, chance: SeededChance, pki: Pki) -> AsyncIterator[MailRoom]:
    """A real mail room with a real store."""
    gate = await lab_gate(pki, tmp_path)
    async with open_mailroom(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance, gate, pki) as opened:
        yield opened


@pytest.mark.parametrize("command", ["DATA", "BDAT"])
async def test_the_store_holds_none_of_them(room: MailRoom, pki: Pki, command: str) -> None:
    """All false endings at both doors of a real house: neither mailbox nor queue grows; the true one fills them."""
    doctor = await room.professional(DOCTOR)
    async with smtp_house(pki, behind=Behind(room.intake, room.submission, doctor)) as house:
        for door, message in (("relay", MESSAGE), ("submissions", mail(sender=DOCTOR))):
            for name, ending in {**FALSE_ENDINGS, "true": b".\r\n"}.items():
                client = await _at_recipient(house, door)
                whole = message + ending + (HIDDEN if name != "true" else b"")
                if command == "DATA":
                    assert (await client.ask("DATA")).code == 354
                    await client.say(whole)
                else:
                    await client.say(b"BDAT %d LAST\r\n%s" % (len(whole), whole))
                expected = "250 " if name == "true" else "554 5.6.0 "
                assert (await client.hear()).text.startswith(expected), (door, name)
                await client.close()
                is_relayed, is_submitted = (
                    name == "true" or door == "submissions",
                    (door, name) == ("submissions", "true"),
                )
                kept = [one.direction for one in await room.stored(doctor)]
                assert kept == [Direction.IN] * is_relayed + [Direction.OUT] * is_submitted, (door, name)
                assert len(await room.queued()) == is_submitted, (door, name)


@pytest.mark.parametrize("door", ["relay", "submissions"])
@pytest.mark.parametrize("ending", FALSE_ENDINGS.values(), ids=FALSE_ENDINGS)
@pytest.mark.parametrize("cut", ["one chunk", "cut in the ending", "hidden apart"])
async def test_a_chunk_hides_nothing(house: SmtpHouse, door: str, ending: bytes, cut: str) -> None:
    """BDAT counts, so for us nothing ends early; but the next server may speak DATA: refused all the same."""
    client = await _at_recipient(house, door)
    message = MESSAGE + ending
    if cut == "one chunk":
        message += HIDDEN
    at = len(message) - (len(ending) // 2 if cut == "cut in the ending" else 0)
    last = message[at:]
    await client.say(b"BDAT %d\r\n%sBDAT %d LAST\r\n%s" % (at, message[:at], len(last), last))
    told = [await client.hear(), await client.hear()]
    assert house.reception.kept == []
    assert told[1].text.startswith("554 5.6.0 ")
    if cut == "hidden apart":  # these are commands in their own right: an honest second mail
        await client.say(HIDDEN.split(b"From:")[0])
        assert [(await client.hear()).code for _ in range(3)] == [250, 250, 354]
    assert house.relay.memory.used == 0
    await client.close()


async def test_an_ending_inside_a_chunk_is_text(house: SmtpHouse) -> None:
    """CRLF dot CRLF is a line of one dot here; when it goes on as DATA its dot is doubled."""
    client = await _at_recipient(house, "relay")
    message = MESSAGE + b".\r\n" + HIDDEN
    await client.say(b"BDAT %d LAST\r\n%s" % (len(message), message))
    assert (await client.hear()).code == 250
    assert [kept.raw for kept in house.reception.kept] == [message]
    assert (await client.ask("NOOP")).code == 250
    wire = b"".join(outgoing_blocks(message))
    assert wire.count(b"\r\n.\r\n") == 1
    assert wire.endswith(b"\r\n.\r\n")
    await client.close()


async def test_the_control_is_two_mails(house: SmtpHouse) -> None:
    """With the true ending the same octets are two mails: the tests above could have failed."""
    client = await _at_data(house, "relay")
    await client.say(MESSAGE + b".\r\n" + HIDDEN.split(b"From:")[0])
    for code in (250, 250, 250, 354):
        assert (await client.hear()).code == code
    await client.say(b"From:" + HIDDEN.split(b"From:", 1)[1])
    assert (await client.hear()).code == 250
    assert len(house.reception.kept) == 2
    await client.close()


async def test_who_waits_behind_a_false_ending_reads_why(hasty_house: SmtpHouse) -> None:
    """Broken software that takes LF.LF for the end is told so when its time is over, not merely cut."""
    client = await _at_data(hasty_house, "relay")
    await client.say(MESSAGE + b"a\nb\r\n" + b"c\n.\n")
    assert (await client.hears_to_the_end()).startswith("554 5.6.0 ")
    assert hasty_house.reception.kept == []
