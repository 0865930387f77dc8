"""Is this the database that we ran on, or one that was put back? Then no number that it lost is ever given again.

A backup that is put back knows nothing of the mail that came after it. Mail clients do: they keep what they were told
under a UID and would show it for whatever gets that UID next, which may be somebody else's result. So every folder
skips ahead, in UIDs and mod-sequences, over all that can have been told since, and so do the UIDVALIDITY of folders to
come. UIDs of what is there stay (a new UIDVALIDITY would let every client fetch everything again); clients that resume
with what was lost are told everything anew, and so that it is gone.

A database file that was put back is another file; that is seen at the start. Where it is not (PostgreSQL, a file
overwritten in place), `mss db restored` says it.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Select, insert, literal, select, update

from mss.store import schema
from mss.store.database import Store
from mss.store.powercut import GAP

UIDS_SKIPPED = 1 << 20
"""More mail than a folder gets between two backups."""
UID_MAX = 1 << 31
"""Of the 32 bits of a UID half is kept: from here on nothing is skipped, should a file seem new at every start."""
VALIDITIES_SKIPPED = 1 << 10
"""More folders than a mailbox gets between two backups."""
NAME = "file"
ANY_LANE = 0

H, F, B, V = schema.house, schema.folder, schema.mailbox, schema.vanished


async def note_file(store: Store, url: str, now_ms: int) -> bool:
    """Call before anything is written. Whether another file is in the place of the one that we knew, and numbers
    skipped ahead. Raises StorageUnavailable."""
    number = file_number(url)
    if not number or await store.read(_known) == number:
        return False
    return await store.write(ANY_LANE, lambda connection: _note(connection, number, now_ms))


def file_number(url: str) -> bytes:
    """What the file system calls a SQLite file; empty for a database server, or when there is none."""
    name = url.removeprefix("sqlite:///")
    try:
        return b"" if name == url else b"%d" % Path(name).stat().st_ino
    except OSError:
        return b""


def _known(connection: Connection) -> bytes | None:
    return connection.execute(select(H.c.value).where(H.c.name == NAME)).scalar_one_or_none()


def _note(connection: Connection, number: bytes, now_ms: int) -> bool:
    known = _known(connection)
    if known == number:  # another process was first
        return False
    if known is None:  # a new database, or the first start of a version that looks
        connection.execute(insert(H), {"name": NAME, "value": number})
        return False
    connection.execute(update(H).where(H.c.name == NAME).values(value=number))
    skip_ahead(connection, now_ms)
    return True


def skip_ahead(connection: Connection, now_ms: int) -> int:
    """Let every folder go on past what may have been told; how many. All lanes: nobody else may be writing."""
    skipped = connection.execute(
        update(F).where(F.c.uidnext < UID_MAX).values(uidnext=F.c.uidnext + UIDS_SKIPPED)
    ).rowcount
    jump = F.c.highestmodseq + GAP
    has_not_jumped = F.c.resumed_modseq != F.c.highestmodseq  # at this very start, since the machine was off as well
    connection.execute(update(F).where(has_not_jumped).values(highestmodseq=jump, resumed_modseq=jump))
    connection.execute(insert(V).from_select(*_lost(now_ms)))
    connection.execute(update(B).values(next_uidvalidity=B.c.next_uidvalidity + VALIDITIES_SKIPPED))
    return skipped


def _lost(now_ms: int) -> tuple[list[str], Select[tuple[object, ...]]]:
    """What was skipped has vanished: a client that knows some of it hears so (RFC 7162 §3.2.5.1)."""
    skipped = select(
        F.c.lane,
        F.c.owner,
        F.c.folder,
        F.c.highestmodseq,
        F.c.uidnext - UIDS_SKIPPED,
        F.c.uidnext - 1,
        literal(now_ms),
    ).where(F.c.uidnext > UIDS_SKIPPED, F.c.uidnext < UID_MAX + UIDS_SKIPPED)
    return ["lane", "owner", "folder", "modseq", "uid_lo", "uid_hi", "at_ms"], skipped
