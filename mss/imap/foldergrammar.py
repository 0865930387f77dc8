"""Which folders, and what of them? Arguments of SELECT, CREATE, LIST and STATUS (RFC 9051 §6.3, RFC 5258, 7162)."""

from __future__ import annotations

from collections.abc import Callable

from mss.imap import commands as c
from mss.imap.tokens import Cursor

PATTERNS_MAX = 20
"""Patterns of one extended LIST."""
STATUS_ITEMS = frozenset(
    {
        "MESSAGES",
        "RECENT",
        "UIDNEXT",
        "UIDVALIDITY",
        "UNSEEN",
        "SIZE",
        "HIGHESTMODSEQ",
        "APPENDLIMIT",
        "DELETED",
        "DELETED-STORAGE",
        "MAILBOXID",
    }
)


def select(read_only: bool) -> Callable[[Cursor], c.Select]:
    def read(cursor: Cursor) -> c.Select:
        cursor.space()
        folder = cursor.folder()
        condstore, resync = False, None
        if not cursor.at_end():
            cursor.space()
            cursor.open()
            while True:
                match cursor.word():
                    case b"CONDSTORE":
                        condstore = True
                    case b"QRESYNC":
                        resync = _resync(cursor)
                    case _:
                        cursor.fail("Unknown parameter")
                if cursor.close():
                    break
        return c.Select(folder, read_only, condstore, resync)

    return read


def _resync(cursor: Cursor) -> c.Resync:
    """RFC 7162 §3.2.5: (uidvalidity modseq [known-uids [(numbers uids)]])."""
    cursor.space()
    cursor.open()
    uidvalidity = cursor.number()
    cursor.space()
    modseq = cursor.modseq()
    known = None
    if not cursor.close():
        if not cursor.sees(b"("):
            known = cursor.sequence_set()
        if known is None or not cursor.close():
            cursor.open()
            cursor.sequence_set()  # a hint that saves octets; the answer without it is right too
            cursor.space()
            cursor.sequence_set()
            if not (cursor.close() and cursor.close()):
                cursor.fail(") expected")
    return c.Resync(uidvalidity, modseq, known)


def create(cursor: Cursor) -> c.Create:
    cursor.space()
    folder = cursor.folder()
    if cursor.at_end():
        return c.Create(folder)
    cursor.space()
    cursor.open()
    if cursor.word() != b"USE":  # RFC 6154 §3
        cursor.fail("Unknown parameter")
    cursor.space()
    cursor.open()
    uses = []
    while True:
        if not cursor.skip(b"\\"):
            cursor.fail("Special use expected")
        uses.append(cursor.word().decode("ascii").capitalize())
        if cursor.close():
            break
    if not cursor.close():
        cursor.fail(") expected")
    return c.Create(folder, tuple(uses))


def _options(cursor: Cursor, known: frozenset[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """`(NAME NAME STATUS (…))`: the names, and the items of STATUS."""
    cursor.open()
    names: set[str] = set()
    status: tuple[str, ...] = ()
    if cursor.skip(b")"):
        cursor.leave()
        return frozenset(), ()
    while True:
        name = cursor.word().decode("ascii")
        if name not in known:
            cursor.fail("Unknown option")
        names.add(name)
        if name == "STATUS":
            cursor.space()
            status = _status_items(cursor)
        if cursor.close():
            return frozenset(names), status


LIST_SELECT = frozenset({"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"})
LIST_RETURN = frozenset({"SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "STATUS", "MYRIGHTS"})


def list_folders(cursor: Cursor) -> c.List:
    cursor.space()
    select: frozenset[str] = frozenset()
    basic = True
    if cursor.sees(b"("):
        basic = False
        select, _ = _options(cursor, LIST_SELECT)
        if "RECURSIVEMATCH" in select and not select & {"SUBSCRIBED", "SPECIAL-USE"}:
            cursor.fail("RECURSIVEMATCH needs another option")  # RFC 5258 §3.1
        cursor.space()
    reference = cursor.folder()
    cursor.space()
    patterns = []
    if cursor.sees(b"("):
        basic = False
        cursor.open()
        while True:
            patterns.append(cursor.pattern())
            if cursor.close():
                break
        if len(patterns) > PATTERNS_MAX:
            cursor.fail("Too many patterns")
    else:
        patterns.append(cursor.pattern())
    returns: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()
    if not cursor.at_end():
        basic = False
        cursor.space()
        if cursor.word() != b"RETURN":
            cursor.fail("RETURN expected")
        cursor.space()
        returns, status = _options(cursor, LIST_RETURN)
    return c.List(reference, tuple(patterns), select, returns, status, basic)


def lsub(cursor: Cursor) -> c.Lsub:
    cursor.space()
    reference = cursor.folder()
    cursor.space()
    return c.Lsub(reference, cursor.pattern())


def _status_items(cursor: Cursor) -> tuple[str, ...]:
    cursor.open()
    items: dict[str, None] = {}
    while True:
        item = cursor.word().decode("ascii")
        if item not in STATUS_ITEMS:
            cursor.fail("Unknown status item")
        items[item] = None
        if cursor.close():
            return tuple(items)


def status(cursor: Cursor) -> c.Status:
    cursor.space()
    folder = cursor.folder()
    cursor.space()
    return c.Status(folder, _status_items(cursor))
