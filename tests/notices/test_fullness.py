"""A holder hears in time that the mailbox fills: at 80 and 95 per cent, once for each crossing, in French."""

from __future__ import annotations

import pytest

from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.notices.compose import House as Writer
from mss.notices.fullness import FullnessWatch, level
from mss.store import folders, owners
from tests.kit.house import PATIENTS, House

ADDRESS = "dr.plein@chu.mssante.example"
QUOTA = 1_000_000


@pytest.mark.parametrize(
    ("used", "told"), [(0, 0), (799_999, 0), (800_000, 80), (949_999, 80), (950_000, 95), (2_000_000, 95)]
)
def test_the_levels(used: int, told: int) -> None:
    """The highest that is reached."""
    assert level(used, QUOTA) == told
    assert level(used, 0) == 0  # no quota, nothing to tell


async def test_each_crossing_is_told_once_and_again_after_there_was_room(house: House) -> None:
    """Four looks at the same level are one mail; a mailbox that was emptied is told anew."""
    owner = await house.professional(ADDRESS)
    below, store = house.cellar, house.store
    writer = Writer("mail.chu.mssante.example", MailAddress.parse(f"ne-pas-repondre@{PATIENTS}"))
    watch = FullnessWatch(writer, store, below.opener, below.public.lookup, house.house_mail, house.clock)
    await store.write(lane_of(owner), lambda c: owners.set_quota(c, owner, QUOTA))

    async def after(used: int) -> int:
        """Mails in the inbox, after two looks."""
        now = await _used(house, owner)
        await store.write(lane_of(owner), lambda c: owners.add_used(c, owner, used - now))
        house.clock.forward(24 * 3600)
        await watch.look()
        await watch.look()
        found = await store.read(lambda c: folders.folder_by_use(c, owner, "Inbox"))
        assert found is not None
        return found.n_msg

    assert await after(700_000) == 0
    assert await after(800_000) == 1
    assert await after(850_000) == 1
    assert await after(960_000) == 2
    assert await after(100_000) == 2
    assert await after(990_000) == 3


async def _used(house: House, owner: OwnerId) -> int:
    box = await house.store.read(lambda c: owners.mailbox(c, owner))
    assert box is not None
    return box.used_bytes
