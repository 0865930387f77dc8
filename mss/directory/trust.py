"""May this operator deliver for this domain, and is this the server to which our mail for that domain may go?

A pure judge: facts in, verdict out. The list binds each domain to the subjects of one or more certificates. Inward,
the certificate that was shown must be listed, and listed for the domain of MAIL FROM and for the domain of the From
header. Outward, the answering server's certificate must be one of those of the recipient's domain.

Rules are asked in order; the first that objects decides. What will not change by asking again is a Refuse; a list
too old or a revocation nobody can tell is a Later: never an open door.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from mss.crypto.certs import Examination, Weakness
from mss.formats.dn import DistinguishedName
from mss.formats.trustlist import TrustEntry, TrustList
from mss.model.verdict import Accept, Later, Reason, Refuse, Verdict

CLOCK_SKEW_S_MAX = 600
"""A list from further in the future means that one of two clocks is wrong, and nobody knows which."""

_NOBODY: frozenset[str] = frozenset()
_NO_CERTIFICATES: frozenset[DistinguishedName] = frozenset()


class TrustView:
    """The trust list, indexed both ways. Never changes: a new list is a new view."""

    def __init__(self, listing: TrustList) -> None:
        certificates: defaultdict[str, set[DistinguishedName]] = defaultdict(set)
        domains: defaultdict[DistinguishedName, set[str]] = defaultdict(set)
        for entry in listing.entries:
            certificates[entry.domain].add(entry.certificate)
            domains[entry.certificate].add(entry.domain)
        self.generated_at: datetime = listing.generated_at
        self._entries = listing.entries
        self._certificates = {domain: frozenset(names) for domain, names in certificates.items()}
        self._domains = {name: frozenset(listed) for name, listed in domains.items()}

    def is_trusted(self, domain: str) -> bool:
        """`domain` (lower case) is in the trust space. Exactly that name: no parent speaks for a sub-domain."""
        return domain in self._certificates

    def certificates_of(self, domain: str) -> frozenset[DistinguishedName]:
        """Subjects of the certificates under which this domain is served."""
        return self._certificates.get(domain, _NO_CERTIFICATES)

    def domains_of(self, certificate: DistinguishedName) -> frozenset[str]:
        """Domains for which this certificate may speak."""
        return self._domains.get(certificate, _NOBODY)

    def entries_of(self, domain: str) -> tuple[TrustEntry, ...]:
        """Entries as listed, contacts included, for people who ask why."""
        return tuple(entry for entry in self._entries if entry.domain == domain)

    def pairs(self) -> set[tuple[str, DistinguishedName]]:
        """Every domain with every certificate under which it is served."""
        return {(domain, name) for domain, names in self._certificates.items() for name in names}

    @property
    def domains(self) -> Iterable[str]:
        return self._certificates.keys()

    def __len__(self) -> int:
        """How many domains."""
        return len(self._certificates)


Pair = tuple[str, str]
"""A domain and the name of a certificate, as text."""


def differences(before: TrustView | None, after: TrustView) -> tuple[list[Pair], list[Pair]]:
    """What came and what went from one list to the next, each sorted."""
    old = set() if before is None else before.pairs()
    new = after.pairs()
    return _told_pairs(new - old), _told_pairs(old - new)


def _told_pairs(pairs: set[tuple[str, DistinguishedName]]) -> list[Pair]:
    return sorted((domain, str(certificate)) for domain, certificate in pairs)


@dataclass(frozen=True, slots=True)
class ListFacts:
    """The list that we judge by (None: no good one was ever read), its age, and the age that the operator allows."""

    view: TrustView | None
    age_s: float = 0.0
    age_s_max: float = 0.0


@dataclass(frozen=True, slots=True)
class SenderFacts:
    """What is known of an operator who delivers to us. Ask again with more: `sender_domain` at MAIL FROM,
    `header_domain` once the header was read; None is "not asked", or for `sender_domain` the null sender `<>`."""

    listing: ListFacts
    tls_active: bool
    certificate: Examination | None
    sender_domain: str | None = None
    header_domain: str | None = None


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What is known of the server that answers for the domain of a recipient."""

    listing: ListFacts
    certificate: Examination | None
    recipient_domain: str


SenderRule = Callable[[SenderFacts], Verdict | None]
ServerRule = Callable[[ServerFacts], Verdict | None]


def judge_sender(facts: SenderFacts) -> Verdict:
    """May this operator speak to us, for this domain, with this header?"""
    for rule in SENDER_RULES:
        if (verdict := rule(facts)) is not None:
            return verdict
    return Accept()


def judge_server(facts: ServerFacts) -> Verdict:
    """May our mail for this domain go to this server?

    A wrong certificate is a Later: another MX may be right, and whoever sits between must not be able to make our
    mail bounce. The queue's own end turns it into a notice.
    """
    for rule in SERVER_RULES:
        if (verdict := rule(facts)) is not None:
            return verdict
    return Accept()


def judge_domain(listing: ListFacts, domain: str) -> Verdict:
    """May mail leave for this domain at all? Asked before a message is taken in for it."""
    if not is_fresh(listing):
        return Later(Reason.TRUST_LIST_STALE)
    if not _view(listing).is_trusted(domain):
        return Refuse(Reason.RECIPIENT_OUTSIDE_TRUST_SPACE, domain)
    return Accept()


def connection_is_encrypted(facts: SenderFacts) -> Verdict | None:
    """Health mail does not travel in clear."""
    return None if facts.tls_active else Refuse(Reason.TLS_REQUIRED)


def certificate_was_shown(facts: SenderFacts) -> Verdict | None:
    """TLS lets a peer without a certificate through, so that it hears this."""
    return None if facts.certificate else Refuse(Reason.CERTIFICATE_REQUIRED)


def certificate_is_not_revoked(facts: SenderFacts) -> Verdict | None:
    """Its authority took it back: no list makes up for that."""
    if Weakness.REVOKED in _weaknesses(facts.certificate):
        return Refuse(Reason.CERTIFICATE_REVOKED)
    return None


def certificate_is_sound(facts: SenderFacts) -> Verdict | None:
    """Key, signature, dates and purpose. TLS checked the last two, but a session can outlive a certificate."""
    if found := _weaknesses(facts.certificate) - {Weakness.REVOKED, Weakness.REVOCATION_UNKNOWN}:
        return Refuse(Reason.CERTIFICATE_WEAK, _told(found))
    return None


def revocation_is_known(facts: SenderFacts) -> Verdict | None:
    """A revocation list that is missing or too old says nothing, and nothing is not "good"."""
    if Weakness.REVOCATION_UNKNOWN in _weaknesses(facts.certificate):
        return Later(Reason.REVOCATION_UNKNOWN)
    return None


def sender_list_is_fresh(facts: SenderFacts) -> Verdict | None:
    """Judge nobody with an old list: a domain may have been struck off since."""
    return None if is_fresh(facts.listing) else Later(Reason.TRUST_LIST_STALE)


def certificate_is_listed(facts: SenderFacts) -> Verdict | None:
    """The authority issues certificates to many; the list names the operators."""
    if not _domains(facts):
        return Refuse(Reason.CERTIFICATE_NOT_LISTED)
    return None


def sender_domain_is_trusted(facts: SenderFacts) -> Verdict | None:
    """MAIL FROM names a domain of the trust space."""
    if facts.sender_domain is not None and not _view(facts.listing).is_trusted(facts.sender_domain):
        return Refuse(Reason.DOMAIN_NOT_TRUSTED, facts.sender_domain)
    return None


def sender_domain_is_of_certificate(facts: SenderFacts) -> Verdict | None:
    """An operator speaks for its own domains only."""
    if facts.sender_domain is not None and facts.sender_domain not in _domains(facts):
        return Refuse(Reason.DOMAIN_NOT_OF_CERTIFICATE, facts.sender_domain)
    return None


def header_domain_is_of_certificate(facts: SenderFacts) -> Verdict | None:
    """The From that people see is bound like the MAIL FROM that they do not see."""
    if facts.header_domain is not None and facts.header_domain not in _domains(facts):
        return Refuse(Reason.HEADER_FROM_NOT_OF_CERTIFICATE, facts.header_domain)
    return None


SENDER_RULES: tuple[SenderRule, ...] = (
    connection_is_encrypted,
    certificate_was_shown,
    certificate_is_not_revoked,
    certificate_is_sound,
    revocation_is_known,
    sender_list_is_fresh,
    certificate_is_listed,
    sender_domain_is_trusted,
    sender_domain_is_of_certificate,
    header_domain_is_of_certificate,
)


def recipient_domain_is_trusted(facts: ServerFacts) -> Verdict | None:
    """Nothing leaves the trust space, nor leaves by an old list."""
    verdict = judge_domain(facts.listing, facts.recipient_domain)
    return None if isinstance(verdict, Accept) else verdict


def server_certificate_is_sound(facts: ServerFacts) -> Verdict | None:
    """Shown, strong, current, meant for a server, and not taken back."""
    if facts.certificate is None:
        return Later(Reason.PEER_CERTIFICATE_WRONG, "none")
    found = facts.certificate.weaknesses
    if found == {Weakness.REVOCATION_UNKNOWN}:
        return Later(Reason.REVOCATION_UNKNOWN)
    return Later(Reason.PEER_CERTIFICATE_WRONG, _told(found)) if found else None


def server_certificate_is_of_domain(facts: ServerFacts) -> Verdict | None:
    """DNS says where to go; only the list says who may be there."""
    assert facts.certificate is not None  # the rule before
    if facts.certificate.subject not in _view(facts.listing).certificates_of(facts.recipient_domain):
        return Later(Reason.PEER_CERTIFICATE_WRONG, "not-listed-for-domain")
    return None


SERVER_RULES: tuple[ServerRule, ...] = (
    recipient_domain_is_trusted,
    server_certificate_is_sound,
    server_certificate_is_of_domain,
)


def is_fresh(listing: ListFacts) -> bool:
    """There is a list, and it may still be judged by."""
    return listing.view is not None and -CLOCK_SKEW_S_MAX <= listing.age_s <= listing.age_s_max


def _view(listing: ListFacts) -> TrustView:
    assert listing.view is not None  # freshness was judged before
    return listing.view


def _domains(facts: SenderFacts) -> frozenset[str]:
    assert facts.certificate is not None  # certificate_was_shown was asked before
    return _view(facts.listing).domains_of(facts.certificate.subject)


def _weaknesses(certificate: Examination | None) -> frozenset[Weakness]:
    return certificate.weaknesses if certificate else frozenset()


def _told(weaknesses: Iterable[Weakness]) -> str:
    return ",".join(sorted(weaknesses))
