"""How does a whole file become what everybody reads? Compared, judged, written beside the old, then switched.

Until the switch, one row in one transaction, nobody sees anything of it: not half a directory, not for a second. The
generation before stays until the next import, so a rollback is a switch too. Every step may be killed and run again.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from mss.crypto.keys import Lookup
from mss.directory.changes import Changes
from mss.directory.comparing import NAMES, Outcome, Staged, Tally, brake, compare
from mss.directory.facts import CONTENT_BITS, Kind, listing_of, numbers_about
from mss.directory.keys import job_key
from mss.directory.losses import BACK, ENDED, Losses, owe, owe_back
from mss.directory.runs import Runs
from mss.directory.staging import Progress, Read, Reader, Staging, digest_of
from mss.directory.structurekeys import keys_of_fact, keys_of_listing
from mss.model.clock import Clock, from_ms, to_ms
from mss.model.directory import Source
from mss.model.errors import BadValue
from mss.store import directory, standings
from mss.store.database import Store
from mss.store.directory import FactRow, ImportRow, SourceRow
from mss.store.directoryschema import CODE_CHARS_MAX, STILL
from mss.store.sql import Connection
from mss.store.standings import ContestedRow

LANE = 0
"""The directory belongs to no owner; on PostgreSQL its transactions queue up behind each other here."""
ROWS_AT_ONCE = 2_000
"""Rows of one transaction: some 20 ms, which is as long as mail may wait for a directory."""
KEYS_AT_ONCE = 10_000
"""In the order of keys: some 20 ms too."""
PAGE_ROWS = 5_000
SAMPLES_MAX = 20
"""Changes that a diff shows in full, of each kind."""
_DAY_IN_NAME = re.compile(r"(20[0-9]{2})([01][0-9])([0-3][0-9])(?:([0-2][0-9])([0-5][0-9]))?")


class Stopped(BadValue):
    """The import would take away more than anybody expects. Nothing was changed."""


@dataclass(slots=True)
class Report:
    """What an import did, or would do."""

    source: str
    file: str
    as_of: datetime
    read: Read
    tally: Tally = field(default_factory=Tally)
    samples: list[str] = field(default_factory=list)
    rules_refused: int = 0
    contested: list[tuple[str, str, str]] = field(default_factory=list)
    losses: Losses | None = None
    stopped: str = ""
    applied: bool = False
    generation: int = 0

    def counts(self) -> dict[str, object]:
        """For people's scripts and the row of the import: numbers, no names."""
        found: dict[str, object] = {"source": self.source, "as_of": self.as_of.isoformat(), "applied": self.applied}
        found |= {"lines": self.read.lines, "refused": self.read.refused, "unlisted": self.read.unlisted}
        found |= {"other_encoding": self.read.slipped, "unknown_columns": self.read.unknown_columns}
        found |= {"rules_refused": self.rules_refused, "contradicted": self.tally.contradicted}
        for kind, name in NAMES.items():
            for what in ("standing", "added", "gone", "lost"):
                found[f"{name}_{what}"] = getattr(self.tally, what).get(kind, 0)
        found |= {"accounts_standing": self.tally.accounts_standing, "accounts_lost": self.tally.accounts_lost}
        return found | {"accounts_back": len(self.losses.back) if self.losses else 0, "stopped": self.stopped}


class Imports:
    """Takes files into the directory. One at a time, whoever starts them."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        clock: Clock,
        own_domains: frozenset[str] = frozenset(),
        lookup: Lookup | None = None,
    ) -> None:
        """`lookup` None: what becomes of people's mailboxes here is not looked at (benchmarks, tests)."""
        self._lookup = lookup
        self._store = store
        self._folder = folder
        self._clock = clock
        self._own = tuple(f'@{domain}"' for domain in sorted(own_domains))

    async def take(
        self,
        file: Path,
        reader: Reader,
        progress: Progress,
        *,
        as_of: datetime | None = None,
        applies: bool = True,
        accepts_losses: bool = False,
    ) -> Report:
        """Import `file`, or with `applies` False tell what it would change.

        Raises BadValue (not this kind of file, older than what is read, too much refused), Stopped, OSError.
        """
        with self._alone():
            digest = await asyncio.to_thread(digest_of, file)
            moment = as_of or made_at(file)
            standing = (await self._store.read(directory.sources)).get(reader.source, SourceRow(reader.source))
            if moment > self._clock.now():
                raise BadValue(f"{file} is from {moment:%Y-%m-%d}, which is not yet: say the right moment with --as-of")
            if to_ms(moment) < standing.as_of_ms:
                told = from_ms(standing.as_of_ms)
                raise BadValue(f"{file} is from {moment:%Y-%m-%d}, older than the {told:%Y-%m-%d} that is read now")
            folder = self._folder / reader.source.name.lower()
            staging = Staging(folder, reader)
            report = Report(reader.source.name.lower(), file.name, moment, Read())
            if standing.digest == bytes.fromhex(digest):
                return report  # the very same file
            lines = await asyncio.to_thread(reader.prepare, file, folder, digest, progress)
            report.read = await asyncio.to_thread(staging.read, lines, digest, progress)
            changes = Changes(folder / "changes")
            await self._look(staging, standing, report, changes)
            if not applies:
                changes.drop()
                return report
            if report.stopped and not accepts_losses:
                changes.drop()
                raise Stopped(
                    f"{report.stopped}, more than 1 %: nothing was changed. Look at mss directory diff; "
                    "if it is right, import with --accept-losses"
                )
            await self._apply(changes, standing, report, bytes.fromhex(digest), progress)
            changes.drop()
            staging.clear()
            return report

    async def roll_back(self, source: Source) -> datetime:
        """Read the generation before the last import again; says of when that is. Raises BadValue without one."""
        with self._alone():
            standing = (await self._store.read(directory.sources)).get(source, SourceRow(source))
            if not standing.before:
                raise BadValue(
                    f"there is no earlier import of {source.name.lower()} to return to: only one step back is kept"
                )
            ended_ms = to_ms(self._clock.now())

            def act(connection: Connection) -> None:
                directory.switch_back(connection, standing, ended_ms)
                owe_back(connection, standing.current, ended_ms)

            await self._store.write(LANE, act)
            await self._settle(source, standing.before)
            return from_ms(standing.before_as_of_ms)

    async def _look(self, staging: Staging, standing: SourceRow, report: Report, changes: Changes) -> None:
        """What would change, without changing anything of the directory."""
        report.losses = losses = Losses(
            self._store,
            None if report.read.spares_all else self._lookup,
            Source(standing.source),
            frozenset(report.read.spared),
        )
        with staging.report.open("a", encoding="utf-8") as refusals, changes:
            async for old, outcome in self._outcomes(staging, standing):
                is_ours = bool(self._own) and any(own in row.text for row in old for own in self._own)
                report.tally.count(outcome, had_old=bool(old), is_ours=is_ours)
                report.contested += outcome.contested
                changes.note(outcome)
                await losses.note(outcome)
                for line, reason in outcome.refused:
                    report.rules_refused += 1
                    refusals.write(f"{line},{reason}\n")
                _sample(report, outcome)
        await losses.finish()
        report.tally.accounts_standing, report.tally.accounts_lost = losses.standing, len(losses.ended)
        report.stopped = brake(report.tally)

    async def _outcomes(self, staging: Staging, standing: SourceRow) -> AsyncIterator[tuple[list[FactRow], Outcome]]:
        """Each subject of the file and of what is read now, in the order of numbers; a page of each in memory."""
        staged = staging.subjects()
        ahead = next(staged, None)
        contested = await self._store.read(lambda c: standings.contested(c, standing.source))
        waiting = {row.address: row.holder for row in contested}
        async for subject, old in self._read_subjects(standing):
            while ahead is not None and ahead[0] < subject:
                yield [], compare([], ahead[1], waiting)
                ahead = next(staged, None)
            new: list[Staged] = []
            if ahead is not None and ahead[0] == subject:
                new = ahead[1]
                ahead = next(staged, None)
            if old or new:
                yield old, compare(old, new, waiting)
        while ahead is not None:
            yield [], compare([], ahead[1], waiting)
            ahead = next(staged, None)

    async def _read_subjects(self, standing: SourceRow) -> AsyncIterator[tuple[int, list[FactRow]]]:
        """What is read of a source now, one subject at a time."""
        group: list[FactRow] = []
        async for page in self._pages(partial(directory.page_of_facts, source=standing.source)):
            for row in page:
                if not row.is_read(standing.current):
                    continue
                if group and group[0].number >> CONTENT_BITS != row.number >> CONTENT_BITS:
                    yield group[0].number >> CONTENT_BITS, group
                    group = []
                group.append(row)
        if group:
            yield group[0].number >> CONTENT_BITS, group

    async def _pages(self, page_of: Callable[..., list[FactRow]]) -> AsyncIterator[list[FactRow]]:
        after = -1
        while page := await self._store.read(partial(page_of, after=after, rows_max=PAGE_ROWS)):
            yield page
            after = page[-1].number

    async def _apply(
        self, changes: Changes, standing: SourceRow, report: Report, digest: bytes, progress: Progress
    ) -> None:
        """Write what is new beside what is read, then let everybody read it."""
        source, now_ms = standing.source, to_ms(self._clock.now())
        if report.tally.changes_nothing:
            after = replace(standing, as_of_ms=to_ms(report.as_of), digest=digest)  # said again, so verified again
            await self._store.write(LANE, lambda c: directory.say_again(c, after))
            report.applied, report.generation = True, standing.current
            return
        await self._store.write(LANE, lambda c: directory.forget_before(c, source))
        await self._settle(source, standing.current)

        def begin(connection: Connection) -> int:
            """In one transaction: our own facts take numbers too."""
            number, at_ms = directory.next_generation(connection), to_ms(report.as_of)
            directory.begin(connection, ImportRow(number, source, "applying", digest, report.file, at_ms, now_ms))
            return number

        generation = await self._store.write(LANE, begin)
        keys = Runs(self._folder, f"keys-{source}")
        keys.drop_from(0)
        await self._write_facts(changes, source, report, generation, keys, progress)
        await self._write_keys(keys, report, progress)
        after = SourceRow(
            source=source,
            current=generation,
            before=standing.current,
            as_of_ms=to_ms(report.as_of),
            before_as_of_ms=standing.as_of_ms,
            digest=digest,
            before_digest=standing.digest,
        )
        report.applied, report.generation = True, generation
        ended_ms, counts = to_ms(self._clock.now()), json.dumps(report.counts())

        def act(connection: Connection) -> None:
            directory.switch(connection, after, generation, ended_ms, counts)
            if report.losses is not None:
                owe(connection, ENDED, report.losses.ended, generation, ended_ms)
                owe(connection, BACK, report.losses.back, generation, ended_ms)
            rows = [ContestedRow(*one[:1], source, *one[1:], ended_ms) for one in report.contested]
            standings.contest(connection, rows)
            standings.settle(connection, _agreed(connection, source, generation))

        await self._store.write(LANE, act)
        keys.drop_from(0)

    async def _write_facts(
        self, changes: Changes, source: int, report: Report, generation: int, keys: Runs, progress: Progress
    ) -> None:
        added: list[FactRow] = []
        gone: list[int] = []
        jobs: set[tuple[str, str]] = set()
        written, total = 0, sum(report.tally.added.values()) + sum(report.tally.gone.values())

        async def flush() -> None:
            nonlocal added, gone, written
            new, old = added, gone
            await self._store.write(LANE, lambda c: _write_both(c, new, old, generation))
            written += len(new) + len(old)
            added, gone = [], []
            progress("write", written, total)

        for one in changes.noted():
            if isinstance(one, int):
                gone.append(one)
            else:
                added.append(FactRow(one.number, source, one.kind, one.text, generation))
                self._index(one, keys, jobs)
            if len(added) + len(gone) >= ROWS_AT_ONCE:
                await flush()
        await flush()
        keys.flush()
        await self._store.write(LANE, lambda c: directory.add_jobs(c, sorted(jobs)))

    def _index(self, one: Staged, keys: Runs, jobs: set[tuple[str, str]]) -> None:
        if one.kind is Kind.LISTING:
            listing = listing_of(one.text)
            for job in (listing.specialty, listing.profession):
                if job is not None:
                    jobs.add((job_key(job), job.code[:CODE_CHARS_MAX]))
            found = keys_of_listing(listing)
        else:
            found = keys_of_fact(one.kind, one.text)
        behind = f"\t{one.number}"
        if keys.add(*[key + behind for key in found]):
            keys.flush()

    async def _write_keys(self, keys: Runs, report: Report, progress: Progress) -> None:
        total = keys.lines_written
        written = 0
        for block in keys.sorted_blocks():
            for at in range(0, len(block), KEYS_AT_ONCE):
                split = (line.partition("\t") for line in block[at : at + KEYS_AT_ONCE])
                rows = [(key, int(number)) for key, _, number in split]
                await self._store.write(LANE, partial(directory.add_keys, rows=rows))
                written += len(rows)
                progress("index", written, total)

    async def _settle(self, source: int, current: int) -> None:
        """Remove what nobody reads and nothing returns to: facts of an import that was killed or rolled back, and of
        generations before `current`. Safe to repeat."""
        await self._store.write(LANE, lambda c: directory.forget_unfinished(c, source))
        async for page in self._pages(partial(directory.page_of_loose, source=source, current=current)):
            dropped = [row for row in page if row.since > current or row.until <= current]
            back = [row.number for row in page if row.since <= current < row.until < STILL]
            for at in range(0, len(dropped), ROWS_AT_ONCE):
                await self._store.write(LANE, partial(_drop, rows=dropped[at : at + ROWS_AT_ONCE]))
            if back:
                await self._store.write(LANE, partial(directory.reopen, numbers=back))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One import at a time on this host. Raises BadValue."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BadValue("another import of the directory is running: wait for it") from None
            yield


def _agreed(connection: Connection, source: int, generation: int) -> list[str]:
    """Contested addresses that are read again: the file names their holder as before."""
    return [
        row.address
        for row in standings.contested(connection, source)
        if any(
            fact.is_read(generation)
            for fact in directory.facts_about(connection, *numbers_about(source, Kind.LISTING, row.address))
        )
    ]


def _write_both(connection: Connection, added: list[FactRow], gone: list[int], generation: int) -> None:
    directory.add_facts(connection, added)
    directory.take_back(connection, gone, generation)


def _drop(connection: Connection, rows: list[FactRow]) -> None:
    keys = [(key, row.number) for row in rows for key in keys_of_fact(Kind(row.kind), row.text)]
    directory.drop_keys(connection, keys)
    directory.drop_facts(connection, [row.number for row in rows])


def _sample(report: Report, outcome: Outcome) -> None:
    """A few changes to look at."""
    if outcome.kind is not Kind.LISTING or len(report.samples) >= SAMPLES_MAX or not (outcome.added or outcome.gone):
        return
    for sign, texts in (("-", [row.text for row in outcome.gone]), ("+", [one.text for one in outcome.added])):
        for listing in map(listing_of, texts):
            report.samples.append(f"{sign} {listing.address or listing.idnps}  {listing.title}")


def made_at(file: Path) -> datetime:
    """When a file was made: as its name says (`…_20261128…`), else when it was last written."""
    found = _DAY_IN_NAME.search(file.name)
    if found:
        year, month, day, hour, minute = (int(part or 0) for part in found.groups())
        try:
            return datetime(year, month, day, hour, minute, tzinfo=UTC)
        except ValueError:
            pass
    return datetime.fromtimestamp(file.stat().st_mtime, UTC)
