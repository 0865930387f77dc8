"""The works: runner with bridge and notices, courier. Opens what it must file or send."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from mss.assembly.process import Process, files_of
from mss.crypto.keys import PrivateKeys
from mss.crypto.tls import relay_client_context
from mss.foundation import OperatorCertificate, operator_certificates, retention_rules, routes_of, standing_rules
from mss.mail.delivery import TASK_RESEAL
from mss.model.errors import StorageUnavailable
from mss.model.ids import MailAddress
from mss.sandbox.pool import Sandbox
from mss.store.blobs import LocalBodies
from mss.store.housekeeping import Housekeeping
from mss.store.workers import free_leases_of_the_dead, worker_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from mss.accounts.verification import Verification
    from mss.mail.ledger import LedgerReader
    from mss.mail.submit import HouseMail
    from mss.notices.compose import House
    from mss.notices.watch import Staff
    from mss.notices.wayin import WayInNotices
    from mss.record.service import Records
    from mss.smtp.identities import Identities
    from mss.store.tasks import Task
    from mss.vault.opener import Opener

SWEEP_S = 24 * 3600.0
SWEEP_AFTER_S = 600.0
"""After a start others have more urgent work."""

log = structlog.get_logger("works")


async def build(process: Process) -> None:
    """Begin the work of this process's roles."""
    sandbox = process.sandbox() if "runner" in process.roles else None
    keys = process.ground.private()
    await free_leases_of_the_dead(process.ground.store)
    if sandbox is not None:
        _runner(process, sandbox, keys)
        process.keep(_sweep_bodies(process))
    if "relay-out" in process.roles:
        _relay_out(process, keys)


async def _sweep_bodies(process: Process) -> None:
    """Once a day: what a crash left of bodies that were being written, and what nobody needs any more."""
    ground = process.ground
    bodies, clock = ground.bodies, ground.clock
    housekeeping = Housekeeping(ground.store, bodies, clock, idle_tasks=(TASK_RESEAL,))
    await asyncio.sleep(SWEEP_AFTER_S)
    while True:
        try:
            if isinstance(bodies, LocalBodies) and (swept := await bodies.sweep_unfinished(clock.now().timestamp())):
                log.info("bodies.swept", files=swept)
            await housekeeping.round()
        except (OSError, StorageUnavailable) as problem:
            log.warning("bodies.not-swept", error=type(problem).__name__)
        await asyncio.sleep(SWEEP_S)


def _runner(process: Process, sandbox: Sandbox, keys: PrivateKeys) -> None:
    from mss.accounts.absence import Absences
    from mss.accounts.names import Names
    from mss.assembly.triage import bridge_of
    from mss.mail.counting import Counting
    from mss.mail.ledger import Ledger, LedgerReader
    from mss.mail.quarantine import Quarantine
    from mss.mail.queue import QueueTaker
    from mss.mail.submit import HouseMail
    from mss.notices.alarms import PatientAlarms
    from mss.notices.automatic import AutomaticReplies
    from mss.notices.changed import ChangeNotices
    from mss.notices.compose import House
    from mss.notices.corrected import CorrectionNotices
    from mss.notices.fullness import FullnessWatch
    from mss.notices.send import Notices
    from mss.notices.tested import TrialAnswers
    from mss.notices.untaken import UntakenAlarms
    from mss.notices.watch import HeldWatch
    from mss.runner import Runner

    ground = process.ground
    store, lookup, clock, chance = ground.store, ground.public.lookup, ground.clock, ground.chance
    opener = ground.opener(keys)
    bridge = bridge_of(ground, opener, sandbox)
    _sinks(process, bridge.records, opener)
    mail = HouseMail(ground.house, ground.dispatch)
    writer = MailAddress("ne-pas-repondre", ground.house.patient_domain or process.config.domains[0])
    copies = _copies(process)
    ledger, house = Ledger(lookup, ground.public.tasks, clock, chance), House(ground.house.host, writer)
    notices = Notices(house, store, opener, keys, lookup, mail, clock, copies, ledger)
    taker = QueueTaker(store, ground.bodies, keys.outbound, clock, worker_name())
    quarantine = Quarantine(store, opener, taker, ground.screening, ground.holder, keys.held, ground.bus, clock, chance)
    tools = mail, ground.recipients, taker, ground.holder, clock, ledger
    watch = HeldWatch(house, _staff(process), store, opener, keys, lookup, *tools)
    tested = TrialAnswers(ground.house.test_mailbox, keys, lookup, mail, clock)
    rooms = Absences(store, clock, chance), Names(store, lookup, clock, chance)
    alarms = PatientAlarms(house, _staff(process).default, keys, lookup, mail, clock)
    automatic = AutomaticReplies(store, opener, lookup, mail, rooms, clock)
    changed = ChangeNotices(house, store, opener, bridge.records, lookup, mail, clock)
    corrected = CorrectionNotices(house, _staff(process), store, opener, lookup, mail, clock, chance)
    verification, way_in = _standing(process, house, opener, mail)
    untaken = UntakenAlarms(house, _staff(process), lookup, mail, clock)
    mail_rooms = (verification, notices, corrected, quarantine, watch, automatic, alarms, changed, tested, untaken)
    handlers = {
        name: act
        for one in (bridge.filing, bridge.applications, bridge.refiling, bridge.unannounced, way_in, *mail_rooms)
        for name, act in one.handlers.items()
    }
    if process.config.bridge.checker:
        handlers |= _checks(process, bridge.applications.feed, opener, sandbox, keys, mail)
    process.keep(Runner(store, ground.bus, clock, worker_name(), handlers).run())
    process.keep(Counting(store).keep_counting())
    _sources(process)
    _nightly(process, house, LedgerReader(lookup, keys.tasks), mail)
    _publishing(process, house, keys, mail)
    process.keep(FullnessWatch(house, store, opener, lookup, mail, clock).keep_watch())
    _watch_retention(process, house, opener, mail)
    _watch_certificates(process, mail, house)


def _copies(process: Process) -> dict[str, MailAddress]:
    """Who of a structure reads what its application mailbox (key) answers when nothing is filed."""
    boxes = process.config.bridge.application_boxes.items()
    return {MailAddress.parse(box).key: MailAddress.parse(copy) for box, copy in boxes if copy}


def _watch_retention(process: Process, house: House, opener: Opener, mail: HouseMail) -> None:
    from mss.mail.purging import Purging
    from mss.notices.retention import RetentionWatch

    ground = process.ground
    store, lookup, clock = ground.store, ground.public.lookup, ground.clock
    purging = Purging(store, lookup, ground.bus, clock, retention_rules(process.config))
    process.keep(RetentionWatch(house, purging, store, opener, lookup, mail, clock).keep_watch())


def _standing(process: Process, house: House, opener: Opener, mail: HouseMail) -> tuple[Verification, WayInNotices]:
    """Who vouches for whom: the duties that imports leave, the watch over what is overdue, and word of a way in."""
    from mss.accounts.verification import Verification
    from mss.notices.standing import StandingWatch
    from mss.notices.wayin import WayInNotices

    ground, rules = process.ground, standing_rules(process.config)
    store, lookup, clock = ground.store, ground.public.lookup, ground.clock
    verification = Verification(store, lookup, ground.bus, clock, rules)
    staff = _staff(process).default
    watch = StandingWatch(house, staff, verification, store, opener, lookup, mail, clock, rules.grace)
    process.keep(watch.keep_watch())
    return verification, WayInNotices(house, store, opener, lookup, mail, clock)


def _nightly(process: Process, house: House, ledger: LedgerReader, mail: HouseMail) -> None:
    """Tables for the sending mailboxes that the settings list."""
    from mss.notices.nightly import NightlyTables

    ground, listed = process.ground, process.config.bridge.nightly.items()
    readers = {MailAddress.parse(one): MailAddress.parse(reader or one) for one, reader in listed}
    if readers:
        tables = NightlyTables(house, readers, ledger, ground.store, ground.public.lookup, mail, ground.clock)
        process.keep(tables.keep_watch())


def _publishing(process: Process, house: House, keys: PrivateKeys, mail: HouseMail) -> None:
    """What is said of our own mailboxes, and the national directory that is told of it."""
    from mss.assembly.publishing import publication_of
    from mss.fhir.duty import REFUSED
    from mss.fhir.nightly import Nightly
    from mss.foundation import own_mailboxes
    from mss.notices.unpublished import UnpublishedWatch

    ground, section = process.ground, process.config.directory.publishing
    publication = publication_of(ground, keys)
    share = section.repaired_share_max if section is not None else 0.0
    named = publication if section is not None else None
    folder = process.config.state_dir / "directory"
    process.keep(publication.run(ground.bus))
    process.keep(Nightly(folder, own_mailboxes(ground), named, share, ground.clock).keep_watch())
    if section is not None:
        staff = _staff(process).default
        watch = UnpublishedWatch(house, staff, REFUSED, ground.store, ground.public.lookup, mail, ground.clock)
        process.keep(watch.keep_watch())


def _sinks(process: Process, records: Records, opener: Opener) -> None:
    """One loop for each hospital's software, and one that sees what has waited for a day, also for a sink that is no
    longer in the settings."""
    from mss.assembly import sinks
    from mss.bridge.sinks import SinkWatch, SinkWorker

    ground, config = process.ground, process.config
    dossiers = sinks.dossiers(ground, records, opener)
    settling = sinks.settling(ground, dossiers)
    process.keep(SinkWatch(settling).run())
    for name in config.sinks:
        client = sinks.client(config, name)
        worker = SinkWorker(client, ground.store, dossiers, settling, ground.clock, worker_name())
        process.keep(worker.run(ground.bus))


def _checks(
    process: Process,
    feed: Callable[[Task], Awaitable[None]],
    opener: Opener,
    sandbox: Sandbox,
    keys: PrivateKeys,
    mail: HouseMail,
) -> Mapping[str, Callable[[Task], Awaitable[None]]]:
    """The address for software makers: reports instead of documents."""
    from mss.assembly.triage import checker_of
    from mss.bridge.checkdesk import CheckDesk
    from mss.notices.checked import CheckAnswers

    ground = process.ground
    address = MailAddress.parse(process.config.bridge.checker)
    accepts = ground.house.accepts_test_identities
    checker = checker_of(process.config.bridge, sandbox, ground.clock, ground.chance, accepts_test_identities=accepts)
    public, clock = ground.public, ground.clock
    desk = CheckDesk(address, checker, feed, ground.store, opener, public, ground.bus, clock, ground.chance)
    return {**desk.handlers, **CheckAnswers(address, keys, public.lookup, mail, clock).handlers}


def _sources(process: Process) -> None:
    """One loop for each application mailbox at another operator."""
    if process.config.bridge.sources:
        from mss.assembly.sources import fetchers

        for fetcher in fetchers(process.ground, process.config):
            process.keep(fetcher.run(process.ground.bus))


def _watch_certificates(process: Process, mail: HouseMail, writes_as: House) -> None:
    from mss.assembly.certificates import CertificateWatch
    from mss.directory.sources import Kept
    from mss.notices.expiry import ExpiryNotices

    ground = process.ground
    notices = ExpiryNotices(writes_as, _staff(process).default, ground.public.lookup, mail, ground.clock)
    told = Kept(process.config.state_dir / "trust" / "told.json")
    process.keep(CertificateWatch(process.config, notices, ground.clock, told).keep_watch())


def _staff(process: Process) -> Staff:
    """Who hears that something waits: the structure's own people, else the operator's."""
    from mss.notices.watch import Staff

    alarms, postmaster = process.config.alarms, process.ground.house.postmaster
    by_domain = {domain: MailAddress.parse(address) for domain, address in alarms.by_domain.items()}
    return Staff(MailAddress.parse(alarms.to) if alarms.to else postmaster, by_domain)


def _relay_out(process: Process, keys: PrivateKeys) -> None:
    """The courier, with the trust list of its own process."""
    from mss.mail.queue import QueueTaker
    from mss.notices.outcomes import CourierNotes
    from mss.notices.send import ReportDuties
    from mss.smtp.courier import Courier, Errand
    from mss.smtp.routes import Signposts

    ground, relay = process.ground, process.config.relay
    clock, chance = ground.clock, ground.chance
    errand = Errand(
        hostname=process.config.host,
        identities=_identities(process),
        trust=process.gate(fetches=True),
        signposts=Signposts(routes_of(relay), chance),
        outcomes=CourierNotes(ReportDuties(ground.public.tasks, clock, chance), clock),
    )
    first_s = relay.retry_first_s
    taker = QueueTaker(
        ground.store,
        ground.bodies,
        keys.outbound,
        clock,
        worker_name(),
        retry_first_s=first_s,
        holder=ground.holder,
        staff_domain=ground.house.postmaster.domain,
    )
    courier = Courier(taker, ground.putter, errand, clock)
    ground.bus.on_task(courier.wake)
    process.keep(courier.run())
    process.stack.push_async_callback(courier.stop)


def _identities(process: Process) -> Identities:
    """Our certificates towards operators, kept fresh, by the domains whose mail leaves under them."""
    from mss.smtp import journal
    from mss.smtp.identities import Identities, Identity

    authorities = process.config.relay.authorities

    def identity(own: OperatorCertificate) -> Identity:
        tls = own.tls
        holder = process.tls(
            lambda: relay_client_context(tls.certificate, tls.key, authorities, on_refused=journal.handshake_refused),
            [*files_of(tls), authorities],
        )
        return Identity(own.where, lambda: holder.current)

    usual, *others = operator_certificates(process.config)
    of_domain: dict[str, Identity] = {}
    for one in others:
        of_domain |= dict.fromkeys(one.domains, identity(one))
    return Identities(identity(usual), of_domain)
