"""How does another operator's mail come in? Gather facts, ask the judge, keep, and only then say so.

Runs in the edge: public keys only. A patient's address is answered alike whoever exists; the difference shows
later, to the accountable sender alone.
"""

from __future__ import annotations

from dataclasses import replace

from mss.mail import letters, policy
from mss.mail.contents import Contents, Octets
from mss.mail.delivery import Delivery
from mss.mail.parcels import Letter
from mss.mail.peers import TrustGate
from mss.mail.reception import Peer, Receipt
from mss.mail.recipients import House, Recipients
from mss.mail.screening import NoScreening, Screening
from mss.mail.testmailbox import TestMailbox
from mss.mail.vigil import Vigil
from mss.model.clock import Chance
from mss.model.errors import Malformed, StorageUnavailable
from mss.model.ids import MailAddress
from mss.model.message import Envelope
from mss.model.verdict import Accept, Later, Reason, Refuse, Verdict


class Intake:
    """The relay's `Reception`: mail from peers to our mailboxes."""

    def __init__(
        self,
        house: House,
        gate: TrustGate,
        recipients: Recipients,
        delivery: Delivery,
        chance: Chance,
        screening: Screening | None = None,
        vigil: Vigil | None = None,
        test_mailbox: TestMailbox | None = None,
    ) -> None:
        self._house = house
        self._gate = gate
        self._recipients = recipients
        self._delivery = delivery
        self._chance = chance
        self._screening = screening or NoScreening()
        self._vigil = vigil
        self._test_mailbox = test_mailbox

    async def sender(self, peer: Peer, sender: MailAddress | None) -> Verdict:
        return self._gate.speaks(peer, sender)

    async def recipient(self, peer: Peer, sender: MailAddress | None, recipient: MailAddress) -> Verdict:
        facts = await self._recipients.facts(recipient, may_relay=False, is_trusted=False)
        return policy.judge_recipient(facts)

    async def message(self, peer: Peer, envelope: Envelope, raw: Octets) -> Receipt:
        """Take in one message; durable in every mailbox when this accepts."""
        try:
            return await self._message(peer, envelope, Contents.of(raw))
        except StorageUnavailable:
            return Receipt(Later(Reason.STORAGE_UNAVAILABLE))

    async def _message(self, peer: Peer, envelope: Envelope, raw: Contents) -> Receipt:
        number = self._chance.token(8).hex()
        trace = letters.trace_fields(envelope, peer, self._house.host, number, protocol="ESMTPS")
        # RFC 5321 §4.4: only our Return-Path is to be believed
        traced = await raw.without_fields("Return-Path", before=trace)
        try:
            structure, summary = await traced.look(letters.study, lines_are_whole=traced.lines_are_whole)
        except Malformed as malformed:
            return Receipt(Refuse(malformed.reason, malformed.detail))
        facts = letters.message_facts(structure, envelope, by_login=False)
        verdict = policy.judge_message(facts)
        if isinstance(verdict, Accept):
            verdict = self._gate.speaks(peer, envelope.sender, facts.from_addresses[0])
        if not isinstance(verdict, Accept):
            return Receipt(verdict)
        doubt = await self._screening.doubt(raw)
        letter = Letter(traced, summary, envelope.sender, peer.name, raw, envelope.wish, doubt=doubt)
        to = envelope.recipients if self._test_mailbox is None else self._test_mailbox.others(envelope.recipients)
        tested = 0
        if self._test_mailbox is not None and len(to) < len(envelope.recipients):
            tested = await self._test_mailbox.take(peer, letter, structure)
            envelope = replace(envelope, recipients=to)
        receipt = await self._keep(letter, envelope) if to else Receipt(Accept(), tested)
        return replace(receipt, long_line=facts.long_line_number) if facts.long_line_number else receipt

    async def _keep(self, letter: Letter, envelope: Envelope) -> Receipt:
        within_s = self._house.unreachable_delay_max_s
        parcels = await self._delivery.incoming(letter, envelope.recipients, self._recipients.reachable, within_s)
        numbers = await self._delivery.commit(parcels)
        await self._delivery.owe_receipts(letter, parcels, within_s)
        if self._vigil is not None:
            self._vigil.look(letter, parcels)
        return Receipt(Accept(), numbers[0])
