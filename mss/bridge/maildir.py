"""How is mail read from a Maildir? (cr.yp.to/proto/maildir.html, Maildir++, and Dovecot's keywords and fs layout)

Files belong to somebody else: no symbolic link is followed, nothing but regular files is read, nothing is written.
What lies there has the line ends of its machine; mail has CR LF, and so a lone LF becomes that.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from mss.bridge.foldermap import SourceFolder
from mss.bridge.source import Brought, Listed, SourceTrouble, Unread
from mss.formats.foldernames import INBOX, BadName, decode_utf7
from mss.formats.mime import LIMITS
from mss.model.mailbox import Flag

FOLDERS_MAX = 5000
"""More directories are no mailbox."""
DEPTH_MAX = 20
KEYWORDS_MAX = 26
"""Dovecot numbers them by small letters (a line `0 name` each in dovecot-keywords)."""
FLAGS = {"S": Flag.SEEN, "R": Flag.ANSWERED, "F": Flag.FLAGGED, "D": Flag.DRAFT, "T": Flag.DELETED}
PASSED = "$Forwarded"
_BARE_LF = re.compile(rb"(?<!\r)\n")
_PACKED = {
    b"CRYPTED\x03\x07": "encrypted by its server",
    b"Dovecot-LZ4\r\n": "compressed by its server",
    b"\x1f\x8b": "compressed by its server",
    b"\x28\xb5\x2f\xfd": "compressed by its server",
    b"BZh": "compressed by its server",
    b"\xfd7zXZ\0": "compressed by its server",
}
"""First octets of files that only their server can open: let it serve them over IMAP."""


class MaildirSource:
    """A directory."""

    def __init__(self, directory: Path) -> None:
        self.name = f"maildir:{directory.resolve()}"
        self._root = directory
        self._paths: dict[str, Path] = {}

    async def folders(self) -> list[SourceFolder]:
        return await asyncio.to_thread(self._folders)

    async def listing(self, folder: SourceFolder) -> list[Listed]:
        return await asyncio.to_thread(self._listing, folder)

    async def messages(self, folder: SourceFolder, wanted: Sequence[Listed]) -> AsyncIterator[Brought | Unread]:
        names = await asyncio.to_thread(_keyword_names, self._directory(folder))
        for one in wanted:
            found = await asyncio.to_thread(self._read, folder, one.place, names)
            if found is not None:
                yield found

    async def close(self) -> None:
        return None

    def _directory(self, folder: SourceFolder) -> Path:
        return self._root / folder.key if folder.key else self._root

    def _folders(self) -> list[SourceFolder]:
        if not self._root.is_dir():
            raise SourceTrouble(f"{self._root}: no such directory")
        found = []
        for directory in _maildirs(self._root):
            key = str(directory.relative_to(self._root)) if directory != self._root else ""
            found.append(SourceFolder(key, _levels(key)))
            if len(found) > FOLDERS_MAX:
                raise SourceTrouble(f"{self._root}: more than {FOLDERS_MAX} folders, this is no mailbox")
        if not found:
            raise SourceTrouble(f"{self._root}: no Maildir (a directory with cur and new in it) here or below")
        return found

    def _listing(self, folder: SourceFolder) -> list[Listed]:
        found = []
        for entry in _files(self._directory(folder)):
            base = entry.name.partition(":")[0]
            self._paths[f"{folder.key}\0{base}"] = Path(entry.path)
            status = entry.stat(follow_symlinks=False)
            found.append((status.st_mtime_ns // 1_000_000, base, status.st_size))
        return [Listed(base, size) for _, base, size in sorted(found)]

    def _read(self, folder: SourceFolder, place: str, names: dict[str, str]) -> Brought | Unread | None:
        path = self._paths[f"{folder.key}\0{place}"]
        try:
            file = _open(path)
        except FileNotFoundError:  # moved from new to cur, or flagged, since it was listed
            self._listing(folder)
            path = self._paths[f"{folder.key}\0{place}"]
            try:
                file = _open(path)
            except FileNotFoundError:
                return None
            except OSError as problem:
                return Unread(place, problem.strerror or type(problem).__name__)
        except OSError as problem:
            return Unread(place, problem.strerror or type(problem).__name__)
        with os.fdopen(file, "rb") as opened:
            status = os.fstat(opened.fileno())
            if not stat.S_ISREG(status.st_mode):
                return Unread(place, "not a regular file")
            raw = opened.read(LIMITS.octets + 1)
        if (why := next((why for first, why in _PACKED.items() if raw.startswith(first)), "")) != "":
            return Unread(place, f"{why}: import over IMAP instead")
        letters = path.name.partition(":2,")[2]
        flags = sum(FLAGS[letter] for letter in set(letters) if letter in FLAGS)
        keywords = [names[letter] for letter in sorted(set(letters)) if letter in names]
        keywords += [PASSED] if "P" in letters and PASSED not in keywords else []
        return Brought(place, _BARE_LF.sub(b"\r\n", raw), flags, tuple(keywords), status.st_mtime_ns // 1_000_000)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _maildirs(directory: Path, depth: int = 0) -> Iterator[Path]:
    if _is_own(directory / "cur"):
        yield directory
    if depth >= DEPTH_MAX:
        return
    with os.scandir(directory) as entries:
        below = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    for name in below:
        if name not in ("cur", "new", "tmp"):
            yield from _maildirs(directory / name, depth + 1)


def _files(directory: Path) -> Iterator[os.DirEntry[str]]:
    for half in (directory / "new", directory / "cur"):
        if _is_own(half):
            with os.scandir(half) as entries:
                yield from (entry for entry in entries if not entry.name.startswith("."))


def _is_own(directory: Path) -> bool:
    return directory.is_dir() and not directory.is_symlink()


def _levels(key: str) -> tuple[str, ...]:
    """Maildir++ writes `.A.B`, the fs layout `A/B`."""
    if not key:
        return (INBOX,)
    levels: list[str] = []
    for level in key.split("/"):
        levels += level[1:].split(".") if level.startswith(".") and len(level) > 1 else [level]
    return tuple(_decoded(level) for level in levels)


def _decoded(level: str) -> str:
    """Modified UTF-7, or whatever else a server wrote."""
    try:
        return decode_utf7(os.fsencode(level))
    except BadName:
        return os.fsencode(level).decode("utf-8", "replace")


def _keyword_names(directory: Path) -> dict[str, str]:
    """Letter to keyword, from Dovecot's list."""
    try:
        lines = (directory / "dovecot-keywords").read_bytes()[:65536].decode("utf-8", "replace").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        number, _, name = line.partition(" ")
        if number.isdecimal() and int(number) < KEYWORDS_MAX and name:
            found[chr(ord("a") + int(number))] = name
    return found
