"""Nothing that is held is forgotten: who hears of it at 24 and at 72 hours, and what ends that."""

from __future__ import annotations

import pytest

from mss.mail.holding import TASK_STILL_HELD
from mss.mail.queue import OutgoingEnvelope
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.notices.watch import TASK_STAFF
from mss.store import records, schema, tasks
from mss.store.records import HeldWhat
from mss.store.sql import Connection
from mss.store.tasks import Queued, RowState, Task
from tests.kit.documents import HUGO, ZOE, make_cda
from tests.kit.house import HOSPITAL, LABORATORY, POSTMASTER, House, words_of

DOCTOR = MailAddress.parse(f"dr.house@{HOSPITAL}")
HOUR_S = 3600


async def pass_hours(house: House, hours: int) -> None:
    for _ in range(hours):
        house.clock.forward(HOUR_S)
        await house.run_tasks()


async def held_at_the_bridge(house: House) -> int:
    """Somebody else's result; its sender has had the first answer."""
    zoe = await house.enrol(ZOE)
    await house.send_documents(zoe, make_cda(HUGO))
    (item,) = await house.triage.held_list()
    return item.id


async def test_a_held_document_is_told_again_after_a_day_and_after_three(house: House) -> None:
    """The sender reads "still NOT filed" twice, with the document's name; staff find the number in their mailbox."""
    staff = await house.professional(str(POSTMASTER))
    number = await held_at_the_bridge(house)
    assert (await house.triage.held_list())[0].told == "sender"
    await pass_hours(house, 23)
    assert len(await house.sent()) == 1
    assert await house.in_folders(staff) == 0
    await pass_hours(house, 2)
    assert await house.in_folders(staff) == 1
    again = (await house.sent())[1]
    assert again["Subject"].startswith("[KO Intégration système !][904]")
    assert "still NOT filed after 24 h" in words_of(again)
    assert "Compte rendu d'examens biologiques" in words_of(again)
    assert again["X-Envelope-To"] == str(LABORATORY)
    await pass_hours(house, 46)
    assert len(await house.sent()) == 2
    await pass_hours(house, 3)
    assert "after 72 h" in words_of((await house.sent())[2])
    assert await house.in_folders(staff) == 2
    await pass_hours(house, 96)
    assert len(await house.sent()) == 3, "twice, not for ever"
    (item,) = await house.triage.held_list()
    assert (item.id, item.told) == (number, "sender, staff")
    assert item.told_at is not None


async def test_a_weekend_does_not_count(house: House) -> None:
    """Held on Friday morning: nobody is at work before Monday, and then it is a working day that it has waited."""
    house.clock.forward(4 * 24 * HOUR_S)
    await held_at_the_bridge(house)
    for hours, told in ((71, 1), (2, 2), (46, 2), (2, 3)):
        house.clock.forward(hours * HOUR_S)
        await house.run_tasks()
        assert len(await house.sent()) == told
    assert "still NOT filed after 72 h (working days)" in words_of((await house.sent())[2])


async def test_a_decision_ends_it(house: House) -> None:
    """Who decided an hour before hears no reproach, and neither does the sender."""
    staff = await house.professional(str(POSTMASTER))
    number = await held_at_the_bridge(house)
    await pass_hours(house, 23)
    await house.triage.reject(number, "staff:1", "mauvais patient")
    await house.run_tasks()
    told = len(await house.sent())
    await pass_hours(house, 60)
    assert len(await house.sent()) == told
    assert await house.in_folders(staff) == 0


async def test_telling_twice_tells_once(house: House) -> None:
    """A runner that dies after its work, and another that does it again: one mail, one next duty."""
    staff = await house.professional(str(POSTMASTER))
    await held_at_the_bridge(house)
    house.clock.forward(24 * HOUR_S + 1)
    (duty,) = await due(house, TASK_STILL_HELD)
    for _ in range(3):
        await house.watch.still_held(duty)
    assert len(await house.sent()) == 2
    waiting = await every_task(house)
    assert [task.kind for task in waiting].count(TASK_STILL_HELD) == 1
    assert [task.kind for task in waiting].count(TASK_STAFF) == 1
    house.clock.forward(HOUR_S)
    (listing,) = await due(house, TASK_STAFF)
    for _ in range(3):
        await house.watch.list_for_staff(listing)
    assert await house.in_folders(staff) == 1


async def test_a_decision_while_the_letter_is_written_wins(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look and the commit somebody decided: nothing leaves."""
    number = await held_at_the_bridge(house)
    house.clock.forward(24 * HOUR_S + 1)
    (duty,) = await due(house, TASK_STILL_HELD)
    written = house.watch._letter

    async def slowly(*seen: object) -> object:
        letter = await written(*seen)  # type: ignore[arg-type]
        await house.triage.reject(number, "staff:1", "décidé")
        return letter

    monkeypatch.setattr(house.watch, "_letter", slowly)
    before = len(await house.sent())
    await house.watch.still_held(duty)
    assert len(await house.sent()) == before


async def queued_mail(house: House) -> tuple[OwnerId, Queued]:
    """A doctor's mail that waits for the laboratory."""
    doctor = await house.professional(str(DOCTOR))
    raw = house.health_mail(LABORATORY, sender=DOCTOR)
    envelope = OutgoingEnvelope(DOCTOR, (LABORATORY,), "<un@chu.mssante.example>")
    mail = await house.dispatch._putter.prepare(doctor, LABORATORY.domain, envelope, raw)
    await house.store.write(lane_of(doctor), mail.put)
    (row,) = await house.taker.claim(1)
    return doctor, row


async def test_mail_that_the_courier_cannot_open_is_told_to_staff_and_after_a_day_to_its_sender(house: House) -> None:
    """Something of ours is wrong with it: it neither leaves nor vanishes."""
    staff = await house.professional(str(POSTMASTER))
    doctor, row = await queued_mail(house)
    await house.taker.park(row, "SealBroken")
    await pass_hours(house, 2)
    assert await house.in_folders(staff) == 1
    (item,) = await house.triage.held_list()
    assert item.reason == "parked"
    told = await house.in_folders(doctor)
    await pass_hours(house, 24)
    assert await house.in_folders(doctor) == told + 1


async def test_mail_of_which_nothing_can_be_opened_is_told_to_staff_alone(house: House) -> None:
    """Its sender is inside: who cannot be named cannot be told, and the list says that only staff know."""
    staff = await house.professional(str(POSTMASTER))
    _, row = await queued_mail(house)
    q = schema.queue
    spoil = q.update().where(q.c.id == row.id).values(envelope_sealed=b"?")
    await house.store.write(lane_of(row.owner), lambda c: c.execute(spoil))
    await house.taker.park(row, "SealBroken")
    await pass_hours(house, 73)
    assert await house.in_folders(staff) == 3
    (item,) = await house.triage.held_list()
    assert item.told == "staff"


async def test_mail_kept_back_by_staff_is_told_after_a_day_and_release_ends_it(house: House) -> None:
    """Also what we hold ourselves has an end: somebody is reminded of it."""
    doctor, row = await queued_mail(house)
    hold = house.dispatch._holder.kept_by_staff(row, HOSPITAL)

    def keep(connection: Connection) -> None:
        tasks.set_row_state(connection, schema.queue, row.owner, row.id, RowState.HELD, "queue.hold")
        hold.put(connection)

    await house.store.write(lane_of(row.owner), keep)
    await pass_hours(house, 25)
    assert await house.in_folders(doctor) == 1
    await house.store.write(lane_of(row.owner), lambda c: records.let_go(c, row.owner, HeldWhat.OUTGOING, row.id, 1))
    await pass_hours(house, 60)
    assert await house.in_folders(doctor) == 1
    assert await house.triage.held_list() == []


async def due(house: House, kind: str) -> list[Task]:
    return [task for task in await house.due() if task.kind == kind]


async def every_task(house: House) -> list[Task]:
    t = schema.task
    rows = await house.store.read(lambda c: list(c.execute(t.select())))
    return [Task(row.owner, row.id, row.kind, row.payload, row.attempts) for row in rows]
