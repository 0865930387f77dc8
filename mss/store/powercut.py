"""Has the machine lost power since we last wrote? Then no mod-sequence that a client may have heard is used again.

Flags are committed without waiting for the disk, so a power cut may take the last of them back, and their modseqs
with them: the next change of the folder would get a modseq that a mail client believes to have seen (RFC 7162 §3.1).
So at the first start after the machine was off (the kernel draws a number at each boot) every folder's modseq jumps
over all that can have been told. `resumed_modseq` keeps where to: a client that comes back with one of the lost numbers
is told everything anew, also that a flag which it saw is no longer there. PostgreSQL waits for the disk with every
transaction instead (mss/store/writer.py), and may be on another machine.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from mss.store import schema
from mss.store.database import Store

GAP = 1 << 20
"""More flag changes than can be lost: the log is folded back, with a sync, after 8 MB, some thousand of them."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
NAME = "boot"
_ANY_LANE = 0

H = schema.house
F = schema.folder


def boot_id() -> bytes:
    """Of this life of the machine; empty where the kernel tells none: then every start may follow a power cut."""
    try:
        return BOOT_ID.read_bytes().strip()
    except OSError:
        return b""


async def note_start(store: Store, boot: bytes) -> bool:
    """Call before anything is written. Whether modseqs jumped. Raises StorageUnavailable."""
    if store.dialect != "sqlite" or (boot and await store.read(_last_boot) == boot):
        return False
    return await store.write(_ANY_LANE, lambda connection: _start(connection, boot))


def _last_boot(connection: Connection) -> bytes | None:
    return connection.execute(select(H.c.value).where(H.c.name == NAME)).scalar_one_or_none()


def _start(connection: Connection, boot: bytes) -> bool:
    last = _last_boot(connection)
    if boot and last == boot:  # another process was first
        return False
    if last is None:
        connection.execute(insert(H), {"name": NAME, "value": boot})
    else:
        connection.execute(update(H).where(H.c.name == NAME).values(value=boot))
    jump = F.c.highestmodseq + GAP
    connection.execute(update(F).values(highestmodseq=jump, resumed_modseq=jump))
    return True


def lost_modseqs(resumed_modseq: int) -> tuple[int, int]:
    """Modseqs between these, both ends left out, were told before a power cut and lost."""
    return (resumed_modseq - GAP, resumed_modseq) if resumed_modseq else (0, 0)
