"""A client in a loop is slowed down, and still answered."""

from __future__ import annotations

from mss.imap.pace import Pace


def test_a_burst_is_free_and_haste_is_not() -> None:
    """Ten at once, then two a second; who rests has the burst again."""
    pace = Pace(2, 10)
    assert [pace.wait_s(100) for _ in range(12)] == [0] * 10 + [0.5, 1.0]
    assert pace.wait_s(101.5) == 0
    assert pace.wait_s(101.5) == 0.5
    assert [pace.wait_s(200) for _ in range(10)] == [0] * 10
