"""What is an import about to write? Its changes as they were judged, on disk, in the order of their numbers.

So the file is compared with what is read once, not once to look and once to write; and what is written is what was
looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from mss.directory.comparing import Outcome, Staged
from mss.directory.facts import Kind

_KINDS = {f"{kind:d}": kind for kind in Kind}


class Changes:
    """Of one import. Entered while they are noted."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        self._file = self._path.open("w", encoding="utf-8", newline="\n")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def note(self, outcome: Outcome) -> None:
        """Remember what becomes of one subject. Raises OSError."""
        for row in outcome.gone:
            self._file.write(f"-\t{row.number}\n")
        for one in outcome.added:
            self._file.write(f"+\t{one.number}\t{one.kind:d}\t{one.text}\n")

    def noted(self) -> Iterator[int | Staged]:
        """The number of what is gone, or what is added."""
        with self._path.open(encoding="utf-8", newline="\n") as file:
            for line in file:
                if line[0] == "-":
                    yield int(line[2:])
                else:
                    _, number, kind, text = line.split("\t", 3)
                    yield Staged(int(number), 0, _KINDS[kind], text[:-1])

    def drop(self) -> None:
        self._path.unlink(missing_ok=True)
