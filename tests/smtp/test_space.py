"""Is nobody asked to send what the disk cannot hold, and does mail come again by itself once it can?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mss.model.clock import ManualClock
from mss.smtp.space import DiskSpace
from tests.kit.smtp_wire import DOCTOR, LAB_SENDER, MESSAGE, PASSWORD, SmtpHouse
from tests.smtp.dialogue import plain

MESSAGE_MAX = 1_000_000
HERE = Path("state")


def disk(octets: int, inodes: int = 1_000_000, *, counts_inodes: bool = True) -> os.statvfs_result:
    """A file system with so much left, in blocks of 512."""
    blocks = octets // 512
    files = 2_000_000 if counts_inodes else 0
    return os.statvfs_result((4096, 512, 10**9, blocks + 500, blocks, files, inodes + 50, inodes, 0, 255))


@pytest.mark.parametrize(
    ("left", "has_room"),
    [
        (disk(1_500_000 + 511), True),
        (disk(1_499_000), False),
        (disk(10**9, 999), False),
        (disk(10**9, 1000), True),
        (disk(10**9, 0, counts_inodes=False), True),
    ],
)
def test_one_and_a_half_messages_and_some_inodes(
    clock: ManualClock, left: os.statvfs_result, *, has_room: bool
) -> None:
    """What only root may use is not counted; some file systems count no inodes."""
    assert DiskSpace([HERE], MESSAGE_MAX, clock, lambda _: left).has_room() is has_room


def test_the_real_disk_is_asked(clock: ManualClock, tmp_path: Path) -> None:
    """Here there is room; where there is no disk there is none."""
    assert DiskSpace([tmp_path], 1, clock).has_room()
    assert not DiskSpace([tmp_path, tmp_path / "gone"], 1, clock).has_room()


def test_an_answer_is_a_second_old_at_most(clock: ManualClock) -> None:
    """The kernel is not asked for each message, and a disk that was freed is noticed at once."""
    left, asked = [disk(0)], []

    def ask(folder: Path) -> os.statvfs_result:
        asked.append(folder)
        return left[0]

    space = DiskSpace([HERE], MESSAGE_MAX, clock, ask)
    assert not any(space.has_room() for _ in range(100))
    left[0] = disk(10**9)
    clock.forward(1.01)
    assert all(space.has_room() for _ in range(100))
    assert len(asked) == 2


async def test_a_full_disk_is_told_before_anything_is_sent(house: SmtpHouse) -> None:
    """452 4.3.1 at MAIL, at both doors; the connection goes on when there is room. Strangers hear nothing of it."""
    peer, user = await house.peer(), await house.visitor("submissions")
    await user.ask("EHLO poste")
    assert (await user.ask(f"AUTH PLAIN {plain(DOCTOR, PASSWORD)}")).code == 235
    house.disk_is_full = True
    stranger = await house.visitor("submissions")
    await stranger.ask("EHLO poste")
    assert (await stranger.ask(f"MAIL FROM:<{DOCTOR}>")).code == 530
    for client, sender in ((peer, LAB_SENDER), (user, DOCTOR)):
        assert str(await client.ask(f"MAIL FROM:<{sender}>")) == "452 4.3.1 Not enough room, try again later"
        assert (await client.ask(f"RCPT TO:<{DOCTOR}>")).code == 503
    house.disk_is_full = False
    for client, sender in ((peer, LAB_SENDER), (user, DOCTOR)):
        assert (await client.send(MESSAGE, sender=sender)).code == 250
    for client in (peer, user, stranger):
        await client.close()
