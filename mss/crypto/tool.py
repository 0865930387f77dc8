"""How is a program run on what a stranger sent, so that it takes neither memory nor time without end?

A child with limits of the kernel, its input and output through pipes, nothing through a shell. What it writes is cut
off at a bound, and whoever is slow is killed.
"""

from __future__ import annotations

import resource
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

WALL_S = 20.0
"""A message of 35 MiB takes two seconds; a machine under load five times as long."""
CPU_S = 10
MEMORY_BYTES = 1024 * 1024 * 1024
OUTPUT_BYTES_MAX = 64 * 1024 * 1024
"""What may come out of 35 MiB: an archive of readable documents, not a bomb."""
_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Done:
    """How it ended. `output` None: more than the bound."""

    code: int
    output: bytes | None
    said: str


class TooSlow(Exception):
    """It was killed."""


def limit(process: subprocess.Popen[bytes], *, cpu_s: int = CPU_S) -> None:
    """Bound a child that has just begun."""
    with suppress(ProcessLookupError):
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (cpu_s, cpu_s))
        resource.prlimit(process.pid, resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))


def run(
    command: Sequence[str],
    data: bytes,
    environment: Mapping[str, str],
    *,
    pass_fds: Sequence[int] = (),
    output_bytes_max: int = OUTPUT_BYTES_MAX,
    wall_s: float = WALL_S,
) -> Done:
    """Run to the end. Raises TooSlow, FileNotFoundError."""
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environment),
        pass_fds=tuple(pass_fds),
        close_fds=True,
    )
    limit(process)
    killer = threading.Timer(wall_s, process.kill)
    killer.start()
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    feeding = threading.Thread(target=_feed, args=(process.stdin, data), daemon=True)
    heard: list[bytes] = []
    hearing = threading.Thread(target=lambda: heard.append(_read(process.stderr, 64 * 1024)[0]), daemon=True)
    feeding.start()
    hearing.start()
    try:
        output, is_whole = _read(process.stdout, output_bytes_max)
        if not is_whole:
            process.kill()
        code = process.wait()
    finally:
        was_killed = not killer.is_alive()
        killer.cancel()
        process.kill()
        process.wait()
        feeding.join()
        hearing.join()
        process.stdout.close()
        process.stderr.close()
    if was_killed:
        raise TooSlow
    return Done(code, output if is_whole else None, (heard or [b""])[0].decode("utf-8", "replace"))


def _feed(pipe: object, data: bytes) -> None:
    with suppress(BrokenPipeError, ValueError, OSError):
        pipe.write(data)  # type: ignore[attr-defined]
    with suppress(BrokenPipeError, ValueError, OSError):
        pipe.close()  # type: ignore[attr-defined]


def _read(pipe: object, bytes_max: int) -> tuple[bytes, bool]:
    """What comes, as far as the bound; the rest of a chatty one is read and dropped only by its end."""
    kept = bytearray()
    while chunk := pipe.read1(_CHUNK_BYTES):  # type: ignore[attr-defined]
        kept += chunk
        if len(kept) > bytes_max:
            return bytes(kept[:bytes_max]), False
    return bytes(kept), True
