"""What does every process of an operator stand on? Store, keys it may hold, trust, delivery: built once, from settings.

`mss/assembly/` puts the doors and rooms of each process on top. Which private keys a process gets is decided there,
by calling `private` or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from ssl import SSLContext

from cryptography import x509

from mss.accounts.shown import Shown, ShownCertificates
from mss.accounts.verification import Rules
from mss.config import Config, run_directory
from mss.crypto.certs import load_certificates
from mss.crypto.examiner import Examiner
from mss.crypto.keys import PrivateKeys, PublicKeys, load_private, load_public
from mss.crypto.revocation import RevocationLists
from mss.crypto.tls import fetch_context
from mss.directory.feed import HOUR_S, FeedLimits, ListTrust, RevocationFeed, TrustFeed
from mss.directory.ours import OwnMailboxes
from mss.directory.responders import Responders, Tell, to_nobody
from mss.directory.sources import AddressSource, FileSource, Kept, KeptByOthers, Source
from mss.mail.bell import Bell
from mss.mail.clamd import Loopback, Unix, Where
from mss.mail.delivery import Delivery
from mss.mail.dispatch import Dispatch
from mss.mail.holding import Holder
from mss.mail.peers import TrustGate, told_of_responder
from mss.mail.queue import QueuePutter
from mss.mail.recipients import House, Recipients
from mss.mail.retention import Rules as KeepingRules
from mss.mail.screening import ClamdScreening, NoScreening, Screening
from mss.mail.testmailbox import TestMailbox
from mss.mail.vigil import Budget, Vigil
from mss.model.clock import Chance, Clock, SystemChance, SystemClock
from mss.model.errors import BadValue
from mss.model.ids import MailAddress
from mss.model.mailbox import MailboxKind
from mss.sections import Antivirus, Relay, Tls
from mss.store.blobs import BodyStore, LocalBodies, ObjectBodies
from mss.store.changes import ACCOUNT, DUTY, TASK, TOPICS, ChangeBus
from mss.store.database import Store
from mss.store.sealing import Sealer
from mss.vault.opener import Opener

HEARS = {"edge": (ACCOUNT,), "works": (TASK, DUTY)}
"""Which changes a process wants to be told of: each telling wakes it, and a mail is told of. The others hear all."""


@dataclass(frozen=True, slots=True)
class Foundation:
    """Shared by every room of one process. Holds public keys only."""

    config: Config
    clock: Clock
    chance: Chance
    store: Store
    bodies: BodyStore
    bus: ChangeBus
    public: PublicKeys
    house: House
    recipients: Recipients
    sealer: Sealer
    delivery: Delivery
    putter: QueuePutter
    dispatch: Dispatch
    vigil: Vigil
    holder: Holder
    screening: Screening
    test_mailbox: TestMailbox

    async def close(self) -> None:
        """Finish what is being written and let go."""
        self.bus.close()
        await self.store.close()

    def private(self) -> PrivateKeys:
        """The private keys of the house: desk, works and commands only."""
        return load_private(self.config.keys_dir, self.chance)

    def opener(self, keys: PrivateKeys) -> Opener:
        return Opener(self.store, self.bodies, keys.wrapper, self.clock, self.chance)


async def lay(config: Config, name: str, *, hears: bool = True) -> Foundation:
    """Build for a process called `name`. `hears` False: a command, which tells but does not listen."""
    clock, chance = SystemClock(), SystemChance()
    public = load_public(config.keys_dir)
    store = Store.open(config.url)
    bodies = _bodies(config)
    bus = ChangeBus(name, run_directory(config), HEARS.get(name, TOPICS))
    if hears:
        await bus.start()
    house = house_of(config)
    recipients = Recipients(store, public.lookup, house, clock)
    sealer = Sealer(clock, chance)
    delivery = Delivery(store, bodies, public, sealer, bus, clock, chance)
    putter = QueuePutter(bodies, public, clock, chance)
    holder = Holder(public, clock, chance)
    budget = Budget(config.relay.unreachable_share_max, config.relay.unreachable_max)
    vigil = Vigil(house, budget, Bell(store, public, bus, clock, chance).ring, clock, chance)
    dispatch = Dispatch(house, store, recipients, delivery, putter, public.lookup, bus, clock, holder, vigil)
    return Foundation(
        config=config,
        clock=clock,
        chance=chance,
        store=store,
        bodies=bodies,
        bus=bus,
        public=public,
        house=house,
        recipients=recipients,
        sealer=sealer,
        delivery=delivery,
        putter=putter,
        dispatch=dispatch,
        vigil=vigil,
        holder=holder,
        screening=screening_of(config, clock),
        test_mailbox=TestMailbox(house.test_mailbox, store, public, bus, clock, chance),
    )


def own_mailboxes(ground: Foundation) -> OwnMailboxes:
    """What is said of this operator's mailboxes in the directory."""
    return OwnMailboxes(ground.store, ground.public.lookup, ground.public.tasks, ground.clock, ground.chance)


def screening_of(config: Config, clock: Clock) -> Screening:
    """The antivirus, when one is configured."""
    section = config.antivirus
    return NoScreening() if section is None else ClamdScreening(clamd_of(section), section.scan_s_max, clock)


def clamd_of(section: Antivirus) -> Where:
    """Where clamd listens."""
    if section.socket is not None:
        return Unix(section.socket)
    assert section.tcp is not None, "the settings name one of the two"
    return Loopback(section.tcp.host, section.tcp.port)


def house_of(config: Config) -> House:
    """What mail needs to know of this operator."""
    return House(
        host=config.host,
        domains=frozenset(config.domains),
        patient_domain=config.patient_domain,
        accepts_test_identities=config.accepts_test_identities,
        postmaster=MailAddress.parse(config.postmaster),
        unreachable_delay_max_s=config.relay.unreachable_delay_max_s,
        software=config.software_reference,
        test_mailbox=MailAddress.parse(config.relay.test_mailbox) if config.relay.test_mailbox else None,
    )


def trust_gate(config: Config, clock: Clock, *, fetches: bool = False, tells: bool = True) -> TrustGate:
    """The trust list and revocations of this process. `fetches`: it asks addresses and keeps what is good; the others
    read what it kept. `tells` False: a command, which has no journal and leaves no file. Raises BadValue without
    authorities."""
    authorities = health_authorities(config)
    revocations = revocation_feed(config, clock, fetches=fetches, writes=tells)
    current = (lambda: revocations.current) if revocations else RevocationLists
    tell = told_of_responder if tells else to_nobody
    source = list_source(config, clock, fetches=fetches)
    feed = trust_feed(config, clock, source, kept_list(config, writes=tells), revoked=current, tell=tell)
    responders = responders_of(config, clock, current, tell)
    gate = TrustGate(feed, revocations, Examiner(authorities), clock, responders)
    if fetches:
        gate.recall()  # addresses are asked in the background: a source that is away delays no start
    else:
        gate.refresh(tells=tells)
    return gate


def revocation_feed(config: Config, clock: Clock, *, fetches: bool, writes: bool) -> RevocationFeed | None:
    """The revocation lists; None where none are read. `fetches`, `writes` False: reads what others keep of addresses.
    Software's authorities have theirs among them. Raises BadValue without authorities."""
    relay = config.relay
    sources: list[Source] = [FileSource(path) for path in relay.revocation_lists]
    kept: list[Kept | None] = [None] * len(sources)
    for number, url in enumerate(relay.revocation_urls):
        place = (Kept if writes else KeptByOthers)(config.state_dir / "trust" / f"revocation-{number}.crl")
        sources.append(AddressSource(url, _fetch_tls(config), clock) if fetches else FileSource(place.path))
        kept.append(place)
    return RevocationFeed(sources, software_authorities(config), kept) if sources else None


def software_authorities(config: Config) -> tuple[x509.Certificate, ...]:
    """Who issues operators' certificates, and those of software at any of our doors. Raises BadValue."""
    doors = (config.submission, config.imap, config.fhir)
    files = {door.client_authorities for door in doors if door is not None and door.client_authorities is not None}
    found = list(health_authorities(config))
    for path in sorted(files):
        try:
            found += load_certificates(path.read_bytes())
        except OSError as problem:
            raise BadValue(f"client_authorities: {path}: {problem.strerror}") from problem
    return tuple(dict.fromkeys(found))


def shown_certificates(config: Config, clock: Clock, lists: Callable[[], RevocationLists | None]) -> Shown:
    """The judge of certificates that software signs in with. Raises BadValue."""
    authorities = software_authorities(config)
    responders = responders_of(config, clock, lambda: lists() or RevocationLists(), told_of_responder, authorities)
    return ShownCertificates(Examiner(authorities), lists, clock, responders).subject


def responders_of(
    config: Config,
    clock: Clock,
    lists: Callable[[], RevocationLists],
    tell: Tell = to_nobody,
    others: Sequence[x509.Certificate] = (),
) -> Responders | None:
    """Who is asked about certificates, of `others` too where they name somebody; None where nobody is. Raises BadValue
    without authorities."""
    if not config.relay.ocsp:
        return None
    url = config.relay.ocsp_responder
    return Responders(health_authorities(config), clock, url=url, others=others, lists=lists, tell=tell)


@dataclass(frozen=True, slots=True)
class OperatorCertificate:
    """One that we show to other operators."""

    where: str
    """The setting that names it."""
    tls: Tls
    domains: tuple[str, ...]
    """Ours whose mail leaves under it; it should be listed for them."""


def operator_certificates(config: Config) -> tuple[OperatorCertificate, ...]:
    """All of them, the usual one first: it speaks for each domain that has none of its own."""
    more = config.relay.more_tls
    others = {domain for tls in more for domain in tls.domains}
    usual = tuple(domain for domain in config.domains if domain not in others)
    named = (OperatorCertificate(f"relay.more_tls[{n}]", tls, tls.domains) for n, tls in enumerate(more, 1))
    return OperatorCertificate("relay.tls", config.relay.tls, usual), *named


def certificates(config: Config) -> Iterator[tuple[str, Tls]]:
    """Every certificate of every door, with the setting that names it."""
    yield from ((one.where, one.tls) for one in operator_certificates(config))
    doors = (("submission", config.submission), ("imap", config.imap), ("ldap", config.ldap), ("web", config.web))
    for name, section in doors:
        if section is not None and section.tls is not None:
            yield f"{name}.tls", section.tls
            yield from ((f"{name}.more_tls[{number}]", tls) for number, tls in enumerate(section.more_tls, 1))
    yield from ((f"sinks.{name}.tls", sink.tls) for name, sink in config.sinks.items() if sink.tls is not None)


def standing_rules(config: Config) -> Rules:
    """When somebody for whom nobody vouches is told, suspended, closed."""
    section = config.directory
    days = (section.overdue_grace_days, section.staff_check_days, section.close_after_days)
    return Rules(*(timedelta(days=count) for count in days))


def retention_rules(config: Config) -> KeepingRules:
    """How long mail is kept; nothing set: for ever."""
    section = config.retention
    trash, junk = (None if days is None else timedelta(days=days) for days in (section.trash_days, section.junk_days))
    boxes = {MailboxKind(kind): timedelta(days=days) for kind, days in section.mailbox_days.items()}
    return KeepingRules(trash, junk, boxes)


def health_authorities(config: Config) -> tuple[x509.Certificate, ...]:
    """Who issues operators' certificates. Raises BadValue."""
    path = config.relay.authorities
    try:
        return load_certificates(path.read_bytes())
    except OSError as problem:
        raise BadValue(f"relay.authorities: {path}: {problem.strerror}") from problem


def trust_feed(
    config: Config,
    clock: Clock,
    source: Source,
    kept: Kept | None,
    *,
    revoked: Callable[[], RevocationLists] = RevocationLists,
    tell: Tell = to_nobody,
) -> TrustFeed:
    """The trust list as this operator wants it signed and kept. Raises BadValue."""
    authorities = health_authorities(config)
    return TrustFeed(
        source,
        ListTrust(authorities, authorities, config.relay.trust_list_signers),
        clock,
        FeedLimits(
            age_s_max=config.relay.trust_list_age_hours_max * HOUR_S,
            shrink_share_max=config.relay.trust_list_shrink_share_max,
        ),
        kept=kept,
        revocations=revoked,
        responders=None if kept is None else responders_of(config, clock, revoked, tell),
    )


def routes_of(relay: Relay) -> dict[str, tuple[str, int] | None]:
    """Static routes; without MX there is no way to any other domain."""
    routes: dict[str, tuple[str, int] | None] = {domain: (at.host, at.port) for domain, at in relay.routes.items()}
    return routes if relay.look_up_mx else routes | {"*": None}


def kept_list(config: Config, *, writes: bool = True) -> Kept:
    """Where the last good trust list outlives the processes. It is public, so not sealed. `writes` False: for whoever
    only looks."""
    return (Kept if writes else KeptByOthers)(config.state_dir / "trust" / "list.xml")


def list_source(config: Config, clock: Clock, *, fetches: bool) -> Source:
    """Where the list comes from: a file of somebody else, an address, or what another process kept of it."""
    if config.relay.trust_list is not None:
        return FileSource(config.relay.trust_list)
    if fetches:
        return AddressSource(config.relay.trust_list_url, _fetch_tls(config), clock)
    return FileSource(kept_list(config).path)


def _fetch_tls(config: Config) -> SSLContext:
    path = config.relay.trust_list_authorities or config.relay.authorities
    try:
        return fetch_context(path)
    except BadValue as problem:
        raise BadValue(f"relay.trust_list_authorities: {path}: {problem}") from problem


def _bodies(config: Config) -> BodyStore:
    if not config.bodies_url:
        return LocalBodies(config.state_dir / "bodies")
    return ObjectBodies.at(config.bodies_url)
