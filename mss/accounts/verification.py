"""Who vouches for a professional with a mailbox here, and what happens when nobody does any more?

Every person's mailbox has a row: who she is (a keyed hash of her number), which source of the directory vouches for
her, or staff until a day. An import that does not know her any more leaves a duty; staff strike off at once. Either
ends every session within seconds. What is to be told is told by mss/notices/standing.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from mss.accounts.lifecycle import LifeEvent, next_state
from mss.accounts.service import ADDRESS_KIND, move, profile_from_bytes
from mss.accounts.standing import FOR_GOOD, STAFF, Check, Step, Why, is_too_many, judge
from mss.crypto.keys import Lookup
from mss.directory.facts import Kind, numbers_about
from mss.directory.losses import BACK, ENDED
from mss.directory.search import verified_by
from mss.model.clock import Clock, from_ms, to_ms
from mss.model.directory import METHODS, Source
from mss.model.ids import OwnerId, ProfessionalId, lane_of
from mss.model.mailbox import AccountState, MailboxKind
from mss.store import audit, changes, directory, owners, standings
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.sql import Connection
from mss.store.standings import StandingRow
from mss.store.tasks import Task
from mss.vault.opener import Opener

PERSONS = (MailboxKind.PERSONAL, MailboxKind.OFFICE)
ROWS_AT_ONCE = 500
ACTOR = "works"

log = structlog.get_logger("standing")


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator decides."""

    grace: timedelta = timedelta(days=30)
    """Between the word that a check is overdue and the suspension."""
    staff_check: timedelta = timedelta(days=365)
    """How long a check by staff counts."""
    kept_suspended: timedelta = timedelta(days=30)
    """Before the mailbox of somebody who is gone for good is closed."""


@dataclass(frozen=True, slots=True)
class Due:
    """Whose check is overdue, and what is to be done about it."""

    row: StandingRow
    step: Step
    next_check: datetime


def idnps_of(national_id: str) -> str:
    """The number of a person as the directory has it; empty for none."""
    plain = "".join(national_id.split())
    return ProfessionalId("8" + plain if len(plain) == 11 else plain).value if plain else ""


class Verification:
    """Begins, ends and renews."""

    def __init__(self, store: Store, lookup: Lookup, bus: ChangeBus, clock: Clock, rules: Rules | None = None) -> None:
        self._store = store
        self._lookup = lookup
        self._bus = bus
        self._clock = clock
        self._rules = rules or Rules()

    @property
    def handlers(self) -> dict[str, Callable[[Task], Awaitable[None]]]:
        """Duties that imports leave."""
        return {ENDED: self._ended, BACK: self._back}

    # ── who vouches ──

    async def begin(self, owner: OwnerId, national_id: str) -> None:
        """Note who vouches for the holder of a new mailbox. Safe to repeat."""
        now, idnps = self._clock.now(), idnps_of(national_id)
        hashed = self._lookup.person(idnps) if idnps else b""

        def act(connection: Connection) -> None:
            method, at, until = self._vouched(connection, idnps, now)
            row = StandingRow(owner, hashed, method, to_ms(at), to_ms(until))
            standings.begin(connection, row)

        await self._store.write(lane_of(owner), act)

    def _vouched(self, connection: Connection, idnps: str, now: datetime) -> tuple[str, datetime, datetime]:
        """The source that knows this number, the one that is believed most first; else staff, from now on."""
        for source in sorted(directory.sources(connection).values(), key=lambda one: -one.source) if idnps else ():
            rows = directory.facts_about(connection, *numbers_about(source.source, Kind.PROFESSIONAL, idnps))
            if any(row.is_read(source.current) for row in rows):
                told = verified_by(source)
                return told.method, told.at, told.next_check
        return STAFF, now, now + self._rules.staff_check

    async def check_again(self, owner: OwnerId, idnps: str, actor: str) -> str:
        """Somebody has looked again: the directory where it knows her, else staff vouch. Returns who does."""
        now = self._clock.now()

        def act(connection: Connection) -> str:
            method, at, until = self._vouched(connection, idnps, now)
            if until < now:  # a source that is late itself vouches for nobody
                method, at, until = STAFF, now, now + self._rules.staff_check
            standings.vouch(connection, owner, method, to_ms(at), to_ms(until))
            audit.write(connection, [audit.Act(now, actor, "standing.checked", owner, result=method)])
            return method

        method = await self._store.write(lane_of(owner), act)
        await self._reinstate(owner, (Why.OVERDUE,), actor)
        return method

    # ── who is gone ──

    async def strike(self, idnps: str, actor: str) -> list[OwnerId]:
        """End the access of a person at once, wherever she has a mailbox here. Returns which."""
        hashed = self._lookup.person(idnps)
        rows = await self._store.read(lambda c: standings.of_people(c, [hashed]))
        for row in rows:
            await self._end(row.owner, Why.STRUCK_OFF, 0, actor)
        return [row.owner for row in rows]

    async def reinstate(self, idnps: str, actor: str) -> list[OwnerId]:
        """She may work again; also after an import that did not know her."""
        hashed = self._lookup.person(idnps)
        rows = await self._store.read(lambda c: standings.of_people(c, [hashed]))
        return [row.owner for row in rows if await self._reinstate(row.owner, tuple(Why), actor)]

    async def is_struck_off(self, idnps: str) -> bool:
        """Whether staff have struck this number off: it gets no other mailbox."""
        hashed = self._lookup.person(idnps)
        rows = await self._store.read(lambda c: standings.of_people(c, [hashed]))
        return any(row.ended_why == Why.STRUCK_OFF for row in rows)

    async def _ended(self, task: Task) -> None:
        await self._end(OwnerId(task.owner), Why.LEFT_DIRECTORY, int(task.payload or b"0"), "import")

    async def _back(self, task: Task) -> None:
        await self._reinstate(OwnerId(task.owner), (Why.LEFT_DIRECTORY,), "import")

    async def _end(self, owner: OwnerId, why: Why, by: int, actor: str) -> None:
        """Her sessions end as soon as the others hear. Safe to repeat; a stronger reason replaces a weaker one."""
        now = self._clock.now()

        def act(connection: Connection) -> bool:
            row, box = standings.standing(connection, owner), owners.mailbox(connection, owner)
            if row is None or box is None or row.ended_why in (why, Why.STRUCK_OFF):
                return False
            state = next_state(box.state, LifeEvent.SUSPEND)
            if state is not None:
                move(connection, owner, state, now, actor)
            standings.end(connection, owner, to_ms(now), why, by)
            audit.write(connection, [audit.Act(now, actor, "standing.ended", owner, result=why)])
            return True

        if await self._store.write(lane_of(owner), act):
            log.warning("standing.ended", owner=owner, why=why.value)
        self._tell(owner)

    async def _reinstate(self, owner: OwnerId, reasons: tuple[Why, ...], actor: str) -> bool:
        now = self._clock.now()

        def act(connection: Connection) -> bool:
            row, box = standings.standing(connection, owner), owners.mailbox(connection, owner)
            if row is None or box is None or row.ended_why not in reasons:
                return False
            if box.state is AccountState.SUSPENDED:
                move(connection, owner, AccountState.ACTIVE, now, actor)
            standings.end(connection, owner, 0, "", 0)
            audit.write(connection, [audit.Act(now, actor, "standing.back", owner, result=row.ended_why)])
            return True

        is_back = await self._store.write(lane_of(owner), act)
        self._tell(owner)
        return is_back

    def _tell(self, owner: OwnerId) -> None:
        self._bus.publish(changes.ACCOUNT, owner)
        self._bus.publish(changes.FOLDER, owner)  # who reads a team's folder is looked at too

    # ── what is due ──

    async def due(self) -> list[Due]:
        """Whose check is overdue, with what is to be done now; the most urgent first, so many at once."""
        now = self._clock.now()

        def ask(connection: Connection) -> list[Due]:
            sources = directory.sources(connection).values()
            ends = {METHODS[Source(one.source)]: verified_by(one).next_check for one in sources}
            stale = [method for method, moment in ends.items() if moment < now]
            rows = standings.overdue(connection, stale, STAFF, to_ms(now), ROWS_AT_ONCE)
            found = []
            for row in rows:
                next_check = ends.get(row.method) or from_ms(row.next_check_ms)
                told = from_ms(row.told_ms) if row.told_ms else None
                step = judge(Check(next_check, told), now, self._rules.grace)
                found.append(Due(row, step, next_check))
            return found

        return [one for one in await self._store.read(ask) if one.step is not Step.NOTHING]

    async def told(self, owner: OwnerId) -> None:
        """She was told that the check is overdue: the grace begins."""
        now_ms = to_ms(self._clock.now())
        await self._store.write(lane_of(owner), lambda c: standings.tell(c, owner, now_ms))

    async def suspend_overdue(self, dues: list[Due], *, accepts: bool = False) -> int:
        """Suspend those whose grace is over; how many wait instead, because they are too many at once."""
        late = [one for one in dues if one.step is Step.SUSPEND]
        standing = await self._store.read(standings.counted)
        if not accepts and is_too_many(len(late), standing):
            return len(late)
        for one in late:
            await self._end(one.row.owner, Why.OVERDUE, 0, ACTOR)
        return 0

    async def settle(self) -> None:
        """Close what has been suspended for good long enough; bring back whom a source vouches for again."""
        now = self._clock.now()
        before_ms = to_ms(now - self._rules.kept_suspended)
        gone = await self._store.read(lambda c: standings.ended(c, FOR_GOOD, before_ms, ROWS_AT_ONCE))
        for row in gone:
            await self._close(row.owner)
        late = await self._store.read(lambda c: standings.ended(c, (Why.OVERDUE,), to_ms(now), ROWS_AT_ONCE))
        sources = await self._store.read(directory.sources)
        fresh = {METHODS[Source(one.source)] for one in sources.values() if verified_by(one).next_check >= now}
        for row in late:
            if row.method in fresh:
                await self._reinstate(row.owner, (Why.OVERDUE,), ACTOR)

    async def _close(self, owner: OwnerId) -> None:
        now = self._clock.now()

        def act(connection: Connection) -> None:
            box = owners.mailbox(connection, owner)
            if box is not None and box.state in (AccountState.SUSPENDED, AccountState.READ_ONLY):
                move(connection, owner, AccountState.CLOSED, now, ACTOR)

        if (await self._store.read(lambda c: owners.mailbox(c, owner))) is not None:
            await self._store.write(lane_of(owner), act)

    async def begin_missing(self, opener: Opener) -> None:
        """Mailboxes that were made when nobody noted who vouches, or in a crash just then."""
        kinds = [kind.value for kind in PERSONS]
        for owner in await self._store.read(lambda c: standings.without(c, kinds, ROWS_AT_ONCE)):
            box = await self._store.read(lambda c, owner=owner: owners.mailbox(c, owner))  # type: ignore[misc]
            if box is None:
                continue
            keys = await opener.open(owner, ACTOR, "standing")
            profile = profile_from_bytes(keys.open_small(ADDRESS_KIND, 0, box.address_sealed))
            await self.begin(owner, profile.national_id)
