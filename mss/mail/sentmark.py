"""When are two copies of a sent message one and the same mail? Pure.

The server files what somebody sends; her mail client may bring its own copy. They are one when their Message-ID, the
fields that give them their meaning, and every octet of the body are equal. What servers and clients add to a header
on the way (Received, Return-Path, marks of the client) says nothing; and who was copied in secret is compared apart,
since most clients hide that from the server and name it in their own copy only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from mss.crypto.keys import Lookup
from mss.formats.mime import scan
from mss.formats.parts import Structure
from mss.mail.letters import read_addresses
from mss.model.ids import MailAddress

FIELDS = ("Message-ID", "From", "To", "Cc", "Subject", "Content-Type", "Content-Transfer-Encoding")
SHOWN_IN = ("To", "Cc", "Resent-To", "Resent-Cc")
"""Where everybody reads who got it."""


@dataclass(frozen=True, slots=True)
class SentMark:
    """What tells a sent mail from others: a hash of what is compared, and keys of the addresses copied in secret."""

    content: bytes
    secret: frozenset[str] = frozenset()

    @property
    def bare(self) -> SentMark:
        """Of a client's copy that names nobody in secret."""
        return SentMark(self.content)

    def filed(self, lookup: Lookup, owner: int) -> bytes:
        """Under this the server remembers what it filed."""
        return self._name(lookup, owner, "filed")

    def brought(self, lookup: Lookup, owner: int) -> bytes:
        """Under this what a client brought is remembered."""
        return self._name(lookup, owner, "brought")

    def _name(self, lookup: Lookup, owner: int, how: str) -> bytes:
        return lookup.of("sent", "|".join([str(owner), how, self.content.hex(), *sorted(self.secret)]))


def look(raw: bytes) -> tuple[Structure, SentMark | None]:
    """The structure of a message and its mark. Raises Malformed."""
    structure = scan(raw)
    return structure, mark_of(structure, raw)


def mark_of(structure: Structure, raw: bytes) -> SentMark | None:
    """None without a Message-ID: nothing else is a mail's own name."""
    if not (structure.header("Message-ID") or "").strip():
        return None
    digest = hashlib.sha256()
    for field in FIELDS:
        value = " ".join(" ".join(structure.headers(field)).split())
        digest.update(f"{field}:{value}\0".encode())
    body = memoryview(raw)[structure.root.body_start :]
    digest.update(body[: _written(raw, len(body))])
    return SentMark(digest.digest(), frozenset(one.key for one in read_addresses(structure, "Bcc")[0]))


def _written(raw: bytes, octets: int) -> int:
    """Octets of a body without the empty lines at its end: SMTP wants a line end there, a client's file may have
    none."""
    return max(0, octets - (len(raw) - len(raw.rstrip(b"\r\n"))))


def hidden_recipients(structure: Structure, recipients: Sequence[MailAddress]) -> tuple[MailAddress, ...]:
    """Those whom the header names nowhere."""
    named = {one.key for field in (*SHOWN_IN, "Bcc") for one in read_addresses(structure, field)[0]}
    return tuple(one for one in dict.fromkeys(recipients) if one.key not in named)


def bcc_field(structure: Structure, hidden: Sequence[MailAddress]) -> bytes:
    """A Bcc field that names them too, for the sender's own copy; empty when the header says all there is to say."""
    if not hidden:
        return b""
    told = ",\r\n ".join(str(one) for one in (*read_addresses(structure, "Bcc")[0], *hidden))
    return f"Bcc: {told}\r\n".encode("ascii")
