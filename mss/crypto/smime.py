"""Is this S/MIME message for us, what does it say, and who signed it (RFC 8551, CMS of RFC 5652)?

OpenSSL's `cms` on octets in pipes and memory files; nothing readable touches a disk. A signature counts when the chain
of its signer ends at the authorities of the settings and its certificate bears the sender's address.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mss.crypto import tool
from mss.crypto.certs import alternative_names, load_certificates
from mss.crypto.revocation import RevocationStatus
from mss.crypto.signers import SignerLists
from mss.model.errors import BadValue
from mss.model.signature import Signature, Unopened

_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "OPENSSL_CONF": "/dev/null"}
_EXPIRED = ("certificate has expired", "certificate is not yet valid")


class Smime:
    """Our certificate and key, and whose signers count. `lists`: what is known of certificates taken back; None: it is
    not asked."""

    def __init__(
        self,
        certificate: Path | None,
        key: Path | None,
        authorities: Path | None,
        lists: SignerLists | None = None,
    ) -> None:
        self._lists = lists
        self._certificate = certificate
        self._key = key
        self._authorities = authorities

    def decrypt(self, der: bytes) -> bytes:
        """What is inside. Raises Unopened."""
        if self._certificate is None or self._key is None:
            raise Unopened("no key of ours")
        words = ["-decrypt", "-inform", "DER", "-recip", str(self._certificate), "-inkey", str(self._key)]
        done = self._cms(words, der)
        if done.output is None:
            raise Unopened("too large inside")
        if done.code != 0:
            no_recipient = "no matching recipient" in done.said or "no recipient" in done.said
            raise Unopened("not for our key" if no_recipient else "broken")
        return done.output

    def opened(self, der: bytes, sender: str) -> tuple[bytes, Signature]:
        """What an opaque signature carries, and what it is worth. Raises Unopened."""
        content, verdict = self._verified(der, None, sender)
        if content is None:
            raise Unopened("broken")
        return content, verdict

    def verify(self, signed: bytes, der: bytes, sender: str) -> Signature:
        """A detached signature over octets."""
        try:
            return self._verified(der, signed, sender)[1]
        except Unopened:
            return Signature.BROKEN

    def _verified(self, der: bytes, signed: bytes | None, sender: str) -> tuple[bytes | None, Signature]:
        with _in_memory(signed) as detached, tempfile.TemporaryDirectory(prefix="mss-cms-") as folder:
            signer = Path(folder) / "signer.pem"  # a certificate: nothing of the message
            more = [] if detached is None else ["-content", f"/dev/fd/{detached}"]
            words = ["-verify", "-inform", "DER", "-binary", "-signer", str(signer), *more]
            fds = () if detached is None else (detached,)
            done = self._cms([*words, "-noverify"], der, fds)
            if done.output is None:
                raise Unopened("too large inside")
            if done.code != 0:
                return (done.output or None) if signed is None else signed, Signature.BROKEN
            return done.output, self._signer(signer.read_bytes(), [*words, "-purpose", "any"], der, fds, sender)

    def _signer(self, pem: bytes, words: list[str], der: bytes, fds: tuple[int, ...], sender: str) -> Signature:
        """The octets are those that were signed; by whom?"""
        if self._authorities is None:
            return Signature.STRANGER
        done = self._cms([*words, "-CAfile", str(self._authorities)], der, fds)
        if done.code != 0:
            return Signature.EXPIRED if any(word in done.said for word in _EXPIRED) else Signature.STRANGER
        try:
            certificate = load_certificates(pem)[0]
            names = alternative_names(certificate)
        except (BadValue, IndexError):
            return Signature.STRANGER
        status = RevocationStatus.GOOD if self._lists is None else self._lists.status(certificate)
        if status is not RevocationStatus.GOOD:
            return Signature.REVOKED if status is RevocationStatus.REVOKED else Signature.STRANGER
        addresses = {name.rpartition(":")[2].lower() for name in names if "@" in name}
        return Signature.VALID if sender.lower() in addresses else Signature.OTHER

    def _cms(self, words: list[str], der: bytes, fds: tuple[int, ...] = ()) -> tool.Done:
        try:
            return tool.run(["openssl", "cms", *words], der, _ENVIRONMENT, pass_fds=fds)
        except tool.TooSlow:
            raise Unopened("too slow") from None
        except FileNotFoundError:
            raise Unopened("no openssl here") from None


@contextmanager
def _in_memory(data: bytes | None) -> Iterator[int | None]:
    """A descriptor that a child reads octets from, without a file."""
    if data is None:
        yield None
        return
    descriptor = os.memfd_create("signed")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(data)
        yield descriptor
    finally:
        os.close(descriptor)
