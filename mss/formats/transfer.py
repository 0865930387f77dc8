"""What octets does a Content-Transfer-Encoding hide (RFC 2045 §6)?

Lenient as readers must be: foreign characters, missing or early padding, stray "=" are passed over. Never raises.
"""

from __future__ import annotations

import binascii
import re

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(sorted(set(range(256)) - set(_BASE64 + b"=")))

BASE64_PIECES_MAX = 10_000
"""Separately padded pieces joined in one body (some senders pad each line); what follows more is dropped."""

_SPACE_AT_END = re.compile(rb"(?<![ \t])[ \t]++(?=\r\n|\Z)")
"""Added on the way, not by the sender, who would have encoded it (RFC 2045 §6.7 rule 3)."""


def decode_base64(text: bytes) -> bytes:
    """Octets of base64 `text` (RFC 2045 §6.8: all other characters are ignored)."""
    padding = text.find(b"=")
    if padding < 0 or not text[padding:].strip(b"=\r\n \t"):
        try:
            return binascii.a2b_base64(text)
        except binascii.Error:
            pass
    pieces = text.translate(None, _NOT_BASE64).split(b"=", BASE64_PIECES_MAX)[:BASE64_PIECES_MAX]
    return b"".join(_quads(piece) for piece in pieces if piece)


def _quads(piece: bytes) -> bytes:
    """One run of alphabet characters without its padding; a lone last character carries no octet."""
    excess = len(piece) % 4
    if excess == 1:
        piece = piece[:-1]
    return binascii.a2b_base64(piece + b"==" if excess > 1 else piece)


def decode_quoted_printable(text: bytes) -> bytes:
    """Octets of quoted-printable `text` (RFC 2045 §6.7); an "=" that starts no pair stays as it is."""
    if b" \r" in text or b"\t\r" in text or text.endswith((b" ", b"\t")):
        text = _SPACE_AT_END.sub(b"", text)
    return binascii.a2b_qp(text)


def decode_transfer(text: bytes, encoding: str) -> bytes:
    """Octets of a body under `encoding` in lower case; 7bit, 8bit, binary and unknown ones are taken as they are."""
    if encoding == "base64":
        return decode_base64(text)
    if encoding == "quoted-printable":
        return decode_quoted_printable(text)
    return text
