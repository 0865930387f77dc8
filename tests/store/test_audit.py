"""The audit chain: every edit, deletion, insertion, swap and truncation shows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete, select, update

from mss.model.ids import OwnerId, lane_of
from mss.store import audit, schema
from mss.store.audit import Act
from mss.store.sql import Connection
from tests.kit.people import Cellar

A = schema.audit


async def fill(house: Cellar, owner: OwnerId, count: int = 6) -> None:
    for number in range(count):
        act = Act(house.clock.now(), "test", "thing", owner, number, b"m", f"result {number}")
        await house.store.write(lane_of(owner), lambda c, a=act: audit.write(c, [a]))  # type: ignore[misc]


async def test_a_whole_chain_is_whole(house: Cellar, owner: OwnerId) -> None:
    """Rows of several owners, no break."""
    await fill(house, owner)
    await fill(house, await house.professional("autre@ville.mssante.example"))
    count, breaks = await house.store.read(audit.verify)
    assert count >= 12
    assert breaks == []


async def test_a_long_name_is_cut_before_it_is_chained(house: Cellar, owner: OwnerId) -> None:
    """A certificate's subject may be longer than its column; the chain covers what is kept."""
    act = Act(house.clock.now(), "CN=" + "x" * 300, "thing", owner, result="y" * 300)
    await house.store.write(lane_of(owner), lambda c: audit.write(c, [act]))
    assert (await house.store.read(audit.verify))[1] == []


def edit(connection: Connection, lane: int) -> None:
    connection.execute(update(A).where(A.c.lane == lane, A.c.seq == 3).values(result="nothing happened"))


def remove(connection: Connection, lane: int) -> None:
    connection.execute(delete(A).where(A.c.lane == lane, A.c.seq == 3))


def truncate(connection: Connection, lane: int) -> None:
    last = connection.execute(select(A.c.seq).where(A.c.lane == lane).order_by(A.c.seq.desc()).limit(1)).scalar_one()
    connection.execute(delete(A).where(A.c.lane == lane, A.c.seq == last))


def swap(connection: Connection, lane: int) -> None:
    rows = connection.execute(select(A).where(A.c.lane == lane, A.c.seq.in_([3, 4])).order_by(A.c.seq)).all()
    for row, other in ((rows[0], rows[1]), (rows[1], rows[0])):
        connection.execute(update(A).where(A.c.lane == lane, A.c.seq == row.seq).values(result=other.result))


def redate(connection: Connection, lane: int) -> None:
    connection.execute(update(A).where(A.c.lane == lane, A.c.seq == 2).values(at_ms=A.c.at_ms + 1))


@pytest.mark.parametrize("tamper", [edit, remove, truncate, swap, redate])
async def test_tampering_shows(house: Cellar, owner: OwnerId, tamper: Callable[[Connection, int], None]) -> None:
    """Somebody with the database in his hands leaves a break."""
    await fill(house, owner)
    lane = lane_of(owner)
    await house.store.write(lane, lambda c: tamper(c, lane))
    _, breaks = await house.store.read(audit.verify)
    assert breaks
    assert all(f"lane {lane}" in line for line in breaks)


async def test_a_checkpoint_binds_the_heads(house: Cellar, owner: OwnerId) -> None:
    """The signed text names every head; a rewritten chain no longer fits it."""
    await fill(house, owner)
    key = Ed25519PrivateKey.generate()
    text = await house.store.read(lambda c: audit.signed_heads(c, house.clock.now(), key))
    body, _, signature = text.rpartition(b"signature ")
    key.public_key().verify(bytes.fromhex(signature.decode().strip()), body)
    await fill(house, owner, 1)
    later = await house.store.read(lambda c: audit.signed_heads(c, house.clock.now(), key))
    assert later != text


async def test_the_journey_of_a_message_is_found_by_its_hash(house: Cellar, owner: OwnerId) -> None:
    """In the order of time, whatever the lane."""
    await fill(house, owner, 3)
    found = await house.store.read(lambda c: audit.by_message_id(c, b"m"))
    assert [row.act.result for row in found] == ["result 0", "result 1", "result 2"]
