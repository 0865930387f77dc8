"""Does an address still answer? A table of what we may have met of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mss.directory.liveness import SILENT, Doubt, doubt_of

NOW = datetime(2026, 11, 28, 15, tzinfo=UTC)
TODAY = NOW.replace(hour=0)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("bounces", "bounced_at", "wrote_on", "doubt"),
    [
        (0, None, None, None),
        (1, NOW - DAY, None, Doubt.CAME_BACK),
        (3, NOW - DAY, TODAY - 2 * DAY, Doubt.CAME_BACK),
        (1, NOW, TODAY, Doubt.CAME_BACK),
        (1, NOW - DAY, TODAY, None),
        (0, NOW - DAY, None, None),
        (0, None, TODAY, None),
        (0, None, NOW - SILENT, None),
        (0, None, NOW - SILENT - DAY, Doubt.SILENT),
        (0, NOW, NOW - SILENT - DAY, Doubt.SILENT),
    ],
)
def test_an_address_is_doubted_for_what_it_did(
    bounces: int, bounced_at: datetime | None, wrote_on: datetime | None, doubt: Doubt | None
) -> None:
    """A bounce until something is taken or it writes on a later day; a year of silence of who used to write; who never
    wrote may be a software that only takes."""
    assert doubt_of(bounces, bounced_at, wrote_on, NOW) is doubt
