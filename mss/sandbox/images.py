"""Is this a picture, and how large would it be on a screen?

Reads the header of a JPEG (ITU T.81 §B.2) or PNG (W3C PNG §11.2.1), a few lines of our own; never decodes a pixel.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from mss.model.errors import Malformed
from mss.model.verdict import Reason

PIXELS_MAX = 100_000_000  # phones take 50 to 108 million at most; a bomb says billions
SEGMENTS_MAX = 1000  # before the frame header of a JPEG; cameras write some twenty

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOFn without DHT, JPG, DAC
_SCAN_OR_END = frozenset({0xDA, 0xD9})


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the header says."""

    media_type: str
    width: int
    height: int


def check_image(data: bytes) -> ImageFacts:
    """Read the header. Raises Malformed(UNREADABLE), or TOO_LARGE for a picture that no screen should unfold."""
    if data.startswith(_PNG):
        facts = ImageFacts("image/png", *_png_size(data))
    elif data.startswith(_JPEG):
        facts = ImageFacts("image/jpeg", *_jpeg_size(data))
    else:
        raise Malformed(Reason.UNREADABLE, "neither JPEG nor PNG")
    if not facts.width or not facts.height:
        raise Malformed(Reason.UNREADABLE, "a picture without a pixel")
    if facts.width * facts.height > PIXELS_MAX:
        raise Malformed(Reason.TOO_LARGE, "too many pixels")
    return facts


def _png_size(data: bytes) -> tuple[int, int]:
    if len(data) < 33 or data[8:16] != b"\x00\x00\x00\rIHDR":
        raise Malformed(Reason.UNREADABLE, "PNG without a header")
    width, height = struct.unpack_from("!II", data, 16)
    return width, height


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Walk from marker to marker until the frame header."""
    place = len(_JPEG)
    for _ in range(SEGMENTS_MAX):
        while data[place : place + 2] == b"\xff\xff":  # fill bytes, T.81 §B.1.1.2
            place += 1
        segment = data[place : place + 9]
        if len(segment) < 9 or segment[0] != 0xFF or segment[1] in _SCAN_OR_END:
            break
        if segment[1] in _FRAME_HEADERS:
            height, width = struct.unpack_from("!HH", segment, 5)
            return width, height
        place += 2 + max(2, int.from_bytes(segment[2:4], "big"))
    raise Malformed(Reason.UNREADABLE, "JPEG without a frame header")
