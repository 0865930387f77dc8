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
from mss.mail import letters, policy, sentmark, unanswered
from mss.mail.contents import Contents, Octets
from mss.mail.dispatch import Also, Dispatch, nothing_more
from mss.mail.letters import PARIS
from mss.mail.parcels import Letter
from mss.mail.policy import SenderFacts
from mss.mail.reception import Peer, Receipt
from mss.mail.recipients import House, Recipients
from mss.mail.screening import NoScreening, Screening
from mss.mail.sentcopies import SentCopies
from mss.mail.testmailbox import TestMailbox
from mss.model.clock import Chance, Clock, to_ms
from mss.model.errors import Malformed, StorageUnavailable
from mss.model.ids import MailAddress, OwnerId
from mss.model.message import Envelope
from mss.model.verdict import Accept, Later, Reason, Refuse, Verdict
from mss.store import audit

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
        screening: Screening | None = None,
        test_mailbox: TestMailbox | None = None,
        sent_copies: SentCopies | None = None,
    ) -> None:
        """Without `sent_copies` senders file for themselves."""
        self._sent_copies = sent_copies
        self._test_mailbox = test_mailbox
        self._screening = screening or NoScreening()
        self._house = house
        self._recipients = recipients
        self._dispatch = dispatch
        self._lookup = lookup
        self._is_trusted = is_trusted
        self._clock = clock
        self._chance = chance

    async def sender(self, peer: Peer, sender: MailAddress | None) -> Verdict:
        assert peer.account is not None, "the door asks for a login first"
        pens = await self._recipients.may_write_as(peer.account, [sender] if sender else [])
        return policy.judge_sender(SenderFacts(sender, pens.all))

    async def recipient(self, peer: Peer, sender: MailAddress | None, recipient: MailAddress) -> Verdict:
        is_trusted = self._is_trusted(recipient.domain)
        facts = await self._recipients.facts(recipient, may_relay=True, is_trusted=is_trusted)
        return policy.judge_recipient(facts)

    async def message(self, peer: Peer, envelope: Envelope, raw: Octets) -> Receipt:
        """Take a message of a login and send it; durable when this accepts."""
        try:
            return await self._message(peer, envelope, Contents.of(raw))
        except StorageUnavailable:
            return Receipt(Later(Reason.STORAGE_UNAVAILABLE))

    async def _message(self, peer: Peer, envelope: Envelope, raw: Contents) -> Receipt:
        assert peer.account is not None, "the door asks for a login first"
        number = self._chance.token(8).hex()
        try:
            structure, mark = await raw.look(sentmark.look)
            seen = letters.header_facts(structure)
            pens = await self._recipients.may_write_as(peer.account, (*seen.from_addresses, *seen.senders))
            facts = letters.message_facts(
                structure, envelope, by_login=True, may_use=pens.all, own=frozenset(pens.own), login=peer.address
            )
            verdict = policy.judge_message(facts)
            if not isinstance(verdict, Accept):
                return Receipt(verdict)
            shown = seen.from_addresses[0]
            writer = peer.address if shown.key in pens.lent and not seen.senders else None
            added, gone = self._completed(structure, shown, writer)
            before = self._trace(peer, envelope, number) + added
            finished = await raw.without_fields(*gone, before=before)
            # Two mails alike to the byte are one mail sent twice only when they bear the same Message-ID.
            repeated = raw if _says(structure, "Message-ID") else finished
            size = await self._recipients.size_facts(
                envelope.recipients, len(finished), structure, to_ms(self._clock.now())
            )
            if not isinstance(verdict := policy.judge_size(size), Accept):
                return Receipt(verdict)
            _, summary = await finished.look(letters.study)
            doubt = await self._screening.doubt(raw)
            letter = Letter(finished, summary, envelope.sender, peer.name, repeated, envelope.wish, doubt=doubt)
            copy = None
            if self._sent_copies is not None:
                named = [one for one in gone if one not in NOT_SENT_ON]
                kept = await raw.without_fields("Return-Path", *named, before=added)
                owner = pens.own.get(shown.key, peer.account)  # who writes in another's name files it as her own
                copy = await self._sent_copies.of(peer, owner, kept, structure, mark, envelope.recipients)
        except Malformed as malformed:
            return Receipt(Refuse(malformed.reason, malformed.detail))
        also = self._trace_of_delegation(peer, letter, pens.lent.get(shown.key))
        mailbox = pens.own.get(shown.key) or pens.lent.get(shown.key) or peer.account
        answer = unanswered.answer(self._lookup, mailbox, structure, envelope.recipients)
        to = envelope.recipients if self._test_mailbox is None else self._test_mailbox.others(envelope.recipients)
        if self._test_mailbox is not None and len(to) < len(envelope.recipients):
            await self._test_mailbox.take(peer, letter, structure)
        if to or copy is not None:
            origin = peer.account if copy is None else copy.owner  # one lane for queue and copy
            await self._dispatch.send(origin, letter, to, also=also, own_copy=copy, answer=answer)
        return Receipt(Accept(), int(number, 16))

    def _trace(self, peer: Peer, envelope: Envelope, number: str) -> bytes:
        """The login's machine is not named to the world: only that we took the message."""
        anonymous = Envelope(envelope.sender, envelope.recipients, envelope.received_at, helo=self._house.host)
        return letters.trace_fields(anonymous, Peer(peer.name), self._house.host, number, protocol="ESMTPSA")

    def _trace_of_delegation(self, peer: Peer, letter: Letter, holder: OwnerId | None) -> Also:
        """What somebody wrote in another's name is told in the other's trail."""
        if holder is None:
            return nothing_more
        hashed = self._lookup.message_id(letter.message_id)
        act = audit.Act(self._clock.now(), peer.name, "mail.written-for", holder, 0, hashed)
        return lambda connection: audit.write(connection, [act])

    def _completed(
        self, structure: Structure, shown_from: MailAddress, writer: MailAddress | None
    ) -> tuple[bytes, list[str]]:
        """What to add and leave out. RFC 6409 §8: add Date and Message-ID when missing; RFC 5322 §3.6.3, §3.6.6: no
        Bcc goes out; §3.6.2: a delegate is named in Sender."""
        added, gone = "", [*NOT_SENT_ON]
        if writer is not None:
            added += f"Sender: {writer}\r\n"
            gone.append("Sender")
        if not _says(structure, "Date"):
            added += f"Date: {format_datetime(self._clock.now().astimezone(PARIS))}\r\n"
            gone.append("Date")
        if not _says(structure, "Message-ID"):
            added += f"Message-ID: {letters.new_message_id(self._chance, shown_from.domain)}\r\n"
            gone.append("Message-ID")
        return added.encode(), gone


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
        traced = letters.return_path(sender) + self._house.nil_field + raw
        structure = mime.scan(traced)
        summary = summarise(traced, structure)
        letter = Letter(traced, summary, sender, "house", summary.message_id.encode())
        await self._dispatch.send(origin, letter, recipients, also=also)
