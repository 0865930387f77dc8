"""Where are the directory's facts and the keys under which they are found? Rows in and out, in the order of their keys.

Every function touches a bounded number of rows: an import calls those that write again and again, each time in a
transaction of its own, so that mail never waits for a directory of a million.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Connection,
    Select,
    Text,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    true,
    tuple_,
    update,
)

from mss.store import directoryschema as schema
from mss.store import schema as tables
from mss.store.directoryschema import STILL
from mss.store.sql import Hot, as_each, each_of, insert_ignoring, pour

S = schema.directory_source
I = schema.directory_import  # noqa: E741 — as the other repositories call their tables
F = schema.directory_fact
K = schema.directory_key
J = schema.directory_job

READ_KEY_MAX = "\U0010ffff"
"""Greater than every character of a key."""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """What is read of a source: its generation, when the source made it, and the same of the one before."""

    source: int
    current: int = 0
    before: int = 0
    as_of_ms: int = 0
    before_as_of_ms: int = 0
    digest: bytes = b""
    before_digest: bytes = b""


class FactRow(NamedTuple):
    """A fact as it is stored; a tuple, since a page reads a hundred of them and an import millions."""

    number: int
    source: int
    kind: int
    text: str
    since: int
    until: int = STILL

    def is_read(self, generation: int) -> bool:
        return self.since <= generation < self.until


@dataclass(frozen=True, slots=True)
class ImportRow:
    generation: int
    source: int
    state: str
    digest: bytes
    file: str
    as_of_ms: int
    began_ms: int
    ended_ms: int = 0
    counts: str = "{}"


_SOURCES = Hot(
    select(S.c.source, S.c.current, S.c.before, S.c.as_of_ms, S.c.before_as_of_ms, S.c.digest, S.c.before_digest)
)
_FACTS = select(F.c.number, F.c.source, F.c.kind, F.c.text, F.c.since, F.c.until)
_ABOUT = Hot(_FACTS.where(F.c.number >= bindparam("first"), F.c.number <= bindparam("last")).order_by(F.c.number))
_WALK = Hot(
    select(K.c.key, F.c.number, F.c.source, F.c.kind, F.c.text, F.c.since, F.c.until)
    .join_from(K, F, F.c.number == K.c.number)
    .where(tuple_(K.c.key, K.c.number) > tuple_(bindparam("from_key"), bindparam("from_number")))
    .where(K.c.key < bindparam("end_key"))
    .order_by(K.c.key, K.c.number)
    .limit(bindparam("rows_max"))
)
_BEHIND = Hot(
    select(func.count()).select_from(
        select(K.c.key)
        .where(K.c.key >= bindparam("from_key"), K.c.key < bindparam("end_key"))
        .limit(bindparam("most"))
        .subquery()
    )
)
_PAGE = (
    _FACTS.where(F.c.number > bindparam("after"), F.c.source == bindparam("of"))
    .order_by(F.c.number)
    .limit(bindparam("rows_max"))
)

_JOBS = Hot(select(J.c.job).distinct())
_LOOSE = (
    _FACTS.where(F.c.number > bindparam("after"), F.c.source == bindparam("of"))
    .where(or_(F.c.since > bindparam("current"), F.c.until != STILL))
    .order_by(F.c.number)
    .limit(bindparam("rows_max"))
)


def sources(connection: Connection) -> dict[int, SourceRow]:
    """What is read of each source that was ever imported."""
    return {row[0]: SourceRow(*row) for row in _SOURCES.all(connection, {})}


def facts_about(connection: Connection, first: int, last: int) -> list[FactRow]:
    """Facts with a number in a range: those of one subject, read or not."""
    return [FactRow(*row) for row in _ABOUT.all(connection, {"first": first, "last": last})]


def page_of_facts(connection: Connection, source: int, after: int, rows_max: int) -> list[FactRow]:
    """Facts of a source in the order of their numbers."""
    rows = connection.execute(_PAGE, {"after": after, "of": source, "rows_max": rows_max})
    return [FactRow(*row) for row in rows]


def page_of_loose(connection: Connection, source: int, current: int, after: int, rows_max: int) -> list[FactRow]:
    """The same of those alone that are newer than a generation, or were taken back."""
    values = {"after": after, "of": source, "current": current, "rows_max": rows_max}
    return [FactRow(*row) for row in connection.execute(_LOOSE, values)]


def walk(connection: Connection, start: str, after: tuple[str, int] | None, rows_max: int) -> list[tuple[str, FactRow]]:
    """Keys that begin with `start`, each with its fact, behind `after`; read or not."""
    key, number = after or (start, -1)
    values = {"from_key": key, "from_number": number, "end_key": start + READ_KEY_MAX, "rows_max": rows_max}
    return [(row[0], FactRow(*row[1:])) for row in _WALK.all(connection, values)]


def keys_behind(connection: Connection, start: str, most: int) -> int:
    """How many keys begin with `start`, counted no further than `most`."""
    return int(_BEHIND.all(connection, {"from_key": start, "end_key": start + READ_KEY_MAX, "most": most})[0][0])


def walk_each(connection: Connection, starts: Sequence[str], rows_max: int) -> list[tuple[str, FactRow]]:
    """Facts behind keys that begin with any of `starts`, each beside that start, in one statement."""
    if not starts:
        return []
    values = {"starts": as_each(connection, starts), "end": READ_KEY_MAX, "rows_max": rows_max}
    rows = connection.execute(_walk_each(connection.dialect.name), values)
    return [(row[0], FactRow(*row[1:])) for row in rows]


@cache
def _walk_each(dialect: str) -> Select[Any]:
    starts = each_of(dialect, "starts", Text())
    end = starts.c.value.concat(bindparam("end", type_=Text()))
    behind = and_(K.c.key >= starts.c.value, K.c.key < end)
    if dialect == "sqlite":
        return (
            select(starts.c.value, F.c.number, F.c.source, F.c.kind, F.c.text, F.c.since, F.c.until)
            .select_from(starts.join(K, behind).join(F, F.c.number == K.c.number))
            .order_by(K.c.key, K.c.number)
            .limit(bindparam("rows_max"))
        )
    # PostgreSQL takes a beginning for a two-hundredth of all keys, and would rather read every fact once than look up
    # so many: each beginning has a limit of its own, so that it is walked.
    met = (
        select(K.c.key, F.c.number, F.c.source, F.c.kind, F.c.text, F.c.since, F.c.until)
        .join_from(K, F, F.c.number == K.c.number)
        .where(behind)
        .order_by(K.c.key, K.c.number)
        .limit(bindparam("rows_max"))
        .lateral("met")
    )
    return (
        select(starts.c.value, met.c.number, met.c.source, met.c.kind, met.c.text, met.c.since, met.c.until)
        .select_from(starts.join(met, true()))
        .order_by(met.c.key, met.c.number)
        .limit(bindparam("rows_max"))
    )


FACTS_OF_ONE_MAX = 1_000
"""Of one subject, on PostgreSQL: an address or a person is spoken of a handful of times."""


def facts_of(connection: Connection, firsts: Sequence[int], width: int) -> list[FactRow]:
    """Facts of many subjects in one statement: with numbers of `width` from each of `firsts` on; read or not."""
    if not firsts:
        return []
    values = {"firsts": as_each(connection, firsts), "width": width}
    return [FactRow(*row) for row in connection.execute(_facts_of(connection.dialect.name), values)]


@cache
def _facts_of(dialect: str) -> Select[Any]:
    firsts = each_of(dialect, "firsts", BigInteger())
    within = and_(F.c.number >= firsts.c.value, F.c.number < firsts.c.value + bindparam("width", type_=BigInteger()))
    facts = select(F.c.number, F.c.source, F.c.kind, F.c.text, F.c.since, F.c.until)
    if dialect == "sqlite":
        return facts.select_from(firsts.join(F, within)).order_by(F.c.number)
    # As in `_walk_each`: of a million PostgreSQL would read all, with several processes, for each question.
    said = facts.where(within).order_by(F.c.number).limit(FACTS_OF_ONE_MAX).lateral("said")
    return select(*said.c).select_from(firsts.join(said, true())).order_by(said.c.number)


def jobs(connection: Connection) -> tuple[str, ...]:
    """Professions and specialties that are named, folded."""
    return tuple(job for (job,) in _JOBS.all(connection, {}))


def jobs_with_code(connection: Connection, code: str) -> tuple[str, ...]:
    """What a national code was called."""
    return tuple(connection.execute(select(J.c.job).where(J.c.code == code).order_by(J.c.job)).scalars())


# An import, step by step.


def begin(connection: Connection, row: ImportRow) -> None:
    """Note an import; nobody reads it yet."""
    connection.execute(
        insert(I),
        {
            "generation": row.generation,
            "source": row.source,
            "state": row.state,
            "digest": row.digest,
            "file": row.file,
            "as_of_ms": row.as_of_ms,
            "began_ms": row.began_ms,
            "ended_ms": row.ended_ms,
            "counts": row.counts,
        },
    )


_IMPORTS = select(
    I.c.generation,
    I.c.source,
    I.c.state,
    I.c.digest,
    I.c.file,
    I.c.as_of_ms,
    I.c.began_ms,
    I.c.ended_ms,
    I.c.counts,
)


def imports(connection: Connection, rows_max: int, of: Sequence[int]) -> list[ImportRow]:
    """The last imports of these sources, newest first."""
    query = _IMPORTS.where(I.c.source.in_(of)).order_by(I.c.generation.desc()).limit(rows_max)
    return [ImportRow(*row) for row in connection.execute(query)]


def moments(connection: Connection, generations: Sequence[int]) -> dict[int, int]:
    """As of when each of these generations was, in milliseconds."""
    found = connection.execute(select(I.c.generation, I.c.as_of_ms).where(I.c.generation.in_(generations)))
    return {row.generation: row.as_of_ms for row in found}


def next_generation(connection: Connection) -> int:
    """Nobody else takes one until the caller's transaction ends."""
    head = tables.audit_head
    connection.execute(select(head.c.seq).where(head.c.lane == 0).with_for_update())
    return int(connection.execute(select(func.coalesce(func.max(I.c.generation), 0))).scalar_one()) + 1


def add_facts(connection: Connection, rows: Sequence[FactRow]) -> None:
    """Put facts beside those that are read. Safe to repeat."""
    pour(connection, F, rows)


def add_keys(connection: Connection, rows: Sequence[tuple[str, int]]) -> None:
    """Put keys of listings into the index. Safe to repeat."""
    pour(connection, K, rows)


def add_jobs(connection: Connection, jobs: Sequence[tuple[str, str]]) -> None:
    """Names of professions and specialties, folded, each with its national code (or ""). Safe to repeat."""
    if jobs:
        insert_ignoring(connection, J, [{"job": name, "code": code} for name, code in jobs])


def take_back(connection: Connection, numbers: Sequence[int], generation: int) -> None:
    """From `generation` on these facts are no longer said. Safe to repeat."""
    if numbers:
        change = update(F).where(F.c.number == bindparam("gone"), F.c.until == STILL).values(until=generation)
        connection.execute(change, [{"gone": number} for number in numbers])


def say_again(connection: Connection, row: SourceRow) -> None:
    """What is read of a source, as of now."""
    values = {
        "source": row.source,
        "current": row.current,
        "before": row.before,
        "as_of_ms": row.as_of_ms,
        "before_as_of_ms": row.before_as_of_ms,
        "digest": row.digest,
        "before_digest": row.before_digest,
    }
    connection.execute(delete(S).where(S.c.source == row.source))
    connection.execute(insert(S), values)


def forget_digest(connection: Connection, source: int) -> None:
    """The file that is read may be taken in again: somebody has decided otherwise about it."""
    connection.execute(update(S).where(S.c.source == source).values(digest=b""))


def switch(connection: Connection, row: SourceRow, generation: int, ended_ms: int, counts: str) -> None:
    """From now on everybody reads this generation: the whole import at once."""
    say_again(connection, row)
    change = {"state": "applied", "ended_ms": ended_ms, "counts": counts}
    connection.execute(update(I).where(I.c.generation == generation).values(change))


def switch_back(connection: Connection, row: SourceRow, ended_ms: int) -> None:
    """Everybody reads the generation before. There is no step further back."""
    back = {
        "current": row.before,
        "before": 0,
        "as_of_ms": row.before_as_of_ms,
        "before_as_of_ms": 0,
        "digest": row.before_digest,
        "before_digest": b"",
    }
    connection.execute(update(S).where(S.c.source == row.source).values(back))
    change = {"state": "rolled-back", "ended_ms": ended_ms}
    connection.execute(update(I).where(I.c.generation == row.current).values(change))


def forget_before(connection: Connection, source: int) -> None:
    """There is no generation to return to any more: its facts may go."""
    connection.execute(update(S).where(S.c.source == source).values(before=0, before_as_of_ms=0, before_digest=b""))


def forget_unfinished(connection: Connection, source: int) -> None:
    connection.execute(delete(I).where(and_(I.c.source == source, I.c.state == "applying")))


def reopen(connection: Connection, numbers: Sequence[int]) -> None:
    """Facts that a generation took back which nobody reads: they are still said."""
    if numbers:
        change = update(F).where(F.c.number == bindparam("back")).values(until=STILL)
        connection.execute(change, [{"back": number} for number in numbers])


def drop_facts(connection: Connection, numbers: Sequence[int]) -> None:
    if numbers:
        connection.execute(delete(F).where(F.c.number == bindparam("gone")), [{"gone": number} for number in numbers])


def drop_keys(connection: Connection, rows: Sequence[tuple[str, int]]) -> None:
    if rows:
        gone = delete(K).where(K.c.key == bindparam("at_key"), K.c.number == bindparam("at_number"))
        connection.execute(gone, [{"at_key": key, "at_number": number} for key, number in rows])
