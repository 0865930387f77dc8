"""The danger: something that attacks reaches a reader, or mail vanishes because an antivirus did not like it.

A real clamd with one signature (tests/kit/clamd.py). What it finds and what it could not look at is kept, seen by
nobody, told to its sender and to staff within the hour, and never lost.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path

import pytest

from mss.bridge.triage import NotDecidable
from mss.mail.clamd import Unix
from mss.mail.reception import Peer
from mss.mail.screening import ClamdScreening, NoScreening
from mss.mail.submit import Submission
from mss.model.clock import ManualClock, SeededChance
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.message import DsnWish, Envelope, Notify, RecipientWish
from mss.model.verdict import Accept
from mss.sandbox.pool import Sandbox
from mss.store import folders, messages, schema, tasks
from mss.store.messages import MessageState
from mss.store.sql import Connection
from mss.store.tasks import RowState
from tests.kit.clamd import EICAR, Clamd
from tests.kit.clamd import clamd as running
from tests.kit.documents import ZOE, make_cda
from tests.kit.house import HOSPITAL, LABORATORY, PATIENTS, POSTMASTER, House, open_house, words_of

DOCTOR = MailAddress.parse(f"dr.house@{HOSPITAL}")
HOUR_S = 3600


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clamd]:
    with running(tmp_path_factory.mktemp("clamd") / "d") as started:
        yield started


@pytest.fixture
async def small(tmp_path: Path, clock: ManualClock, chance: SeededChance, sandbox: Sandbox) -> AsyncIterator[House]:
    """A house on one engine, for what does not depend on it."""
    async with open_house(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance, sandbox) as opened:
        yield opened


def guard(house: House, socket: Path) -> None:
    """The antivirus of that socket, from now on."""
    house.scan_with(ClamdScreening(Unix(socket), 20, house.clock))


def infected(house: House, to: MailAddress, sender: MailAddress = LABORATORY) -> bytes:
    return house.health_mail(to, make_cda(ZOE), sender=sender, text=f"Bonjour,\n{EICAR}\n", receipt=False)


async def inbox(house: House, owner: OwnerId) -> list[EmailMessage]:
    """What stands in somebody's folders."""

    def ask(connection: Connection) -> list[messages.StoredMessage]:
        found = [
            messages.one_message(connection, owner, number)
            for folder in folders.list_folders(connection, owner)
            for _, number, *_ in messages.listed_range(connection, owner, folder.folder, 1, 1 << 40)
        ]
        return [one for one in found if one is not None]

    keys = await house.cellar.keys(owner)
    stored = await house.store.read(ask)
    raws = [await house.cellar.opener.message_body(keys, one) for one in stored]
    return [BytesParser(policy=default).parsebytes(raw) for raw in raws]


async def pass_time(house: House, hours: float) -> None:
    """Quarter by quarter, with what falls due."""
    for _ in range(int(hours * 4)):
        house.clock.forward(HOUR_S / 4)
        await house.run_tasks()


async def test_an_infected_mail_is_held_and_told_within_the_hour(house: House, daemon: Clamd) -> None:
    """Patient and professional see nothing; the sender reads that it arrived and was not delivered; staff read numbers;
    and nobody is sent the thing back."""
    guard(house, daemon.socket)
    zoe, doctor, staff = (
        await house.enrol(ZOE),
        await house.professional(str(DOCTOR)),
        await house.professional(str(POSTMASTER)),
    )
    await house.deliver(infected(house, zoe.address), LABORATORY, zoe.address, DOCTOR)
    await pass_time(house, 1)
    assert await house.sees_nothing(zoe)
    assert await house.in_folders(doctor) == 0
    held = await house.triage.held_list()
    assert [(one.reason, one.code, one.told) for one in held] == [("virus-found", 906, "sender, staff")] * 2
    to_patient, to_doctor = sorted(await house.sent(), key=lambda mail: "delivery-status" in mail.as_string())
    assert to_patient["Subject"].startswith("[KO Intégration système !][906]")
    assert to_doctor["Subject"] == "[Message retenu] reçu, NON remis"
    assert "NOT delivered" in words_of(to_doctor)
    assert "Action: delayed" in to_doctor.as_string()
    for told in (to_patient, to_doctor):
        assert told["X-Envelope-To"] == str(LABORATORY)
        assert EICAR not in told.as_string()
        assert "IHE_XDM" not in told.as_string()
    lists = await inbox(house, staff)
    said = "\n".join(words_of(one) for one in lists)
    assert all(str(one.id) in said for one in held)
    assert "@" not in said.replace("mss held", "")
    message_id = held[0].message_id
    assert {"mail.received", "mail.held", "notice.sent"} <= set(await house.trace(message_id))


async def test_mail_that_could_not_be_scanned_is_kept_and_released_by_itself(
    house: House, daemon: Clamd, tmp_path: Path
) -> None:
    """The daemon is away: accepted, seen by nobody. It comes back: filed, readable, and nobody hears of more."""
    guard(house, tmp_path / "nobody")
    zoe, doctor = await house.enrol(ZOE), await house.professional(str(DOCTOR))
    sent = house.health_mail(zoe.address, make_cda(ZOE))
    await house.deliver(sent, LABORATORY, zoe.address, DOCTOR)
    house.clock.forward(30)
    assert await house.run_tasks("scan") == 0
    assert await house.sees_nothing(zoe)
    assert await house.in_folders(doctor) == 0
    assert [one.reason for one in await house.triage.held_list()] == ["not-scanned"] * 2
    guard(house, daemon.socket)
    house.clock.forward(60)
    await house.run_tasks()
    assert len(await house.documents(zoe)) == 1
    assert len(await house.conversation_list(zoe)) == 1
    assert [mail["Subject"] for mail in await inbox(house, doctor)] == ["XDM/1.0/DDM+Compte rendu"]
    assert await house.triage.held_list() == []
    await pass_time(house, 80)
    assert [mail["Subject"] for mail in await house.sent()] == ["[Intégration] XDM/1.0/DDM+Compte rendu"]
    assert await house.in_folders(doctor) == 1


async def test_when_the_daemon_stays_away_sender_and_staff_are_told_within_the_hour(
    small: House, tmp_path: Path
) -> None:
    """Ten messages wait: each sender's is told once within the hour, staff read one list and not ten."""
    guard(small, tmp_path / "nobody")
    staff = await small.professional(str(POSTMASTER))
    await small.professional(str(DOCTOR))
    for _ in range(10):
        await small.deliver(small.health_mail(DOCTOR), LABORATORY, DOCTOR)
    await pass_time(small, 1)
    assert len(await small.sent()) == 10
    assert len(await inbox(small, staff)) == 1
    (listed,) = await inbox(small, staff)
    assert listed["Subject"] == "[Alerte] messages retenus : 10"


async def test_what_turns_out_infected_after_all_stays_held(small: House, daemon: Clamd, tmp_path: Path) -> None:
    """Taken in while the daemon was away, scanned later: told as a find, and its case says so."""
    guard(small, tmp_path / "nobody")
    doctor = await small.professional(str(DOCTOR))
    await small.deliver(infected(small, DOCTOR), LABORATORY, DOCTOR)
    guard(small, daemon.socket)
    small.clock.forward(30)
    await small.run_tasks()
    (item,) = await small.triage.held_list()
    assert item.reason == "virus-found"
    _, shown = await small.triage.show(item.id, "staff:1")
    assert "Eicar" in shown.detail
    assert await small.in_folders(doctor) == 0
    (told,) = await small.sent()
    assert "antivirus" in words_of(told)


async def test_a_mistaken_find_is_let_go_by_a_human(small: House, daemon: Clamd) -> None:
    """Then it goes its way, once."""
    guard(small, daemon.socket)
    zoe, doctor = await small.enrol(ZOE), await small.professional(str(DOCTOR))
    await small.deliver(infected(small, zoe.address), LABORATORY, zoe.address, DOCTOR)
    for item in await small.triage.held_list():
        assert await small.triage.file(item.id, "staff:1") == 0
        with pytest.raises(NotDecidable):
            await small.triage.file(item.id, "staff:1")
    await small.run_tasks()
    assert len(await small.documents(zoe)) == 1
    assert await small.in_folders(doctor) == 1


@pytest.mark.parametrize("fate", ["scanned", "let go", "refused", "not asked"])
async def test_who_asked_is_told_of_delivery_when_it_is_one(
    small: House, daemon: Clamd, tmp_path: Path, fate: str
) -> None:
    """NOTIFY=SUCCESS: not while it is held, once when it can be read, never when it was refused."""
    guard(small, tmp_path / "nobody" if fate == "scanned" else daemon.socket)
    doctor = await small.professional(str(DOCTOR))
    notify = frozenset({Notify.FAILURE} if fate == "not asked" else {Notify.SUCCESS})
    wish = DsnWish(recipients={DOCTOR.key: RecipientWish(notify)})
    raw = infected(small, DOCTOR)
    for _ in range(2):  # the sender missed our 250
        await small.deliver(raw, LABORATORY, DOCTOR, wish=wish)
    await small.run_tasks("delivered")
    assert await small.sent() == []
    (item,) = await small.triage.held_list()
    if fate == "refused":
        await small.triage.reject(item.id, "staff:1", "Contenu dangereux")
    elif fate == "scanned":
        small.clock.forward(60)
        small.scan_with(NoScreening())
    else:
        await small.triage.file(item.id, "staff:1")
    for _ in range(3):
        await small.run_tasks()
        small.clock.forward(60)
    told = sum("Action: delivered" in mail.as_string() for mail in await small.sent())
    assert told == (1 if fate in ("scanned", "let go") else 0)
    assert await small.in_folders(doctor) == (0 if fate == "refused" else 1)


async def test_a_refusal_is_told_and_returns_nothing_infected(small: House, daemon: Clamd) -> None:
    """Patient or professional: the sender reads that it will not be delivered."""
    guard(small, daemon.socket)
    zoe = await small.enrol(ZOE)
    await small.professional(str(DOCTOR))
    await small.deliver(infected(small, zoe.address), LABORATORY, zoe.address, DOCTOR)
    for item in await small.triage.held_list():
        await small.triage.reject(item.id, "staff:1", "Contenu dangereux")
    await small.run_tasks()
    told = await small.sent()
    assert len(told) == 2
    assert any("Action: failed" in mail.as_string() for mail in told)
    assert any("Contenu dangereux" in words_of(mail) for mail in told)
    assert not any(EICAR in mail.as_string() for mail in told)
    await pass_time(small, 80)
    assert len(await small.sent()) == 2


async def submit(house: House, raw: bytes, to: MailAddress) -> None:
    account = await house.owner_of(DOCTOR)
    assert account is not None
    submission = Submission(
        house.mail_house,
        house.recipients,
        house.dispatch,
        house.cellar.public.lookup,
        lambda domain: True,
        house.clock,
        house.cellar.chance,
        house.screening,
    )
    peer, envelope = Peer(f"login:{account}", account=account), Envelope(DOCTOR, (to,), house.clock.now(), helo="poste")
    assert (await submission.message(peer, envelope, raw)).verdict == Accept()


async def test_what_our_own_people_send_is_looked_at_too(house: House, daemon: Clamd) -> None:
    """It stays in the queue, where no courier takes it, until a human lets it go; its author hears of it."""
    guard(house, daemon.socket)
    doctor = await house.professional(str(DOCTOR))
    await submit(house, infected(house, LABORATORY, DOCTOR), LABORATORY)
    assert await house.taker.claim(10) == []
    await pass_time(house, 1)
    (told,) = await inbox(house, doctor)
    assert told["Subject"] == "[Message retenu] reçu, NON remis"
    (item,) = await house.triage.held_list()
    assert await house.triage.file(item.id, "staff:1") == 0
    (leaving,) = await house.taker.claim(10)
    assert EICAR.encode() in (await house.taker.load(leaving)).raw


async def test_what_our_own_people_send_can_be_refused(small: House, daemon: Clamd) -> None:
    """The author reads a failure; nothing of it is left in the queue."""
    guard(small, daemon.socket)
    doctor = await small.professional(str(DOCTOR))
    await submit(small, infected(small, LABORATORY, DOCTOR), LABORATORY)
    (item,) = await small.triage.held_list()
    await small.triage.reject(item.id, "staff:1", "non")
    await small.run_tasks()
    (told,) = await inbox(small, doctor)
    assert "Action: failed" in told.as_string()
    assert await small.store.read(tasks.list_queue) == []


async def test_what_was_let_go_after_a_refusal_is_not_told_as_refused(small: House, daemon: Clamd) -> None:
    """Two of the staff at once: the one who let it go wins, and its author does not read the contrary."""
    guard(small, daemon.socket)
    doctor = await small.professional(str(DOCTOR))
    await submit(small, infected(small, LABORATORY, DOCTOR), LABORATORY)
    (item,) = await small.triage.held_list()
    await small.triage.reject(item.id, "staff:1", "non")
    (row,) = await small.store.read(tasks.list_queue)

    def free(connection: Connection) -> None:
        tasks.set_row_state(connection, schema.queue, row.owner, row.id, RowState.WAITING, "queue.release")

    await small.store.write(lane_of(row.owner), free)
    await small.run_tasks()
    assert await small.in_folders(doctor) == 0
    assert len(await small.taker.claim(10)) == 1


async def test_mail_to_other_operators_leaves_when_it_was_scanned_after_all(
    small: House, daemon: Clamd, tmp_path: Path
) -> None:
    """The daemon was away for a moment; nobody had to do anything."""
    guard(small, tmp_path / "nobody")
    await small.professional(str(DOCTOR))
    await submit(small, small.health_mail(LABORATORY, sender=DOCTOR), LABORATORY)
    assert await small.taker.claim(10) == []
    guard(small, daemon.socket)
    small.clock.forward(60)
    await small.run_tasks()
    assert len(await small.taker.claim(10)) == 1


async def test_nobody_learns_who_is_a_patient_by_sending_something_infected(small: House, daemon: Clamd) -> None:
    """Taken for an absent patient like for one who is here, and told as for every unreachable one."""
    guard(small, daemon.socket)
    absent = MailAddress.parse(f"279035121518989@{PATIENTS}")
    (number,) = await small.deliver(infected(small, absent), LABORATORY, absent)
    assert number
    await pass_time(small, 1)
    (told,) = await small.sent()
    assert "Message non distribué" in told["Subject"]
    assert await small.triage.held_list() == []


async def test_a_retry_of_an_infected_mail_is_one_case(small: House, daemon: Clamd) -> None:
    """A relay that missed our 250 sends again."""
    guard(small, daemon.socket)
    zoe = await small.enrol(ZOE)
    raw = infected(small, zoe.address)
    first = await small.deliver(raw, LABORATORY, zoe.address)
    assert await small.deliver(raw, LABORATORY, zoe.address) == first
    assert len(await small.triage.held_list()) == 1
    assert await small.state(zoe, first[0]) == MessageState.HELD
