"""What does filing owe to a hospital's own software? Rows, in the transaction that files, and nothing else.

Ids only: what leaves is opened when it leaves (bridge/dossier.py), by whoever may open it then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mss.bridge.routing import Offer, Route, sinks_for
from mss.model.clock import Chance, Clock, to_ms
from mss.model.document import DocumentEntry
from mss.store import handovers
from mss.store.handovers import HandoverAct, NewHandover
from mss.store.ids import new_id
from mss.store.sql import Connection


@dataclass(frozen=True, slots=True)
class Source:
    """The mail that brought a document: whose mailbox keeps it, its number there. `mailbox`: its address, of a
    patient's only `@` and the domain."""

    box: int
    message: int
    message_id_hmac: bytes
    mailbox: str


class Outbox:
    """Lives wherever documents are filed. Without routes it writes nothing."""

    def __init__(self, routes: Iterable[Route], clock: Clock, chance: Chance) -> None:
        self._routes = tuple(routes)
        self._clock = clock
        self._chance = chance

    @property
    def is_idle(self) -> bool:
        """No software of a hospital wants anything."""
        return not self._routes

    def filed(
        self,
        connection: Connection,
        owner: int,
        source: Source,
        document: int,
        entry: DocumentEntry,
        *,
        replaces: int = 0,
        moved: bool = False,
    ) -> None:
        """A new document stands in the record, or a newer version of document `replaces`. `moved`: it came from another
        record, so that software may know it, as somebody else's or as withdrawn."""
        offer = Offer(source.mailbox, entry.type.code, entry.practice.code)
        wanted = set(sinks_for(self._routes, offer))
        if replaces:
            wanted |= handovers.sinks_of(connection, owner, replaces) & {route.sink for route in self._routes}
        act = HandoverAct.RELINK if moved else HandoverAct.REPLACE if replaces else HandoverAct.FILE
        self._owe(connection, owner, source, wanted, act, document, replaces)

    def relink(self, connection: Connection, owner: int, source: Source, document: int, before: int) -> None:
        """A document that stood in record `before` stands in this one: told to whom it was ever owed there."""
        wanted = handovers.sinks_of(connection, before, document) if self._routes else set()
        self._owe(connection, owner, source, wanted, HandoverAct.RELINK, document)

    def changed(self, connection: Connection, owner: int, source: Source, act: HandoverAct, document: int) -> None:
        """A document was withdrawn or announced, or is back: told to whom it was ever owed."""
        wanted = handovers.sinks_of(connection, owner, document) if self._routes else set()
        self._owe(connection, owner, source, wanted, act, document)

    def _owe(
        self,
        connection: Connection,
        owner: int,
        source: Source,
        sinks: set[str],
        act: HandoverAct,
        document: int,
        earlier: int = 0,
    ) -> None:
        for sink in sorted(sinks):
            handovers.add(
                connection,
                owner,
                NewHandover(
                    id=new_id(self._clock, self._chance),
                    sink=sink,
                    act=act,
                    document=document,
                    earlier=earlier,
                    box=source.box,
                    message=source.message,
                    message_id_hmac=source.message_id_hmac,
                    created_ms=to_ms(self._clock.now()),
                ),
            )
