"""How does a message with binary parts become one that every server carries? (RFC 3516 §4.4: APPEND of literal8)

Parts sent as `binary` are encoded in base64 and say so; everything else keeps its octets. A NUL or bare line end
anywhere else stays where it is, and the scan of the message refuses it. Pure.
"""

from __future__ import annotations

import base64
import re

from mss.formats.mime import LIMITS, Limits, scan
from mss.formats.parts import Part

_STRANGE = re.compile(rb"\0|\r(?!\n)|(?<!\r)\n")
_ENCODING = re.compile(rb"^(content-transfer-encoding:)[ \t]*binary\b", re.IGNORECASE | re.MULTILINE)
_LIMITS = Limits(line_octets=LIMITS.octets)
"""Binary octets have no lines."""


def without_binary(raw: bytes) -> bytes:
    """The message in lines. Raises Malformed when its structure breaks a limit."""
    stand_in = _STRANGE.sub(b"?", raw)  # as long, so that places are the same
    pieces, at = [], 0
    for part in scan(stand_in, _LIMITS).leaves():
        if part.encoding == "binary":
            pieces += [raw[at : part.header_start], *_encoded(raw, part)]
            at = part.body_end
    return b"".join([*pieces, raw[at:]])


def _encoded(raw: bytes, part: Part) -> tuple[bytes, bytes]:
    header = _ENCODING.sub(rb"\1 base64", raw[part.header_start : part.body_start])
    body = base64.encodebytes(raw[part.body_start : part.body_end]).replace(b"\n", b"\r\n")
    return header, body if part.body_end == len(raw) else body.removesuffix(b"\r\n")  # a boundary brings its own
