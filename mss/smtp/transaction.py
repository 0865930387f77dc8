"""What has been said of one message so far: from whom, to whom, with which wishes, and its octets."""

from __future__ import annotations

from types import MappingProxyType

from aiosmtpd.smtp import Envelope

from mss.mail.contents import Contents
from mss.model.ids import MailAddress
from mss.model.message import DsnWish, RecipientWish, Returned
from mss.smtp import wishes
from mss.smtp.blocks import ChunkReader
from mss.smtp.commands import RcptCommand


class Transaction(Envelope):
    """aiosmtpd's envelope with real addresses. `mail_from` is None before MAIL, and "" for the null sender."""

    def __init__(self) -> None:
        super().__init__()
        self.sender: MailAddress | None = None
        self.recipients: dict[str, MailAddress] = {}
        self.returned: Returned | None = None
        self.envelope_id = ""
        self.recipient_wishes: dict[str, RecipientWish] = {}
        self.chunks: ChunkReader | None = None
        """What BDAT has brought so far; None before the first."""
        self.message: Contents = Contents(b"")
        """As received, dots undone."""

    @property
    def is_begun(self) -> bool:
        return self.mail_from is not None

    def add(self, command: RcptCommand) -> None:
        """One more recipient; named twice it still gets one copy."""
        key = command.recipient.key
        if key in self.recipients:
            self.recipient_wishes[key] = wishes.of_both(self.recipient_wishes[key], command.wish)
            return
        self.recipients[key] = command.recipient
        self.recipient_wishes[key] = command.wish
        self.rcpt_tos.append(str(command.recipient))
        self.rcpt_options.extend(command.options)

    @property
    def wish(self) -> DsnWish:
        """What the sender asked of delivery reports."""
        return DsnWish(self.returned, self.envelope_id, MappingProxyType(self.recipient_wishes))
