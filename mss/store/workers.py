"""Whose leases are these, and does their holder still live?

A worker that was killed keeps its leases until they run out: minutes in which a result waits. The next one on the
same machine knows better. A name says where a process's number means something (one boot, one namespace of
numbers), so nobody judges workers of other machines; theirs simply run out.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from sqlalchemy import Table

from mss.store import recordschema, schema, tasks
from mss.store.database import Store

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")


def worker_name() -> str:
    """This process as a holder of leases; 48 characters at most."""
    return f"{_place()}/{os.getpid()}"


def _place() -> str:
    """Empty where the system cannot say: then nobody is taken for dead."""
    try:
        return f"works-{_BOOT_ID.read_text()[:8]}-{_NAMESPACE.stat().st_ino}"
    except OSError:
        return ""


def is_dead(worker: str) -> bool:
    """Whether this worker certainly lives no more. One with our own number was before us: we hold nothing yet."""
    place, _, number = worker.rpartition("/")
    if not place or place != _place() or not number.isdigit():
        return False
    return int(number) == os.getpid() or not Path("/proc", number).exists()


async def free_leases_of_the_dead(store: Store) -> int:
    """Let go what dead workers of this machine held, so that it is done now. Called once, before any claim."""
    return sum([await _free(store, table) for table in (schema.task, schema.queue, recordschema.handover)])


async def _free(store: Store, table: Table) -> int:
    held = await store.read(partial(tasks.lease_holders, table=table))
    freed = 0
    for lane, worker in held:
        if is_dead(worker):
            freed += await store.write(lane, partial(tasks.free_leases, table=table, lane=lane, worker=worker))
    return freed
