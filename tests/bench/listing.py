"""How long does a mail client wait for the list of a folder with ten thousand messages?

The folder is filled with a new intake key for each message, as a year of quiet mail would; then the works wrap those
keys under the shelf key ("reseal"), and the list is asked for again by a desk that has just started.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mss import config
from mss.crypto.keys import PublicKeys
from mss.demo.people import CHU, TIERS
from mss.formats import mime
from mss.formats.summary import summarise
from mss.foundation import lay
from mss.mail.delivery import INCOMING, TASK_RESEAL, Delivery
from mss.mail.parcels import Letter, Placing
from mss.model.clock import SystemChance, SystemClock, to_ms
from mss.model.ids import MailAddress, lane_of
from mss.store import messages, tasks
from mss.store.ids import new_id
from mss.store.sealing import SCHEME_SEALED, IntakeKey, Sealer
from tests.bench.intake import plain
from tests.bench.processes import cpu_s
from tests.kit.demo import Demo, until

DOCTOR = f"louise.garnier@{CHU}"
MESSAGES = 10_000
BATCH = 250
LIST = "UID FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE)"


class FreshSealer(Sealer):
    """A new key for each message: the worst case, mail that comes once an hour."""

    def key_for(self, owner: int, public_key: bytes) -> IntakeKey:
        return self.fresh_key(owner, public_key)


@dataclass(frozen=True)
class Listing:
    """One list: seconds on the clock, CPU seconds of the desk, octets received."""

    name: str
    seconds: float
    desk_cpu_s: float
    octets: int


def measure(demo: Demo) -> list[Listing]:
    """Fill, list, reseal, list again; each first list after a new start of the desk, so that nothing is remembered."""
    asyncio.run(fill(demo))
    found = []
    for name in ("before reseal", "after reseal"):
        restart_desk(demo)
        found += [_list(demo, f"{name}, first"), _list(demo, f"{name}, again")]
        if name == "before reseal":
            asyncio.run(reseal(demo))
    return found


async def fill(demo: Demo, mails: Sequence[bytes] = ()) -> None:
    """Deliver `mails` (none: ten thousand short ones), each under an intake key of its own."""
    ground = await lay(config.load(Path(demo.told["operator"]["config"])), "bench", hears=False)
    try:
        public: PublicKeys = ground.public
        clock, chance = SystemClock(), SystemChance()
        delivery = Delivery(ground.store, ground.bodies, public, FreshSealer(clock, chance), ground.bus, clock, chance)
        box = await ground.recipients.mailbox(MailAddress.parse(DOCTOR))
        assert box is not None
        mails = mails or [plain(2000) for _ in range(MESSAGES)]
        for at in range(0, len(mails), BATCH):
            parcels = []
            for raw in mails[at : at + BATCH]:
                letter = Letter(raw, summarise(raw, mime.scan(raw)), MailAddress.parse(f"bio@{TIERS}"), "bench", raw)
                parcels.append(await delivery.copy(letter, box, INCOMING, Placing()))
            await delivery.commit(parcels)
    finally:
        await ground.close()


async def reseal(demo: Demo) -> None:
    ground = await lay(config.load(Path(demo.told["operator"]["config"])), "bench", hears=False)
    try:
        box = await ground.recipients.mailbox(MailAddress.parse(DOCTOR))
        assert box is not None
        duty = tasks.NewTask(new_id(ground.clock, ground.chance), TASK_RESEAL, b"{}", to_ms(ground.clock.now()))
        await ground.store.write(lane_of(box.owner), lambda c: tasks.add_task(c, box.owner, duty))
        for _ in range(600):
            if not await ground.store.read(lambda c: messages.keys_to_reseal(c, box.owner, SCHEME_SEALED, 1)):
                return
            await asyncio.sleep(0.1)
        raise AssertionError("not resealed within a minute")
    finally:
        await ground.close()


def restart_desk(demo: Demo) -> None:
    old = demo.pids()["desk"]
    os.kill(old, signal.SIGKILL)
    until(lambda: demo.pids().get("desk", old) != old and _answers(demo), 60)


def _answers(demo: Demo) -> bool:
    at = demo.told["operator"]["imaps"]
    try:
        socket.create_connection((at["host"], at["port"]), 1).close()
    except OSError:
        return False
    return True


def _list(demo: Demo, name: str) -> Listing:
    """By a plain socket: the standard library's client would cost more than the server."""
    at = demo.told["operator"]["imaps"]
    person = next(one for one in demo.told["professionals"] if one["address"] == DOCTOR)
    desk = demo.pids()["desk"]
    context: ssl.SSLContext = demo.tls()
    with (
        socket.create_connection((at["host"], at["port"]), 120) as bare,
        context.wrap_socket(bare, server_hostname=at["host"]) as wire,
    ):
        wire.recv(4096)
        _ask(wire, f"LOGIN {person['username']} {person['password']}")
        _ask(wire, "SELECT INBOX")
        cpu, began = cpu_s(desk), time.monotonic()
        octets = _ask(wire, LIST)
        return Listing(name, time.monotonic() - began, cpu_s(desk) - cpu, octets)


def _ask(wire: ssl.SSLSocket, command: str) -> int:
    """Returns how many octets the answer had."""
    wire.sendall(f"a {command}\r\n".encode())
    octets, tail = 0, b""
    while True:
        block = wire.recv(1 << 18)
        assert block, "the server hung up"
        octets += len(block)
        tail = (tail + block)[-4096:]
        last = tail[:-2].rpartition(b"\r\n")[2] if tail.endswith(b"\r\n") else b""
        if last.startswith(b"a "):
            assert last.startswith(b"a OK"), last
            return octets
