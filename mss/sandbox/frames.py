"""How do a question and an answer cross the wall of the sandbox?

A frame is a fixed prelude, a JSON header and byte strings; nothing in it can name code (never pickle or marshal:
a worker that fell to an attacker must not own the house). Both sides bound what they take. No socket is touched
here: `Assembly` says where the next bytes go, whoever owns the socket puts them there.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from mss.sandbox.limits import Limits

PRELUDE = struct.Struct("!4sII")  # magic, length of the header, length of all byte strings together
MAGIC = b"MSX1"
SMALL_BYTES = 256 * 1024  # up to here one joined write beats several
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class BadFrame(ValueError):
    """Bytes that are no frame, or one beyond its limits."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What was said, and the byte strings that came with it."""

    said: Mapping[str, Any]
    blobs: tuple[bytes, ...]


def pack(said: Mapping[str, Any], blobs: Sequence[bytes], limits: Limits, body_bytes_max: int) -> Iterator[bytes]:
    """The pieces to write for one frame. Raises BadFrame when it would be too large for the other side."""
    sizes = [len(blob) for blob in blobs]
    header = _ENCODER.encode({"said": said, "sizes": sizes}).encode()
    body_bytes = sum(sizes)
    _judge_sizes(len(header), body_bytes, limits, body_bytes_max)
    if len(sizes) > limits.blobs_max:
        raise BadFrame("too many byte strings")
    start = PRELUDE.pack(MAGIC, len(header), body_bytes) + header
    if body_bytes <= SMALL_BYTES:
        return iter((b"".join((start, *blobs)),))
    return iter((start, *blobs))


class Assembly:
    """One frame being received."""

    def __init__(self, limits: Limits, body_bytes_max: int) -> None:
        self._limits = limits
        self._body_bytes_max = body_bytes_max
        self._header_bytes = -1
        self._buffer = bytearray(PRELUDE.size)
        self._filled = 0

    def room(self) -> memoryview:
        """Where the next bytes go: never beyond this frame."""
        return memoryview(self._buffer)[self._filled :]

    def received(self, count: int) -> Frame | None:
        """So many bytes were put into `room`: the frame when it is whole. Raises BadFrame."""
        self._filled += count
        if self._filled < len(self._buffer):
            return None
        if self._header_bytes < 0:
            self._begin_body()
            return None
        return self._frame()

    def _begin_body(self) -> None:
        magic, header_bytes, body_bytes = PRELUDE.unpack(self._buffer)
        if magic != MAGIC or not header_bytes:
            raise BadFrame("not a frame")
        _judge_sizes(header_bytes, body_bytes, self._limits, self._body_bytes_max)
        self._header_bytes = header_bytes
        self._buffer = bytearray(header_bytes + body_bytes)
        self._filled = 0

    def _frame(self) -> Frame:
        view = memoryview(self._buffer)
        try:
            header = json.loads(str(view[: self._header_bytes], "utf-8"))
        except (ValueError, RecursionError):
            raise BadFrame("header is not JSON") from None
        if not isinstance(header, dict) or header.keys() != {"said", "sizes"} or not isinstance(header["said"], dict):
            raise BadFrame("header has another shape")
        sizes = header["sizes"]
        if not isinstance(sizes, list) or len(sizes) > self._limits.blobs_max:
            raise BadFrame("sizes are no list")
        if not all(type(size) is int and size >= 0 for size in sizes):
            raise BadFrame("sizes are no sizes")
        if sum(sizes) != len(view) - self._header_bytes:
            raise BadFrame("sizes do not add up")
        edges = accumulate(sizes, initial=self._header_bytes)
        return Frame(header["said"], tuple(bytes(view[start:end]) for start, end in pairwise(edges)))


def _judge_sizes(header_bytes: int, body_bytes: int, limits: Limits, body_bytes_max: int) -> None:
    if header_bytes > limits.header_bytes_max or body_bytes > body_bytes_max:
        raise BadFrame("frame too large")
