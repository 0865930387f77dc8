"""When do so many hours of French working days end?

Who has something to decide is at work from Monday to Friday, but for public holidays (Code du travail L3133-1; those of
Alsace and Moselle alone are not among them). A working day counts from midnight to midnight in Paris, others not at
all: what is held on Friday at three o'clock has waited for 24 such hours on Monday at three. Pure.

The clock is changed on Sundays only, so a working day always has 24 hours.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
DAY = timedelta(days=1)
FRIDAY = 4
FIXED = frozenset({(1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25)})
"""Month and day of the holidays that have a date."""
AFTER_EASTER = frozenset({1, 39, 50})
"""Days from Easter Sunday to Easter Monday, Ascension and Whit Monday."""


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous algorithm, as Meeus gives it)."""
    golden, (century, in_century) = year % 19, divmod(year, 100)
    skipped, rest = divmod(century, 4)
    moon = (19 * golden + century - skipped - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    leaps, left = divmod(in_century, 4)
    weekday = (32 + 2 * rest + 2 * leaps - moon - left) % 7
    late = (golden + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def is_working_day(day: date) -> bool:
    """Neither Saturday nor Sunday nor a public holiday."""
    if day.weekday() > FRIDAY or (day.month, day.day) in FIXED:
        return False
    return (day - easter(day.year)).days not in AFTER_EASTER


def working_hours_after(start: datetime, hours: int) -> datetime:
    """The moment (UTC) at which so many hours of working days have passed since `start` (aware)."""
    local = start.astimezone(PARIS).replace(tzinfo=None)
    left = timedelta(hours=hours)
    while True:
        midnight = datetime.combine(local.date() + DAY, time())
        if is_working_day(local.date()):
            if left <= midnight - local:
                return _in_utc(local + left)
            left -= midnight - local
        local = midnight


def working_hours_before(end: datetime, hours: int) -> datetime:
    """The last moment (UTC) from which so many hours of working days have passed at `end`: what has waited since then
    or longer is due."""
    local = end.astimezone(PARIS).replace(tzinfo=None)
    left = timedelta(hours=hours)
    while True:
        day = (local - timedelta.resolution).date()  # midnight ends a day
        midnight = datetime.combine(day, time())
        if is_working_day(day):
            if left <= local - midnight:
                return _in_utc(local - left)
            left -= local - midnight
        local = midnight


def _in_utc(local: datetime) -> datetime:
    return local.replace(tzinfo=PARIS).astimezone(UTC)
