"""Does a message say this? Its texts decoded, by the table of parts that was made at delivery. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from mss.formats import charsets
from mss.formats.headers import decode_words
from mss.formats.summary import PartEntry
from mss.formats.transfer import decode_transfer

TEXT_BYTES_MAX = 1024 * 1024
"""Of one part, as sent: nobody wrote more by hand, and a search must end."""


def says(raw: bytes, parts: tuple[PartEntry, ...], wanted: str, *, header_too: bool) -> bool:
    """Whether a text part (or the header) contains `wanted`, which is casefolded already."""
    if header_too and parts and wanted in decode_words(raw[: parts[0].body_start]).casefold():
        return True
    return any(wanted in text.casefold() for text in _texts(raw, parts))


def _texts(raw: bytes, parts: tuple[PartEntry, ...]) -> Iterator[str]:
    for part in parts:
        if part.content_type.startswith("text/"):
            end = min(part.body_end, part.body_start + TEXT_BYTES_MAX)
            octets = decode_transfer(raw[part.body_start : end], part.encoding)
            yield charsets.decode(octets, part.charset, cut=end < part.body_end)
