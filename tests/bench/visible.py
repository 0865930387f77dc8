"""`python -m tests.bench.visible [MAILS]`: from the 250 until the patient sees it, twenty mails a second?

Archives with a PDF of 20 kB for one patient, over eight kept connections, in steady time; visible is what has a number
in her inbox, looked for every five milliseconds. Ends by itself.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from contextlib import closing
from dataclasses import dataclass

from mss.demo.people import PATIENT_LIST
from tests.bench.documents import pdf_mail
from tests.bench.intake import CONNECTIONS, SENDER, _target
from tests.kit.demo import Demo
from tests.kit.onlooker import Onlooker
from tests.kit.smtpload import LoadClient, stuffed

PER_S = 20
MAILS = 400
LOOK_S = 0.005
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Waits:
    """Seconds, smallest first."""

    seconds: list[float]

    def part(self, share: float) -> float:
        return self.seconds[min(len(self.seconds) - 1, int(len(self.seconds) * share))]

    def __str__(self) -> str:
        p50, p99 = self.part(0.5) * 1000, self.part(0.99) * 1000
        return f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, slowest {self.seconds[-1] * 1000:.0f} ms"


def measure(demo: Demo, mails: int = MAILS, per_s: float = PER_S) -> Waits:
    """Send so many at that rate; all of them must become visible."""
    return Waits(sorted(asyncio.run(_measure(demo, mails, per_s))))


async def _measure(demo: Demo, mails: int, per_s: float) -> list[float]:
    hers, onlooker = PATIENT_LIST[0].address, Onlooker(demo)
    letters = [pdf_mail(SENDER, number) for number in range(mails)]
    acknowledged: dict[bytes, float] = {}
    seen: dict[bytes, float] = {}
    owner = onlooker.owner(hers)
    wanted = {onlooker.lookup.message_id(message_id) for message_id, _ in letters}
    watching = asyncio.create_task(_watch(onlooker, owner, seen, wanted))
    clients = [LoadClient(_target(demo)) for _ in range(CONNECTIONS)]
    free: asyncio.Queue[LoadClient] = asyncio.Queue()
    for client in clients:
        free.put_nowait(client)

    async def send(message_id: str, data: bytes) -> None:
        client = await free.get()
        answer = await client.send(SENDER, [hers], data)
        acknowledged[onlooker.lookup.message_id(message_id)] = time.monotonic()
        assert answer.is_yes, answer
        free.put_nowait(client)

    began, sending = time.monotonic(), []
    for number, (message_id, raw) in enumerate(letters):
        await asyncio.sleep(max(0.0, began + number / per_s - time.monotonic()))
        sending.append(asyncio.create_task(send(message_id, stuffed(raw))))
    await asyncio.gather(*sending)
    async with asyncio.timeout(PATIENCE_S):
        await watching
    for client in clients:
        client.close()
    return [max(0.0, seen[hashed] - at) for hashed, at in acknowledged.items()]


async def _watch(onlooker: Onlooker, owner: int, seen: dict[bytes, float], wanted: set[bytes]) -> None:
    """Note when each new message of hers has a number in a folder, until all that are wanted have: she may get others
    meanwhile."""
    question = (
        "SELECT e.uid, m.message_id_hmac FROM entry e JOIN message m ON m.lane = e.lane AND m.owner = e.owner"
        " AND m.message = e.message WHERE e.lane = ? AND e.owner = ? AND e.uid > ?"
    )
    ((lane, last),) = onlooker.rows("SELECT lane, max(uid) FROM entry WHERE owner = ?", [owner])
    with closing(sqlite3.connect(f"file:{onlooker.store}?mode=ro", uri=True, timeout=30)) as connection:
        while not wanted <= seen.keys():
            for uid, hashed in connection.execute(question, (lane, owner, last)).fetchall():
                last = max(last, uid)
                seen.setdefault(bytes(hashed), time.monotonic())
            await asyncio.sleep(LOOK_S)


def main() -> None:
    mails = int(sys.argv[1]) if len(sys.argv) > 1 else MAILS
    demo = Demo()
    try:
        demo.start()
        measure(demo, PER_S)  # a second of warming up
        print(f"from 250 to visible, {PER_S} mails a second, {mails} mails: {measure(demo, mails)}")
    finally:
        demo.remove()


if __name__ == "__main__":
    main()
