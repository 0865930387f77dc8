"""Which moments does a FHIR date mean, and is another moment among them? `_lastUpdated=ge2026-11-28`.

Pure. A date is as long as it is written: a year, a month, a day, a minute, a second (FHIR R4 §3.1.1.4.6). Without a
zone it is of Greenwich, as the national directory reads it. What is compared is an instant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mss.fhir.outcome import wrong

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")
"""All but `ap`: nobody can say what "about" is of a moment at which a file was made."""
_WRITTEN = re.compile(
    r"(?P<prefix>[a-z]{2})?(?P<year>\d{4})(-(?P<month>\d\d)(-(?P<day>\d\d)"
    r"(T(?P<hour>\d\d):(?P<minute>\d\d)(:(?P<second>\d\d)(\.(?P<part>\d{1,6})\d*)?)?(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?\Z",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Span:
    """A date with its prefix: from `first` up to, and without, `after`."""

    prefix: str
    first: datetime
    after: datetime

    def holds(self, moment: datetime) -> bool:
        """Whether what was last changed then is meant."""
        match self.prefix:
            case "eq":
                return self.first <= moment < self.after
            case "ne":
                return not self.first <= moment < self.after
            case "gt" | "sa":
                return moment >= self.after
            case "ge":
                return moment >= self.first
            case "lt" | "eb":
                return moment < self.first
            case _:
                return moment < self.after


def span_of(name: str, text: str) -> Span:
    """What `text` means. `name`: of the parameter, for the refusal. Raises Refused."""
    found = _WRITTEN.match(text)
    prefix = "" if found is None else found["prefix"] or "eq"
    if found is None or prefix not in PREFIXES:
        raise wrong(f"{name}: a moment as ge2026-11-28 or lt2026-11-28T08:30:00Z, behind one of {', '.join(PREFIXES)}")
    zone = found["zone"] or "Z"
    try:
        first = datetime.fromisoformat(
            f"{found['year']}-{found['month'] or '01'}-{found['day'] or '01'}T{found['hour'] or '00'}:"
            f"{found['minute'] or '00'}:{found['second'] or '00'}.{(found['part'] or '').ljust(6, '0')}"
            f"{'+00:00' if zone == 'Z' else zone}"
        ).astimezone(UTC)
        return Span(prefix, first, _after(first, found))
    except (ValueError, OverflowError):
        raise wrong(f"{name}: there is no such moment") from None


def _after(first: datetime, found: re.Match[str]) -> datetime:
    if found["month"] is None:
        return first.replace(year=first.year + 1)
    if found["day"] is None:
        return (first + timedelta(days=31)).replace(day=1)
    if found["hour"] is None:
        return first + timedelta(days=1)
    if found["second"] is None:
        return first + timedelta(minutes=1)
    return first + (timedelta(seconds=1) if found["part"] is None else timedelta(microseconds=1))
