"""When is it told that a certificate ends?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mss.crypto.expiry import ENDED, days_left, threshold

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "due", "left"),
    [
        (31 * 24, None, 32),
        (30 * 24, None, 31),
        (30 * 24 - 1, 30, 30),
        (8 * 24, 30, 9),
        (7 * 24 - 1, 7, 7),
        (24, 7, 2),
        (23, 1, 1),
        (1, 1, 1),
        (0, ENDED, 0),
        (-48, ENDED, -2),
    ],
)
def test_a_warning_is_due_30_7_and_1_days_ahead_and_at_the_end(hours: int, due: int | None, left: int) -> None:
    """Counted as people count: the day on which it ends is one day."""
    end = NOW + timedelta(hours=hours)
    assert (threshold(end, NOW), days_left(end, NOW)) == (due, left)
