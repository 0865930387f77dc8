"""A full mailbox takes mail again once its holder has made room."""

from __future__ import annotations

import pytest

from mss.imap.backend import FolderProblem, FolderRefused, NewMessage
from mss.imap.commands import Flags, StoreMode
from mss.model.clock import ManualClock
from mss.model.ids import lane_of
from mss.model.mailbox import Flag
from mss.store import owners
from tests.kit.imap_house import DOCTOR, Keeper, letter

ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
DELETED = (StoreMode.ADD, Flags(Flag.DELETED))


@pytest.mark.parametrize("keeper", ENGINES, indirect=True)
async def test_what_is_deleted_for_good_no_longer_counts(keeper: Keeper, clock: ManualClock) -> None:
    """Once no folder holds it: copies count once, a deleted folder frees what it held."""
    box, store = keeper.boxes[DOCTOR], keeper.store
    inbox, archive = [await store.folder(box, name) for name in ("INBOX", "Archives")]
    size = len(letter(1))
    uids = [await store.append(inbox, NewMessage(letter(number), Flags(0), clock.now())) for number in range(1, 4)]
    await store.copy(inbox, uids[:1], archive)
    assert (await store.quota(box))[0] == 3 * size
    await store.change_flags(inbox, uids, *DELETED)
    assert await store.expunge(inbox, uids[:2]) == uids[:2]
    assert (await store.quota(box))[0] == 2 * size  # the copy still stands
    moved = await store.create(box, "Tri")
    await store.move(inbox, uids[2:], moved)
    assert (await store.quota(box))[0] == 2 * size
    await store.delete(await store.folder(box, "Tri"))
    await store.change_flags(archive, [1], *DELETED)
    await store.expunge(archive, [1])
    assert (await store.quota(box))[0] == 0


@pytest.mark.parametrize("keeper", ["sqlite"], indirect=True)
async def test_a_full_mailbox_says_so_until_there_is_room(keeper: Keeper, clock: ManualClock) -> None:
    """OVERQUOTA, and after an EXPUNGE not any more."""
    box, store = keeper.boxes[DOCTOR], keeper.store
    inbox = await store.folder(box, "INBOX")
    keeping = store._store  # type: ignore[attr-defined]
    await keeping.write(lane_of(box.owner), lambda c: owners.set_quota(c, box.owner, len(letter(1))))
    new = NewMessage(letter(1), Flags(0), clock.now())
    uid = await store.append(inbox, new)
    with pytest.raises(FolderRefused) as refused:
        await store.append(inbox, new)
    assert refused.value.problem is FolderProblem.OVER_QUOTA
    await store.change_flags(inbox, [uid], *DELETED)
    await store.expunge(inbox, [uid])
    await store.append(inbox, new)
