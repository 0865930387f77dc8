"""A directory with mailboxes of its own operator, without the mailboxes: what is said of them, and who reads it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from mss.crypto import seal
from mss.crypto.keys import Lookup
from mss.crypto.seal import KeyPair
from mss.directory import ownfacts
from mss.directory.correspondence import CorrespondenceReader
from mss.directory.imports import Imports
from mss.directory.keys import Question
from mss.directory.ours import OwnMailboxes
from mss.directory.own import Own
from mss.directory.search import Search
from mss.model.clock import ManualClock, SystemChance
from mss.model.directory import Listing
from mss.model.ids import MailAddress
from mss.model.mailbox import MailboxKind
from mss.store.database import Store
from tests.kit.databases import with_tables
from tests.kit.fhirdoor import LOOKUP, PEOPLE
from tests.kit.frenchpeople import finess, rpps

CAMILLE, JEAN = "8" + rpps(1), "8" + rpps(3)
HOSPITAL = "1" + finess(90)
CARDIO = MailAddress.parse("cardio@chu.mssante.example")


@dataclass
class OwnHouse:
    """What is said here, and how it reads."""

    store: Store
    folder: Path
    clock: ManualClock
    ours: OwnMailboxes
    pair: KeyPair
    lookup: Lookup

    async def take(self, lines: Sequence[str], day: str = "20251201") -> None:
        """Import a national file."""
        file = self.folder / f"Extraction_{day}.txt"
        file.write_text("\n".join(lines), encoding="utf-8")
        service = Imports(self.store, self.folder / "work", self.clock)
        await service.take(file, CorrespondenceReader(), lambda *_: None, accepts_losses=True)

    async def begin(self, own: Own) -> None:
        """A mailbox comes into being."""
        now = self.clock.now()
        await self.store.write(0, lambda c: ownfacts.begin(c, self.lookup, own, now, "staff"))

    async def lives(self, address: MailAddress, *, takes_mail: bool) -> None:
        hashed, now = self.lookup.address(address.key), self.clock.now()
        await self.store.write(0, lambda c: ownfacts.lives(c, hashed, now, "staff", takes_mail=takes_mail))

    async def at(self, address: MailAddress | str) -> tuple[Listing, ...]:
        return tuple(one.listing for one in await Search(self.store).at(str(address)))

    async def found(self, **question: str) -> set[str]:
        """Addresses that a search finds."""
        page = await Search(self.store).find(Question(**question))  # type: ignore[arg-type]
        return {one.listing.address for one in page.found}


def team(address: str = str(CARDIO), idnst: str = HOSPITAL, **said: object) -> Own:
    return Own(address, MailboxKind.ORGANISATIONAL, idnst=idnst, **said)  # type: ignore[arg-type]


@asynccontextmanager
async def own_house(url: str, folder: Path, lines: Sequence[str] = PEOPLE) -> AsyncIterator[OwnHouse]:
    """An empty house over a national file."""
    await with_tables(url)
    store, clock, chance = Store.open(url), ManualClock(), SystemChance()
    pair = seal.new_pair(chance)
    house = OwnHouse(store, folder, clock, OwnMailboxes(store, LOOKUP, pair.public, clock, chance), pair, LOOKUP)
    try:
        if lines:
            await house.take(lines)
        yield house
    finally:
        await store.close()
