"""How is a plain page of text made into a PDF?

The small PDF 1.4 of the demo and of tests: lines in Helvetica, as many pages as they need. It is no
PDF/A-1: a hospital's sender brings its own. The same lines always give the same bytes.
"""

from __future__ import annotations

LINES_PER_PAGE = 48
LINE_CHARS_MAX = 90  # what fits on an A4 line at 11 points
_HEAD = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"  # four bytes over 127 say "binary" to transports (ISO 32000-1 §7.5.2)


def write_pdf(lines: tuple[str, ...]) -> bytes:
    """A PDF with these lines; what Windows-1252 cannot say becomes a question mark."""
    wrapped = [part for line in lines for part in _wrap(line)] or [""]
    pages = [wrapped[start : start + LINES_PER_PAGE] for start in range(0, len(wrapped), LINES_PER_PAGE)]
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]  # 1 catalogue, 2 page tree, 3 font, then page and content
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>")
    kids = []
    for page in pages:
        number = len(objects) + 1
        kids.append(b"%d 0 R" % number)
        content = _content(page)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] "
            b"/Resources << /Font << /F1 3 0 R >> >> /Contents %d 0 R >>" % (number + 1)
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    return _file(objects)


def _file(objects: list[bytes]) -> bytes:
    """Objects, cross-reference table and trailer (ISO 32000-1 §7.5.4)."""
    out = bytearray(_HEAD)
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)


def _content(lines: list[str]) -> bytes:
    """Text-showing operators from the top left corner down."""
    shown = b"".join(b"(%s) Tj T*\n" % _string(line) for line in lines)
    return b"BT\n/F1 11 Tf\n15 TL\n56 780 Td\n" + shown + b"ET"


def _string(line: str) -> bytes:
    escaped = line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return "".join(char for char in escaped if char >= " ").encode("cp1252", "replace")


def _wrap(line: str) -> list[str]:
    words, parts = line.split(" "), [""]
    for word in words:
        if parts[-1] and len(parts[-1]) + 1 + len(word) > LINE_CHARS_MAX:
            parts.append(word)
        else:
            parts[-1] = f"{parts[-1]} {word}" if parts[-1] else word
    return parts
