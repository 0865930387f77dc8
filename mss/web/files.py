"""How does a file of a stranger reach a browser without becoming a page of ours? By content, never by its name."""

from __future__ import annotations

from aiohttp import web

from mss.formats.filetypes import UNKNOWN, sniff
from mss.web import texts

SHOWN_TYPES = frozenset({"application/pdf", "image/jpeg", "image/png", "image/gif", "text/plain"})
"""What a browser may show: nothing in them runs in our origin. All else is only offered for download."""
PICTURE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif"})
_NEVER_NAMED = frozenset({"text/html", "text/xml"})  # a browser that ignored the download would show them

# A viewer that a browser builds around a PDF needs its own styles, so no sandbox there; PDFs have no origin's rights.
_PDF_POLICY = "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'; frame-ancestors 'self'"
_FILE_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"


def respond(data: bytes, name: str, *, download: bool) -> web.Response:
    """The file, shown when its content is of a safe type and that is wanted, else as a download."""
    media_type = sniff(data)
    shown = media_type in SHOWN_TYPES and not download
    headers = {
        "Content-Disposition": texts.disposition(
            "inline" if shown else "attachment", texts.file_name(name, media_type)
        ),
        "Content-Security-Policy": _PDF_POLICY if media_type == "application/pdf" else _FILE_POLICY,
    }
    sent = UNKNOWN if media_type in _NEVER_NAMED else media_type
    return web.Response(
        body=data, headers=headers, content_type=sent, charset="utf-8" if sent == "text/plain" else None
    )
