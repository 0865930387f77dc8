"""How is a file signed so that a device shows by whom it is? CMS SignedData around it (RFC 5652), DER."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs7

from mss.crypto.certs import load_certificates
from mss.model.errors import BadValue


def sign(content: bytes, chain_pem: bytes, key_pem: bytes) -> bytes:
    """`content` inside its signature, with the signer's certificate and chain. Raises BadValue."""
    own, *above = load_certificates(chain_pem)
    try:
        key = load_pem_private_key(key_pem, None)
    except (ValueError, TypeError):
        raise BadValue("a key that cannot be read") from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise BadValue("only RSA and elliptic-curve keys sign profiles")
    builder = pkcs7.PKCS7SignatureBuilder().set_data(content).add_signer(own, key, SHA256())
    for certificate in above:
        builder = builder.add_certificate(certificate)
    return builder.sign(Encoding.DER, [pkcs7.PKCS7Options.Binary])
