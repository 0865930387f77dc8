"""How are the bridge and the staff's counter put together? For the works, for commands and for the desk alike."""

from __future__ import annotations

from dataclasses import dataclass

from mss.assembly.sinks import outbox
from mss.bridge.applications import Applications
from mss.bridge.cases import Cases
from mss.bridge.filing import Filing
from mss.bridge.reading import Reader
from mss.bridge.triage import Triage
from mss.crypto.keys import PrivateKeys
from mss.foundation import Foundation
from mss.mail.conversations import Conversations
from mss.model.ids import MailAddress
from mss.record.service import Records
from mss.sandbox.pool import Sandbox
from mss.vault.opener import Opener


@dataclass(frozen=True, slots=True)
class Bridge:
    """The rooms between mail and record."""

    records: Records
    cases: Cases
    filing: Filing
    applications: Applications


def bridge_of(ground: Foundation, opener: Opener, sandbox: Sandbox) -> Bridge:
    """Reads in the sandbox."""
    store, public, clock, chance = ground.store, ground.public, ground.clock, ground.chance
    settings = ground.config.bridge
    records = Records(store, opener, ground.bodies, public.lookup, clock, chance)
    reader = Reader(sandbox, chance, holds_loose=settings.loose == "hold", files_loose=settings.loose == "file")
    fed_by = [MailAddress.parse(box).key for box in settings.application_boxes]
    cases = Cases(store, opener, reader, records, ground.house, clock, fed_by)
    conversations = Conversations(public.lookup, clock, chance)
    filing = Filing(store, opener, public, cases, records, conversations, ground.bus, clock, chance, outbox(ground))
    return Bridge(records, cases, filing, Applications(store, cases, filing, records, ground.bus, clock))


def triage_of(ground: Foundation, keys: PrivateKeys, opener: Opener, sandbox: Sandbox) -> Triage:
    """Needs the house's private keys."""
    made = bridge_of(ground, opener, sandbox)
    store, public, clock, chance = ground.store, ground.public, ground.clock, ground.chance
    return Triage(store, public, keys.held, made.cases, made.filing, made.applications, ground.bus, clock, chance)
