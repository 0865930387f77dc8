"""Which software of hospitals do the settings name, and how is it spoken to? Routes for who files, clients for works.

Contexts and tokens are read from their files anew for each connection, so that a renewed certificate needs no signal.
"""

from __future__ import annotations

from functools import partial
from ssl import SSLContext

from mss.bridge.dossier import Dossiers
from mss.bridge.outbox import Outbox
from mss.bridge.routing import Route, Take
from mss.bridge.settling import Settling
from mss.bridge.sink import Sink
from mss.config import Config
from mss.crypto.tls import sink_client_context
from mss.formats.mdm import NO_UNIT, Ends, Unit
from mss.foundation import Foundation
from mss.record.service import Records
from mss.sinksections import Sink as Section
from mss.sinksections import Take as TakeSection
from mss.vault.opener import Opener


def routes(config: Config) -> tuple[Route, ...]:
    """What each sink takes."""
    return tuple(Route(name, tuple(map(_take, sink.takes))) for name, sink in config.sinks.items())


def outbox(ground: Foundation) -> Outbox:
    """What whoever files needs."""
    return Outbox(routes(ground.config), ground.clock, ground.chance)


def client(config: Config, name: str) -> Sink:
    """Who speaks with one of them."""
    section = config.sinks[name]
    tls = partial(_context, section)
    if section.kind == "fhir":
        from mss.bridge.fhirsink import FhirPlace, FhirSink

        place = FhirPlace(section.url, section.source_id, section.token_file, section.answer_s)
        return FhirSink(name, place, tls)
    from mss.bridge.mllp import MllpPlace, MllpSink

    ends = Ends(
        section.sending_application,
        section.sending_facility or config.name,
        section.receiving_application,
        section.receiving_facility,
        section.processing,
    )
    waits = section.acknowledgement == "application"
    return MllpSink(name, MllpPlace(section.host, section.port, ends, waits, section.answer_s), tls)


def dossiers(ground: Foundation, records: Records, opener: Opener) -> Dossiers:
    """Who opens what is handed over."""
    by_name = {route.sink: route for route in routes(ground.config)}
    return Dossiers(ground.store, opener, records, by_name, ground.house.patient_domain)


def settling(ground: Foundation, opens: Dossiers) -> Settling:
    """Who writes down what became of it."""
    domain = ground.house.patient_domain or ground.house.postmaster.domain
    return Settling(
        ground.store, opens, ground.holder, ground.public.tasks, domain, ground.bus, ground.clock, ground.chance
    )


def _context(section: Section) -> SSLContext:
    if section.tls is None:
        return sink_client_context(section.authorities)
    return sink_client_context(section.authorities, section.tls.certificate, section.tls.key)


def _take(section: TakeSection) -> Take:
    unit = NO_UNIT
    if section.unit is not None:
        unit = Unit(section.unit.name, section.unit.authority, section.unit.kind, section.unit.number)
    mailboxes = frozenset(one.lower() for one in section.mailboxes)
    return Take(mailboxes, frozenset(section.types), frozenset(section.services), unit)
