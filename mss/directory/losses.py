"""Whose access does an import end, and whose does it bring back? People of this house, by their national numbers.

The directory does not know whose mailbox is whose: a keyed hash of the number leads to the rows that say who vouches
for whom (mss/store/standings.py). Nobody is taken for gone whose line could not be read, or is on the red list.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mss.crypto.keys import Lookup
from mss.directory.comparing import Outcome
from mss.directory.facts import CONTENT_BITS, Kind, numbers_about, professional_of
from mss.model.directory import METHODS, Source
from mss.store import directory, standings, tasks
from mss.store.database import Store
from mss.store.directory import SourceRow
from mss.store.sql import Connection
from mss.store.tasks import NewTask

ENDED, BACK = "standing.ended", "standing.back"
"""Kinds of duties that an import leaves (mss/accounts/verification.py)."""
AT_ONCE = 500
NOBODY_STAYS = "left-directory"


@dataclass(slots=True)
class Losses:
    """Gathered while an import is looked at; owed in the transaction of its switch."""

    store: Store
    lookup: Lookup | None
    source: Source
    spared: frozenset[int] = frozenset()
    """Subjects whose lines could not be read, or may not be kept."""
    ended: list[int] = field(default_factory=list)
    back: list[int] = field(default_factory=list)
    standing: int = 0
    _gone: list[str] = field(default_factory=list)
    _come: list[str] = field(default_factory=list)
    _waiting: dict[bytes, list[int]] | None = None

    async def note(self, outcome: Outcome) -> None:
        """One subject of the file or of what is read."""
        if self.lookup is None or outcome.kind is not Kind.PROFESSIONAL:
            return
        if self._waiting is None:
            await self._begin()
            assert self._waiting is not None
        if outcome.is_lost and outcome.gone[0].number >> CONTENT_BITS not in self.spared:
            self._gone.append(professional_of(outcome.gone[0].text).idnps)
        elif outcome.added and self._waiting:
            idnps = professional_of(outcome.added[0].text).idnps
            self.back += self._waiting.get(self.lookup.person(idnps), [])
        if len(self._gone) >= AT_ONCE:
            await self.finish()

    async def _begin(self) -> None:
        """Whom an import has sent away: she may be in this one."""
        rows = await self.store.read(lambda c: standings.ended(c, (NOBODY_STAYS,), 2**62, 1_000_000))
        self._waiting = {}
        for row in rows:
            self._waiting.setdefault(row.person_hmac, []).append(row.owner)
        method = METHODS[self.source]
        self.standing = await self.store.read(lambda c: standings.counted(c, method))

    async def finish(self) -> None:
        """Look up those who are gone: who stands on this source, and is in no other."""
        gone, self._gone = self._gone, []
        if gone:
            self.ended += await self.store.read(lambda c: self._owners(c, gone))

    def _owners(self, connection: Connection, gone: list[str]) -> list[int]:
        assert self.lookup is not None
        sources = directory.sources(connection)
        hashes = {self.lookup.person(idnps): idnps for idnps in gone}
        rows = standings.of_people(connection, hashes)
        method = METHODS[self.source]
        return [
            row.owner
            for row in rows
            if row.method == method
            and not row.ended_ms
            and not _is_elsewhere(connection, sources, self.source, hashes[row.person_hmac])
        ]


def _is_elsewhere(connection: Connection, sources: dict[int, SourceRow], source: int, idnps: str) -> bool:
    """Whether another source knows her."""
    return any(
        row.is_read(other.current)
        for other in sources.values()
        if other.source != source
        for row in directory.facts_about(connection, *numbers_about(other.source, Kind.PROFESSIONAL, idnps))
    )


def owe(connection: Connection, kind: str, owners: Iterable[int], generation: int, now_ms: int) -> None:
    """Leave a duty for each, in the transaction of the switch. Its number follows from the import."""
    for owner in owners:
        number = 2 * generation + (kind == BACK)
        tasks.add_task_once(connection, owner, NewTask(number, kind, str(generation).encode(), now_ms))


def owe_back(connection: Connection, generation: int, now_ms: int) -> None:
    """An import is taken back: so is what it did to people."""
    owe(connection, BACK, [row.owner for row in standings.ended_by(connection, generation)], generation, now_ms)
