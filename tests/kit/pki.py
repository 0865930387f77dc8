"""Certificates for tests: an authority, operators, and what is wrong with some of them.

Made once for a test session (TLS looks at the machine's clock, so they are of today). RSA keys cost tenths of a
second and are made once and shared; what differs between their certificates is the certificate.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from mss.crypto.authority import SERVER, Authority, Fault, Issued, KeyKind, PrivateKey, Subject, new_key
from mss.crypto.revocation import RevocationLists, read_list
from mss.crypto.xmlsig import sign_enveloped
from mss.formats import trustlist
from mss.formats.trustlist import TrustEntry

LAB_DOMAIN = "labo.mssante.example"
HOSPITAL_DOMAIN = "chu.mssante.example"
LAB = Subject("smtp.labo.mssante.example", "312345678900013", "LABORATOIRE DES TILLEULS", "Rhône (69)")
HOSPITAL = Subject("smtp.chu.mssante.example", "1690000001", "CHU DE L'EXEMPLE", "Rhône (69)")
LIST_SIGNER = Subject("liste.mssante.example", "312345678900021", "AUTORITE DE L'EXEMPLE")
LIST_SIGNER_MAIL = "liste@mssante.example"


@cache
def key_of(kind: KeyKind) -> PrivateKey:
    """One key of that kind for the whole session."""
    return new_key(kind)


class Pki:
    """An authority of today, and whom it named."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.authority = Authority.create("EXEMPLE", now=self.now - timedelta(days=3000))

    @cached_property
    def lab(self) -> Issued:
        """Operator B: delivers for the laboratory."""
        return self.authority.issue(LAB, now=self.now)

    @cached_property
    def rsa_lab(self) -> Issued:
        """The same name with a key as IGC-Santé's customers have."""
        return self.authority.issue(LAB, now=self.now, key=key_of(KeyKind.RSA_2048))

    @cached_property
    def hospital(self) -> Issued:
        """Operator A: we."""
        return self.authority.issue(HOSPITAL, now=self.now)

    @cached_property
    def list_signer(self) -> Issued:
        return self.authority.issue_list_signer(LIST_SIGNER, now=self.now - timedelta(days=30), mail=LIST_SIGNER_MAIL)

    @cached_property
    def revoked_lab(self) -> Issued:
        """The laboratory's name on a certificate that `revocations` names."""
        return self.authority.issue_faulty(Fault.REVOKED, LAB, now=self.now)

    @cached_property
    def revocations(self) -> RevocationLists:
        """Both authorities' lists of today; the laboratory's other certificate is on one."""
        lists = (
            self.authority.crl([self.revoked_lab.certificate], now=self.now),
            self.authority.root_crl(now=self.now),
        )
        return RevocationLists().with_lists(read_list(crl, self.authority.certificates) for crl in lists)

    def show(self, fault: Fault | None) -> Issued:
        """What a peer in the laboratory's name shows."""
        if fault is None:
            return self.lab
        if fault is Fault.REVOKED:
            return self.revoked_lab
        if fault is Fault.WEAK_KEY:
            return self.authority.issue(LAB, now=self.now, key=key_of(KeyKind.RSA_1024))
        return self.authority.issue_faulty(fault, LAB, now=self.now)

    def server_only(self) -> Issued:
        """A certificate that may answer but not call."""
        return self.authority.issue(LAB, now=self.now, usages=(SERVER,))

    def out_of_bounds(self) -> Issued:
        """Issued by an authority that may only name hosts elsewhere (name constraints, RFC 5280 §4.2.1.10)."""
        bounds = x509.NameConstraints([x509.DNSName("ailleurs.example")], None)
        inner = self._authority_under(self.authority.root, lambda builder: builder.add_extension(bounds, critical=True))
        return Authority(self.authority.root, Issued(*inner, chain=(inner[0],))).issue(LAB, now=self.now, names=())

    def weak_signature(self) -> Issued:
        """Signed with SHA-1, by an authority with an RSA key: there the two signatures are of one length."""
        key = key_of(KeyKind.RSA_2048)
        above = self._authority_under(self.authority.root, key=key)
        issued = Authority(self.authority.root, Issued(*above, chain=(above[0],))).issue(LAB, now=self.now)
        assert isinstance(key, rsa.RSAPrivateKey)
        sha256, sha1 = bytes.fromhex("06092a864886f70d01010b"), bytes.fromhex("06092a864886f70d010105")
        signed = issued.certificate.tbs_certificate_bytes.replace(sha256, sha1)
        signature = key.sign(signed, PKCS1v15(), SHA1())
        der = issued.der.replace(sha256, sha1)[: -len(signature)] + signature
        return Issued(x509.load_der_x509_certificate(der), issued.key, issued.chain)

    def without_its_chain(self) -> Issued:
        """Of an authority under the root that nobody else knows, which it does not show."""
        above = self._authority_under(self.authority.root)
        return Authority(self.authority.root, Issued(*above)).issue(LAB, now=self.now)

    def too_long_a_chain(self) -> Issued:
        """Issued by an authority that the one above had no right to name (pathLenConstraint 0)."""
        above = self.authority.organisations
        inner = self._authority_under(above)
        chain = (inner[0], above.certificate)
        return Authority(self.authority.root, Issued(*inner, chain=chain)).issue(LAB, now=self.now)

    def _authority_under(
        self,
        above: Issued,
        more: Callable[[x509.CertificateBuilder], x509.CertificateBuilder] = lambda builder: builder,
        key: PrivateKey | None = None,
    ) -> tuple[x509.Certificate, PrivateKey]:
        template = self.authority.organisations.certificate
        key = key or new_key(KeyKind.EC)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "AC DE TROP")])
        builder = x509.CertificateBuilder(
            above.certificate.subject, name, key.public_key(), x509.random_serial_number()
        )
        builder = builder.not_valid_before(self.now - timedelta(days=1)).not_valid_after(self.now + timedelta(days=9))
        for kind in (x509.BasicConstraints, x509.KeyUsage):
            builder = builder.add_extension(template.extensions.get_extension_for_class(kind).value, critical=True)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(above.key.public_key())
        builder = builder.add_extension(identifier, critical=False).add_extension(issuer, critical=False)
        return more(builder).sign(above.key, SHA256()), key

    def entries(self) -> list[TrustEntry]:
        """A trust space of two operators."""
        return [
            TrustEntry(HOSPITAL_DOMAIN, self.hospital.subject, "CHU", "dsi@chu.mssante.example", "", self.now),
            TrustEntry(LAB_DOMAIN, self.lab.subject, "Laboratoire", "", "aide@labo.mssante.example", self.now),
        ]

    def signed_list(
        self, entries: list[TrustEntry] | None = None, *, generated_at: datetime | None = None, by: Issued | None = None
    ) -> bytes:
        """A list, of today unless told otherwise, signed by the signer unless told otherwise."""
        unsigned = trustlist.render(self.entries() if entries is None else entries, generated_at or self.now)
        signer = by or self.list_signer
        return sign_enveloped(unsigned, signer.key, signer.certificate)


@cache
def session_pki() -> Pki:
    return Pki()


@pytest.fixture(scope="session")
def pki() -> Pki:
    """The session's certificates."""
    return session_pki()
