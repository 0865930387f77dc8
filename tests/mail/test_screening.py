"""Every way in asks the antivirus, with the bytes that came, before anybody sees them."""

from __future__ import annotations

from mss.mail.contents import Contents, Octets
from mss.mail.holding import Doubt
from mss.mail.intake import Intake
from mss.mail.replies import PatientReplies
from mss.mail.submit import Submission
from mss.model.ids import OwnerId
from mss.model.verdict import Accept, Reason
from mss.store import records, tasks
from mss.store.records import HeldState
from mss.store.tasks import RowState
from tests.kit.mailroom import HOUSE, LAB, MailRoom, Patient, address, mail

DOCTOR = address("dr.house")


class Suspicious:
    """Doubts everything, and remembers what it was shown."""

    is_resting = False

    def __init__(self) -> None:
        self.shown: list[bytes] = []

    async def doubt(self, octets: Octets) -> Doubt | None:
        self.shown.append(Contents.of(octets).whole())
        return Doubt(Reason.VIRUS_FOUND, "Test")


async def reasons(room: MailRoom) -> list[str]:
    return [row.reason for row in await room.store.read(lambda c: records.list_held(c, (HeldState.WAITING,)))]


async def test_the_relay_asks_and_holds(room: MailRoom) -> None:
    """One message for two mailboxes is shown once; both hold it."""
    asked = Suspicious()
    room.intake = Intake(HOUSE, room.gate, room.recipients, room.delivery, room.chance, asked)
    doctor, nurse = await room.professional("dr.house"), await room.professional("nurse")
    raw = mail()
    assert (await room.receive(raw, DOCTOR, "nurse")).verdict == Accept()
    assert asked.shown == [raw]
    assert await reasons(room) == ["virus-found"] * 2
    assert [(await room.folder(owner)).n_msg for owner in (doctor, nurse)] == [0, 0]


async def test_the_relay_does_not_ask_about_what_it_refuses(room: MailRoom) -> None:
    """A stranger's bytes are not worth a scan."""
    asked = Suspicious()
    room.intake = Intake(HOUSE, room.gate, room.recipients, room.delivery, room.chance, asked)
    await room.professional("dr.house")
    assert (await room.receive(mail(sender="x@elsewhere.example"), DOCTOR)).verdict != Accept()
    assert asked.shown == []


async def test_submission_asks_and_holds(room: MailRoom) -> None:
    """Within the house and towards others."""
    asked = Suspicious()
    room.submission = Submission(
        HOUSE,
        room.recipients,
        room.dispatch,
        room.cellar.public.lookup,
        room.gate.is_trusted,
        room.clock,
        room.chance,
        asked,
    )
    doctor = await room.professional("dr.house")
    nurse = await room.professional("nurse")
    assert (await room.submit(doctor, mail(sender=DOCTOR), LAB, address("nurse"), sender=DOCTOR)).verdict == Accept()
    assert len(asked.shown) == 1
    assert await reasons(room) == ["virus-found"] * 2
    assert (await room.folder(nurse)).n_msg == 0
    assert await queue_states(room) == [RowState.HELD]


async def test_a_patients_answer_is_asked_about_and_held(room: MailRoom) -> None:
    """Her own copy stands among what she sent; it leaves when it was looked at."""
    asked = Suspicious()
    below = room.cellar
    person = await below.enrol()
    zoe = Patient(room, person)
    await zoe.gets()
    replies = PatientReplies(
        HOUSE, room.store, below.opener, room.delivery, room.dispatch, room.clock, room.chance, asked
    )
    keys = await below.keys(OwnerId(person.owner))
    number = (await zoe.list())[0].number
    receipt = await replies.reply(keys, (person.name, address(person.address)), number, "Bonjour", [])
    assert receipt.verdict == Accept()
    assert len(asked.shown) == 1
    assert await queue_states(room) == [RowState.HELD]
    assert len((await zoe.open()).messages) == 2


async def queue_states(room: MailRoom) -> list[str]:
    return [row.state for row in await room.store.read(tasks.list_queue)]
