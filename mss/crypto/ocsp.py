"""What does a responder say of one certificate?

Questions and answers of OCSP (RFC 6960) as octets; nothing here asks anybody. An answer counts only when it is about
the certificate in question, signed by its authority or by a responder that this authority named for it, and of now.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

from mss.crypto.certs import is_issued_by, is_strong_enough, load_der
from mss.crypto.revocation import UNREADABLE, WEAK_HASHES, Answer, Link, RevocationStatus
from mss.model.errors import BadValue

ANSWER_BYTES_MAX = 64 * 1024  # an answer with a responder's certificate is 2 kB
CLOCK_SKEW = timedelta(minutes=5)
"""An answer made just now may be dated a little ahead of our clock."""
UNDATED_COUNTS = timedelta(hours=1)
"""Of an answer without an end ("newer ones are always to be had", RFC 6960 §4.2.2.1): as long as we ask hourly."""

_NAMES_BY = SHA1()  # noqa: S303 — names an authority, protects nothing; every responder knows it (RFC 5019 §2.1.1)
_STATUS = {
    ocsp.OCSPCertStatus.GOOD: RevocationStatus.GOOD,
    ocsp.OCSPCertStatus.REVOKED: RevocationStatus.REVOKED,
    ocsp.OCSPCertStatus.UNKNOWN: RevocationStatus.UNKNOWN,
}


def question(link: Link, authority: x509.Certificate) -> bytes:
    """What to ask about the certificate that `authority` issued under the serial number of `link`, as DER."""
    name, key = _authority_hashes(authority, _NAMES_BY)
    asked = ocsp.OCSPRequestBuilder().add_certificate_by_hash(name, key, link.serial, _NAMES_BY)
    return asked.build().public_bytes(Encoding.DER)


def read_answer(octets: bytes, link: Link, authority: x509.Certificate, now: datetime) -> Answer:
    """What the responder says of the certificate. Raises BadValue with what is wrong with the answer."""
    if len(octets) > ANSWER_BYTES_MAX:
        raise BadValue("answer too large")
    try:
        response = ocsp.load_der_ocsp_response(octets)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise BadValue(f"says {response.response_status.name.lower().replace('_', '-')}")
        signer = _signer(response, authority, now)
        single = next((one for one in response.responses if _is_about(one, link, authority)), None)
        if single is None:
            raise BadValue("answer about another certificate")
        starts, ends = single.this_update_utc, single.next_update_utc or single.this_update_utc + UNDATED_COUNTS
        status = _STATUS[single.certificate_status]
    except BadValue:
        raise
    except UNREADABLE:
        raise BadValue("answer that cannot be read") from None
    if starts > now + CLOCK_SKEW:
        raise BadValue("answer from the future")
    if ends < now:
        raise BadValue("answer that is over")
    return Answer(status, starts - CLOCK_SKEW, ends, None if signer is authority else signer.serial_number)


def _is_about(single: ocsp.OCSPSingleResponse, link: Link, authority: x509.Certificate) -> bool:
    if single.serial_number != link.serial:
        return False
    named = single.issuer_name_hash, single.issuer_key_hash
    return _authority_hashes(authority, single.hash_algorithm) == named


def _signer(response: ocsp.OCSPResponse, authority: x509.Certificate, now: datetime) -> x509.Certificate:
    """The authority, or the responder that it named (RFC 6960 §4.2.2.2); nobody else. Raises BadValue."""
    hashed = response.signature_hash_algorithm
    if hashed is not None and hashed.name in WEAK_HASHES:
        raise BadValue("answer with a weak signature")
    named = [one for one in (authority, *response.certificates) if _is_named(response, one)]
    signers = [one for one in named if _has_signed(one, response)]
    if not signers:
        raise BadValue("answer not signed by whom it names")
    why = ""
    for signer in signers:
        why = "" if signer == authority else _why_not_for(authority, load_der(signer.public_bytes(Encoding.DER)), now)
        if not why:
            return authority if signer == authority else signer
    raise BadValue(why)


def _why_not_for(authority: x509.Certificate, responder: x509.Certificate, now: datetime) -> str:
    """Why this responder may not speak for that authority; empty when it may."""
    if not is_issued_by(authority, responder):
        return "answer of a responder of another authority"
    try:
        uses = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    if ExtendedKeyUsageOID.OCSP_SIGNING not in uses:
        return "answer signed with a certificate that is not for that"
    if not responder.not_valid_before_utc <= now <= responder.not_valid_after_utc:
        return "answer signed with a certificate that does not count now"
    return "" if is_strong_enough(responder) else "answer signed with a certificate that is too weak"


def _is_named(response: ocsp.OCSPResponse, certificate: x509.Certificate) -> bool:
    """The answer says by name or by key who signed it."""
    if response.responder_name is not None:
        return response.responder_name == certificate.subject
    return response.responder_key_hash == _authority_hashes(certificate, _NAMES_BY)[1]


def _has_signed(certificate: x509.Certificate, response: ocsp.OCSPResponse) -> bool:
    key, hashed = certificate.public_key(), response.signature_hash_algorithm
    signature, signed = response.signature, response.tbs_response_bytes
    try:
        if isinstance(key, rsa.RSAPublicKey) and hashed is not None:
            if response.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS:
                return False
            key.verify(signature, signed, padding.PKCS1v15(), hashed)
        elif isinstance(key, ec.EllipticCurvePublicKey) and hashed is not None:
            key.verify(signature, signed, ec.ECDSA(hashed))
        elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, signed)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _authority_hashes(authority: x509.Certificate, algorithm: HashAlgorithm) -> tuple[bytes, bytes]:
    """Hashes of an authority's name and key, by which it is named (RFC 6960 §4.1.1)."""
    asked = ocsp.OCSPRequestBuilder().add_certificate(authority, authority, algorithm).build()
    return asked.issuer_name_hash, asked.issuer_key_hash
