"""How are ten million lines put in order in little memory? Sorted pieces on disk, merged as they are read.

Also the reason why an import is kind to the database: rows arrive in the order of their keys, so each page of a table
is written once, not once for each row. The lines are public data of the directory; the folder is emptied afterwards.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

LINES_IN_MEMORY_MAX = 150_000
"""Some 60 MB of facts."""
RUNS_MAX = 400
"""Files open at once when merging, below the usual limit of 1,024: sixty million lines."""


class Runs:
    """Lines of text, given in any order, read back sorted and without repeats."""

    def __init__(self, directory: Path, name: str, *, lines_max: int = LINES_IN_MEMORY_MAX) -> None:
        self._directory = directory
        self._name = name
        self._lines_max = lines_max
        self._lines: list[str] = []
        self.lines_written = 0

    def paths(self) -> list[Path]:
        return sorted(self._directory.glob(f"{self._name}-*.run"))

    def add(self, line: str) -> bool:
        """Keep a line (without line break). True when a piece has become full: call `flush`."""
        self._lines.append(line)
        return len(self._lines) >= self._lines_max

    def flush(self) -> None:
        """Write what is in memory as one more piece. Raises OSError; whole or not at all."""
        if not self._lines:
            return
        number = len(self.paths())
        if number >= RUNS_MAX:
            raise OSError(f"more than {RUNS_MAX} pieces of {self._lines_max} lines: not a directory any more")
        path = self._directory / f"{self._name}-{number:04}.run"
        unfinished = path.with_suffix(".part")
        with unfinished.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for line in sorted(self._lines))
        unfinished.rename(path)
        self.lines_written += len(self._lines)
        self._lines.clear()

    def drop_from(self, count: int) -> None:
        """Remove the pieces behind the first `count`: nobody remembers what they hold."""
        for path in self.paths()[count:]:
            path.unlink()

    def sorted_lines(self) -> Iterator[str]:
        """Every line once, in order."""
        with ExitStack() as files:
            opened = [files.enter_context(path.open(encoding="utf-8", newline="\n")) for path in self.paths()]
            last = None
            for line in heapq.merge(*opened):
                if line != last:
                    yield line.rstrip("\n")
                last = line
