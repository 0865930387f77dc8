"""What would somebody send who has read our code? Families of archives, CDA documents and mails, made anew from a seed.

`hostile.py` keeps the cabinet of named horrors with the reason of each; here each family turns one knob through its
values. All are about Hugo: whoever files one of them in another person's record has filed wrongly.
"""

from __future__ import annotations

import base64
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from tests.kit import dicoms, hostile
from tests.kit.dirtyzip import members, pack
from tests.kit.documents import HUGO, describe, make_cda, make_package

ARCHIVE, CDA, MAIL, IMAGE = "archive", "cda", "mail", "image"
METADATA = "IHE_XDM/SUBSET01/METADATA.XML"
MIB = 1024 * 1024


@dataclass(frozen=True)
class Attack:
    """Built on demand. `build` gives an attachment, or the whole mail."""

    kind: str
    name: str
    build: Callable[[], bytes]


def attacks(seed: int) -> list[Attack]:
    """All of them, in the same order for the same seed."""
    found = [Attack(ARCHIVE, name, build) for name, (build, _) in hostile.ARCHIVES.items()]
    found += [Attack(CDA, name, build) for name, (build, _) in hostile.DOCUMENTS.items()]
    return [*found, *_archives(seed), *_documents(seed), *_mails(seed), *_images(seed)]


def _images(seed: int) -> Iterator[Attack]:
    good = dicoms.make_image(HUGO)
    for name, build in dicoms.HOSTILE.items():
        yield Attack(IMAGE, name, build)
    for number in range(30):
        yield Attack(IMAGE, f"bits {number}", partial(_flipped, good, seed + number))
    for part in range(1, 10):
        yield Attack(IMAGE, f"cut at {part}/20", partial(_cut, good, 2 * part))


def _archive() -> bytes:
    return make_package(make_cda(HUGO))


def _archives(seed: int) -> Iterator[Attack]:
    good = _archive()
    for name in _NAMES:
        yield Attack(ARCHIVE, f"member {name!r}"[:60], partial(_with_member, good, name))
    for part in range(1, 20):
        yield Attack(ARCHIVE, f"cut at {part}/20", partial(_cut, good, part))
    for number in range(30):
        yield Attack(ARCHIVE, f"bits {number}", partial(_flipped, good, seed + number))
    for signature, fields in ((b"PK\x01\x02", _CENTRAL), (b"PK\x05\x06", _END), (b"PK\x03\x04", _LOCAL)):
        for offset, layout in fields.items():
            for value in (0, 1, 0x7F, -1):
                build = partial(_lying, good, signature, offset, layout, value)
                yield Attack(ARCHIVE, f"{signature[2:]!r} field {offset} = {value}", build)
    for name, change in _METADATA_CHANGES.items():
        yield Attack(ARCHIVE, name, partial(_with_metadata, good, change))
    for one in _documents(seed):
        yield Attack(ARCHIVE, f"around {one.name}", partial(_around, one.build))


_NAMES = (
    "../x", "..", "a/../../x", "/x", "//server/share/x", "\\\\server\\x", "C:x", "c:/x", "x:$DATA", "nul\0l", "\x1b[2J",
    "a" * 300, "a/" * 200, "CON", "NUL.XML", ".", "./", " ", "IHE_XDM/SUBSET01/METADATA.XML/x", "\u202ecod.exe",
    "IHE_XDM/subset01/Metadata.xml", "IHE_XDM/SUBSET02/METADATA.XML", "METADATA.XML", "é" * 200, "/proc/self/mem",
)  # fmt: skip
_CENTRAL = {8: "<H", 10: "<H", 16: "<I", 20: "<I", 24: "<I", 28: "<H", 30: "<H", 38: "<I", 42: "<I"}
_END = {4: "<H", 8: "<H", 10: "<H", 12: "<I", 16: "<I", 20: "<H"}
_LOCAL = {6: "<H", 8: "<H", 18: "<I", 26: "<H", 28: "<H"}


def _lying(data: bytes, signature: bytes, offset: int, layout: str, value: int) -> bytes:
    """One field of one record (APPNOTE §4.3) with another value."""
    out = bytearray(data)
    whole = value & (0xFFFF if layout == "<H" else 0xFFFFFFFF)
    struct.pack_into(layout, out, data.index(signature) + offset, whole)
    return bytes(out)


def _with_member(data: bytes, name: str) -> bytes:
    return pack([*members(data).items(), (name, b"x")])


def _cut(data: bytes, part: int) -> bytes:
    return data[: len(data) * part // 20]


def _with_body(document: bytes, body: Callable[[], bytes]) -> bytes:
    return document.replace(b"<text>", b"<text>" + body(), 1)


def _flipped(data: bytes, seed: int) -> bytes:
    chance = random.Random(seed)
    out = bytearray(data)
    for _ in range(1 + chance.randrange(20)):
        out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    return bytes(out)


def _with_metadata(data: bytes, change: Callable[[str], bytes]) -> bytes:
    files = members(data)
    return pack((files | {METADATA: change(files[METADATA].decode())}).items())


def _around(build: Callable[[], bytes]) -> bytes:
    """An archive that describes a hostile document as it is, hash and size right."""
    document = build()
    honest = describe(make_cda(HUGO))
    data = make_package(honest)
    files = members(data)
    text = files[METADATA].decode().replace(honest.entry.sha1, hostile.sha1_of(document))
    text = text.replace(f">{len(honest.content)}<", f">{len(document)}<")
    return pack((files | {METADATA: text.encode(), "IHE_XDM/SUBSET01/DOC00001.XML": document}).items())


def _repeated(what: str, times: int) -> Callable[[str], bytes]:
    return lambda text: text.replace("</rim:RegistryObjectList>", what * times + "</rim:RegistryObjectList>").encode()


_METADATA_CHANGES: dict[str, Callable[[str], bytes]] = {
    "30,000 associations": _repeated('<rim:Association associationType="urn:x:RPLC" sourceObject="a"/>', 30_000),
    "20,000 documents": _repeated('<rim:ExtrinsicObject id="x"/>', 20_000),
    "50,000 packages": _repeated('<rim:RegistryPackage id="x"/>', 50_000),
    "40,000 classifications": _repeated('<rim:Classification classifiedObject="a" classificationNode="b"/>', 40_000),
    "a slot of 90,000 values": _repeated(f'<rim:ExtrinsicObject><rim:Slot name="URI"><rim:ValueList>'
        f'{"<rim:Value>1|a</rim:Value>" * 90_000}</rim:ValueList></rim:Slot></rim:ExtrinsicObject>', 1),
    "XInclude": _repeated('<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>', 1),
    "style sheet of the net": lambda text: text.replace(
        "?>", '?><?xml-stylesheet href="http://attacker.example/x.xsl" type="text/xsl"?>', 1).encode(),
    "schema of the net": lambda text: text.replace(
        "<rim:RegistryObjectList", '<rim:RegistryObjectList xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:schemaLocation="urn:x http://attacker.example/x.xsd"', 1).encode(),
    "10,000 namespaces": lambda text: text.replace(
        "<rim:RegistryObjectList", "<rim:RegistryObjectList " + " ".join(
            f'xmlns:n{n}="urn:{n}"' for n in range(10_000)), 1).encode(),
    "UTF-16 called UTF-8": lambda text: text.encode("utf-16"),
    "UTF-7": lambda text: text.replace("UTF-8", "UTF-7").encode("utf-7"),
    "EBCDIC": lambda text: text.encode("cp500", "replace"),
    "NUL in the middle": lambda text: text.replace("uniqueId", "unique\0Id").encode(),
    "URI of a device": lambda text: text.replace(">DOC00001.XML<", ">/dev/zero<").encode(),
    "URI by percent": lambda text: text.replace(">DOC00001.XML<", ">%2e%2e%2f%2e%2e%2fetc%2fpasswd<").encode(),
    "URI is itself": lambda text: text.replace(">DOC00001.XML<", ">METADATA.XML<").encode(),
    "negative size": lambda text: text.replace('name="size"', 'name="siz"', 1).encode(),
    "a title of another alphabet": lambda text: text.replace('value="Compte', 'value="\u202e\ufeff').encode(),
    "empty": lambda text: b"",
    "only white space": lambda text: b" " * 3 * MIB,
}  # fmt: skip


def _documents(seed: int) -> Iterator[Attack]:
    good = make_cda(HUGO)
    for element in ("id", "author", "relatedDocument", "documentationOf", "confidentialityCode", "templateId", "title"):
        for times in (2, 300, 30_000):
            piece = f'<{element} root="1.2" code="N"/>'.encode() * times
            yield Attack(
                CDA, f"{times} x {element}", partial(good.replace, b"<recordTarget", piece + b"<recordTarget", 1)
            )
    for element in ("name", "birthTime", "administrativeGenderCode"):
        for value in ("9" * 100_000, "\u202e" * 500, "99999999", "0", "'; DROP TABLE document; --"):
            said = f'<{element} value="{value}" code="{value}"'.encode()
            yield Attack(CDA, f"{element} {value[:8]!r}", partial(good.replace, f"<{element}".encode(), said, 1))
    for name, tail in _BODIES.items():
        yield Attack(CDA, name, partial(_with_body, good, tail))
    for number in range(25):
        yield Attack(CDA, f"flips {number}", partial(_flipped, good, seed - number))
    for encoding in ("utf-16", "utf-32", "utf-7", "cp500", "latin-1", "shift_jis"):
        yield Attack(CDA, f"in {encoding}", partial(good.decode().encode, encoding, "replace"))


_BODIES: dict[str, Callable[[], bytes]] = {
    "table of 20,000 cells": lambda: b"<table><tbody><tr>" + b"<td>x</td>" * 20_000 + b"</tr></tbody></table>",
    "lists in lists": lambda: b"<list><item>" * 120 + b"</item></list>" * 120,
    "picture of the net": lambda: b'<renderMultiMedia referencedObject="http://attacker.example/x.png"/>',
    "script": lambda: b"<script>alert(1)</script><img src='x' onerror='alert(1)'/>",
    "base64 of 6 MiB": lambda: base64.b64encode(bytes(6 * MIB)),
    "200,000 comments": lambda: b"<!---->" * 200_000,
    "200,000 instructions": lambda: b"<?a b?>" * 200_000,
    "CDATA": lambda: b"<![CDATA[" + b"]]&gt;" * 200_000 + b"]]>",
    "200,000 references": lambda: b"&#65;" * 200_000,
    "60,000 prefixes": lambda: b'<a xmlns:b="c"/>' * 60_000,
}


def _mail(content_type: str, body: bytes, *fields: str) -> bytes:
    lines = ["From: bio@labo.mssante.example", "To: x@patient.mssante.example", "Subject: Bilan", "MIME-Version: 1.0"]
    lines += [*fields, f"Content-Type: {content_type}", "", ""]
    return "\r\n".join(lines).encode() + body


def _mails(seed: int) -> Iterator[Attack]:
    for name, knob, values in _KNOBS:
        for value in values:
            yield Attack(MAIL, f"{name} {value}", partial(knob, value))
    for number in range(60):
        yield Attack(MAIL, f"noise {number}", partial(_noise, seed * 31 + number))


def _parts(count: int, head: bytes = b"", body: bytes = b"x") -> bytes:
    return (b"--b\r\n" + head + b"\r\n" + body + b"\r\n") * count + b"--b--\r\n"


def _noise(seed: int) -> bytes:
    """Pieces of mail in an order of their own."""
    chance = random.Random(seed)
    pieces = (
        b"--b\r\n", b"--b--\r\n", b"\r\n", b"Content-Type: multipart/mixed; boundary=b\r\n", b"=?utf-8?q?",
        b"Content-Type: message/rfc822\r\n", b"Content-Transfer-Encoding: base64\r\n", b'"', b"(", b" ;" * 40, b"=\r\n",
        b"Content-Disposition: attachment; filename=IHE_XDM.zip\r\n", b"<ClinicalDocument>", b"\xff\xfe",
        b"PK\x03\x04METADATA.XML", b"filename*0*=utf-8''%",
    )  # fmt: skip
    return _mail("multipart/mixed; boundary=b", b"".join(chance.choice(pieces) for _ in range(chance.randrange(4000))))


def _encoded_messages(depth: int) -> bytes:
    inner = _mail("application/zip", _archive())
    for _ in range(depth):
        inner = _mail("message/rfc822", base64.encodebytes(inner), "Content-Transfer-Encoding: base64")
    return inner


def _nested(depth: int) -> bytes:
    levels = (b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1) for n in range(depth))
    return _mail("multipart/mixed; boundary=b0", b"".join(levels))


_LADDER = (1, 10, 100, 1_000, 20_000)
_KNOBS: tuple[tuple[str, Callable[[int], bytes], tuple[int, ...]], ...] = (
    ("parts", lambda n: _mail("multipart/mixed; boundary=b", _parts(n)), (*_LADDER, 100_000)),
    ("empty parts", lambda n: _mail("multipart/mixed; boundary=b", b"--b\r\n" * n), (*_LADDER, 300_000)),
    ("levels", _nested, (1, 10, 19, 20, 21, 100, 1_000, 5_000)),
    ("messages in messages", lambda n: _mail("message/rfc822", b"Content-Type: message/rfc822\r\n\r\n" * n), _LADDER),
    ("encoded messages", _encoded_messages, (1, 2, 3, 4, 6, 8)),
    ("fields", lambda n: _mail("text/plain", b"x", *(f"X-{k}: y" for k in range(n))), _LADDER),
    ("addresses", lambda n: _mail("text/plain", b"x", "Cc: " + ",\r\n ".join(["a@b.example"] * n)), _LADDER),
    ("groups", lambda n: _mail("text/plain", b"x", "Cc: " + ",\r\n ".join(["a:;"] * n)), _LADDER),
    ("comments", lambda n: _mail("text/plain", b"x", "Cc: " + "(\r\n " * min(n, 9_000) + ")"), _LADDER),
    ("references", lambda n: _mail("text/plain", b"x", "References: " + "\r\n ".join(["<a@b>"] * n)), _LADDER),
    ("announced", lambda n: _mail("text/plain", b"x", "X-MSS-ANNONCE: " + "\r\n ".join(["<a@b>"] * n)), _LADDER),
    ("encoded words", lambda n: _mail("text/plain", b"x", "X: " + "\r\n ".join(["=?utf-8?b?w6k=?="] * n)), _LADDER),
    ("parameters", lambda n: _mail("text/plain" + "".join(f";\r\n a{k}=b" for k in range(n)), b"x"), _LADDER),
    ("continuations", lambda n: _mail("a/b" + "".join(f";\r\n n*{k}=b" for k in range(n)), b"x"), _LADDER),
    ("boundary of", lambda n: _mail(f'multipart/mixed; boundary="{"b" * min(n, 900)}"', b"--b\r\n" * 50), _LADDER),
    ("names of", lambda n: _mail("multipart/mixed; boundary=b", _parts(
        1, b"Content-Disposition: attachment; filename=" + b"\r\n ".join([b"../" * 200] * min(n, 100)) + b"\r\n")),
     _LADDER),
    ("base64 rubbish", lambda n: _mail("application/zip", b"=A=\r\n" * n, "Content-Transfer-Encoding: base64"),
     _LADDER),
    ("quoted rubbish", lambda n: _mail("text/plain", b"=" * 70 + b"\r\n" + b"=ZZ=\r\n" * n,
        "Content-Transfer-Encoding: quoted-printable"), _LADDER),
    ("tag soup", lambda n: _mail("text/html", b"<div><a href='http://attacker.example'>" * n), _LADDER),
    ("line of", lambda n: _mail("text/plain", b"x" * n + b"\r\n"), (*_LADDER, 60_000, 70_000, 5 * MIB)),
    ("archives", lambda n: _mail("multipart/mixed; boundary=b", _parts(
        min(n, 200), b"Content-Type: application/zip\r\n", _archive())), (1, 10, 100, 200)),
    ("archives cut", lambda n: _mail("multipart/mixed; boundary=b", _parts(
        n, b"Content-Type: application/zip; name=IHE_XDM.zip\r\n", b"PK\x03\x04")), (1, 10, 100, 400)),
    ("METADATA without end", lambda n: _mail("application/octet-stream", b"PK\x03\x04METADATA.XML" * n), _LADDER),
    ("ClinicalDocuments", lambda n: _mail("text/xml", b"<?xml version='1.0'?>" + b"<ClinicalDocument>" * n), _LADDER),
    ("NUL", lambda n: _mail("text/xml", b"<?xml " + b"\0" * n + b"<ClinicalDocument>"), _LADDER),
    ("charset", lambda n: _mail(f"text/plain; charset={'x' * min(n, 900)}", "é".encode("latin-1") * n), _LADDER),
    ("disguise", lambda n: _mail(("text/plain", "image/png", "text/html", "a/b")[n], _archive()), (0, 1, 2, 3)),
    ("subject of", lambda n: _mail("text/plain", b"x", "Subject: XDM/1.0/DDM+" + "\r\n ".join(["DUPONT Jean"] * n)),
     _LADDER),
)  # fmt: skip
