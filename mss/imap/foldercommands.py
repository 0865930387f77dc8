"""What does a client do with folders? SELECT, LIST, STATUS, CREATE and their like."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from mss.imap import commands as c
from mss.imap import listing, responses, resync
from mss.imap.backend import Box, Folder, FolderRefused
from mss.imap.listing import Line, Node
from mss.imap.names import DELIMITER, INBOX, BadName, check_new_name
from mss.imap.replies import Declined, Problem, problem_of
from mss.imap.rights import told_rights
from mss.imap.snapshot import Snapshot
from mss.imap.state import SHARED_PREFIX, Selected, Session, permanent_mask
from mss.imap.view import View
from mss.model.errors import MssError, NotFound, StorageUnavailable
from mss.model.mailbox import ONLY_HERE, Flag, SpecialUse

KEYWORDS_MAX = 62
"""Keywords of one folder (bits of a signed number in the store)."""
T = TypeVar("T")
CHILD_INFO = b' ("CHILDINFO" ("SUBSCRIBED"))'


# --- SELECT, EXAMINE


async def select(session: Session, _tag: str, command: c.Select) -> tuple[str, str]:
    if command.resync is not None:
        resync.need_qresync(session)
    if session.selected is not None:
        session.let_go()
        session.wire.write(responses.ok_code("CLOSED", "Previous folder closed"))  # RFC 7162 §3.2.11
    folder = await session.find_folder(command.folder)
    session.need(folder.box, "r")
    session.condstore = session.condstore or command.condstore
    opened = await session.hub.open(folder)
    opened.watchers.add(session.wire.poke)
    snapshot = opened.snapshot
    read_only = command.read_only or not set("swtie") & set(folder.box.rights)
    recent = opened.claim_recent(snapshot, keeps=not read_only and not session.rev2)
    view = View(snapshot, (recent,) if recent[0] < recent[1] and not session.rev2 else ())
    session.selected = Selected(folder, opened, view, read_only)
    if not read_only and not session.rev2 and recent[1] > folder.recent_uid:
        with suppress(StorageUnavailable):  # mail can be read when nothing can be written
            await session.store.claim_recent(folder, recent[1])
    session.wire.write(_state(session, folder, view, read_only))
    if session.rev2:  # RFC 9051 §6.3.2: under which name it is open
        session.wire.write(responses.listed([], command.folder, utf8=True))
    if command.resync is not None:
        try:
            await resync.resume(session, command.resync)
        except MssError:
            session.let_go()  # after a NO nothing is selected (RFC 9051 §6.3.2)
            raise
    return ("Opened read-only", "READ-ONLY") if read_only else ("Opened", "READ-WRITE")


def _state(session: Session, folder: Folder, view: View, read_only: bool) -> bytes:
    snapshot = view.snapshot
    room = sum(1 for name in snapshot.keywords if name) < KEYWORDS_MAX
    parts = [
        responses.flags(snapshot.keywords),
        responses.permanent_flags(snapshot.keywords, permanent_mask(folder.box, read_only), room=room),
        responses.exists(len(view)),
    ]
    if not session.rev2:
        parts.append(responses.recent(view.recent_count()))
    unseen = -1 if session.rev2 else snapshot.first_without(Flag.SEEN)
    if unseen >= 0:
        parts.append(responses.ok_code(f"UNSEEN {unseen + 1}", "First unseen"))
    parts += [
        responses.ok_code(f"UIDVALIDITY {snapshot.uidvalidity}", "UIDs valid"),
        responses.ok_code(f"UIDNEXT {snapshot.uidnext}", "Next UID"),
        responses.ok_code(f"MAILBOXID {responses.mailbox_id(folder.id)}", "Its id"),
        responses.highest_modseq(snapshot.modseq),
    ]
    return b"".join(parts)


# --- LIST, LSUB, NAMESPACE


async def list_folders(session: Session, _tag: str, command: c.List) -> str:
    if command.basic and command.patterns == ("",):
        session.wire.write(responses.listed(["\\Noselect"], ""))  # the hierarchy delimiter (RFC 9051 §6.3.9)
        return "Listed"
    if session.rev2:
        command = replace(command, basic=False)  # \\NonExistent is what rev2 says (RFC 9051 §7.3.1)
    for line in listing.select(await _tree(session), command):
        extended = CHILD_INFO if line.child_info else b""
        session.wire.write(responses.listed(line.attributes, line.name, extended=extended, utf8=session.rev2))
        if "MYRIGHTS" in command.returns and line.folder is not None:  # RFC 8440
            session.wire.write(responses.my_rights(line.name, told_rights(line.folder.box), utf8=session.rev2))
        if command.status and line.folder is not None:
            await _write_status(session, line, command.status)
    await session.wire.drain()
    return "Listed"


async def list_subscribed(session: Session, _tag: str, command: c.Lsub) -> str:
    for line in listing.select_subscribed(await _tree(session), command.reference, command.pattern):
        session.wire.write(responses.listed(line.attributes, line.name, verb=b"LSUB", utf8=session.rev2))
    await session.wire.drain()
    return "Listed"


async def namespace(session: Session, _tag: str, _command: c.Namespace) -> str:
    assert session.account is not None
    own = [""] if session.account.own else []
    shared = [SHARED_PREFIX + DELIMITER] if session.account.shared else []
    session.wire.write(responses.namespace(own, [], shared, utf8=session.rev2))
    return "Told"


async def _tree(session: Session) -> list[Node]:
    folders, lost = [], []
    boxes = [(prefix, box) for prefix, box in session.boxes() if "l" in box.rights]
    for prefix, box in boxes:
        folders += [(prefix, folder) for folder in await session.store.folders(box)]
        lost += [prefix + name for name in await session.store.lost_subscriptions(box)]
    return listing.tree(folders, [prefix for prefix, _ in boxes if prefix], lost)


# --- STATUS


async def status(session: Session, _tag: str, command: c.Status) -> str:
    folder = await session.find_folder(command.folder)
    session.need(folder.box, "r")
    await _write_status(session, Line(command.folder, (), folder), command.items)
    return "Told"


async def _write_status(session: Session, line: Line, items: Sequence[str]) -> None:
    folder = line.folder
    assert folder is not None
    if "HIGHESTMODSEQ" in items:
        session.use_condstore()
    values: dict[str, int | str] = {
        "MESSAGES": folder.messages,
        "UIDNEXT": folder.uidnext,
        "UIDVALIDITY": folder.uidvalidity,
        "SIZE": folder.size_bytes,
        "HIGHESTMODSEQ": folder.modseq,
        "APPENDLIMIT": session.settings.message_bytes_max,
        "MAILBOXID": responses.mailbox_id(folder.id),
    }
    if "UNSEEN" in items:
        values["UNSEEN"] = await session.store.unread(folder)
    if "RECENT" in items:
        from_uid = session.hub.recent_from(folder)
        values["RECENT"] = await session.store.count_from(folder, from_uid) if from_uid < folder.uidnext else 0
    if not {"DELETED", "DELETED-STORAGE"}.isdisjoint(items):
        try:
            snapshot: Snapshot = await session.store.snapshot(folder)
            deleted = snapshot.uids_with(Flag.DELETED)
            values["DELETED"] = len(deleted)
            if "DELETED-STORAGE" in items:  # RFC 9208 §4.1.4
                values["DELETED-STORAGE"] = sum(row.size_bytes for row in await session.store.rows(folder, deleted))
        except NotFound:
            return
    session.wire.write(responses.status(line.name, [(item, values[item]) for item in items], utf8=session.rev2))


# --- CREATE, DELETE, RENAME, SUBSCRIBE


async def create(session: Session, _tag: str, command: c.Create) -> tuple[str, str]:
    box, inner = _new_place(session, command.folder)
    session.need(box, "k")
    folder = await _asked(session.store.create(box, inner, _special_use(command.special_use)))
    return "Created", f"MAILBOXID {responses.mailbox_id(folder.id)}"


async def delete(session: Session, _tag: str, command: c.Delete) -> str:
    folder = await _existing(session, command.folder)
    session.need(folder.box, "x")
    if folder.name == INBOX:
        raise Declined(Problem.INBOX_STAYS)
    if folder.special_use is not None:
        raise Declined(Problem.HAS_ROLE)
    await session.store.delete(folder)
    session.hub.forget(folder)
    return "Deleted"


async def rename(session: Session, _tag: str, command: c.Rename) -> str:
    folder = await _existing(session, command.folder)
    box, inner = _new_place(session, command.new_name)
    session.need(folder.box, "x")
    session.need(box, "k")
    if box.owner != folder.box.owner:
        raise Declined(Problem.NO_PERMISSION)
    if folder.name != INBOX and inner.startswith(folder.name + DELIMITER):
        raise Declined(Problem.NAME_IMPOSSIBLE)  # a folder cannot lie below itself
    await _asked(session.store.rename(folder, inner))
    return "Renamed"


async def subscribe(session: Session, _tag: str, command: c.Subscribe) -> str:
    if not command.subscribed:
        box, inner = session.find_box(command.folder)
        session.need(box, "l")
        if await session.store.unsubscribe_lost(box, inner):
            return "Unsubscribed"
    folder = await session.find_folder(command.folder)
    await session.store.subscribe(folder, subscribed=command.subscribed)
    return "Subscribed" if command.subscribed else "Unsubscribed"


async def _existing(session: Session, name: str) -> Folder:
    """A folder, or the reason why a name above others is none. Raises Declined."""
    try:
        return await session.find_folder(name)
    except Declined:
        if any(node.name == name for node in await _tree(session)):
            raise Declined(Problem.HAS_NO_MAIL) from None
        raise


def _new_place(session: Session, name: str) -> tuple[Box, str]:
    """Mailbox and name of a folder to be made. Raises Declined."""
    box, inner = session.find_box(name.removesuffix(DELIMITER))  # RFC 9051 §6.3.4: a hint that others will lie below
    try:
        check_new_name(inner)
    except BadName:
        raise Declined(Problem.NAME_IMPOSSIBLE) from None
    return box, inner


async def _asked(act: Awaitable[T]) -> T:
    try:
        return await act
    except FolderRefused as refused:
        raise Declined(problem_of(refused.problem)) from None


def _special_use(names: Sequence[str]) -> SpecialUse | None:
    if not names:
        return None
    try:
        use = SpecialUse(names[0])
    except ValueError:
        raise Declined(Problem.SPECIAL_USE_UNKNOWN) from None
    if len(names) > 1 or use in ONLY_HERE:
        raise Declined(Problem.SPECIAL_USE_UNKNOWN)
    return use
