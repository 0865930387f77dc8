"""A process that a supervisor may watch, doing what its first argument says: `python -m tests.kit.child WHAT FILE`.

It appends a line to FILE at each thing that happens to it. `supervise` is a supervisor of two such children.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from mss.supervisor import READY_FD, Supervisor, die_with_parent


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
    die_with_parent()
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


def commands(*kinds: str, folder: Path) -> dict[str, list[str]]:
    """A command for each kind of child."""
    return {kind: [sys.executable, "-m", "tests.kit.child", kind, str(folder / kind)] for kind in kinds}


async def supervise(folder: Path, *kinds: str) -> None:
    supervisor = Supervisor(Path("unused"), {kind: [] for kind in kinds}, folder / "run")
    for name, command in commands(*kinds, folder=folder).items():
        supervisor.children[name].command = command
    await supervisor.start()
    await supervisor.run()


if __name__ == "__main__":
    if sys.argv[1] == "supervise":
        asyncio.run(supervise(Path(sys.argv[2]), *sys.argv[3:]))
    else:
        live(sys.argv[1], Path(sys.argv[2]))
