"""What a mail door asks the house, whichever door it is.

The relay (another operator's server) and submission (a login of ours) ask the same three questions: about the
sender, about each recipient, about the message. `Intake` and `Submission` answer them; the door translates
verdicts into replies and knows nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from mss.mail.contents import Octets
from mss.model.ids import MailAddress, OwnerId
from mss.model.message import Envelope
from mss.model.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the door. A relay peer has a certificate and the domains that the trust list gives it; a login
    has an account."""

    name: str
    """For traces and deduplication: the certificate's subject, or the login's address."""
    serial: str = ""
    domains: frozenset[str] = frozenset()
    account: OwnerId | None = None
    proof: bytes = field(default=b"", repr=False)
    """What a login signed in with, as a hash."""
    address: MailAddress | None = None
    """Of a login that gave one: what a delegate is called."""
    remote_address: str = ""
    helo: str = ""
    certificate_der: bytes = b""
    tls: str = ""
    """Version and cipher of the connection."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a message: the verdict, and the number under which it is kept when accepted."""

    verdict: Verdict
    number: int = 0
    long_line: int = 0
    """Number, in the message as kept, of its longest line over 998 octets: taken, but a peer erred (RFC 5322 §2.1.1).
    0 when there is none."""


class Reception(Protocol):
    """The three questions. Each may be asked again; only `message` keeps anything."""

    async def sender(self, peer: Peer, sender: MailAddress | None) -> Verdict:
        """MAIL FROM; None is the null reverse path."""
        ...

    async def recipient(self, peer: Peer, sender: MailAddress | None, recipient: MailAddress) -> Verdict:
        """RCPT TO, for each recipient."""
        ...

    async def message(self, peer: Peer, envelope: Envelope, raw: Octets) -> Receipt:
        """The message, dot-unstuffed, CRLF lines, as received. Accepted means durable."""
        ...


class PeerJudge(Protocol):
    """How a relay door learns who a certificate is, at STARTTLS and before each message."""

    async def peer(self, certificate_der: bytes | None, remote_address: str) -> tuple[Peer | None, Verdict]:
        """The peer behind a certificate; Refuse or Later when it may not speak at all."""
        ...
