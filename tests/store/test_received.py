"""Deduplication: the very same mail sent again stands once; another one, or much later, is another."""

from __future__ import annotations

from mss.model.clock import to_ms
from mss.model.ids import OwnerId, lane_of
from mss.store import received
from tests.kit.people import Cellar


async def remember(house: Cellar, owner: OwnerId, digest: bytes, number: int) -> int:
    now_ms = to_ms(house.clock.now())
    return await house.store.write(lane_of(owner), lambda c: received.remember(c, owner, digest, number, now_ms))


async def test_a_repeat_finds_the_first(house: Cellar, owner: OwnerId) -> None:
    """The number of the first stands for five days."""
    digest = received.digest("CN=labo", "a@labo.example", "b@ville.example", b"bytes")
    assert await remember(house, owner, digest, 1) == 1
    house.clock.forward(4 * 86_400)
    assert await remember(house, owner, digest, 2) == 1
    house.clock.forward(2 * 86_400)
    assert await remember(house, owner, digest, 3) == 3


def test_every_part_counts() -> None:
    """Another peer, sender, recipient or byte is another mail; no shifting of bytes between fields helps."""
    digests = {
        received.digest(*parts)
        for parts in (
            ("p", "s", "r", b"x"),
            ("q", "s", "r", b"x"),
            ("p", "t", "r", b"x"),
            ("p", "s", "u", b"x"),
            ("p", "s", "r", b"y"),
            ("ps", "", "r", b"x"),
            ("p", "sr", "", b"x"),
        )
    }
    assert len(digests) == 7
