"""Processes that a supervisor may watch, doing what their names say. Each appends a line to a file of its name at
each thing that happens to it.

`python -m tests.kit.child supervise FOLDER KIND…` supervises such children, `… cradle FOLDER N` is their cradle.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from mss.cradle import READY_FD, rock
from mss.supervisor import Supervisor


def say_ready() -> None:
    descriptor = int(os.environ[READY_FD])
    os.write(descriptor, b"1")
    os.close(descriptor)


def note(file: Path, *words: object) -> None:
    with file.open("a") as opened:
        opened.write(" ".join(map(str, words)) + "\n")


def live(what: str, file: Path) -> None:
    """`good`: until SIGTERM. `deaf`: whatever SIGTERM says. `mute`: never ready. `dies`: ready, then ends with 3.
    `refuses`: ends with 4 before it is ready."""
    note(file, "started", os.getpid(), os.environ.get("OPENSSL_CONF", ""))
    signal.signal(signal.SIGHUP, lambda *_: note(file, "reloads"))
    if what == "deaf":
        signal.signal(signal.SIGTERM, lambda *_: note(file, "hears nothing"))
    if what == "refuses":
        raise SystemExit(4)
    if what != "mute":
        say_ready()
    if what == "dies":
        raise SystemExit(3)
    while True:
        time.sleep(0.05)


def supervisor_of(folder: Path, *kinds: str) -> Supervisor:
    """A supervisor of a child of each kind."""
    cradle = [sys.executable, "-m", "tests.kit.child", "cradle", str(folder)]
    return Supervisor(Path("unused"), {kind: [] for kind in kinds}, folder / "run", cradle)


async def supervise(folder: Path, *kinds: str) -> None:
    supervisor = supervisor_of(folder, *kinds)
    await supervisor.start()
    await supervisor.run()


if __name__ == "__main__":
    what, where, *more = sys.argv[1:]
    if what == "supervise":
        asyncio.run(supervise(Path(where), *more))
    else:
        rock(int(more[0]), lambda kind, _: live(kind, Path(where) / kind))
