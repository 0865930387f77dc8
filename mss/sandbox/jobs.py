"""What can a worker do?

A table of jobs: name, and a function from parameters and byte strings to a result and byte strings. Each adapts one
function of `formats` (or of `html`, `images`) and packs its value with `wire`. Imported in the nursery and its
workers only; the house knows the names and asks through `client`.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable, Mapping
from datetime import datetime
from encodings.aliases import aliases
from typing import Any

from mss.formats import cda, cdafiles, cdarender, dicomstudy, filetypes, xdm
from mss.model.errors import Malformed
from mss.model.verdict import Reason
from mss.sandbox import html, images, wire
from mss.sandbox.worker import Blobs, Job, Params

Result = tuple[Mapping[str, Any], list[bytes]]

UTF8_BYTES_PER_CHAR_MAX = 4


def _of_bytes(function: Callable[[bytes], object]) -> Job:
    """A job from a function of one byte string."""

    def job(_params: Params, blobs: Blobs) -> Result:
        (data,) = blobs
        value, answered = wire.encode(function(data))
        return {"value": value}, answered

    return job


def _of_text(function: Callable[[str], str], chars_max: int) -> Job:
    """A job from a function of text to text; both cross as UTF-8 bytes, since a JSON header is small."""

    def job(_params: Params, blobs: Blobs) -> Result:
        (data,) = blobs
        if len(data) > chars_max * UTF8_BYTES_PER_CHAR_MAX:
            raise Malformed(Reason.TOO_LARGE, "text too long")
        return {"value": 0}, [function(data.decode("utf-8", "replace")).encode("utf-8", "replace")]

    return job


def _render(data: bytes) -> bytes:
    return html.clean_rendering(cdarender.render(data)).encode()


JOBS: Mapping[str, Job] = {
    "xdm.read": _of_bytes(xdm.read_package),
    "cda.header": _of_bytes(cda.read_header),
    "cda.files": _of_bytes(cdafiles.embedded_files),
    "cda.render": _of_bytes(_render),
    "dicom.file": _of_bytes(dicomstudy.read_file),
    "dicom.archive": _of_bytes(dicomstudy.read_archive),
    "dicom.pdfs": _of_bytes(dicomstudy.embedded_pdfs),
    "pdf.check": _of_bytes(filetypes.check_pdf),
    "image.check": _of_bytes(images.check_image),
    "html.sanitise": _of_text(html.clean_body, html.CHARS_MAX),
    "html.to_safe_text": _of_text(html.to_text, html.CHARS_MAX),
}
"""Name of a job → its function."""


def warm_up() -> None:
    """Load in the nursery what libraries load at first use: a worker can open no file any more."""
    datetime.strptime("2026", "%Y")  # noqa: DTZ007 — Python imports the code of strptime with its first use
    _load_codecs()
    for job, data in (
        ("cda.render", _SMALLEST_CDA),
        ("html.sanitise", b'<p>a<a href="https://a.example/">b</a>'),
        ("html.to_safe_text", b"<p>a"),
        ("dicom.file", _SMALLEST_DICOM),
    ):
        JOBS[job]({}, (data,))
    for job in ("pdf.check", "xdm.read"):
        try:
            JOBS[job]({}, (b"%PDF-1.4\n%%EOF",))
        except Malformed:
            pass


def _load_codecs() -> None:
    """Python loads a codec from a file when it is first named: ZIP names want cp437, old PDFs anything."""
    for codec in set(aliases.values()):
        try:
            codecs.lookup(codec)
        except LookupError:
            continue  # of another operating system


def _element(tag: int, vr: bytes, value: bytes) -> bytes:
    """Explicit VR, little endian, a short length (PS3.5 §7.1.2)."""
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


_META = _element(0x00020010, b"UI", b"1.2.840.10008.1.2.1\0")
_SMALLEST_DICOM = b"".join(
    (
        b"\0" * 128 + b"DICM",
        _element(0x00020000, b"UL", struct.pack("<I", len(_META))) + _META,
        _element(0x00080005, b"CS", b"ISO_IR 100"),
        *(_element(tag, b"UI", b"1.2.3\0") for tag in (0x00080016, 0x00080018)),
        _element(0x00100010, b"PN", b"A^B "),
        *(_element(tag, b"UI", b"1.2.3\0") for tag in (0x0020000D, 0x0020000E)),
    )
)
_SMALLEST_CDA = b"""<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2.3"/><effectiveTime value="20260105"/>
<recordTarget><patientRole><id root="1.2.3" extension="1"/></patientRole></recordTarget>
<component><structuredBody><component><section><title>T</title><text><paragraph>t</paragraph></text></section>
</component></structuredBody></component></ClinicalDocument>"""
