"""Group commit: everybody waits together, the guilty one fails alone, nothing is answered before it is durable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError, OperationalError

from mss.model.errors import BadValue, StorageUnavailable
from mss.store import schema
from mss.store.create import create_or_upgrade, versions
from mss.store.database import Store
from mss.store.sql import Connection
from mss.store.writer import Outcome, SqliteWriter, Work
from tests.kit.people import Cellar

H = schema.house


def put(name: str) -> Callable[[Connection], str]:
    def act(connection: Connection) -> str:
        connection.execute(insert(H), {"name": name, "value": b"1"})
        return name

    return act


async def names(house: Cellar) -> set[str]:
    rows = await house.store.read(lambda c: c.execute(select(H.c.name)).scalars().all())
    return set(rows)


async def test_many_writers_share_commits_and_each_gets_his_own_answer(house: Cellar) -> None:
    """300 acts at once: all stand, each future has its own result."""
    answers = await asyncio.gather(*(house.store.write(n % 7, put(f"n{n}")) for n in range(300)))
    assert answers == [f"n{n}" for n in range(300)]
    assert {f"n{n}" for n in range(300)} <= await names(house)


async def test_who_writes_in_one_turn_of_the_loop_is_in_one_commit(
    house: Cellar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first wakes nobody before the others have come: a sync for each of ten mails would be ten."""
    if house.store.dialect != "sqlite":
        pytest.skip("PostgreSQL has a transaction for each lane")
    sizes: list[int] = []
    honest = SqliteWriter._commit

    def counted(self: SqliteWriter, batch: list[Work]) -> list[Outcome]:
        sizes.append(len(batch))
        return honest(self, batch)

    monkeypatch.setattr(SqliteWriter, "_commit", counted)
    await asyncio.gather(*(house.store.write(n, put(f"turn{n}")) for n in range(10)))
    assert sizes == [10]
    await house.store.write(0, put("alone"))
    assert sizes == [10, 1]


async def test_writes_one_after_the_other_keep_their_connection(house: Cellar, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taking it out of its pool for each batch would cost as much as the rows; after a failure it is another."""
    if house.store.dialect != "sqlite":
        pytest.skip("the pool of PostgreSQL serves several lanes")
    taken = 0
    connect = Engine.connect

    def counted(engine: Engine) -> Connection:
        nonlocal taken
        taken += 1
        return connect(engine)

    monkeypatch.setattr(Engine, "connect", counted)
    for number in range(20):
        await house.store.write(0, put(f"one{number}"))
    assert taken <= 1
    with pytest.raises(IntegrityError):
        await house.store.write(0, put("one1"))
    await house.store.write(0, put("and on"))
    assert taken <= 2
    assert "and on" in await names(house)


async def test_only_the_guilty_act_of_a_batch_fails(house: Cellar) -> None:
    """A constraint broken by one act does not take its neighbours along."""
    await house.store.write(0, put("twice"))
    acts = [house.store.write(0, put(name)) for name in ("before", "twice", "after")]
    before, twice, after = await asyncio.gather(*acts, return_exceptions=True)
    assert (before, after) == ("before", "after")
    assert isinstance(twice, IntegrityError)
    assert {"before", "after"} <= await names(house)


async def test_an_error_of_the_act_comes_back_as_it_was(house: Cellar) -> None:
    """The writer does not dress up what the act says."""

    def act(_connection: Connection) -> None:
        raise BadValue("no such thing")

    with pytest.raises(BadValue, match="no such thing"):
        await house.store.write(0, act)
    await house.store.write(0, put("still works"))


async def test_a_cancelled_waiter_does_not_stop_the_writer(house: Cellar) -> None:
    """A client that hangs up leaves the others unharmed."""
    waiting = asyncio.ensure_future(house.store.write(0, put("gone")))
    await asyncio.sleep(0)
    waiting.cancel()
    await house.store.write(0, put("here"))
    assert "here" in await names(house)


async def test_a_reader_sees_one_moment(house: Cellar) -> None:
    """Two questions in one read answer from the same snapshot (SQLite; PostgreSQL reads committed rows)."""
    if house.store.dialect != "sqlite":
        pytest.skip("READ COMMITTED: repositories ask one question where it matters")
    loop = asyncio.get_running_loop()

    def look(connection: Connection) -> tuple[int, int]:
        first = len(connection.execute(select(H)).all())
        asyncio.run_coroutine_threadsafe(house.store.write(0, put("between")), loop).result()
        return first, len(connection.execute(select(H)).all())

    first, second = await house.store.read(look)
    assert first == second


async def test_a_failed_sync_ends_acknowledging_for_good(house: Cellar) -> None:
    """After an input/output error of the disk nothing is promised any more, not even by trying again."""
    if house.store.dialect != "sqlite":
        pytest.skip("PostgreSQL itself panics on a failed sync")

    def act(_connection: Connection) -> None:
        raise OperationalError("COMMIT", {}, Exception("disk I/O error"))

    with pytest.raises(StorageUnavailable):
        await house.store.write(0, act)
    assert house.store.failed
    with pytest.raises(StorageUnavailable):
        await house.store.write(0, put("too late"))


async def test_a_closed_store_takes_nothing(tmp_path: Path) -> None:
    """What is waiting is finished; what comes later is refused."""
    url = f"sqlite:///{tmp_path}/mss.db"
    await create_or_upgrade(url)
    store = Store.open(url)
    last = asyncio.ensure_future(store.write(0, put("last")))
    await asyncio.sleep(0)
    await store.close()
    assert await last == "last"
    with pytest.raises(StorageUnavailable):
        await store.write(0, put("later"))


async def test_two_processes_write_in_turns(tmp_path: Path) -> None:
    """Two stores on one file (as edge and works are) never meet a locked database."""
    url = f"sqlite:///{tmp_path}/mss.db"
    await create_or_upgrade(url)
    edge, works = Store.open(url), Store.open(url)
    acts = [store.write(0, put(f"{name}{n}")) for n in range(200) for name, store in (("e", edge), ("w", works))]
    await asyncio.gather(*acts)
    count = await edge.read(lambda c: len(c.execute(select(H)).all()))
    await asyncio.gather(edge.close(), works.close())
    assert count == 402  # and the rows that every database is born with


@pytest.mark.parametrize("url", ["sqlite://", "mysql://u@h/d", "postgresql://u@h/d"])
def test_a_database_that_we_do_not_speak_is_refused_with_what_to_write(url: str) -> None:
    """The message names the setting."""
    with pytest.raises(BadValue, match="database_url"):
        Store.open(url)


async def test_migrating_twice_changes_nothing(house: Cellar) -> None:
    """`mss db upgrade` may be repeated, and says which version stands."""
    await create_or_upgrade(house.store.url)
    current, newest = await versions(house.store.url)
    assert current == newest != ""
