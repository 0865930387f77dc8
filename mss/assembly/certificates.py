"""Which certificates are ours, and who hears that one ends? Looked at every hour, in works.

Told at 30, 7 and 1 days and at the end: in the journal each time that the process looks, to the postmaster by one mail
for each. What was told is remembered in a file, so that a restart tells nothing twice.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from mss.config import Config
from mss.crypto.certs import leaf_of
from mss.crypto.expiry import days_left, threshold
from mss.directory.sources import Kept
from mss.foundation import certificates
from mss.model.clock import Clock
from mss.model.errors import BadValue, MssError
from mss.sections import Tls

if TYPE_CHECKING:
    from mss.notices.expiry import ExpiryNotices  # a house's notices are written in works only

LOOK_EVERY_S = 3600.0
TOLD_MAX = 1000
"""Remembered tellings: four for each certificate of many years."""

log = structlog.get_logger("certificates")


def named(config: Config) -> Iterator[tuple[str, Tls]]:
    """Where a certificate is configured, and which; one that several doors share is named by the first."""
    seen: set[Path] = set()
    for where, tls in certificates(config):
        if tls.certificate not in seen:
            seen.add(tls.certificate)
            yield where.removesuffix(".tls"), tls


def seconds_left(config: Config, now: datetime) -> dict[str, float]:
    """For the metric: by name; one that cannot be read has none left."""
    left: dict[str, float] = {}
    for name, tls in named(config):
        try:
            left[name] = (leaf_of(tls.certificate).facts.not_after - now).total_seconds()
        except BadValue:
            left[name] = 0.0
    return left


@dataclass(frozen=True, slots=True)
class CertificateWatch:
    """Tells before it is too late."""

    config: Config
    notices: ExpiryNotices
    clock: Clock
    told: Kept

    async def keep_watch(self) -> None:
        """Look every hour."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Tell what is due of each certificate; what cannot be told now is told at the next look."""
        now, told = self.clock.now(), self._told()
        for name, tls in named(self.config):
            try:
                leaf = leaf_of(tls.certificate).facts
            except BadValue as problem:
                log.error("certificate.unreadable", where=name, why=str(problem))
                continue
            due = threshold(leaf.not_after, now)
            if due is None:
                continue
            left = days_left(leaf.not_after, now)
            log.warning("certificate.ends", where=name, serial=leaf.serial_hex, days_left=left)
            mark = f"{leaf.sha256[:32]}/{due}"
            if mark in told:
                continue
            try:
                await self.notices.tell(name, leaf, left, mark)
                told = [mark, *told][:TOLD_MAX]
                self.told.write(json.dumps(told).encode())
            except (MssError, OSError) as problem:
                log.error("certificate.not-told", where=name, error=type(problem).__name__)

    def _told(self) -> list[str]:
        try:
            told = json.loads(self.told.read() or b"[]")
        except ValueError:
            return []
        return told if isinstance(told, list) else []
