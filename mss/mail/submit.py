"""How does mail of our own people leave? Submission by their software, replies of patients, notices of the house.

Same judge as intake, and the courtesies that RFC 6409 asks of a submission server: Date and Message-ID added when
missing, Bcc and Return-Path taken out, nothing else touched.
"""

from __future__ import annotations

from collections.abc import Callable
from email.utils import format_datetime

from mss.crypto.keys import Lookup
from mss.formats import mime
from mss.formats.parts import Structure
from mss.formats.summary import summarise
from mss.mail import letters, policy
from mss.mail.delivery import Letter
from mss.mail.dispatch import Also, Dispatch, nothing_more
from mss.mail.letters import PARIS
from mss.mail.policy import SenderFacts
from mss.mail.reception import Peer, Receipt
from mss.mail.recipients import House, Recipients
from mss.model.clock import Chance, Clock
from mss.model.errors import Malformed, StorageUnavailable
from mss.model.ids import MailAddress, OwnerId
from mss.model.message import Envelope
from mss.model.verdict import Accept, Later, Reason, Refuse, Verdict

NOT_SENT_ON = ("Bcc", "Resent-Bcc", "Return-Path")
"""Who was copied in secret stays secret; the return path is for the last server to write."""


class Submission:
    """The submission door's `Reception`: mail of logins to the whole trust space."""

    def __init__(
        self,
        house: House,
        recipients: Recipients,
        dispatch: Dispatch,
        lookup: Lookup,
        is_trusted: Callable[[str], bool],
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._house = house
        self._recipients = recipients
        self._dispatch = dispatch
        self._lookup = lookup
        self._is_trusted = is_trusted
        self._clock = clock
        self._chance = chance

    async def _may_use_of(self, peer: Peer, *addresses: MailAddress) -> frozenset[str]:
        """Those that belong to the login: its own address, or one of a team of which it is a member."""
        assert peer.account is not None, "the door asks for a login first"
        own = {box.address_hmac for box in await self._recipients.own_addresses(peer.account)}
        return frozenset(one.key for one in addresses if self._lookup.address(one.key) in own)

    async def sender(self, peer: Peer, sender: MailAddress | None) -> Verdict:
        may_use = await self._may_use_of(peer, *([sender] if sender else []))
        return policy.judge_sender(SenderFacts(sender, may_use))

    async def recipient(self, peer: Peer, sender: MailAddress | None, recipient: MailAddress) -> Verdict:
        is_trusted = self._is_trusted(recipient.domain)
        facts = await self._recipients.facts(recipient, may_relay=True, is_trusted=is_trusted)
        return policy.judge_recipient(facts)

    async def message(self, peer: Peer, envelope: Envelope, raw: bytes) -> Receipt:
        """Take a message of a login and send it; durable when this accepts."""
        assert peer.account is not None, "the door asks for a login first"
        number = self._chance.token(8).hex()
        try:
            structure = await letters.scan(raw)
            seen = letters.header_facts(structure)
            may_use = await self._may_use_of(peer, *seen.from_addresses, *seen.senders)
            verdict = policy.judge_message(letters.message_facts(structure, envelope, by_login=True, may_use=may_use))
            if not isinstance(verdict, Accept):
                return Receipt(verdict)
            finished = self._trace(peer, envelope, number) + self._completed(raw, structure, seen.from_addresses[0])
            # Two mails alike to the byte are one mail sent twice only when they bear the same Message-ID.
            repeated = raw if _says(structure, "Message-ID") else finished
            summary = summarise(finished, await letters.scan(finished))
            letter = Letter(finished, summary, envelope.sender, peer.name, repeated, envelope.wish)
        except Malformed as malformed:
            return Receipt(Refuse(malformed.reason, malformed.detail))
        try:
            await self._dispatch.send(peer.account, letter, envelope.recipients)
        except StorageUnavailable:
            return Receipt(Later(Reason.STORAGE_UNAVAILABLE))
        return Receipt(Accept(), int(number, 16))

    def _trace(self, peer: Peer, envelope: Envelope, number: str) -> bytes:
        """The login's machine is not named to the world: only that we took the message."""
        anonymous = Envelope(envelope.sender, envelope.recipients, envelope.received_at, helo=self._house.host)
        return letters.trace_fields(anonymous, Peer(peer.name), self._house.host, number, protocol="ESMTPSA")

    def _completed(self, raw: bytes, structure: Structure, shown_from: MailAddress) -> bytes:
        """RFC 6409 §8: add Date and Message-ID when missing; RFC 5322 §3.6.3, §3.6.6: no Bcc goes out."""
        added, gone = "", [*NOT_SENT_ON]
        if not _says(structure, "Date"):
            added += f"Date: {format_datetime(self._clock.now().astimezone(PARIS))}\r\n"
            gone.append("Date")
        if not _says(structure, "Message-ID"):
            added += f"Message-ID: {letters.new_message_id(self._chance, shown_from.domain)}\r\n"
            gone.append("Message-ID")
        return added.encode() + letters.without_fields(raw, *gone)


def _says(structure: Structure, field: str) -> bool:
    """Whether a field is there and not empty."""
    return bool((structure.header(field) or "").strip())


class HouseMail:
    """Letters that the house itself writes: receipts, notices, replies composed here. Judged by who calls."""

    def __init__(self, house: House, dispatch: Dispatch) -> None:
        self._house = house
        self._dispatch = dispatch

    async def send(
        self,
        origin: OwnerId,
        sender: MailAddress | None,
        recipients: tuple[MailAddress, ...],
        raw: bytes,
        *,
        also: Also = nothing_more,
    ) -> None:
        """Send bytes composed by us, whose Message-ID is fixed by the duty that asks. A repeat changes nothing.

        Raises StorageUnavailable, Malformed (a defect of ours: the duty then waits for a human).
        """
        traced = letters.return_path(sender) + raw
        structure = mime.scan(traced)
        summary = summarise(traced, structure)
        letter = Letter(traced, summary, sender, "house", summary.message_id.encode())
        await self._dispatch.send(origin, letter, recipients, also=also)
