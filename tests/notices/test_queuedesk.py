"""What staff may do with mail that has not left: with care, in writing, and never behind the sender's back."""

from __future__ import annotations

import pytest

from mss.formats.dsn import Action, read_dsn
from mss.mail.holding import Doubt, Held, Holder
from mss.mail.queue import LEASE_S, Outgoing, OutgoingEnvelope, QueuePutter
from mss.model.errors import BadValue, NotFound
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.message import NOTHING_WISHED, DsnWish, Notify, RecipientWish
from mss.model.verdict import Reason
from mss.notices.queuedesk import NotNow, QueueDesk
from mss.store import schema, tasks
from mss.store.records import HeldWhat
from mss.store.sql import Connection
from mss.store.tasks import Queued, RowState
from tests.kit.house import LABORATORY, PATIENTS, House, words_of
from tests.notices.test_answers import part
from tests.notices.test_undelivered import COLLEAGUE

OTHER = MailAddress.parse("accueil@clinique.mssante.example")
MAIL = b"Message-ID: <q@chu.mssante.example>\r\nSubject: x\r\n\r\nBonjour.\r\n"


class Queue:
    """A house, its queue, and staff before it."""

    def __init__(self, house: House) -> None:
        self.house = house
        below = house.cellar
        self.putter = QueuePutter(below.bodies, below.public, house.clock, below.chance)
        holder = Holder(below.public, house.clock, below.chance)
        self.desk = QueueDesk(
            house.store, house.taker, house.reports, holder, PATIENTS, house.bus, house.clock, "staff:test"
        )

    async def put(
        self, sender: MailAddress | None = LABORATORY, to: MailAddress = COLLEAGUE, wish: DsnWish = NOTHING_WISHED
    ) -> int:
        owner = OwnerId(7)
        envelope = OutgoingEnvelope(sender, (to,), "<q@chu.mssante.example>", wish)
        prepared = await self.putter.prepare(owner, to.domain, envelope, MAIL)
        await self.house.store.write(lane_of(owner), prepared.put)
        return prepared.mail.id

    async def claimed(self) -> list[int]:
        return sorted(row.id for row in await self.house.taker.claim(9))


@pytest.fixture
def queue(house: House) -> Queue:
    return Queue(house)


async def test_mail_is_shown_without_names(queue: Queue) -> None:
    """Where to, how long, how often, why; and that somebody looked."""
    number = await queue.put()
    (listed,) = await queue.desk.waiting()
    shown, recipients, octets = await queue.desk.show(number)
    assert listed == shown
    assert (shown.id, shown.next_hop, recipients, octets) == (number, COLLEAGUE.domain, 1, len(MAIL))
    assert COLLEAGUE.local not in repr(shown)
    assert "queue.shown" in await queue.house.trace("<q@chu.mssante.example>")
    with pytest.raises(NotFound):
        await queue.desk.show(1)


async def test_held_mail_stays_until_it_is_released(queue: Queue) -> None:
    """Neither time nor a retry nor a flush lets it go."""
    number = await queue.put()
    await queue.desk.hold(number)
    queue.house.clock.forward(10 * 86_400)
    with pytest.raises(NotNow, match="already"):
        await queue.desk.hold(number)
    with pytest.raises(NotNow, match="release"):
        await queue.desk.retry(number)
    assert await queue.desk.flush(COLLEAGUE.domain) == 0
    assert await queue.claimed() == []
    await queue.desk.release(number)
    assert await queue.claimed() == [number]


@pytest.mark.parametrize("reason", [Reason.VIRUS_FOUND, Reason.NOT_SCANNED])
async def test_what_the_antivirus_holds_does_not_leave_by_the_queue(queue: Queue, reason: Reason) -> None:
    """One door for that decision: where staff read what was found."""
    number = await queue.put()
    (row,) = await queue.house.store.read(tasks.list_queue)
    holder = Holder(queue.house.cellar.public, queue.house.clock, queue.house.cellar.chance)
    held = Held(row.owner, HeldWhat.OUTGOING, number, reason, PATIENTS, row.message_id_hmac)
    hold = holder.quarantine(held, Doubt(reason), str(LABORATORY), "<q@chu.mssante.example>", "x")

    def put(connection: Connection) -> None:
        hold.put(connection)
        tasks.set_row_state(connection, schema.queue, row.owner, number, RowState.HELD, reason.value)

    await queue.house.store.write(lane_of(row.owner), put)
    with pytest.raises(NotNow, match=f"mss held show {hold.row.id}"):
        await queue.desk.release(number)
    assert await queue.claimed() == []


async def test_a_flush_is_for_one_domain(queue: Queue) -> None:
    """Everything that waits for it is due; others wait on."""
    first, second, other = await queue.put(), await queue.put(), await queue.put(to=OTHER)
    for row in await queue.house.taker.claim(9):
        await queue.house.taker.defer(row, "peer-unreachable timeout", lambda _: None)
    assert await queue.claimed() == []
    assert await queue.desk.flush(COLLEAGUE.domain.upper()) == 2
    assert await queue.claimed() == sorted((first, second))
    await queue.desk.retry(other)
    assert await queue.claimed() == [other]
    with pytest.raises(BadValue):
        await queue.desk.flush("no domain")


async def test_dropped_mail_is_told_to_its_sender_with_the_reason(queue: Queue) -> None:
    """The row and the body go, the sender reads staff's words, the audit knows who did it."""
    number = await queue.put()
    with pytest.raises(BadValue):
        await queue.desk.drop(number, " ")
    assert await queue.desk.drop(number, "Adresse erronée, appelez le secrétariat.")
    await queue.house.run_tasks()
    (told,) = await queue.house.sent()
    assert told["X-Envelope-To"] == str(LABORATORY)
    (status,) = read_dsn(part(told, "message/delivery-status").as_bytes().partition(b"\n\n")[2]).recipients
    assert (status.action, status.status) == (Action.FAILED, "5.3.0")
    assert "appelez le secrétariat" in words_of(told)
    assert [row.id for row in await queue.desk.waiting()] != [number]
    assert "queue.drop" in await queue.house.trace("<q@chu.mssante.example>")


async def test_mail_that_has_just_left_is_not_told_as_dropped(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """The courier was quicker than staff."""
    number, loads = await queue.put(), queue.house.taker.load

    async def leaves_meanwhile(row: Queued) -> Outgoing:
        mail = await loads(row)
        await queue.house.taker.end(row, lambda _: None)
        return mail

    monkeypatch.setattr(queue.house.taker, "load", leaves_meanwhile)
    with pytest.raises(NotFound, match="just left"):
        await queue.desk.drop(number, "test")
    assert await queue.house.due() == []


async def test_who_wants_no_reports_is_not_told_of_a_drop(queue: Queue) -> None:
    """And staff is told that nobody is."""
    never = DsnWish(recipients={COLLEAGUE.key: RecipientWish(frozenset({Notify.NEVER}))})
    assert not await queue.desk.drop(await queue.put(wish=never), "test")
    assert not await queue.desk.drop(await queue.put(sender=None), "test")
    assert await queue.house.due() == []


async def test_mail_that_is_being_sent_is_left_alone(queue: Queue) -> None:
    """It could be delivered and taken out; when the courier has died, its lease ends."""
    number = await queue.put()
    assert await queue.claimed() == [number]
    for work in (queue.desk.drop(number, "test"), queue.desk.hold(number), queue.desk.retry(number)):
        with pytest.raises(NotNow, match="being sent"):
            await work
    queue.house.clock.forward(LEASE_S + 1)
    await queue.desk.hold(number)
    (row,) = await queue.desk.waiting()
    assert row.state == RowState.HELD
