"""Whoever watches a hot folder, to be killed: `python -m tests.kit.watchchild`, a line of JSON on stdin for each life.

{"folder", "server", "kill_at"}: a child of this process looks once. Each thing that it does to the disk or says to the
server is a step; at `kill_at` it kills itself with -9: 1 is before its first step, 2 after it. The server knows a mail
again by its octets, as ours does. The answer is one line: "killed", "done" or what went wrong.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mss.cli.watch import HotFolder, Plan
from mss.cradle import die_with_parent
from mss.mail.healthmail import Sending
from mss.model.clock import ManualClock, SeededChance
from mss.model.ids import MailAddress
from tests.kit.house import LABORATORY, PATIENTS

STEPS = ((Path, "rename"), (Path, "write_text"), (Path, "unlink"), (os, "fsync"))


class Mortal:
    """Counts steps, and ends its process at one of them."""

    def __init__(self, kill_at: int) -> None:
        self._kill_at = kill_at
        self._steps = 0

    def wrap(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*words: Any, **more: Any) -> Any:
            self._steps += 1
            self._die(self._steps * 2 - 1)
            result = real(*words, **more)
            self._die(self._steps * 2)
            return result

        return step

    def _die(self, at: int) -> None:
        if at == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


async def look(asked: dict[str, Any]) -> None:
    server, mortal, clock = Path(asked["server"]), Mortal(asked["kill_at"]), ManualClock()

    def keep(mail: bytes) -> None:
        with (server / f"{hashlib.sha256(mail).hexdigest()}.eml").open("wb") as file:
            file.write(mail)

    keeps = mortal.wrap(keep)

    async def take(to: MailAddress, mail: bytes) -> str:
        keeps(mail)
        return "250 taken"

    like = Sending(LABORATORY, "Laboratoire", LABORATORY, (), (), clock.now())
    chance = SeededChance(os.getpid())  # a mail that is composed again is another one
    hot = HotFolder(Path(asked["folder"]), Plan(like, None, PATIENTS), take, clock, chance)
    for place, name in STEPS:
        setattr(place, name, mortal.wrap(getattr(place, name)))
    await hot.round()


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if not child:
            die_with_parent()
            asyncio.run(look(json.loads(line)))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        is_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print("killed" if is_killed else "done" if status == 0 else f"ended with {status}", flush=True)


if __name__ == "__main__":
    die_with_parent()
    main()
