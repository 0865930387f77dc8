"""What does this certificate say, and does it hold?

Facts for a judge, never a decision: whose it is, until when, how strong its key, for which use, whether its
authority took it back. TLS has verified chain, dates and purpose before anybody asks here; they are looked at again
because a session can outlive a certificate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store, VerificationError

from mss.crypto.revocation import (
    UNREADABLE,
    WEAK_HASHES,
    Link,
)
from mss.formats.dn import DistinguishedName
from mss.model.errors import BadValue

RSA_BITS_MIN = 2048  # ANSSI RGS B1 §2.2.1.1: below it no key is acceptable today
EC_BITS_MIN = 256  # the same, elliptic curves
PATH_LENGTH_MAX = 4  # IGC-Santé: root, organisations, leaf; one more is allowed for

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


class Purpose(StrEnum):
    """For what the peer uses its certificate towards us (RFC 5280 §4.2.1.12)."""

    CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string
    SERVER = ExtendedKeyUsageOID.SERVER_AUTH.dotted_string


class Weakness(StrEnum):
    """Why a judge may not be content with a certificate. The value is what logs show."""

    UNREADABLE = "unreadable"
    KEY_TOO_SMALL = "key-too-small"
    SIGNATURE_WEAK = "signature-weak"
    NOT_YET_VALID = "not-yet-valid"
    EXPIRED = "expired"
    WRONG_USE = "wrong-use"
    REVOKED = "revoked"
    REVOCATION_UNKNOWN = "revocation-unknown"


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """What a certificate says about itself."""

    subject: DistinguishedName
    issuer: DistinguishedName
    serial: int
    not_before: datetime
    not_after: datetime
    key_kind: str
    key_bits: int
    hash_name: str
    usages: frozenset[str]
    """Extended key usages as dotted OIDs; empty when the certificate does not restrict itself."""
    may_sign: bool
    """keyUsage allows the signature of a TLS handshake."""
    names: tuple[str, ...]
    """Alternative names: hosts, addresses, mail addresses."""
    sha256: str

    @property
    def serial_hex(self) -> str:
        """As openssl and the authority's pages print it."""
        return f"{self.serial:X}"


@dataclass(frozen=True, slots=True)
class Examination:
    """The certificate that a peer showed (None when it cannot be read) and what is wrong with it now."""

    certificate: PeerCertificate | None
    weaknesses: frozenset[Weakness] = frozenset()

    @property
    def subject(self) -> DistinguishedName:
        return self.certificate.subject if self.certificate else DistinguishedName(())


def load_der(der: bytes) -> x509.Certificate:
    """One certificate whose every field can be read. Raises BadValue."""
    try:
        return _read_through(x509.load_der_x509_certificate(der))
    except UNREADABLE:
        raise BadValue("certificate cannot be read") from None


def serial_of(der: bytes | None) -> str:
    """For a journal: the serial number of what was shown, as `serial_hex`; empty when nothing can be read."""
    try:
        return "" if der is None else f"{load_der(der).serial_number:X}"
    except BadValue:
        return ""


def der_of(certificate: x509.Certificate) -> bytes:
    """As a peer shows it."""
    return certificate.public_bytes(Encoding.DER)


def load_certificates(octets: bytes) -> tuple[x509.Certificate, ...]:
    """One or more certificates as PEM, DER or PKCS#7 (the form in which IGC-Santé publishes its chain)."""
    try:
        return tuple(_read_through(certificate) for certificate in _load_any(octets))
    except UNREADABLE:
        raise BadValue("neither PEM, DER nor PKCS#7 certificates") from None


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """One of ours, as it lies in its file."""

    facts: PeerCertificate
    der: bytes


def leaf_of(path: Path) -> OwnCertificate:
    """The certificate itself, first in its file. Raises BadValue with one line."""
    try:
        leaf = load_certificates(path.read_bytes())[0]
    except OSError as problem:
        raise BadValue(f"{path}: {problem.strerror}") from problem
    except (BadValue, IndexError) as problem:
        raise BadValue(f"{path}: no certificate that can be read") from problem
    return OwnCertificate(read(leaf), leaf.public_bytes(Encoding.DER))


def _load_any(octets: bytes) -> list[x509.Certificate]:
    if b"-----BEGIN CERTIFICATE-----" in octets:
        return x509.load_pem_x509_certificates(octets)
    if b"-----BEGIN PKCS7-----" in octets:
        return pkcs7.load_pem_pkcs7_certificates(octets)
    try:
        return [x509.load_der_x509_certificate(octets)]
    except ValueError:
        return pkcs7.load_der_pkcs7_certificates(octets)


def _read_through(certificate: x509.Certificate) -> x509.Certificate:
    """The library reads fields when asked and fails only then; ask now."""
    _ = certificate.subject, certificate.issuer, certificate.extensions, certificate.serial_number
    _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return certificate


def read(certificate: x509.Certificate) -> PeerCertificate:
    """The facts of a certificate as one value."""
    kind, bits = _key_of(certificate)
    eku = _extension(certificate, x509.ExtendedKeyUsage)
    usage = _extension(certificate, x509.KeyUsage)
    return PeerCertificate(
        subject=name_of(certificate.subject),
        issuer=name_of(certificate.issuer),
        serial=certificate.serial_number,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        key_kind=kind,
        key_bits=bits,
        hash_name=_hash_name(certificate),
        usages=frozenset(use.dotted_string for use in eku) if eku else frozenset(),
        may_sign=usage is None or usage.digital_signature,
        names=alternative_names(certificate),
        sha256=hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest(),
    )


def name_of(name: x509.Name) -> DistinguishedName:
    """A certificate's name as ours; values that are not text become `#` and their octets."""
    return DistinguishedName.of(
        [
            (attribute.oid.dotted_string, value if isinstance(value := attribute.value, str) else f"#{value.hex()}")
            for attribute in rdn
        ]
        for rdn in name.rdns
    )


def alternative_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Hosts, IP addresses and mail addresses of the subjectAltName extension."""
    names = _extension(certificate, x509.SubjectAlternativeName)
    kinds = (x509.DNSName, x509.RFC822Name, x509.IPAddress)
    return tuple(str(name.value) for name in names if isinstance(name, kinds)) if names else ()


def is_strong_enough(certificate: x509.Certificate) -> bool:
    """Key and signature are of today's strength."""
    return key_is_strong(*_key_of(certificate)) and _hash_name(certificate) not in WEAK_HASHES


def verify_path(
    leaf: x509.Certificate, roots: Sequence[x509.Certificate], intermediates: Sequence[x509.Certificate], at: datetime
) -> str:
    """Empty when `leaf` leads to one of `roots` at that moment, else what is wrong (RFC 5280 §6).

    Asks only for the path: what the leaf is for is the caller's question.
    """
    policy = PolicyBuilder().store(Store(list(roots))).time(at.replace(microsecond=0)).max_chain_depth(PATH_LENGTH_MAX)
    policy = policy.extension_policies(
        ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=ExtensionPolicy.permit_all()
    )
    try:
        policy.build_client_verifier().verify(leaf, list(intermediates))
    except (VerificationError, ValueError) as problem:
        return str(problem) or "no path"
    return ""


def path_to_root(certificate: x509.Certificate, authorities: Sequence[x509.Certificate]) -> tuple[Link, ...] | None:
    """Who issued it, and who issued that, up to a root that we know; None when the path is not known to us."""
    links: list[Link] = []
    while len(links) < PATH_LENGTH_MAX:
        issuer = next((known for known in authorities if is_issued_by(known, certificate)), None)
        if issuer is None:
            return None
        responder = responder_of(certificate)
        links.append(Link(authority_id(issuer), certificate.serial_number, bool(links), responder))
        if issuer.subject == issuer.issuer:
            return tuple(links)
        certificate = issuer
    return None


def responder_of(certificate: x509.Certificate) -> str:
    """The http address at which its authority answers for it (RFC 5280 §4.2.2.1); empty when it names none."""
    access = _extension(certificate, x509.AuthorityInformationAccess)
    places = [one for one in access or () if one.access_method == AuthorityInformationAccessOID.OCSP]
    urls = (
        place.access_location.value
        for place in places
        if isinstance(place.access_location, x509.UniformResourceIdentifier)
    )
    return next((url for url in urls if url.startswith("http://")), "")


def authority_id(authority: x509.Certificate) -> bytes:
    return hashlib.sha256(authority.public_bytes(Encoding.DER)).digest()


def is_issued_by(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    if authority.subject != certificate.issuer:
        return False
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def key_is_strong(kind: str, bits: int) -> bool:
    return (kind == "rsa" and bits >= RSA_BITS_MIN) or (kind == "ec" and bits >= EC_BITS_MIN) or kind == "ed"


def _key_of(certificate: x509.Certificate) -> tuple[str, int]:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "unknown", 0
    if isinstance(key, rsa.RSAPublicKey):
        return "rsa", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "ec", key.key_size
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return "ed", 256
    return "unknown", 0


def _hash_name(certificate: x509.Certificate) -> str:
    """Name of the hash in the authority's signature; empty where the algorithm has none of its own (EdDSA)."""
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return "unknown"
    return algorithm.name if algorithm else ""


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
