"""What do staff see of corrections? The list, one with its words, its report, the evidence; each look written down."""

from __future__ import annotations

from dataclasses import dataclass

from mss.bridge.incident import Incident, gather
from mss.bridge.items import Items
from mss.crypto.keys import Lookup
from mss.crypto.seal import KeyPair
from mss.model.clock import Clock
from mss.model.errors import NotFound
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.record.service import DocumentView, Records, came_under
from mss.store import audit, corrections, owners, patients, records
from mss.store.corrections import Correction
from mss.store.database import Store
from mss.store.sql import Connection
from mss.vault.opener import Opener, open_house

LISTED_MAX = 500
"""Corrections on one list; there are a few in a month."""


def correction_context(number: int) -> bytes:
    """What binds sealed words to their row."""
    return b"correction %d" % number


@dataclass(frozen=True, slots=True)
class Opened:
    """A correction with the words of whoever proposed it."""

    row: Correction
    why: str

    @property
    def items(self) -> Items:
        return Items.from_bytes(self.row.items)


class Book:
    """Opens. Needs the house's private `held` key."""

    def __init__(
        self, store: Store, held: KeyPair, opener: Opener, kept: Records, lookup: Lookup, domain: str, clock: Clock
    ) -> None:
        """`domain`: of the patients' addresses."""
        self._lookup = lookup
        self._domain = domain
        self._store = store
        self._held = held
        self._opener = opener
        self._records = kept
        self._clock = clock

    async def listed(self) -> list[Opened]:
        """The newest first."""
        rows = await self._store.read(lambda c: corrections.list_corrections(c, LISTED_MAX))
        return [self._opened(row) for row in rows]

    async def one(self, number: int) -> Opened:
        """Raises NotFound."""
        row = await self._store.read(lambda c: corrections.correction(c, number))
        if row is None:
            raise NotFound("correction")
        return self._opened(row)

    def _opened(self, row: Correction) -> Opened:
        return Opened(row, open_house(self._held, row.detail_sealed, correction_context(row.id)).decode())

    async def record_at(self, address: str) -> OwnerId:
        """The record of a patient's address, or of the INS in it. Raises NotFound, BadValue."""
        typed = address.strip()
        named = MailAddress.parse(typed if "@" in typed else f"{typed.replace(' ', '')}@{self._domain}")
        hashed = self._lookup.address(named.key)
        owner = await self._store.read(lambda c: owners.find(c, hashed))
        if owner is None or await self._store.read(lambda c: patients.patient(c, owner)) is None:
            raise NotFound("patient")
        return owner

    async def record_of(self, document: int) -> OwnerId:
        """In whose record a document stands. Raises NotFound."""
        owner = await self._store.read(lambda c: corrections.owner_of_document(c, document))
        if owner is None:
            raise NotFound("document")
        return OwnerId(owner)

    async def documents(self, owner: OwnerId, actor: str) -> list[dict[str, str]]:
        """Raises NotFound."""
        if await self._store.read(lambda c: patients.patient(c, owner)) is None:
            raise NotFound("patient")
        keys = await self._opener.open(owner, actor, "look for what lies wrong")
        look = audit.Act(self._clock.now(), actor, "record.looked-through", owner)
        await self._store.write(lane_of(owner), lambda c: audit.write(c, [look]))
        rows = await self._store.read(lambda c: records.documents(c, owner))
        views = [self._records.view(keys, row) for row in rows]
        return [
            {
                "id": str(view.number),
                "status": str(view.status),
                "filed_at": view.filed_at.isoformat(timespec="seconds"),
                "title": view.entry.title,
            }
            for view in views
        ]

    async def incident(self, number: int, actor: str) -> Incident:
        """Raises NotFound."""
        opened = await self.one(number)
        found = await self._store.read(lambda c: gather(c, opened.row, opened.why))
        row = opened.row
        look = audit.Act(self._clock.now(), actor, "record.incident", row.owner, row.id, row.message_id_hmac)
        await self._store.write(lane_of(row.owner), lambda c: audit.write(c, [look]))
        return found

    async def evidence(self, number: int, document: int, actor: str) -> tuple[DocumentView, bytes]:
        """Raises NotFound, also for a document that this correction did not take out."""
        opened = await self.one(number)
        if document not in {item.number for item in opened.items.documents if not item.is_older}:
            raise NotFound("document")
        owner = OwnerId(opened.row.owner)
        keys = await self._opener.open(owner, actor, "evidence")
        view, row = await self._records.evidence(keys, document)

        def look(connection: Connection) -> None:
            hashed = came_under(connection, owner, row)
            act = audit.Act(self._clock.now(), actor, "record.looked", owner, document, hashed, f"{number}")
            audit.write(connection, [act])

        await self._store.write(lane_of(owner), look)
        return view, await self._records.content(keys, row)
