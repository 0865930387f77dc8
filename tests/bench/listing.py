"""What does opening a folder of 10,000 messages cost, before and after reseal?

Every message gets an intake key of its own (worse than any real mailbox). The list FETCH of a mail client goes through
the real IMAP server over TLS, in a process of its own; its CPU is read from /proc.
"""

from __future__ import annotations

import asyncio
import imaplib
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from mss import config
from mss.demo import papers, seed
from mss.formats import mime
from mss.formats.summary import summarise
from mss.foundation import Foundation, lay
from mss.mail.delivery import Letter, Placing
from mss.model.ids import MailAddress, lane_of
from mss.store import messages, owners, sealing
from tests.bench import proc

MESSAGES = int(os.environ.get("BENCH_FOLDER", "10000"))
ADDRESS = "camille.lefort@ville.mssante.example"
BASE = 30_000
LIST = "(UID FLAGS ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE)"

Row = Callable[[str, str, str], None]


def list_before_and_after_reseal(row: Row) -> None:
    """Fill, list in a fresh process, reseal, list in a fresh process, list again warm."""
    with tempfile.TemporaryDirectory(prefix="mss-b-") as home:
        made = papers.prepare(Path(home), datetime.now(UTC).replace(microsecond=0))
        path = papers.write_config(made, "A", "127.0.0.1", BASE)
        settings = config.load(path)
        asyncio.run(seed.seed(settings, made, "A"))
        asyncio.run(_fill(settings))
        for label, before in (("before reseal", None), ("after reseal", _reseal)):
            if before is not None:
                asyncio.run(before(settings))
            (first, first_cpu), (warm, warm_cpu) = _list_twice(path, made)
            row(f"list FETCH of {MESSAGES}, {label}, first", f"{first:.2f} s", f"CPU of desk {first_cpu:.2f} s")
            row(f"list FETCH of {MESSAGES}, {label}, again", f"{warm:.2f} s", f"CPU of desk {warm_cpu:.2f} s")


async def _fill(settings: config.Config) -> None:
    ground = await lay(settings, "bench", hears=False)
    try:
        hashed = ground.public.lookup.address(ADDRESS)
        box = await ground.store.read(lambda c: owners.mailbox_at(c, hashed))
        assert box is not None
        for start in range(0, MESSAGES, 200):
            parcels = []
            for number in range(start, min(start + 200, MESSAGES)):
                ground.sealer.fresh_key(box.owner, box.public_key)
                parcels.append(await ground.delivery.copy(_letter(number), box, ADDRESS, Placing()))
            await ground.delivery.commit(parcels)
    finally:
        await ground.close()


def _letter(number: int) -> Letter:
    raw = (
        f"From: Dr Camille LEFORT <{ADDRESS}>\r\nTo: {ADDRESS}\r\nSubject: =?utf-8?q?R=C3=A9sultat?= {number}\r\n"
        f"Message-ID: <liste.{number}@ville.mssante.example>\r\nDate: Mon, 05 Jan 2026 10:00:00 +0100\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
        + "--b\r\nContent-Type: text/plain\r\n\r\n"
        + "Bonjour, voici le compte rendu.\r\n" * 40
        + '--b\r\nContent-Type: application/pdf; name="cr.pdf"\r\nContent-Transfer-Encoding: base64\r\n'
        'Content-Disposition: attachment; filename="cr.pdf"\r\n\r\n' + "QUJDRA==\r\n" * 60 + "--b--\r\n"
    ).encode()
    structure = mime.scan(raw)
    return Letter(raw, summarise(raw, structure), MailAddress.parse(ADDRESS), "bench", raw)


async def _reseal(settings: config.Config) -> None:
    ground = await lay(settings, "bench", hears=False)
    try:
        await _reseal_all(ground)
    finally:
        await ground.close()


async def _reseal_all(ground: Foundation) -> None:
    hashed = ground.public.lookup.address(ADDRESS)
    owner = await ground.store.read(lambda c: owners.find(c, hashed))
    assert owner is not None
    keys = await ground.opener(ground.private()).open(owner, "bench", "reseal")
    while found := await ground.store.read(lambda c: messages.keys_to_reseal(c, owner, sealing.SCHEME_SEALED, 500)):
        wrapped = keys.reseal(found)
        await ground.store.write(
            lane_of(owner),
            lambda c, w=wrapped: messages.reseal_keys(c, owner, sealing.SCHEME_SHELF, w),  # type: ignore[misc]
        )


def _list_twice(path: Path, made: papers.Papers) -> list[tuple[float, float]]:
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "mss.assembly", str(path), "desk", "imap"]
    desk = subprocess.Popen(
        command, env=os.environ | {"MSS_READY_FD": str(writing)}, pass_fds=(writing,), stderr=subprocess.DEVNULL
    )
    try:
        os.close(writing)
        os.read(reading, 1)
        context = ssl.create_default_context(cafile=str(made.ca))
        with imaplib.IMAP4_SSL("127.0.0.1", BASE + 993, ssl_context=context, timeout=120) as client:
            client.login(ADDRESS, seed.application_password(made, ADDRESS))
            client.select("INBOX", readonly=True)
            figures = []
            for _ in range(2):
                cpu, began = proc.own_cpu_s(desk.pid), time.perf_counter()
                _, data = client.fetch("1:*", LIST)
                assert sum(1 for line in data if line) >= MESSAGES
                figures.append((time.perf_counter() - began, proc.own_cpu_s(desk.pid) - cpu))
            return figures
    finally:
        os.close(reading)
        desk.terminate()
        desk.wait(20)
