"""What nobody needs goes after its grace; what somebody may need stays, whatever happens in between."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from obstore.store import MemoryStore
from sqlalchemy import select

from mss.mail.counting import Counting
from mss.mail.delivery import TASK_RESEAL
from mss.model.clock import to_ms
from mss.model.ids import OwnerId, lane_of
from mss.model.mailbox import SpecialUse
from mss.store import folders, indicators, messages, schema, tasks, unanswered
from mss.store.blobs import LocalBodies, ObjectBodies, place_of
from mss.store.housekeeping import GRACE_MS, Housekeeping, Swept
from mss.store.messages import MessageState
from mss.store.sql import Connection
from mss.store.tasks import NewTask
from mss.store.unanswered import Waiting
from tests.kit.mailroom import LARGE, MailRoom, mail

GRACE_S = GRACE_MS / 1000


class Scene:
    """A doctor's mailbox, and bodies in files that are as old as the clock says."""

    def __init__(self, room: MailRoom) -> None:
        self.room = room
        self.bodies = room.cellar.bodies
        self.keeping = Housekeeping(room.store, self.bodies, room.clock, idle_tasks=(TASK_RESEAL,))
        self._count = 0

    async def letter(self, owner: OwnerId, *, large: bool = True) -> int:
        """A mail to her, of which the body is a file of its own; its number."""
        self._count += 1
        before = {one.message for one in await self.room.stored(owner)}
        raw = mail(f"Message-ID: <{self._count}@labo.mssante.example>", body=LARGE if large else "x\r\n")
        await self.room.receive(raw, "dr.house")
        (number,) = {one.message for one in await self.room.stored(owner)} - before
        self.age()
        return number

    def age(self) -> None:
        now_s = self.room.clock.now().timestamp()
        for path in self.files():
            if path.stat().st_mtime > now_s:
                os.utime(path, (now_s, now_s))

    def files(self) -> list[Path]:
        assert isinstance(self.bodies, LocalBodies)
        return [path for path in self.bodies._directory.rglob("*") if path.is_file()]

    async def expunge(self, owner: OwnerId, *numbers: int) -> None:
        """Deleted for good by its reader."""

        def act(connection: Connection) -> None:
            inbox = folders.folder_by_use(connection, owner, SpecialUse.INBOX)
            assert inbox is not None
            found = {one: folders.uid_of(connection, owner, inbox.folder, one) for one in numbers}
            uids = [uid for uid in found.values() if uid]
            folders.expunge(connection, owner, inbox.folder, uids, 0, only_deleted=False)

        await self.room.store.write(lane_of(owner), act)

    async def pass_grace(self) -> Swept:
        self.room.clock.forward(GRACE_S + 1)
        return await self.keeping.round()

    async def change(self, owner: OwnerId, act: Callable[[Connection], object]) -> None:
        await self.room.store.write(lane_of(owner), act)

    async def numbers(self, owner: OwnerId) -> set[int]:
        return {one.message for one in await self.room.stored(owner)}


@pytest.fixture
def scene(room: MailRoom) -> Scene:
    return Scene(room)


async def test_what_its_reader_deleted_goes_after_two_graces_row_first(scene: Scene) -> None:
    """Marked when it has been here for a grace, its rows deleted after another, its body after one more; what is in a
    folder stays. Each deletion is in the audit."""
    owner = await scene.room.professional("dr.house")
    going, staying = await scene.letter(owner), await scene.letter(owner)
    await scene.expunge(owner, going)
    assert await scene.keeping.round() == Swept(), "too young"
    assert await scene.pass_grace() == Swept(marked=1)
    assert await scene.keeping.round() == Swept()
    assert await scene.numbers(owner) == {going, staying}
    assert await scene.pass_grace() == Swept(messages=1)
    assert await scene.keeping.round() == Swept(marked=1), "now its body is nobody's"
    assert await scene.numbers(owner) == {staying}
    assert len(scene.files()) == 2, "a copy of the database may still name it"
    assert await scene.pass_grace() == Swept(bodies=1)
    assert len(scene.files()) == 1
    assert await scene.pass_grace() == Swept()
    query = select(schema.audit.c.act, schema.audit.c.object).where(schema.audit.c.actor == "housekeeping")
    told = await scene.room.store.read(lambda c: [tuple(row) for row in c.execute(query.order_by(schema.audit.c.seq))])
    assert [act for act, _ in told] == ["mail.swept", "body.swept"]
    assert told[0][1] == going
    assert await scene.room.trace("<1@labo.mssante.example>") == ["mail.received", "mail.swept"]
    await Counting(scene.room.store).catch_up()
    counts = await scene.room.store.read(lambda c: indicators.totals(c, 20260101, 20261231))
    assert {one.what: n for one, n in counts if "swept" in one.what} == {"mail.swept": 1, "body.swept": 1}


@pytest.mark.parametrize("how", ["pending", "in a conversation", "a duty is owed", "named by a decision", "unanswered"])
async def test_what_only_looks_deserted_stays(scene: Scene, how: str) -> None:
    """In no folder, and yet somebody's."""
    owner = await scene.room.professional("dr.house")
    number = await scene.letter(owner)
    await scene.expunge(owner, number)
    M, H = schema.message, schema.metadata.tables["held"]
    at = {"lane": lane_of(owner), "owner": owner}
    duty = NewTask(7, "feed", b"{}", to_ms(scene.room.clock.now()))
    held = at | {"id": 9, "state": "filed", "message": number, "reason": "x", "code": 0, "message_id_hmac": b""}
    acts: dict[str, Callable[[Connection], object]] = {
        "pending": lambda c: messages.set_state(c, owner, number, MessageState.PENDING),
        "in a conversation": lambda c: c.execute(M.update().where(M.c.message == number).values(conversation=3)),
        "a duty is owed": lambda c: tasks.add_task(c, owner, duty),
        "unanswered": lambda c: unanswered.begin(c, owner, number, Waiting(b"zoe", frozenset()), 0),
        "named by a decision": lambda c: c.execute(H.insert(), held | {"held_ms": 0, "detail_sealed": b""}),
    }
    await scene.change(owner, acts[how])
    for _ in range(3):
        assert await scene.pass_grace() == Swept()
    assert await scene.numbers(owner) == {number}


async def test_what_is_taken_up_again_before_its_end_is_unmarked(scene: Scene) -> None:
    """Marked in vain: its grace begins anew, should it be left again."""
    owner = await scene.room.professional("dr.house")
    number = await scene.letter(owner)
    await scene.expunge(owner, number)
    assert await scene.pass_grace() == Swept(marked=1)
    duty = NewTask(7, "feed", b"{}", to_ms(scene.room.clock.now()))
    await scene.change(owner, lambda c: tasks.add_task(c, owner, duty))
    assert await scene.pass_grace() == Swept(unmarked=1)
    await scene.change(owner, lambda c: tasks.finish(c, schema.task, owner, [7]))
    assert await scene.pass_grace() == Swept(marked=1)
    assert await scene.numbers(owner) == {number}


async def test_a_body_without_a_row_goes_and_nothing_else_that_lies_there(scene: Scene) -> None:
    """A crash came between body and row. Young bodies, files of another name, and bodies with rows stay."""
    owner = await scene.room.professional("dr.house")
    kept = await scene.letter(owner)
    lost = place_of(lane_of(owner), owner, 77)
    await scene.bodies.put(lost, b"sealed")
    await scene.bodies.put(f"{lane_of(owner):04d}/001/notes.txt", b"somebody's")
    await scene.bodies.put(f"{lane_of(owner):04d}/001/{owner:x}-4d", b"not where it belongs")
    scene.age()
    files = len(scene.files())
    assert await scene.pass_grace() == Swept(marked=1)
    young = place_of(lane_of(owner), owner, 78)
    await scene.bodies.put(young, b"just written, its row is on the way")
    assert await scene.pass_grace() == Swept(bodies=1)
    assert len(scene.files()) == files
    assert await scene.bodies.get(young) != b""
    assert await scene.numbers(owner) == {kept}


async def test_a_crash_between_row_and_body_is_made_good(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mark is gone with the commit, the file still there: it is found and marked again."""
    owner = await scene.room.professional("dr.house")
    await scene.bodies.put(place_of(lane_of(owner), owner, 77), b"sealed")
    scene.age()
    assert await scene.pass_grace() == Swept(marked=1)

    async def dies(_place: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as crash:
        crash.setattr(scene.bodies, "delete", dies)
        with pytest.raises(KeyboardInterrupt):
            await scene.pass_grace()
    assert len(scene.files()) == 1
    assert await scene.keeping.round() == Swept(marked=1)
    assert await scene.pass_grace() == Swept(bodies=1)
    assert scene.files() == []


async def test_objects_are_looked_through_like_files(room: MailRoom) -> None:
    """In S3 or its kin, where a large body is written in parts."""
    bodies = ObjectBodies(MemoryStore())
    owner = await room.professional("dr.house")
    lost = place_of(lane_of(owner), owner, 77)
    await bodies.put_pieces(lost, (b"x" * 1_000_000 for _ in range(12)))
    assert len(await bodies.get(lost)) == 12_000_000
    room.clock.at = datetime.now(UTC)  # by which the store of objects dates them
    keeping = Housekeeping(room.store, bodies, room.clock)
    for done in (Swept(marked=1), Swept(bodies=1), Swept()):
        room.clock.forward(GRACE_S + 1)
        assert await keeping.round() == done
