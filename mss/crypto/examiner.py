"""What is wrong with a certificate now, asked at each mail and thought about as seldom as it may change?"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from cryptography import x509

from mss.crypto.certs import (
    Examination,
    PeerCertificate,
    Purpose,
    Weakness,
    key_is_strong,
    load_der,
    path_to_root,
    read,
)
from mss.crypto.revocation import WEAK_HASHES, Link, RevocationLists, Revocations, RevocationStatus
from mss.model.errors import BadValue

CACHE_ENTRIES_MAX = 1024  # the trust space has some 400 certificates

_Entry = tuple[PeerCertificate, tuple[Link, ...] | None]


@dataclass(frozen=True, slots=True)
class _Concluded:
    """An examination that holds for a time, and the lists that it was made by."""

    examination: Examination
    since: datetime
    until: datetime
    """The next moment at which a date, of the certificate or of a list, may make it another."""
    lists: RevocationLists | None


class Examiner:
    """Examines what peers show; remembers what it has read, and a conclusion as long as the very same lists are known
    and no date has passed that it depends on.

    `authorities` are the roots and intermediates that TLS trusts; they are needed to know which revocation list
    speaks for a certificate.
    """

    def __init__(self, authorities: Sequence[x509.Certificate]) -> None:
        self._authorities = tuple(authorities)
        self._read: OrderedDict[bytes, _Entry] = OrderedDict()
        self._concluded: OrderedDict[tuple[bytes, Purpose], _Concluded] = OrderedDict()

    def examine(self, der: bytes, *, purpose: Purpose, now: datetime, revocations: Revocations | None) -> Examination:
        """Facts about one certificate at one moment.

        `revocations` is None where the operator chose not to ask (a development network); lists and answers that are
        missing or too old make it unknown instead.
        """
        known = self._concluded.get((der, purpose))
        if known is not None and known.lists is revocations and known.since <= now < known.until:
            return known.examination
        examination = self._examine(der, purpose, now, revocations)
        if examination.certificate is not None and (revocations is None or isinstance(revocations, RevocationLists)):
            until = _until(examination.certificate, revocations, now)
            _keep(self._concluded, (der, purpose), _Concluded(examination, now, until, revocations))
        return examination

    def holds_until(self, der: bytes, purpose: Purpose) -> datetime | None:
        """Until when the last examination stays what it is, if the same lists are known; None when nobody can say."""
        known = self._concluded.get((der, purpose))
        return None if known is None else known.until

    def _examine(self, der: bytes, purpose: Purpose, now: datetime, revocations: Revocations | None) -> Examination:
        try:
            certificate, links = self._remembered(der)
        except BadValue:
            return Examination(None, frozenset({Weakness.UNREADABLE}))
        found = set(_weaknesses(certificate, purpose, now))
        if revocations is not None:
            status = revocations.status(links, now)
            if status is RevocationStatus.REVOKED:
                found.add(Weakness.REVOKED)
            elif status is RevocationStatus.UNKNOWN:
                found.add(Weakness.REVOCATION_UNKNOWN)
        return Examination(certificate, frozenset(found))

    def path(self, der: bytes) -> tuple[Link, ...]:
        """Who issued it, up to a root that we know; empty when nobody that we know did."""
        try:
            return self._remembered(der)[1] or ()
        except BadValue:
            return ()

    def _remembered(self, der: bytes) -> _Entry:
        entry = self._read.get(der)
        if entry is None:
            certificate = load_der(der)
            entry = read(certificate), path_to_root(certificate, self._authorities)
        _keep(self._read, der, entry)
        return entry


_Key = TypeVar("_Key")
_Kept = TypeVar("_Kept")


def _keep(cache: OrderedDict[_Key, _Kept], key: _Key, value: _Kept) -> None:
    """The newest; what was not asked for longest goes."""
    cache[key] = value
    cache.move_to_end(key)
    if len(cache) > CACHE_ENTRIES_MAX:
        cache.popitem(last=False)


def _until(certificate: PeerCertificate, lists: RevocationLists | None, now: datetime) -> datetime:
    """The first moment, `now` itself included, at which or after which something about the certificate is another."""
    moments = [certificate.not_before, certificate.not_after]
    for listing in () if lists is None else lists.lists:
        moments += (listing.this_update, listing.next_update)
    return min((moment for moment in moments if moment >= now), default=now)


def _weaknesses(certificate: PeerCertificate, purpose: Purpose, now: datetime) -> Iterable[Weakness]:
    if not key_is_strong(certificate.key_kind, certificate.key_bits):
        yield Weakness.KEY_TOO_SMALL
    if certificate.hash_name in WEAK_HASHES:
        yield Weakness.SIGNATURE_WEAK
    if now < certificate.not_before:
        yield Weakness.NOT_YET_VALID
    if now > certificate.not_after:
        yield Weakness.EXPIRED
    if not certificate.may_sign or (certificate.usages and purpose.value not in certificate.usages):
        yield Weakness.WRONG_USE
