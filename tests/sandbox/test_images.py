"""Headers of pictures."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.model.errors import Malformed
from mss.model.verdict import Reason
from mss.sandbox.images import ImageFacts, check_image


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack("!I4sIIBBBBBI", 13, b"IHDR", width, height, 8, 2, 0, 0, 0, 0)


def jpeg(width: int, height: int, frame: int = 0xC0, before: bytes = b"") -> bytes:
    return b"\xff\xd8" + before + struct.pack("!BBHBHHB", 0xFF, frame, 17, 8, height, width, 3) + bytes(9) + b"\xff\xd9"


EXIF = b"\xff\xe1" + struct.pack("!H", 402) + b"\xff\xc0" * 200  # a thumbnail's frame header inside a segment
TABLES = b"\xff\xc4\x00\x04ab" + b"\xff\xff\xff\xdb\x00\x03c"


@pytest.mark.parametrize(
    ("data", "facts"),
    [
        (png(640, 480), ImageFacts("image/png", 640, 480)),
        (jpeg(640, 480), ImageFacts("image/jpeg", 640, 480)),
        (jpeg(4000, 3000, 0xC2, EXIF + TABLES), ImageFacts("image/jpeg", 4000, 3000)),
    ],
)
def test_width_and_height_are_read(data: bytes, facts: ImageFacts) -> None:
    """Past application segments, tables and fill bytes; baseline and progressive."""
    assert check_image(data) == facts


@pytest.mark.parametrize(
    "data",
    [b"", b"GIF89a", b"\xff\xd8", b"\xff\xd8\xff\xd9", jpeg(640, 480)[:10], png(640, 480)[:20], png(0, 5), jpeg(5, 0)],
)
def test_what_is_no_picture_is_unreadable(data: bytes) -> None:
    """Also a header that ends too soon or has no pixel."""
    with pytest.raises(Malformed) as refused:
        check_image(data)
    assert refused.value.reason is Reason.UNREADABLE


def test_a_picture_bomb_is_too_large() -> None:
    """A few bytes that would unfold to gigabytes on the reader's machine."""
    with pytest.raises(Malformed) as refused:
        check_image(png(60_000, 60_000))
    assert refused.value.reason is Reason.TOO_LARGE


@given(st.binary(max_size=400), st.sampled_from([b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b""]))
def test_garbage_is_refused_by_our_error_only(data: bytes, start: bytes) -> None:
    """Whatever follows the first bytes."""
    try:
        check_image(start + data)
    except Malformed:
        pass
