"""When is the national directory asked whether it still says what we say? Once a night, while nobody waits for it.

The moment of the last look stands in a file, so that a restart begins no second one; what it found, beside it.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from mss.directory.ours import OwnMailboxes
from mss.fhir.duty import Looked, Publication
from mss.model.clock import Clock
from mss.model.errors import MssError

LOOK_EVERY_S = 600.0
PARIS = ZoneInfo("Europe/Paris")
NIGHT_HOURS = range(1, 5)
LEAST, MOST = timedelta(hours=18), timedelta(hours=30)
"""A night that was missed is made up for by day."""
FILE = "published.json"

log = structlog.get_logger("directory")


def is_due(now: datetime, last: datetime | None) -> bool:
    """Whether it is time for the look."""
    if last is None or now - last > MOST or last > now:
        return True
    return now - last > LEAST and now.astimezone(PARIS).hour in NIGHT_HOURS


class Nightly:
    """Lives in works. `publication` None: the settings name no directory, and only our own house is tidied."""

    def __init__(
        self, folder: Path, ours: OwnMailboxes, publication: Publication | None, share_max: float, clock: Clock
    ) -> None:
        self._file = folder / FILE
        self._ours = ours
        self._publication = publication
        self._share_max = share_max
        self._clock = clock

    async def keep_watch(self) -> None:
        """Look until cancelled; what cannot be done now is done at the next look."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            with suppress(OSError):
                if is_due(self._clock.now(), last_look(self._file.parent)[0]):
                    await self.look()

    async def look(self) -> Looked | None:
        """Once: derive again, tidy, owe what is late, compare. Raises OSError when what was found cannot be kept."""
        looked = None
        try:
            await self._ours.refresh()
            await self._ours.tidy()
            if self._publication is not None:
                await self._publication.bring_forward()
                looked = await self._publication.reconcile(self._share_max)
        except MssError as problem:
            log.error("directory.not-reconciled", error=type(problem).__name__)
        keep_look(self._file.parent, self._clock.now(), looked)
        return looked


def keep_look(folder: Path, now: datetime, looked: Looked | None) -> None:
    """Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = folder / f"{FILE}.part"
    part.write_text(json.dumps({"at": now.isoformat(), "found": asdict(looked) if looked else None}))
    part.rename(folder / FILE)


def last_look(folder: Path) -> tuple[datetime | None, dict[str, object]]:
    """When it was, and what it found; None and nothing before the first."""
    try:
        kept = json.loads((folder / FILE).read_text())
        return datetime.fromisoformat(kept["at"]), kept["found"] or {}
    except (OSError, ValueError, KeyError, TypeError):
        return None, {}
