"""How is a folder sorted or threaded for a client? SORT and THREAD (RFC 5256): found first, then put in order.

What is compared is read page by page from rows and summaries; of a message only its keys are kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from mss.formats.headers import parse_message_ids
from mss.formats.summary import Section
from mss.imap import commands as c
from mss.imap import responses
from mss.imap.backend import Row
from mss.imap.fetching import PAGE_MESSAGES
from mss.imap.search import header_values
from mss.imap.searching import find, note_modseq, numbers_of
from mss.imap.sort import SortKey, in_order, sent_ms, sort_key
from mss.imap.sortkeys import SortBy
from mss.imap.state import Session
from mss.imap.subjects import base_subject
from mss.imap.thread import Letter, threads

_OF_ROWS = {SortBy.ARRIVAL, SortBy.SIZE}


async def sort(session: Session, _tag: str, command: c.Sort) -> str:
    note_modseq(session, command.key)
    positions = await find(session, command.key)
    needs_header = any(criterion.by not in _OF_ROWS for criterion in command.criteria)
    there: list[int] = []
    keys: list[tuple[SortKey, ...]] = []
    async for position, row, header in _facts(session, positions, needs_header=needs_header):
        there.append(position)
        keys.append(tuple(sort_key(criterion.by, header, row) for criterion in command.criteria))
    order = await asyncio.to_thread(in_order, command.criteria, keys)
    numbers = numbers_of(session, [there[index] for index in order], uid=command.uid)
    session.wire.write(responses.sorted_numbers(numbers))
    await session.wire.drain()
    return "Sorted"


async def thread(session: Session, _tag: str, command: c.Thread) -> str:
    note_modseq(session, command.key)
    positions = await find(session, command.key)
    numbers = dict(zip(positions, numbers_of(session, positions, uid=command.uid), strict=True))
    letters = [
        _letter(numbers[position], row, header)
        async for position, row, header in _facts(session, positions, needs_header=True)
    ]
    session.wire.write(responses.threads(await asyncio.to_thread(threads, letters)))
    await session.wire.drain()
    return "Threaded"


async def _facts(
    session: Session, positions: list[int], *, needs_header: bool
) -> AsyncIterator[tuple[int, Row, bytes]]:
    """Position, row and usual header fields of messages that are still there."""
    selected = session.open_folder()
    for start in range(0, len(positions), PAGE_MESSAGES):
        page = {selected.view.uids[p]: p for p in positions[start : start + PAGE_MESSAGES]}
        if needs_header:
            told = await session.store.summaries(selected.folder, list(page))
            for row, header in zip(told.rows, told.column(Section.HEADERS), strict=True):
                yield page[row.uid], row, header
        else:
            for row in await session.store.rows(selected.folder, list(page)):
                yield page[row.uid], row, b""
        await asyncio.sleep(0)  # others may go between two pages


def _letter(number: int, row: Row, header: bytes) -> Letter:
    said = {name: header_values(header, name) for name in (b"message-id", b"references", b"in-reply-to", b"subject")}
    ids = parse_message_ids(said[b"message-id"][0]) if said[b"message-id"] else ()
    references = parse_message_ids(b" ".join(said[b"references"]))
    if not references:
        references = parse_message_ids(b" ".join(said[b"in-reply-to"]))[:1]
    subject, is_reply = base_subject(said[b"subject"][0]) if said[b"subject"] else ("", False)
    return Letter(number, ids[0] if ids else "", references, subject, is_reply, sent_ms(header, row))
