"""Mail waiting to leave: sealed, leased to one courier at a time, tried again later, never lost by a clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from mss.mail.queue import (
    ATTEMPTS_BEFORE_EXPIRY,
    LEASE_S,
    LIFETIME,
    RETRY_MAX_S,
    OutgoingEnvelope,
    QueueTaker,
    is_expired,
    retry_after_s,
)
from mss.model.clock import ManualClock, to_ms
from mss.model.errors import NotFound, SealBroken
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.store import messages, schema, tasks
from mss.store.sql import Connection
from mss.store.tasks import Queued, RowState
from tests.kit.mailroom import LAB, LARGE, TEAM, MailRoom, address, mail

OWNER = OwnerId(7)
DAY_S = 86_400


async def put(room: MailRoom, raw: bytes = b"", *to: MailAddress, owner: OwnerId = OWNER, delay_s: float = 0.0) -> int:
    """Queue a mail for the laboratory; its number."""
    envelope = OutgoingEnvelope(address("dr.house"), to or (LAB,), "<1@chu.mssante.example>")
    prepared = await room.putter.prepare(owner, LAB.domain, envelope, raw or mail(), delay_s=delay_s)
    await room.store.write(lane_of(owner), prepared.put)
    return prepared.mail.id


def taker(room: MailRoom, name: str) -> QueueTaker:
    below = room.cellar
    return QueueTaker(room.store, below.bodies, below.private.outbound, room.clock, name)


def nothing(_: Connection) -> None:
    """No companion."""


@pytest.mark.parametrize("sender", [address("dr.house"), None])
@pytest.mark.parametrize("body", ["Bonjour.\r\n", LARGE], ids=["small", "large"])
async def test_what_was_put_in_comes_out(room: MailRoom, sender: MailAddress | None, body: str) -> None:
    """Envelope and every octet; the null sender stays null."""
    envelope = OutgoingEnvelope(sender, (LAB, TEAM), "<1@chu.mssante.example>")
    prepared = await room.putter.prepare(OWNER, LAB.domain, envelope, mail(body=body))
    await room.store.write(lane_of(OWNER), prepared.put)
    (row,) = await room.taker.claim(10)
    outgoing = await room.taker.load(row)
    assert (outgoing.envelope, outgoing.raw) == (envelope, mail(body=body))
    assert outgoing.created_at == room.clock.now()
    assert (row.next_hop, row.attempts) == (LAB.domain, 1)


async def test_who_puts_mail_in_cannot_take_it_out(room: MailRoom) -> None:
    """Nothing in the row but the next hop speaks; only the house's outbound pair opens it, in its own place."""
    await put(room, mail(subject="Sérologie"))
    (row,) = await room.taker.claim(1)
    for word in (b"house", b"labo.", "Sérologie".encode()):
        assert word not in row.envelope_sealed
    with pytest.raises(SealBroken):
        await room.taker.load(replace(row, owner=8))
    wrong = QueueTaker(room.store, room.cellar.bodies, room.cellar.private.tasks, room.clock, "x")
    with pytest.raises(SealBroken):
        await wrong.load(row)
    await room.store.write(lane_of(OWNER), lambda c: messages.delete_blob(c, OWNER, row.blob))
    with pytest.raises(NotFound):
        await room.taker.load(row)


async def test_one_courier_has_it_at_a_time(room: MailRoom) -> None:
    """Until its lease ends; renewing keeps it, and who lost it is told."""
    number = await put(room)
    first, second = taker(room, "first"), taker(room, "second")
    (row,) = await first.claim(10)
    assert await second.claim(10) == []
    room.clock.forward(LEASE_S - 1)
    assert await first.renew(row)
    room.clock.forward(LEASE_S - 1)
    assert await second.claim(10) == []
    room.clock.forward(2)
    (taken,) = await second.claim(10)
    assert (taken.id, taken.attempts) == (number, 2)
    assert not await first.renew(row)


async def test_a_courier_takes_no_more_than_it_asks_for(room: MailRoom) -> None:
    """From as many lanes as it takes, and nothing for hosts that are left out."""
    for owner in range(1, 8):
        await put(room, owner=OwnerId(owner))
    assert await room.taker.claim(10, without=[LAB.domain]) == []
    assert [len(await room.taker.claim(n)) for n in (3, 10, 10)] == [3, 4, 0]


async def test_what_was_not_taken_is_tried_again_later_and_later(room: MailRoom) -> None:
    """15 s, doubling to an hour, its reason beside it; `next_due` says when to look."""
    await put(room, delay_s=5)
    assert await room.taker.claim(1) == []
    room.clock.forward(5)
    for attempt in range(1, 12):
        (row,) = await room.taker.claim(1)
        assert row.attempts == attempt
        await room.taker.defer(row, "peer-refused 450 4.2.1", nothing)
        due = await room.taker.next_due()
        assert due is not None
        assert (due - room.clock.now()).total_seconds() == retry_after_s(attempt)
        assert await room.taker.claim(1) == []
        room.clock.forward(retry_after_s(attempt))
    assert retry_after_s(1) == 15
    assert retry_after_s(9) == retry_after_s(99) == RETRY_MAX_S
    (row,) = await room.store.read(tasks.list_queue)
    assert row.last_reason == "peer-refused 450 4.2.1"


async def test_an_end_leaves_nothing_behind(room: MailRoom) -> None:
    """Row and body go with what the end causes, all or nothing."""
    await put(room)
    (row,) = await room.taker.claim(1)

    def refuses(_: Connection) -> None:
        raise ValueError("the notice could not be owed")

    with pytest.raises(ValueError, match="notice"):
        await room.taker.end(row, refuses)
    assert len(await room.queued()) == 1
    await room.taker.end(row, nothing)
    assert await room.queued() == []
    assert await room.store.read(lambda c: messages.body_of(c, OWNER, row.blob)) is None


async def test_a_parked_row_waits_for_a_human(room: MailRoom) -> None:
    """Years; until it is let go."""
    number = await put(room)
    (row,) = await room.taker.claim(1)
    await room.taker.park(row, "SealBroken")
    room.clock.forward(1000 * DAY_S)
    assert await room.taker.claim(1) == []
    assert await room.taker.next_due() is None
    (stands,) = await room.store.read(tasks.list_queue)
    assert (stands.state, stands.last_reason) == (RowState.FAILED, "SealBroken")
    lane = lane_of(OWNER)
    await room.store.write(
        lane, lambda c: tasks.set_row_state(c, schema.queue, OWNER, number, RowState.WAITING, "queue.release")
    )
    assert [one.id for one in await room.taker.claim(1)] == [number]


async def test_a_row_put_on_hold_while_it_is_sent_stays_put(room: MailRoom) -> None:
    """A human's hold outlives the attempt that was under way."""
    number = await put(room)
    (row,) = await room.taker.claim(1)
    lane = lane_of(OWNER)
    await room.store.write(
        lane, lambda c: tasks.set_row_state(c, schema.queue, OWNER, number, RowState.HELD, "queue.hold")
    )
    await room.taker.defer(row, "later", nothing)
    room.clock.forward(DAY_S)
    assert await room.taker.claim(1) == []


# The clock


def row_of(created_ms: int, attempts: int) -> Queued:
    expires_ms = created_ms + int(LIFETIME.total_seconds() * 1000)
    return Queued(7, 1, "x.example", "waiting", b"", b"", 1, b"", created_ms, 0, expires_ms, attempts, "", 0)


@pytest.mark.parametrize(
    ("days", "attempts", "expired"),
    [
        (0, 1, False),
        (3.99, 200, False),
        (4, ATTEMPTS_BEFORE_EXPIRY, True),
        (4, ATTEMPTS_BEFORE_EXPIRY - 1, False),
        (3650, 3, False),
        (-20_000, 500, False),
    ],
)
def test_mail_fails_when_it_is_old_and_was_tried(clock: ManualClock, days: float, attempts: int, expired: bool) -> None:
    """Four days by the calendar, and more than a day of attempts: a wrong clock alone fails nothing."""
    assert is_expired(row_of(to_ms(clock.now()), attempts), clock.now() + timedelta(days=days)) is expired


def test_so_many_attempts_take_more_than_a_day() -> None:
    """Whatever the clock does: pauses are counted one by one."""
    assert sum(retry_after_s(n) for n in range(1, ATTEMPTS_BEFORE_EXPIRY)) > DAY_S
    assert sum(retry_after_s(n) for n in range(1, ATTEMPTS_BEFORE_EXPIRY)) < LIFETIME.total_seconds()


@pytest.mark.parametrize("back_s", [3 * 3600, DAY_S, 50 * 365 * DAY_S])
async def test_a_clock_set_back_holds_nothing_up(room: MailRoom, back_s: float) -> None:
    """Leases and pauses that cannot be true are over; honest ones still hold."""
    await put(room)
    (row,) = await room.taker.claim(1)
    room.clock.forward(-back_s)
    (row,) = await taker(room, "another").claim(1)
    await room.taker.defer(row, "later", nothing)
    assert await room.taker.claim(1) == []
    room.clock.forward(-back_s)
    assert len(await room.taker.claim(1)) == 1


async def test_a_small_step_back_only_delays(room: MailRoom) -> None:
    """Minutes, as when a machine's clock is corrected: the lease holds a little longer."""
    await put(room)
    await room.taker.claim(1)
    room.clock.forward(-600)
    assert await taker(room, "another").claim(1) == []
    room.clock.forward(600 + LEASE_S)
    assert len(await taker(room, "another").claim(1)) == 1


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_is_lost_or_failed_by_a_wild_clock(room: MailRoom, seed: int) -> None:
    """Couriers that die, hosts that say later, a clock that jumps either way: everything leaves once."""
    random = Random(seed)
    waiting = {await put(room, owner=OwnerId(random.randrange(1, 9))) for _ in range(12)}
    jumps_s = (-50 * 365 * DAY_S, -DAY_S, -3600, 3600, DAY_S, 10 * 365 * DAY_S)
    for _ in range(400):
        if not waiting:
            break
        for row in await taker(room, f"courier {random.randrange(3)}").claim(random.randrange(1, 6)):
            assert not is_expired(row, room.clock.now()) or row.attempts >= ATTEMPTS_BEFORE_EXPIRY
            fate = random.random()
            if fate < 0.25:
                await room.taker.load(row)
                await room.taker.end(row, nothing)
                waiting.remove(row.id)
            elif fate < 0.75:
                await room.taker.defer(row, "later", nothing)
        room.clock.forward(random.choice(jumps_s) if random.random() < 0.1 else 1800)
    assert not waiting
    assert await room.queued() == []
