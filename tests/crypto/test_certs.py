"""What a certificate says, what is wrong with it, and whether its authority took it back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from mss.crypto import certs
from mss.crypto import examiner as examiner_of
from mss.crypto.authority import Authority, Fault, Issued
from mss.crypto.certs import Examination, Purpose, Weakness, load_certificates
from mss.crypto.examiner import Examiner
from mss.crypto.revocation import RevocationLists, RevocationStatus, read_list
from mss.formats.dn import DistinguishedName
from mss.model.errors import BadValue
from tests.kit.pki import LAB, Pki, session_pki


def examine(pki: Pki, shown: Issued, purpose: Purpose = Purpose.CLIENT) -> Examination:
    examiner = Examiner(pki.authority.certificates)
    return examiner.examine(shown.der, purpose=purpose, now=pki.now, revocations=pki.revocations)


def test_a_good_certificate_has_no_weakness_and_says_whose_it_is(pki: Pki) -> None:
    """Its subject is the one that the trust list writes, in the list's own form."""
    examination = examine(pki, pki.lab)
    assert not examination.weaknesses
    certificate = examination.certificate
    assert certificate is not None
    assert str(certificate.subject) == (
        "CN=smtp.labo.mssante.example,OU=312345678900013,O=LABORATOIRE DES TILLEULS,ST=Rhône (69),C=FR"
    )
    assert certificate.subject == DistinguishedName.parse(str(certificate.subject))
    assert certificate.names == ("smtp.labo.mssante.example", "localhost", "127.0.0.1")
    assert (certificate.key_kind, certificate.key_bits, certificate.hash_name) == ("ec", 256, "sha256")
    assert int(certificate.serial_hex, 16) == pki.lab.certificate.serial_number


@pytest.mark.parametrize(
    ("fault", "weaknesses"),
    [
        (Fault.EXPIRED, {Weakness.EXPIRED}),
        (Fault.NOT_YET_VALID, {Weakness.NOT_YET_VALID}),
        (Fault.REVOKED, {Weakness.REVOKED}),
        (Fault.WRONG_USE, {Weakness.WRONG_USE}),
        (Fault.WEAK_KEY, {Weakness.KEY_TOO_SMALL}),
        (Fault.SELF_SIGNED, {Weakness.REVOCATION_UNKNOWN}),
        (Fault.OTHER_AUTHORITY, {Weakness.REVOCATION_UNKNOWN}),
    ],
)
def test_each_fault_is_named(pki: Pki, fault: Fault, weaknesses: set[Weakness]) -> None:
    """One fault, one name; a path that nobody knows is never "good"."""
    assert examine(pki, pki.show(fault)).weaknesses == weaknesses


def test_purpose_is_looked_at_from_both_sides(pki: Pki) -> None:
    """A client's certificate answers for no server, a server's calls nobody."""
    client = pki.authority.issue_client(LAB, now=pki.now, mail="robot@labo.mssante.example")
    assert examine(pki, client, Purpose.SERVER).weaknesses == {Weakness.WRONG_USE}
    assert not examine(pki, client, Purpose.CLIENT).weaknesses
    assert examine(pki, pki.server_only(), Purpose.CLIENT).weaknesses == {Weakness.WRONG_USE}


def test_a_busy_peer_is_examined_anew_only_when_something_may_be_another(
    pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand mails in a minute cost one examination; another list, a clock set back or a date that passes costs
    one more."""
    looked: list[datetime] = []
    weaknesses = examiner_of._weaknesses

    def counted(certificate: certs.PeerCertificate, purpose: Purpose, now: datetime) -> Iterable[Weakness]:
        looked.append(now)
        return weaknesses(certificate, purpose, now)

    monkeypatch.setattr(examiner_of, "_weaknesses", counted)
    examiner = Examiner(pki.authority.certificates)

    def ask(now: datetime, lists: RevocationLists) -> frozenset[Weakness]:
        return examiner.examine(pki.lab.der, purpose=Purpose.CLIENT, now=now, revocations=lists).weaknesses

    for second in range(60):
        assert not ask(pki.now + timedelta(seconds=second), pki.revocations)
    assert len(looked) == 1
    ask(pki.now - timedelta(seconds=1), pki.revocations)
    assert ask(pki.now, RevocationLists()) == {Weakness.REVOCATION_UNKNOWN}
    assert not ask(pki.now, pki.revocations)
    assert len(looked) == 4
    over = pki.revocations.next_update
    assert over is not None
    assert not ask(over, pki.revocations)
    assert ask(over + timedelta(microseconds=1), pki.revocations) == {Weakness.REVOCATION_UNKNOWN}


def test_an_open_session_is_judged_by_today(pki: Pki) -> None:
    """What was remembered of a certificate is its facts, not yesterday's answer."""
    examiner = Examiner(pki.authority.certificates)
    lists = RevocationLists()
    for day, expected in ((0, set()), (1094, set()), (1096, {Weakness.EXPIRED})):
        found = examiner.examine(
            pki.lab.der, purpose=Purpose.CLIENT, now=pki.now + timedelta(days=day), revocations=None
        )
        assert found.weaknesses == expected
    taken_back = pki.authority.crl([pki.lab.certificate], now=pki.now), pki.authority.root_crl(now=pki.now)
    for revocations, expected in (
        (lists, {Weakness.REVOCATION_UNKNOWN}),
        (pki.revocations, set()),
        (lists.with_lists(read_list(crl, pki.authority.certificates) for crl in taken_back), {Weakness.REVOKED}),
    ):
        found = examiner.examine(pki.lab.der, purpose=Purpose.CLIENT, now=pki.now, revocations=revocations)
        assert found.weaknesses == expected


def test_the_memory_of_certificates_is_bounded(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer with many certificates costs time, not memory."""
    monkeypatch.setattr(examiner_of, "CACHE_ENTRIES_MAX", 2)
    examiner = Examiner(pki.authority.certificates)
    for shown in (pki.lab, pki.hospital, pki.revoked_lab, pki.lab):
        examiner.examine(shown.der, purpose=Purpose.CLIENT, now=pki.now, revocations=None)
    assert len(examiner._read) == 2


LAB_DER = session_pki().lab.der


@given(st.integers(0, len(LAB_DER) - 1), st.integers(0, 255))
def test_a_damaged_certificate_is_examined_or_called_unreadable(place: int, octet: int) -> None:
    """TLS and our library may differ in what they can read: nothing else than facts comes out."""
    pki = session_pki()
    damaged = LAB_DER[:place] + bytes([octet]) + LAB_DER[place + 1 :]
    found = Examiner(pki.authority.certificates).examine(
        damaged, purpose=Purpose.CLIENT, now=pki.now, revocations=pki.revocations
    )
    if found.certificate is None:
        assert found.weaknesses == {Weakness.UNREADABLE}
        assert found.subject == DistinguishedName(())
    elif damaged != LAB_DER:
        assert found.weaknesses  # its authority did not sign that, so nobody can say that it stands


@given(st.binary(max_size=300))
def test_garbage_is_no_certificate_and_no_revocation_list(octets: bytes) -> None:
    """Our error only."""
    with pytest.raises(BadValue):
        load_certificates(octets)
    with pytest.raises(BadValue):
        read_list(octets, session_pki().authority.certificates)


# Revocation lists

SOME_REASONS = frozenset([x509.ReasonFlags.key_compromise])


def _status(pki: Pki, *crls: bytes, days: float = 0) -> RevocationStatus:
    lists = RevocationLists().with_lists(read_list(crl, pki.authority.certificates) for crl in crls)
    path = certs.path_to_root(pki.lab.certificate, pki.authority.certificates)
    return lists.status(path, pki.now + timedelta(days=days))


def test_no_list_or_an_old_one_is_no_answer(pki: Pki) -> None:
    """Each authority of the path must have spoken, and lately."""
    crl, root_crl = pki.authority.crl([], now=pki.now), pki.authority.root_crl(now=pki.now)
    assert _status(pki, crl, root_crl) is RevocationStatus.GOOD
    assert _status(pki) is RevocationStatus.UNKNOWN
    assert _status(pki, crl) is RevocationStatus.UNKNOWN
    assert _status(pki, root_crl) is RevocationStatus.UNKNOWN
    assert _status(pki, crl, root_crl, days=8) is RevocationStatus.UNKNOWN
    assert _status(pki, crl, root_crl, days=-1) is RevocationStatus.UNKNOWN


def test_who_was_taken_back_stays_so(pki: Pki) -> None:
    """By an old list too, and when an older list comes after."""
    lab = pki.lab.certificate
    root_crl = pki.authority.root_crl(now=pki.now)
    taken_back = pki.authority.crl([lab], now=pki.now)
    older = pki.authority.crl([], now=pki.now - timedelta(days=1))
    assert _status(pki, taken_back, root_crl, days=30) is RevocationStatus.REVOKED
    assert _status(pki, taken_back, older, root_crl) is RevocationStatus.REVOKED
    assert _status(pki, older, taken_back, root_crl) is RevocationStatus.REVOKED


def test_a_revoked_authority_takes_everybody_along(pki: Pki) -> None:
    """The path counts, not only its end."""
    root_crl = pki.authority.root_crl([pki.authority.organisations.certificate], now=pki.now)
    assert _status(pki, pki.authority.crl([], now=pki.now), root_crl) is RevocationStatus.REVOKED


def test_a_list_of_somebody_else_counts_for_nothing(pki: Pki) -> None:
    """The same name with another key, and a list that was altered."""
    namesake = Authority.create("EXEMPLE", now=pki.now)
    with pytest.raises(BadValue, match="do not know"):
        read_list(namesake.crl([], now=pki.now), pki.authority.certificates)
    crl = bytearray(pki.authority.crl([pki.lab.certificate], now=pki.now))
    crl[-1] ^= 1
    with pytest.raises(BadValue):
        read_list(bytes(crl), pki.authority.certificates)


@pytest.mark.parametrize(
    ("extension", "critical"),
    [
        (x509.DeltaCRLIndicator(1), True),
        (x509.DeltaCRLIndicator(1), False),
        (x509.IssuingDistributionPoint(None, None, False, False, None, True, False), True),
        (x509.IssuingDistributionPoint(None, None, False, False, SOME_REASONS, False, False), True),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True),
    ],
)
def test_a_list_that_tells_only_a_part_is_not_used(pki: Pki, extension: x509.ExtensionType, critical: bool) -> None:
    """Changes only, other authorities' certificates, some reasons, or a rule that we do not know."""
    with pytest.raises(BadValue):
        read_list(_crl_with(pki, extension, critical=critical), pki.authority.certificates)


def test_a_list_for_authorities_says_nothing_about_operators(pki: Pki) -> None:
    """Scopes are honoured; its issuer's other list is needed."""
    scope = x509.IssuingDistributionPoint(None, None, False, True, None, False, False)
    assert _status(pki, _crl_with(pki, scope), pki.authority.root_crl(now=pki.now)) is RevocationStatus.UNKNOWN


def _crl_with(pki: Pki, extension: x509.ExtensionType, *, critical: bool = True) -> bytes:
    issuer = pki.authority.organisations
    builder = x509.CertificateRevocationListBuilder(
        issuer.certificate.subject, pki.now - timedelta(hours=1), pki.now + timedelta(days=1)
    )
    return builder.add_extension(extension, critical=critical).sign(issuer.key, SHA256()).public_bytes(Encoding.DER)


LAB_CRL = session_pki().authority.crl([session_pki().lab.certificate], now=session_pki().now)


@given(st.integers(0, len(LAB_CRL) - 1), st.integers(0, 255))
def test_a_damaged_revocation_list_is_refused(place: int, octet: int) -> None:
    """It is signed whole."""
    damaged = LAB_CRL[:place] + bytes([octet]) + LAB_CRL[place + 1 :]
    try:
        read_list(damaged, session_pki().authority.certificates)
        assert damaged == LAB_CRL
    except BadValue:
        pass
