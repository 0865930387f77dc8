"""What bytes really are, and whether a PDF is one."""

from __future__ import annotations

import zipfile
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader, PdfWriter
from pypdf.annotations import Link

from mss.formats.filetypes import PdfFacts, check_pdf, sniff
from mss.formats.pdfwrite import write_pdf
from mss.model.errors import Malformed
from mss.model.verdict import Reason
from tests.kit.dirtyzip import pack
from tests.kit.documents import make_cda, make_jpeg, make_package, make_pdf, make_png

PDF = make_pdf()
PACKAGE = make_package(make_cda())


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (PDF, "application/pdf"),
        (b"\n\n" + PDF, "application/pdf"),
        (make_png(), "image/png"),
        (make_jpeg(), "image/jpeg"),
        (b"GIF89a\x01\x00", "image/gif"),
        (b"II*\x00\x08\x00", "image/tiff"),
        (b"MM\x00*\x00\x08", "image/tiff"),
        (PACKAGE, "application/zip"),
        (bytes(128) + b"DICM\x02\x00", "application/dicom"),
        (b"{\\rtf1 x}", "application/rtf"),
        (make_cda(), "text/xml"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><a/>", "text/xml"),
        (make_cda().decode().replace("UTF-8", "UTF-16").encode("utf-16"), "text/xml"),
        ("Résultats : tout va bien.\r\n".encode(), "text/plain"),
        (("é" * 70_000).encode(), "text/plain"),
        (b"<!DOCTYPE html><html>", "text/html"),
        (b"<!-- x --><script>alert(1)</script>", "text/html"),
        (b"MZ\x90\x00\x03", "application/octet-stream"),
        (b"\x7fELF\x02", "application/octet-stream"),
        (b"R\xe9sultats", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_bytes_tell_what_they_are(data: bytes, media_type: str) -> None:
    """The first bytes decide, never a name."""
    assert sniff(data) == media_type


def test_a_zip_that_begins_with_a_pdf_is_a_zip() -> None:
    """What stands first wins: a PDF stored inside an archive makes no PDF of it."""
    assert sniff(pack([("a.pdf", PDF)], method=zipfile.ZIP_STORED)) == "application/zip"


@given(st.binary(max_size=300))
def test_any_bytes_get_an_answer(data: bytes) -> None:
    """Never an error, always a media type."""
    assert "/" in sniff(data)


def test_a_plain_pdf_is_read_and_harmless() -> None:
    """Its pages are counted, and it runs nothing."""
    assert check_pdf(PDF) == PdfFacts(pages=1, is_active=False)


def test_our_own_pdf_says_its_lines() -> None:
    """Accents, brackets and long lines survive; many lines make many pages."""
    lines = ("Hémoglobine (g/dL) : 10,2 \\ à contrôler", "mot " * 60, *(f"ligne {number}" for number in range(100)))
    data = write_pdf(lines)
    reader = PdfReader(BytesIO(data))
    text = " ".join(" ".join(page.extract_text() for page in reader.pages).split())
    assert "Hémoglobine (g/dL) : 10,2 \\ à contrôler" in text
    assert text.count("mot") == 60
    assert "ligne 99" in text
    assert check_pdf(data).pages == 3
    assert write_pdf(lines) == data


def changed(change: str) -> bytes:
    """Our PDF with something in it."""
    writer = PdfWriter(clone_from=BytesIO(PDF))
    if change == "encrypted":
        writer.encrypt("secret", algorithm="RC4-128")
    elif change == "protected":  # opens without a password, but its text is ciphertext
        writer.encrypt("", "secret", algorithm="RC4-128")
    elif change == "link":
        writer.add_annotation(0, Link(rect=(0, 0, 9, 9), target_page_index=0))
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


def test_a_pdf_that_would_run_something_is_told() -> None:
    """JavaScript and opening actions are seen; an ordinary inner link is none."""
    names = b"/Names << /JavaScript << /Names [(a) << /S /JavaScript /JS (app.alert\\(1\\)) >>] >> >>"
    assert check_pdf(PDF.replace(b"/Type /Catalog", b"/Type /Catalog " + names)).is_active
    assert check_pdf(
        PDF.replace(b"/Type /Catalog", b"/Type /Catalog /OpenAction << /S /Launch /F (x.exe) >>")
    ).is_active
    assert check_pdf(PDF.replace(b"/Type /Catalog", b"/Type /Catalog /AA << >>")).is_active
    assert not check_pdf(PDF.replace(b"/Type /Catalog", b"/Type /Catalog /OpenAction [4 0 R /Fit]")).is_active
    assert not check_pdf(changed("link")).is_active


NO_PAGE = PDF.replace(b"/Count 1", b"/Count 0").replace(b"[4 0 R]", b"[]")


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"", "not a readable PDF"),
        (b"%PDF-1.4", "not a readable PDF"),
        (PDF[:100], "not a readable PDF"),
        (PDF[:-300], "not a readable PDF"),
        (make_png(), "not a readable PDF"),
        (changed("encrypted"), "encrypted"),
        (changed("protected"), "encrypted"),
        (NO_PAGE, "no page"),
    ],
)
def test_what_nobody_can_read_is_refused(data: bytes, detail: str) -> None:
    """Broken, encrypted or empty: the sender is told instead of the patient wondering."""
    with pytest.raises(Malformed, match=detail) as refused:
        check_pdf(data)
    assert refused.value.reason is Reason.UNREADABLE


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(PDF) - 1), st.binary(max_size=20), st.integers(0, 40))
def test_a_mutated_pdf_is_read_or_refused(place: int, inserted: bytes, cut: int) -> None:
    """pypdf has many errors; only ours comes out."""
    try:
        assert check_pdf(PDF[:place] + inserted + PDF[place + cut :]).pages > 0
    except Malformed as refused:
        assert refused.reason is Reason.UNREADABLE  # noqa: PT017 — either outcome is right
