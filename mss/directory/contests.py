"""To whom does an address belong that a file gave to somebody else? What people decide; nobody is shown until then.

Of foreign addresses the file may be believed, and says so at its next import. Of ours it never is: an address of this
operator is never given to another.
"""

from __future__ import annotations

from collections.abc import Collection

from mss.directory.imports import LANE
from mss.model.clock import Clock
from mss.model.errors import BadValue
from mss.model.ids import MailAddress
from mss.store import audit, directory, standings
from mss.store.database import Store
from mss.store.sql import Connection
from mss.store.standings import ContestedRow


class Contests:
    """`domains`: of this operator."""

    def __init__(self, store: Store, domains: Collection[str], clock: Clock) -> None:
        self._store = store
        self._domains = frozenset(domains)
        self._clock = clock

    def is_ours(self, address: str) -> bool:
        return address.rpartition("@")[2] in self._domains

    async def all(self) -> list[ContestedRow]:
        """Oldest first."""
        return await self._store.read(standings.contested)

    async def believe_file(self, address: MailAddress, actor: str) -> None:
        """The address is the new holder's from the next import on. Raises BadValue for one of ours, or none of them."""
        if address.domain in self._domains:
            raise BadValue(
                f"{address} is of this operator, where an address is never given to another: the file is wrong"
            )
        now = self._clock.now()

        def act(connection: Connection) -> bool:
            row = next((row for row in standings.contested(connection) if row.address == address.key), None)
            if row is None:
                return False
            standings.settle(connection, [row.address])
            directory.forget_digest(connection, row.source)
            audit.write(connection, [audit.Act(now, actor, "directory.contest-settled", 0)])
            return True

        if not await self._store.write(LANE, act):
            raise BadValue(f"{address} is not contested: see mss directory contested")
