"""Several processes change one mailbox on PostgreSQL: they wait for each other, and never in a ring."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import text, update
from structlog.testing import capture_logs

from mss.imap.backend import Box, Folder, NewMessage
from mss.imap.commands import Flags, StoreMode
from mss.imap.mailacts import CellarMailStore
from mss.model.mailbox import Flag, SpecialUse
from mss.model.verdict import Accept
from mss.store import schema
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.sql import Connection
from tests.kit.mailroom import MailRoom, mail
from tests.kit.people import Cellar

ROUNDS = 20
SOON = "20ms"
"""How long PostgreSQL waits before it looks for a ring (a second by itself)."""


@dataclass
class Houses:
    """An edge that takes mail in, and two desks, each a process of its own as far as the database can see."""

    room: MailRoom
    desks: list[CellarMailStore]
    box: Box

    async def folder(self, use: SpecialUse) -> Folder:
        return next(one for one in await self.desks[0].folders(self.box) if one.special_use == use)


@pytest.fixture
async def houses(room: MailRoom) -> AsyncIterator[Houses]:
    if room.store.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    below = room.cellar
    name = room.store.url.rpartition("/")[2].partition("?")[0]
    await room.store.write(0, lambda c: c.execute(text(f"ALTER DATABASE \"{name}\" SET deadlock_timeout = '{SOON}'")))
    owner = await room.professional("dr.house")
    stores = [Store.open(room.store.url) for _ in range(3)]
    room.store = stores[0]  # connections made from now on know the shorter wait
    room.restart()
    desks = [_desk(replace(below, store=store)) for store in stores[1:]]
    try:
        yield Houses(room, desks, Box(owner, owner, "dr.house@chu.mssante.example"))
    finally:
        for store in stores:
            await store.close()


def _desk(below: Cellar) -> CellarMailStore:
    bus, lookup = ChangeBus("desk"), below.public.lookup
    return CellarMailStore(below.store, below.opener, below.bodies, bus, lookup, below.clock, below.chance)


async def test_mail_that_comes_and_mail_that_is_put_in_never_wait_in_a_ring(houses: Houses) -> None:
    """Delivery, APPEND, moves to and fro, flags, expunge on one mailbox: all is done, nothing is sent back."""
    inbox, sent, trash = [await houses.folder(use) for use in (SpecialUse.INBOX, SpecialUse.SENT, SpecialUse.TRASH)]
    first, second = houses.desks

    async def comes(number: int) -> None:
        receipt = await houses.room.receive(mail(f"Message-ID: <{number}@labo.mssante.example>"), "dr.house")
        assert receipt.verdict == Accept()

    async def is_put_in(number: int) -> None:
        await first.append(
            inbox, NewMessage(mail(f"Message-ID: <own{number}@chu.mssante.example>"), Flags(0, ()), None)
        )

    async def goes(desk: CellarMailStore, source: Folder, target: Folder) -> None:
        state = await desk.snapshot(source)
        await desk.move(source, list(state.uids)[-3:], target)

    async def is_deleted(_: int) -> None:
        state = await first.snapshot(trash)
        last = list(state.uids)[-1:]
        await first.change_flags(trash, last, StoreMode.ADD, Flags(Flag.DELETED, ("Fait",)))
        await first.expunge(trash, last)

    acts: list[Callable[[int], Awaitable[None]]] = [
        comes,
        is_put_in,
        is_deleted,
        lambda _: goes(first, inbox, sent),
        lambda _: goes(second, sent, inbox),
        lambda _: goes(second, inbox, trash),
    ]
    with capture_logs() as logs:
        await asyncio.gather(*(_often(act) for act in acts))
    assert [one for one in logs if one["event"] == "store.sent-back"] == []


async def _often(act: Callable[[int], Awaitable[None]]) -> None:
    for number in range(ROUNDS):
        await act(number)


async def test_an_act_that_was_sent_back_begins_again(houses: Houses) -> None:
    """Two acts that do lock in a ring: PostgreSQL sends one back, the writer begins it again, both are done once."""
    table = schema.house
    stores = [houses.room.store, houses.desks[0]._store]
    begun = [0, 0]

    async def make(name: str) -> None:
        await stores[0].write(0, lambda c: c.execute(table.insert(), {"name": name, "value": b""}))

    for name in ("a", "b"):
        await make(name)

    def act(mine: int) -> Callable[[Connection], None]:
        def lock(connection: Connection) -> None:
            begun[mine] += 1
            names = ("a", "b") if mine == 0 else ("b", "a")
            for name in names:
                longer = table.c.value.op("||")(b"x%d" % mine)
                connection.execute(update(table).where(table.c.name == name).values(value=longer))
                if begun[mine] == 1 and name == names[0]:
                    connection.execute(text("SELECT pg_sleep(0.3)"))  # so that the other has its first row as well

        return lock

    with capture_logs() as logs:
        await asyncio.gather(*(store.write(lane, act(lane)) for lane, store in enumerate(stores)))
    assert sorted(begun) == [1, 2]
    assert [one["turns"] for one in logs if one["event"] == "store.sent-back"] == [1]
    values = await stores[0].read(lambda c: [bytes(row.value) for row in c.execute(table.select()) if row.name in "ab"])
    assert sorted(len(value) for value in values) == [4, 4], "each act once"
