"""Which files does this ZIP hold, and may they be read?

The guard in front of every archive that strangers send: all names and all declared sizes are judged
before anything is inflated, and no member inflates beyond the size it declared. Reads members in memory
only; never writes a file, never opens an archive inside an archive.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass

from mss.model.errors import Malformed
from mss.model.verdict import Reason

MEMBERS_MAX = 1000
TOTAL_BYTES_MAX = 64 * 1024 * 1024  # a message has 35 MiB on the wire; inflated CDA is rarely twice that
RATIO_MAX = 200  # deflate reaches 1 032; XML of tables reaches 40
RATIO_FREE_BYTES = 1024 * 1024  # below this a ratio harms nobody
PATH_DEPTH_MAX = 12  # IHE_XDM/SUBSET01/NAME has 3 levels
PATH_CHARS_MAX = 255

_CHUNK_BYTES = 64 * 1024
_CENTRAL_ENTRY = b"PK\x01\x02"
_LOCAL_HEADER_BYTES = 30
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # classic, strong, masked header (APPNOTE §4.4.4)
_UNIX_TYPES_ALLOWED = frozenset({0, 0o040000, 0o100000})  # unknown, folder, plain file
_METHODS_ALLOWED = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
# What zipfile raises for broken archives, measured by mutating good ones.
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, NotImplementedError, OverflowError)
# What file managers leave in archives.
_JUNK_FOLDERS = frozenset({"__macosx"})
_JUNK_NAMES = frozenset({".ds_store", "thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one archive may hold."""

    members_max: int = MEMBERS_MAX
    total_bytes_max: int = TOTAL_BYTES_MAX
    ratio_max: int = RATIO_MAX


LIMITS = Limits()


class Archive:
    """A judged archive. `names` are the paths of its files with forward slashes, junk left out."""

    def __init__(self, data: bytes, limits: Limits = LIMITS) -> None:
        """Judge names and declared sizes. Raises Malformed (ARCHIVE_BROKEN, ARCHIVE_UNSAFE)."""
        # Count before zipfile builds its list: 35 MiB could declare 700,000 members.
        if data.count(_CENTRAL_ENTRY) > limits.members_max:
            raise _unsafe("too many members")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except _BROKEN as error:
            raise Malformed(Reason.ARCHIVE_BROKEN, "not a readable ZIP") from error
        members = self._zip.infolist()
        for member in members:
            _judge_member(member, limits)
        if sum(member.file_size for member in members) > limits.total_bytes_max:
            raise _unsafe("too large when unpacked")
        _judge_places(data, members, self._zip.start_dir)
        self._members = _by_path(members)
        self.names = tuple(self._members)

    def read(self, name: str) -> bytes:
        """Inflate one file of `names`, never beyond the size that was judged."""
        member = self._members[name]
        out = bytearray()
        try:
            with self._zip.open(member) as stream:
                # Piece by piece: one read() of everything would inflate a liar whole before cutting it.
                while chunk := stream.read(_CHUNK_BYTES):
                    out += chunk
        except (*_BROKEN, RuntimeError) as error:  # RuntimeError: zipfile's word for a password
            raise Malformed(Reason.ARCHIVE_BROKEN, "a member does not inflate") from error
        if len(out) != member.file_size:
            raise Malformed(Reason.ARCHIVE_BROKEN, "a member has not its declared size")
        return bytes(out)


def safe_path(raw: str) -> str:
    """The path with forward slashes. Raises Malformed(ARCHIVE_UNSAFE) when it could leave its folder."""
    path = raw.replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if (
        len(path) > PATH_CHARS_MAX
        or len(parts) > PATH_DEPTH_MAX
        or path.startswith("/")
        or ".." in parts
        or ":" in path  # a Windows drive or stream
        or any(char < " " or char == "\x7f" for char in path)
    ):
        raise _unsafe("unsafe member name")
    return "/".join(parts)


def _judge_member(member: zipfile.ZipInfo, limits: Limits) -> None:
    """Refuse what no honest sender packs."""
    safe_path(member.orig_filename)
    if member.flag_bits & _ENCRYPTED:
        raise _unsafe("encrypted member")
    if member.compress_type not in _METHODS_ALLOWED:
        raise _unsafe("unusual compression")
    if (member.external_attr >> 16) & 0o170000 not in _UNIX_TYPES_ALLOWED:
        raise _unsafe("symbolic link or device")
    if member.file_size > max(RATIO_FREE_BYTES, member.compress_size * limits.ratio_max):
        raise _unsafe("compression ratio")


def _judge_places(data: bytes, members: list[zipfile.ZipInfo], directory_start: int) -> None:
    """Refuse members that share bytes: the trick of the non-recursive zip bombs."""
    end = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        start = member.header_offset
        header = data[start : start + _LOCAL_HEADER_BYTES]
        if start < 0 or len(header) < _LOCAL_HEADER_BYTES:
            raise Malformed(Reason.ARCHIVE_BROKEN, "a member lies outside")
        if start < end:
            raise _unsafe("overlapping members")
        name_bytes, extra_bytes = struct.unpack("<HH", header[26:30])
        end = start + _LOCAL_HEADER_BYTES + name_bytes + extra_bytes + member.compress_size
    if end > directory_start:
        raise _unsafe("overlapping members")


def _by_path(members: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Files by safe path. Two names that one file system would merge are refused."""
    found: dict[str, zipfile.ZipInfo] = {}
    seen: set[str] = set()
    for member in members:
        path = safe_path(member.orig_filename)
        if member.orig_filename.endswith(("/", "\\")) or not path or _is_junk(path):
            continue
        if path.casefold() in seen:
            raise _unsafe("two members of one name")
        seen.add(path.casefold())
        found[path] = member
    return found


def _is_junk(path: str) -> bool:
    parts = path.casefold().split("/")
    return parts[-1] in _JUNK_NAMES or parts[-1].startswith("._") or not _JUNK_FOLDERS.isdisjoint(parts[:-1])


def _unsafe(detail: str) -> Malformed:
    return Malformed(Reason.ARCHIVE_UNSAFE, detail)
