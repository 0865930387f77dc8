"""The door for other operators: who brings mail, and is it welcome?

STARTTLS and a client certificate first. The peer is judged after the handshake and again before each message, so
that one who is struck off or revoked is refused in a session that is open. Then the house's three questions
(`mail/reception.py`), whose verdicts become replies. 250 is said when the house says that the message is durable.
"""

from __future__ import annotations

from dataclasses import replace

from mss.mail.reception import Peer, PeerJudge, Receipt, Reception
from mss.model.clock import Clock
from mss.model.ids import MailAddress, network_of
from mss.model.message import Envelope
from mss.model.verdict import Accept, Later, Reason, Refuse, Verdict
from mss.smtp import journal, replies
from mss.smtp.conversation import Conversation, MailDoorway
from mss.smtp.doorway import DiskHasRoom, MailServer, TlsContext, always
from mss.smtp.limits import Limits
from mss.smtp.meters import Caps, Meter, Party
from mss.smtp.replies import Reply
from mss.smtp.transaction import Transaction
from mss.smtp.wire import Visit
from mss.store.spool import SpoolRoom


class MailHandler:
    """aiosmtpd's hooks, turned into the three questions of a reception. The same for both doors."""

    def __init__(self, reception: Reception, clock: Clock) -> None:
        self._reception = reception
        self._clock = clock

    async def admit(self, session: Visit) -> Verdict:
        """Who is there (`session.known`), and may they send at all? Asked before each message."""
        raise NotImplementedError

    async def handle_MAIL(
        self,
        server: Conversation,
        session: Visit,
        envelope: Transaction,
        sender: MailAddress | None,
        options: list[str],
    ) -> Reply:
        verdict = await self.admit(session)
        if isinstance(verdict, Accept):
            verdict = _has_room(server.doorway, session)
        if isinstance(verdict, Accept):
            verdict = await self._reception.sender(_peer(session), sender)
        return self._told(server, "MAIL", session, verdict, replies.SENDER_OK)

    async def handle_RCPT(
        self, server: Conversation, session: Visit, envelope: Transaction, recipient: MailAddress, options: list[str]
    ) -> Reply:
        if server.doorway.meter.takes_recipient(_party(session)):
            verdict = await self._reception.recipient(_peer(session), envelope.sender, recipient)
        else:
            verdict = Later(Reason.RATE_LIMITED)
        return self._told(server, "RCPT", session, verdict, replies.RECIPIENT_OK)

    async def handle_DATA(self, server: Conversation, session: Visit, envelope: Transaction) -> Reply:
        """From aiosmtpd's objects to ours, and to the house."""
        peer = _peer(session)
        ours = Envelope(
            sender=envelope.sender,
            recipients=tuple(envelope.recipients.values()),
            received_at=self._clock.now(),
            peer_name=peer.name,
            helo=session.host_name or "",
            remote_address=session.remote_address,
            wish=envelope.wish,
        )
        receipt: Receipt = await self._reception.message(peer, ours, envelope.message)
        if isinstance(receipt.verdict, Accept):
            journal.accepted(server.doorway.name, receipt.number, len(envelope.message), session.serial)
            if receipt.long_line:
                journal.long_line(server.doorway.name, receipt.number, receipt.long_line, session.serial)
        return self._told(server, "DATA", session, receipt.verdict, replies.kept(receipt.number))

    def _told(self, server: Conversation, stage: str, session: Visit, verdict: Verdict, yes: Reply) -> Reply:
        if isinstance(verdict, Accept):
            return yes
        journal.turned_away(server.doorway.name, stage, verdict, session.serial)
        return replies.reply_to(verdict)


def _peer(session: Visit) -> Peer:
    assert session.known is not None  # MAIL admits somebody, or nobody gets further
    return session.known


def _has_room(doorway: MailDoorway, session: Visit) -> Verdict:
    """May somebody who is known bring another message now?"""
    name, party = _peer(session).name, session.party
    if party is None or party.name != name:  # its network is that of its connection
        party = Party(name, network_of(session.remote_address))
        if not doorway.claim(session, party):
            return Later(Reason.TOO_MANY_CONNECTIONS)
    if not doorway.has_disk_space():
        return Later(Reason.DISK_FULL)
    return Accept() if doorway.meter.takes_message(party) else Later(Reason.RATE_LIMITED)


def _party(session: Visit) -> Party:
    assert session.party is not None  # as above
    return session.party


class RelayHandler(MailHandler):
    """A peer is whose certificate TLS has verified, judged by the trust list."""

    def __init__(self, judge: PeerJudge, reception: Reception, clock: Clock) -> None:
        super().__init__(reception, clock)
        self._judge = judge

    async def admit(self, session: Visit) -> Verdict:
        if session.certificate_der is None:
            return Refuse(Reason.CERTIFICATE_REQUIRED)
        peer, verdict = await self._judge.peer(session.certificate_der, session.remote_address)
        if peer is None:
            session.known = session.judged = None
            return verdict if not isinstance(verdict, Accept) else Refuse(Reason.CERTIFICATE_NOT_LISTED)
        helo, known = session.host_name or "", session.known
        if known is None or session.judged is not peer or known.helo != helo:
            session.known = replace(peer, helo=helo, remote_address=session.remote_address, tls=session.tls)
            session.judged = peer
        return verdict


class RelayServer(MailServer):
    """Port 25. Nobody signs in here, and nobody is relayed."""

    name = "relay"

    def __init__(
        self,
        *,
        hostname: str,
        tls: TlsContext,
        judge: PeerJudge,
        reception: Reception,
        clock: Clock,
        limits: Limits | None = None,
        meter: Meter | None = None,
        has_disk_space: DiskHasRoom = always,
        postmaster: MailAddress | None = None,
        spools: SpoolRoom | None = None,
    ) -> None:
        """`tls` gives the current `crypto.tls.relay_server_context` (client certificate optional)."""
        super().__init__(
            hostname=hostname,
            handler=RelayHandler(judge, reception, clock),
            tls=tls,
            meter=meter or Meter(Caps(), clock),
            limits=limits,
            has_disk_space=has_disk_space,
            postmaster=postmaster,
            spools=spools,
        )
