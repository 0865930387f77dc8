"""Eight peers send without pause while processes are killed at random instants: what was acknowledged?

Clients send the very same octets until they hear 250, as relays do. Who is killed when follows from the seed as far
as a machine lets it. Nothing is judged here; the counting is in `counting.py`.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import ssl
from collections import Counter
from dataclasses import dataclass, field

from tests.campaigns.mails import SENDER, Mail, compose
from tests.kit.demo import Demo
from tests.kit.smtpload import LoadClient, Target, Unanswered

CLIENTS = 8
VICTIMS = ("edge", "desk", "works", "supervisor")
AGAIN_S = 0.1  # a client's pause before it knocks again
STALL_S_MAX = 90.0  # so long without one acknowledgement: something is broken for good


@dataclass
class Campaign:
    """One run. `acknowledged` has each mail whose 250 was heard."""

    demo: Demo
    seed: int
    kills_wanted: int
    floor: int
    acknowledged: list[Mail] = field(default_factory=list)
    attempts: int = 0
    deferred: int = 0
    refused: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    _is_over: bool = False

    def run(self) -> None:
        """Send and kill until both are enough; at the end every mail begun is acknowledged."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        target = self._target()
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(self._client(number, target))
            group.create_task(self._killer())

    def _target(self) -> Target:
        told, at = self.demo.told, self.demo.told["operator"]["smtp"]
        context: ssl.SSLContext = self.demo.tls(told["peer"])
        return Target(at["host"], at["port"], context)

    # ── clients ──

    async def _client(self, number: int, target: Target) -> None:
        chance = random.Random(f"{self.seed}/client/{number}")
        connection = LoadClient(target)
        serial = 0
        while not self._is_over:
            serial += 1
            mail = compose(chance, f"k{self.seed}.{number}.{serial}")
            if await self._until_taken(connection, mail):
                self.acknowledged.append(mail)
        connection.close()

    async def _until_taken(self, connection: LoadClient, mail: Mail) -> bool:
        while True:
            self.attempts += 1
            try:
                answer = await connection.send(SENDER, mail.recipients, mail.data)
            except Unanswered:
                await asyncio.sleep(AGAIN_S)
                continue
            if answer.is_yes:
                return True
            if answer.code >= 500:
                self.refused.append(f"{answer.code} {answer.text}")
                return False
            self.deferred += 1
            await asyncio.sleep(AGAIN_S)

    # ── the killer ──

    async def _killer(self) -> None:
        chance = random.Random(f"{self.seed}/killer")
        try:
            pace = self.floor / self.kills_wanted
            for victim in _order(chance, self.kills_wanted):
                await self._progress(int(pace * chance.uniform(0.6, 1.4)))
                await asyncio.sleep(chance.uniform(0.0, 0.05))
                await self._kill(victim)
            await self._progress(max(100, self.floor - len(self.acknowledged)))
        finally:
            self._is_over = True

    async def _progress(self, mails: int) -> None:
        """Wait until so many more were acknowledged."""
        loop = asyncio.get_running_loop()
        last, since = len(self.acknowledged), loop.time()
        wanted = last + mails
        while len(self.acknowledged) < wanted:
            await asyncio.sleep(0.005)
            if len(self.acknowledged) != last:
                last, since = len(self.acknowledged), loop.time()
            assert loop.time() - since < STALL_S_MAX, "mail does not flow any more"

    async def _kill(self, victim: str) -> None:
        """kill -9, once that process runs (it may still be on its way up from the last time)."""
        for _ in range(int(STALL_S_MAX / 0.05)):
            pid = self.demo.pids().get(victim, 0)
            if pid:
                os.kill(pid, signal.SIGKILL)
                self.kills[victim] += 1
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{victim} does not come back")


def _order(chance: random.Random, kills: int) -> list[str]:
    """Everybody alike, in random order."""
    victims = [VICTIMS[number % len(VICTIMS)] for number in range(kills)]
    chance.shuffle(victims)
    return victims
