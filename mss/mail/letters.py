"""From bytes and an envelope to a letter: our trace fields before it, one scan, one summary.

Nothing is judged and nothing is kept here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from email.policy import SMTP
from email.utils import format_datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from mss.crypto.keys import Lookup
from mss.formats import headers, mime, report
from mss.formats.parts import Structure
from mss.formats.summary import Summary, summarise
from mss.mail.contents import aside
from mss.mail.policy import MessageFacts
from mss.mail.reception import Peer
from mss.model.clock import Chance
from mss.model.errors import BadValue
from mss.model.ids import MailAddress, matricule_of
from mss.model.message import Envelope

SEVEN_BIT = SMTP.clone(cte_type="7bit")
"""For what the house composes: every server takes it (RFC 6152 §3)."""
REFERENCES_MAX = 10
MESSAGE_ID_CHARS_MAX = 900
"""An id is never folded, and a line ends at 998 (RFC 5322 §2.1.1)."""
PARIS = ZoneInfo("Europe/Paris")
_UNSAFE = re.compile(r"[^A-Za-z0-9._=,+ -]")
_PATIENT = re.compile(r"(?<![0-9A-Za-z])[1-9][0-9]{4}(?:[0-9]{2}|2[ABab])[0-9]{8}@[A-Za-z0-9.-]*[A-Za-z0-9]", re.ASCII)


class HeaderFacts(NamedTuple):
    """What policy and delivery need from a header."""

    from_addresses: tuple[MailAddress, ...]
    from_is_readable: bool
    senders: tuple[MailAddress, ...]
    senders_are_readable: bool
    reply_to: tuple[MailAddress, ...]
    is_report: bool
    is_answer: bool
    """A machine's answer (a report, an absence); not what a machine sends of its own (RFC 3834 §5)."""
    received_fields: int


_READ = (b"from", b"sender", b"reply-to", b"auto-submitted", b"received")


async def scan(raw: bytes) -> Structure:
    """The structure of a message. Raises Malformed."""
    return await aside(len(raw), mime.scan, raw)


def study(raw: bytes, *, lines_are_whole: bool = False) -> tuple[Structure, Summary]:
    """The structure of a message, and all that will be shown of it without its body. Raises Malformed."""
    structure = mime.scan(raw, lines_are_whole=lines_are_whole)
    return structure, summarise(raw, structure)


def read_addresses(structure: Structure, field: str) -> tuple[tuple[MailAddress, ...], bool]:
    """Addresses of all fields of that name, and whether every one of them fits our grammar."""
    return _addresses(structure.headers(field))


def _addresses(values: Iterable[str]) -> tuple[tuple[MailAddress, ...], bool]:
    found: list[MailAddress] = []
    readable = True
    for value in values:
        for local, domain in headers.parse_places(value.encode("utf-8", "replace")):
            try:
                found.append(MailAddress(local, domain))
            except BadValue:
                readable = False
    return tuple(found), readable


def header_facts(structure: Structure) -> HeaderFacts:
    """Read what policy wants to know."""
    said = structure.root.said(_READ)
    shown, readable = _addresses(said[b"from"])
    if len(said[b"from"]) > 1:
        readable = False
    senders, senders_readable = _addresses(said[b"sender"])
    auto = (said[b"auto-submitted"] or ["no"])[0] or "no"
    auto = auto.split(";")[0].strip().lower()
    is_report = structure.root.content_type == "multipart/report" or auto not in ("no", "")
    return HeaderFacts(
        from_addresses=shown,
        from_is_readable=readable,
        senders=senders,
        senders_are_readable=senders_readable,
        reply_to=_addresses(said[b"reply-to"])[0],
        is_report=is_report,
        is_answer=structure.root.content_type == "multipart/report" or auto == "auto-replied",
        received_fields=len(said[b"received"]),
    )


def patients_shown(structure: Structure) -> frozenset[str]:
    """Patients' addresses that every reader sees in To and Cc, also where a name or a comment hides them."""
    values = [value for field in ("To", "Cc", "Resent-To", "Resent-Cc") for value in structure.headers(field)]
    return frozenset(
        found.lower() for value in values for found in _PATIENT.findall(f"{value} {headers.decode_words(value)}")
    )


def attachments_octets(structure: Structure) -> int:
    """How large all parts are, decoded: lines of 76 letters and CRLF hold 57 octets."""
    sizes = ((part.body_end - part.body_start, part.encoding) for part in structure.leaves())
    return sum(octets * 57 // 78 if encoding == "base64" else octets for octets, encoding in sizes)


def message_facts(
    structure: Structure,
    envelope: Envelope,
    *,
    by_login: bool,
    may_use: frozenset[str] = frozenset(),
    own: frozenset[str] = frozenset(),
    login: MailAddress | None = None,
) -> MessageFacts:
    """Facts for `policy.judge_message`."""
    seen = header_facts(structure)
    return MessageFacts(
        sender=envelope.sender,
        recipients=len(envelope.recipients),
        by_login=by_login,
        may_use=may_use,
        own=own,
        login_has_a_name=login is not None,
        patients=frozenset(one.key for one in envelope.recipients if matricule_of(one)) if by_login else frozenset(),
        patients_shown=patients_shown(structure) if by_login else frozenset(),
        from_addresses=seen.from_addresses,
        from_is_readable=seen.from_is_readable,
        sender_addresses=seen.senders,
        senders_are_readable=seen.senders_are_readable,
        is_report=seen.is_report,
        received_fields=seen.received_fields,
        long_line_number=0 if structure.longest_line is None else structure.longest_line.number,
        header_is_broken=structure.header_is_broken,
    )


def trace_fields(envelope: Envelope, peer: Peer, host: str, number: str, *, protocol: str) -> bytes:
    """Return-Path and Received (RFC 5321 §4.4). Names a host and a certificate serial, never a person's login."""
    helo = _UNSAFE.sub("?", envelope.helo)[:255] or "unknown"
    by_whom = f" (certificate {_UNSAFE.sub('?', peer.serial)[:64]})" if peer.serial else ""
    moment = _moment(int(envelope.received_at.timestamp()))
    received = f"Received: from {helo}{by_whom}\r\n by {host} with {protocol} id {number};\r\n {moment}\r\n"
    return return_path(envelope.sender) + received.encode("ascii")


@lru_cache(maxsize=8)
def _moment(second: int) -> str:
    """In a header; the mails of one second share it."""
    return format_datetime(datetime.fromtimestamp(second, PARIS))


def return_path(sender: MailAddress | None) -> bytes:
    """The field that the last server writes; empty for reports."""
    return f"Return-Path: <{'' if sender is None else sender}>\r\n".encode("ascii")


@dataclass(frozen=True, slots=True)
class Opening:
    """The first header lines of what we compose for somebody."""

    sender_name: str
    sender: MailAddress
    recipient: MailAddress
    subject: str
    at: datetime
    message_id: str

    def to_bytes(self) -> bytes:
        """Written by hand: the library breaks long ids, and doubles blanks where it folds a subject."""
        lines = (
            report.mailbox("From", self.sender_name, self.sender),
            f"To: {self.recipient}",
            report.unstructured("Subject", " ".join(self.subject.split())),
            f"Date: {format_datetime(self.at.astimezone(PARIS))}",
            f"Message-ID: {self.message_id}",
        )
        return "".join(line + "\r\n" for line in lines).encode("ascii")


def new_message_id(chance: Chance, domain: str) -> str:
    """A fresh Message-ID with angle brackets (RFC 5322 §3.6.4)."""
    return f"<{chance.token(16).hex()}@{domain}>"


def notice_id(lookup: Lookup, cause: str, domain: str) -> str:
    """The Message-ID of a letter of the house: the same for the same cause, and telling nothing of it."""
    return f"<{lookup.of('notice', cause).hex()}@{domain}>"


def threading(original: Structure) -> bytes:
    """RFC 5322 §3.6.4: an answer names what it answers."""
    answered = _ids(original, "Message-ID")[:1]
    if not answered:
        return b""
    before = _ids(original, "References") or _ids(original, "In-Reply-To")[:1]
    chain = list(dict.fromkeys([*before[-REFERENCES_MAX:], *answered]))
    references = "\r\n ".join(chain)
    return f"In-Reply-To: {answered[0]}\r\nReferences: {references}\r\n".encode("ascii")


def _ids(structure: Structure, field: str) -> list[str]:
    found = headers.parse_message_ids(structure.header(field) or "")
    return [one for one in found if one.isascii() and one.isprintable() and len(one) <= MESSAGE_ID_CHARS_MAX]
