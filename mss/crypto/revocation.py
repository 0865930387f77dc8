"""Did its authority take this certificate back?

From revocation lists (CRL, RFC 5280 §5) that somebody else put into files, and from answers of responders (OCSP) where
they are asked. A list counts only when the authority signed it, only for what it says it covers, and only until its
next update, an answer only for its own time. What either says was taken back is; else a current answer goes first,
then a current list; without one that counts it is "unknown", never "good". Nothing here fetches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from hashlib import sha256
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from mss.model.errors import BadValue

WEAK_HASHES = frozenset({"md2", "md4", "md5", "sha1"})
UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises when somebody's certificate or list is not as it should be."""

LIST_BYTES_MAX = 64 * 1024 * 1024  # a million revoked certificates at some 40 octets, and headroom


class RevocationStatus(Enum):
    """What is known of a whole path: the worst of its links."""

    GOOD = auto()
    REVOKED = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Link:
    """One step of a path: which authority (SHA-256 of its certificate) issued which serial number."""

    authority: bytes
    serial: int
    is_authority: bool
    responder: str = ""
    """Where its authority answers about it (http), as the certificate says."""

    @property
    def named(self) -> tuple[bytes, int]:
        """What answers are kept by."""
        return self.authority, self.serial


class Revocations(Protocol):
    """What is known of certificates taken back."""

    def status(self, path: Sequence[Link] | None, now: datetime) -> RevocationStatus:
        """The state of a path at a moment; None is a path that nobody knows."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a responder said of one certificate, verified."""

    status: RevocationStatus
    """UNKNOWN: its authority does not know it, which no list makes better."""
    not_before: datetime
    not_after: datetime
    signer: int | None
    """Serial number of the responder's certificate; None when the authority itself has signed."""

    def counts(self, now: datetime) -> bool:
        return self.not_before <= now <= self.not_after


@dataclass(frozen=True, slots=True)
class RevocationList:
    """One verified list of one authority."""

    authority: bytes
    this_update: datetime
    next_update: datetime
    serials: frozenset[int]
    covers_leaves: bool
    covers_authorities: bool


@dataclass(frozen=True, slots=True)
class RevocationLists:
    """The newest list of each authority. Immutable; a refresh makes a new one."""

    lists: tuple[RevocationList, ...] = ()

    def status(self, path: Sequence[Link] | None, now: datetime) -> RevocationStatus:
        """The state of a path at a moment; None is a path that nobody knows."""
        return worst([RevocationStatus.UNKNOWN] if path is None else [self.of(link, now) for link in path])

    def of(self, link: Link, now: datetime) -> RevocationStatus:
        """The state of one step."""
        known = RevocationStatus.UNKNOWN
        for listing in self.lists:
            if listing.authority != link.authority:
                continue
            if link.serial in listing.serials:
                return RevocationStatus.REVOKED  # also by a list that is too old: nobody comes back
            covers = listing.covers_authorities if link.is_authority else listing.covers_leaves
            if covers and listing.this_update <= now <= listing.next_update:
                known = RevocationStatus.GOOD
        return known

    def with_lists(self, added: Iterable[RevocationList]) -> RevocationLists:
        """Ours and `added`; of the same authority and coverage the newer stays: an old list brings nobody back."""
        newest: dict[tuple[bytes, bool, bool], RevocationList] = {}
        for listing in (*self.lists, *added):
            key = (listing.authority, listing.covers_leaves, listing.covers_authorities)
            if key not in newest or listing.this_update >= newest[key].this_update:
                newest[key] = listing
        return RevocationLists(tuple(newest.values()))

    @property
    def next_update(self) -> datetime | None:
        """When the first of them stops counting."""
        return min((listing.next_update for listing in self.lists), default=None)


def worst(states: Iterable[RevocationStatus]) -> RevocationStatus:
    """What a path is when its steps are these."""
    order, found = (RevocationStatus.REVOKED, RevocationStatus.UNKNOWN), set(states)
    return next((state for state in order if state in found), RevocationStatus.GOOD)


@dataclass(frozen=True, slots=True)
class ListsAndAnswers:
    """Lists, and what responders said. `answers` by `Link.named`; the newest of each."""

    lists: RevocationLists
    answers: Mapping[tuple[bytes, int], Answer]

    def status(self, path: Sequence[Link] | None, now: datetime) -> RevocationStatus:
        """The state of a path at a moment; None is a path that nobody knows."""
        return worst([RevocationStatus.UNKNOWN] if path is None else [self._of(link, now) for link in path])

    def _of(self, link: Link, now: datetime) -> RevocationStatus:
        listed, answer = self.lists.of(link, now), self.answers.get(link.named)
        if answer is None or listed is RevocationStatus.REVOKED:
            return listed
        if answer.status is RevocationStatus.REVOKED:  # also when the answer is over: nobody comes back
            return answer.status
        return answer.status if answer.counts(now) else listed


def read_list(octets: bytes, authorities: Sequence[x509.Certificate]) -> RevocationList:
    """One CRL, PEM or DER, of one of `authorities`. Raises BadValue."""
    if len(octets) > LIST_BYTES_MAX:
        raise BadValue(f"revocation list of more than {LIST_BYTES_MAX} bytes")
    try:
        pem = octets.lstrip().startswith(b"-----BEGIN")
        crl = x509.load_pem_x509_crl(octets) if pem else x509.load_der_x509_crl(octets)
        authority = next((known for known in authorities if _signed(known, crl)), None)
        if authority is None:
            raise BadValue("revocation list of an authority that we do not know")
        leaves, inner = _coverage(crl)
        if crl.signature_hash_algorithm is not None and crl.signature_hash_algorithm.name in WEAK_HASHES:
            raise BadValue("revocation list with a weak signature")
        if crl.next_update_utc is None:
            raise BadValue("revocation list without an end")
        serials = frozenset(entry.serial_number for entry in crl)
    except BadValue:
        raise
    except UNREADABLE:
        raise BadValue("not a revocation list") from None
    identity = sha256(authority.public_bytes(Encoding.DER)).digest()
    return RevocationList(identity, crl.last_update_utc, crl.next_update_utc, serials, leaves, inner)


def _signed(authority: x509.Certificate, crl: x509.CertificateRevocationList) -> bool:
    if authority.subject != crl.issuer or not _may_sign_lists(authority):
        return False
    try:
        return crl.is_signature_valid(authority.public_key())  # type: ignore[arg-type]  # a wrong kind is no signature
    except (TypeError, UnsupportedAlgorithm):
        return False


def _may_sign_lists(authority: x509.Certificate) -> bool:
    """RFC 5280 §6.3.3 (f): keyUsage, when there, must say cRLSign."""
    try:
        return authority.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True


def _coverage(crl: x509.CertificateRevocationList) -> tuple[bool, bool]:
    """Whether it speaks for leaves, for authorities. Raises BadValue for a list that is only part of one."""
    leaves = inner = True
    for extension in crl.extensions:
        value = extension.value
        if isinstance(value, x509.DeltaCRLIndicator):
            raise BadValue("revocation list that only tells changes")
        if isinstance(value, x509.IssuingDistributionPoint):
            if value.indirect_crl or value.only_some_reasons or value.only_contains_attribute_certs:
                raise BadValue("revocation list that covers only some cases")
            leaves, inner = not value.only_contains_ca_certs, not value.only_contains_user_certs
        elif extension.critical:
            raise BadValue("revocation list with a critical extension that we do not know")
    return leaves, inner
