"""The trust list and the revocation lists of a house as files, and the gate that judges by them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509

from mss.crypto.examiner import Examiner
from mss.directory.feed import ListTrust, RevocationFeed, TrustFeed
from mss.directory.responders import Responders
from mss.directory.sources import FileSource
from mss.formats.trustlist import TrustEntry
from mss.mail.peers import TrustGate
from mss.model.clock import ManualClock
from tests.kit.pki import LIST_SIGNER, Pki


@dataclass
class TrustFiles:
    """What the house goes by; change it, then `look`."""

    pki: Pki
    directory: Path
    clock: ManualClock
    gate: TrustGate
    feed: TrustFeed

    def look(self) -> None:
        self.gate.refresh(tells=False)

    def list(self, entries: list[TrustEntry]) -> None:
        """A new trust list; a human has looked at what is gone from it."""
        (self.directory / "list.xml").write_bytes(self.pki.signed_list(entries, generated_at=self.clock.now()))
        assert self.feed.refresh(accept_shrink=True).taken

    def take_back(self, *certificates: x509.Certificate, days: int = 7) -> None:
        """A new revocation list, which counts for so many days."""
        (self.directory / "a.crl").write_bytes(self.pki.authority.crl(certificates, now=self.clock.now(), days=days))
        self.look()


def trust_files(
    pki: Pki,
    directory: Path,
    *,
    entries: list[TrustEntry] | None = None,
    revoked: Iterable[x509.Certificate] | None = (),
    responders: Responders | None = None,
    clock: ManualClock | None = None,
    spoil: Callable[[Path], None] = lambda _directory: None,
) -> TrustFiles:
    """A gate over files of today; `revoked` None: no revocation lists. `spoil`: changes a file before it is read."""
    clock = clock or ManualClock(at=pki.now)
    roots, crls = pki.authority.certificates, [directory / "a.crl", directory / "b.crl"]
    (directory / "list.xml").write_bytes(pki.signed_list(entries))
    if revoked is not None:
        crls[0].write_bytes(pki.authority.crl(revoked, now=pki.now - timedelta(minutes=1)))
        crls[1].write_bytes(pki.authority.root_crl(now=pki.now))
    spoil(directory)
    feed = TrustFeed(FileSource(directory / "list.xml"), ListTrust(roots, roots, [LIST_SIGNER.common_name]), clock)
    revocations = None if revoked is None else RevocationFeed([FileSource(path) for path in crls], roots)
    gate = TrustGate(feed, revocations, Examiner(roots), clock, responders)
    files = TrustFiles(pki, directory, clock, gate, feed)
    files.look()
    return files
