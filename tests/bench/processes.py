"""What do our processes cost? CPU seconds and memory, read from /proc."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

from tests.kit.demo import Demo, until
from tests.kit.memory import children

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
NAMES = ("supervisor", "cradle", "edge", "desk", "works")
STARTED = ("edge", "desk", "works")


def cpu_s(pid: int) -> float:
    """User and system time of a process, its children left out."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def cpu_below(pid: int) -> float:
    """The same of a process with everything below it, those that have ended and been waited for included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = sum(map(int, fields[11:15])) / TICKS_PER_S
    return own + sum(map(cpu_below, direct_children(pid)))


def cpu_of(demo: Demo, names: tuple[str, ...] = NAMES) -> dict[str, float]:
    """CPU so far of operator A's processes, those of their sandboxes included."""
    pids = pids_of(demo)
    return {name: cpu_s(pids[name]) + _below(name, pids[name], cpu_s) for name in names}


def pids_of(demo: Demo) -> dict[str, int]:
    """Operator A's processes, the cradle of three of them included."""
    pids = demo.pids()
    (cradle,) = {
        pid for pid in direct_children(pids["supervisor"]) if "cradle" in Path(f"/proc/{pid}/comm").read_text()
    }
    return pids | {"cradle": cradle}


def direct_children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def start_up_cpu(demo: Demo, name: str) -> float:
    """CPU of one process of operator A from its first instruction until it is ready, as it says itself, nothing else
    starting beside it: it is killed, and the supervisor starts it again. The middle of three."""
    return sorted(_started_again(demo, name) for _ in range(3))[1]


def _started_again(demo: Demo, name: str) -> float:
    said = len(_ready_lines(demo, name))
    os.kill(demo.pids()[name], signal.SIGKILL)
    return float(until(lambda: _ready_lines(demo, name)[said:])[0]["cpu_s"])


def _ready_lines(demo: Demo, name: str) -> list[dict[str, Any]]:
    lines = (json.loads(line) for line in demo.journals[0].read_text().splitlines() if '"process.ready"' in line)
    return [line for line in lines if line["process"] == name]


def pss_mib(pid: int) -> float:
    """Proportional share of memory: pages that several processes map are counted once in all."""
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def memory_of(demo: Demo) -> dict[str, float]:
    """MiB of operator A's processes, those of their sandboxes included."""
    pids = pids_of(demo)
    return {name: pss_mib(pids[name]) + _below(name, pids[name], pss_mib) for name in NAMES}


def _below(name: str, pid: int, measure: object) -> float:
    if name == "supervisor":  # whose children are the others
        return 0.0
    assert callable(measure)
    return float(sum(measure(child) for child in children(pid)))
