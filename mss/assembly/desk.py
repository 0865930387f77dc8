"""The desk: IMAP and web. Opens what its users may read."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from mss import __version__
from mss.assembly.mailservers import mail_servers
from mss.assembly.process import Process
from mss.config import Config
from mss.crypto.keys import PrivateKeys
from mss.foundation import own_mailboxes
from mss.model.clock import Clock
from mss.model.errors import BadValue
from mss.sandbox.pool import Sandbox
from mss.sections import Ldap, Listen
from mss.vault.opener import Opener

if TYPE_CHECKING:
    from mss.accounts.passwords import Passwords
    from mss.accounts.sessions import Sessions
    from mss.fhir.server import Application
    from mss.foundation import Foundation
    from mss.web.discovery import Discovery
    from mss.web.rooms import Surgery


async def build(process: Process) -> None:
    """Open the doors of this process's roles."""
    sandbox = process.sandbox() if "web" in process.roles and process.config.web is not None else None
    keys = process.ground.private()
    opener = process.ground.opener(keys)
    if "imap" in process.roles and process.config.imap is not None:
        await _imap(process, opener)
    if "ldap" in process.roles and process.config.ldap is not None:
        await _ldap(process, process.config.ldap)
    if sandbox is not None:
        await _web(process, sandbox, keys, opener)
    if process.config.ops is not None:
        await _ops(process, process.config.ops)


async def _imap(process: Process, opener: Opener) -> None:
    from mss.accounts.knocks import Knocks
    from mss.accounts.software import SoftwareLogin
    from mss.accounts.teams import Teams
    from mss.imap.mailacts import CellarMailStore
    from mss.imap.people import MailLogin, TeamDesk
    from mss.imap.server import ImapServer
    from mss.imap.state import Settings

    ground, section = process.ground, process.config.imap
    assert section is not None
    store = CellarMailStore(
        ground.store, opener, ground.bodies, ground.bus, ground.public.lookup, ground.clock, ground.chance
    )
    software = SoftwareLogin(ground.store, ground.public.lookup, ground.clock, ground.chance)
    login = MailLogin(
        software, ground.store, opener, ground.clock, ground.chance, Knocks(ground.clock), shown=process.shown
    )
    holder = process.service_tls(section.tls, section.more_tls, section.client_authorities)
    desk = TeamDesk(Teams(ground.store, ground.bus, ground.clock), ground.store, opener, ground.public.lookup)
    server = ImapServer(
        store,
        login.authenticate,
        ground.clock,
        Settings(process.config.host),
        holder,
        review=login.review,
        members=desk,
    )
    for listen, is_implicit in ((section.starttls, False), (section.implicit_tls, True)):
        if listen is not None:
            await server.listen(listen.host, listen.port, implicit_tls=is_implicit)
    ground.bus.on_account(server.look_again)
    process.stack.push_async_callback(server.close)


async def _ldap(process: Process, section: Ldap) -> None:
    if find_spec("ldaptor") is None:
        raise BadValue("ldap: the address book wants ldaptor: pip install 'mss-server[ldap]', or take [ldap] out")
    from mss.accounts.slowdown import Budget
    from mss.accounts.software import SoftwareLogin
    from mss.directory.extras import Extras
    from mss.directory.search import Search
    from mss.ldap.book import Book
    from mss.ldap.names import Tree
    from mss.ldap.people import BookLogin
    from mss.ldap.server import Caps, LdapServer
    from mss.ldap.session import SEARCH_EVERY_S, SEARCHES_AT_ONCE, Rooms

    ground, tree = process.ground, Tree(section.base)
    software = SoftwareLogin(ground.store, ground.public.lookup, ground.clock, ground.chance)
    rooms = Rooms(
        book=Book(Search(ground.store), Extras(ground.store, ground.clock), tree),
        login=BookLogin(software, ground.store),
        tree=tree,
        clock=ground.clock,
        budget=Budget(ground.clock, burst=SEARCHES_AT_ONCE, interval_s=SEARCH_EVERY_S),
    )
    holder = process.service_tls(section.tls, section.more_tls, None)
    server = LdapServer(rooms, holder, caps=Caps(connections_per_address_max=section.connections_per_address_max))
    for listen, is_implicit in ((section.starttls, False), (section.implicit_tls, True)):
        if listen is not None:
            await server.listen(listen.host, listen.port, implicit_tls=is_implicit)
    ground.bus.on_account(server.look_again)
    process.stack.push_async_callback(server.close)


async def _web(process: Process, sandbox: Sandbox, keys: PrivateKeys, opener: Opener) -> None:
    from mss.accounts.departed import Departures
    from mss.accounts.login import Login
    from mss.accounts.passwords import Passwords
    from mss.accounts.profiles import Profiles
    from mss.accounts.sessions import Sessions
    from mss.assembly.triage import staff_desk
    from mss.directory.extras import Extras
    from mss.directory.search import Search
    from mss.mail.mailboxes import PatientInbox
    from mss.mail.replies import PatientReplies
    from mss.record.service import Records
    from mss.web.rooms import Rooms
    from mss.web.server import Listening, WebServer

    ground, section = process.ground, process.config.web
    assert section is not None
    store, lookup, clock, chance = ground.store, ground.public.lookup, ground.clock, ground.chance
    sessions, people, passwords = Sessions(store, lookup, clock, chance), Search(store), Passwords(chance)
    rooms = Rooms(
        login=Login(store, lookup, keys.wrapper, sessions, passwords, clock, chance),
        sessions=sessions,
        profiles=Profiles(store),
        opener=opener,
        inbox=PatientInbox(store, opener, clock),
        replies=PatientReplies(
            ground.house, store, opener, ground.delivery, ground.dispatch, clock, chance, ground.screening
        ),
        records=Records(store, opener, ground.bodies, lookup, clock, chance),
        sandbox=sandbox,
        lookup=lookup,
        clock=clock,
        chance=chance,
        site_name=section.site_name or process.config.name,
        gone=Departures(store, lookup).gone,
        extras=Extras(store, clock).of,
        verified_names=lambda addresses: people.names(addresses, clock.now()),
        known_names=people.titles,
        desk=staff_desk(ground, keys, opener, sandbox),
        surgery=_surgery(ground, keys, sessions, passwords),
    )
    http, http_also = (None if at is None else Listening(at.host, at.port) for at in (section.http, section.http_also))
    https = None
    if section.https is not None and section.tls is not None:
        fhir = process.config.fhir if "fhir" in process.roles else None
        holder = process.service_tls(section.tls, section.more_tls, fhir.client_authorities if fhir else None)
        https = Listening(section.https.host, section.https.port, holder)
    server = WebServer(
        rooms,
        http=http,
        https=https,
        http_also=http_also,
        pages_on_http=section.serve_pages_on_http,
        discovery=discovery_of(process.config, ground.clock),
        also={} if https is None else _fhir(process),
    )
    await server.start()
    process.stack.push_async_callback(server.stop)


def _surgery(ground: Foundation, keys: PrivateKeys, sessions: Sessions, passwords: Passwords) -> Surgery:
    """What stands behind the pages of professionals."""
    from mss.accounts.professionals import Professionals
    from mss.accounts.slowdown import Budget
    from mss.directory.search import Search
    from mss.web.directory import SEARCH_EVERY_S, SEARCHES_AT_ONCE
    from mss.web.rooms import Surgery

    store, clock = ground.store, ground.clock
    return Surgery(
        Professionals(store, ground.public.lookup, keys.wrapper, sessions, clock, ground.chance),
        passwords,
        Search(store),
        Budget(clock, burst=SEARCHES_AT_ONCE, interval_s=SEARCH_EVERY_S),
    )


def _fhir(process: Process) -> dict[str, Application]:
    """The directory for software, where the settings name it."""
    ground, section = process.ground, process.config.fhir
    if section is None or "fhir" not in process.roles:
        return {}
    from mss.accounts.software import SoftwareLogin
    from mss.directory.entries import Entries
    from mss.directory.extras import Extras
    from mss.directory.taking import Taking
    from mss.fhir.beside import Beside
    from mss.fhir.callers import Callers, Client
    from mss.fhir.cursor import Cursors
    from mss.fhir.directory import DirectoryDoor
    from mss.fhir.publishing import PublishingDoor
    from mss.fhir.server import PREFIX, FhirDoor
    from mss.formats.dn import DistinguishedName

    clients = [
        Client(
            name,
            one.token_file,
            DistinguishedName.parse(one.certificate) if one.certificate else None,
            frozenset(one.publishes),
        )
        for name, one in section.clients.items()
    ]
    software = SoftwareLogin(ground.store, ground.public.lookup, ground.clock, ground.chance)
    entries = Entries(ground.store)
    beside = Beside(Extras(ground.store, ground.clock), ground.clock)
    directory = DirectoryDoor(entries, Cursors(ground.public.lookup), beside)
    taking = Taking(ground.store, own_mailboxes(ground), ground.clock, frozenset(process.config.domains))
    publishing = PublishingDoor(taking, entries) if any(one.publishes for one in clients) else None
    callers = Callers(clients, software, process.shown)
    door = FhirDoor(directory, callers, version=__version__, publishing=publishing)
    return {PREFIX: door.application()}


def discovery_of(config: Config, clock: Clock) -> Discovery | None:
    """What mail programs are told, when there is something to tell; profiles are signed with the site's certificate."""
    from mss.crypto import cms
    from mss.web.discovery import Discovery

    servers, tls = mail_servers(config), None if config.web is None else config.web.tls
    if tls is None or not (servers.domains and servers.imap and servers.submission):
        return None
    return Discovery(servers, lambda plist: cms.sign(plist, tls.certificate.read_bytes(), tls.key.read_bytes()), clock)


async def _ops(process: Process, listen: Listen) -> None:
    """Numbers of the whole operator, asked of the store when they are scraped."""
    from mss.assembly.gauges import gauges, trust_gauges
    from mss.ops.server import OpsServer

    ground = process.ground
    server = OpsServer(
        listen.host,
        listen.port,
        build={"version": __version__, "store": ground.store.dialect},
        gauges=[*gauges(ground), *trust_gauges(ground)],
        is_ready=lambda: not ground.store.failed,
    )
    await server.start()
    process.stack.push_async_callback(server.stop)
