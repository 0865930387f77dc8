"""A house behind a mail door: takes mail, refuses on demand, keeps what it accepted in a list.

Whoever wants a particular answer asks for it by name: a sender, a recipient or a subject that is the name of a
`Reason` gets that reason, as Later when its reply is a 4xx. Everybody else of the two domains is welcome.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from mss.mail.contents import Contents, Octets
from mss.mail.reception import Peer, Receipt
from mss.model.errors import StorageUnavailable
from mss.model.ids import MailAddress
from mss.model.message import Envelope
from mss.model.verdict import Accept, Later, Reason, Refuse, Verdict
from mss.smtp import replies
from tests.kit.pki import HOSPITAL_DOMAIN, LAB_DOMAIN, Pki

BROKEN = "broken"  # whose mail meets a fault of ours
NO_STORE = "no-store"  # whose mail meets a store that is away
_SUBJECT = re.compile(rb"Subject: ([a-z-]+)( [^\r]*)?\r\n")
NAMES = {reason.value for reason in Reason}


@dataclass(frozen=True)
class Kept:
    """An accepted message."""

    peer: Peer
    envelope: Envelope
    raw: bytes


def asked_for(name: str, detail: str = "") -> Verdict:
    """The verdict that a name asks for."""
    if name == BROKEN:
        raise KeyError("a fault of ours that knows the patient's name")
    if name == NO_STORE:
        raise StorageUnavailable("no room")
    if name not in NAMES:
        return Accept()
    reason = Reason(name)
    reply = replies.REPLIES.get(reason)
    return Refuse(reason, detail) if reply is None or reply.is_permanent else Later(reason, detail)


@dataclass
class FakeReception:
    """Keeps what it accepts."""

    kept: list[Kept] = field(default_factory=list)
    before_keeping: Callable[[Envelope], Awaitable[None]] | None = None
    """Called before a message is kept: slowness, faults."""

    async def sender(self, peer: Peer, sender: MailAddress | None) -> Verdict:
        if sender is None:
            return Accept()
        if peer.account is None and sender.domain not in peer.domains:
            return Refuse(Reason.DOMAIN_NOT_OF_CERTIFICATE)
        return asked_for(sender.local)

    async def recipient(self, peer: Peer, sender: MailAddress | None, recipient: MailAddress) -> Verdict:
        if recipient.domain not in (HOSPITAL_DOMAIN, LAB_DOMAIN):
            return Refuse(Reason.RECIPIENT_NOT_OURS)
        return asked_for(recipient.local)

    async def message(self, peer: Peer, envelope: Envelope, raw: Octets) -> Receipt:
        raw = Contents.of(raw).whole()
        if self.before_keeping is not None:
            await self.before_keeping(envelope)
        subject = _SUBJECT.search(raw, 0, 2000)
        if subject:
            verdict = asked_for(subject[1].decode(), (subject[2] or b"").decode().strip())
            if not isinstance(verdict, Accept):
                return Receipt(verdict)
        await asyncio.sleep(0)  # as a commit would: others go on meanwhile
        self.kept.append(Kept(peer, envelope, raw))
        return Receipt(Accept(), len(self.kept))


@dataclass
class FakeJudge:
    """Knows the laboratory's certificate; `verdict` is what it says of it."""

    pki: Pki
    verdict: Verdict = field(default_factory=Accept)
    asked: int = 0

    def __post_init__(self) -> None:
        listed = ((self.pki.lab, LAB_DOMAIN), (self.pki.hospital, HOSPITAL_DOMAIN))
        self._peers = {
            issued.der: Peer(
                str(issued.subject),
                f"{issued.certificate.serial_number:X}",
                frozenset({domain}),
                certificate_der=issued.der,
            )
            for issued, domain in listed
        }

    async def peer(self, certificate_der: bytes | None, remote_address: str) -> tuple[Peer | None, Verdict]:
        self.asked += 1
        known = self._peers.get(certificate_der or b"")
        if known is None:
            return None, Refuse(Reason.CERTIFICATE_NOT_LISTED)
        return (known if isinstance(self.verdict, Accept) else None), self.verdict
