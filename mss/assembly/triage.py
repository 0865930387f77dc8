"""How is the staff's counter put together? For commands and for the desk alike."""

from __future__ import annotations

from mss.assembly.sinks import outbox
from mss.bridge.cases import Cases
from mss.bridge.filing import Filing
from mss.bridge.reading import Reader
from mss.bridge.triage import Triage
from mss.crypto.keys import PrivateKeys
from mss.foundation import Foundation
from mss.mail.conversations import Conversations
from mss.record.service import Records
from mss.sandbox.pool import Sandbox
from mss.vault.opener import Opener


def triage_of(ground: Foundation, keys: PrivateKeys, opener: Opener, sandbox: Sandbox) -> Triage:
    """Needs the house's private keys."""
    store, public, clock, chance = ground.store, ground.public, ground.clock, ground.chance
    records = Records(store, opener, ground.bodies, public.lookup, clock, chance)
    reader = Reader(sandbox, chance, holds_loose=ground.config.bridge.loose == "hold")
    cases = Cases(store, opener, reader, records, ground.house, clock)
    conversations = Conversations(public.lookup, clock, chance)
    owes = outbox(ground)
    filing = Filing(store, opener, public, cases, records, conversations, ground.bus, clock, chance, owes)
    return Triage(store, public, keys.held, cases, filing, ground.bus, clock, chance)
