"""What does a file say in all? Every line of it read, refused with its number or kept, and put in order.

A reading that was killed goes on where its last piece ended: what is done is written down with each piece. Nothing of
the database is touched here.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, Protocol, TextIO

from mss.directory.comparing import Staged
from mss.directory.facts import CONTENT_BITS, Kind, fact_of, subject_number
from mss.directory.runs import Runs
from mss.model.directory import Listing, Professional, Source, Structure
from mss.model.errors import BadValue

READ_OCTETS = 1024 * 1024
REFUSED_SHARE_MAX = 0.5
"""A file of which more than half cannot be read is another file, or broken: nothing of it is believed."""

SPARED_MAX = 200_000
"""People whose lines are not kept: the red list of the country has tens of thousands."""

_PERSON = re.compile(rb"(?<![0-9])8?[0-9]{11}(?![0-9])")
"""RPPS, or IDNPS with it."""

KEPT_MAX = 5_000
"""People and structures that were written already, of a piece: those of one practice stand near each other."""
PIECE_LINES = 50_000
"""Some 25 MB of facts: as many are in memory at a time."""

Progress = Callable[[str, int, int], None]
"""What is being done, how much of it, of how much."""
Value = Professional | Structure | Listing


@dataclass(slots=True)
class Read:
    """How far a file was read, and what was met on the way. Written down with each piece."""

    digest: str = ""
    offset: int = 0
    lines: int = 0
    pieces: int = 0
    refused: int = 0
    unlisted: int = 0
    slipped: int = 0
    """Lines in another encoding than the file's."""
    spared: list[int] = field(default_factory=list)
    """Subjects (people) whose lines were refused or are on the red list: they are not gone. Forgotten with the rest."""
    spares_all: bool = False
    """There were too many of them to be told apart."""
    report_octets: int = 0
    complete: bool = False
    unknown_columns: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Line:
    """What a reader makes of one line: values to keep, or why it is refused."""

    values: tuple[Value, ...] = ()
    refusal: str = ""
    unlisted: bool = False
    slipped: bool = False
    at: int = 0
    """Where it stands in the file, when that is not the number of the line."""


class Reader(Protocol):
    """Knows one kind of file."""

    source: Source
    unknown_columns: tuple[str, ...]

    def prepare(self, file: Path, folder: Path, digest: str, progress: Progress) -> Path:
        """What is read line by line: the file itself, or what was made of it in `folder`. Raises BadValue, OSError."""

    def begin(self, first: bytes) -> bool:
        """Read the first line; True when it was a header. Raises BadValue when this is another kind of file."""

    def read(self, line: bytes) -> Line: ...


def digest_of(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


class Staging:
    """One file on its way into the directory, in a folder of its own."""

    def __init__(self, folder: Path, reader: Reader, *, piece_lines: int = PIECE_LINES) -> None:
        self._folder = folder
        self._reader = reader
        self._runs = Runs(folder, "facts", lines_max=piece_lines)
        self._state = folder / "progress.json"
        self.report = folder / "refused.csv"

    def read(self, file: Path, digest: str, progress: Progress) -> Read:
        """Read `file` to its end, from where an earlier reading of it stopped. Raises BadValue, OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        done = self._recall(digest)
        size = file.stat().st_size
        with file.open("rb") as opened, self._report_from(done) as report:
            first = opened.readline(READ_OCTETS)
            has_header = self._reader.begin(first.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n"))
            done.unknown_columns = list(self._reader.unknown_columns)
            if not done.complete:
                if done.offset == 0:
                    done.offset, done.lines = (len(first), 1) if has_header else (0, 0)
                opened.seek(done.offset)
                self._read_lines(opened, done, report, progress, size)
                done.complete = True
                self._piece_is_done(done, report)
        progress("read", size, size)
        if done.refused > max(1, done.lines) * REFUSED_SHARE_MAX:
            raise BadValue(f"{done.refused} of {done.lines} lines are refused (see {self.report}): not believed at all")
        return done

    def _read_lines(self, opened: BinaryIO, done: Read, report: TextIO, progress: Progress, size: int) -> None:
        kept: set[Value] = set()
        refusals = csv.writer(report)
        while raw := opened.readline(READ_OCTETS):
            done.lines += 1
            done.offset += len(raw)
            line = self._reader.read(raw.rstrip(b"\r\n"))
            done.slipped += line.slipped
            done.unlisted += line.unlisted
            if line.refusal or line.unlisted:
                self._spare(raw, done)
            if line.refusal:
                done.refused += 1
                refusals.writerow((line.at or done.lines, line.refusal))
            is_full = False
            for value in line.values:
                is_full |= self._keep(value, line.at or done.lines, kept)
            if is_full:
                kept.clear()
                self._piece_is_done(done, report)
                progress("read", done.offset, size)

    def _spare(self, line: bytes, done: Read) -> None:
        """Whoever is named in a line that is not kept is not gone."""
        people = {f"8{found.decode()[-11:]}" for found in _PERSON.findall(line)}
        done.spared += [subject_number(self._reader.source, Kind.PROFESSIONAL, idnps) for idnps in sorted(people)]
        if len(done.spared) > SPARED_MAX:
            done.spared, done.spares_all = [], True

    def _keep(self, value: Value, line: int, kept: set[Value]) -> bool:
        if not isinstance(value, Listing):  # people and structures come again and again
            if value in kept:
                return False
            if len(kept) >= KEPT_MAX:
                kept.clear()
            kept.add(value)
        fact = fact_of(self._reader.source, value)
        return self._runs.add(f"{fact.number:019}\t{line:09}\t{_DIGITS[fact.kind]}\t{fact.text}")

    def _piece_is_done(self, done: Read, report: TextIO) -> None:
        """What was read so far need not be read again."""
        self._runs.flush()
        report.flush()
        done.report_octets = report.tell()
        self._remember(done)

    def _report_from(self, done: Read) -> TextIO:
        report = self.report.open("a+", encoding="utf-8", newline="")
        report.truncate(done.report_octets)
        report.seek(0, 2)
        return report

    def _recall(self, digest: str) -> Read:
        try:
            done = Read(**json.loads(self._state.read_text()))
        except (OSError, ValueError, TypeError):
            done = Read()
        if done.digest != digest:
            done = Read(digest=digest)
        self._runs.drop_from(done.pieces if not done.complete else len(self._runs.paths()))
        return done

    def _remember(self, done: Read) -> None:
        done.pieces = len(self._runs.paths())
        part = self._state.with_suffix(".part")
        part.write_text(json.dumps(asdict(done)))
        part.rename(self._state)

    def subjects(self) -> Iterator[tuple[int, list[Staged]]]:
        """What the file says, one subject at a time, in the order of subjects."""
        for subject, staged in groupby(map(_staged, self._runs.sorted_lines()), lambda one: one.number >> CONTENT_BITS):
            yield subject, list(staged)

    def clear(self) -> None:
        """Remove what was put in order; the report of refusals stays until the next file."""
        self._runs.drop_from(0)
        self._state.unlink(missing_ok=True)
        for joined in self._folder.glob("joined-*"):
            joined.unlink()


_DIGITS = {kind: f"{kind:d}" for kind in Kind}
_KINDS = {digit: kind for kind, digit in _DIGITS.items()}


def _staged(line: str) -> Staged:
    number, at, kind, text = line.split("\t", 3)
    return Staged(int(number), int(at), _KINDS[kind], text)
