"""How do real senders spoil an IHE_XDM.zip?

`dirty` repacks a good archive in one of the dialects met in the field. Those of DIALECTS must still be read; those of
SPOILT have lost what nobody can guess, each for its reason.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterable

from mss.model.verdict import Reason

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
    spoil = DIALECTS.get(dialect) or SPOILT[dialect][0]
    return spoil(list(members(data).items()))


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


def _changed(files: Files, change: Callable[[str], str]) -> Files:
    """With other words in METADATA.XML."""
    return [(name, change(c.decode()).encode() if name.endswith("METADATA.XML") else c) for name, c in files]


def _in_utf16(files: Files) -> bytes:
    """A writer for whom XML is UTF-16, with its mark in front."""
    return pack(
        (name, c.decode().replace("UTF-8", "UTF-16").encode("utf-16") if name.endswith("METADATA.XML") else c)
        for name, c in files
    )


def _capital_hashes(files: Files) -> bytes:
    """Windows libraries print SHA-1 in capitals."""
    return pack(_changed(files, lambda text: re.sub(r">([0-9a-f]{40})<", lambda one: f">{one[1].upper()}<", text)))


def _odd_mime_types(files: Files) -> bytes:
    """The type that the file manager of the day believes in."""
    return pack(_changed(files, lambda text: text.replace('mimeType="text/xml"', 'mimeType="application/x-cda+xml"')))


def _no_hash(files: Files) -> bytes:
    """Hash and size are left out."""
    return pack(_changed(files, lambda text: re.sub(r'name="(hash|size)"', r'name="x-\1"', text)))


def _commented(files: Files) -> bytes:
    """Shareware signs its archives."""
    buffer = io.BytesIO(pack(files))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = b"Created with an unregistered copy"
    return buffer.getvalue()


def _zip64(files: Files) -> bytes:
    """Java streams write sizes of 64 bits for small files too (APPNOTE §4.5.3)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            with archive.open(zipfile.ZipInfo(name, (2026, 1, 5, 9, 30, 0)), "w", force_zip64=True) as member:
                member.write(content)
    return buffer.getvalue()


def _line_behind(files: Files) -> bytes:
    """A mail gateway ended the attachment with a line."""
    return pack(files) + b"\r\n"


def _self_extracting(files: Files) -> bytes:
    """A program that unpacks itself stands in front."""
    return b"MZ" + bytes(510) + pack(files)


def copied_twice(data: bytes) -> bytes:
    """The explorer's copy lies beside the folder: the same submission again."""
    files = list(members(data).items())
    copy = [(name.replace("IHE_XDM/", "IHE_XDM - Copie/"), c) for name, c in files if name.startswith("IHE_XDM/")]
    return pack([*files, *copy])


def _archive_in_archive(files: Files) -> bytes:
    return pack([("IHE_XDM.zip", pack(files))])


def _password(files: Files) -> bytes:
    """Marked as encrypted, which is all that we look at (APPNOTE §4.4.4)."""
    data = bytearray(pack(files))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for found in re.finditer(re.escape(signature), bytes(data)):
            data[found.start() + offset] |= 1
    return bytes(data)


def _lzma(files: Files) -> bytes:
    return pack(files, method=zipfile.ZIP_LZMA)


def _converted_line_ends(files: Files) -> bytes:
    """A transfer in text mode: every document is a little longer."""
    return pack((n, c.replace(b"><", b">\r\n<", 1) if "DOC0" in n else c) for n, c in files)


def _renamed_document(files: Files) -> bytes:
    return pack((name.replace("DOC00001", "Compte rendu"), content) for name, content in files)


def _without_metadata(files: Files) -> bytes:
    return pack((name, content) for name, content in files if not name.endswith("METADATA.XML"))


def _half_downloaded(files: Files) -> bytes:
    data = pack(files)
    return data[: len(data) // 2]


def _another_packer(_files: Files) -> bytes:
    """RAR under the name of a ZIP."""
    return b"Rar!\x1a\x07\x01\x00" + bytes(200)


_OASIS = "urn:oasis:names:tc:ebxml-regrep:"
_FOLDER = (
    '<rim:RegistryPackage id="f"><rim:Name><rim:LocalizedString value="Hospitalisation"/></rim:Name>'
    '<rim:Classification classificationNode="urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2"/></rim:RegistryPackage>'
)
SET, DOCUMENT = "urn:uuid:00000000-0000-4000-8000-000000000000", "urn:uuid:00000000-0000-4000-8000-000000000001"
"""Entry ids in the archives that tests make."""


def _link(kind: str, source: str, target: str, inside: str = "") -> str:
    return (
        f'<rim:Association id="{kind}-{source}-{target}" associationType="{_OASIS}AssociationType:{kind}"'
        f' sourceObject="{source}" targetObject="{target}">{inside}</rim:Association>'
    )


def _with_objects(*objects: str) -> Callable[[Files], bytes]:
    """A writer of METADATA.XML that knows more of XDS than others."""
    end = "</rim:RegistryObjectList>"
    return lambda files: pack(_changed(files, lambda text: text.replace(end, "".join(objects) + end)))


_NEW_STATUS = (
    '<rim:Slot name="NewStatus"><rim:ValueList><rim:Value>urn:asip:ci-sis:2010:StatusType:Archived</rim:Value>'
    "</rim:ValueList></rim:Slot>"
)

SPOILT: dict[str, tuple[Callable[[Files], bytes], Reason]] = {
    "archive-in-archive": (_archive_in_archive, Reason.METADATA_BROKEN),
    "password": (_password, Reason.ARCHIVE_UNSAFE),
    "lzma": (_lzma, Reason.ARCHIVE_UNSAFE),
    "converted-line-ends": (_converted_line_ends, Reason.HASH_MISMATCH),
    "renamed-document": (_renamed_document, Reason.METADATA_BROKEN),
    "without-metadata": (_without_metadata, Reason.METADATA_BROKEN),
    "half-downloaded": (_half_downloaded, Reason.ARCHIVE_BROKEN),
    "another-packer": (_another_packer, Reason.ARCHIVE_BROKEN),
    "empty-folder": (_with_objects(_FOLDER, _link("HasMember", SET, "f")), Reason.FOLDER_NOT_CARRIED_OUT),
    "folder-elsewhere": (_with_objects(_link("HasMember", "urn:uuid:f", DOCUMENT)), Reason.FOLDER_NOT_CARRIED_OUT),
    "folder-of-what-came-before": (
        _with_objects(_FOLDER, _link("HasMember", "f", DOCUMENT), _link("HasMember", "f", "urn:uuid:old")),
        Reason.FOLDER_NOT_CARRIED_OUT,
    ),
    "archived-by-mail": (
        _with_objects(_link("UpdateAvailabilityStatus", SET, "urn:uuid:old", _NEW_STATUS)),
        Reason.STATUS_CHANGE_ASKED,
    ),
    "snapshot": (_with_objects(_link("IsSnapshotOf", DOCUMENT, "urn:uuid:old")), Reason.RELATION_UNKNOWN),
    "addendum-without-document": (_with_objects(_link("APND", "urn:uuid:x", DOCUMENT)), Reason.RELATION_UNKNOWN),
    "two-sets-in-one": (
        _with_objects(_FOLDER.replace("d9d542f3-6cc4-48b6-8870-ea235fbc94c2", "a54d6aa5-d40d-43f9-88c5-b4633d873bdd")),
        Reason.METADATA_BROKEN,
    ),
}
"""What desktop tools make of an archive, and what writers ask for in one, that a human must look at."""

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
    "capital-hashes": _capital_hashes,
    "byte-order-mark": lambda files: pack(_changed(files, lambda text: f"\ufeff{text}")),
    "utf16": _in_utf16,
    "odd-mime-types": _odd_mime_types,
    "no-hash": _no_hash,
    "commented": _commented,
    "zip64": _zip64,
    "line-behind": _line_behind,
    "self-extracting": _self_extracting,
    "folder-around": _with_objects(_FOLDER, _link("HasMember", SET, "f"), _link("HasMember", "f", DOCUMENT)),
    "misspelt-set": lambda files: pack(_changed(files, lambda text: text.replace(f'"{SET}"', '"SubmissionSet01"', 1))),
    "signed-beside": _with_objects(_link("signs", DOCUMENT, "urn:uuid:old")),
}
