"""Six streams of reports reach the bridge while its process and its sandboxes are killed. What is left of each?

Kills follow from the seed as far as a machine lets them: the works alone, the works with all that it has raised at the
same instant, its workers, its nursery. Mail goes in at the real door; nothing is sent that nobody waits for, so the
bridge is never idle and never far behind. Nothing is judged here; `bridgecount.py` does.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from mss.demo.people import PATIENT_LIST
from tests.campaigns.mails import SENDER
from tests.campaigns.reports import Report, Stream
from tests.campaigns.surroundings import Surroundings
from tests.kit.demo import Demo
from tests.kit.smtpload import LoadClient, Target, Unanswered

STREAMS_EACH = 2
"""Of each of three patients: their mails overtake each other."""
AHEAD_MAX = 2
"""Mails of one stream that nobody has answered yet: more would only lie in line."""
PATIENCE_S = 5.0
"""So long a stream waits for one answer before it writes on: a bridge with a planted bug gives none."""
LOOK_S = 0.02
STALL_S_MAX = 90.0
VICTIMS = ("works", "everything", "workers", "nursery")


@dataclass
class BridgeCampaign:
    """One run. `sent` has each mail whose 250 was heard, in the order in which its stream wrote it."""

    demo: Demo
    around: Surroundings
    seed: int
    kills_wanted: int
    floor: int
    sent: list[Report] = field(default_factory=list)
    attempts: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    processes: int = 0
    """How many were killed, workers and all."""
    _answered: set[str] = field(default_factory=set)
    _is_over: bool = False

    def run(self) -> None:
        """Send and kill until both are enough."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        at = self.demo.told["operator"]["smtp"]
        target = Target(at["host"], at["port"], self.demo.tls(self.demo.told["peer"]))
        async with asyncio.TaskGroup() as group:
            for number in range(3 * STREAMS_EACH):
                group.create_task(self._client(number, target))
            group.create_task(self._killer())

    async def _client(self, number: int, target: Target) -> None:
        chance = random.Random(f"{self.seed}/stream/{number}")
        stream = Stream(PATIENT_LIST[number // STREAMS_EACH], chance, f"w{self.seed}.{number}")
        connection, sent_at, now_s = LoadClient(target), dict[str, float](), asyncio.get_running_loop().time
        while not self._is_over:
            waits = [at for one, at in sent_at.items() if one not in self._answered and at > now_s() - PATIENCE_S]
            if len(waits) >= AHEAD_MAX:
                await asyncio.sleep(LOOK_S)
                continue
            report = stream.next(self._answered)
            await self._until_taken(connection, report)
            sent_at[report.mail.message_id] = now_s()
        connection.close()

    async def _until_taken(self, connection: LoadClient, report: Report) -> None:
        """The edge lives, so one attempt is usual."""
        while True:
            self.attempts += 1
            try:
                answer = await connection.send(SENDER, report.mail.recipients, report.mail.data)
            except Unanswered:
                continue
            if answer.is_yes:
                self.sent.append(report)
                return
            assert answer.code < 500, f"{answer.code} {answer.text}"
            await asyncio.sleep(0.1)

    # ── the killer ──

    async def _killer(self) -> None:
        chance = random.Random(f"{self.seed}/killer")
        victims = [VICTIMS[number % len(VICTIMS)] for number in range(self.kills_wanted)]
        chance.shuffle(victims)
        try:
            pace = self.floor / (self.kills_wanted + 1)
            for victim in victims:
                await self._progress(max(1, int(pace * chance.uniform(0.6, 1.4))))
                await asyncio.sleep(chance.uniform(0.0, 0.05))
                await self._kill(victim)
            await self._progress(max(1, self.floor - len(self._answered)))
        finally:
            self._is_over = True

    async def _progress(self, mails: int) -> None:
        """Wait until so many more were answered."""
        loop = asyncio.get_running_loop()
        last, since = len(self._answered), loop.time()
        wanted = last + mails
        while len(self._answered) < wanted:
            await asyncio.sleep(LOOK_S)
            self._answered = set(self.around.answers())
            if len(self._answered) != last:
                last, since = len(self._answered), loop.time()
            assert loop.time() - since < STALL_S_MAX, "nothing is answered any more"

    async def _kill(self, victim: str) -> None:
        """kill -9, once that process runs (it may still be on its way up from the last time)."""
        for _ in range(int(STALL_S_MAX / 0.05)):
            works = self.demo.pids().get("works", 0)
            found = _chosen(victim, works) if works else []
            if found:
                for pid in found:
                    self._kill_one(pid)
                self.kills[victim] += 1
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{victim} does not come back")

    def _kill_one(self, pid: int) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
            self.processes += 1
        except ProcessLookupError:
            pass  # it went with the one before


def _chosen(victim: str, works: int) -> list[int]:
    """Whom to kill; empty when it does not run yet. The works' only children are nurseries, theirs the workers."""
    nurseries = _children(works)
    workers = [pid for nursery in nurseries for pid in _children(nursery)]
    match victim:
        case "works":
            return [works]
        case "everything":
            return [works, *nurseries, *workers] if workers else []
        case "nursery":
            return nurseries
    return workers


def _children(parent: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    except OSError:
        return []
