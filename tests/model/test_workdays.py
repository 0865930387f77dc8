"""Does a weekend count? Hours of French working days, by a table and by a slow second opinion."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.model.workdays import PARIS, easter, is_working_day, working_hours_after, working_hours_before


@pytest.mark.parametrize(
    "sunday", ["2000-04-23", "2008-03-23", "2024-03-31", "2025-04-20", "2026-04-05", "2027-03-28", "2038-04-25"]
)
def test_easter_falls_where_the_calendar_has_it(sunday: str) -> None:
    """The earliest and the latest of our time among them."""
    day = date.fromisoformat(sunday)
    assert easter(day.year) == day


def test_the_holidays_of_a_year_are_eleven() -> None:
    """Each with its name in the law (L3133-1), and nothing else but weekends."""
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]
    free = [day for day in days if day.weekday() < 5 and not is_working_day(day)]
    named = ["01-01", "04-06", "05-01", "05-08", "05-14", "05-25", "07-14", "11-11", "12-25"]
    assert [f"{day:%m-%d}" for day in free] == named, "15 August and 1 November fall on a weekend"
    assert not is_working_day(date(2025, 8, 15))
    assert not is_working_day(date(2027, 11, 1))
    assert is_working_day(date(2026, 4, 3)), "Good Friday is a holiday in Alsace and Moselle alone"


@pytest.mark.parametrize(
    ("held", "hours", "told"),
    [
        ("2026-01-05 10:00", 24, "2026-01-06 10:00"),
        ("2026-01-05 10:00", 72, "2026-01-08 10:00"),
        ("2026-01-09 15:00", 24, "2026-01-12 15:00"),
        ("2026-01-09 15:00", 72, "2026-01-14 15:00"),
        ("2026-01-10 11:00", 24, "2026-01-13 00:00"),
        ("2026-01-11 23:59", 24, "2026-01-13 00:00"),
        ("2026-04-03 09:00", 24, "2026-04-07 09:00"),
        ("2026-03-27 09:00", 24, "2026-03-30 09:00"),
        ("2026-10-23 09:00", 24, "2026-10-26 09:00"),
        ("2026-12-24 18:00", 24, "2026-12-28 18:00"),
        ("2025-12-31 18:00", 72, "2026-01-06 18:00"),
        ("2026-05-13 12:00", 72, "2026-05-19 12:00"),
    ],
    ids=[
        *(
            "a weekday",
            "three weekdays",
            "over a weekend",
            "from Friday to Wednesday",
            "on Saturday",
            "on Sunday night",
        ),
        *("over Easter", "the clock goes forward", "the clock goes back", "over Christmas", "over New Year"),
        "over Ascension",
    ],
)
def test_only_working_days_count(held: str, hours: int, told: str) -> None:
    """By the clock on the wall in Paris."""
    start, end = (datetime.fromisoformat(text).replace(tzinfo=PARIS) for text in (held, told))
    assert working_hours_after(start, hours) == end
    assert working_hours_before(end, hours) <= end


MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)).map(
    lambda one: one.replace(tzinfo=UTC, microsecond=0)
)


@given(MOMENTS, st.integers(1, 100))
def test_hours_are_counted_one_by_one(start: datetime, hours: int) -> None:
    """Minute after minute of working days only would come to the same end."""
    end = working_hours_after(start, hours)
    passed, at = timedelta(), start
    while at < end:
        local = at.astimezone(PARIS)
        midnight = (local.replace(tzinfo=None, hour=0, minute=0, second=0) + timedelta(days=1)).replace(tzinfo=PARIS)
        step = min(end, midnight.astimezone(UTC)) - at
        passed += step if is_working_day(local.date()) else timedelta()
        at += step
    assert passed == timedelta(hours=hours)


@given(MOMENTS, MOMENTS, st.sampled_from([24, 72]))
def test_what_is_due_now_is_what_was_held_before_then(held: datetime, apart: datetime, hours: int) -> None:
    """Counting back finds the same as counting on, also around its edge."""
    now = held + (apart - datetime(2020, 1, 1, tzinfo=UTC)) % timedelta(days=20)
    is_due = working_hours_after(held, hours) <= now
    assert is_due == (held <= working_hours_before(now, hours))
