"""Which numbers does an operator watch? Asked of the store when they are scraped; docs/operating.md tells them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mss import foundation
from mss.assembly.certificates import seconds_left
from mss.formats import trustlist
from mss.foundation import Foundation
from mss.mail.bell import ALARM_ACT
from mss.mail.counting import PUT_OFF, REFUSED, day_of
from mss.mail.holding import AGAIN
from mss.model.clock import to_ms
from mss.model.workdays import working_hours_before
from mss.ops.server import Gauge
from mss.store import handovers, housekeeping, indicators, waiting
from mss.store.handovers import HandoverState
from mss.store.records import HeldState
from mss.store.sql import Connection
from mss.store.tasks import RowState


def gauges(ground: Foundation) -> Iterator[Gauge]:
    """Of the whole operator, whichever process shows them."""
    asker = _Asker(ground)
    yield from _of_the_queue(asker)
    yield from _of_what_is_held(asker)
    yield from _of_the_sinks(asker)
    yield from _of_the_works_and_doors(asker)


@dataclass(frozen=True, slots=True)
class _Asker:
    """Makes gauges of questions to the store."""

    ground: Foundation

    def number(self, name: str, meaning: str, ask: Callable[[Connection], float]) -> Gauge:
        async def asked() -> float:
            return await self.ground.store.read(ask)

        return Gauge(name, meaning, asked)

    def numbers(self, name: str, meaning: str, label: str, ask: Callable[[Connection], dict[str, float]]) -> Gauge:
        async def asked() -> dict[str, float]:
            return await self.ground.store.read(ask)

        return Gauge(name, meaning, asked, label)

    def age(self, name: str, meaning: str, since: Callable[[Connection], int | None]) -> Gauge:
        """In seconds; nothing there is nought."""

        def age_s(connection: Connection) -> float:
            since_ms = since(connection)
            return 0.0 if since_ms is None else max(0.0, (self.now_ms() - since_ms) / 1000)

        return self.number(name, meaning, age_s)

    def now_ms(self) -> int:
        return to_ms(self.ground.clock.now())


def _of_the_queue(asker: _Asker) -> Iterator[Gauge]:
    by_state = waiting.queue_by_state
    yield asker.number("queue_messages", "Mail that has not left yet.", lambda c: sum(by_state(c).values()))
    yield asker.numbers("queue_state_messages", "The same by state.", "state", by_state)
    yield asker.age("queue_oldest_seconds", "Age of the oldest mail that waits.", waiting.oldest_queued_ms)


def _of_what_is_held(asker: _Asker) -> Iterator[Gauge]:
    waits, kept_back = HeldState.WAITING, HeldState.KEPT_BACK

    def overdue(connection: Connection) -> float:
        since = working_hours_before(asker.ground.clock.now(), AGAIN)  # sender and staff have been told again
        return waiting.held(connection, waits, to_ms(since))

    def not_scanned(connection: Connection) -> float:
        return waiting.held_by_reason(connection).get("not-scanned", 0.0)

    yield asker.number("held_messages", "Messages that wait for a human.", lambda c: waiting.held(c, waits))
    yield asker.numbers("held_reason_messages", "The same by reason.", "reason", waiting.held_by_reason)
    yield asker.age("held_oldest_seconds", "Age of the oldest of them.", lambda c: waiting.oldest_held_ms(c, waits))
    yield asker.number("held_overdue_messages", "Those that wait for more than 24 hours of working days.", overdue)
    yield asker.number("antivirus_waiting_messages", "Held because the antivirus could not look.", not_scanned)
    yield asker.number(
        "kept_back_messages", "Waiting for their author's announcement.", lambda c: waiting.held(c, kept_back)
    )
    yield asker.age(
        "kept_back_oldest_seconds", "Age of the oldest of them.", lambda c: waiting.oldest_held_ms(c, kept_back)
    )


def _of_the_sinks(asker: _Asker) -> Iterator[Gauge]:
    """By sink: also for one that has been taken out of the settings."""

    def owed(connection: Connection, *states: HandoverState) -> dict[str, float]:
        known = dict.fromkeys(asker.ground.config.sinks, 0.0)
        for (sink, state), count in handovers.by_sink_and_state(connection).items():
            known[sink] = known.get(sink, 0.0) + (count if state in states else 0)
        return known

    waits, refused = (HandoverState.WAITING, HandoverState.BEHIND), (HandoverState.REFUSED,)
    yield asker.numbers("sink_documents", "Documents that it is still owed.", "sink", lambda c: owed(c, *waits))
    yield asker.numbers("sink_refused_documents", "Those that it refused.", "sink", lambda c: owed(c, *refused))
    yield asker.age("sink_oldest_seconds", "Age of the oldest of both.", handovers.oldest_ms)


def _of_the_works_and_doors(asker: _Asker) -> Iterator[Gauge]:
    def refusals(connection: Connection) -> dict[str, float]:
        return indicators.by_box(connection, (REFUSED, PUT_OFF), day_of(asker.ground.clock.now()))

    def searched(connection: Connection) -> float:
        return sum(indicators.by_box(connection, (ALARM_ACT,), day_of(asker.ground.clock.now())).values())

    def failed(connection: Connection) -> float:
        return waiting.tasks_by_state(connection)[RowState.FAILED]

    yield asker.number("tasks_failed", "Duties that gave up and wait for a human.", failed)
    yield asker.numbers("task_state_tasks", "Duties by state.", "state", waiting.tasks_by_state)
    yield asker.age(
        "task_oldest_due_seconds",
        "For how long the most overdue duty has been due.",
        lambda c: waiting.most_overdue_task_ms(c, asker.now_ms()),
    )
    yield asker.numbers("orphans", "What nobody needs, until its grace is over.", "kind", housekeeping.marked)
    yield asker.number("patient_search_alarms_today", "Times somebody seemed to try out who exists.", searched)
    yield asker.numbers("refusals_today", "Refused or put off at the mail doors, by reason.", "reason", refusals)


def trust_gauges(ground: Foundation) -> Iterator[Gauge]:
    """Of our certificates and the trust list: asked of files, not of the store."""

    async def certificates() -> dict[str, float]:
        return seconds_left(ground.config, ground.clock.now())

    async def list_age() -> float:
        """Infinite when no good list was ever taken."""
        octets = await asyncio.to_thread(foundation.kept_list(ground.config).read)
        if octets is None:
            return math.inf
        return (ground.clock.now() - trustlist.generated_at(octets)).total_seconds()

    yield Gauge("certificate_seconds_left", "Until our own certificates end.", certificates, "where")
    yield Gauge("trust_list_age_seconds", "Since the last good trust list was generated.", list_age)
