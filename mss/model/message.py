"""A message on its way: who sends, to whom, under which certificate or login."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mss.model.ids import MailAddress


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
