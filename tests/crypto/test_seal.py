"""Sealing: only the right key, in the right place, whole and in order."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.crypto import seal
from mss.crypto.seal import FRAME_BYTES, TAG_BYTES
from mss.model.clock import SeededChance
from mss.model.errors import SealBroken

CHANCE = SeededChance(1)
PAIR, OTHER = seal.new_pair(CHANCE), seal.new_pair(CHANCE)
KEY = bytes(range(32))
WHERE = seal.place(5, b"body", 9)


@given(st.binary(max_size=100))
def test_what_is_sealed_opens_with_the_private_half_only(secret: bytes) -> None:
    """Not with another pair, not for another purpose."""
    sealed = seal.seal_to(PAIR.public, secret, b"here", CHANCE)
    assert seal.open_sealed(PAIR, sealed, b"here") == secret
    for pair, context in ((OTHER, b"here"), (PAIR, b"there")):
        with pytest.raises(SealBroken):
            seal.open_sealed(pair, sealed, context)


@given(st.binary(min_size=0, max_size=80), st.integers(0, 200))
def test_garbage_does_not_open_and_does_not_crash(garbage: bytes, cut: int) -> None:
    """Our own error only."""
    sealed = seal.seal_to(PAIR.public, b"secret", b"here", CHANCE)
    for bad in (garbage, sealed[:cut], sealed + garbage + b"x"):
        if bad != sealed:
            with pytest.raises(SealBroken):
                seal.open_sealed(PAIR, bad, b"here")


@pytest.mark.parametrize("size", [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 3 * FRAME_BYTES, 200_001])
def test_an_object_comes_back_whole(size: int) -> None:
    """At and around every frame border, empty ones too."""
    plain = bytes(n * 7 % 256 for n in range(size))
    ciphertext = seal.encrypt_object(KEY, WHERE, plain)
    assert seal.decrypt_object(KEY, WHERE, ciphertext) == plain
    assert len(ciphertext) == size + max(1, -(-size // FRAME_BYTES)) * TAG_BYTES


@given(st.lists(st.integers(0, 2 * FRAME_BYTES), max_size=6))
def test_pieces_become_the_ciphertext_of_the_whole(sizes: list[int]) -> None:
    """However they are cut, and its size is known before."""
    plain = bytes(n % 251 for n in range(sum(sizes)))
    cuts = [sum(sizes[:n]) for n in range(len(sizes) + 1)]
    pieces = [plain[start:stop] for start, stop in pairwise(cuts)]
    ciphertext = b"".join(seal.encrypt_pieces(KEY, WHERE, pieces))
    assert ciphertext == seal.encrypt_object(KEY, WHERE, plain)
    assert len(ciphertext) == seal.object_size(len(plain))


def test_frames_cannot_be_cut_off_swapped_or_moved() -> None:
    """Truncation at a frame border, exchanged frames, another owner, another kind, another number."""
    ciphertext = seal.encrypt_object(KEY, WHERE, bytes(3 * FRAME_BYTES))
    step = FRAME_BYTES + TAG_BYTES
    frames = [ciphertext[n : n + step] for n in range(0, len(ciphertext), step)]
    wrong = [frames[0] + frames[1], frames[1] + frames[0] + frames[2], frames[0] * 3]
    for bad in wrong:
        with pytest.raises(SealBroken):
            seal.decrypt_object(KEY, WHERE, bad)
    for where in (seal.place(6, b"body", 9), seal.place(5, b"summary", 9), seal.place(5, b"body", 8)):
        with pytest.raises(SealBroken):
            seal.decrypt_object(KEY, where, ciphertext)


@given(st.integers(0, 4 * FRAME_BYTES), st.integers(1, 2 * FRAME_BYTES))
def test_a_part_opens_without_the_rest(start: int, length: int) -> None:
    """The frames that hold a range are enough for it."""
    plain = bytes(n % 251 for n in range(4 * FRAME_BYTES + 99))
    ciphertext = seal.encrypt_object(KEY, WHERE, plain)
    offset, size = seal.frame_range(start, length)
    first, last = offset // (FRAME_BYTES + TAG_BYTES), seal.frame_count(len(ciphertext)) - 1
    opened = seal.decrypt_frames(KEY, WHERE, ciphertext[offset : offset + size], first, last)
    begin = start - first * FRAME_BYTES
    assert opened[begin : begin + length] == plain[start : start + length]
