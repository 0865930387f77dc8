"""Software whose certificate was taken back signs in nowhere any more, and does not go on where it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from cryptography import x509

from mss.accounts.knocks import Knocks
from mss.accounts.shown import ShownCertificates, still_opens, subject_of
from mss.accounts.software import SoftwareLogin
from mss.crypto.authority import Authority, Issued, KeyKind, Subject
from mss.crypto.examiner import Examiner
from mss.crypto.revocation import RevocationLists, read_list
from mss.directory.responders import Responders
from mss.imap.people import MailLogin
from mss.mail.reception import Peer
from mss.model.clock import ManualClock, SeededChance
from mss.model.errors import BadValue, StorageUnavailable
from mss.model.ids import OwnerId
from mss.model.mailbox import MailboxKind
from mss.model.verdict import Accept, Later, Reason
from mss.smtp.submission import SubmissionHandler
from mss.smtp.wire import CutOff, Visit
from tests.kit.people import cellar
from tests.kit.pki import Pki, session_pki
from tests.kit.reception import FakeReception

BOX = "dpi@chu.mssante.example"
SOFTWARE = Subject("dpi.chu.mssante.example", "1690000001", "CHU DE L'EXEMPLE", "Rhône (69)")


@dataclass
class Judge:
    """The judge, with lists that a test changes."""

    pki: Pki
    clock: ManualClock
    lists: RevocationLists | None = None

    def __post_init__(self) -> None:
        self.judge = ShownCertificates(Examiner(self.pki.authority.certificates), lambda: self.lists, self.clock)

    def publish(self, *taken_back: x509.Certificate, days: int = 7) -> None:
        authority, now = self.pki.authority, self.clock.now()
        lists = authority.crl(taken_back, now=now, days=days), authority.root_crl(now=now)
        self.lists = RevocationLists().with_lists(read_list(one, authority.certificates) for one in lists)


@pytest.fixture(scope="module")
def software() -> Issued:
    """What a hospital's software shows."""
    pki = session_pki()
    return pki.authority.issue_client(SOFTWARE, now=pki.now, mail=BOX)


@pytest.fixture
def judge() -> Judge:
    pki = session_pki()
    made = Judge(pki, ManualClock(at=pki.now))
    made.publish()
    return made


async def test_a_good_certificate_is_its_subject(judge: Judge, software: Issued) -> None:
    """With lists and without."""
    assert await judge.judge.subject(software.der) == subject_of(software.der)
    judge.lists = None
    assert await judge.judge.subject(software.der) == subject_of(software.der)


async def test_one_that_was_taken_back_opens_nothing(judge: Judge, software: Issued) -> None:
    """At once with the new list, and also by one that is over since."""
    judge.publish(software.certificate)
    with pytest.raises(BadValue, match="revoked"):
        await judge.judge.subject(software.der)
    judge.clock.forward(30 * 86_400)
    with pytest.raises(BadValue, match="revoked"):
        await judge.judge.subject(software.der)


async def test_where_the_list_is_over_nobody_can_tell(judge: Judge, software: Issued) -> None:
    """Later, neither yes nor no: the software comes again."""
    judge.clock.forward(8 * 86_400)
    with pytest.raises(StorageUnavailable):
        await judge.judge.subject(software.der)
    with pytest.raises(StorageUnavailable):
        await still_opens(judge.judge.subject, software.der)


async def test_an_authority_without_lists_is_not_asked(judge: Judge) -> None:
    """A house's own authority for its software publishes none; the lists of others do not speak of it."""
    own = Authority.create("MAISON", now=judge.pki.now - timedelta(days=30))
    issued = own.issue_client(SOFTWARE, now=judge.pki.now, mail=BOX)
    knows_both = Examiner((*judge.pki.authority.certificates, *own.certificates))
    shown = ShownCertificates(knows_both, lambda: judge.lists, judge.clock)
    assert await shown.subject(issued.der) == subject_of(issued.der)


async def test_a_responder_that_is_set_speaks_for_its_own_authorities_only(judge: Judge, software: Issued) -> None:
    """The health PKI's, which is away, keeps nobody out whom a house's own authority let in; and lets nobody in of whom
    it alone could tell."""
    own = Authority.create("MAISON", now=judge.pki.now - timedelta(days=30))
    health = judge.pki.authority.certificates
    away = Responders(health, judge.clock, url="http://127.0.0.1:1/", others=own.certificates)
    examiner = Examiner((*health, *own.certificates))
    shown = ShownCertificates(examiner, lambda: None, judge.clock, away)
    issued = own.issue_client(SOFTWARE, now=judge.pki.now, mail=BOX)
    assert await shown.subject(issued.der) == subject_of(issued.der)
    with pytest.raises(StorageUnavailable):
        await shown.subject(software.der)
    with_lists = ShownCertificates(examiner, lambda: judge.lists, judge.clock, away)
    assert await with_lists.subject(software.der) == subject_of(software.der)


async def test_weak_late_and_unreadable_ones_open_nothing(judge: Judge, software: Issued) -> None:
    """TLS of another strength may have let them by."""
    pki = judge.pki
    weak = pki.authority.issue_client(SOFTWARE, now=pki.now, mail=BOX, key=KeyKind.RSA_1024)
    late = pki.authority.issue(SOFTWARE, now=pki.now - timedelta(days=400), days=365)
    for octets in (weak.der, late.der, software.der[:-9], b"\x00"):
        with pytest.raises(BadValue):
            await judge.judge.subject(octets)
        assert not await still_opens(judge.judge.subject, octets)


@pytest.fixture
async def login(
    tmp_path: Path, clock: ManualClock, chance: SeededChance, judge: Judge, software: Issued
) -> AsyncIterator[MailLogin]:
    """An application mailbox to which the certificate was given."""
    async with cellar(f"sqlite:///{tmp_path}/mss.db", tmp_path, clock, chance) as below:
        owner = await below.professional(BOX, MailboxKind.APPLICATION)
        known = SoftwareLogin(below.store, below.public.lookup, clock, chance)
        await known.allow_certificate(owner, subject_of(software.der))
        yield MailLogin(known, below.store, below.opener, clock, chance, Knocks(clock), shown=judge.judge.subject)


async def test_a_session_does_not_outlive_its_certificate(login: MailLogin, judge: Judge, software: Issued) -> None:
    """Signed in, remembered, then taken back: neither goes on nor comes in again, also within the five minutes."""
    account = await login.authenticate("EXTERNAL", "", software.der, "192.0.2.1")
    assert account is not None
    assert await login.review(account) == account
    assert await login.authenticate("EXTERNAL", BOX, software.der, "192.0.2.1") is not None
    judge.publish(software.certificate)
    assert await login.review(account) is None
    for name in ("", BOX):
        assert await login.authenticate("EXTERNAL", name, software.der, "192.0.2.1") is None


async def test_submission_says_later_while_nobody_can_tell(judge: Judge, software: Issued) -> None:
    """A session that stands: its next mail is put off while the list is over, and the line ends once it is revoked."""

    async def goes_on(peer: Peer) -> bool:
        return await still_opens(judge.judge.subject, peer.certificate_der)

    handler = SubmissionHandler(FakeReception(), judge.clock, goes_on)
    visit = cast(Visit, SimpleNamespace(known=Peer(BOX, account=OwnerId(1), certificate_der=software.der)))
    assert await handler.admit(visit) == Accept()
    judge.clock.forward(8 * 86_400)
    assert await handler.admit(visit) == Later(Reason.STORAGE_UNAVAILABLE)
    judge.publish(software.certificate)
    with pytest.raises(CutOff):
        await handler.admit(visit)
