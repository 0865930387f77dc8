"""How do real senders spoil an IHE_XDM.zip?

`dirty` repacks a good archive in one of the dialects met in the field; all of them must still be read.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable

Files = Iterable[tuple[str, bytes]]


def members(data: bytes) -> dict[str, bytes]:
    """Names and contents of an archive, in order."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {member.filename: archive.read(member) for member in archive.infolist()}


def pack(files: Files, *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive with these files, in this order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files:
            member = zipfile.ZipInfo(name, (2026, 1, 5, 9, 30, 0))
            member.compress_type = method
            archive.writestr(member, content)
    return buffer.getvalue()


def dirty(data: bytes, dialect: str) -> bytes:
    """The same archive as `dialect` would send it; see DIALECTS."""
    return DIALECTS[dialect](list(members(data).items()))


def _macos(files: Files) -> bytes:
    """Finder adds a shadow of every file."""
    shadows = [(f"__MACOSX/{_in_folder(name, '._')}", b"\x00\x05\x16\x07") for name, _ in files]
    return pack([*files, (".DS_Store", b"\x00\x00\x00\x01Bud1"), ("IHE_XDM/.DS_Store", b"Bud1"), *shadows])


def _in_folder(name: str, prefix: str) -> str:
    folder, slash, base = name.rpartition("/")
    return f"{folder}{slash}{prefix}{base}"


def _lower_case(files: Files) -> bytes:
    return pack((name.lower(), content) for name, content in files)


def _no_folder(files: Files) -> bytes:
    """SUBSET01 lies at the root."""
    return pack((name.removeprefix("IHE_XDM/"), content) for name, content in files)


def _flat(files: Files) -> bytes:
    """Everything lies at the root."""
    return pack((name.rpartition("/")[2], content) for name, content in files)


def _wrapped_folder(files: Files) -> bytes:
    """Somebody zipped the folder instead of its content, with its folder entries."""
    folders = [("Envoi du 5/", b""), ("Envoi du 5/IHE_XDM/", b""), ("Envoi du 5/IHE_XDM/SUBSET01/", b"")]
    return pack([*folders, *((f"Envoi du 5/{name}", content) for name, content in files)])


def _backslashes(files: Files) -> bytes:
    """Old .NET writes Windows separators."""
    return pack((name.replace("/", "\\"), content) for name, content in files)


def _windows_thumbs(files: Files) -> bytes:
    return pack([("Thumbs.db", b"\xd0\xcf\x11\xe0"), ("IHE_XDM/desktop.ini", b"[.ShellClassInfo]"), *files])


def _cp437(files: Files) -> bytes:
    """A folder with an accent, named as DOS did, without the UTF-8 flag (APPNOTE appendix D)."""
    return pack((f"Rxsumx/{name}", content) for name, content in files).replace(b"Rxsumx/", b"R\x82sum\x82/")


def _utf8(files: Files) -> bytes:
    return pack((f"Résumé/{name}", content) for name, content in files)


def _extra_members(files: Files) -> bytes:
    """The reading copy and a style sheet lie in the archive too, named by nobody."""
    return pack([*files, ("IHE_XDM/SUBSET01/DOC00001.PDF", b"%PDF-1.4"), ("IHE_XDM/SUBSET01/CDA.XSL", b"<x/>")])


def _bare(files: Files) -> bytes:
    """No INDEX.HTM, no README.TXT."""
    return pack((name, content) for name, content in files if name not in ("INDEX.HTM", "README.TXT"))


def _stored(files: Files) -> bytes:
    return pack(files, method=zipfile.ZIP_STORED)


class _Pipe(io.BytesIO):
    """A stream that cannot go back, so that sizes follow their data (bit 3, APPNOTE §4.4.4)."""

    def seekable(self) -> bool:
        return False

    def seek(self, offset: int, whence: int = 0, /) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


def _streamed(files: Files) -> bytes:
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return pipe.getvalue()


DIALECTS: dict[str, Callable[[Files], bytes]] = {
    "macos": lambda files: _macos(list(files)),
    "lower-case": _lower_case,
    "no-folder": _no_folder,
    "flat": _flat,
    "wrapped-folder": _wrapped_folder,
    "backslashes": _backslashes,
    "windows-thumbs": _windows_thumbs,
    "cp437": _cp437,
    "utf8": _utf8,
    "extra-members": _extra_members,
    "bare": _bare,
    "stored": _stored,
    "streamed": _streamed,
}
