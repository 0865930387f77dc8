"""How do we speak TLS, on the relay and to our own users?

Contexts only; who is let in is decided after the handshake, from the certificate (crypto/certs.py, directory/trust.py).
TLS 1.2 or newer, forward secrecy, authenticated ciphers, no compression, no renegotiation (ANSSI TLS guide 1.2, R2-R9).

On the relay a peer without a certificate, or with one that is too weak, gets through the handshake, so that it can be
told in words what is missing; a wrong chain, date or purpose ends in a TLS alert, and `on_refused` hears whose
certificate it was. Host names are not compared there: the trust list binds a domain to a certificate's whole
subject, which says more.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from mss.crypto.certs import PeerCertificate, load_certificates, load_der, read
from mss.model.errors import BadValue

OPENSSL_CONF = Path(__file__).with_name("openssl.cnf")
"""For the environment variable OPENSSL_CONF of every process that speaks TLS: limits the key exchange groups."""

Pem = Path | bytes
"""A PEM file, or its contents."""

_CIPHERS = (
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
    "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
)
# OpenSSL's level 1 lets a 1024-bit key through the handshake, to be refused in words; level 2 would end it without.
_RELAY_SECURITY_LEVEL = 1
_SERVICE_SECURITY_LEVEL = 2

_HANDSHAKE_RECORD = 22  # RFC 8446 §5.1
_CERTIFICATE_MESSAGE = 11  # RFC 8446 §4, RFC 5246 §7.4


@dataclass(frozen=True, slots=True)
class RefusedPeer:
    """A handshake that failed: what the peer had shown (None: nothing yet, or unreadable), and why."""

    certificate: PeerCertificate | None
    reason: str


OnRefused = Callable[[RefusedPeer], None]
Pair = tuple[Pem, Pem]
"""A certificate with its chain, and its key."""


def relay_server_context(
    certificate: Pem,
    key: Pem,
    client_roots: Pem,
    *,
    on_refused: OnRefused | None = None,
    more: Sequence[Pair] = (),
) -> ssl.SSLContext:
    """For other operators who deliver to us. `client_roots`: roots and intermediates, PEM, DER or PKCS#7. `more`: shown
    to who asks for a host that they name (SNI); everybody else is shown the first."""
    others = {pair: relay_server_context(*pair, client_roots, on_refused=on_refused) for pair in more}
    context = _context(ssl.PROTOCOL_TLS_SERVER, _RELAY_SECURITY_LEVEL)
    _load_identity(context, certificate, key)
    _trust(context, client_roots)
    context.verify_mode = ssl.CERT_OPTIONAL
    # No tickets, so TLS 1.3 resumes nothing. TLS 1.2 may still resume by session id, which Python cannot switch off:
    # within one context only, with the certificate of before, whose dates and revocation the judge looks at again.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    _watch(context, on_refused, sends_alert_first=True)
    return _answering_by_name(context, certificate, others)


def relay_client_context(
    certificate: Pem, key: Pem, server_roots: Pem, *, on_refused: OnRefused | None = None
) -> ssl.SSLContext:
    """For us who deliver to other operators; the answering certificate is judged by the trust list afterwards."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT, _RELAY_SECURITY_LEVEL)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    _load_identity(context, certificate, key)
    _trust(context, server_roots)
    _watch(context, on_refused, sends_alert_first=False)
    return context


def service_server_context(
    certificate: Pem, key: Pem, client_roots: Pem | None = None, *, more: Sequence[Pair] = ()
) -> ssl.SSLContext:
    """For our own users: submission, IMAP, web. With `client_roots`, software may show a certificate (EXTERNAL). `more`
    as on the relay."""
    others = {pair: service_server_context(*pair, client_roots) for pair in more}
    context = _context(ssl.PROTOCOL_TLS_SERVER, _SERVICE_SECURITY_LEVEL)
    _load_identity(context, certificate, key)
    if client_roots is not None:
        _trust(context, client_roots)
        context.verify_mode = ssl.CERT_OPTIONAL
    _watch(context, None, sends_alert_first=True)
    return _answering_by_name(context, certificate, others)


class TlsHolder:
    """The context that new handshakes take. A reload builds another; sessions that are open keep theirs."""

    def __init__(self, build: Callable[[], ssl.SSLContext], files: Sequence[Path] = ()) -> None:
        """`files`: what `build` reads; `look` builds anew when one of them is another."""
        self._build = build
        self._files = files
        self._marks = self._seen()
        self.current = build()

    def reload(self) -> None:
        """Read certificates and roots again. On BadValue the old context stays."""
        self._marks = self._seen()
        self.current = self._build()

    def look(self) -> bool:
        """Reload when a file was replaced; whether it was. Half a pair (a new certificate whose key is still the old
        one) raises BadValue and is tried again when the other half comes."""
        if self._seen() == self._marks:
            return False
        self.reload()
        return True

    def _seen(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(map(_mark, self._files))


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def fetch_context(roots: Pem) -> ssl.SSLContext:
    """For fetching lists from a server whose certificate names its host and comes from `roots`. Raises BadValue."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT, _SERVICE_SECURITY_LEVEL)
    _trust(context, roots)
    return context


def hosts_of(certificate: Pem) -> frozenset[str]:
    """The names, lower case, for which a certificate answers: those of hosts, `*.` in front as it has them."""
    octets = certificate if isinstance(certificate, bytes) else certificate.read_bytes()
    return frozenset(name.lower() for name in read(load_certificates(octets)[0]).names if "@" not in name)


def _answering_by_name(
    context: ssl.SSLContext, certificate: Pem, others: Mapping[Pair, ssl.SSLContext]
) -> ssl.SSLContext:
    """The context, whose connections change to the one that names the host they are for (RFC 6066 §3)."""
    if not others:
        return context
    by_name = {name: other for (shown, _), other in others.items() for name in hosts_of(shown)}
    by_name |= dict.fromkeys(hosts_of(certificate), context)  # what several name is the first's

    def choose(connection: ssl.SSLObject, host: str | None, _context: ssl.SSLContext) -> None:
        name = (host or "").lower()
        connection.context = by_name.get(name) or by_name.get(f"*.{name.partition('.')[2]}", context)

    context.sni_callback = choose
    return context


def sink_client_context(roots: Pem, certificate: Pem | None = None, key: Pem | None = None) -> ssl.SSLContext:
    """For software of a hospital whose certificate names its host and comes from `roots`; ours is shown when it asks.
    Raises BadValue."""
    context = fetch_context(roots)
    if certificate is not None and key is not None:
        _load_identity(context, certificate, key)
    return context


def peer_certificate(tls: ssl.SSLObject | ssl.SSLSocket) -> bytes | None:
    """DER of the certificate that the peer showed in a finished handshake; None when it showed none."""
    return tls.getpeercert(binary_form=True)


def _context(protocol: int, security_level: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{_CIPHERS}:@SECLEVEL={security_level}")
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_TRUSTED_FIRST
    return context


def _load_identity(context: ssl.SSLContext, certificate: Pem, key: Pem) -> None:
    try:
        with _as_file(certificate) as certificate_file, _as_file(key) as key_file:
            # Without a password argument OpenSSL would ask the terminal for the key of an encrypted file.
            context.load_cert_chain(certificate_file, key_file, password=lambda: b"")
    except (OSError, ValueError) as problem:  # ssl.SSLError is an OSError
        raise BadValue(f"certificate or key cannot be used: {_reason(problem)}") from problem


def _trust(context: ssl.SSLContext, roots: Pem) -> None:
    try:
        octets = roots if isinstance(roots, bytes) else roots.read_bytes()
        authorities = load_certificates(octets)
        context.load_verify_locations(cadata=b"".join(known.public_bytes(Encoding.DER) for known in authorities))
    except OSError as problem:
        raise BadValue(f"trusted authorities cannot be used: {_reason(problem)}") from problem


@contextmanager
def _as_file(pem: Pem) -> Iterator[str]:
    """A path for OpenSSL. Bytes go through memory only: a key that came from elsewhere never touches a disk."""
    if isinstance(pem, Path):
        yield str(pem)
        return
    descriptor = os.memfd_create("pem", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        yield f"/proc/self/fd/{descriptor}"


def _reason(problem: BaseException) -> str:
    if isinstance(problem, ssl.SSLCertVerificationError):
        return problem.verify_message
    return (getattr(problem, "reason", None) or getattr(problem, "strerror", None) or str(problem)).lower()


class _Watched:
    """A handshake that tells whose certificate it refused, and why; in front of one of the ssl module's classes."""

    presented: bytes | None = None
    _failure: ssl.SSLError | None = None
    _on_refused: OnRefused | None = None
    _sends_alert_first = False
    _quiet: ssl.SSLContext | None = None

    context: ssl.SSLContext

    def do_handshake(self, *block: bool) -> None:
        if self._failure is not None:
            raise self._failure
        try:
            super().do_handshake(*block)  # type: ignore[misc]  # the ssl module's, which stands behind
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as failure:
            self._failure = failure
            if self._on_refused is not None:
                self._on_refused(RefusedPeer(_read_shown(self.presented), _reason(failure)))
            if self._sends_alert_first:
                # asyncio (3.11), under the pages, closes on an error without sending the alert that OpenSSL left in the
                # buffer. Asking for more makes it send; the next octet, the end of file or the deadline then ends it.
                raise ssl.SSLWantReadError from failure
            raise
        self.presented = None
        if self._quiet is not None:  # nothing more is to be seen: a connection is asked about each record else
            self.context = self._quiet


def _watch(context: ssl.SSLContext, on_refused: OnRefused | None, *, sends_alert_first: bool) -> None:
    """Classes for the context's connections, and the hook that sees certificates before they are verified.

    The hook is OpenSSL's message callback: nothing else shows a certificate whose handshake failed. It is set below
    the wrapper of the ssl module, which would turn every number into an enum for each record.
    """
    hook = staticmethod(on_refused) if on_refused else None
    told = {"_on_refused": hook, "_quiet": None if on_refused is None else ssl.SSLContext(context.protocol)}
    in_memory = {"_sends_alert_first": sends_alert_first}
    context.sslobject_class = type("WatchedTls", (_Watched, ssl.SSLObject), told | in_memory)
    context.sslsocket_class = type("WatchedTlsSocket", (_Watched, ssl.SSLSocket), told)
    if on_refused is not None:
        super(ssl.SSLContext, ssl.SSLContext)._msg_callback.__set__(context, _see_message)  # type: ignore[misc]


def _see_message(tls: object, direction: str, version: int, content_type: int, message: int, octets: bytes) -> None:
    if content_type != _HANDSHAKE_RECORD or message != _CERTIFICATE_MESSAGE or direction != "read":
        return
    if isinstance(tls, _Watched):
        tls.presented = _first_certificate(octets, version)


def _first_certificate(message: bytes, version: int) -> bytes | None:
    """The leaf of a Certificate message (RFC 8446 §4.4.2 has a context in front, RFC 5246 §7.4.2 has not)."""
    at = 4 + (1 + message[4] if version >= ssl.TLSVersion.TLSv1_3 and len(message) > 4 else 0) + 3
    size = int.from_bytes(message[at : at + 3])
    leaf = message[at + 3 : at + 3 + size]
    return leaf if size and len(leaf) == size else None


def _read_shown(der: bytes | None) -> PeerCertificate | None:
    try:
        return read(load_der(der)) if der else None
    except BadValue:
        return None
