"""Whoever corrects, to be killed: `python -m tests.kit.refilechild`, then one line of JSON on stdin for each life.

{"folder", "what": "unfile", "file" or "works", "document", "kill_at", "planted"}: a child of this process opens the
house in that folder and takes the document out, files what is held under that number (as `mss bridge replay --really`
and `mss held file` do), or does every duty that is due. At `kill_at` it kills itself with -9: 1 is
before its first write, 2 after it, 3 before its second. The answer is one line: "killed", "done" or what went wrong.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from mss.bridge.items import Items
from mss.bridge.scope import Scope
from mss.bridge.takeout import Takeout
from mss.cradle import die_with_parent
from mss.crypto.keys import load_private, load_public
from mss.model.clock import ManualClock, SeededChance
from mss.model.ids import lane_of
from mss.sandbox.pool import Sandbox
from mss.store.blobs import LocalBodies
from mss.store.database import Store
from mss.store.sql import Connection
from mss.vault.opener import OwnerKeys
from tests.kit.house import House, moment
from tests.kit.people import Cellar

T = TypeVar("T")
STAFF = "staff:1"


class Mortal:
    """A store that ends its process at the n-th write."""

    def __init__(self, store: Store, kill_at: int) -> None:
        self._write = store.write
        self._kill_at = kill_at
        self.writes = 0

    async def write(self, lane: int, act: Callable[[Connection], T], **more: Any) -> T:
        self.writes += 1
        if self.writes * 2 - 1 == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        result = await self._write(lane, act, **more)
        if self.writes * 2 == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def house_in(folder: Path, sandbox: Sandbox) -> House:
    """The house that a test left in a folder, hours later."""
    chance = SeededChance(os.getpid())
    clock = ManualClock(moment(2026, 1, 6))
    keys = folder / "keys"
    store = Store.open(f"sqlite:///{folder}/mss.db")
    below = Cellar(store, LocalBodies(folder / "bodies"), load_public(keys), load_private(keys, chance), clock, chance)
    return House(below, sandbox)


async def live(asked: dict[str, Any]) -> None:
    sandbox = Sandbox()
    sandbox.start()
    house = house_in(Path(asked["folder"]), sandbox)
    house.store.write = Mortal(house.store, asked["kill_at"]).write  # type: ignore[method-assign]
    if asked["planted"]:
        plant(house)
    if asked["what"] == "unfile":
        await house.corrections.unfile(asked["document"], STAFF, "dossier de sa jumelle")
    elif asked["what"] == "file":
        await house.triage.file(asked["document"], STAFF)
    else:
        await house.run_tasks()
    await house.store.close()
    sandbox.close()


def plant(house: House) -> None:
    """The bug that must be found: documents first, their messages in a transaction of their own."""
    honest, unfile, left = Takeout.take_out, house.corrections.unfile, list[tuple[Takeout, OwnerKeys, Scope]]()

    def half(takeout: Takeout, connection: Connection, keys: OwnerKeys, scope: Scope, cause: str, actor: str) -> Items:
        left.append((takeout, keys, Scope((), scope.messages)))
        return honest(takeout, connection, keys, Scope(scope.documents, ()), cause, actor)

    async def in_two(document: int, actor: str, why: str) -> int:
        number = await unfile(document, actor, why)
        takeout, keys, rest = left[-1]
        await house.store.write(lane_of(keys.owner), lambda c: honest(takeout, c, keys, rest, "", actor))
        return number

    Takeout.take_out = half  # type: ignore[method-assign,assignment]
    house.corrections.unfile = in_two  # type: ignore[method-assign]


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if not child:
            die_with_parent()
            asyncio.run(live(json.loads(line)))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        is_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print("killed" if is_killed else "done" if status == 0 else f"ended with {status}", flush=True)


if __name__ == "__main__":
    die_with_parent()
    main()
