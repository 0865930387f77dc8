"""A slow disk, planted: in the edge every sync takes 5 ms longer, SQLite's at its commit as those of bodies.

Python imports this file at every start when its folder stands in PYTHONPATH: in the cradle, from which all come. Only
the edge is slow.
"""

import os
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

SYNC_S_MORE = 0.005

if "mss.assembly" in sys.orig_argv:
    from sqlalchemy import Connection

    from mss.store import writer

    @cache
    def is_edge(pid: int) -> bool:
        return Path(f"/proc/{pid}/comm").read_text() == "mss-edge\n"

    def slowly(honest: Callable[..., object]) -> Callable[..., object]:
        def synced(*arguments: object) -> object:
            answer = honest(*arguments)
            if is_edge(os.getpid()):
                time.sleep(SYNC_S_MORE)
            return answer

        return synced

    def to_driver(connection: Connection, words: str) -> None:
        honestly(connection, words)
        if words == writer.COMMIT and is_edge(os.getpid()):
            time.sleep(SYNC_S_MORE)

    os.fdatasync = slowly(os.fdatasync)  # type: ignore[assignment]
    os.fsync = slowly(os.fsync)  # type: ignore[assignment]
    honestly, writer.to_driver = writer.to_driver, to_driver  # type: ignore[attr-defined]
