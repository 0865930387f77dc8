"""How does mail leave for other operators?

Takes what is due from the queue under a lease, carries it to a host whose certificate the trust list names for the
recipient's domain, and ends each row with a result: relayed, failed (its sender is owed a notice), or put off. There is
no way to a domain outside the trust list. Each domain has its own few connections, kept while there is mail for it,
so that a host that is dead or slow keeps nobody else waiting. One that lies idle is used for another domain at the same
host, if its certificate is right for that one too.

If we die between the other server's 250 and our own note of it, the mail goes out again; whoever receives it knows
it already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from mss.mail import letters
from mss.mail.queue import LEASE_S, Outgoing, QueuePutter, QueueTaker
from mss.model.clock import Clock
from mss.model.errors import Malformed, NotFound, SealBroken, StorageUnavailable
from mss.model.verdict import Accept, Reason, Refuse, Verdict
from mss.smtp import journal
from mss.smtp.blocks import fault_of_outgoing
from mss.smtp.destination import Destination, Pace
from mss.smtp.identities import Harbour, Identities, Identity, Links
from mss.smtp.link import Link, LinkFailed, Patience
from mss.smtp.outcome import Sent, Setback
from mss.smtp.routes import Host, NoRoute, Signposts
from mss.smtp.settling import Outcomes, Settling, all_later, all_refused
from mss.store.tasks import Queued

CLAIM_MAX = 50
"""Rows leased in one look at the queue."""
POLL_MIN_S = 1.0
POLL_MAX_S = 15.0
"""A hint may be lost: look again this often, less often while there is nothing."""
MENDED_BY_A_DELIVERY = (Reason.PEER_UNREACHABLE, Reason.PEER_CERTIFICATE_WRONG, Reason.OUR_CERTIFICATE_REFUSED)
"""What keeps every mail from a host, and is over when one got there."""
SCAN_IN_THREAD_OCTETS = 1024 * 1024
"""A larger message is looked through in a thread: the loop has others to serve."""


class TrustSpace(Protocol):
    """Who may get mail, and whose certificate may answer: `mail/peers.py: TrustGate`."""

    def domain(self, domain: str) -> Verdict: ...

    async def inquire(self, certificate_der: bytes) -> None: ...

    def server(self, domain: str, certificate_der: bytes) -> Verdict: ...


@dataclass(frozen=True, slots=True)
class Errand:
    """What the courier needs to know of the house."""

    hostname: str
    """How we introduce ourselves."""
    identities: Identities
    """Our certificates, by the domain whose mail leaves."""
    trust: TrustSpace
    signposts: Signposts
    outcomes: Outcomes


class Courier:
    """Runs in works. One for each process; several processes share a queue by its leases."""

    def __init__(
        self,
        queue: QueueTaker,
        putter: QueuePutter,
        errand: Errand,
        clock: Clock,
        *,
        pace: Pace | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._queue = queue
        self._errand = errand
        self._settling = Settling(queue, putter, errand.outcomes, clock)
        self._clock = clock
        self._pace = pace or Pace()
        self._patience = patience or Patience()
        self._slots = asyncio.Semaphore(self._pace.connections_max)
        self._destinations: dict[str, Destination] = {}
        self._harbour = Harbour()
        self._awake = asyncio.Event()
        self._more_may_wait = False
        self._is_stopping = False

    # --- the round ---

    async def run(self) -> None:
        """Carry mail until `stop`."""
        renewing = asyncio.create_task(self._renew_leases())
        pause_s = POLL_MIN_S
        try:
            while not self._is_stopping:
                self._awake.clear()
                taken = await self._take()
                if taken >= CLAIM_MAX:
                    continue
                was_woken = await self._rest(pause_s)
                pause_s = POLL_MIN_S if taken or was_woken else min(pause_s * 2, POLL_MAX_S)
        except asyncio.CancelledError:
            self._cut()
            raise
        finally:
            renewing.cancel()

    def wake(self) -> None:
        """There may be something due: called on a hint, as often as anybody likes."""
        self._awake.set()

    async def stop(self, grace_s: float = 10.0) -> None:
        """Finish what is being sent, give back what waits; `run` ends."""
        self._is_stopping = True
        self._awake.set()
        for destination in list(self._destinations.values()):
            await self._give_back(destination, Reason.SHUTTING_DOWN.value)
        for destination in list(self._destinations.values()):
            destination.send_idle_home()
        working = [task for destination in self._destinations.values() for task in destination.workers]
        if working:
            await asyncio.wait(working, timeout=grace_s)
        self._cut()

    def _cut(self) -> None:
        for destination in list(self._destinations.values()):
            destination.cut()

    async def _take(self) -> int:
        """Lease some rows and hand them to their destinations; how many."""
        room = self._pace.rows_max - sum(destination.rows for destination in self._destinations.values())
        busy = self._not_now()
        self._more_may_wait = bool(busy) or room < CLAIM_MAX
        if room <= 0:
            return 0
        try:
            rows = await self._queue.claim(min(room, CLAIM_MAX), without=busy)
        except StorageUnavailable as problem:
            journal.stumbled("claim", problem)
            return 0
        held = {(row.owner, row.id) for destination in self._destinations.values() for row in destination.leased()}
        for row in rows:
            if (row.owner, row.id) not in held:  # after a jump of the clock we may lease again what we are sending
                self._destination(row.next_hop).add(row)
        return len(rows)

    def _not_now(self) -> Collection[str]:
        """Domains that have enough waiting, or whose host did not answer a moment ago."""
        now_s = self._clock.monotonic_s()
        return [name for name, destination in self._destinations.items() if not destination.wants_more(now_s)]

    def _destination(self, next_hop: str) -> Destination:
        if next_hop not in self._destinations:
            known = Destination(next_hop, self._pace, self._slots, self._harbour, self._carry, self._freed)
            self._destinations[next_hop] = known
        return self._destinations[next_hop]

    def _freed(self, destination: Destination) -> None:
        """A destination has room again, or nothing to do any more."""
        if destination.is_forgettable(self._clock.monotonic_s()):
            self._destinations.pop(destination.name, None)
        if self._more_may_wait and destination.is_running_dry():
            self._awake.set()

    async def _rest(self, pause_s: float) -> bool:
        """Until a hint, or until it is time to look; True for a hint."""
        try:
            due = await self._queue.next_due()
        except StorageUnavailable:
            due = None
        if due is not None and (wait_s := (due - self._clock.now()).total_seconds()) > 0:
            pause_s = max(POLL_MIN_S, min(wait_s, POLL_MAX_S))
        try:
            async with asyncio.timeout(pause_s):  # wait_for of Python 3.11 may lose a cancellation
                await self._awake.wait()
        except TimeoutError:
            return False
        return True

    async def _renew_leases(self) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 3)
            for destination in list(self._destinations.values()):
                for row in destination.leased():
                    try:
                        if not await self._queue.renew(row):
                            destination.drop(row)
                    except StorageUnavailable as problem:
                        journal.stumbled("renew", problem)

    # --- one row ---

    async def _carry(self, destination: Destination, row: Queued, links: Links) -> None:
        """Send one row, over a connection of `links` that fits it, or a new one that is kept there for the next."""
        try:
            mail = await self._queue.load(row)
        except (NotFound, SealBroken) as problem:
            await self._settling.park(row, problem)
            return
        try:
            if not await self._may_leave(mail):
                return
            identity = self._errand.identities.of(await self._speaks_for(mail))
            link, sent = await self._send(destination, mail, identity, links.take(identity))
        except LinkFailed as problem:
            if self._concerns_one_certificate(problem.setback):
                await self._settling.settle(mail, all_later(mail, problem.setback, row.next_hop))
                return
            destination.rest(self._clock.monotonic_s())
            await self._settling.settle(mail, all_later(mail, problem.setback, row.next_hop))
            await self._give_back(destination, problem.setback.told)
            return
        is_back = destination.works()
        try:
            await self._settling.settle(mail, sent)
            if is_back:
                await self._bring_forward(row.next_hop)
        except BaseException:
            if link is not None:
                link.drop()
            raise
        if link is not None:
            await links.keep(identity, link)

    async def _give_back(self, destination: Destination, why: str) -> None:
        """Put off what waits there."""
        with destination.giving_back() as rows:
            for row in rows:
                await self._settling.put_off_untried(row, why)

    def _concerns_one_certificate(self, setback: Setback) -> bool:
        """Another certificate of ours may be welcome there: its mail goes on."""
        return setback.reason is Reason.OUR_CERTIFICATE_REFUSED and bool(self._errand.identities.of_domain)

    async def _bring_forward(self, next_hop: str) -> None:
        """Its host takes mail again: what waited for that need not wait for its own hour."""
        for reason in MENDED_BY_A_DELIVERY:
            if await self._queue.bring_forward(next_hop, reason.value):
                self._awake.set()

    async def _speaks_for(self, mail: Outgoing) -> str:
        """The domain of ours that peers will judge: MAIL FROM's, and of a report with the null sender From's."""
        if mail.envelope.sender is not None:
            return mail.envelope.sender.domain
        if not self._errand.identities.of_domain:
            return ""
        try:
            shown, _ = letters.read_addresses(await letters.scan(mail.raw), "from")
        except Malformed:
            return ""
        return shown[0].domain if shown else ""

    async def _may_leave(self, mail: Outgoing) -> bool:
        """Content that a door would refuse, and domains outside the trust space, end here."""
        large = len(mail.raw) > SCAN_IN_THREAD_OCTETS
        fault = await asyncio.to_thread(fault_of_outgoing, mail.raw) if large else fault_of_outgoing(mail.raw)
        if fault is not None:
            await self._settling.settle(mail, all_refused(mail, Setback(fault, "not-fit-to-leave")))
            return False
        for domain in _domains(mail):
            verdict = self._errand.trust.domain(domain)
            if not isinstance(verdict, Accept):
                await self._settling.settle(mail, _judged(mail, verdict, ""))
                return False
        return True

    async def _send(
        self, destination: Destination, mail: Outgoing, identity: Identity, link: Link | None
    ) -> tuple[Link | None, Sent]:
        """One attempt; on a kept connection that turns out to be dead, one more on a new one. Raises LinkFailed."""
        hosts: list[Host] | None = None
        if link is None or not link.is_open or not isinstance(await self._judge(mail, link), Accept):
            if link is not None:
                await link.close()
            hosts = await self._hosts(destination.name)
            link = await self._borrow(mail, identity, hosts)
        if link is not None:
            try:
                return link, await link.send(mail.envelope, mail.raw)
            except LinkFailed as problem:
                if problem.setback.why != "no-connection":
                    raise
        link = await self._open(mail, identity, hosts or await self._hosts(destination.name))
        verdict = await self._judge(mail, link)
        if not isinstance(verdict, Accept):
            await link.close()
            return None, _judged(mail, verdict, link.host.name)
        try:
            return link, await link.send(mail.envelope, mail.raw)
        except BaseException:
            link.drop()
            raise

    async def _hosts(self, domain: str) -> list[Host]:
        """Where its mail goes. Raises LinkFailed."""
        try:
            return await self._errand.signposts.hosts(domain)
        except NoRoute as problem:
            raise LinkFailed(Setback(Reason.PEER_UNREACHABLE, str(problem))) from problem

    async def _borrow(self, mail: Outgoing, identity: Identity, hosts: Sequence[Host]) -> Link | None:
        """A connection to one of these hosts that another domain's worker has no use for now, if the certificate that
        answered there is right for this mail's domains as well: that it was for the other's says nothing."""
        for host in hosts:
            for keeper, link in self._harbour.at(host, identity):
                verdict = await self._judge(mail, link)
                if not isinstance(verdict, Accept):
                    journal.not_shared(mail.row.id, mail.row.next_hop, host.name, verdict)
                elif keeper.lend(link):
                    return link
        return None

    async def _judge(self, mail: Outgoing, link: Link) -> Verdict:
        """Before each message, also on a connection that is open: a domain may have been struck off since."""
        await self._errand.trust.inquire(link.certificate_der)
        verdicts = (self._errand.trust.server(domain, link.certificate_der) for domain in _domains(mail))
        return next((verdict for verdict in verdicts if not isinstance(verdict, Accept)), Accept())

    async def _open(self, mail: Outgoing, identity: Identity, hosts: Sequence[Host]) -> Link:
        """The first host that answers with the right certificate. Raises LinkFailed with the last one's trouble."""
        trouble = Setback(Reason.PEER_UNREACHABLE, "no-host")
        for host in hosts:
            try:
                link = await Link.open(host, self._errand.hostname, identity.tls, self._patience)
            except LinkFailed as problem:
                trouble = problem.setback
                if trouble.reason is Reason.OUR_CERTIFICATE_REFUSED:
                    journal.our_certificate_refused(host.name, trouble.why)
                continue
            verdict = await self._judge(mail, link)
            if isinstance(verdict, Accept | Refuse):
                return link
            await link.close()
            trouble = Setback(verdict.reason, verdict.detail)
        raise LinkFailed(trouble)


def _domains(mail: Outgoing) -> set[str]:
    return {recipient.domain for recipient in mail.envelope.recipients}


def _judged(mail: Outgoing, verdict: Verdict, host: str) -> Sent:
    """A verdict of the trust space for the whole mail."""
    assert not isinstance(verdict, Accept)
    setback = Setback(verdict.reason, verdict.detail)
    return all_refused(mail, setback) if isinstance(verdict, Refuse) else all_later(mail, setback, host)
