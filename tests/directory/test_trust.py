"""The judge of trust: who may deliver for which domain, and to whom our mail may go."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from mss.crypto.authority import Fault, Subject
from mss.crypto.certs import Examination, Purpose, Weakness
from mss.crypto.examiner import Examiner
from mss.directory.trust import (
    CLOCK_SKEW_S_MAX,
    ListFacts,
    SenderFacts,
    ServerFacts,
    TrustView,
    judge_domain,
    judge_sender,
    judge_server,
)
from mss.formats.dn import DistinguishedName
from mss.formats.trustlist import TrustEntry, TrustList
from mss.model.verdict import Accept, Later, Reason, Refuse, Verdict
from tests.conftest import SEED
from tests.kit.pki import HOSPITAL_DOMAIN, LAB_DOMAIN, Pki

HOUR_S = 3600.0
ATTEMPTS = 10_000
JOINT_DOMAIN = "reseau.mssante.example"
"""Served by both operators, as 419 domains of the real list are."""


def list_of(pki: Pki, age_s: float = HOUR_S) -> ListFacts:
    joint = [TrustEntry(JOINT_DOMAIN, issued.subject) for issued in (pki.lab, pki.hospital)]
    view = TrustView(TrustList(pki.now - timedelta(seconds=age_s), (*pki.entries(), *joint)))
    return ListFacts(view, age_s, 48 * HOUR_S)


def examined(pki: Pki, fault: Fault | None = None, purpose: Purpose = Purpose.CLIENT) -> Examination:
    examiner = Examiner(pki.authority.certificates)
    return examiner.examine(pki.show(fault).der, purpose=purpose, now=pki.now, revocations=pki.revocations)


@pytest.fixture
def honest(pki: Pki) -> SenderFacts:
    """The laboratory delivers its own mail."""
    return SenderFacts(list_of(pki), True, examined(pki), LAB_DOMAIN, LAB_DOMAIN)


def test_an_operator_may_speak_for_its_domains(honest: SenderFacts) -> None:
    """At connection, at MAIL FROM, with the header, with the null sender, and for a domain that it shares."""
    for facts in (
        honest,
        replace(honest, sender_domain=None, header_domain=None),
        replace(honest, sender_domain=None),
        replace(honest, sender_domain=JOINT_DOMAIN, header_domain=JOINT_DOMAIN),
    ):
        assert judge_sender(facts) == Accept()


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        (Fault.WEAK_KEY, Refuse(Reason.CERTIFICATE_WEAK, "key-too-small")),
        (Fault.EXPIRED, Refuse(Reason.CERTIFICATE_WEAK, "expired")),
        (Fault.NOT_YET_VALID, Refuse(Reason.CERTIFICATE_WEAK, "not-yet-valid")),
        (Fault.WRONG_USE, Refuse(Reason.CERTIFICATE_WEAK, "wrong-use")),
        (Fault.REVOKED, Refuse(Reason.CERTIFICATE_REVOKED)),
        (Fault.SELF_SIGNED, Later(Reason.REVOCATION_UNKNOWN)),
        (Fault.OTHER_AUTHORITY, Later(Reason.REVOCATION_UNKNOWN)),
    ],
)
def test_each_fault_of_a_certificate_has_its_own_answer(
    pki: Pki, honest: SenderFacts, fault: Fault, verdict: Verdict
) -> None:
    """Even where TLS would have ended it before, the judge alone does not let it in."""
    assert judge_sender(replace(honest, certificate=examined(pki, fault))) == verdict


def test_no_tls_and_no_certificate_are_told_first(honest: SenderFacts) -> None:
    """Before anything about lists or domains is said."""
    assert judge_sender(replace(honest, tls_active=False)) == Refuse(Reason.TLS_REQUIRED)
    assert judge_sender(replace(honest, certificate=None)) == Refuse(Reason.CERTIFICATE_REQUIRED)


@pytest.mark.parametrize("age_s", [48 * HOUR_S + 1, -CLOCK_SKEW_S_MAX - 1, 1e9, float("nan")])
def test_an_old_list_judges_nobody(pki: Pki, honest: SenderFacts, age_s: float) -> None:
    """Nor one from the future, nor none: not now, instead of an open door."""
    stale = list_of(pki, HOUR_S)
    for listing in (replace(stale, age_s=age_s), ListFacts(None)):
        later = Later(Reason.TRUST_LIST_STALE)
        assert judge_sender(replace(honest, listing=listing)) == later
        assert judge_domain(listing, LAB_DOMAIN) == later
        server = ServerFacts(listing, examined(pki, purpose=Purpose.SERVER), LAB_DOMAIN)
        assert judge_server(server) == later


def test_a_revoked_certificate_is_refused_for_good_also_while_the_list_is_old(pki: Pki, honest: SenderFacts) -> None:
    """A sender is not told to come back when coming back will not help."""
    facts = replace(honest, listing=ListFacts(None), certificate=examined(pki, Fault.REVOKED))
    assert judge_sender(facts) == Refuse(Reason.CERTIFICATE_REVOKED)


def test_a_certificate_of_the_authority_is_not_yet_an_operator(pki: Pki, honest: SenderFacts) -> None:
    """IGC-Santé issues to thousands; only the list makes an operator. Neither a wildcard nor a host name does."""
    for name in ("intrus.example", "*.labo.mssante.example", LAB_DOMAIN, "smtp.labo.mssante.example"):
        other = pki.authority.issue(Subject(name, "312345678900013", "INTRUS"), now=pki.now)
        seen = Examiner(pki.authority.certificates).examine(
            other.der, purpose=Purpose.CLIENT, now=pki.now, revocations=pki.revocations
        )
        assert judge_sender(replace(honest, certificate=seen)) == Refuse(Reason.CERTIFICATE_NOT_LISTED)


@pytest.mark.parametrize(
    ("domain", "reason"),
    [
        (HOSPITAL_DOMAIN, Reason.DOMAIN_NOT_OF_CERTIFICATE),
        ("ailleurs.example", Reason.DOMAIN_NOT_TRUSTED),
        ("mssante.example", Reason.DOMAIN_NOT_TRUSTED),
        (f"sub.{LAB_DOMAIN}", Reason.DOMAIN_NOT_TRUSTED),
        (f"x{LAB_DOMAIN}", Reason.DOMAIN_NOT_TRUSTED),
        ("", Reason.DOMAIN_NOT_TRUSTED),
    ],
)
def test_an_operator_does_not_speak_for_others(honest: SenderFacts, domain: str, reason: Reason) -> None:
    """In MAIL FROM the reply says which; in the header it is never theirs."""
    assert judge_sender(replace(honest, sender_domain=domain)) == Refuse(reason, domain)
    header = Refuse(Reason.HEADER_FROM_NOT_OF_CERTIFICATE, domain)
    assert judge_sender(replace(honest, header_domain=domain)) == header
    assert judge_sender(replace(honest, sender_domain=None, header_domain=domain)) == header


def test_mail_leaves_only_for_the_trust_space(pki: Pki) -> None:
    """The question that submission asks for every recipient."""
    assert judge_domain(list_of(pki), LAB_DOMAIN) == Accept()
    for outside in ("ailleurs.example", f"sub.{LAB_DOMAIN}", "example"):
        assert judge_domain(list_of(pki), outside) == Refuse(Reason.RECIPIENT_OUTSIDE_TRUST_SPACE, outside)


def test_mail_goes_only_to_a_server_of_the_domain(pki: Pki) -> None:
    """DNS may say what it likes; another operator's server, however honest, does not get the mail."""
    answering = ServerFacts(list_of(pki), examined(pki, purpose=Purpose.SERVER), LAB_DOMAIN)
    assert judge_server(answering) == Accept()
    assert judge_server(replace(answering, recipient_domain=JOINT_DOMAIN)) == Accept()
    wrong = Later(Reason.PEER_CERTIFICATE_WRONG, "not-listed-for-domain")
    assert judge_server(replace(answering, recipient_domain=HOSPITAL_DOMAIN)) == wrong
    outside = Refuse(Reason.RECIPIENT_OUTSIDE_TRUST_SPACE, "ailleurs.example")
    assert judge_server(replace(answering, recipient_domain="ailleurs.example")) == outside


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        (Fault.REVOKED, Later(Reason.PEER_CERTIFICATE_WRONG, "revoked")),
        (Fault.WEAK_KEY, Later(Reason.PEER_CERTIFICATE_WRONG, "key-too-small")),
        (Fault.EXPIRED, Later(Reason.PEER_CERTIFICATE_WRONG, "expired")),
        (Fault.OTHER_AUTHORITY, Later(Reason.REVOCATION_UNKNOWN)),
    ],
)
def test_a_wrong_server_certificate_never_makes_our_mail_bounce_at_once(
    pki: Pki, fault: Fault, verdict: Verdict
) -> None:
    """Whoever sits between could otherwise destroy mail; another MX may be right."""
    assert judge_server(ServerFacts(list_of(pki), examined(pki, fault, Purpose.SERVER), LAB_DOMAIN)) == verdict
    nothing_shown = ServerFacts(list_of(pki), None, LAB_DOMAIN)
    assert judge_server(nothing_shown) == Later(Reason.PEER_CERTIFICATE_WRONG, "none")


def test_an_unreadable_certificate_is_let_in_by_nobody(honest: SenderFacts) -> None:
    """Even if the list held a nameless entry."""
    unreadable = Examination(None, frozenset({Weakness.UNREADABLE}))
    assert judge_sender(replace(honest, certificate=unreadable)) == Refuse(Reason.CERTIFICATE_WEAK, "unreadable")


def test_of_ten_thousand_attempts_only_listed_pairs_pass(honest: SenderFacts) -> None:
    """Random lists, random certificates, random domains in envelope and header: accepted means listed for both."""
    random = Random(SEED)
    names = [DistinguishedName.parse(f"CN=smtp{number}.example,OU=1,O=X,C=FR") for number in range(20)]
    domains = [f"d{number}.mssante.example" for number in range(40)]
    listed = {(random.choice(domains), random.choice(names)) for _ in range(120)}
    view = TrustView(TrustList(honest.listing.view.generated_at, tuple(TrustEntry(d, n) for d, n in listed)))  # type: ignore[union-attr]
    listing = replace(honest.listing, view=view)
    assert honest.certificate
    assert honest.certificate.certificate
    shown = [Examination(replace(honest.certificate.certificate, subject=name)) for name in names]
    passed = 0
    for _ in range(ATTEMPTS):
        certificate = random.choice(shown)
        envelope, header = (random.choice([None, *domains, "ailleurs.example"]) for _ in range(2))
        verdict = judge_sender(SenderFacts(listing, True, certificate, envelope, header))
        pairs = {(domain, certificate.subject) for domain in (envelope, header) if domain is not None}
        may = pairs <= listed and any(name == certificate.subject for _, name in listed)
        assert isinstance(verdict, Accept) == may
        passed += may
    assert 10 < passed < ATTEMPTS / 2  # both answers were met
