"""`python -m mss.assembly SETTINGS DESCRIPTOR` is the cradle of an operator's processes; the supervisor starts it.

`python -m mss.assembly SETTINGS NAME ROLE…` is one process alone. What stands under every process is imported here,
doors and rooms by the process that needs them, so that the edge starts fast and holds little.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from functools import partial
from importlib import import_module
from pathlib import Path

gc.disable()  # until all is loaded: what a start makes is kept, and looking for rubbish in it is a seventh of the start

# structlog takes rich and Twisted when it finds them (the commands and the address book bring them), for colours and
# a bridge that no journal has: 0.1 s of every start each.
sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
sys.modules.setdefault("twisted", None)  # type: ignore[arg-type]

# pydantic asks every installed package whether it brings a plugin; ours bring none.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")

from mss.assembly.log import log_to_stderr  # noqa: E402
from mss.assembly.process import run  # noqa: E402
from mss.config import load  # noqa: E402
from mss.cradle import READY_FD, die_with_parent, rock  # noqa: E402
from mss.model.errors import BadValue  # noqa: E402

del sys.modules["twisted"]  # hidden from structlog alone: the codec of the address book asks for it in earnest

PARTS = {"edge": "mss.assembly.edge", "desk": "mss.assembly.desk", "works": "mss.assembly.works"}


def _say_ready() -> None:
    gc.freeze()
    gc.enable()
    descriptor = os.environ.pop(READY_FD, "")
    if descriptor:
        os.write(int(descriptor), b"1")
        os.close(int(descriptor))


def be(path: Path, name: str, roles: list[str]) -> None:
    """Be one process until a signal."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to read again
    os.umask(0o077)
    try:
        config = load(path)
        log_to_stderr(config.log_level, name)
        build = import_module(PARTS[name]).build
        asyncio.run(run(config, name, roles, build, _say_ready))
    except (BadValue, OSError) as problem:
        raise SystemExit(f"mss {name}: {problem}") from problem


def main() -> None:
    """Entry point of the cradle, and of a process that nobody supervises."""
    path, name, *roles = sys.argv[1:]
    if name.isdigit():
        rock(int(name), partial(be, Path(path)))
    else:
        die_with_parent()
        be(Path(path), name, roles)


if __name__ == "__main__":
    main()
