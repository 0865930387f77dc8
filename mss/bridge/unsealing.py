"""What lies inside an encrypted or signed message, and is its signature worth anything?

Looks at the outermost parts only (RFC 3156 PGP/MIME, RFC 8551 S/MIME), opens what is for the bridge's keys and checks
what is signed; two layers, as mail programs make them. What stays shut, and a signature that does not fit, become a
problem that holds the message. Never decides whose a document is.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from mss.bridge.facts import Problem
from mss.crypto.pgp import OpenPgp
from mss.crypto.smime import Smime
from mss.formats import mime
from mss.formats.parts import Part, Structure, decode_body
from mss.model.errors import Malformed
from mss.model.signature import DOUBTFUL, Signature, Unopened, worst
from mss.model.verdict import Reason

LAYERS_MAX = 3
"""Signed in encrypted in signed: more is nobody's mail program."""
AT_ONCE_MAX = 2
"""Programs running at a time: each takes a core."""
CONTENT_BYTES_MAX = 35 * 1024 * 1024  # no message is larger
_PGP_ENCRYPTED, _PGP_SIGNED = "application/pgp-encrypted", "application/pgp-signature"
_SMIME_SIGNED = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})
_SMIME = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_SIGNED_DATA = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"  # 1.2.840.113549.1.7.2 (RFC 5652 §5.1)
_HEAD_BYTES = 40


@dataclass(frozen=True, slots=True)
class Unsealed:
    """What is to be read: the message itself, or what lay in it."""

    raw: bytes
    structure: Structure
    signature: Signature = Signature.NONE
    problem: Problem | None = None


class Unsealer:
    """The bridge's keys. Without those of a kind a signature beside a message is a file like another, and
    what is wrapped or encrypted stays shut: nobody here can tell what is in it."""

    def __init__(self, pgp: OpenPgp | None, smime: Smime | None) -> None:
        self._pgp = pgp
        self._smime = smime
        self._desk = asyncio.Semaphore(AT_ONCE_MAX)

    async def unseal(self, raw: bytes, structure: Structure, sender: str) -> Unsealed:
        """Open and check. `sender`: the address in From, whose signature it should be."""
        if not self._concerns(structure.root):
            problem = (
                Problem(Reason.UNDECRYPTABLE, "not opened here: no key of this kind") if _is_shut(structure) else None
            )
            return Unsealed(raw, structure, problem=problem)
        async with self._desk:
            return await asyncio.to_thread(self._unseal, raw, structure, sender)

    def _unseal(self, raw: bytes, structure: Structure, sender: str) -> Unsealed:
        inside, verdict = Unsealed(raw, structure), Signature.NONE
        for _ in range(LAYERS_MAX):
            if not self._concerns(inside.structure.root):
                return _judged(inside, verdict)
            try:
                content, found = self._layer(inside.raw, inside.structure.root, sender)
                verdict = worst(verdict, found)
                inside = Unsealed(content, mime.scan(content))
            except Unopened as shut:
                return Unsealed(raw, structure, verdict, Problem(Reason.UNDECRYPTABLE, str(shut)))
            except Malformed as malformed:
                return Unsealed(raw, structure, verdict, Problem(malformed.reason, "inside an encrypted message"))
        return Unsealed(raw, structure, verdict, Problem(Reason.UNDECRYPTABLE, "too many layers"))

    def _concerns(self, root: Part) -> bool:
        if root.content_type in _SMIME:
            return self._smime is not None
        protocol = root.parameters.get("protocol", "").lower()
        if root.content_type == "multipart/encrypted":
            return self._pgp is not None and protocol == _PGP_ENCRYPTED
        if root.content_type != "multipart/signed":
            return False
        return self._pgp is not None if protocol == _PGP_SIGNED else self._smime is not None

    def _layer(self, raw: bytes, root: Part, sender: str) -> tuple[bytes, Signature]:
        """What this layer carries, and what its signature is worth. Raises Unopened."""
        if root.content_type in _SMIME:
            assert self._smime is not None, "it concerns us"
            der = decode_body(raw, root, CONTENT_BYTES_MAX)
            if _SIGNED_DATA in der[:_HEAD_BYTES]:
                return self._smime.opened(der, sender)
            return self._smime.decrypt(der), Signature.NONE
        if len(root.children) != 2:
            raise Unopened("not two parts")
        first, second = root.children
        if root.content_type == "multipart/encrypted":
            assert self._pgp is not None, "it concerns us"
            return self._pgp.decrypt(decode_body(raw, second, CONTENT_BYTES_MAX), sender)
        signed, signature = raw[first.header_start : first.body_end], decode_body(raw, second, CONTENT_BYTES_MAX)
        if second.content_type == _PGP_SIGNED and self._pgp is not None:
            return signed, self._pgp.verify(signed, signature, sender)
        if second.content_type in _SMIME_SIGNED and self._smime is not None:
            return signed, self._smime.verify(signed, signature, sender)
        return signed, Signature.BROKEN  # it says that it is signed, and nothing there signs


def _is_shut(structure: Structure) -> bool:
    """Whether nothing can be read as it stands: encrypted, or signed in one piece (RFC 8551 §3.2, RFC 3156 §4)."""
    root = structure.root
    if root.content_type == "multipart/encrypted":
        return True
    return root.content_type in _SMIME and root.parameters.get("smime-type", "").lower() != "certs-only"


def _judged(inside: Unsealed, verdict: Signature) -> Unsealed:
    """A signature that does not fit holds; one by a stranger is as good as none."""
    problem = None
    if verdict is Signature.BROKEN:
        problem = Problem(Reason.SIGNATURE_BROKEN)
    elif verdict in DOUBTFUL:
        problem = Problem(Reason.SIGNATURE_DOUBTFUL, verdict.value)
    return Unsealed(inside.raw, inside.structure, verdict, problem)
