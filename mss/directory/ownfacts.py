"""How does what we say of a mailbox become what everybody reads? Functions of a connection; the caller's transaction.

A change is a generation of its own, seen whole or not at all. What is hidden is deleted instead, for lists too that are
being turned: a closed mailbox, and one on the red list, are gone at once and everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from mss.crypto.keys import Lookup
from mss.directory.facts import (
    Fact,
    Kind,
    listing_fact,
    listing_of,
    nothing_at,
    numbers_about,
    professional_of,
    structure_of,
)
from mss.directory.keys import job_key
from mss.directory.own import OF_PEOPLE, Around, Own, agrees, derive, from_text, to_text, without_address
from mss.directory.structurekeys import keys_of_fact
from mss.model.clock import to_ms
from mss.model.directory import IMPORTED, Listing, Source
from mss.model.errors import BadValue
from mss.store import directory, ownmailboxes
from mss.store.database import Store
from mss.store.directory import FactRow, ImportRow, SourceRow
from mss.store.directoryschema import CODE_CHARS_MAX, STILL
from mss.store.ownmailboxes import OwnRow, OwnState
from mss.store.sql import Connection

NOBODY = 0
HASH_BYTES = Lookup.HASH_BYTES
ELSEWHERE_MAX = 20
OURS = int(Source.OURS)
FILE = "own mailboxes"


def holder_hash(lookup: Lookup, own: Own) -> bytes:
    """Keyed, of the number of whoever has the mailbox; empty: nobody said."""
    if not own.holder:
        return b""
    return lookup.person(own.holder) if own.kind in OF_PEOPLE else lookup.of("structure", own.holder)


def begin(connection: Connection, lookup: Lookup, own: Own, now: datetime, actor: str) -> OwnRow:
    """A mailbox comes into being, or the first is said of it. Raises BadValue for an address that was another's."""
    hashed, holder = lookup.address(own.address), holder_hash(lookup, own)
    before = ownmailboxes.one(connection, hashed, locks=True)
    if before is not None and (before.kind != own.kind or (before.holder_hmac and before.holder_hmac != holder)):
        raise BadValue(f"{own.address} was another's: kind and holder of an address never change")
    if before is not None and before.is_unlisted:
        return before  # who is on the red list leaves it by her own wish only
    version = before.version + 1 if before else 1
    row = OwnRow(hashed, own.kind.value, holder, OwnState.LISTED, False, to_text(own), version, to_ms(now))
    if before is not None:
        row = replace(row, published=before.published)
    return write(connection, row, own, now, actor, "begun")


def write(connection: Connection, row: OwnRow, own: Own, now: datetime, actor: str, what: str) -> OwnRow:
    """A changed row with its history and its listings; being late, it is published. `own`: with its words, also when
    the row has none any more."""
    ownmailboxes.put(connection, row, to_ms(now), actor, what)
    settle(connection, row, own, now)
    return row


def lives(connection: Connection, hashed: bytes, now: datetime, actor: str, *, takes_mail: bool) -> None:
    """A mailbox is closed, or comes back. Safe to repeat; nothing for mailboxes of which nothing is said."""
    row = ownmailboxes.one(connection, hashed, locks=True)
    if row is None or (row.state is not OwnState.CLOSED) == takes_mail:
        return
    state = OwnState.LISTED if takes_mail else OwnState.CLOSED
    version = row.version + 1
    if row.is_unlisted:  # hidden it is, and stays; what was taken back need not be again
        published = version if row.is_published else row.published
        row = replace(row, state=state, version=version, changed_ms=to_ms(now), published=published)
        ownmailboxes.put(connection, row, to_ms(now), actor, state.value)
        return
    row = replace(
        row, state=state, version=version, changed_ms=to_ms(now), problem="", tries=0, since_ms=0, next_try_ms=0
    )
    write(connection, row, from_text(row.text), now, actor, "reopened" if takes_mail else "closed")


# ── listings ──


def around(connection: Connection, sources: dict[int, SourceRow], own: Own) -> tuple[Around, list[Listing]]:
    """What national files say; and their listings of the address that mean another mailbox."""
    said: list[tuple[int, Listing]] = []
    person = structure = None
    for number in sorted(IMPORTED, reverse=True):
        if (source := sources.get(number)) is None:
            continue
        for row in _read(connection, source, Kind.LISTING, own.address):
            said.append((number, listing_of(row.text)))
        if own.idnps and person is None:
            person = next(
                (professional_of(row.text) for row in _read(connection, source, Kind.PROFESSIONAL, own.idnps)), None
            )
        if own.idnst and structure is None:
            structure = next(
                (structure_of(row.text) for row in _read(connection, source, Kind.STRUCTURE, own.idnst)), None
            )
    believed = max((number for number, _ in said), default=0)
    listings = [listing for number, listing in said if number == believed]
    others = [listing for _, listing in said if not agrees(own, listing)]
    elsewhere = _elsewhere(connection, sources, own) if own.idnps else []
    return Around(listings, person, structure, elsewhere), others


def _read(connection: Connection, source: SourceRow, kind: Kind, subject: str) -> list[FactRow]:
    rows = directory.facts_about(connection, *numbers_about(source.source, kind, subject))
    return [row for row in rows if row.is_read(source.current) and row.kind == kind]


def _elsewhere(connection: Connection, sources: dict[int, SourceRow], own: Own) -> list[Listing]:
    rows = directory.walk(connection, f"h/{own.idnps.lower()}/", None, ELSEWHERE_MAX)
    current = {int(number): sources[number].current for number in IMPORTED if number in sources}
    return [listing_of(row.text) for _, row in rows if row.source in current and row.is_read(current[row.source])]


def wanted(connection: Connection, sources: dict[int, SourceRow], row: OwnRow, own: Own) -> dict[int, Fact]:
    """The rows of our source about this address. None at all where national files say the same already."""
    if row.is_unlisted or row.state is OwnState.CLOSED:
        hides = nothing_at(OURS, own.address)
        return {hides.number: hides}
    known, others = around(connection, sources, own)
    listings = derive(own, known)
    hides = nothing_at(OURS, own.address)
    if row.state is OwnState.WITHDRAWN:
        facts = [listing_fact(OURS, own.address, one) for one in without_address(listings)]
        return {fact.number: fact for fact in (hides, *facts)}
    if not others and set(listings) == set(known.listings):
        return {}
    if not listings and others:  # somebody else's name must not stand there
        return {hides.number: hides}
    return {fact.number: fact for fact in (listing_fact(OURS, own.address, one) for one in listings)}


async def derivable(store: Store, own: Own) -> bool:
    """Whether enough is known of the holder for a listing."""
    return await store.read(lambda c: bool(derive(own, around(c, directory.sources(c), own)[0])))


def differs(connection: Connection, sources: dict[int, SourceRow], row: OwnRow, own: Own) -> bool:
    """Whether what is read of our source is not what follows from the row."""
    current = sources.get(OURS, SourceRow(OURS)).current
    rows = directory.facts_about(connection, *numbers_about(OURS, Kind.LISTING, own.address))
    return {one.number for one in rows if one.is_read(current)} != wanted(connection, sources, row, own).keys()


def settle(connection: Connection, row: OwnRow, own: Own, now: datetime) -> bool:
    """Let everybody read what follows from a row (locked by the caller). Whether anything changed."""
    sources = directory.sources(connection)
    if OURS not in sources:
        directory.say_again(connection, SourceRow(OURS, as_of_ms=_as_of_ms(sources, now), digest=rests_on(sources)))
        sources = directory.sources(connection)
    source = sources[OURS]
    facts = wanted(connection, sources, row, own)
    rows = directory.facts_about(connection, *numbers_about(OURS, Kind.LISTING, own.address))
    standing = {one.number: one for one in rows if one.is_read(source.current)}
    if standing.keys() == facts.keys():
        return False
    if any(fact.kind is Kind.NOTHING for fact in facts.values()):
        drop(connection, rows)
        standing = {}
    gone = [number for number in standing if number not in facts]
    new = [fact for number, fact in facts.items() if number not in standing]
    hiding = [fact for fact in new if fact.kind is Kind.NOTHING]
    directory.add_facts(connection, [FactRow(one.number, OURS, one.kind, one.text, 0) for one in hiding])
    shown = [fact for fact in new if fact.kind is not Kind.NOTHING]
    drop(connection, [one for one in rows if one.number in {fact.number for fact in shown}])
    lifted = [one for one in standing.values() if one.kind == Kind.NOTHING and one.number in gone]
    drop(connection, lifted)
    if shown or len(gone) > len(lifted):
        _next(connection, source, shown, gone, _as_of_ms(sources, now), to_ms(now))
    return True


def _next(
    connection: Connection, source: SourceRow, shown: Sequence[Fact], gone: list[int], as_of_ms: int, now_ms: int
) -> None:
    """The generation in which these are said, and those no longer."""
    generation = directory.next_generation(connection)
    row = ImportRow(generation, OURS, "applied", b"", FILE, now_ms, now_ms, now_ms)
    directory.begin(connection, row)
    directory.add_facts(connection, [FactRow(one.number, OURS, one.kind, one.text, generation) for one in shown])
    for fact in shown:
        listing = listing_of(fact.text)
        directory.add_keys(connection, [(key, fact.number) for key in sorted(keys_of_fact(fact.kind, fact.text))])
        named = (job for job in (listing.specialty, listing.profession) if job is not None)
        directory.add_jobs(connection, sorted({(job_key(job), job.code[:CODE_CHARS_MAX]) for job in named}))
    directory.take_back(connection, gone, generation)
    current = directory.sources(connection)[OURS]
    directory.say_again(connection, replace(current, current=generation, as_of_ms=as_of_ms))


def _as_of_ms(sources: dict[int, SourceRow], now: datetime) -> int:
    """The newest national file, on which names rest; without one, now."""
    return max((sources[number].as_of_ms for number in IMPORTED if number in sources), default=to_ms(now))


def drop(connection: Connection, rows: Sequence[FactRow]) -> None:
    """Nobody reads them any more, on any page."""
    keys = [(key, row.number) for row in rows for key in keys_of_fact(Kind(row.kind), row.text)]
    directory.drop_keys(connection, keys)
    directory.drop_facts(connection, [row.number for row in rows])


def forget_taken_back(connection: Connection, address: str, floor: int) -> None:
    """Facts of an address that no cursor may name any more."""
    rows = directory.facts_about(connection, *numbers_about(OURS, Kind.LISTING, address))
    drop(connection, [row for row in rows if row.until <= floor and row.until < STILL])


def rests_on(sources: dict[int, SourceRow]) -> bytes:
    """Which national files our listings were derived from."""
    return repr([(number, sources[number].current) for number in IMPORTED if number in sources]).encode()


def said_again(connection: Connection, now: datetime, *, moves_floor: bool = False) -> int:
    """What is ours is still so, beside the national files as they are now. Returns the generation before which facts
    may go; with `moves_floor`, once a day, cursors may be as old as this moment from now on."""
    sources = directory.sources(connection)
    source = sources.get(OURS, SourceRow(OURS))
    before = source.current if moves_floor else source.before
    as_of_ms, digest = _as_of_ms(sources, now), rests_on(sources)
    directory.say_again(connection, replace(source, before=before, as_of_ms=as_of_ms, digest=digest))
    return source.before
