"""Which folder of ours does a folder of another server become? Pure.

INBOX is INBOX. The folder that sent mail goes to there becomes the one that sent mail goes to here, and so for every
special use (RFC 6154), by what the server says of it or else by the names that mail programs give. All others keep
their names and places; what no name here may contain is replaced. Two never become one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mss.formats.foldernames import DELIMITER, INBOX, LEVELS_MAX, NAME_OCTETS_MAX, BadName, check_new_name
from mss.model.mailbox import DEFAULT_FOLDERS, SpecialUse

_UNWANTED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029*%/]")
_ROOM_FOR_NUMBER = 10  # octets of " (1234)"

KNOWN_NAMES: Mapping[SpecialUse, tuple[str, ...]] = {
    SpecialUse.SENT: (
        *("sent", "envoyés", "éléments envoyés", "messages envoyés", "courrier envoyé", "objets envoyés"),
        *("sent items", "sent messages", "sent mail"),
    ),
    SpecialUse.DRAFTS: ("drafts", "brouillons", "draft", "brouillon"),
    SpecialUse.TRASH: (
        *("trash", "corbeille", "éléments supprimés", "messages supprimés", "objets supprimés"),
        *("deleted items", "deleted messages"),
    ),
    SpecialUse.JUNK: (
        *("junk", "indésirables", "courrier indésirable", "spam", "pourriel", "pourriels"),
        *("junk e-mail", "junk email", "bulk mail"),
    ),
    SpecialUse.ARCHIVE: ("archives", "archive"),
}
"""What folders are called where the server does not say what they are for; the first that is there counts."""


@dataclass(frozen=True, slots=True)
class SourceFolder:
    """A folder over there. `key` names it to its source and never changes."""

    key: str
    levels: tuple[str, ...]
    use: SpecialUse | None = None
    is_virtual: bool = False
    """It shows messages that lie in other folders (RFC 6154: \\All, \\Flagged)."""

    @property
    def name(self) -> str:
        """For people."""
        return DELIMITER.join(self.levels)


@dataclass(frozen=True, slots=True)
class Target:
    """The folder here."""

    name: str
    use: SpecialUse | None = None


def plan(found: Sequence[SourceFolder], ours: Mapping[SpecialUse, str]) -> dict[SourceFolder, Target]:
    """Where each goes. `ours`: names of the folders that have a special use here already."""
    names = {use: ours.get(use, name) for name, use in DEFAULT_FOLDERS}
    ordered = sorted(found, key=lambda folder: (len(folder.levels), folder.levels, folder.key))
    special = _special(ordered)
    targets: dict[SourceFolder, Target] = {folder: Target(names[use], use) for folder, use in special.items()}
    taken = {name.casefold() for name in names.values()}
    prefixes = {folder.levels: target.name for folder, target in targets.items()}
    for folder in ordered:
        if folder in targets:
            continue
        name = _free(_name(folder.levels, prefixes), taken)
        targets[folder] = Target(name)
        taken.add(name.casefold())
        prefixes[folder.levels] = name
    return targets


def _special(ordered: Sequence[SourceFolder]) -> dict[SourceFolder, SpecialUse]:
    """One folder for each use at most: what its server says comes before what it is called."""
    chosen: dict[SourceFolder, SpecialUse] = {}
    for folder in ordered:
        if len(folder.levels) == 1 and folder.levels[0].upper() == INBOX and SpecialUse.INBOX not in chosen.values():
            chosen[folder] = SpecialUse.INBOX
        elif folder.use is not None and folder.use not in chosen.values():
            chosen[folder] = folder.use
    for use, known in KNOWN_NAMES.items():
        if use in chosen.values():
            continue
        called = {folder.levels[0].casefold(): folder for folder in ordered if len(folder.levels) == 1}
        first = next((called[name] for name in known if name in called and called[name] not in chosen), None)
        if first is not None:
            chosen[first] = use
    return chosen


def _name(levels: tuple[str, ...], prefixes: Mapping[tuple[str, ...], str]) -> str:
    """Below the folder that its parent became, when that is brought too."""
    for length in range(len(levels) - 1, 0, -1):
        if (parent := prefixes.get(levels[:length])) is not None:
            return _whole([*parent.split(DELIMITER), *levels[length:]])
    first = INBOX if levels[0].upper() == INBOX else levels[0]
    return _whole([first, *levels[1:]])


def _whole(levels: Sequence[str]) -> str:
    """Levels as a name that may be here."""
    clean = [_UNWANTED.sub("_", level) or "_" for level in levels]
    if len(clean) > LEVELS_MAX:
        clean = [*clean[: LEVELS_MAX - 1], "_".join(clean[LEVELS_MAX - 1 :])]
    name = DELIMITER.join(clean)
    while len(name.encode()) > NAME_OCTETS_MAX - _ROOM_FOR_NUMBER:
        name = name[:-1].rstrip(DELIMITER)
    try:
        check_new_name(name)
    except BadName:  # what is left of a strange one
        return "_"
    return name


def _free(name: str, taken: set[str]) -> str:
    """With a number behind it when another folder is called so."""
    candidate, number = name, 1
    while candidate.casefold() in taken:
        number += 1
        candidate = f"{name} ({number})"
    return candidate
