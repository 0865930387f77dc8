"""What does a client do with messages? APPEND, STORE, COPY, MOVE, EXPUNGE, CLOSE."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from mss.formats.binarymail import without_binary
from mss.imap import commands as c
from mss.imap import responses
from mss.imap.backend import FolderRefused, NewMessage, allowed_flags
from mss.imap.replies import Declined, Problem, problem_of
from mss.imap.sets import set_text
from mss.imap.snapshot import Marks, Snapshot
from mss.imap.state import Selected, Session
from mss.model.errors import Malformed
from mss.model.mailbox import Flag

Answer = str | tuple[str, str | bytes]


async def append(session: Session, _tag: str, command: c.Append) -> Answer:
    folder = await session.find_folder(command.folder, otherwise=Problem.NO_TARGET)
    session.need(folder.box, "i")
    if not command.message:
        raise Declined(Problem.EMPTY_MESSAGE)
    if len(command.message) > session.settings.message_bytes_max:
        raise Declined(Problem.TOO_BIG)
    raw = command.message
    if command.is_binary:
        try:
            raw = await asyncio.to_thread(without_binary, raw)
        except Malformed:
            raise Declined(Problem.MESSAGE_MALFORMED) from None
        if len(raw) > session.settings.message_bytes_max:
            raise Declined(Problem.TOO_BIG)
    try:
        flags = allowed_flags(folder.box, command.flags)  # RFC 4314 §4: others are not kept
        uid = await session.store.append(folder, NewMessage(raw, flags, command.received_at))
    except FolderRefused as refused:
        raise Declined(problem_of(refused.problem)) from None
    await session.tell_news(may_expunge=True, ask=True)
    return "Appended", f"APPENDUID {folder.uidvalidity} {uid}"


# --- flags


async def store(session: Session, _tag: str, command: c.Store) -> Answer:
    selected = session.writable_folder()
    command = _as_allowed(selected, command)
    if command.unchanged_since is not None:
        session.use_condstore()
        command = replace(command, unchanged_since=selected.folder.since(command.unchanged_since))
    positions = selected.view.positions(command.messages, uid=command.uid)
    if positions is None:
        raise Declined(Problem.NO_SUCH_MESSAGE)
    uids = _present(selected, positions)
    if not uids:
        return "Nothing to change"
    before = selected.view.snapshot
    try:
        kept_back = await session.store.change_flags(
            selected.folder, uids, command.mode, command.flags, command.unchanged_since
        )
    except FolderRefused as refused:
        raise Declined(problem_of(refused.problem)) from None
    newest = await selected.opened.refresh(selected.folder)
    changed = sorted(set(uids) - set(kept_back))
    if command.silent and not session.condstore:
        expected = {uid: _expected(before, newest, uid, command) for uid in changed}
        session.tell(newest, may_expunge=False, known=expected)
    elif command.silent:  # RFC 7162 §3.1.3: the mod-sequences are told all the same
        session.tell(newest, may_expunge=False)
    else:
        session.tell(newest, may_expunge=False, known=dict.fromkeys(changed))
        there = [p for p in (selected.view.position(uid) for uid in changed if newest.index(uid) >= 0) if p >= 0]
        session.wire.write(session.flag_rows(there, uid=command.uid))
    if kept_back:
        numbers = kept_back if command.uid else [selected.view.position(uid) + 1 for uid in kept_back]
        return "Some had changed before", b"MODIFIED " + set_text(numbers)
    return "Stored"


def _as_allowed(selected: Selected, command: c.Store) -> c.Store:
    """As much of a STORE as this account may do; a refusal only when that is nothing (RFC 4314 §4). To replace all
    flags one must be allowed all that others see; \\Seen may be one's own. Raises Declined."""
    box = selected.folder.box
    flags = allowed_flags(box, command.flags)
    asks_much = command.mode is c.StoreMode.REPLACE and not set("stw") <= set(box.rights)
    if asks_much or (command.flags != c.Flags() and flags == c.Flags()):
        raise Declined(Problem.FILLS_ITSELF if box.fills_itself else Problem.NO_PERMISSION)
    return replace(command, flags=flags)


def _expected(before: Snapshot, newest: Snapshot, uid: int, command: c.Store) -> Marks:
    """What the client believes after its silent STORE, in the numbering of keywords that holds now."""
    named = {name.casefold() for name in command.flags.keywords}
    bits = sum(1 << bit for bit, name in enumerate(newest.keywords) if name and name.casefold() in named)
    index = before.index(uid)
    system, keywords = before.marks(index) if index >= 0 else (0, 0)
    match command.mode:
        case c.StoreMode.ADD:
            return system | command.flags.system, keywords | bits
        case c.StoreMode.REMOVE:
            return system & ~command.flags.system, keywords & ~bits
        case c.StoreMode.REPLACE:
            return command.flags.system, bits


# --- copies


async def copy(session: Session, _tag: str, command: c.Copy) -> Answer:
    selected = session.writable_folder() if command.move else session.open_folder()
    target = await session.find_folder(command.folder, otherwise=Problem.NO_TARGET)
    session.need(target.box, "i")
    if command.move:
        session.need(selected.folder.box, "t")
        session.need(selected.folder.box, "e")
    positions = selected.view.positions(command.messages, uid=command.uid)
    if positions is None:
        raise Declined(Problem.NO_SUCH_MESSAGE)
    uids = _present(selected, positions)
    if not uids:
        return "Nothing to copy"
    act = session.store.move if command.move else session.store.copy
    try:
        pairs = await act(selected.folder, uids, target)
    except FolderRefused as refused:
        raise Declined(problem_of(refused.problem)) from None
    code = responses.copied(target.uidvalidity, pairs) if pairs else b""
    if not command.move:
        return ("Copied", code) if code else "Nothing to copy"
    if code:
        session.wire.write(responses.tagged("*", "OK", "Moved", code))  # RFC 6851 §4.3: before the expunges
    return await _removed(session, "Moved")


# --- removal


async def expunge(session: Session, _tag: str, command: c.Expunge) -> Answer:
    selected = session.writable_folder()
    session.need(selected.folder.box, "e")
    await _expunge(session, selected, command)
    return await _removed(session, "Expunged")


async def _removed(session: Session, text: str) -> Answer:
    """Tell what has gone, and up to which modseq the client now knows everything (RFC 7162 §3.2.7, §3.2.10)."""
    await session.tell_news(may_expunge=True, ask=True)
    if session.condstore and session.selected is not None:
        return text, f"HIGHESTMODSEQ {session.selected.view.snapshot.modseq}"
    return text


async def close(session: Session, _tag: str, command: c.Close) -> Answer:
    selected = session.open_folder()
    if command.expunge and not selected.read_only and "e" in selected.folder.box.rights:
        await _expunge(session, selected, c.Expunge())
    session.let_go()
    return "Closed"


async def _expunge(session: Session, selected: Selected, command: c.Expunge) -> None:
    """Only messages that this client knows of: it has not decided on others."""
    snapshot = await selected.opened.current(selected.folder)
    marked = snapshot.uids_with(Flag.DELETED)
    known, uids = selected.view.position, marked
    if command.uids is not None:
        named = selected.view.positions(command.uids, uid=True) or ()
        uids = sorted({selected.view.uids[position] for position in named} & set(marked))
    uids = [uid for uid in uids if known(uid) >= 0]
    if uids:
        await session.store.expunge(selected.folder, uids)


def _present(selected: Selected, positions: list[int]) -> list[int]:
    """Uids of those messages that have not gone, as far as we know."""
    view = selected.view
    return [view.uids[p] for p, index in zip(positions, view.indices(positions), strict=True) if index >= 0]
