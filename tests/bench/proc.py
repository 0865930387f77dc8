"""What does a process cost? Read from /proc: CPU seconds, proportional memory, the workers below it."""

from __future__ import annotations

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """A process and everything that it started."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
            except (OSError, IndexError, ValueError):
                continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def cpu_s(pid: int) -> float:
    """User and system CPU of a process, its ended children included."""
    fields = _stat(pid)
    return sum(int(fields[n]) for n in (11, 12, 13, 14)) / TICKS


def own_cpu_s(pid: int) -> float:
    """User and system CPU of a process alone."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS


def pss_mb(pid: int) -> float:
    """Memory that would be free without it (shared pages divided)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def peak_mb(pid: int) -> float:
    """The most memory that it ever had, or had since `clear_refs` was told so (proc(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat after the name, from the state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
