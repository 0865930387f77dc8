"""What does a process of ours hold in memory? Reads it through /proc, as a debugger would."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

CHUNK_OCTETS = 4 * 1024 * 1024
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r\S+ \S+ \S+ \S+\s*(\S*)")


def holds(pid: int, wanted: Iterable[bytes]) -> set[bytes]:
    """Which of these octets stand in the readable memory of a process. Raises PermissionError, ProcessLookupError."""
    left, found = set(wanted), set[bytes]()
    overlap = max(map(len, left)) - 1
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for start, end in _mappings(pid):
            tail = b""
            for at in range(start, end, CHUNK_OCTETS):
                try:
                    memory.seek(at)
                    block = tail + memory.read(min(CHUNK_OCTETS, end - at))
                except (OSError, ValueError, OverflowError):
                    break  # a page that nobody may read
                found |= {octets for octets in left if octets in block}
                tail = block[-overlap:] if overlap else b""
    return found


def _mappings(pid: int) -> list[tuple[int, int]]:
    found = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        parts = _MAPPING.match(line)
        if parts and not parts[3].startswith("[v"):  # vvar, vdso, vsyscall: the kernel's
            found.append((int(parts[1], 16), int(parts[2], 16)))
    return found


def children(pid: int) -> list[int]:
    """Processes that it started, and theirs."""
    below = []
    for entry in Path(f"/proc/{pid}/task").iterdir():
        for child in (entry / "children").read_text().split():
            below += [int(child), *children(int(child))]
    return below


def open_files(pid: int) -> set[Path]:
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(entry.readlink())
        except OSError:
            pass
    return found
