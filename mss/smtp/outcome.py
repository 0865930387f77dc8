"""What did the other server say, and what does that mean for each recipient?

Pure. The words of another server are kept for the sender's notice and told to nobody else: they often repeat an
address, so the queue and the journal get codes only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime

from mss.formats.dsn import Action, RecipientStatus
from mss.model.ids import MailAddress
from mss.model.verdict import Reason

WORDS_CHARS_MAX = 500
"""Of another server's reply; RFC 5321 §4.5.3.1.5 allows 512 a line."""

_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?:\s|$)", re.ASCII)
_NOT_PLAIN = re.compile(r"[^!-~]+", re.ASCII)

_REASONS = {
    "5.1.1": Reason.MAILBOX_UNKNOWN,
    "5.1.3": Reason.RECIPIENT_MALFORMED,
    "5.2.1": Reason.MAILBOX_CLOSED,
    "5.2.2": Reason.MAILBOX_OVER_QUOTA,
    "5.3.4": Reason.TOO_LARGE,
    "5.6.3": Reason.NEEDS_8BIT,
}
_STATUS_WHEN_EXPIRED = {
    Reason.PEER_UNREACHABLE: "4.4.1",
    Reason.PEER_CERTIFICATE_WRONG: "4.7.5",
    Reason.OUR_CERTIFICATE_REFUSED: "4.7.5",
}
_EXPIRED = "4.4.7"  # RFC 3463 §3.5: delivery time expired


@dataclass(frozen=True, slots=True)
class Words:
    """A reply of another server, made one plain line."""

    code: int
    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", _NOT_PLAIN.sub(" ", self.text).strip()[:WORDS_CHARS_MAX])

    @property
    def is_yes(self) -> bool:
        return 200 <= self.code <= 299

    @property
    def is_permanent(self) -> bool:
        return 500 <= self.code <= 599

    @property
    def enhanced(self) -> str:
        """Its enhanced code when it has one of its class (RFC 3463), else the general one."""
        found = _ENHANCED.match(self.text)
        first = str(self.code)[0]
        return found[1] if found and found[1][0] == first else f"{first}.0.0"

    @property
    def codes(self) -> str:
        """What may be written into our own log and queue."""
        return f"{self.code} {self.enhanced}"

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


@dataclass(frozen=True, slots=True)
class Setback:
    """Why a recipient has not got the message yet: our reason, and the other server's words when there were any."""

    reason: Reason
    why: str = ""
    """For the journal and the queue: a code or a keyword, never an address."""
    words: Words | None = None

    @property
    def told(self) -> str:
        return f"{self.reason.value} {self.words.codes if self.words else self.why}".strip()


@dataclass(slots=True)
class Sent:
    """What became of a message for each recipient, after one attempt."""

    host: str
    takes_wishes: bool = False
    """The host announced DSN: what was asked of reports is its affair now."""
    room: int = 0
    """The largest message that the host takes, 0 when it did not say."""
    accepted: tuple[MailAddress, ...] = ()
    refused: dict[MailAddress, Setback] = field(default_factory=dict)
    later: dict[MailAddress, Setback] = field(default_factory=dict)

    def put(self, recipients: tuple[MailAddress, ...], words: Words) -> None:
        """All of these got this answer."""
        for recipient in recipients:
            if words.is_permanent:
                self.refused[recipient] = Setback(reason_of(words), words=words)
            else:
                self.later[recipient] = Setback(Reason.PEER_REFUSED, words=words)


def reason_of(words: Words) -> Reason:
    """Ours for a final no of theirs."""
    return _REASONS.get(words.enhanced, Reason.PEER_REFUSED)


def failed(recipient: MailAddress, setback: Setback, host: str, at: datetime) -> RecipientStatus:
    """For the sender's notice: never to be delivered."""
    words = setback.words
    return RecipientStatus(
        str(recipient),
        Action.FAILED,
        words.enhanced if words else _status_of(setback.reason),
        diagnostic=str(words) if words else "",
        remote_mta=host if words else "",
        last_attempt=at,
        reason=setback.reason,
    )


def expired(recipient: MailAddress, setback: Setback, host: str, at: datetime) -> RecipientStatus:
    """For the sender's notice: tried until the time was over."""
    why = setback.reason if setback.reason in _STATUS_WHEN_EXPIRED else Reason.EXPIRED
    status = _STATUS_WHEN_EXPIRED.get(setback.reason, _EXPIRED)
    return replace(failed(recipient, setback, host, at), status=status, reason=why)


def delayed(recipient: MailAddress, setback: Setback, host: str, at: datetime, until: datetime) -> RecipientStatus:
    """For the sender's notice: not yet, and how long it will be tried."""
    words = setback.words
    status = words.enhanced if words else _STATUS_WHEN_EXPIRED.get(setback.reason, _EXPIRED)
    told = failed(recipient, setback, host, at)
    reason = setback.reason if setback.reason in _STATUS_WHEN_EXPIRED else None
    return replace(told, action=Action.DELAYED, status=status, will_retry_until=until, reason=reason)


def relayed(recipient: MailAddress, host: str, at: datetime) -> RecipientStatus:
    """For the sender's receipt: handed to a server that sends none (RFC 3461 §5.2.2)."""
    return RecipientStatus(str(recipient), Action.RELAYED, "2.0.0", remote_mta=host, last_attempt=at)


def _status_of(reason: Reason) -> str:
    """Where we refuse to send: outside the trust space is policy, the rest is content (RFC 3463 §3.7, §3.8)."""
    return "5.7.1" if reason in (Reason.RECIPIENT_OUTSIDE_TRUST_SPACE, Reason.DOMAIN_NOT_TRUSTED) else "5.6.0"
