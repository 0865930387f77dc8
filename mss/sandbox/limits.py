"""How much may one worker of the sandbox take?

One value, given by the house at the start and obeyed on both sides of the wall.
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Every limit of the sandbox. The house enforces wall time and frame sizes, the kernel the rest."""

    wall_s: float = 10.0
    """From the question to the last byte of the answer; then the worker is killed."""
    cpu_s: int = 5
    """Renewed for each job. The costliest honest job seen, a 25 MB archive, takes under one second."""
    memory_bytes: int = 512 * MIB
    """Address space. The libraries take 90 MiB; an archive, its files and the answer at most three times 64 MiB."""
    jobs_per_worker: int = 200
    """Then a fresh one: leaks of a library stay small, and the cost of a fork is spread thin."""
    request_bytes_max: int = 48 * MIB
    """A message has 35 MiB on the wire, its largest attachment less."""
    answer_bytes_max: int = 80 * MIB
    """The files of an archive (64 MiB at most) and their metadata."""
    header_bytes_max: int = MIB
    """The JSON of a question or an answer: the fiches of 200 documents take 300 kB."""
    blobs_max: int = 2000
    """Byte strings in one frame: an archive has 1,000 members at most."""
    waiting_max: int = 256
    """Callers in line; each holds its bytes in memory. The next one is told that the sandbox is busy."""
    start_s: float = 20.0
    """From ordering a worker to its first word. The libraries load in half a second on an idle machine."""
