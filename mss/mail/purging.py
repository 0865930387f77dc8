"""How does old mail go from a mailbox? Counts it, keeps the round that runs, and deletes when the judge says so.

Deleting is what a mail client's EXPUNGE is: entries go, numbers stay unused, open sessions are told, and the message
itself is for housekeeping, which spares what a record names. Each batch is one transaction that looks again at
everything: the round, the hold, the mailbox's kind and state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from mss.crypto.keys import Lookup
from mss.mail.retention import Bounds, Round, Rules, Step, bounds, first_day, judge, moved_day, still
from mss.model.clock import Clock, from_ms, to_ms
from mss.model.ids import OwnerId, lane_of
from mss.model.mailbox import AccountState, MailboxKind, SpecialUse
from mss.model.mailbox import RetentionRule as Rule
from mss.store import audit, changes, folders, messages, owners, retention, unanswered
from mss.store.changes import ChangeBus
from mss.store.database import Store
from mss.store.messages import MessageState
from mss.store.retention import NONE, Old, RoundRow
from mss.store.sql import Connection

AT_ONCE_MAX = 200
"""Messages of one transaction: it holds the mailbox no longer than a batch of mail."""
ACTOR = "retention"


@dataclass(frozen=True, slots=True)
class Look:
    """How things stand with a mailbox."""

    owner: OwnerId
    step: Step
    round: Round | None
    """The one that runs or, for BEGIN, that is to run."""
    meant: Mapping[str, int]
    """How many messages it is about, by special use of their folder."""

    @property
    def count(self) -> int:
        return sum(self.meant.values())


class Purging:
    """Lives in works; commands look only."""

    def __init__(self, store: Store, lookup: Lookup, bus: ChangeBus, clock: Clock, rules: Rules) -> None:
        self._store = store
        self._lookup = lookup
        self._bus = bus
        self._clock = clock
        self._rules = rules

    async def mailboxes(self) -> list[OwnerId]:
        """Whose mail any rule is about, or was when a round began; those that cannot be told wait."""
        kinds = [kind for kind in MailboxKind if self._rules.of(kind)]
        return [owner for owner, _ in await self._store.read(lambda c: retention.mailboxes(c, kinds))]

    async def ending(self, until: datetime, most: int) -> tuple[int, list[OwnerId]]:
        """How many mailboxes have a round that ends by then, and so many of them, the first day first."""
        return await self._store.read(lambda c: retention.ending(c, to_ms(until), most))

    async def look(self, owner: OwnerId) -> Look:
        """What is to be done about a mailbox now."""
        return await self._store.read(lambda connection: self._look(connection, owner))

    def _look(self, connection: Connection, owner: OwnerId) -> Look:
        now, box, row = self._clock.now(), owners.mailbox(connection, owner), retention.row_of(connection, owner)
        running = _round(row)
        if box is None or row.is_held:
            return Look(owner, Step.END if running else Step.NOTHING, running, {})
        ages = self._rules.of(box.kind)
        wanted = bounds(ages, first_day(now) if running is None else running.due)
        told = wanted if running is None else still(running.bounds, wanted)
        meant = retention.count(connection, owner, told) if told else {}
        step = judge(running, sum(meant.values()), now)
        if (
            step is Step.BEGIN
        ):  # anew, when its first warning could not be told: then the day is another, and more may go
            wanted = bounds(ages, first_day(now))
            return Look(owner, step, Round(first_day(now), wanted), retention.count(connection, owner, wanted))
        return Look(owner, step, None if running is None else replace(running, bounds=told), meant)

    # ── the round ──

    async def keep(self, owner: OwnerId, running: Round) -> None:
        """Write down a round before its warning is sent, so that a crash sends the same one again."""
        await self._write(owner, running)

    async def move(self, look: Look) -> Look:
        """Give the last warning another day, since it is late."""
        assert look.round is not None
        moved = replace(look.round, due=moved_day(self._clock.now()), reminded=None)
        await self._write(look.owner, moved)
        return replace(look, step=Step.REMIND, round=moved)

    async def told(self, look: Look) -> None:
        """The warning stands in the mailbox."""
        assert look.round is not None
        now = self._clock.now()
        is_last = look.step is Step.REMIND
        running = replace(look.round, reminded=now) if is_last else replace(look.round, told=now)
        word = "retention.reminded" if is_last else "retention.told"
        act = audit.Act(now, ACTOR, word, look.owner, result=f"{look.count} until {look.round.due:%Y-%m-%d}")
        await self._write(look.owner, running, act)

    async def end(self, owner: OwnerId) -> None:
        """Nothing more is to go by this round."""
        await self._write(owner, None)

    async def hold(self, owner: OwnerId, actor: str, *, is_held: bool) -> None:
        """Let nothing of a mailbox be deleted, or no longer so; a round that runs ends, and another would begin with
        its warnings."""
        act = audit.Act(self._clock.now(), actor, "retention.hold" if is_held else "retention.release", owner)

        def work(connection: Connection) -> None:
            owners.lock(connection, owner)
            retention.put(connection, owner, RoundRow(is_held=is_held))
            audit.write(connection, [act])

        await self._store.write(lane_of(owner), work)

    async def is_held(self, owner: OwnerId) -> bool:
        return (await self._store.read(lambda c: retention.row_of(c, owner))).is_held

    async def stands(self, owner: OwnerId, message_id: str) -> bool:
        """Whether a warning is durably in the mailbox."""
        hashed = self._lookup.message_id(message_id)
        found = await self._store.read(lambda c: messages.by_message_id(c, owner, hashed))
        return any(one.state == MessageState.VISIBLE for one in found)

    async def _write(self, owner: OwnerId, running: Round | None, act: audit.Act | None = None) -> None:
        def work(connection: Connection) -> None:
            owners.lock(connection, owner)
            if retention.row_of(connection, owner).is_held and running is not None:
                return  # meanwhile: nothing runs
            is_held = retention.row_of(connection, owner).is_held
            retention.put(connection, owner, _row(running, is_held=is_held))
            if act is not None:
                audit.write(connection, [act])

        await self._store.write(lane_of(owner), work)

    # ── deleting ──

    async def delete(self, look: Look) -> int:
        """Delete what the round is about; how many messages. Safe to repeat after a crash."""
        running, count = look.round, 0
        assert running is not None
        while gone := await self._delete_some(look.owner, running):
            count += gone
        await self.end(look.owner)
        return count

    async def _delete_some(self, owner: OwnerId, running: Round) -> int:
        now = self._clock.now()

        def work(connection: Connection) -> list[Old]:
            owners.lock(connection, owner)
            box, row = owners.mailbox(connection, owner), retention.row_of(connection, owner)
            known = _round(row)
            if box is None or box.kind is MailboxKind.PATIENT or box.state is not AccountState.ACTIVE or row.is_held:
                return []
            if known is None or known.told is None or known.reminded is None or known.due != running.due:
                return []  # the round is no longer the one that was told
            if now < known.due:
                return []
            old = retention.oldest(connection, owner, still(known.bounds, running.bounds), AT_ONCE_MAX)
            self._remove(connection, owner, old, now)
            return old

        old = await self._store.write(lane_of(owner), work)
        for folder in sorted({one.folder for one in old}):
            self._bus.publish(changes.FOLDER, owner, folder)
        return len(old)

    def _remove(self, connection: Connection, owner: OwnerId, old: list[Old], now: datetime) -> None:
        if not old:
            return
        for folder in sorted({one.folder for one in old}):
            uids = [one.uid for one in old if one.folder == folder]
            folders.expunge(connection, owner, folder, uids, to_ms(now), only_deleted=False)
        leaving = [one.message for one in old]
        unanswered.settle(connection, owner, leaving, to_ms(now))
        owners.add_used(connection, owner, -folders.homeless_bytes(connection, owner, leaving))
        audit.write(
            connection,
            [
                audit.Act(now, ACTOR, "retention.deleted", owner, one.message, one.message_id_hmac, _why(one))
                for one in old
            ],
        )


def _why(one: Old) -> str:
    rules = {SpecialUse.TRASH: Rule.TRASH, SpecialUse.JUNK: Rule.JUNK}
    place = next((rule for use, rule in rules.items() if one.special_use == use), Rule.MAILBOX)
    return f"{place.value} {one.uid}"


def _round(row: RoundRow) -> Round | None:
    if not row.due_ms:
        return None
    until = {Rule.MAILBOX: row.mailbox_until_ms, Rule.TRASH: row.trash_until_ms, Rule.JUNK: row.junk_until_ms}
    known: Bounds = {rule: ms for rule, ms in until.items() if ms != NONE}
    return Round(
        due=from_ms(row.due_ms),
        bounds=known,
        told=from_ms(row.told_ms) if row.told_ms else None,
        reminded=from_ms(row.reminded_ms) if row.reminded_ms else None,
    )


def _row(running: Round | None, *, is_held: bool) -> RoundRow:
    if running is None:
        return RoundRow(is_held=is_held)
    return RoundRow(
        is_held=is_held,
        due_ms=to_ms(running.due),
        told_ms=to_ms(running.told) if running.told else 0,
        reminded_ms=to_ms(running.reminded) if running.reminded else 0,
        mailbox_until_ms=running.bounds.get(Rule.MAILBOX, NONE),
        trash_until_ms=running.bounds.get(Rule.TRASH, NONE),
        junk_until_ms=running.bounds.get(Rule.JUNK, NONE),
    )
