"""The signature of the trust list: what is believed, and every way of lying that we know."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from mss.crypto.authority import Authority, Issued, KeyKind, Subject
from mss.crypto.xmlsig import SignatureRefused, VerifiedXml, sign_enveloped, verify_enveloped
from mss.formats import trustlist
from mss.model.errors import BadValue
from tests.kit.pki import LIST_SIGNER, LIST_SIGNER_MAIL, Pki, session_pki

DSIG = "http://www.w3.org/2000/09/xmldsig#"


def verify(xml: bytes, pki: Pki, signers: tuple[str, ...] = (LIST_SIGNER.common_name,)) -> VerifiedXml:
    root, organisations = pki.authority.certificates
    return verify_enveloped(
        xml, trusted_roots=[root], intermediates=[organisations], signers=signers, at=trustlist.generated_at
    )


def sign(xml: bytes, signer: Issued) -> bytes:
    return sign_enveloped(xml, signer.key, signer.certificate)


@pytest.mark.parametrize("kind", [KeyKind.EC, KeyKind.RSA_2048])
def test_what_was_signed_is_handed_back(pki: Pki, kind: KeyKind) -> None:
    """RSA as the real list, and ECDSA; the octets hold the list and no signature."""
    signer = pki.authority.issue_list_signer(LIST_SIGNER, now=pki.now, mail=LIST_SIGNER_MAIL, key=kind)
    verified = verify(pki.signed_list(by=signer), pki)
    assert verified.signer == signer.certificate
    assert trustlist.parse(verified.content).entries == tuple(pki.entries())
    assert b"Signature" not in verified.content


def test_canonical_octets_are_those_of_the_standard(pki: Pki) -> None:
    """Exclusive c14n by hand: no declaration, no comments, sorted attributes, no empty tags, text kept."""
    date = "2026-01-05T09:00:00Z"
    start = f'<L xmlns="{trustlist.NAMESPACE}" b="2" a=\'1\'><!-- x -->'
    unsigned = f"<?xml version='1.0'?>\n<?keep me?>{start}<DateDeGeneration>{date}</DateDeGeneration><E/>é&#13;\n</L>"
    signed = sign(unsigned.encode(), pki.list_signer)
    expected = (
        f'<?keep me?>\n<L xmlns="{trustlist.NAMESPACE}" a="1" b="2">'
        f"<DateDeGeneration>{date}</DateDeGeneration><E></E>é&#xD;\n</L>"
    ).encode()
    digest = base64.b64encode(hashlib.sha256(expected).digest())
    assert b"<DigestValue>" + digest + b"</DigestValue>" in signed


def test_a_signer_is_known_by_common_name_or_mail_address(pki: Pki) -> None:
    """The list's key changes every three years, its name does not."""
    signed = pki.signed_list()
    assert verify(signed, pki, (LIST_SIGNER_MAIL,))
    with pytest.raises(SignatureRefused, match="not one whom we expect"):
        verify(signed, pki, ("autre.mssante.example",))


def test_a_list_outlives_the_certificate_that_signed_it(pki: Pki) -> None:
    """Valid at its generation is what counts; expired by then is refused, and so is not yet valid."""
    long_ago = pki.now - timedelta(days=900)
    signer = pki.authority.issue_list_signer(LIST_SIGNER, now=long_ago, mail=LIST_SIGNER_MAIL, days=365)
    in_time = pki.signed_list(generated_at=long_ago + timedelta(days=300), by=signer)
    assert verify(in_time, pki).signer == signer.certificate
    for when in (long_ago + timedelta(days=366), long_ago - timedelta(days=1)):
        with pytest.raises(SignatureRefused, match="does not hold"):
            verify(pki.signed_list(generated_at=when, by=signer), pki)


def _by_another_authority(pki: Pki) -> Issued:
    elsewhere = Authority.create("EXEMPLE", now=pki.now - timedelta(days=10))
    return elsewhere.issue_list_signer(LIST_SIGNER, now=pki.now - timedelta(days=1), mail=LIST_SIGNER_MAIL)


def _by_itself(pki: Pki) -> Issued:
    name, key = LIST_SIGNER.name(), ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(pki.now - timedelta(days=1)).not_valid_after(pki.now + timedelta(days=1))
    usage = pki.list_signer.certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    return Issued(builder.add_extension(usage, critical=True).sign(key, SHA256()), key)


def _by_a_neighbour(pki: Pki) -> Issued:
    return pki.authority.issue(Subject("autre.mssante.example", "1", "AUTRE"), now=pki.now - timedelta(days=1))


@pytest.mark.parametrize("make", [_by_another_authority, _by_itself, _by_a_neighbour])
def test_a_stranger_signs_in_vain(pki: Pki, make: Callable[[Pki], Issued]) -> None:
    """Another authority, nobody's authority, another certificate of the same authority."""
    with pytest.raises(SignatureRefused):
        verify(pki.signed_list(by=make(pki)), pki)


def test_an_authority_does_not_sign_lists(pki: Pki) -> None:
    """Its key is for certificates, whatever name it bears."""
    authority = pki.authority.organisations
    name = "AC EXEMPLE ELEMENTAIRE ORGANISATIONS"
    with pytest.raises(SignatureRefused, match="not for signing"):
        verify(pki.signed_list(by=authority), pki, (name,))


def test_a_weak_key_signs_in_vain(pki: Pki) -> None:
    """RSA with 1024 bits, though its authority vouches for it."""
    weak = pki.authority.issue_list_signer(LIST_SIGNER, now=pki.now, mail=LIST_SIGNER_MAIL, key=KeyKind.RSA_1024)
    with pytest.raises(SignatureRefused, match="weak"):
        verify(pki.signed_list(by=weak), pki)


def _edit(old: str, new: str, count: int = 1) -> Callable[[str], str]:
    def edit(text: str) -> str:
        assert old in text, old
        return text.replace(old, new, count)

    return edit


def _signature(text: str) -> str:
    found = re.search(r"<Signature .*</Signature>", text, re.DOTALL)
    assert found
    return found[0]


def _wrapped(text: str) -> str:
    """The signed list inside another list, whose own entries nobody signed."""
    signature = _signature(text)
    inner = text.replace(signature, "").split("?>\n", 1)[1]
    evil = inner.replace("labo.mssante.example", "evil.example")
    return evil.replace("</ListeBlancheMSSante>", f"{inner}{signature}</ListeBlancheMSSante>")


def _wrapped_in_object(text: str) -> str:
    """The signed list inside an Object of its own signature."""
    signature = _signature(text)
    inner = text.replace(signature, "").split("?>\n", 1)[1]
    evil = inner.replace("labo.mssante.example", "evil.example")
    held = signature.replace("</Signature>", f'<Object Id="o">{inner}</Object></Signature>')
    return evil.replace("</ListeBlancheMSSante>", f"{held}</ListeBlancheMSSante>")


def _twice(text: str) -> str:
    return text.replace("</ListeBlancheMSSante>", f"{_signature(text)}</ListeBlancheMSSante>")


def _first(text: str) -> str:
    signature = _signature(text)
    return text.replace(signature, "").replace("<DateDeGeneration>", f"{signature}<DateDeGeneration>")


def _nested(text: str) -> str:
    signature = _signature(text)
    return text.replace(signature, "").replace("</ListeDomaines>", f"{signature}</ListeDomaines>")


XPATH = '<Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><XPath>self::node()</XPath></Transform>'
ENVELOPED = '<Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>'
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
LIES: dict[str, Callable[[str], str]] = {
    "another domain": _edit("labo.mssante.example", "evil.example"),
    "another date": _edit("<DateDeGeneration>2", "<DateDeGeneration>3"),
    "an entry more": _edit("</ListeDomaines>", "<Domaine/></ListeDomaines>"),
    "text behind the signature": _edit("</Signature>", "</Signature>x"),
    "space behind the signature": _edit("</Signature>", "</Signature>\n"),
    "an element behind the signature": _edit("</Signature>", "</Signature><Domaine/>"),
    "no signature": lambda text: text.replace(_signature(text), ""),
    "two signatures": _twice,
    "signature first": _first,
    "signature deeper": _nested,
    "wrapped": _wrapped,
    "wrapped in an Object": _wrapped_in_object,
    "reference to an element": _edit('URI=""', 'URI="#o"'),
    "reference by Id and Type": _edit('URI=""', f'URI="" Type="{DSIG}Object"'),
    "reference elsewhere": _edit('URI=""', 'URI="https://ailleurs.example/liste.xml"'),
    "no URI": _edit(' URI=""', ""),
    "two references": lambda text: re.sub(r"(<Reference.*</Reference>)", r"\1\1", text, flags=re.DOTALL),
    "a transform less": _edit(ENVELOPED, ""),
    "a transform more": _edit(ENVELOPED, ENVELOPED + XPATH),
    "another transform": _edit(ENVELOPED, XPATH),
    "transforms the other way round": _edit(
        f'{ENVELOPED}<Transform Algorithm="{EXCLUSIVE}"/>', f'<Transform Algorithm="{EXCLUSIVE}"/>{ENVELOPED}'
    ),
    "prefix list": _edit(
        f'<Transform Algorithm="{EXCLUSIVE}"/>',
        f'<Transform Algorithm="{EXCLUSIVE}"><InclusiveNamespaces xmlns="{EXCLUSIVE}" PrefixList="x"/></Transform>',
    ),
    "comments count": _edit(f'Method Algorithm="{EXCLUSIVE}"', f'Method Algorithm="{EXCLUSIVE}WithComments"'),
    "inclusive canonical form": _edit(EXCLUSIVE, "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"),
    "hmac": _edit("2001/04/xmldsig-more#ecdsa-sha256", "2001/04/xmldsig-more#hmac-sha256"),
    "sha-1 signature": _edit("2001/04/xmldsig-more#ecdsa-sha256", "2000/09/xmldsig#rsa-sha1"),
    "the other kind of key": _edit("#ecdsa-sha256", "#rsa-sha256"),
    "sha-1 digest": _edit("2001/04/xmlenc#sha256", "2000/09/xmldsig#sha1"),
    "truncated hmac": _edit(
        '#ecdsa-sha256"/>', '#ecdsa-sha256"><HMACOutputLength>0</HMACOutputLength></SignatureMethod>'
    ),
    "comment in the digest": _edit("<DigestValue>", "<DigestValue><!-- x -->"),
    "comment in the value": _edit("<SignatureValue>", "<SignatureValue><!-- x -->"),
    "comment behind the value": _edit("</SignatureValue>", "<!-- x --></SignatureValue>"),
    "empty digest": lambda text: re.sub(r"<DigestValue>.*?<", "<DigestValue><", text),
    "empty value": lambda text: re.sub(r"<SignatureValue>.*?<", "<SignatureValue><", text, flags=re.DOTALL),
    "value that is no base64": _edit("<SignatureValue>", "<SignatureValue>*"),
    "two certificates": lambda text: re.sub(r"(<X509Certificate>.*</X509Certificate>)", r"\1\1", text, flags=re.DOTALL),
    "a key instead of a certificate": lambda text: re.sub(
        r"<X509Data>.*</X509Data>", "<KeyValue/>", text, flags=re.DOTALL
    ),
    "a certificate that is none": lambda text: re.sub(
        r"<X509Certificate>.*?<", "<X509Certificate>AAAA<", text, flags=re.DOTALL
    ),
    "doctype": _edit("<ListeBlanche", "<!DOCTYPE ListeBlancheMSSante><ListeBlanche"),
    "doctype with an entity": _edit("<ListeBlanche", '<!DOCTYPE x [<!ENTITY e "evil">]><ListeBlanche'),
    "truncated": lambda text: text[: len(text) // 2],
    "truncated after the list": lambda text: text[: text.index("<Signature ")],
    "nothing": lambda _text: "",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_refused(pki: Pki, lie: str) -> None:
    """Wrapping, doubling, moving, weakening, redirecting, truncating."""
    with pytest.raises(SignatureRefused):
        verify(LIES[lie](pki.signed_list().decode()).encode(), pki)


def _signed_again(text: str, signer: Issued) -> bytes:
    """The expected signer's own key over whatever SignedInfo says now."""
    root = etree.fromstring(text.encode())
    info, value = root[-1][0], root[-1][1]
    octets = etree.tostring(info, method="c14n", exclusive=True, with_comments=False)
    assert isinstance(signer.key, rsa.RSAPrivateKey)
    value.text = base64.b64encode(signer.key.sign(octets, padding.PKCS1v15(), SHA256())).decode()
    return etree.tostring(root)


OUTSIDE_THE_PROFILE = [
    "reference to an element",
    "reference by Id and Type",
    "reference elsewhere",
    "no URI",
    "two references",
    "a transform less",
    "a transform more",
    "another transform",
    "transforms the other way round",
    "prefix list",
    "comments count",
    "inclusive canonical form",
    "sha-1 digest",
]


@pytest.mark.parametrize("lie", [*OUTSIDE_THE_PROFILE, "algorithm with a parameter", "ecdsa by name, rsa by key"])
def test_our_profile_holds_for_the_expected_signer_too(pki: Pki, lie: str) -> None:
    """Whoever gets a strange signature out of the signer's software gains nothing by it."""
    signer = pki.authority.issue_list_signer(LIST_SIGNER, now=pki.now, mail=LIST_SIGNER_MAIL, key=KeyKind.RSA_2048)
    honest = pki.signed_list(by=signer).decode()
    assert verify(_signed_again(honest, signer), pki)
    more = {
        "algorithm with a parameter": _edit('#rsa-sha256"/>', '#rsa-sha256"><X/></SignatureMethod>'),
        "ecdsa by name, rsa by key": _edit("#rsa-sha256", "#ecdsa-sha256"),
    }
    with pytest.raises(SignatureRefused):
        verify(_signed_again({**LIES, **more}[lie](honest), signer), pki)


def test_an_ec_key_does_not_answer_to_the_name_of_rsa(pki: Pki) -> None:
    """The algorithm that is named is the algorithm that is used."""
    text = pki.signed_list().decode().replace("#ecdsa-sha256", "#rsa-sha256")
    root = etree.fromstring(text.encode())
    octets = etree.tostring(root[-1][0], method="c14n", exclusive=True, with_comments=False)
    key = pki.list_signer.key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(key.sign(octets, ec.ECDSA(SHA256())))
    root[-1][1].text = base64.b64encode(r.to_bytes(32) + s.to_bytes(32)).decode()
    with pytest.raises(SignatureRefused, match="outside our profile"):
        verify(etree.tostring(root), pki)


def test_the_certificate_of_somebody_else_does_not_fit(pki: Pki) -> None:
    """A signature says nothing about a certificate that was put beside it."""
    theirs = _by_another_authority(pki)
    text = pki.signed_list(by=theirs).decode()
    ours = base64.encodebytes(pki.list_signer.certificate.public_bytes(Encoding.DER)).decode().strip()
    swapped = re.sub(r"(<X509Certificate>).*(</X509Certificate>)", rf"\g<1>{ours}\g<2>", text, flags=re.DOTALL)
    with pytest.raises(SignatureRefused, match="not of its certificate"):
        verify(swapped.encode(), pki)


def test_a_comment_cannot_split_a_name(pki: Pki) -> None:
    """Comments are not signed: with one inside a value the reader still sees the value that was signed."""
    text = pki.signed_list().decode().replace(">labo.mssante.example<", ">labo<!-- -->.mssante.example<")
    content = verify(text.encode(), pki).content
    assert b"<Nom>labo.mssante.example</Nom>" in content
    assert trustlist.parse(content).entries == tuple(pki.entries())


def test_line_ends_in_the_values_are_no_obstacle(pki: Pki) -> None:
    """The real list breaks its base64 with carriage returns written as references."""
    signed = pki.signed_list().decode()
    head, value = signed.split("<SignatureValue>")
    assert verify(f"{head}<SignatureValue>{value.replace(chr(10), '&#13;' + chr(10))}".encode(), pki)


def test_nothing_is_signed_twice(pki: Pki) -> None:
    """A second signature would make both unreadable."""
    with pytest.raises(BadValue, match="already"):
        sign(pki.signed_list(), pki.list_signer)


SIGNED = session_pki().signed_list()


@given(st.integers(0, len(SIGNED) - 1), st.integers(0, 255))
def test_no_octet_can_be_changed_unnoticed(place: int, octet: int) -> None:
    """Either the list is refused, or what is handed back is what was signed."""
    honest = verify(SIGNED, session_pki()).content
    damaged = SIGNED[:place] + bytes([octet]) + SIGNED[place + 1 :]
    try:
        assert verify(damaged, session_pki()).content == honest
    except SignatureRefused:
        pass


def test_the_moment_comes_from_the_signed_octets(pki: Pki) -> None:
    """Whoever asks for the chain's date reads it from what was signed, never from around it."""
    asked: list[bytes] = []

    def at(content: bytes) -> datetime:
        asked.append(content)
        return datetime(2000, 1, 1, tzinfo=UTC)

    root, inner = pki.authority.certificates
    with pytest.raises(SignatureRefused, match="does not hold"):
        verify_enveloped(
            pki.signed_list(), trusted_roots=[root], intermediates=[inner], signers=[LIST_SIGNER_MAIL], at=at
        )
    assert b"Signature" not in asked[0]
