"""A message on its way: who sends, to whom, under which certificate or login, and what the sender wants to be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from mss.model.ids import MailAddress


class Notify(StrEnum):
    """When a sender wants a delivery report (RFC 3461 §4.1)."""

    NEVER = "NEVER"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


class Returned(StrEnum):
    """How much of the message a report of failure brings back (RFC 3461 §4.3)."""

    FULL = "FULL"
    HEADERS = "HDRS"


@dataclass(frozen=True, slots=True)
class RecipientWish:
    """NOTIFY and ORCPT of one recipient. An empty `notify`: the sender did not say (failures are told)."""

    notify: frozenset[Notify] = frozenset()
    original: str = ""
    """ORCPT as it was sent, `type;xtext` (RFC 3461 §4.2); empty when absent."""

    def wants(self, what: Notify) -> bool:
        """Whether the sender is to be told of that. Who did not say hears of failures and delays."""
        return what in (self.notify or UNLESS_TOLD)


UNLESS_TOLD = frozenset({Notify.FAILURE, Notify.DELAY})
"""RFC 3461 §4.1 lets us choose; a doctor whose letter is late wants to know."""

NO_WISH = RecipientWish()


@dataclass(frozen=True, slots=True)
class DsnWish:
    """What the sender asked of delivery reports (RFC 3461)."""

    returned: Returned | None = None
    envelope_id: str = ""
    """ENVID as it was sent (xtext); empty when absent."""
    recipients: Mapping[str, RecipientWish] = field(default_factory=lambda: MappingProxyType({}))
    """By the key of the recipient's address; who is not named has no wish."""

    def of(self, recipient: MailAddress) -> RecipientWish:
        return self.recipients.get(recipient.key, NO_WISH)


NOTHING_WISHED = DsnWish()


@dataclass(frozen=True, slots=True)
class Envelope:
    """SMTP envelope. `sender` is None for the null reverse path `<>`."""

    sender: MailAddress | None
    recipients: tuple[MailAddress, ...]
    received_at: datetime
    peer_name: str = ""
    """The certificate's subject (RFC 4514) on the relay, the login on submission; for traces only."""
    helo: str = ""
    remote_address: str = ""
    wish: DsnWish = NOTHING_WISHED
