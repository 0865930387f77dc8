"""How honest mail programs carry one and the same archive: shapes met in the field, each by a function of its own."""

from __future__ import annotations

import base64
import io
import struct
import textwrap
import zipfile
from collections.abc import Callable

NAME = "IHE_XDM.zip"
SUBJECT = "XDM/1.0/DDM+Compte rendu"


def _mail(content: str) -> bytes:
    """Behind the usual header."""
    return content.replace("\n", "\r\n").encode("latin-1")


def base64_of(data: bytes, width: int = 76) -> str:
    return "\n".join(textwrap.wrap(base64.b64encode(data).decode(), width))


def mixed(part: str) -> str:
    """A word, and one part beside it."""
    return (
        'Content-Type: multipart/mixed; boundary="outer"\n\n--outer\nContent-Type: text/plain; charset=utf-8\n\n'
        f"Bonjour.\n--outer\n{part}\n--outer--\n"
    )


def file(data: str, kind: str = "application/zip", name: str = f'; name="{NAME}"', more: str = "") -> str:
    """One part in base64."""
    return f"Content-Type: {kind}{name}\nContent-Transfer-Encoding: base64\n{more}\n{data}"


def _related(data: bytes) -> str:
    """Outlook with a signature in HTML: everything lies in a related part, the archive too."""
    page = "Content-Type: text/html\n\n<p>Bonjour <img src=cid:logo></p>"
    logo = "Content-Type: image/png\nContent-ID: <logo>\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo="
    inner = f"--inner\n{page}\n--inner\n{logo}\n--inner\n{file(base64_of(data))}\n--inner--"
    return f'Content-Type: multipart/related; boundary="inner"; type="text/html"\n\n{inner}\n'


def _apple_double(data: bytes) -> str:
    """Apple Mail: the file's other half, which bears the same name, stands in front of it."""
    half = struct.pack(">II16xH", 0x00051607, 0x00020000, 1) + struct.pack(">III", 9, 38, 32) + bytes(32)
    inner = f"--inner\n{file(base64_of(half), 'application/applefile')}\n--inner\n{file(base64_of(data))}\n--inner--"
    return mixed(f'Content-Type: multipart/appledouble; boundary="inner"\n\n{inner}\n')


def winmail(data: bytes, name: str = NAME) -> bytes:
    """Exchange's own wrapping (MS-OXTNEF): a text, and one file."""

    def attribute(level: int, number: int, value: bytes) -> bytes:
        return struct.pack("<BII", level, number, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)

    short = name.encode("cp1252") + b"\0"
    return (
        struct.pack("<IH", 0x223E9F78, 1)
        + attribute(1, 0x00089006, struct.pack("<I", 0x00010000))
        + attribute(1, 0x00018004, b"Compte rendu\0")
        + attribute(2, 0x00069002, bytes(14))
        + attribute(2, 0x00018010, short)
        + attribute(2, 0x0006800F, data)
        + attribute(2, 0x00069005, b"\0" * 70_000)
    )


def _winmail(data: bytes) -> str:
    """Exchange to an address that it takes for one of its own kind."""
    return mixed(file(base64_of(winmail(data)), "application/ms-tnef", '; name="winmail.dat"'))


def _zip_in(data: bytes, method: int) -> str:
    """Somebody zipped the archive once more, to be safe."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as outer:
        outer.writestr(NAME, data)
    return mixed(file(base64_of(out.getvalue()), name='; name="documents.zip"'))


FORMS: dict[str, Callable[[bytes], str]] = {
    "alone": lambda data: file(base64_of(data)),
    "related": _related,
    "apple-double": _apple_double,
    "winmail": _winmail,
    "rfc2231": lambda data: mixed(
        file(
            base64_of(data),
            "application/octet-stream",
            "",
            "Content-Disposition: attachment;\n filename*0*=UTF-8''IHE%5F;\n filename*1*=XDM.zip\n",
        )
    ),
    "encoded-word": lambda data: mixed(
        file(base64_of(data), "application/octet-stream", '; name="=?utf-8?Q?IHE=5FXDM=2Ezip?="')
    ),
    "nameless": lambda data: mixed(file(base64_of(data), "application/octet-stream", "")),
    "called-text": lambda data: mixed(file(base64_of(data), "text/plain", '; name="IHE_XDM.zip"')),
    "inline": lambda data: mixed(file(base64_of(data), more=f'Content-Disposition: inline; filename="{NAME}"\n')),
    "short-lines": lambda data: mixed(file(base64_of(data, 7))),
    "long-lines": lambda data: mixed(file(base64_of(data, 996))),
    "blanks-in-base64": lambda data: mixed(file(base64_of(data).replace("\n", " \t\n\n", 3))),
    "no-padding": lambda data: mixed(file(base64_of(data).rstrip("="))),
    "padded-in-the-middle": lambda data: mixed(file(f"{base64_of(data[:100])}\n{base64_of(data[100:])}")),
    "words-behind-base64": lambda data: mixed(file(f"{base64_of(data)}\n\n-- \nScanned by gateway.\n")),
    "zip-in-zip": lambda data: _zip_in(data, zipfile.ZIP_DEFLATED),
    "zip-in-zip-stored": lambda data: _zip_in(data, zipfile.ZIP_STORED),
    "smime-unopened": lambda data: file("MIIB", "application/pkcs7-mime", "; smime-type=signed-data"),
    "pgp-unopened": lambda data: (
        'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="outer"\n\n--outer\n'
        "Content-Type: application/pgp-encrypted\n\nVersion: 1\n--outer\nContent-Type: application/octet-stream\n\n"
        "-----BEGIN PGP MESSAGE-----\n--outer--\n"
    ),
}
"""By name: what follows the header that `mail_of` writes."""


def mail_of(form: str, data: bytes, header: str) -> bytes:
    """A mail that carries `data` so. `header`: lines of From, To, Date …"""
    return _mail(f"{header}Subject: {SUBJECT}\nMIME-Version: 1.0\n{FORMS[form](data)}")
