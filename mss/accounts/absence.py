"""Is the holder of a mailbox away, until when, and who stands in? Set by command, kept sealed.

Whole days in France, the last one included. Delivery reads the moments, which stand in clear; what senders are told
is opened only by the process that tells them (mss/notices/automatic.py).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from mss.model.clock import Chance, Clock, to_ms
from mss.model.errors import BadValue
from mss.model.ids import MailAddress, lane_of, matricule_of
from mss.model.mailbox import MailboxKind
from mss.store import absences, audit, owners
from mss.store.absences import AbsenceRow
from mss.store.database import Store
from mss.store.ids import new_id
from mss.store.sql import Connection
from mss.vault.opener import OwnerKeys

ABSENCE_KIND = b"absence"
TEXT_CHARS_MAX = 1000
"""A few sentences; whoever needs more has a colleague to write it."""
DAYS_MAX = 731
"""Two years: a longer absence is a mailbox to be closed."""
FRANCE = ZoneInfo("Europe/Paris")
AWAY_KINDS = (MailboxKind.PERSONAL, MailboxKind.OFFICE, MailboxKind.ORGANISATIONAL)
"""Software is never away, and a patient answers when she likes."""


@dataclass(frozen=True, slots=True)
class Absence:
    """From the first day to the last, both included. Raises BadValue at birth."""

    first: date
    last: date
    text: str = ""
    substitute: MailAddress | None = None

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise BadValue("an absence ends on or after its first day")
        if (self.last - self.first).days > DAYS_MAX:
            raise BadValue(f"an absence lasts at most {DAYS_MAX} days: close the mailbox instead")
        if len(self.text) > TEXT_CHARS_MAX:
            raise BadValue(f"an absence text has at most {TEXT_CHARS_MAX} characters")
        if self.substitute is not None and matricule_of(self.substitute) is not None:
            raise BadValue("a patient cannot stand in for anybody")

    @property
    def moments(self) -> tuple[datetime, datetime]:
        """When it begins, and when it is over."""
        after = self.last + timedelta(days=1)
        return datetime.combine(self.first, time(), FRANCE), datetime.combine(after, time(), FRANCE)

    def to_bytes(self) -> bytes:
        return json.dumps([str(self.first), str(self.last), self.text, str(self.substitute or "")]).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Absence:
        first, last, text, substitute = json.loads(data)
        stands_in = MailAddress.parse(substitute) if substitute else None
        return cls(date.fromisoformat(first), date.fromisoformat(last), text, stands_in)


class Absences:
    """Sets and ends absences."""

    def __init__(self, store: Store, clock: Clock, chance: Chance) -> None:
        self._store = store
        self._clock = clock
        self._chance = chance

    async def current(self, keys: OwnerKeys) -> tuple[int, Absence] | None:
        """The absence that is set, with its number."""
        row = await self._store.read(lambda c: absences.absence(c, keys.owner))
        if row is None:
            return None
        return row.period, Absence.from_bytes(keys.open_small(ABSENCE_KIND, row.period, row.absence_sealed))

    async def set(self, keys: OwnerKeys, absence: Absence) -> None:
        """Instead of the one before. Raises BadValue for software and patients."""
        owner, now, period = keys.owner, self._clock.now(), new_id(self._clock, self._chance)
        sealed = keys.seal_small(ABSENCE_KIND, period, absence.to_bytes())
        row = AbsenceRow(period, _begin_ms(absence.first), _begin_ms(absence.last + timedelta(days=1)), sealed)

        def act(connection: Connection) -> None:
            box = owners.mailbox(connection, owner)
            if box is None or box.kind not in AWAY_KINDS:
                raise BadValue("only a person or a team can be away")
            absences.set_absence(connection, owner, row)
            audit.write(connection, [audit.Act(now, "staff", "absence.set", owner, period)])

        await self._store.write(lane_of(owner), act)

    async def end(self, keys: OwnerKeys) -> None:
        """The holder is there."""
        owner, now = keys.owner, self._clock.now()

        def act(connection: Connection) -> None:
            absences.set_absence(connection, owner, None)
            audit.write(connection, [audit.Act(now, "staff", "absence.end", owner)])

        await self._store.write(lane_of(owner), act)


def _begin_ms(day: date) -> int:
    return to_ms(datetime.combine(day, time(), FRANCE))
