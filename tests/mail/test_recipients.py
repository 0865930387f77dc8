"""Who is behind an address: professionals' boxes say it at once, patients' addresses say nothing to anybody but later
to the accountable sender; not even by time."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from mss.crypto import seal
from mss.mail.delivery import TASK_UNREACHABLE
from mss.mail.recipients import NAMED_S, Recipients
from mss.model.errors import SealBroken
from mss.model.ids import MailAddress
from mss.model.mailbox import AccountState
from mss.model.verdict import Accept, Later, Reason, Refuse
from mss.store.owners import MailboxRow
from tests.kit.mailroom import ABSENT, LARGE, PATIENTS, MailRoom, address, mail


async def test_a_professional_box_says_what_it_is(room: MailRoom) -> None:
    """Asked at RCPT: unknown, closed, suspended, full."""
    doctor = await room.professional("dr.house")
    assert await room.may_send_to("dr.house") == Accept()
    assert await room.may_send_to("dr.nobody") == Refuse(Reason.MAILBOX_UNKNOWN)
    assert await room.may_send_to("x@ailleurs.example") == Refuse(Reason.RECIPIENT_NOT_OURS)
    for state, verdict in (
        (AccountState.SUSPENDED, Later(Reason.MAILBOX_SUSPENDED)),
        (AccountState.CLOSED, Refuse(Reason.MAILBOX_CLOSED)),
        (AccountState.ACTIVE, Accept()),
    ):
        await room.cellar.accounts.set_state(doctor, state)
        assert await room.may_send_to("dr.house") == verdict
    await room.set_quota(doctor, 1)
    await room.receive(mail(), "dr.house")
    assert await room.may_send_to("dr.house") == Later(Reason.MAILBOX_OVER_QUOTA)


async def test_what_rcpt_found_of_a_mailbox_serves_once_and_for_a_second(
    room: MailRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One look for a mail. A patient's row is not looked at before the message has come, nor remembered."""
    doctor, claire = await room.professional("dr.house"), await room.patient()
    looks: list[MailAddress] = []
    honest = Recipients.mailbox

    async def counted(self: Recipients, recipient: MailAddress) -> MailboxRow | None:
        looks.append(recipient)
        return await honest(self, recipient)

    monkeypatch.setattr(Recipients, "mailbox", counted)
    house, hers = address("dr.house"), MailAddress.parse(claire.address)
    assert await room.may_send_to(house) == Accept()
    assert await room.recipients.reachable(house) is not None
    assert looks == [house]
    assert await room.recipients.reachable(house) is not None
    assert looks == [house] * 2, "it serves once"
    assert await room.may_send_to(house) == Accept()
    await room.cellar.accounts.set_state(doctor, AccountState.CLOSED)
    room.clock.forward(NAMED_S + 0.1)
    assert await room.recipients.reachable(house) is None, "too old: looked at again"
    looks.clear()
    assert await room.may_send_to(hers) == Accept()
    assert looks == []
    for _ in range(2):
        assert await room.recipients.reachable(hers) is not None
    assert looks == [hers] * 2


async def test_every_patient_address_is_welcome(room: MailRoom) -> None:
    """At RCPT nothing tells who exists; only what is no patient address is unknown."""
    claire, closed = await room.patient(), await room.patient("Paul DURAND")
    await room.cellar.accounts.set_state(closed.owner, AccountState.CLOSED)
    for recipient in (claire.address, claire.address.lower(), closed.address, str(ABSENT)):
        assert await room.may_send_to(recipient) == Accept()
    assert await room.may_send_to(f"claire@{PATIENTS}") == Refuse(Reason.MAILBOX_UNKNOWN)


async def test_whoever_cannot_be_reached_the_sender_is_told_later(room: MailRoom) -> None:
    """Unknown, closed, suspended: 250, one sealed duty each at a random moment, nothing in their boxes."""
    closed, suspended = await room.patient(), await room.patient("Paul DURAND")
    await room.cellar.accounts.set_state(closed.owner, AccountState.CLOSED)
    await room.cellar.accounts.set_state(suspended.owner, AccountState.SUSPENDED)
    people = [MailAddress.parse(closed.address), MailAddress.parse(suspended.address), ABSENT]
    for number, recipient in enumerate(people):
        raw = mail(f"Message-ID: <{number}@labo.mssante.example>", subject="Sérologie de Claire")
        for _ in range(2):
            assert (await room.receive(raw, recipient)).verdict == Accept()
    duties = await room.tasks(TASK_UNREACHABLE)
    assert len(duties) == 3
    moments = [await room.due_s(duty) for duty in duties]
    assert len(set(moments)) == 3
    assert max(moments) <= 3000
    told: set[str] = set()
    for duty in duties:
        for word in (b"Claire", b"labo", closed.address.encode(), ABSENT.local.encode()):
            assert word not in duty.payload
        fields = seal.open_sealed(room.cellar.private.tasks, duty.payload, b"task %d" % duty.id)
        told.update(address for address, _ in json.loads(fields)[4])
    assert told == {str(one) for one in people}
    assert not await room.stored(closed.owner)
    assert not await room.stored(suspended.owner)


async def test_notices_leave_all_over_the_hour(room: MailRoom) -> None:
    """Thirty absent patients: their notices are spread, not bunched."""
    for number in range(30):
        await room.receive(mail(f"Message-ID: <{number}@labo.mssante.example>"), ABSENT)
    moments = [await room.due_s(duty) for duty in await room.tasks(TASK_UNREACHABLE)]
    assert len({int(moment // 300) for moment in moments}) >= 6


async def test_a_mailbox_that_closed_since_rcpt_is_told_too(room: MailRoom) -> None:
    """Between RCPT and the end of DATA a professional leaves: accepted, nobody's, and the sender hears."""
    doctor = await room.professional("dr.house")
    await room.cellar.accounts.set_state(doctor, AccountState.CLOSED)
    assert (await room.receive(mail(), "dr.house")).verdict == Accept()
    assert [duty.kind for duty in await room.tasks()] == [TASK_UNREACHABLE]


async def test_what_was_kept_for_nobody_opens_for_nobody(room: MailRoom) -> None:
    """The bytes that stand for an absent patient are under a key that nobody has."""
    await room.receive(mail(), ABSENT)
    (duty,) = await room.tasks(TASK_UNREACHABLE)
    (stored,) = await room.stored(duty.owner)  # type: ignore[arg-type]
    for pair in (room.cellar.private.tasks, room.cellar.private.held, room.cellar.private.outbound):
        with pytest.raises(SealBroken):
            seal.open_sealed(pair, stored.key.key, b"intake key %d/%d" % (duty.owner, stored.key.epoch))


class Work:
    """What was done, counted: seals, files, transactions, statements."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    @contextmanager
    def counted(self, room: MailRoom, patch: pytest.MonkeyPatch) -> Iterator[None]:
        def counting(name: str, act: Any) -> Any:
            def counted(*arguments: Any, **more: Any) -> Any:
                self.counts[name] += 1
                return act(*arguments, **more)

            return counted

        def statement(*details: Any) -> None:
            self.counts[re.sub(r"[:$]\w+", "?", details[2])] += 1

        with patch.context() as only_here:
            for name in ("seal_to", "encrypt_object", "encrypt_pieces"):
                only_here.setattr(seal, name, counting(name, getattr(seal, name)))
            only_here.setattr(room.cellar.bodies, "put_pieces", counting("file", room.cellar.bodies.put_pieces))
            only_here.setattr(room.store, "write", counting("transaction", room.store.write))
            event.listen(Engine, "before_cursor_execute", statement)
            try:
                yield
            finally:
                event.remove(Engine, "before_cursor_execute", statement)


@pytest.mark.parametrize("body", ["Bonjour.\r\n", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("times", [1, 2], ids=["first", "again"])
async def test_an_absent_patient_costs_what_a_present_one_costs(
    room: MailRoom, monkeypatch: pytest.MonkeyPatch, body: str, times: int
) -> None:
    """The same seals, files, transactions and statements, for one and for three, so that time tells nothing."""
    present = [await room.patient(name) for name in ("Claire MARTIN", "Paul DURAND", "Ana LOPEZ")]
    absent = [f"2790355555550{n:02d}@{PATIENTS}" for n in range(3)]
    works = []
    for people in ([one.address for one in present], absent):
        work = Work()
        for round_ in range(times):
            with work.counted(room, monkeypatch):
                await room.receive(mail(f"X-Round: {round_}", body=body), people[0])
                await room.receive(mail(f"X-Round: {round_}", body=body), *people)
        works.append(work.counts)
    assert works[0] == works[1]
    assert works[0]["transaction"] == 4 * times
    assert works[0]["seal_to"] >= 4
    if body == LARGE:
        assert works[0]["file"] == 4 * times
