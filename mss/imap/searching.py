"""How is a folder searched without opening more than is needed? SEARCH, level by level.

Keys that all must hold are asked from the cheapest level to the dearest, each only for the messages that are left:
flags cost nothing, headers a page of summaries, texts the messages themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from mss.formats.sheet import Sheet
from mss.formats.summary import Section, is_usual, parts_in
from mss.imap import commands as c
from mss.imap import responses
from mss.imap import searchkeys as k
from mss.imap.fetching import PAGE_MESSAGES
from mss.imap.search import Facts, Level, is_in_said, level_of, narrow, said_in
from mss.imap.sets import SequenceSet, ranges_of
from mss.imap.state import Session
from mss.imap.told import Told
from mss.model.clock import to_ms
from mss.model.errors import MssError

NOTHING_SAVED = SequenceSet(())


async def search(session: Session, tag: str, command: c.Search) -> str:
    view = session.open_folder().view
    if command.returns is None and session.rev2:
        command = replace(command, returns=frozenset({"ALL"}))  # RFC 9051 §6.4.4: ESEARCH is the only answer
    saves = command.returns is not None and "SAVE" in command.returns
    asks_modseq = note_modseq(session, command.key)
    try:
        positions = await find(session, command.key)
    except MssError:
        if saves:
            view.saved = NOTHING_SAVED  # RFC 5182 §2.1
        raise
    snapshot = view.snapshot
    indices = [index for index in view.indices(positions) if index >= 0]
    highest = _highest(command, [snapshot.modseqs[index] for index in indices]) if asks_modseq else None
    numbers = numbers_of(session, positions, uid=command.uid)
    if command.returns is None:
        session.wire.write(responses.search(numbers, highest))
        await session.wire.drain()
        return "Searched"
    if saves:
        kept = [view.uids[p] for p in _kept(positions, command.returns)]
        view.saved = SequenceSet(tuple(ranges_of(kept)))
    if command.returns != {"SAVE"}:
        text = responses.esearch(tag, numbers, command.returns, uid=command.uid, modseq=highest)
        session.wire.write(text)
    await session.wire.drain()
    return "Searched"


def note_modseq(session: Session, key: k.SearchKey) -> bool:
    """Whether a search speaks of mod-sequences; its client does so from now on (RFC 7162 §3.1)."""
    asks = any(isinstance(inner, k.ModSeqFrom) for inner in _walk(key))
    if asks:
        session.use_condstore()
    return asks


async def find(session: Session, key: k.SearchKey) -> list[int]:
    """Positions of messages that match, rising."""
    positions = list(range(len(session.open_folder().view)))
    now_ms = to_ms(session.clock.now())
    keys = key.keys if isinstance(key, k.And) else (key,)
    for inner in sorted(keys, key=lambda inner: level_of(inner, is_usual)):
        positions = await _narrow(session, inner, positions, now_ms)
    return positions


def numbers_of(session: Session, positions: list[int], *, uid: bool) -> list[int]:
    """How an answer names messages."""
    uids = session.open_folder().view.uids
    return [uids[p] for p in positions] if uid else [p + 1 for p in positions]


def _kept(positions: list[int], returns: frozenset[str]) -> list[int]:
    """What SAVE keeps: all, or only the first and last when these alone are asked for (RFC 5182 §2.4)."""
    if returns & {"ALL", "COUNT"} or not returns & {"MIN", "MAX"}:
        return positions
    ends = {*(positions[:1] if "MIN" in returns else ()), *(positions[-1:] if "MAX" in returns else ())}
    return sorted(ends)


def _highest(command: c.Search, modseqs: list[int]) -> int:
    """Which mod-sequence a search tells: that of the messages it names when these are the first and last alone
    (RFC 4731 §3.2)."""
    named = (command.returns or frozenset()) - {"SAVE"}
    if not modseqs or not named or named & {"ALL", "COUNT"}:
        return max(modseqs, default=0)
    return max(modseqs[0 if word == "MIN" else -1] for word in named)


def _walk(key: k.SearchKey) -> Iterator[k.SearchKey]:
    yield key
    match key:
        case k.And(keys):
            for inner in keys:
                yield from _walk(inner)
        case k.Or(one, other):
            yield from _walk(one)
            yield from _walk(other)
        case k.Not(inner):
            yield from _walk(inner)


async def _narrow(session: Session, key: k.SearchKey, positions: list[int], now_ms: int) -> list[int]:
    """Ask a key page by page, so that what was learned of one page is forgotten before the next."""
    view = session.open_folder().view
    level = level_of(key, is_usual)
    if level is Level.SNAPSHOT:
        return narrow(key, positions, Facts(view, now_ms))
    matching: list[int] = []
    for start in range(0, len(positions), PAGE_MESSAGES):
        facts = Facts(view, now_ms)
        page = await _learn(session, key, level, positions[start : start + PAGE_MESSAGES], facts)
        matching += narrow(key, page, facts)
        await asyncio.sleep(0)  # others may go between two pages
    return matching


async def _learn(session: Session, key: k.SearchKey, level: Level, page: list[int], facts: Facts) -> list[int]:
    """Ask the store for what `key` needs of some messages; answers those that are still there."""
    folder, view = session.open_folder().folder, facts.view
    position = {view.uids[p]: p for p, index in zip(page, view.indices(page), strict=True) if index >= 0}
    leaves = list(_walk(key))
    if level is Level.ROW:
        told = Told.of_rows(await session.store.rows(folder, list(position)))
    else:
        told = await session.store.summaries(folder, list(position))
    here = [position[uid] for uid in told.uids]
    if any(level_of(inner, is_usual) is Level.ROW for inner in leaves):
        facts.rows |= zip(here, told.rows, strict=True)
    if level is not Level.ROW:
        _learn_headers(facts, told, here, leaves)
    if level >= Level.HEADER and not _all_usual(key):
        for uid, at, parts in zip(told.uids, here, told.column(Section.PARTS), strict=True):
            end = parts_in(parts)[0].body_start
            facts.headers[at] = await session.store.body_range(folder, uid, 0, end)
    for inner in leaves if level is Level.TEXT else ():
        if isinstance(inner, k.TextHas):
            found = await session.store.search_text(folder, told.uids, inner.text, header_too=inner.header_too)
            facts.texts[inner] = frozenset(position[uid] for uid in found)
    return here


def _learn_headers(facts: Facts, told: Told, here: list[int], leaves: list[k.SearchKey]) -> None:
    """What summaries hold of header fields, as far as the leaves of a key ask for it."""
    for inner in leaves:
        if isinstance(inner, k.HeaderHas) and is_in_said(inner):
            name = inner.field.encode()
            texts = told.derived(("said", name), partial(_said_by, name))
            facts.said[name] = dict(zip(here, texts, strict=True))
        elif isinstance(inner, k.HeaderHas | k.DayIs):
            facts.headers |= zip(here, told.column(Section.HEADERS), strict=True)


def _said_by(name: bytes, sheet: Sheet) -> list[str]:
    return [said_in(header, name) for header in sheet.column(Section.HEADERS)]


def _all_usual(key: k.SearchKey) -> bool:
    return all(is_usual(inner.field.encode()) for inner in _walk(key) if isinstance(inner, k.HeaderHas))
