"""Who signed this XML, and which octets exactly did they sign?

One profile of XMLDSig and nothing else, that of the trust list: enveloped, exclusive canonical XML, SHA-256, RSA or
ECDSA, one reference to the whole document, one certificate. A signature that could be read in two ways is refused:
two of them, one that is not the last child of the root, one that points at an element, one with an algorithm or a
child that the profile does not name.

The caller gets back the octets that were signed and parses those, so that nothing around or between them (a
comment, a second root, text after the signature) can be believed by mistake.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from mss.crypto.certs import alternative_names, is_strong_enough, load_der, name_of, verify_path
from mss.formats import strictxml
from mss.model.errors import BadValue, MssError

BYTES_MAX = 32 * 1024 * 1024  # of the trust list (formats/trustlist.py), the only document that we verify

_DSIG = "http://www.w3.org/2000/09/xmldsig#"
_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
_ENVELOPED = _DSIG + "enveloped-signature"
_DIGEST = "http://www.w3.org/2001/04/xmlenc#sha256"
_RSA = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
_ECDSA = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"


class SignatureRefused(MssError):
    """The document is not signed, not in our profile, or not by somebody whom we trust. The text says which."""


@dataclass(frozen=True, slots=True)
class VerifiedXml:
    """`content`: canonical octets of the document without its signature, exactly what `signer` signed."""

    content: bytes
    signer: x509.Certificate


@dataclass(frozen=True, slots=True)
class _Signature:
    element: etree._Element
    signed_info: etree._Element
    algorithm: str
    digest: bytes
    value: bytes
    signer: x509.Certificate


def verify_enveloped(
    xml: bytes,
    *,
    trusted_roots: Sequence[x509.Certificate],
    intermediates: Sequence[x509.Certificate],
    signers: Collection[str],
    at: Callable[[bytes], datetime],
) -> VerifiedXml:
    """Verify signature, digest and signer. Raises SignatureRefused.

    `signers` are common names or alternative names (mail address, host) that may sign: the list changes its key every
    three years, but not its name. `at` reads from the signed octets the moment at which the signer's chain must have
    been valid, since a list may outlive the certificate that signed it.
    """
    try:
        root = strictxml.read(xml, bytes_max=BYTES_MAX)
        signature = _read(root)
        _check_value(signature)
        content = _without(root, signature)
        _check_signer(signature.signer, trusted_roots, intermediates, signers, at(content))
    except (BadValue, etree.LxmlError) as broken:
        raise SignatureRefused(str(broken)) from None
    return VerifiedXml(content, signature.signer)


def _read(root: etree._Element) -> _Signature:
    """The one signature of the document, each of whose elements is where the profile wants it."""
    found = list(root.iter(f"{{{_DSIG}}}Signature"))
    if len(found) != 1 or found[0] is not root[-1]:
        raise SignatureRefused("not exactly one signature, last in the document")
    signed_info, value, key_info = _children(found[0], "SignedInfo", "SignatureValue", "KeyInfo")
    canonical, method, reference = _children(signed_info, "CanonicalizationMethod", "SignatureMethod", "Reference")
    if reference.attrib.items() != [("URI", "")]:
        raise SignatureRefused("the signature does not cover the whole document")
    transforms, digest_method, digest = _children(reference, "Transforms", "DigestMethod", "DigestValue")
    enveloped, exclusive = _children(transforms, "Transform", "Transform")
    algorithms = [_algorithm(element) for element in (canonical, enveloped, exclusive, digest_method)]
    if algorithms != [_EXCLUSIVE, _ENVELOPED, _EXCLUSIVE, _DIGEST]:
        raise SignatureRefused("the signature uses transforms or a digest outside our profile")
    (data,) = _children(key_info, "X509Data")
    (certificate,) = _children(data, "X509Certificate")
    return _Signature(
        found[0], signed_info, _algorithm(method), _base64(digest), _base64(value), load_der(_base64(certificate))
    )


def _children(element: etree._Element, *names: str) -> list[etree._Element]:
    children = list(element)  # comments and processing instructions count, and are never wanted here
    if [child.tag for child in children] != [f"{{{_DSIG}}}{name}" for name in names]:
        raise SignatureRefused(f"the signature does not hold exactly {', '.join(names)}")
    return children


def _algorithm(element: etree._Element) -> str:
    if len(element) or set(element.attrib) != {"Algorithm"}:
        raise SignatureRefused("an algorithm of the signature has parameters")
    return str(element.attrib["Algorithm"])


def _base64(element: etree._Element) -> bytes:
    if len(element):
        raise SignatureRefused("a value of the signature holds markup")
    try:
        return base64.b64decode("".join((element.text or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise SignatureRefused("a value of the signature is not base64") from None


def _check_value(signature: _Signature) -> None:
    """SignedInfo is signed with the key of the certificate that came along."""
    octets = _canonical(signature.signed_info)
    try:
        key = signature.signer.public_key()
        if isinstance(key, rsa.RSAPublicKey) and signature.algorithm == _RSA:
            key.verify(signature.value, octets, padding.PKCS1v15(), SHA256())
        elif isinstance(key, ec.EllipticCurvePublicKey) and signature.algorithm == _ECDSA:
            key.verify(_to_dss(signature.value), octets, ec.ECDSA(SHA256()))
        else:
            raise SignatureRefused("the signature's algorithm is outside our profile")
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        raise SignatureRefused("the signature is not of its certificate's key") from None


def _canonical(element: etree._Element) -> bytes:
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False)


def _without(root: etree._Element, signature: _Signature) -> bytes:
    """The document's octets after the enveloped-signature transform (XMLDSig §6.6.4), when their digest is right."""
    _detach(signature.element)
    content = etree.tostring(root.getroottree(), method="c14n", exclusive=True, with_comments=False)
    if hashlib.sha256(content).digest() != signature.digest:
        raise SignatureRefused("the document was altered after it was signed")
    return content


def _detach(element: etree._Element) -> None:
    """Remove the element and nothing else; lxml would take the text behind it along."""
    parent, before = element.getparent(), element.getprevious()
    assert parent is not None
    if before is None:
        parent.text = (parent.text or "") + (element.tail or "")
    else:
        before.tail = (before.tail or "") + (element.tail or "")
    parent.remove(element)


def _check_signer(
    signer: x509.Certificate,
    roots: Sequence[x509.Certificate],
    intermediates: Sequence[x509.Certificate],
    signers: Collection[str],
    at: datetime,
) -> None:
    if not {name_of(signer.subject).common_name, *alternative_names(signer)} & set(signers):
        raise SignatureRefused("the signer is not one whom we expect")
    if not _may_sign(signer):
        raise SignatureRefused("the signer's certificate is not for signing")
    if not is_strong_enough(signer):
        raise SignatureRefused("the signer's key or certificate is too weak")
    if problem := verify_path(signer, roots, intermediates, at):
        raise SignatureRefused(f"the signer's certificate does not hold: {problem}")


def _may_sign(certificate: x509.Certificate) -> bool:
    """keyUsage is there and says so (RFC 5280 §4.2.1.3), and the certificate is nobody's authority."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return False
    try:
        authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        authority = False
    return (usage.digital_signature or usage.content_commitment) and not authority


def sign_enveloped(
    xml: bytes, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, certificate: x509.Certificate
) -> bytes:
    """Sign a whole document in our profile; the signature becomes the last child of its root. Raises BadValue."""
    root = strictxml.read(xml, bytes_max=BYTES_MAX)
    if next(root.iter(f"{{{_DSIG}}}Signature"), None) is not None:
        raise BadValue("already signed")
    digest = hashlib.sha256(etree.tostring(root.getroottree(), method="c14n", exclusive=True, with_comments=False))
    algorithm = _RSA if isinstance(key, rsa.RSAPrivateKey) else _ECDSA
    der = certificate.public_bytes(Encoding.DER)
    signature = etree.fromstring(_template(algorithm, digest.digest(), der))
    root.append(signature)
    octets = _canonical(signature[0])
    if isinstance(key, rsa.RSAPrivateKey):
        value = key.sign(octets, padding.PKCS1v15(), SHA256())
    else:
        value = _from_dss(key.sign(octets, ec.ECDSA(SHA256())), key)
    signature[1].text = _wrapped(value)
    return etree.tostring(root.getroottree(), xml_declaration=True, encoding="UTF-8")


def _template(algorithm: str, digest: bytes, certificate: bytes) -> str:
    return (
        f'<Signature xmlns="{_DSIG}"><SignedInfo><CanonicalizationMethod Algorithm="{_EXCLUSIVE}"/>'
        f'<SignatureMethod Algorithm="{algorithm}"/><Reference URI=""><Transforms>'
        f'<Transform Algorithm="{_ENVELOPED}"/><Transform Algorithm="{_EXCLUSIVE}"/></Transforms>'
        f'<DigestMethod Algorithm="{_DIGEST}"/><DigestValue>{_wrapped(digest)}</DigestValue></Reference></SignedInfo>'
        f"<SignatureValue/><KeyInfo><X509Data><X509Certificate>{_wrapped(certificate)}</X509Certificate></X509Data>"
        "</KeyInfo></Signature>"
    )


def _wrapped(octets: bytes) -> str:
    return base64.encodebytes(octets).decode().strip()


def _to_dss(value: bytes) -> bytes:
    """r and s side by side, as XMLDSig writes ECDSA (RFC 4050 §3.3), into the DER that libraries want."""
    half = len(value) // 2
    return encode_dss_signature(int.from_bytes(value[:half]), int.from_bytes(value[half:]))


def _from_dss(der: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    size = -(-key.curve.key_size // 8)
    r, s = decode_dss_signature(der)
    return r.to_bytes(size) + s.to_bytes(size)
