"""Who is at the relay's door, and may it speak? The trust list, the certificate and the clock, asked each time.

The judge is `directory/trust`; this gathers its facts. A yes is remembered only for the very same question, list and
examination, and never past the list's age: a domain that is struck off, or a certificate that is revoked, is refused
on its next message in a running session. Where responders are asked, `peer` and `inquire` ask them; the other questions
are answered from what is known.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

import structlog

from mss.crypto.certs import Examination, Purpose
from mss.crypto.examiner import Examiner
from mss.crypto.revocation import ListsAndAnswers, RevocationLists, Revocations
from mss.directory import trust
from mss.directory.feed import Refresh, RevocationFeed, TrustFeed
from mss.directory.responders import Responders
from mss.directory.trust import ListFacts, TrustView, differences
from mss.formats.dn import DistinguishedName
from mss.mail.reception import Peer
from mss.model.clock import Clock
from mss.model.ids import MailAddress
from mss.model.verdict import Accept, Verdict

log = structlog.get_logger("trust")

NAMES_CACHED_MAX = 4096
"""The real list names some 400 certificates."""
ANSWERS_CACHED_MAX = 4096
"""Questions and peers remembered: a certificate comes from a few addresses, for a few domains."""
ALARM_EVERY_S = 3600.0
"""How often a list that wants a human is told again."""
REFRESH_EVERY_S = 5.0
"""How often the files of list and revocations are looked at (a stat each): a change counts within seconds."""


def told_of_responder(url: str, why: str) -> None:
    """A question that brought no answer that counts; asked again in a minute at the earliest."""
    log.warning("ocsp.no-answer", responder=url, why=why)


_Question = TypeVar("_Question")


class _Known(NamedTuple):
    """By what a yes was said: it holds for these very lists only, from one moment to another."""

    view: TrustView
    revocations: Revocations | None
    since: datetime
    until: datetime
    peer: Peer | None = None


class TrustGate:
    """Answers `PeerJudge`, and the same questions outward for the courier."""

    def __init__(
        self,
        feed: TrustFeed,
        revocations: RevocationFeed | None,
        examiner: Examiner,
        clock: Clock,
        responders: Responders | None = None,
    ) -> None:
        self._feed = feed
        self._responders = responders
        self._revocations = revocations
        self._examiner = examiner
        self._clock = clock
        self._names: dict[DistinguishedName, str] = {}
        self._peers: dict[tuple[bytes, str], _Known] = {}
        self._yes: dict[tuple[bytes, str | None, str | None], _Known] = {}
        self._told_revocations: tuple[str, ...] = ()
        self._looking = threading.Lock()
        self._alarm_next_s = float("-inf")

    def _name(self, subject: DistinguishedName) -> str:
        """A subject as text, written once: a busy peer asks at each of its mails."""
        known = self._names.get(subject)
        if known is None:
            if len(self._names) >= NAMES_CACHED_MAX:
                self._names.clear()
            known = self._names[subject] = str(subject)
        return known

    async def peer(self, certificate_der: bytes | None, remote_address: str) -> tuple[Peer | None, Verdict]:
        """The peer behind a certificate, as the list has it now."""
        if certificate_der is not None:
            await self.inquire(certificate_der)
        known = self._peers.get((certificate_der or b"", remote_address))
        if known is not None and self._still_holds(known):
            return known.peer, Accept()
        listing = self._feed.facts
        examination = None if certificate_der is None else self._examine(certificate_der, Purpose.CLIENT)
        verdict = trust.judge_sender(trust.SenderFacts(listing, True, examination))
        if not isinstance(verdict, Accept) or examination is None or listing.view is None:
            return None, verdict
        certificate = examination.certificate
        assert certificate is not None, "an unreadable certificate is weak"
        domains = listing.view.domains_of(certificate.subject)
        peer = Peer(
            name=self._name(certificate.subject),
            serial=certificate.serial_hex,
            domains=domains,
            remote_address=remote_address,
            certificate_der=certificate_der or b"",
        )
        self._remember(self._peers, (peer.certificate_der, remote_address), listing, peer.certificate_der, peer)
        return peer, verdict

    def speaks(self, peer: Peer, sender: MailAddress | None, shown: MailAddress | None = None) -> Verdict:
        """May this peer send for that MAIL FROM domain, with that From?"""
        sender_domain, header_domain = (
            None if sender is None else sender.domain,
            None if shown is None else shown.domain,
        )
        question = peer.certificate_der, sender_domain, header_domain
        known = self._yes.get(question)
        if known is not None and self._still_holds(known):
            return Accept()
        listing, examination = self._feed.facts, self._examine(peer.certificate_der, Purpose.CLIENT)
        verdict = trust.judge_sender(trust.SenderFacts(listing, True, examination, sender_domain, header_domain))
        if isinstance(verdict, Accept):
            self._remember(self._yes, question, listing, peer.certificate_der)
        return verdict

    def _still_holds(self, known: _Known) -> bool:
        """The lists are the very same, and no date has passed that it depends on."""
        is_same = known.view is self._feed.view and known.revocations is self.revocations
        return is_same and known.since <= self._clock.now() < known.until

    def _remember(
        self,
        cache: dict[_Question, _Known],
        question: _Question,
        listing: ListFacts,
        der: bytes,
        peer: Peer | None = None,
    ) -> None:
        """A yes of this moment."""
        until = self._examiner.holds_until(der, Purpose.CLIENT)
        if until is None or listing.view is None:  # with responders each question is a new one
            return
        too_old_at = listing.view.generated_at + timedelta(seconds=listing.age_s_max)
        if len(cache) >= ANSWERS_CACHED_MAX:
            cache.clear()
        cache[question] = _Known(listing.view, self.revocations, self._clock.now(), min(until, too_old_at), peer)

    async def inquire(self, certificate_der: bytes) -> None:
        """Ask its authority's responder about a certificate, where that is wanted; waits for a first answer."""
        if self._responders is not None:
            await self._responders.inquire(self._examiner.path(certificate_der))

    def server(self, domain: str, certificate_der: bytes) -> Verdict:
        """May mail for `domain` go to the server that showed this certificate?"""
        examination = self._examine(certificate_der, Purpose.SERVER)
        return trust.judge_server(trust.ServerFacts(self._feed.facts, examination, domain))

    def is_trusted(self, domain: str) -> bool:
        """Whether mail may leave for that domain at all, now."""
        return isinstance(trust.judge_domain(self._feed.facts, domain), Accept)

    def domain(self, domain: str) -> Verdict:
        """The same with its reason."""
        return trust.judge_domain(self._feed.facts, domain)

    def _examine(self, der: bytes, purpose: Purpose) -> Examination:
        return self._examiner.examine(der, purpose=purpose, now=self._clock.now(), revocations=self.revocations)

    @property
    def view(self) -> TrustView | None:
        """The list, for people who ask."""
        return self._feed.view

    @property
    def trouble_with_responders(self) -> Mapping[str, str]:
        """By address: why its last answer did not count."""
        return {} if self._responders is None else self._responders.trouble

    @property
    def lists(self) -> RevocationLists | None:
        """The revocation lists; None where none are read."""
        return None if self._revocations is None else self._revocations.current

    @property
    def revocations(self) -> Revocations | None:
        """What is known of certificates taken back; None where nobody is asked."""
        lists = self.lists
        return (
            lists if self._responders is None else ListsAndAnswers(lists or RevocationLists(), self._responders.answers)
        )

    def recall(self) -> None:
        """Begin with the lists that were kept."""
        if self._revocations is not None:
            self._revocations.recall()
        self._feed.recall()

    def refresh(self, *, tells: bool = True) -> None:
        """Look for newer lists, and tell the journal. Blocks while an address is asked."""
        with self._looking:  # a signal may ask while a look is under way in another thread
            before, view = self._feed.last, self._feed.view
            # Revocations first: whoever signed the new list may be among them.
            problems = () if self._revocations is None else self._revocations.refresh()
            now = self._feed.refresh()
            if tells:
                self._tell(before, view, now, problems)

    def _tell(self, before: Refresh, view: TrustView | None, now: Refresh, problems: tuple[str, ...]) -> None:
        """What came of it, once; and the alarm."""
        if now.taken and self._feed.view is not None:
            came, went = differences(view, self._feed.view)
            log.info("trust.taken", of=str(self._feed.view.generated_at), came=len(came), went=len(went))
        if now.problem is not None and now != before:
            log.error("trust.refused", reason=now.problem.value, detail=now.detail)
        if problems and problems != self._told_revocations:
            log.error("revocations.refused", problems=list(problems))
        self._told_revocations = problems
        self._alarm()

    def _alarm(self) -> None:
        """Once an hour while a human is wanted."""
        now_s = self._clock.monotonic_s()
        if self._feed.wants_attention and now_s >= self._alarm_next_s:
            self._alarm_next_s = now_s + ALARM_EVERY_S
            log.error("trust.alarm", age_s=round(self._feed.facts.age_s), has_list=self._feed.view is not None)

    async def keep_fresh(self) -> None:
        """Refresh for as long as the process lives."""
        while True:
            await asyncio.to_thread(self.refresh)
            await asyncio.sleep(REFRESH_EVERY_S)
