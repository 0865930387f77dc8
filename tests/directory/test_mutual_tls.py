"""Every certificate that we know, with the right and the wrong domain, from the handshake to the verdict."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mss.crypto.authority import Authority, Fault, Issued, Subject
from mss.crypto.certs import Purpose
from mss.crypto.examiner import Examiner
from mss.crypto.tls import relay_client_context
from mss.directory.trust import ListFacts, SenderFacts, TrustView, judge_sender
from mss.formats.trustlist import TrustList
from mss.model.verdict import Accept, Reason
from tests.crypto.test_tls import caller, meet, relay, stranger
from tests.kit.pki import HOSPITAL_DOMAIN, LAB, LAB_DOMAIN, Pki

ALERT = "alert"
ACCEPTED = "accepted"


def _wildcard(pki: Pki) -> Issued:
    return pki.authority.issue(Subject("*.mssante.example", LAB.structure_id, LAB.organisation), now=pki.now)


def _another_name(pki: Pki) -> Issued:
    return pki.authority.issue(Subject("smtp.intrus.example", "1", "INTRUS"), now=pki.now, names=(LAB_DOMAIN,))


def _same_name_elsewhere(pki: Pki) -> Issued:
    return Authority.create("EXEMPLE", now=pki.now).issue(LAB, now=pki.now)


SHOWN: dict[str, tuple[Callable[[Pki], Issued | None], str]] = {
    "right": (lambda pki: pki.show(None), ACCEPTED),
    "none": (lambda _pki: None, Reason.CERTIFICATE_REQUIRED),
    "self-signed": (lambda pki: pki.show(Fault.SELF_SIGNED), ALERT),
    "other authority": (lambda pki: pki.show(Fault.OTHER_AUTHORITY), ALERT),
    "other authority of the same name": (_same_name_elsewhere, ALERT),
    "expired": (lambda pki: pki.show(Fault.EXPIRED), ALERT),
    "future": (lambda pki: pki.show(Fault.NOT_YET_VALID), ALERT),
    "revoked": (lambda pki: pki.show(Fault.REVOKED), Reason.CERTIFICATE_REVOKED),
    "server only": (Pki.server_only, ALERT),
    "mail signatures only": (lambda pki: pki.show(Fault.WRONG_USE), ALERT),
    "another name": (_another_name, Reason.CERTIFICATE_NOT_LISTED),
    "wildcard": (_wildcard, Reason.CERTIFICATE_NOT_LISTED),
    "beyond name constraints": (Pki.out_of_bounds, ALERT),
    "too long a chain": (Pki.too_long_a_chain, ALERT),
    "weak key": (lambda pki: pki.show(Fault.WEAK_KEY), Reason.CERTIFICATE_WEAK),
}


@pytest.mark.parametrize("domain", [LAB_DOMAIN, HOSPITAL_DOMAIN])
@pytest.mark.parametrize("shown", SHOWN)
async def test_only_the_right_certificate_with_the_right_domain_delivers(pki: Pki, shown: str, domain: str) -> None:
    """Each other pair is refused with its own reason, in the handshake or in words."""
    make, expected = SHOWN[shown]
    issued = make(pki)
    meeting = await meet(relay(pki), caller(pki, issued) if issued else stranger())
    if meeting.alert:
        answer = ALERT
        assert meeting.refused
    else:
        answer = judged(pki, meeting.shown, domain)
    if expected == ACCEPTED and domain != LAB_DOMAIN:
        expected = Reason.DOMAIN_NOT_OF_CERTIFICATE
    assert answer == expected


def judged(pki: Pki, der: bytes | None, domain: str) -> str:
    """What the relay would say at MAIL FROM."""
    examiner = Examiner(pki.authority.certificates)
    seen = der and examiner.examine(der, purpose=Purpose.CLIENT, now=pki.now, revocations=pki.revocations)
    listing = ListFacts(TrustView(TrustList(pki.now, tuple(pki.entries()))), 0, 3600)
    verdict = judge_sender(SenderFacts(listing, True, seen or None, domain))
    return ACCEPTED if isinstance(verdict, Accept) else verdict.reason


async def test_an_rsa_operator_is_as_welcome_as_an_ec_one(pki: Pki) -> None:
    """IGC-Santé issues RSA keys."""
    issued = pki.rsa_lab
    client = relay_client_context(issued.certificate_pem, issued.key_pem, pki.authority.bundle_pem)
    meeting = await meet(relay(pki), client)
    assert meeting.greeted
    assert judged(pki, meeting.shown, LAB_DOMAIN) == ACCEPTED
