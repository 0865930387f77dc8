"""What is each process made of, and which keys does it get? The one place that joins everything.

`python -m mss.assembly SETTINGS NAME ROLE…` is one process; the supervisor starts it. Doors and rooms are imported by
the process that needs them: the edge loads no page and no parser, and is never handed a private key.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from mss import foundation
from mss.config import Config, Listen, Tls, load
from mss.crypto.keys import PrivateKeys
from mss.crypto.tls import TlsHolder, relay_client_context, relay_server_context, service_server_context
from mss.foundation import Foundation
from mss.mail.peers import TrustGate
from mss.model.errors import BadValue, MssError
from mss.model.ids import MailAddress
from mss.supervisor import READY_FD, die_with_parent
from mss.vault.opener import Opener

log = structlog.get_logger("assembly")

if TYPE_CHECKING:
    from mss.sandbox.pool import Sandbox
    from mss.smtp.submission import Attempt, Authenticate

Reload = Callable[[], None]


class Process:
    """One process while it is put together: what must be closed in the end, what is read again on SIGHUP."""

    def __init__(self, ground: Foundation, roles: list[str]) -> None:
        self.ground = ground
        self.config = ground.config
        self.roles = roles
        self.stack = AsyncExitStack()
        self.reloads: list[Reload] = []
        self.background: list[asyncio.Task[None]] = []

    def keep(self, work: Awaitable[None]) -> None:
        """Run something for as long as the process lives."""
        task = asyncio.ensure_future(work)
        self.background.append(task)
        self.stack.push_async_callback(_cancelled, task)

    def sandbox(self) -> Sandbox:
        """Workers in which strangers' bytes are parsed; started before any private key is read."""
        from mss.sandbox.pool import Sandbox

        workers = 1 if self.config.web is None else self.config.web.sandbox_workers
        sandbox = Sandbox(workers=workers)
        sandbox.start()
        self.stack.callback(sandbox.close)
        return sandbox

    def gate(self) -> TrustGate:
        """The trust list, kept fresh."""
        gate = foundation.trust_gate(self.config, self.ground.clock)
        self.reloads.append(gate.refresh)
        self.keep(gate.keep_fresh())
        return gate

    def service_tls(self, tls: Tls, authorities: Path | None) -> TlsHolder:
        """The context of a door for our own users, read again on SIGHUP."""
        holder = TlsHolder(lambda: service_server_context(tls.certificate, tls.key, authorities))
        self.reloads.append(holder.reload)
        return holder


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def edge(process: Process) -> None:
    """Relay in, submission. Public keys only: what it takes in, it cannot read again."""
    if "relay-in" in process.roles and process.config.relay.listen is not None:
        await _relay_in(process, process.config.relay.listen)
    if "submission" in process.roles and process.config.submission is not None:
        await _submission(process)


async def _relay_in(process: Process, listen: Listen) -> None:
    from mss.mail.intake import Intake
    from mss.smtp.limits import Limits
    from mss.smtp.server import RelayServer

    ground, relay = process.ground, process.config.relay
    gate = process.gate()
    holder = TlsHolder(lambda: relay_server_context(relay.tls.certificate, relay.tls.key, relay.authorities))
    process.reloads.append(holder.reload)
    server = RelayServer(
        hostname=process.config.host,
        tls=lambda: holder.current,
        judge=gate,
        reception=Intake(ground.house, gate, ground.recipients, ground.delivery, ground.chance),
        clock=ground.clock,
        limits=Limits(connections_per_address_max=relay.connections_per_peer_max),
        postmaster=ground.house.postmaster,
    )
    await server.start(listen.host, listen.port)
    process.stack.push_async_callback(server.stop)


async def _submission(process: Process) -> None:
    from mss.mail.submit import Submission
    from mss.smtp.submission import SubmissionServer

    ground, section = process.ground, process.config.submission
    assert section is not None
    gate = process.gate()
    reception = Submission(
        ground.house,
        ground.recipients,
        ground.dispatch,
        ground.public.lookup,
        gate.is_trusted,
        ground.clock,
        ground.chance,
    )
    holder = process.service_tls(section.tls, section.client_authorities)
    for listen, is_implicit in ((section.starttls, False), (section.implicit_tls, True)):
        if listen is None:
            continue
        server = SubmissionServer(
            hostname=process.config.host,
            tls=lambda: holder.current,
            authenticate=_mail_login(ground),
            reception=reception,
            clock=ground.clock,
            postmaster=ground.house.postmaster,
            is_tls_from_start=is_implicit,
        )
        await server.start(listen.host, listen.port)
        process.stack.push_async_callback(server.stop)


def _mail_login(ground: Foundation) -> Authenticate:
    """How a login of the submission door becomes a peer."""
    from mss.accounts.software import SoftwareLogin
    from mss.crypto.certs import load_der, read
    from mss.mail.reception import Peer
    from mss.smtp.submission import EXTERNAL

    login = SoftwareLogin(ground.store, ground.public.lookup, ground.clock, ground.chance)

    async def authenticate(attempt: Attempt) -> Peer | None:
        name = attempt.username
        if attempt.mechanism == EXTERNAL:
            if attempt.certificate_der is None:
                return None
            name = str(read(load_der(attempt.certificate_der)).subject)
            owner = await login.certificate(name)
        else:
            owner = await login.application_password(attempt.username, attempt.secret)
        if owner is None:
            return None
        return Peer(f"login:{owner}", account=owner, remote_address=attempt.remote_address, helo=attempt.helo)

    return authenticate


async def desk(process: Process) -> None:
    """IMAP, web. Opens what its users may read."""
    sandbox = process.sandbox() if "web" in process.roles and process.config.web is not None else None
    keys = process.ground.private()
    opener = process.ground.opener(keys)
    if "imap" in process.roles and process.config.imap is not None:
        await _imap(process, opener)
    if sandbox is not None:
        await _web(process, sandbox, keys, opener)


async def _imap(process: Process, opener: Opener) -> None:
    from mss.accounts.software import SoftwareLogin
    from mss.imap.mailacts import CellarMailStore
    from mss.imap.people import MailLogin
    from mss.imap.server import ImapServer
    from mss.imap.state import Settings

    ground, section = process.ground, process.config.imap
    assert section is not None
    store = CellarMailStore(
        ground.store, opener, ground.bodies, ground.bus, ground.public.lookup, ground.clock, ground.chance
    )
    login = MailLogin(
        SoftwareLogin(ground.store, ground.public.lookup, ground.clock, ground.chance), ground.store, opener
    )
    holder = process.service_tls(section.tls, section.client_authorities)
    server = ImapServer(store, login.authenticate, ground.clock, Settings(process.config.host), holder)
    for listen, is_implicit in ((section.starttls, False), (section.implicit_tls, True)):
        if listen is not None:
            await server.listen(listen.host, listen.port, implicit_tls=is_implicit)
    process.stack.push_async_callback(server.close)


async def _web(process: Process, sandbox: Sandbox, keys: PrivateKeys, opener: Opener) -> None:
    from mss.accounts.login import Login
    from mss.accounts.passwords import Passwords
    from mss.accounts.profiles import Profiles
    from mss.accounts.sessions import Sessions
    from mss.mail.mailboxes import PatientInbox
    from mss.mail.replies import PatientReplies
    from mss.record.service import Records
    from mss.web.rooms import Rooms
    from mss.web.server import Listening, WebServer

    ground, section = process.ground, process.config.web
    assert section is not None
    store, lookup, clock, chance = ground.store, ground.public.lookup, ground.clock, ground.chance
    sessions = Sessions(store, lookup, clock, chance)
    rooms = Rooms(
        login=Login(store, lookup, keys.wrapper, sessions, Passwords(chance), clock, chance),
        sessions=sessions,
        profiles=Profiles(store),
        opener=opener,
        inbox=PatientInbox(store, opener, clock),
        replies=PatientReplies(ground.house, store, opener, ground.delivery, ground.dispatch, clock, chance),
        records=Records(store, opener, ground.bodies, lookup, clock, chance),
        sandbox=sandbox,
        lookup=lookup,
        clock=clock,
        chance=chance,
        site_name=section.site_name or process.config.name,
    )
    http, http_also = (None if at is None else Listening(at.host, at.port) for at in (section.http, section.http_also))
    https = None
    if section.https is not None and section.tls is not None:
        https = Listening(section.https.host, section.https.port, process.service_tls(section.tls, None))
    server = WebServer(rooms, http=http, https=https, http_also=http_also, pages_on_http=section.serve_pages_on_http)
    await server.start()
    process.stack.push_async_callback(server.stop)


async def works(process: Process) -> None:
    """Runner with bridge and notices, courier. Opens what it must file or send."""
    sandbox = process.sandbox() if "runner" in process.roles else None
    keys = process.ground.private()
    if sandbox is not None:
        _runner(process, sandbox, keys)
    if "relay-out" in process.roles:
        _relay_out(process, keys)


def _runner(process: Process, sandbox: Sandbox, keys: PrivateKeys) -> None:
    from mss.bridge.cases import Cases
    from mss.bridge.filing import Filing
    from mss.bridge.reading import Reader
    from mss.mail.conversations import Conversations
    from mss.mail.submit import HouseMail
    from mss.notices.compose import House
    from mss.notices.send import Notices
    from mss.record.service import Records
    from mss.runner import Runner

    ground = process.ground
    store, lookup, clock, chance = ground.store, ground.public.lookup, ground.clock, ground.chance
    opener = ground.opener(keys)
    records = Records(store, opener, ground.bodies, lookup, clock, chance)
    cases = Cases(store, opener, Reader(sandbox, chance), records, ground.house, clock)
    conversations = Conversations(lookup, clock, chance)
    filing = Filing(store, opener, ground.public, cases, records, conversations, ground.bus, clock, chance)
    mail = HouseMail(ground.house, ground.dispatch)
    writer = MailAddress("ne-pas-repondre", ground.house.patient_domain or process.config.domains[0])
    notices = Notices(House(ground.house.host, writer), store, opener, keys, lookup, mail, clock)
    runner = Runner(store, ground.bus, clock, f"works-{os.getpid()}", {**filing.handlers, **notices.handlers})
    process.keep(runner.run())


def _relay_out(process: Process, keys: PrivateKeys) -> None:
    """The courier, with the trust list of its own process."""
    from mss.mail.queue import QueueTaker
    from mss.notices.outcomes import CourierNotes
    from mss.notices.send import FailureDuties
    from mss.smtp.courier import Courier, Errand
    from mss.smtp.routes import Signposts

    ground, relay = process.ground, process.config.relay
    clock, chance = ground.clock, ground.chance
    holder = TlsHolder(lambda: relay_client_context(relay.tls.certificate, relay.tls.key, relay.authorities))
    process.reloads.append(holder.reload)
    errand = Errand(
        hostname=process.config.host,
        tls=lambda: holder.current,
        trust=process.gate(),
        signposts=Signposts({domain: (at.host, at.port) for domain, at in relay.routes.items()}, chance),
        outcomes=CourierNotes(FailureDuties(ground.public.tasks, clock, chance), clock),
    )
    taker = QueueTaker(ground.store, ground.bodies, keys.outbound, clock, f"works-{os.getpid()}")
    courier = Courier(taker, ground.putter, errand, clock)
    ground.bus.on_task(courier.wake)
    process.keep(courier.run())
    process.stack.push_async_callback(courier.stop)


PARTS: dict[str, Callable[[Process], Awaitable[None]]] = {"edge": edge, "desk": desk, "works": works}


async def run(config: Config, name: str, roles: list[str]) -> None:
    """Be one process until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    ground = await foundation.lay(config, name)
    process = Process(ground, roles)
    async with process.stack:
        process.stack.push_async_callback(ground.close)
        await PARTS[name](process)
        loop.add_signal_handler(signal.SIGHUP, lambda: _reload(process))
        _say_ready()
        process.keep(_watch_store(ground, stopping))
        await _until(stopping, process.background)


async def _until(stopping: asyncio.Event, background: list[asyncio.Task[None]]) -> None:
    """Until a signal, or until something ended that must not: the supervisor then starts this process afresh."""
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait([waiting, *background], return_when=asyncio.FIRST_COMPLETED)
    for task in background:
        if task.done() and not task.cancelled() and task.exception() is not None:
            log.error("background.died", error=type(task.exception()).__name__)
    waiting.cancel()


async def _watch_store(ground: Foundation, stopping: asyncio.Event) -> None:
    """A store whose sync failed acknowledges nothing any more: end, and be started on a fresh look at the disk."""
    while not ground.store.failed:  # noqa: ASYNC110 — set by the writer's thread, which knows no loop
        await asyncio.sleep(1.0)
    log.error("store.failed")
    stopping.set()


def _reload(process: Process) -> None:
    for reload in process.reloads:
        try:
            reload()
        except MssError as problem:  # the old certificate or list stays
            log.error("reload.refused", reason=str(problem))


def _say_ready() -> None:
    descriptor = os.environ.pop(READY_FD, "")
    if descriptor:
        os.write(int(descriptor), b"1")
        os.close(int(descriptor))


def main() -> None:
    """Entry point of a child process."""
    path, name, *roles = sys.argv[1:]
    die_with_parent()
    os.umask(0o077)
    try:
        config = load(Path(path))
        log_to_stderr(config.log_level, name)
        asyncio.run(run(config, name, roles))
    except (BadValue, OSError) as problem:
        raise SystemExit(f"mss {name}: {problem}") from problem


def log_to_stderr(level: str, name: str) -> None:
    """JSON lines with ids and reasons; never names, subjects, bodies, INS."""
    import logging

    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(process=name)


if __name__ == "__main__":
    main()
