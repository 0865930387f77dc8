"""Is there room on the disk for another message? Asked before MAIL, so that nobody sends 25 MB in vain.

The answer is a second old at most and mends itself: once there is room again, mail is taken again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from mss.model.clock import Clock
from mss.smtp import journal

MESSAGES_FREE_MIN = 1.5
"""So many of the largest messages must fit: one, and what its rows, log and copies take beside it."""
INODES_FREE_MIN = 1000
"""Large bodies are files; so is what the database, the journal and an administrator need to get out of trouble."""
ANSWER_S = 1.0
"""How long an answer counts: a question to the kernel for each message would be one for nothing."""


class DiskSpace:
    """Free octets and inodes below some directories."""

    def __init__(
        self,
        folders: Sequence[Path],
        message_octets_max: int,
        clock: Clock,
        ask: Callable[[Path], os.statvfs_result] = os.statvfs,
    ) -> None:
        self._folders = folders
        self._octets_free_min = int(MESSAGES_FREE_MIN * message_octets_max)
        self._clock = clock
        self._ask = ask
        self._until_s = float("-inf")
        self._has_room = True

    def has_room(self) -> bool:
        """Whether another message of the largest size may come."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._until_s:
            self._until_s = now_s + ANSWER_S
            had_room, self._has_room = self._has_room, all(map(self._is_free, self._folders))
            if had_room is not self._has_room:
                journal.disk(has_room=self._has_room)
        return self._has_room

    def _is_free(self, folder: Path) -> bool:
        try:
            disk = self._ask(folder)
        except OSError:
            return False  # a disk that cannot be asked cannot be written to
        has_inodes = disk.f_files == 0 or disk.f_favail >= INODES_FREE_MIN  # some file systems count none
        return has_inodes and disk.f_bavail * disk.f_frsize >= self._octets_free_min
