"""Where do certificates for the demo, the tests and a developer's machine come from?

A small authority of three levels, as IGC-Santé has: a root, an authority for organisations, certificates. It also
makes the faults that the outside will show us one day: expired, for another use, too weak, of another authority.
Never for production: nobody guards its keys. Keys come from the library's own randomness, the time from an argument.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from mss.crypto.certs import load_certificates, name_of
from mss.formats.dn import DistinguishedName
from mss.model.errors import BadValue

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Oid = x509.ObjectIdentifier

CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER = ExtendedKeyUsageOID.SERVER_AUTH
EMAIL = ExtendedKeyUsageOID.EMAIL_PROTECTION

LOOPBACK = ("localhost", "127.0.0.1")
AUTHORITY_DAYS = 3650
LEAF_DAYS = 1095  # three years, as IGC-Santé
LIST_DAYS = 7  # how long a revocation list counts
_WEAK_RSA_BITS = 1024


class KeyKind(StrEnum):
    """What kind of key to make. EC is made at once; RSA takes some tenths of a second and is what IGC-Santé uses."""

    EC = "ec"
    RSA_2048 = "rsa2048"
    RSA_1024 = "rsa1024"


class Fault(StrEnum):
    """What may be wrong with a certificate that a peer shows."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    REVOKED = "revoked"
    WRONG_USE = "wrong_use"
    WEAK_KEY = "weak_key"
    SELF_SIGNED = "self_signed"
    OTHER_AUTHORITY = "other_authority"


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a certificate names, in the form of the trust list: CN, OU (structure id), O, ST, C."""

    common_name: str
    structure_id: str
    organisation: str
    county: str = "Paris (75)"

    def name(self) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"),
                x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, self.county),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.organisation),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, self.structure_id),
                x509.NameAttribute(NameOID.COMMON_NAME, self.common_name),
            ]
        )


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its key, and the authorities between it and the root."""

    certificate: x509.Certificate
    key: PrivateKey
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def subject(self) -> DistinguishedName:
        return name_of(self.certificate.subject)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def certificate_pem(self) -> bytes:
        """Leaf first, then the chain: what a server sends (RFC 8446 §4.4.2)."""
        return b"".join(known.public_bytes(Encoding.PEM) for known in (self.certificate, *self.chain))

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def write(self, directory: Path, name: str) -> tuple[Path, Path]:
        """Write `name.pem` and `name.key`, the latter for its owner alone; answer both paths."""
        certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
        write_file(certificate, self.certificate_pem, mode=0o644)
        write_file(key, self.key_pem, mode=0o600)
        return certificate, key


class Authority:
    """A root and an authority for organisations under it, which issues everything."""

    def __init__(self, root: Issued, organisations: Issued) -> None:
        self.root = root
        self.organisations = organisations

    @classmethod
    def create(cls, name: str, *, now: datetime, key: KeyKind = KeyKind.EC) -> Authority:
        """A new authority; `name` tells it from others."""
        root_key, key_of_organisations = new_key(key), new_key(key)
        root_name = _authority_name(name, f"AC RACINE {name} ELEMENTAIRE")
        root = _certificate(root_name, root_key, root_name, root_key, now=now, days=AUTHORITY_DAYS, path_length=1)
        inner = _certificate(
            _authority_name(name, f"AC {name} ELEMENTAIRE ORGANISATIONS"),
            key_of_organisations,
            root_name,
            root_key,
            now=now,
            days=AUTHORITY_DAYS,
            path_length=0,
        )
        return cls(Issued(root, root_key), Issued(inner, key_of_organisations, (inner,)))

    @classmethod
    def load(cls, directory: Path) -> Authority:
        """The authority that `save` wrote. Raises BadValue."""
        root, organisations = load_issued(directory, "root"), load_issued(directory, "organisations")
        return cls(root, Issued(organisations.certificate, organisations.key, (organisations.certificate,)))

    def save(self, directory: Path) -> None:
        """Keep both certificates and keys in `directory`."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root.write(directory, "root")
        Issued(self.organisations.certificate, self.organisations.key).write(directory, "organisations")

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        return self.root.certificate, self.organisations.certificate

    @property
    def bundle_pem(self) -> bytes:
        """Root and organisations: what those who trust this authority configure."""
        return b"".join(known.public_bytes(Encoding.PEM) for known in self.certificates)

    def issue(
        self,
        subject: Subject,
        *,
        now: datetime,
        names: Sequence[str] = LOOPBACK,
        usages: Sequence[Oid] = (CLIENT, SERVER),
        key: KeyKind | PrivateKey = KeyKind.EC,
        days: int = LEAF_DAYS,
        responder: str = "",
    ) -> Issued:
        """A certificate of an operator: the host of `subject`, and `names`, as client and as server. `responder`: the
        address at which somebody answers about it (OCSP)."""
        private = new_key(key) if isinstance(key, KeyKind) else key
        certificate = _certificate(
            subject.name(),
            private,
            self.organisations.certificate.subject,
            self.organisations.key,
            now=now,
            days=days,
            names=(subject.common_name, *names),
            usages=usages,
            responder=responder,
        )
        return Issued(certificate, private, self.organisations.chain)

    def issue_client(self, subject: Subject, *, now: datetime, mail: str, key: KeyKind = KeyKind.EC) -> Issued:
        """For a person or a piece of software that signs in: client only, its mail address as alternative name."""
        private = new_key(key)
        certificate = _certificate(
            subject.name(),
            private,
            self.organisations.certificate.subject,
            self.organisations.key,
            now=now,
            days=LEAF_DAYS,
            names=(mail,),
            usages=(CLIENT, EMAIL),
        )
        return Issued(certificate, private, self.organisations.chain)

    def issue_list_signer(
        self, subject: Subject, *, now: datetime, mail: str, days: int = LEAF_DAYS, key: KeyKind = KeyKind.EC
    ) -> Issued:
        """For whoever signs the trust list, in the form of the real one (emailProtection, address as name)."""
        private = new_key(key)
        certificate = _certificate(
            subject.name(),
            private,
            self.organisations.certificate.subject,
            self.organisations.key,
            now=now,
            days=days,
            names=(mail,),
            usages=(EMAIL,),
            signs_contents=True,
        )
        return Issued(certificate, private, self.organisations.chain)

    def issue_faulty(self, fault: Fault, subject: Subject, *, now: datetime) -> Issued:
        """A certificate in the name of `subject` with one thing wrong. A revoked one is good until `crl` names it."""
        if fault is Fault.EXPIRED:
            return self.issue(subject, now=now - timedelta(days=400), days=365)
        if fault is Fault.NOT_YET_VALID:
            return self.issue(subject, now=now + timedelta(days=30))
        if fault is Fault.WRONG_USE:
            return self.issue(subject, now=now, usages=(EMAIL,))
        if fault is Fault.WEAK_KEY:
            return self.issue(subject, now=now, key=KeyKind.RSA_1024)
        if fault is Fault.SELF_SIGNED:
            key, name = new_key(KeyKind.EC), subject.name()
            names = (subject.common_name, *LOOPBACK)
            return Issued(_certificate(name, key, name, key, now=now, days=LEAF_DAYS, names=names), key)
        if fault is Fault.OTHER_AUTHORITY:
            return Authority.create("AILLEURS", now=now).issue(subject, now=now)
        return self.issue(subject, now=now)

    def crl(self, revoked: Iterable[x509.Certificate | int], *, now: datetime, days: int = LIST_DAYS) -> bytes:
        """What the authority for organisations took back, as DER."""
        return _crl(self.organisations, revoked, now, days)

    def root_crl(
        self, revoked: Iterable[x509.Certificate | int] = (), *, now: datetime, days: int = LIST_DAYS
    ) -> bytes:
        """What the root took back: the authority for organisations, or nothing."""
        return _crl(self.root, revoked, now, days)


def new_key(kind: KeyKind) -> PrivateKey:
    if kind is KeyKind.EC:
        return ec.generate_private_key(ec.SECP256R1())
    bits = _WEAK_RSA_BITS if kind is KeyKind.RSA_1024 else 2048
    return rsa.generate_private_key(65537, bits)


def write_file(path: Path, octets: bytes, *, mode: int) -> None:
    """Replace a file whole; its mode holds from its first octet on."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(octets)
    temporary.replace(path)


def _authority_name(name: str, common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, name),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _certificate(
    subject: x509.Name,
    key: PrivateKey,
    issuer: x509.Name,
    issuer_key: PrivateKey,
    *,
    now: datetime,
    days: int,
    names: Sequence[str] = (),
    usages: Sequence[Oid] = (CLIENT, SERVER),
    path_length: int | None = None,
    signs_contents: bool = False,
    responder: str = "",
) -> x509.Certificate:
    """One certificate in the profile of RFC 5280 §4.2; an authority's when it has a `path_length`."""
    is_authority = path_length is not None
    start = now - timedelta(hours=1)  # clocks of two machines differ
    builder = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=path_length), critical=True)
        .add_extension(_key_usage(is_authority=is_authority, signs_contents=signs_contents), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not is_authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if responder:
        place = x509.UniformResourceIdentifier(responder)
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    if names:
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in dict.fromkeys(names)])
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(issuer_key, SHA256())


def _key_usage(*, is_authority: bool, signs_contents: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=signs_contents,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    if "@" in name:
        return x509.RFC822Name(name)
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _crl(authority: Issued, revoked: Iterable[x509.Certificate | int], now: datetime, days: int) -> bytes:
    builder = x509.CertificateRevocationListBuilder(
        authority.certificate.subject, now - timedelta(hours=1), now + timedelta(days=days)
    )
    for item in revoked:
        serial = item if isinstance(item, int) else item.serial_number
        entry = x509.RevokedCertificateBuilder(serial, now - timedelta(hours=1)).build()
        builder = builder.add_revoked_certificate(entry)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    number = x509.CRLNumber(int(now.timestamp()))  # grows with time, as RFC 5280 §5.2.3 wants
    signed = builder.add_extension(identifier, critical=False).add_extension(number, critical=False)
    return signed.sign(authority.key, SHA256()).public_bytes(Encoding.DER)


def load_issued(directory: Path, name: str) -> Issued:
    """A certificate and its key as `Issued.write` wrote them, without the chain. Raises BadValue."""
    try:
        (certificate, *_) = load_certificates((directory / f"{name}.pem").read_bytes())
        key = load_pem_private_key((directory / f"{name}.key").read_bytes(), None)
    except (OSError, ValueError) as problem:
        raise BadValue(f"authority file {name} in {directory.name} cannot be read") from problem
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    return Issued(certificate, key)
