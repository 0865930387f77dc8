"""Numbers for rows: unique without asking anybody, rising with time so that new rows lie together."""

from __future__ import annotations

from datetime import datetime

from mss.model.clock import Chance, Clock, from_ms, to_ms
from mss.model.ids import OwnerId

_EPOCH_MS = 1_735_689_600_000  # 2025-01-01: 41 bits last until 2094
_MS_MAX = (1 << 41) - 1
"""What a clock that lies beyond is taken for: its rows lie together there and are told apart by chance alone."""
_RANDOM_BITS = 22
"""Two rows of one owner in one millisecond collide once in four million; the primary key then refuses one."""


def new_id(clock: Clock, chance: Chance) -> int:
    """A row number: 41 bits of milliseconds, 22 bits of chance."""
    random = int.from_bytes(chance.token(3)) >> (24 - _RANDOM_BITS)  # three octets cost a third of `below`
    return min(to_ms(clock.now()) - _EPOCH_MS, _MS_MAX) << _RANDOM_BITS | random


def made_at(number: int) -> datetime:
    """When a row was numbered, to the millisecond."""
    return from_ms((number >> _RANDOM_BITS) + _EPOCH_MS)


def new_owner(chance: Chance) -> OwnerId:
    """An owner's number: 62 random bits, never 0; says nothing about the person or the time."""
    return OwnerId(chance.below((1 << 62) - 1) + 1)


def lane_of_hash(hashed: bytes, lanes: int) -> int:
    """The lane of a row that is found by a keyed hash."""
    return int.from_bytes(hashed[:4]) % lanes
