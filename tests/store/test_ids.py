"""Numbers of rows, whatever the clock of the machine says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mss.model.clock import ManualClock, SeededChance
from mss.store.ids import made_at, new_id

ROW_BITS = 63
"""What SQLite and PostgreSQL take for a number."""


@pytest.mark.parametrize("year", [1970, 2025, 2026, 2094, 2095, 2500, 9999])
def test_a_number_fits_into_a_row_whatever_the_clock_says(year: int) -> None:
    """A clock that lies takes no mail from anybody, and two rows of its moment are two."""
    clock, chance = ManualClock(datetime(year, 6, 1, tzinfo=UTC)), SeededChance(1)
    one, other = new_id(clock, chance), new_id(clock, chance)
    assert one != other
    assert -(1 << ROW_BITS) <= one < 1 << ROW_BITS
    if year < 2094:
        assert made_at(one) == clock.now()
