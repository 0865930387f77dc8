"""How do people, roles and structures of a file become listings, in little memory and in any order?

Each resource refers to others that may stand anywhere in the file, so they are sorted on disk: roles beside their
people, then beside their structures (directory/runs.py). What comes out is one line for each listing, which the same
staging reads as the public file's lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, TextIO

from mss.directory.bundles import resources_in
from mss.directory.national import Mailbox, Said, job_of, place_of, said_by
from mss.directory.runs import Runs
from mss.directory.staging import Line, Progress
from mss.model.directory import Listing, Professional, Source, Structure
from mss.model.errors import BadValue
from mss.model.mailbox import MailboxKind

NOTHING = "-"
"""Key of a role that names no structure."""
PROGRESS_EVERY = 20_000
Row = tuple[str, int, int, dict[str, Any]]
"""Key, 0 for what is referred to and 1 for what refers, number of the resource, what it says."""


class NationalReader:
    """Reads what `prepare` has joined, for mss/directory/staging.py. Refusals name the resource by its place."""

    source = Source.NATIONAL

    def __init__(self) -> None:
        self.unknown_columns: tuple[str, ...] = ()

    def prepare(self, file: Path, folder: Path, digest: str, progress: Progress) -> Path:
        """The joined lines of `file`; those of an earlier call with the same file are used again."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        joined = folder / f"joined-{digest[:16]}.lines"
        if not joined.exists():
            for old in folder.glob("joined-*"):
                old.unlink()
            _Joining(folder, progress).join(file, joined)
        return joined

    def begin(self, first: bytes) -> bool:
        if first and not first.startswith(b"["):
            raise BadValue("these are not joined resources")
        return False

    def read(self, line: bytes) -> Line:
        if not line:
            return Line()
        number, refusal, unlisted, said = json.loads(line)
        if refusal:
            return Line(refusal=refusal, at=number)
        if said is None:
            return Line(unlisted=unlisted, at=number)
        try:
            return Line(tuple(_values(said)), unlisted=unlisted, at=number)
        except BadValue as problem:
            return Line(refusal=str(problem), at=number)


def _values(said: dict[str, Any]) -> Iterator[Listing | Professional | Structure]:
    place = place_of(said["place"])
    box = said["mailbox"]
    if said["idnps"] and said["family"]:
        yield Professional(said["idnps"], said["family"], said["given"], said["civility"])
    if said["idnst"] and said["structure"]:
        yield Structure(said["idnst"], said["structure"], place, said["sector"])
    if box is None and not said["idnps"]:
        return  # a structure without a mailbox
    listing = Listing(
        address=box["address"] if box else "",
        kind=MailboxKind(box["kind"]) if box else None,
        idnps=said["idnps"],
        family=said["family"],
        given=said["given"],
        civility=said["civility"],
        profession=job_of(said["profession"]),
        specialty=job_of(said["specialty"]),
        idnst=said["idnst"],
        structure=said["structure"],
        sector=said["sector"],
        place=place,
    )
    if box:
        rest = {name: box[name] for name in ("description", "service", "responsible", "paperless", "rank")}
        listing = replace(listing, **rest)
    yield listing


class _Joining:
    def __init__(self, folder: Path, progress: Progress) -> None:
        self._by_person = Runs(folder, "by-person")
        self._by_structure = Runs(folder, "by-structure")
        self._progress = progress
        for runs in (self._by_person, self._by_structure):
            runs.drop_from(0)

    def join(self, file: Path, joined: Path) -> None:
        part = joined.with_suffix(".part")
        with part.open("w", encoding="utf-8", newline="\n") as out:
            self._take_apart(file, out)
            self._meet_people(out)
            self._meet_structures(out)
        part.rename(joined)
        for runs in (self._by_person, self._by_structure):
            runs.drop_from(0)

    def _take_apart(self, file: Path, out: TextIO) -> None:
        """Each resource under the keys by which it will be met."""
        number = 0
        for number, (resource, url) in enumerate(resources_in(file), 1):
            try:
                said = said_by(resource, url)
            except BadValue as problem:
                _write(out, number, refusal=str(problem))
                continue
            if said is None:
                continue
            for _ in range(said.unlisted):
                _write(out, number, unlisted=True)
            if said.sort == "role":
                self._add(self._by_person, said.person, 1, number, said)
            else:
                runs = self._by_person if said.sort == "person" else self._by_structure
                for place, key in enumerate(said.keys):  # the first is where it is told itself
                    self._add(runs, key, 0, number, said if place == 0 else replace(said, mailboxes=[], keys=[]))
            if number % PROGRESS_EVERY == 0:
                self._progress("join", number, number + PROGRESS_EVERY)
        self._progress("join", number, number)
        self._by_person.flush()

    def _add(self, runs: Runs, key: str, order: int, number: int, said: Said) -> None:
        text = json.dumps(said.fields(), ensure_ascii=False, separators=(",", ":"))
        if runs.add(f"{key}\t{order}\t{number:010}\t{text}"):
            runs.flush()

    def _meet_people(self, out: TextIO) -> None:
        """People beside their roles; a role takes name and number of its person and goes on to its structure."""
        for _, group in groupby(_rows(self._by_person), lambda row: row[0]):
            person: Said | None = None
            has_role = False
            for _, order, number, fields in group:
                said = Said.of(fields)
                if order == 0:
                    if person is None:
                        person, at = said, number
                    continue
                if person is None:
                    _write(out, number, refusal="a role whose practitioner is not in this file")
                    continue
                has_role = True
                self._add(self._by_structure, said.structure or NOTHING, 1, number, _with_person(said, person))
            if person is not None and person.keys:
                _tell_person(out, at, person, has_role=has_role)
        self._by_structure.flush()

    def _meet_structures(self, out: TextIO) -> None:
        for key, group in groupby(_rows(self._by_structure), lambda row: row[0]):
            structure: Said | None = None
            for _, order, number, fields in group:
                said = Said.of(fields)
                if order == 1:
                    idnst = key.removeprefix("n:Organization/") if key.startswith("n:") else ""
                    _tell(out, number, said, structure, idnst)
                elif structure is None:
                    structure = said
                    if said.keys:
                        _tell_structure(out, number, said)


def _rows(runs: Runs) -> Iterator[Row]:
    for line in runs.sorted_lines():
        key, order, number, text = line.split("\t", 3)
        yield key, int(order), int(number), json.loads(text)


def _with_person(role: Said, person: Said) -> Said:
    """A role under its person's number, with the name of work that it says itself, else with hers."""
    return replace(
        role,
        number=person.number,
        family=role.family or person.family,
        given=role.given or person.given,
        civility=role.civility or person.civility,
        profession=role.profession or person.profession,
        specialty=role.specialty or person.specialty,
    )


def _tell_person(out: TextIO, number: int, person: Said, *, has_role: bool) -> None:
    """Her own mailboxes; a person without any and without a role is listed all the same."""
    boxes: list[Mailbox | None] = list(person.mailboxes)
    for box in boxes or ([] if has_role else [None]):
        _write(out, number, said=_flat(person, None, "", box))


def _tell(out: TextIO, number: int, role: Said, structure: Said | None, idnst: str) -> None:
    boxes: list[Mailbox | None] = list(role.mailboxes)
    for box in boxes or [None]:
        _write(out, number, said=_flat(role, structure, idnst, box))


def _tell_structure(out: TextIO, number: int, structure: Said) -> None:
    boxes: list[Mailbox | None] = list(structure.mailboxes)
    for box in boxes or [None]:
        _write(out, number, said=_flat(Said("role"), structure, "", box))


def _flat(person: Said, structure: Said | None, idnst: str, box: Mailbox | None) -> dict[str, Any]:
    return {
        "idnps": person.number,
        "family": person.family,
        "given": person.given,
        "civility": person.civility,
        "profession": person.profession,
        "specialty": person.specialty,
        "idnst": structure.number if structure else idnst,
        "structure": structure.name if structure else "",
        "sector": structure.sector if structure else "",
        "place": structure.place if structure else [],
        "mailbox": None if box is None else {name: getattr(box, name) for name in Mailbox.__dataclass_fields__},
    }


def _write(
    out: TextIO, number: int, *, refusal: str = "", unlisted: bool = False, said: dict[str, Any] | None = None
) -> None:
    out.write(json.dumps([number, refusal, unlisted, said], ensure_ascii=False, separators=(",", ":")) + "\n")
