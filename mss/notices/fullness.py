"""Who is told that a mailbox fills, and when? Its holder, at 80 and at 95 per cent, once for each crossing.

A look every hour. What was told is kept with the mailbox and forgotten when there is room again, so that the next
crossing is told too; a repeat after a crash is the same message and changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from mss.accounts.service import ADDRESS_KIND, profile_from_bytes
from mss.crypto.keys import Lookup
from mss.mail.letters import PARIS
from mss.mail.submit import HouseMail
from mss.model.clock import Clock
from mss.model.errors import MssError
from mss.model.ids import MailAddress, lane_of
from mss.notices.compose import House
from mss.notices.plain import PlainLetters
from mss.store import fullness, owners
from mss.store.database import Store
from mss.store.owners import MailboxRow
from mss.vault.opener import Opener

LEVELS = (95, 80)
"""Per cent of the quota: time to tidy up, and last call."""
LOOK_EVERY_S = 3600.0
ACTOR = "works"
MEGABYTE = 1_000_000

log = structlog.get_logger("fullness")


def level(used_bytes: int, quota_bytes: int) -> int:
    """The highest level that is reached; 0 when there is room, or no quota."""
    if not quota_bytes:
        return 0
    return next((one for one in LEVELS if used_bytes * 100 >= one * quota_bytes), 0)


def words(address: str, used_bytes: int, quota_bytes: int) -> str:
    """French, then English."""
    used, room = used_bytes / MEGABYTE, quota_bytes / MEGABYTE
    percent = used_bytes * 100 // quota_bytes
    return (
        f"Bonjour,\n\nla boîte {address} est pleine à {percent} % : {used:.1f} Mo sur {room:.1f} Mo.\n"
        "Une fois pleine, elle ne reçoit plus de messages : leurs expéditeurs sont priés de réessayer plus tard.\n"
        "Que faire : supprimez définitivement ce qui n'est plus utile (videz aussi la corbeille), ou demandez à votre"
        " opérateur d'agrandir la boîte.\n\n-- English --\n\n"
        f"The mailbox {address} is {percent} % full: {used:.1f} MB of {room:.1f} MB. Once it is full it takes no more"
        " mail and senders are told to try later. Delete for good what you no longer need (empty the trash too), or"
        " ask your operator for a larger one.\n"
    )


class FullnessWatch:
    """Lives in works."""

    def __init__(
        self, house: House, store: Store, opener: Opener, lookup: Lookup, mail: HouseMail, clock: Clock
    ) -> None:
        self._letters = PlainLetters(house, lookup, mail, clock)
        self._store = store
        self._opener = opener
        self._clock = clock

    async def keep_watch(self) -> None:
        """Look every hour; what cannot be told now is told at the next look."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Tell every holder who is due."""
        try:
            found = await self._store.read(lambda c: fullness.filling(c, min(LEVELS)))
        except MssError as problem:
            log.error("fullness.not-looked", error=type(problem).__name__)
            return
        await self._tell_all(found)

    async def _tell_all(self, found: Sequence[tuple[int, int]]) -> None:
        for owner, told in found:
            try:
                box = await self._store.read(lambda c, owner=owner: owners.mailbox(c, owner))  # type: ignore[misc]
                if box is None:
                    continue
                now = level(box.used_bytes, box.quota_bytes)
                if now > told:
                    await self._tell(box, now)
                if now != told:
                    await self._store.write(
                        lane_of(owner),
                        lambda c, owner=owner, now=now: fullness.remember(c, owner, now),  # type: ignore[misc]
                    )
            except MssError as problem:
                log.error("fullness.not-told", owner=owner, error=type(problem).__name__)

    async def _tell(self, box: MailboxRow, now: int) -> None:
        keys = await self._opener.open(box.owner, ACTOR, "fullness notice")
        address = profile_from_bytes(keys.open_small(ADDRESS_KIND, 0, box.address_sealed)).address
        about = f"fullness {box.owner} {now} {self._clock.now().astimezone(PARIS):%Y-%m-%d}"
        text = words(address, box.used_bytes, box.quota_bytes)
        subject = f"Votre boîte est pleine à {now} %"
        await self._letters.send(box.owner, MailAddress.parse(address), subject, text, about)
        log.info("fullness.told", owner=box.owner, level=now)
