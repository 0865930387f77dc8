"""Frames: whole in any slices, bounded on both sides."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.sandbox.frames import MAGIC, PRELUDE, Assembly, BadFrame, Frame, pack
from mss.sandbox.limits import Limits

LIMITS = Limits(header_bytes_max=2000, blobs_max=10)


def received(data: bytes, slices: list[int], body_bytes_max: int = 10_000) -> Frame | None:
    """Give the bytes to an assembly in slices of these sizes."""
    assembly = Assembly(LIMITS, body_bytes_max)
    sizes = iter(slices)
    while data:
        room = assembly.room()
        count = min(len(room), next(sizes, 10**9), len(data))
        room[:count] = data[:count]
        data = data[count:]
        if (frame := assembly.received(count)) is not None:
            assert not data, "an assembly never asks for more than its frame"
            return frame
    return None


@given(
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=10), st.integers(), max_size=5),
    st.lists(st.binary(max_size=300), max_size=5),
    st.lists(st.integers(1, 50), max_size=200),
)
def test_a_frame_survives_any_slicing(said: dict[str, int], blobs: list[bytes], slices: list[int]) -> None:
    """One byte at a time equals one chunk."""
    data = b"".join(pack(said, blobs, LIMITS, 10_000))
    assert received(data, slices) == received(data, [1] * len(data)) == Frame(said, tuple(blobs))


@given(st.binary(max_size=200))
def test_garbage_is_a_bad_frame_or_an_unfinished_one(data: bytes) -> None:
    """No other error, whatever the bytes."""
    for bytes_sent in (data, PRELUDE.pack(MAGIC, len(data), 0) + data):
        try:
            assert received(bytes_sent, []) is None
        except BadFrame:
            pass


@pytest.mark.parametrize(("header_bytes", "body_bytes"), [(2001, 0), (10, 10_001), (2**32 - 1, 2**32 - 1)])
def test_a_large_promise_takes_no_memory(header_bytes: int, body_bytes: int) -> None:
    """Refused at the prelude, before room is made."""
    with pytest.raises(BadFrame):
        received(PRELUDE.pack(MAGIC, header_bytes, body_bytes), [])


def test_too_many_byte_strings_are_refused_on_both_sides() -> None:
    """Ten are allowed here."""
    with pytest.raises(BadFrame):
        pack({}, [b""] * 11, LIMITS, 100)
    header = json.dumps({"said": {}, "sizes": [0] * 11}).encode()
    with pytest.raises(BadFrame):
        received(PRELUDE.pack(MAGIC, len(header), 0) + header, [])
