"""How do messages reach the client? FETCH: rows in pages, bodies in pieces, never more than the client can drink.

Items without bodies go by whole pages (mss/imap/rows.py). Bodies are opened a batch at a time, or, when large,
frame by frame; between pieces the wire is drained.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from mss.formats.summary import PartEntry, Section, is_usual, parts_in
from mss.imap import commands as c
from mss.imap import responses
from mss.imap.backend import Folder, Row
from mss.imap.binary import tell_binaries
from mss.imap.commands import Attribute, Binary, Piece
from mss.imap.commands import Section as Asked
from mss.imap.replies import Declined, Problem
from mss.imap.resync import need_qresync, tell_vanished
from mss.imap.rows import NOTHING_TOLD, Fields, Need, Page, need_of, render
from mss.imap.sections import Places, cut, field_chooser, locate
from mss.imap.state import Disconnected, Session
from mss.imap.told import Told
from mss.model.errors import MssError
from mss.model.mailbox import Flag

PAGE_MESSAGES = 500
"""Messages asked of the store at once."""
FLAGS_AT_ONCE = 4000
"""Messages told at once of which the store need not be asked: some milliseconds."""
BATCH_BYTES_MAX = 1024 * 1024
"""Bodies opened at once; a larger message is read in pieces of this size."""


async def fetch(session: Session, _tag: str, command: c.Fetch) -> str | tuple[str, str]:
    selected = session.open_folder()
    if command.vanished:
        need_qresync(session)
    positions = selected.view.positions(command.messages, uid=command.uid)
    if positions is None:
        raise Declined(Problem.NO_SUCH_MESSAGE)
    plan = _plan(session, command)
    if command.changed_since is not None:
        command = replace(command, changed_since=selected.folder.since(command.changed_since))
    if command.vanished and command.changed_since is not None:
        await tell_vanished(session, command.changed_since, command.messages)
    if command.changed_since is not None:
        positions = selected.view.changed_since(positions, command.changed_since)
    newly_seen = await _mark_seen(session, plan, positions)
    told = 0
    at_once = FLAGS_AT_ONCE if plan.need is Need.SNAPSHOT else PAGE_MESSAGES
    for start in range(0, len(positions), at_once):
        part = positions[start : start + at_once]
        if start:
            await session.check_rights()
            if session.leaving:
                raise Declined(Problem.NO_PERMISSION)
        told += await _page(session, plan, part, newly_seen)
        await asyncio.sleep(0)  # others may go between two pages
    if told < len(positions) and not command.uid:
        return "Some messages are no longer there", "EXPUNGEISSUED"  # RFC 5530 §3
    return "Fetched"


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be told of each message."""

    attributes: tuple[Attribute, ...]
    sections: tuple[Asked, ...]
    fields: tuple[Fields, ...]
    """The sections, when they are all of header fields that summaries hold; then a page is told at once."""
    binaries: tuple[Binary, ...]
    need: Need

    @property
    def opens_bodies(self) -> bool:
        return len(self.fields) < len(self.sections) or bool(self.binaries)

    @property
    def marks_seen(self) -> bool:
        return not all(section.peek for section in self.sections) or not all(one.peek for one in self.binaries)


def _plan(session: Session, command: c.Fetch) -> _Plan:
    attributes = [item for item in command.items if isinstance(item, Attribute)]
    sections = tuple(item for item in command.items if isinstance(item, Asked))
    if (command.uid or session.qresync) and Attribute.UID not in attributes:
        attributes.insert(0, Attribute.UID)  # RFC 9051 §6.4.9; RFC 7162 §3.2.4: clients in QRESYNC live by uids
    if command.changed_since is not None and Attribute.MODSEQ not in attributes:
        attributes.append(Attribute.MODSEQ)  # RFC 7162 §3.1.4.1
    if Attribute.MODSEQ in attributes:
        session.use_condstore()
    need = need_of(attributes)
    if sections:
        whole = all(section.piece is Piece.ALL and not section.path for section in sections)
        need = max(need, Need.ROW if whole else Need.SUMMARY)
    fields = tuple(_fields(section) for section in sections) if all(map(_in_summary, sections)) else ()
    binaries = tuple(item for item in command.items if isinstance(item, Binary))
    return _Plan(tuple(attributes), sections, fields, binaries, Need.SUMMARY if binaries else need)


def _in_summary(section: Asked) -> bool:
    """The summary alone answers: header fields that are kept there."""
    is_fields = section.piece is Piece.FIELDS and not section.path
    return is_fields and section.peek and all(is_usual(name.lower()) for name in section.fields)


def _fields(section: Asked) -> Fields:
    choose = field_chooser(section.fields, but=False)
    if section.span is None:
        return Fields(section.label, choose)
    first, count = section.span
    return Fields(section.label, lambda header: choose(header)[first : first + count])


async def _mark_seen(session: Session, plan: _Plan, positions: list[int]) -> frozenset[int]:
    """Reading a body sets \\Seen (RFC 9051 §6.4.5); the uids for which that is news, to be told with the body."""
    selected = session.open_folder()
    if selected.read_only or not plan.marks_seen or "s" not in selected.folder.box.rights:
        return frozenset()
    view = selected.view
    snapshot = view.snapshot
    indices = view.indices(positions)
    unseen = [snapshot.uids[i] for i in indices if i >= 0 and not snapshot.marks(i)[0] & Flag.SEEN]
    if not unseen:
        return frozenset()
    await session.store.change_flags(selected.folder, unseen, c.StoreMode.ADD, c.Flags(Flag.SEEN))
    newest = await selected.opened.refresh(selected.folder)
    session.tell(newest, may_expunge=False, known=dict.fromkeys(unseen))
    return frozenset(unseen)


async def _page(session: Session, plan: _Plan, positions: list[int], newly_seen: frozenset[int]) -> int:
    """Tell some messages; how many there were."""
    selected = session.open_folder()
    view = selected.view
    pairs = [pair for pair in zip(positions, view.indices(positions), strict=True) if pair[1] >= 0]
    told = NOTHING_TOLD
    if plan.need is not Need.SNAPSHOT:
        uids = [view.uids[position] for position, _ in pairs]
        if plan.need is Need.ROW:
            told = Told.of_rows(await session.store.rows(selected.folder, uids))
        else:
            told = await session.store.summaries(selected.folder, uids)
        if len(told) < len(pairs):  # some went while we asked
            there = set(told.uids)
            pairs = [pair for pair, uid in zip(pairs, uids, strict=True) if uid in there]
    page = Page(view, [position for position, _ in pairs], [index for _, index in pairs], told)
    if not plan.opens_bodies:
        session.wire.write(render(page, plan.attributes, plan.fields))
        await session.wire.drain()
        return len(pairs)
    return await _page_with_bodies(session, plan, page, newly_seen)


async def _page_with_bodies(session: Session, plan: _Plan, page: Page, newly_seen: frozenset[int]) -> int:
    told, rows = 0, page.told.rows
    for batch in _batches(rows):
        told += await _batch(session, plan, page, rows, batch, newly_seen)
    return told


def _batches(rows: Sequence[Row]) -> list[range]:
    """Neighbours that are opened together; a large message is alone."""
    batches = []
    start = size = 0
    for index, row in enumerate(rows):
        if index > start and size + row.size_bytes > BATCH_BYTES_MAX:
            batches.append(range(start, index))
            start, size = index, 0
        size += row.size_bytes
    return [*batches, range(start, len(rows))]


async def _batch(
    session: Session, plan: _Plan, page: Page, known: Sequence[Row], batch: range, newly_seen: frozenset[int]
) -> int:
    folder = session.open_folder().folder
    rows = [known[number] for number in batch]
    is_large = len(rows) == 1 and rows[0].size_bytes > BATCH_BYTES_MAX
    bodies = {} if is_large else await session.store.bodies(folder, [row.uid for row in rows])
    told = 0
    for number in batch:
        row = known[number]
        if not is_large and row.uid not in bodies:
            continue
        one = page.only(number)
        parts = parts_in(one.told.column(Section.PARTS)[0]) if plan.need is Need.SUMMARY else ()
        message = _Message(session, folder, row, bodies.get(row.uid), parts)
        await _tell_message(session, plan, one, message, told_seen=row.uid in newly_seen)
        told += 1
    await session.wire.drain()
    return told


@dataclass(slots=True)
class _Message:
    """A message being told: its octets at hand, or to be had in pieces."""

    session: Session
    folder: Folder
    row: Row
    raw: bytes | None
    parts: tuple[PartEntry, ...]

    def places(self) -> Places:
        return {entry.path: entry[1:4] for entry in self.parts}

    async def octets(self, start: int, end: int) -> bytes:
        if self.raw is not None:
            return self.raw[start:end]
        return await self.session.store.body_range(self.folder, self.row.uid, start, end)

    async def pieces(self, start: int, end: int) -> AsyncIterator[bytes]:
        if self.raw is not None:
            yield self.raw[start:end]
            return
        for at in range(start, end, BATCH_BYTES_MAX):
            yield await self.octets(at, min(at + BATCH_BYTES_MAX, end))


async def _tell_message(session: Session, plan: _Plan, page: Page, message: _Message, *, told_seen: bool) -> None:
    attributes = list(plan.attributes)
    if told_seen:
        extra = (Attribute.FLAGS, Attribute.MODSEQ) if session.condstore else (Attribute.FLAGS,)
        attributes += [item for item in extra if item not in attributes]
    binaries: list[bytes] = []
    if plan.binaries:  # before anything is said of this message: an unknown encoding ends the command
        binaries = await tell_binaries(plan.binaries, message.parts, message.row.size_bytes, message.octets)
    session.wire.write(render(page, attributes, end=b""))
    space = b" " if attributes else b""
    for section in plan.sections:
        try:
            await _tell_section(session, section, message, space)
        except MssError as problem:
            raise Disconnected("a message broke off") from problem  # half a row is said: no answer can follow it
        space = b" "
    for text in binaries:
        session.wire.write(space + text)
        space = b" "
    session.wire.write(b")\r\n")


async def _tell_section(session: Session, section: Asked, message: _Message, space: bytes) -> None:
    """One section as a literal; NIL for a part that is not there."""
    wire = session.wire
    place = locate(section, message.row.size_bytes, message.places())
    if place is None:
        wire.write(b"%b%b NIL" % (space, section.label))
        return
    if section.fields:
        header = await message.octets(place.start, place.end)
        fields = field_chooser(section.fields, but=section.piece is Piece.FIELDS_NOT)(header)
        first, end = cut(len(fields), section.span)
        wire.write(b"%b%b %b" % (space, section.label, responses.literal(fields[first:end])))
        return
    first, end = cut(place.end - place.start, section.span)
    wire.write(b"%b%b {%d}\r\n" % (space, section.label, end - first))
    async for piece in message.pieces(place.start + first, place.start + end):
        wire.write(piece)
        if len(piece) >= BATCH_BYTES_MAX:
            await wire.drain()
