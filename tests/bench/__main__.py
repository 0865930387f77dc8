"""How fast, how dear, how large? One table of the main job's figures, each with how it was taken.

A demo of its own: operator A takes mail of a third operator over mutual TLS on kept connections, into eight
professional folders; CPU is that of A's processes, from /proc. On a shared machine trust CPU, not rates.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from pathlib import Path

from tests.bench import proc
from tests.bench.listing import list_before_and_after_reseal
from tests.kit.demo import Demo
from tests.kit.smtpload import LoadClient, Target, stuffed

SENDERS = 8
SENDER = "charge@tiers.mssante.example"
RECIPIENTS = ("camille.lefort@ville.mssante.example", "samir.benali@chu.mssante.example")
PARTS = ("edge", "desk", "works")
CHECKOUT = Path(__file__).parents[2]

rows: list[tuple[str, str, str]] = []


def row(measure: str, figure: str, how: str) -> None:
    rows.append((measure, figure, how))
    print(f"{measure:54} {figure:>24}   {how}", flush=True)


def mail(number: int, size: int) -> bytes:
    """A mail of that size, none like another."""
    line = b"Compte rendu de consultation, sans particularite. 0123456789\r\n"
    head = (
        f"From: {SENDER}\r\nTo: {RECIPIENTS[number % 2]}\r\nSubject: Mesure {number}\r\n"
        f"Message-ID: <mesure.{number}.{size}@tiers.mssante.example>\r\nDate: Mon, 05 Jan 2026 10:00:00 +0100\r\n\r\n"
    ).encode()
    return head + line * ((size - len(head)) // len(line))


async def intake(demo: Demo, size: int, count: int) -> None:
    """Accepted per second and CPU per 1000: at the 250 a professional's mail is readable by IMAP."""
    at = demo.told["operator"]["smtp"]
    target = Target(at["host"], at["port"], demo.tls(demo.told["peer"]))
    mails = [(RECIPIENTS[n % 2], stuffed(mail(n, size))) for n in range(count)]
    clients = [LoadClient(target) for _ in range(SENDERS)]
    for client in clients:  # connected and warm
        await client.send(SENDER, [RECIPIENTS[0]], stuffed(mail(count + clients.index(client), size)))

    async def one(client: LoadClient) -> None:
        while mails:
            to, data = mails.pop()
            answer = await client.send(SENDER, [to], data)
            assert answer.is_yes, answer

    pids = demo.pids()
    before = {name: proc.cpu_s(pids[name]) for name in PARTS}
    began = time.perf_counter()
    await asyncio.gather(*(one(client) for client in clients))
    took = time.perf_counter() - began
    cpu = {name: proc.cpu_s(pids[name]) - before[name] for name in PARTS}
    for client in clients:
        client.close()
    label = f"{size // 1000} kB, mutual TLS, {SENDERS} kept connections"
    row(f"accepted and readable/s, {label}", f"{count / took:.0f}/s", f"{count} mails, wall clock")
    per_thousand = " + ".join(f"{name} {cpu[name] / count * 1000:.2f}" for name in PARTS)
    row(f"CPU s per 1000, {label}", f"{sum(cpu.values()) / count * 1000:.2f}", per_thousand)


def start_up(demo: Demo) -> None:
    """CPU that each process has used when the demo is ready, and memory."""
    pids = demo.pids()
    for name in (*PARTS, "supervisor"):
        row(f"start-up CPU of {name}", f"{proc.own_cpu_s(pids[name]):.2f} s", "user + system when ready")
    for name in (*PARTS, "supervisor"):
        total = sum(proc.pss_mb(pid) for pid in proc.family(pids[name])) if name != "supervisor" else 0.0
        own = proc.pss_mb(pids[name])
        row(f"memory of {name}", f"{own:.0f} MB", f"PSS{f', with sandbox {total:.0f} MB' if total > own + 1 else ''}")


def until_filed(demo: Demo, count: int = 10) -> None:
    """Seconds from the 250 to the document in the record, by the audit's own moments."""
    import json

    took = []
    for _ in range(count):
        message_id = demo_document(demo)
        for _ in range(200):
            answer = demo.mss("trace", message_id, "--json")
            steps = json.loads(answer.stdout) if answer.returncode == 0 else []
            at = {step["act"]: _seconds(step["at"]) for step in steps}
            if "bridge.filed" in at:
                took.append(at["bridge.filed"] - at["mail.received"])
                break
            time.sleep(0.05)
    took.sort()
    figure = f"{took[len(took) // 2]:.3f} s (max {took[-1]:.3f})"
    row("250 to filed and visible, median", figure, f"{len(took)} of {count} XDM mails, one at a time")


def demo_document(demo: Demo) -> str:
    """Send one laboratory report to Dominique; answers its Message-ID."""
    from mss.mail import healthmail
    from mss.mail.healthmail import Sending
    from mss.model.clock import SystemChance, SystemClock
    from mss.model.ids import MailAddress
    from tests.bench.documents import report

    address = demo.patient()["address"]
    chance = SystemChance()
    sending = Sending(
        sender=MailAddress.parse(SENDER),
        sender_name="Mesure",
        recipient=MailAddress.parse(address),
        documents=(report(chance),),
        pdfs=(),
        at=SystemClock().now(),
        receipt_wanted=False,
    )
    message_id, raw = healthmail.compose(sending, chance)
    demo.relay(SENDER, [address], raw)
    return message_id


def _seconds(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


def code_size() -> None:
    """Lines of our own, without blank lines and comments."""
    for folder in ("mss", "tests"):
        files = [path for path in (CHECKOUT / folder).rglob("*.py") if "__pycache__" not in path.parts]
        lines = sum(_code_lines(path) for path in files)
        row(f"code in {folder}/", f"{lines} lines", f"{len(files)} files, without blank lines and comments")


def _code_lines(path: Path) -> int:
    return sum(1 for line in path.read_text().splitlines() if re.match(r"\s*[^\s#]", line))


def main() -> None:
    count = int(os.environ.get("BENCH_MAILS", "4000"))
    code_size()
    demo = Demo().start()
    try:
        start_up(demo)
        until_filed(demo)
        asyncio.run(intake(demo, 2_000, count))
        asyncio.run(intake(demo, 50_000, count // 2))
    finally:
        demo.remove()
    list_before_and_after_reseal(row)


if __name__ == "__main__":
    main()
