"""`python -m tests.bench`: the figures that we tell, measured on this machine, over loopback, in some five minutes.

A whole demo of its own, the processes of operator A. Whatever else the machine does shows in the figures, so the load
at the beginning and at the end is told too.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path

from tests.bench import directory, imap, intake, listing, peers, postfix, strain, visible
from tests.bench.processes import STARTED, cpu_of, cpu_s, memory_of, pids_of, start_up_cpu
from tests.kit.demo import Demo

CHECKOUT = Path(__file__).resolve().parents[2]
SIZES = ((2_000, 3_000), (50_000, 600))
"""Octets of a mail, mails sent."""
STEADY_MAILS = 200


def main() -> None:
    print(f"{platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    code()
    demo, began = Demo(), time.monotonic()
    try:
        demo.start()
        row("start of the demo, two operators", f"{time.monotonic() - began:.1f} s")
        for name, seconds in cpu_of(demo).items():
            row(f"CPU until the demo stands, {name}", f"{seconds:.2f} s")
        row("start-up CPU of the common ground, once for all", f"{cpu_s(pids_of(demo)['cradle']):.2f} s")
        for name in STARTED:
            row(f"start-up CPU until ready, {name} alone", f"{start_up_cpu(demo, name):.2f} s")
        for name, mib in memory_of(demo).items():
            row(f"memory when idle (PSS), {name}", f"{mib:.0f} MiB")
        through_the_doors(demo)
        against_postfix(demo)
        under_strain(demo)
        for one in listing.measure(demo):
            figures = f"{one.seconds:.2f} s, desk {one.desk_cpu_s:.2f} CPU s, {one.octets / 1e6:.1f} MB"
            row(f"list of {listing.MESSAGES} messages, {one.name}", figures)
        for name, mib in memory_of(demo).items():
            row(f"memory afterwards (PSS), {name}", f"{mib:.0f} MiB")
        row("stop", f"{demo.stop():.1f} s")
    finally:
        demo.remove()
    print(f"\nload {os.getloadavg()[0]:.1f}")


def through_the_doors(demo: Demo) -> None:
    waits = intake.filing_s(demo)
    row("from 250 to filed, median", f"{waits[len(waits) // 2]:.3f} s")
    row("from 250 to filed, slowest", f"{waits[-1]:.3f} s")
    row(f"from 250 to visible, {visible.PER_S} mails a second", str(visible.measure(demo, STEADY_MAILS)))
    for octets, mails in SIZES:
        got = intake.measure(demo, octets, mails)
        size = f"{octets // 1000} kB"
        row(f"accepted and readable, {size}", f"{got.per_s:.0f} mails/s")
        row(f"answer after the data, {size}", f"median {got.median_ms:.0f} ms, slowest {got.slowest_ms:.0f} ms")
        row(f"CPU per 1000, {size}, edge + works", f"{got.cpu_s_per_1000['edge'] + got.cpu_s_per_1000['works']:.2f} s")
        row(f"CPU per 1000, {size}, edge", f"{got.cpu_s_per_1000['edge']:.2f} s")


def against_postfix(demo: Demo) -> None:
    if not postfix.is_installed():
        row("CPU per 1000 against Postfix + Dovecot", "not measured: needs both, and root")
        return
    peer = peers.beside(demo)
    try:
        peer.start()
        for one in peers.measure(demo, peer):
            row(
                f"CPU per 1000, {one.load.name}",
                f"{one.ours:.2f} s, Postfix + Dovecot {one.theirs:.2f} s: {one.ratio:.2f}",
            )
    finally:
        peer.stop()


def under_strain(demo: Demo) -> None:
    alone, beside_large = strain.p99_ms(demo)
    row("p99 of small mails", f"{alone:.0f} ms, while 25 MB arrive {beside_large:.0f} ms: {beside_large / alone:.1f}")
    row("memory of the edge, eight mails of 25 MB at once", f"{strain.peak_mb(demo):.0f} MB more")
    row("rate of 20 sessions with 5 ms more a sync", f"{strain.rate_kept_on_a_slow_disk(demo):.0%} of that without")


def code() -> None:
    """Lines that are not empty, by package."""
    packages = {path.name: lines(path) for path in sorted((CHECKOUT / "mss").iterdir()) if path.is_dir()}
    packages["(files of mss)"] = sum(_lines(path) for path in (CHECKOUT / "mss").glob("*.py"))
    for name, count in sorted(packages.items(), key=lambda item: -item[1]):
        if count:
            row(f"lines, {name}", str(count))
    row("lines, mss in all", str(lines(CHECKOUT / "mss")))
    row("lines, tests", str(lines(CHECKOUT / "tests")))


def lines(directory: Path) -> int:
    return sum(_lines(path) for path in directory.rglob("*.py"))


def _lines(path: Path) -> int:
    return sum(1 for line in path.read_text().splitlines() if line.strip())


def row(name: str, figure: str) -> None:
    print(f"{name:<50} {figure}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["imap"]:
        imap.main(row, sys.argv[2:])
    elif sys.argv[1:2] == ["directory"]:
        directory.main(int(sys.argv[2]) if sys.argv[2:] else directory.LARGE, *map(Path, sys.argv[3:4]))
    else:
        main()
