"""How are the bridge and the staff's counter put together? For the works, for commands and for the desk alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mss.assembly import sinks
from mss.assembly.sinks import outbox
from mss.bridge.applications import Applications
from mss.bridge.cases import Cases
from mss.bridge.checking import Checker
from mss.bridge.corrections import Corrections
from mss.bridge.filing import Filing
from mss.bridge.mergedesk import MergeDesk
from mss.bridge.merging import Merging
from mss.bridge.moving import Mover
from mss.bridge.reading import Reader
from mss.bridge.refiling import Refiling
from mss.bridge.representing import Representing
from mss.bridge.returning import Returning
from mss.bridge.scope import Scopes
from mss.bridge.takeout import Takeout
from mss.bridge.triage import Triage
from mss.bridge.unannounced import Unannounced
from mss.bridge.unsealing import Unsealer
from mss.bridgesections import Bridge as Section
from mss.bridgesections import SmimeKeys
from mss.crypto.keys import PrivateKeys
from mss.crypto.pgp import OpenPgp
from mss.crypto.signers import SignerLists
from mss.crypto.smime import Smime
from mss.foundation import Foundation, own_mailboxes
from mss.mail.conversations import Conversations
from mss.model.clock import Chance, Clock
from mss.model.ids import MailAddress
from mss.record.service import Records
from mss.sandbox.pool import Sandbox
from mss.vault.opener import Opener

if TYPE_CHECKING:
    from mss.web.rooms import Desk


@dataclass(frozen=True, slots=True)
class Bridge:
    """The rooms between mail and record."""

    records: Records
    cases: Cases
    filing: Filing
    applications: Applications
    scopes: Scopes
    takeout: Takeout
    refiling: Refiling
    unannounced: Unannounced


def bridge_of(ground: Foundation, opener: Opener, sandbox: Sandbox) -> Bridge:
    """Reads in the sandbox."""
    store, public, clock, chance = ground.store, ground.public, ground.clock, ground.chance
    settings = ground.config.bridge
    records = Records(store, opener, ground.bodies, public.lookup, clock, chance)
    reader = Reader(
        sandbox,
        chance,
        holds_loose=settings.loose == "hold",
        files_loose=settings.loose == "file",
        unsealer=unsealer_of(settings, clock),
    )
    fed_by = [MailAddress.parse(box).key for box in settings.application_boxes]
    cases = Cases(store, opener, reader, records, ground.house, clock, fed_by)
    conversations = Conversations(public.lookup, clock, chance)
    owes = outbox(ground)
    days = settings.shown_after_days
    filing = Filing(store, opener, public, cases, records, conversations, ground.bus, clock, chance, owes, days)
    scopes = Scopes(store, opener, records, public.lookup, ground.house.patient_domain)
    takeout = Takeout(records, owes, public, clock, chance)
    mover = Mover(store, opener, ground.bodies, public.lookup, clock, chance)
    returning = Returning(store, opener, scopes, takeout, ground.bus, clock, chance)
    asks, lookup = Representing(public.held, clock, chance), public.lookup
    merging = Merging(store, opener, records, ground.bodies, mover, takeout, lookup, asks, ground.bus, clock, chance)
    refiling = Refiling(store, opener, cases, filing, mover, takeout, returning, merging, ground.bus, clock)
    applications = Applications(store, cases, filing, records, ground.bus, clock)
    unannounced = Unannounced(store, cases, filing, applications, ground.bus)
    return Bridge(records, cases, filing, applications, scopes, takeout, refiling, unannounced)


def corrections_of(ground: Foundation, keys: PrivateKeys, opener: Opener, made: Bridge) -> Corrections:
    """Needs the house's private keys."""
    return Corrections(
        ground.store,
        ground.public,
        keys.held,
        opener,
        made.records,
        made.cases,
        made.scopes,
        made.takeout,
        ground.bus,
        ground.clock,
        ground.chance,
        four_eyes=ground.config.bridge.four_eyes,
    )


def unsealer_of(settings: Section, clock: Clock) -> Unsealer:
    """The keys that open mail and check signatures, as the settings name them."""
    pgp, smime = settings.openpgp, settings.smime
    own = smime.tls if smime is not None else None
    certificate, key = (own.certificate, own.key) if own is not None else (None, None)
    return Unsealer(
        None if pgp is None else OpenPgp(pgp.secret_key, pgp.senders),
        None if smime is None else Smime(certificate, key, smime.authorities, _signers(smime, clock)),
    )


def _signers(smime: SmimeKeys, clock: Clock) -> SignerLists | None:
    """Asked only where the settings name lists."""
    if smime.authorities is None or not smime.revocation_lists:
        return None
    return SignerLists(smime.revocation_lists, smime.authorities, clock)


def checker_of(
    settings: Section, sandbox: Sandbox, clock: Clock, chance: Chance, *, accepts_test_identities: bool
) -> Checker:
    """Who tells what would become of an archive; needs no store."""
    reader = Reader(sandbox, chance, unsealer=unsealer_of(settings, clock))
    return Checker(sandbox, reader, accepts_test_identities=accepts_test_identities)


def triage_of(ground: Foundation, keys: PrivateKeys, opener: Opener, sandbox: Sandbox) -> Triage:
    """Needs the house's private keys."""
    made = bridge_of(ground, opener, sandbox)
    store, public, clock, chance = ground.store, ground.public, ground.clock, ground.chance
    corrects = corrections_of(ground, keys, opener, made)
    rooms = made.cases, made.filing, made.applications
    return Triage(store, public, keys.held, *rooms, ground.bus, clock, chance, corrects)


def staff_desk(ground: Foundation, keys: PrivateKeys, opener: Opener, sandbox: Sandbox) -> Desk:
    """What stands behind the pages of the operator's people."""
    from mss.accounts.staff import StaffAccounts
    from mss.bridge.sinkdesk import SinkDesk
    from mss.directory.contests import Contests
    from mss.directory.extras import Extras
    from mss.directory.search import Search
    from mss.web.rooms import Desk, DirectoryDesk

    store, clock = ground.store, ground.clock
    made = bridge_of(ground, opener, sandbox)
    corrects = corrections_of(ground, keys, opener, made)
    settling = sinks.settling(ground, sinks.dossiers(ground, made.records, opener))
    return Desk(
        StaffAccounts(store, ground.public.lookup, keys.wrapper, clock, ground.chance),
        triage_of(ground, keys, opener, sandbox),
        Search(store),
        corrects,
        MergeDesk(store, opener, corrects),
        lambda actor: SinkDesk(store, settling, ground.bus, clock, actor),
        DirectoryDesk(own_mailboxes(ground), Extras(store, clock), Contests(store, ground.config.domains, clock)),
    )
