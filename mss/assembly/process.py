"""What does every process have: a beginning, things to close in the end, things to read again on SIGHUP."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import cached_property
from pathlib import Path
from ssl import SSLContext
from typing import TYPE_CHECKING

import structlog

from mss import foundation
from mss.config import Config
from mss.crypto.tls import TlsHolder, service_server_context
from mss.foundation import Foundation
from mss.mail.peers import TrustGate
from mss.model.clock import to_ms
from mss.model.errors import BadValue, MssError, StorageUnavailable
from mss.model.ids import LANES
from mss.sections import Tls
from mss.store import owners, powercut, restored

log = structlog.get_logger("assembly")

if TYPE_CHECKING:
    from mss.accounts.shown import Shown
    from mss.directory.feed import RevocationFeed
    from mss.sandbox.pool import Sandbox

Reload = Callable[[], None]

LISTS_LOOK_EVERY_S = 5.0
TLS_LOOK_EVERY_S = 5.0
"""How often the files of a certificate are looked at (a stat each): whoever renews need not think of a signal."""
STOP_S = 9
"""A process that was asked to finish ends, finished or not, also when nobody is left to end it (SIGALRM)."""


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

    def gate(self, *, fetches: bool = False) -> TrustGate:
        """The trust list, kept fresh; one process of an operator fetches it."""
        gate = foundation.trust_gate(self.config, self.ground.clock, fetches=fetches)
        self.reloads.append(lambda: _aside(gate.refresh))
        self.keep(gate.keep_fresh())
        return gate

    @cached_property
    def shown(self) -> Shown:
        """The judge of software's certificates, in a process without trust list; its lists are kept fresh."""
        clock = self.ground.clock
        feed = foundation.revocation_feed(self.config, clock, fetches=False, writes=False)
        if feed is None:
            return foundation.shown_certificates(self.config, clock, lambda: None)
        feed.refresh()
        self.reloads.append(lambda: _aside(feed.refresh))
        self.keep(_keep_lists_fresh(feed))
        return foundation.shown_certificates(self.config, clock, lambda: feed.current)

    def service_tls(self, tls: Tls, more: Sequence[Tls], authorities: Path | None) -> TlsHolder:
        """The context of a door for our own users, kept fresh."""
        files = [*files_of(tls, *more), *([] if authorities is None else [authorities])]
        pairs = [(one.certificate, one.key) for one in more]
        return self.tls(lambda: service_server_context(tls.certificate, tls.key, authorities, more=pairs), files)

    def tls(self, build: Callable[[], SSLContext], files: Sequence[Path]) -> TlsHolder:
        """A context that is read again on SIGHUP, and by itself when one of its files was replaced."""
        holder = TlsHolder(build, files)
        self.reloads.append(holder.reload)
        self.keep(_keep_tls_fresh(holder))
        return holder


def files_of(*certificates: Tls) -> list[Path]:
    """What is looked at for changes."""
    return [path for tls in certificates for path in (tls.certificate, tls.key)]


def _aside(work: Callable[[], object]) -> None:
    """In a thread: a look for lists may ask an address that is slow to answer."""
    asyncio.get_running_loop().run_in_executor(None, work)


async def _keep_tls_fresh(holder: TlsHolder) -> None:
    while True:
        await asyncio.sleep(TLS_LOOK_EVERY_S)
        try:
            if await asyncio.to_thread(holder.look):
                log.info("tls.reloaded")
        except BadValue as problem:  # the old one stays
            log.error("reload.refused", reason=str(problem))


async def _keep_lists_fresh(feed: RevocationFeed) -> None:
    """What is wrong with a list, the process that fetches it says."""
    while True:
        await asyncio.sleep(LISTS_LOOK_EVERY_S)
        await asyncio.to_thread(feed.refresh)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


Build = Callable[[Process], Awaitable[None]]


async def run(config: Config, name: str, roles: list[str], build: Build, say_ready: Callable[[], None]) -> None:
    """Be one process until SIGTERM or SIGINT. `build` joins its doors and rooms."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    ground = await foundation.lay(config, name)
    process = Process(ground, roles)
    async with process.stack:
        process.stack.push_async_callback(ground.close)
        await _look_at_tables(ground)
        if await powercut.note_start(ground.store, powercut.boot_id()):
            log.info("store.machine-was-off")
        if await restored.note_file(ground.store, config.url, to_ms(ground.clock.now())):
            log.warning("store.was-put-back")
        await build(process)
        loop.add_signal_handler(signal.SIGHUP, lambda: _reload(process))
        log.info("process.ready", cpu_s=round(time.process_time(), 2))
        say_ready()
        process.keep(_watch_store(ground, stopping))
        await _until(stopping, process.background)
        signal.alarm(STOP_S)


async def _look_at_tables(ground: Foundation) -> None:
    """Say at the start, not at the first mail, that there is no store. Raises BadValue."""
    try:
        lanes = await ground.store.read(owners.lanes_of_installation)
    except StorageUnavailable as problem:
        raise BadValue(f"no tables ({problem}): check database_url, then mss db upgrade") from problem
    if lanes != LANES:
        raise BadValue(f"this database has {lanes} lanes, this program {LANES}: mss db upgrade, or another program")


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
