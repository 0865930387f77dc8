"""What a professional's mail client may sort by, set when the mail comes."""

from __future__ import annotations

import pytest

from mss.mail.holding import Explanation, held_context
from mss.mail.intake import Intake
from mss.mail.quarantine import go_on
from mss.model.ids import MailAddress, lane_of
from mss.model.mailbox import BORN_KEYWORDS
from mss.model.verdict import Accept
from mss.store import keywordbits, records, states
from mss.store.records import HeldState
from mss.vault.opener import open_house
from tests.kit.mailroom import HOUSE, LAB, MailRoom
from tests.mail.test_screening import Suspicious

PATIENT = MailAddress.parse("279035121518989@labo.mssante.example")
HEAD = (
    b"From: <%b>\r\nTo: <dr.house@chu.mssante.example>\r\n"
    b"Message-ID: <un@labo.mssante.example>\r\nMIME-Version: 1.0\r\n"
)
PLAIN = b"Content-Type: text/plain\r\n\r\nBonjour\r\n"
ARCHIVE = (
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nVoici\r\n--b\r\n'
    b'Content-Type: application/zip; name="IHE_XDM.ZIP"\r\nContent-Disposition: attachment; filename="IHE_XDM.ZIP"\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\nUEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==\r\n--b--\r\n"
)
RECEIPT = (
    b'Content-Type: multipart/report; report-type=disposition-notification; boundary="b"\r\n\r\n--b\r\n'
    b"Content-Type: text/plain\r\n\r\nLu\r\n--b\r\nContent-Type: message/disposition-notification\r\n\r\n"
    b"Disposition: manual-action/MDN-sent-manually; displayed\r\n\r\n--b--\r\n"
)


@pytest.mark.parametrize(
    ("sender", "content", "keywords"),
    [
        (LAB, PLAIN, set()),
        (PATIENT, PLAIN, {"$MSSPatient"}),
        (LAB, ARCHIVE, {"$MSSResult"}),
        (PATIENT, ARCHIVE, {"$MSSPatient", "$MSSResult"}),
        (LAB, RECEIPT, {"$MSSReceipt"}),
    ],
)
async def test_mail_comes_with_its_keywords(
    room: MailRoom, sender: MailAddress, content: bytes, keywords: set[str]
) -> None:
    """By name, as a mail client is told them, at the 250; and nothing else is marked."""
    doctor = await room.professional("dr.house")
    receipt = await room.receive(HEAD % str(sender).encode() + content, "dr.house", sender=sender)
    assert receipt.verdict == Accept()
    inbox = await room.folder(doctor)
    keys = await room.cellar.keys(doctor)
    names = {
        keys.open_small(b"keyword", inbox.folder, sealed).decode(): bit
        for bit, sealed in await room.store.read(lambda c: keywordbits.of_folder(c, doctor, inbox.folder))
    }
    assert set(names) == set(BORN_KEYWORDS)
    ((_, _, flags, kw),) = await room.store.read(lambda c: states.snapshot(c, doctor, inbox.folder))
    assert flags == 0
    assert {name for name, bit in names.items() if kw >> bit & 1} == keywords


async def test_what_was_held_has_its_keywords_once_it_is_let_go(room: MailRoom) -> None:
    """As if it had just come."""
    room.intake = Intake(HOUSE, room.gate, room.recipients, room.delivery, room.chance, Suspicious())
    doctor = await room.professional("dr.house")
    await room.receive(HEAD % str(PATIENT).encode() + ARCHIVE, "dr.house", sender=PATIENT)
    (row,) = await room.store.read(lambda c: records.list_held(c, (HeldState.WAITING,)))
    sealed = open_house(room.cellar.private.held, row.detail_sealed, held_context(row.id))
    known = Explanation.from_bytes(sealed)
    await room.store.write(lane_of(doctor), lambda c: go_on(c, row, known, room.clock, room.chance))
    inbox = await room.folder(doctor)
    ((_, _, _, kw),) = await room.store.read(lambda c: states.snapshot(c, doctor, inbox.folder))
    assert {name for bit, name in enumerate(BORN_KEYWORDS) if kw >> bit & 1} == {"$MSSPatient", "$MSSResult"}
