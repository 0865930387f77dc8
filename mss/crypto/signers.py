"""Has its authority taken back the certificate that signed a mail? From revocation lists in files.

Asked where the settings name lists, of the signer and of every authority above it that is in the file of authorities. A
list that is missing, too old or somebody else's says nothing: then the signature is as good as none, never a good one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from cryptography import x509

from mss.crypto.certs import authority_id, is_issued_by, load_certificates
from mss.crypto.revocation import Link, RevocationList, RevocationLists, RevocationStatus, read_list
from mss.model.clock import Clock
from mss.model.errors import BadValue

CHAIN_MAX = 5
"""Certificates above a signer: IGC-Santé has two."""


class SignerLists:
    """Files are read anew for each question: whoever fetches lists replaces them whole."""

    def __init__(self, lists: Sequence[Path], authorities: Path, clock: Clock) -> None:
        self._lists = tuple(lists)
        self._authorities = authorities
        self._clock = clock

    def status(self, signer: x509.Certificate) -> RevocationStatus:
        """The worst of its path; UNKNOWN when a step of it is."""
        try:
            known = load_certificates(self._authorities.read_bytes())
        except (OSError, BadValue):
            return RevocationStatus.UNKNOWN
        read = RevocationLists().with_lists([one for path in self._lists for one in _read(path, known)])
        path = _path(signer, known)
        return read.status(path, self._clock.now())


def _read(path: Path, authorities: Sequence[x509.Certificate]) -> Iterator[RevocationList]:
    """What cannot be read says nothing."""
    with suppress(OSError, BadValue):
        yield read_list(path.read_bytes(), authorities)


def _path(signer: x509.Certificate, authorities: Sequence[x509.Certificate]) -> list[Link] | None:
    """From the signer up to a root; None when a step above it is not known here."""
    links: list[Link] = []
    below = signer
    while len(links) <= CHAIN_MAX:
        above = next((one for one in authorities if is_issued_by(one, below)), None)
        if above is None:
            return None
        links.append(Link(authority_id(above), below.serial_number, is_authority=below is not signer))
        if above.subject == above.issuer:
            return links
        below = above
    return None
