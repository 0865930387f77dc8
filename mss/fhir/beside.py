"""What should software know of a mailbox before it sends, beside what the guide's extension says? Purpose, abilities,
whether it still answers, who stands in.

What its own people say and what we have met changes by the hour and is nobody's version: it is added to a resource that
is going out, with the moment of the answer, and neither ETag nor If-Match know of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mss.directory.extras import ADDRESSES_MAX, Extra, Extras
from mss.fhir import systems
from mss.fhir.outcome import Resource
from mss.fhir.resources import instant
from mss.model.clock import Clock


class Beside:
    """Adds it."""

    def __init__(self, extras: Extras, clock: Clock) -> None:
        self._extras = extras
        self._clock = clock

    async def add(self, resources: Sequence[Resource]) -> bool:
        """To the mailboxes of all of these, in place. Whether anything was said of one."""
        telecoms = [one for resource in resources for one in resource.get("telecom", ())]
        addresses = list(dict.fromkeys(str(one["value"]) for one in telecoms))
        known: dict[str, Extra] = {}
        for at in range(0, len(addresses), ADDRESSES_MAX):
            known |= await self._extras.of(addresses[at : at + ADDRESSES_MAX])
        now, has_some = self._clock.now(), False
        for telecom in telecoms:
            if (extra := known.get(telecom["value"])) and (said := list(_said(extra))):
                parts = [{"url": "asOf", "valueInstant": instant(now)}, *said]
                telecom["extension"] = [*telecom["extension"], {"url": systems.BESIDE, "extension": parts}]
                has_some = True
        return has_some


def _said(extra: Extra) -> Iterable[dict[str, Any]]:
    """The parts of which something is known."""
    said = extra.said
    yield from _part("purpose", "String", said.purpose or None)
    yield from _part("sizeBytesMax", "Integer", said.size_bytes_max or None)
    yield from _part("acceptsPatients", "Boolean", said.accepts_patients)
    yield from _part("acceptsXdm", "Boolean", said.accepts_xdm)
    yield from _part("paperless", "Boolean", said.is_paperless)
    yield from _part("lastTaken", "Instant", extra.last_taken and instant(extra.last_taken))
    yield from _part("wroteOn", "Date", extra.wrote_on and f"{extra.wrote_on:%Y-%m-%d}")
    yield from _part("mayNotAnswer", "Code", extra.doubt and extra.doubt.value)
    yield from _part("absentUntil", "Instant", extra.absent_until and instant(extra.absent_until))
    yield from _part("substitute", "String", extra.substitute or None)


def _part(name: str, kind: str, value: Any) -> Iterable[dict[str, Any]]:
    if value is not None:
        yield {"url": name, f"value{kind}": value}
