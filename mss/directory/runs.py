"""How are ten million lines put in order in little memory? Sorted pieces on disk, merged as they are read.

Also the reason why an import is kind to the database: rows arrive in the order of their keys, so each page of a table
is written once, not once for each row. The lines are public data of the directory; the folder is emptied afterwards.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

LINES_IN_MEMORY_MAX = 150_000
"""Some 15 MB of keys."""
RUNS_MAX = 400
"""Files open at once when merging, below the usual limit of 1,024: sixty million lines."""

CHARS_AHEAD = 24 * 1024
"""Of each piece when merging: they are put together by one sort of them all, which takes runs that are in order
already as they are, and so costs a fifth of merging line by line. Of two hundred pieces some 15 MB."""
LINES_AT_ONCE = 5_000
"""Joined and written as one."""


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

    def add(self, *lines: str) -> bool:
        """Keep lines (without line break). True when a piece has become full: call `flush`."""
        self._lines += lines
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
            self._lines.sort()
            for at in range(0, len(self._lines), LINES_AT_ONCE):
                file.write("\n".join(self._lines[at : at + LINES_AT_ONCE]) + "\n")
        unfinished.rename(path)
        self.lines_written += len(self._lines)
        self._lines.clear()

    def drop_from(self, count: int) -> None:
        """Remove the pieces behind the first `count`: nobody remembers what they hold."""
        for path in self.paths()[count:]:
            path.unlink()

    def sorted_lines(self) -> Iterator[str]:
        """Every line once, in order."""
        for block in self.sorted_blocks():
            yield from block

    def sorted_blocks(self) -> Iterator[list[str]]:
        """The same, thousands at a time."""
        with ExitStack() as files:
            ahead = [_Ahead(files.enter_context(path.open(encoding="utf-8", newline="\n"))) for path in self.paths()]
            last: str | None = None
            while ahead:
                for one in ahead:
                    one.read_on()
                until = min((one.lines[-1] for one in ahead if not one.is_at_end), default=None)
                met: list[str] = []
                for one in ahead:
                    met += one.taken(until)
                met.sort()
                block = list(dict.fromkeys(met))
                if block and block[0] == last:
                    del block[0]
                last = met[-1] if met else last
                ahead = [one for one in ahead if one.lines or not one.is_at_end]
                if block:
                    yield block


class _Ahead:
    """What was read of one piece and not yet taken."""

    def __init__(self, file: TextIO) -> None:
        self.lines: list[str] = []
        self.is_at_end = False
        self._file = file
        self._enough = 1

    def read_on(self) -> None:
        """At least one line, unless this is the end."""
        if self.is_at_end or len(self.lines) >= self._enough:
            return
        chunk = self._file.read(CHARS_AHEAD)
        if not chunk:
            self.is_at_end = True
            return
        if not chunk.endswith("\n"):
            chunk += self._file.readline()
        more = chunk.split("\n")
        more.pop()  # behind the last line break
        self._enough = max(1, len(more) // 2)
        self.lines += more

    def taken(self, until: str | None) -> list[str]:
        """Take what comes no later than `until`: behind it another piece may have something in between."""
        cut = len(self.lines) if until is None else bisect_right(self.lines, until)
        taken, self.lines = self.lines[:cut], self.lines[cut:]
        return taken
